#!/bin/sh
# run.sh: three nodes of this machine, of which one leads and works, and a fourth with the ledger that it writes into. Then
# the VM of the one that leads is stopped in the middle of its work, and goes on when another leads; then the one that leads
# is killed. Lines that begin with a blank say who wrote, since when, and with which token; the others are what must
# come of it. Needs what ../two_nodes/run.sh needs.
set -eu
cd "$(dirname "$0")"
if [ -z "${BEAMS:-}" ]; then
  gleam build
  BEAMS=$(find "$PWD/build/dev/erlang" -type d -name ebin | tr '\n' ' ')
fi
dir=$(mktemp -d)
pids=

clean_up() {
  trap - EXIT INT TERM
  for pid in $pids; do
    kill -CONT "$pid" 2>/dev/null || true
    kill -KILL "$pid" 2>/dev/null || true
  done
  # A companion ends a moment after its VM, and may write its state until then.
  tries=0
  until rm -rf "$dir" 2>/dev/null || [ "$tries" -ge 50 ]; do
    tries=$((tries + 1))
    sleep 0.1
  done
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT
trap 'clean_up; exit 143' TERM

(umask 377 && od -An -N8 -tx8 /dev/urandom | tr -d ' \n' >"$dir/.erlang.cookie")
full() { echo "$1$$@127.0.0.1"; }
text() { echo "<<\"$1\">>"; }
nodes="$(text "$(full one)"), $(text "$(full two)"), $(text "$(full three)"), $(text "$(full store)")"
voters="$(text "one$$_remora@127.0.0.1"), $(text "two$$_remora@127.0.0.1"), $(text "three$$_remora@127.0.0.1")"

# Its output is in a file; the VM's process id in $vm.
vm() { # NAME CALL
  # shellcheck disable=SC2086 # folders, one word each
  HOME=$dir erl +Bd -noinput -name "$(full "$1")" -kernel logger_level emergency \
    -kernel inet_dist_use_interface '{127,0,0,1}' -pa $BEAMS -eval "$2." >>"$dir/$1" 2>&1 &
  vm=$!
  pids="$pids $vm"
}
voter() { # NAME
  mkdir "$dir/state_$1"
  vm "$1" "foreman:main([$nodes], [$voters], $(text "$dir/state_$1"))"
  echo "$vm" >"$dir/$1.pid"
}

# Who wrote last, by the ledger, and with which token.
writer() { sed -n "s/^taken [0-9]* \([a-z]*\)$$@.*/\1/p" "$dir/store" | tail -n 1; }
token() { sed -n 's/^taken .* \([0-9]*\)$/\1/p' "$dir/store" | tail -n 1; }

until_so() { # WHAT CONDITION...
  what=$1
  shift
  tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ "$tries" -lt 300 ] || {
      echo "run.sh: not so after 30 s: $what" >&2
      tail -n 5 "$dir/one" "$dir/two" "$dir/three" "$dir/store" >&2
      exit 1
    }
    sleep 0.1
  done
  echo "$what"
}
writes() { grep -c '^taken' "$dir/store" || true; }
# The same one for a while: at the start it may change.
somebody_writes() { [ "$(grep '^taken' "$dir/store" | tail -n 5 | awk '{ print $3, $4 }' | uniq -c | awk '{ print $1 }')" = 5 ]; }
# A moment after a write the next work is under way, for another 150 ms.
in_the_middle_of_work() {
  seen=$(writes)
  while [ "$(writes)" = "$seen" ]; do sleep 0.01; done
  sleep 0.05
}
another_writes() { [ "$(writer)" != "$leader" ] && [ "$(token)" -gt "$before" ]; }
old_is_refused() { grep -q "^refused .* $before$" "$dir/store" && grep -q "the ledger refuses token $before$" "$dir/$leader"; }

began=$(date +%s%3N)
vm store "ledger:main([$nodes])"
voter one
voter two
voter three
until_so "one of the three leads, and its worker writes" somebody_writes

in_the_middle_of_work
leader=$(writer)
before=$(token)
kill -STOP "$(cat "$dir/$leader.pid")"
until_so "its VM was stopped, so another one leads and writes, with a greater token" another_writes
kill -CONT "$(cat "$dir/$leader.pid")"
until_so "it goes on with what it was at, and the ledger refuses the old token" old_is_refused

leader=$(writer)
before=$(token)
kill -KILL "$(cat "$dir/$leader.pid")"
until_so "the one that led was killed, and another one writes, with a greater token" another_writes

# One line for each who wrote, and the ledger's own proof.
awk -v began="$began" '
  /^taken/ && $3 " " $4 != last { printf " %8.3f s %s writes with token %s\n", ($2 - began) / 1000, $3, $4; last = $3 " " $4 }
  /^refused/ { printf " %8.3f s %s is refused with token %s\n", ($2 - began) / 1000, $3, $4; last = "" }
' "$dir/store" | sed "s/$$@127.0.0.1//"
awk '/^taken/ { if ($4 < highest) exit 1; highest = $4 }' "$dir/store" && echo "no token in the ledger is lower than one before it"
