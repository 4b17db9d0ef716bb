#!/bin/sh
# run.sh: measures remora against a raw ei loop and an OTP node; prints a table and writes build/bench.json.
#
#   BENCH_RUNS=15         runs to take the median of
#   BENCH_CLUSTER_RUNS=5  the same of the measures in a cluster and of the package; 0 leaves them out
#   BENCH_ONLY=shim       the package's measures alone; BENCH_ONLY=discovery those of discovery
#   BENCH_STRICT=1        fail when a target is missed
#   REMORA_BIN, REMORA_TESTNODE   other programs than priv/remora and build/release/test/support/testnode;
#                         rows of a program that is not there are skipped with a notice
#
# Everything that is measured is started here, with an epmd of its own on a free port.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$root/build/bench
export REMORA_BIN="${REMORA_BIN:-$root/priv/remora}"
export REMORA_TESTNODE="${REMORA_TESTNODE:-$root/build/release/test/support/testnode}"
export BENCH_RUNS="${BENCH_RUNS:-15}"
export BENCH_RAW_EI="$build/raw_ei"
export BENCH_LOOKUP="$root/build/release/test/bench/lookup"
export BENCH_RECONCILE="$root/build/release/test/bench/reconcile"
export BENCH_JSON="$root/build/bench.json"
export BENCH_DIR="$build/logs"

rm -rf "$build" "$BENCH_JSON"
mkdir -p "$BENCH_DIR"
cc -O2 -Wall -Wextra -Werror -pthread -o "$BENCH_RAW_EI" "$root/test/bench/raw_ei.c" -lei
erlc -Werror +debug_info -o "$build" "$root"/test/bench/*.erl "$root"/erl/src/*.erl "$root"/erl/erlang/*.erl \
  "$root/test/beam/remora_ct.erl" "$root/test/beam/raw_dist.erl" "$root/test/beam/shim_ct.erl" \
  "$root/test/beam/shimnode.erl" "$root/test/beam/testnode.erl" "$root/test/beam/calc.erl"
erl -noshell -noinput -pa "$build" -s bench main </dev/null
[ -s "$BENCH_JSON" ] || { echo "bench: ended without a result" >&2; exit 1; }
[ -z "${BENCH_STRICT:-}" ] || ! grep -q '"verdict":"miss"' "$BENCH_JSON"
