#!/bin/sh
# run.sh [MODULE...]: compiles the Gleam package of erl/ and runs its tests, those of its examples that are documentation
# included, on real distributed nodes. Ends with the line `N passed, N failed'.
#
#   REMORA_BIN   another program than priv/remora
#
# The nodes are seen by an epmd of their own only, on a port that nobody else asks, so their names are plain:
# app@127.0.0.1, other@127.0.0.1. What they log goes to build/gleam/vm.log.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$root/build/gleam
export REMORA_BIN="${REMORA_BIN:-$root/priv/remora}" REMORA_GLEAM_OUT="$work/out" REMORA_EXAMPLES="$root/erl/examples"
epmd=
home=$(mktemp -d)

clean_up() {
  trap - EXIT INT TERM
  [ -z "$epmd" ] || kill "$epmd" 2>/dev/null || true
  rm -rf "$home"
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT
trap 'clean_up; exit 143' TERM

"$root/test/gleam/build.sh" || {
  echo "0 passed, 1 failed"
  exit 1
}
rm -f "$work"/*.log

# A port that is free now, and below those that the system hands out.
port=$((10000 + $$ % 20000))
while ! erl -noinput -eval "case gen_tcp:listen($port, []) of {ok, _} -> halt(0); _ -> halt(1) end."; do port=$((port + 1)); done
export HOME="$home" ERL_EPMD_PORT="$port"
unset ERL_FLAGS ERL_AFLAGS ERL_ZFLAGS ERL_LIBS REMORA_COOKIE REMORA_NODE
(
  umask 377
  LC_ALL=C tr -dc A-Z </dev/urandom | head -c 20 >"$home/.erlang.cookie"
)
epmd -port "$ERL_EPMD_PORT" </dev/null >/dev/null 2>&1 &
epmd=$!
tries=0
until epmd -names >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ "$tries" -lt 250 ] || {
    echo "run.sh: epmd does not answer on port $port" >&2
    echo "0 passed, 1 failed"
    exit 1
  }
  sleep 0.02
done
# What the tests write, as the state of an election, is below the home.
case $REMORA_BIN in /*) ;; *) REMORA_BIN=$PWD/$REMORA_BIN ;; esac
cd "$home"
code=0
erl +Bd -noinput -kernel logger "[{handler, default, logger_std_h, #{config => #{file => \"$work/vm.log\"}}}]" \
  -name app@127.0.0.1 -pa "$work/beams" -s gleam_tests main "$@" || code=$?
exit "$code"
