#!/bin/sh
# examples.sh: runs the examples of erl/examples and compares what they print (two_nodes is in the README, whose own check
# runs it). Those in Erlang and Elixir use the package as rebar3 compiles it, those in Gleam as test/gleam/build.sh does:
# BEAMS is its result, if that is there already. Ends with `N passed, N failed`.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
passed=0
failed=0

[ -n "${BEAMS:-}" ] || "$root/test/gleam/build.sh" || { echo "0 passed, 1 failed"; exit 1; }
export BEAMS="${BEAMS:-$root/build/gleam/beams}" REMORA_BIN="${REMORA_BIN:-$root/priv/remora}"

# An epmd of our own, so that neither the machine's nor anybody's nodes are met.
port=$(erl -noinput -eval '{ok, L} = gen_tcp:listen(0, []), {ok, P} = inet:port(L), io:format("~b", [P]), halt().')
export ERL_EPMD_PORT="$port"
epmd -port "$port" -relaxed_command_check >/dev/null 2>&1 &
epmd=$!

clean_up() {
  trap - EXIT INT TERM
  kill "$epmd" 2>/dev/null
  rm -rf "$dir"
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT TERM

# prints EXAMPLE: the expected lines are on standard input. Lines that begin with a blank come as they come.
prints() {
  cat >"$dir/expected"
  if timeout 120 "$root/erl/examples/$1/run.sh" >"$dir/all" 2>"$dir/errors" && grep -v '^ ' "$dir/all" >"$dir/found" &&
    diff "$dir/expected" "$dir/found" >"$dir/diff"; then
    echo "$1 ok"
    passed=$((passed + 1))
  else
    echo "FAILED  $1"
    sed 's/^/        /' "$dir/diff" "$dir/errors"
    failed=$((failed + 1))
  fi
}

prints erlang <<'END'
nodes: [first,first_remora,second]
who counts: first
add 2: {ok,2}
add 3: {ok,5}
the first node has ended; who counts: second
add 10: {ok,15}
END

prints elixir <<'END'
Counter.add(2) is 42
a second one is refused
a plain node, by global, adds 100: 142
it has an OTP release: true
the counter was sent {:hello, "all"}
Counter.add(0) is 142
END

prints chat <<'END'
ann sees  ann: hello, is anybody here?
ann sees  ben: yes, ben is
ann sees  ann said hello, is anybody here?; ben said yes, ben is
ben sees  ann: hello, is anybody here?
ben sees  ben: yes, ben is
ben sees  ann said hello, is anybody here?; ben said yes, ben is
END

prints self_healing <<'END'
one, two and three have found each other
two was killed, and the others know it
two was started again, and is found
three was cut off, and the others know it
the cut was healed, and all are connected again
END

prints membership <<'END'
gossip has converged: each of the three knows the streets of all
two was stopped, and the others know it
two goes on, objects, and is alive again
three was told to end, and its companion has left in order
END

prints leader <<'END'
one of the three leads, and its worker writes
its VM was stopped, so another one leads and writes, with a greater token
it goes on with what it was at, and the ledger refuses the old token
the one that led was killed, and another one writes, with a greater token
no token in the ledger is lower than one before it
END

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
