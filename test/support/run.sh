#!/bin/sh
# run.sh: shows remora as a member of a BEAM cluster. Starts two ordinary OTP nodes and a native service (the program of
# test/examples/calc.cpp), walks through what nodes of a cluster do with each other, and says of each step what was
# seen on which side and how long it took; then two Gleam applications with companions do the same with the package.
# Exits with 1 when one of them was not as expected.
#
# Everything is started for this and ended with it, by its pid, on Ctrl-C too. The cookie is made for this run and lives
# in a file of mode 0400 only. An epmd is started if there is none, and ended again unless others use it by then.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
export HOME="$dir" REMORA_DEMO_DIR="$dir" REMORA_BIN="${REMORA_BIN:-$root/priv/remora}"
export REMORA_CALC="${REMORA_CALC:-$root/build/release/test/examples/calc}"
unset REMORA_COOKIE XDG_CONFIG_HOME ERL_FLAGS ERL_AFLAGS ERL_ZFLAGS ERL_LIBS
epmd_is_ours=

clean_up() {
  trap - EXIT INT TERM
  for file in "$dir"/pids/*; do
    [ -e "$file" ] && kill -KILL "${file##*/}" 2>/dev/null || true
  done
  [ -z "$epmd_is_ours" ] || epmd -kill >/dev/null 2>&1 || true # refuses while nodes are registered
  rm -rf "$dir"
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT
trap 'clean_up; exit 143' TERM

mkdir "$dir/pids" "$dir/beams"
(
  umask 377
  LC_ALL=C tr -dc A-Z </dev/urandom | head -c 20 >"$dir/.erlang.cookie"
)
epmd -names >/dev/null 2>&1 || {
  epmd -daemon
  epmd_is_ours=yes
  tries=0
  until epmd -names >/dev/null 2>&1; do # a daemon listens soon after its parent has gone
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || { echo "run.sh: epmd does not answer on port ${ERL_EPMD_PORT:-4369}" >&2; exit 1; }
    sleep 0.02
  done
}
erlc -Werror -o "$dir/beams" "$root/test/support/demo.erl"
code=0
erl +Bd -noshell -noinput -pa "$dir/beams" -s demo main || code=$?
[ "$code" -eq 0 ] || exit "$code"

# Then the package: two Gleam applications, each with a companion (erl/examples/two_nodes).
printf '\nTwo Gleam applications, each with a companion\n'
"$root/test/gleam/build.sh" >"$dir/compiled" 2>&1 || { cat "$dir/compiled" >&2; exit 1; }
BEAMS=$root/build/gleam/beams "$root/erl/examples/two_nodes/run.sh" >"$dir/two_nodes" || code=$?
sed 's/^/    /' "$dir/two_nodes"
exit "$code"
