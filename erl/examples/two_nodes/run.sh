#!/bin/sh
# run.sh: the two applications of this folder on two nodes of this machine: what both print, the visitor first. Needs epmd,
# and Gleam, or the folder with everything compiled in BEAMS. Leaves with the visitor's exit code.
set -eu
cd "$(dirname "$0")"
if [ -z "${BEAMS:-}" ]; then
  gleam build
  BEAMS=$(find "$PWD/build/dev/erlang" -type d -name ebin | tr '\n' ' ')
fi
dir=$(mktemp -d)
cookie=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
(umask 177 && printf %s "$cookie" >"$dir/.erlang.cookie" && chmod 400 "$dir/.erlang.cookie")
export HOME="$dir"
shop=
clean_up() {
  trap - EXIT INT TERM
  [ -z "$shop" ] || kill "$shop" 2>/dev/null || true
  rm -rf "$dir"
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT TERM

# In a process of its own, whose end others see before that of its node.
node() { # NAME FUNCTION
  # shellcheck disable=SC2086 # folders, one word each
  exec erl -noinput -name "$1@127.0.0.1" -kernel logger_level error -kernel inet_dist_use_interface '{127,0,0,1}' \
    -pa $BEAMS -eval "
      {_, Ref} = spawn_monitor(two_nodes, $2, []),
      receive {'DOWN', Ref, process, _, normal} -> init:stop();
              {'DOWN', Ref, process, _, Reason} -> io:format(\"~p~n\", [Reason]), halt(1)
      end."
}
: >"$dir/shop"
(node first shop) >"$dir/shop" 2>&1 &
shop=$!
tries=0
until grep -q 'is open' "$dir/shop"; do
  tries=$((tries + 1))
  [ "$tries" -lt 150 ] && kill -0 "$shop" 2>/dev/null || { cat "$dir/shop" >&2; exit 1; }
  sleep 0.1
done
code=0
(node second main) || code=$?
wait "$shop" || code=$?
shop=
cat "$dir/shop"
exit "$code"
