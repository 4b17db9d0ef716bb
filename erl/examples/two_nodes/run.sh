#!/bin/sh
# run.sh: the two applications of this folder on two nodes of this machine. Needs Gleam, or a folder with everything
# compiled in BEAMS, and the program remora where the package looks for it (REMORA_BIN says it, too).
set -eu
cd "$(dirname "$0")"
if [ -z "${BEAMS:-}" ]; then
  gleam build
  BEAMS=$(find "$PWD/build/dev/erlang" -type d -name ebin | tr '\n' ' ')
fi
dir=$(mktemp -d)
cookie=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
right=

clean_up() {
  trap - EXIT INT TERM
  [ -z "$right" ] || kill "$right" 2>/dev/null || true
  rm -rf "$dir"
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT
trap 'clean_up; exit 143' TERM

# The cookie is for this run alone, in a file that only we can read.
(umask 377 && printf %s "$cookie" >"$dir/.erlang.cookie")
node() { # NAME FUNCTION
  # shellcheck disable=SC2086 # folders, one word each
  HOME=$dir exec erl +Bd -noinput -name "$1$$@127.0.0.1" -kernel logger_level error \
    -kernel inet_dist_use_interface '{127,0,0,1}' -pa $BEAMS -eval "two_nodes:$2(), halt(0)."
}

node right right &
right=$!
tries=0 # the left one connects to a node that is there
until epmd -names 2>/dev/null | grep -q "name right$$ "; do
  tries=$((tries + 1))
  [ "$tries" -lt 500 ] || { echo "run.sh: the right node does not start" >&2; exit 1; }
  sleep 0.02
done
code=0
(node left left) >"$dir/told" || code=$?
sed "s/$$@127\.0\.0\.1//g; s/${$}_remora@127\.0\.0\.1/_remora/g" "$dir/told"
wait "$right" || code=$?
right=
exit "$code"
