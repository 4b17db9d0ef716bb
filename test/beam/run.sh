#!/bin/sh
# run.sh [SUITE...]: compiles the suites of this folder and runs those named (`call', `call_SUITE'; all of them
# by default) against real OTP nodes. Ends with the line `N passed, N failed' and says the same by its exit code.
#
#   REMORA_OTP="25 27 mixed"   releases to test          REMORA_NUT=remora|beam   the node under test
#   REMORA_CASE=ping           only this case, of one SUITE
#   REMORA_BIN, REMORA_TESTNODE, REMORA_CALC, REMORA_OTP27   other places
#   REMORA_LANE=-a           added to the folders of build/ that it writes, for two runs at once
#
# Erlang's own erlc and common_test do all of it. The test node is not distributed, so the machine's epmd is
# neither needed nor seen. Everything is written below build/: beams in beam, logs in ct.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/test/beam
beams=$root/build/beam${REMORA_LANE:-}
logs=$root/build/ct${REMORA_LANE:-}
export REMORA_OTP="${REMORA_OTP:-25 27 mixed}"
export REMORA_NUT="${REMORA_NUT:-remora}"
export REMORA_BIN="${REMORA_BIN:-$root/priv/remora}"
export REMORA_TESTNODE="${REMORA_TESTNODE:-$root/build/release/test/support/testnode}"
export REMORA_CALC="${REMORA_CALC:-$root/build/release/test/examples/calc}"
export REMORA_OTP27="${REMORA_OTP27:-$root/build/otp27}"
export REMORA_IN_OTP27="$root/test/support/in_otp27.sh"
export REMORA_INTO_OTP27="$root/test/support/into_otp27.sh"
export REMORA_CT_RESULT="$logs/result"

if [ "$REMORA_NUT" = remora ]; then
  for program in "$REMORA_BIN" "$REMORA_TESTNODE" "$REMORA_CALC"; do
    [ -x "$program" ] || {
      echo "run.sh: no program $program: run 'make' first" >&2
      echo "0 passed, 1 failed"
      exit 1
    }
  done
fi

rm -rf "$beams" "$logs"
mkdir -p "$beams" "$logs"
erlc -Werror +debug_info -I "$here" -o "$beams" "$here"/*.erl
erlc -Werror +debug_info +warn_missing_spec -o "$beams" "$root"/erl/src/*.erl "$root"/erl/erlang/*.erl

suites=""
[ $# -gt 0 ] || set -- "$here"/*_SUITE.erl
for suite in "$@"; do
  name=$(basename "$suite" .erl)
  name=${name%_SUITE}_SUITE
  [ -f "$here/$name.erl" ] || { echo "run.sh: no suite $name in $here" >&2; exit 2; }
  suites="$suites${suites:+,}$name"
done

only=""
[ -z "${REMORA_CASE:-}" ] || only=", {group, all}, {testcase, [$(echo "$REMORA_CASE" | tr ' ' ',')]}"
cd "$logs"
erl -noshell -noinput -pa "$beams" -eval "
  ct:run_test([{dir, \"$beams\"}, {suite, [$suites]}, {logdir, \"$logs\"}, {ct_hooks, [plain_cth]},
               {auto_compile, false}, {basic_html, true}, {abort_if_missing_suites, true}$only]), halt()." \
  >"$logs/stdout.log" </dev/null || true

[ -s "$REMORA_CT_RESULT" ] || {
  tail -n 20 "$logs/stdout.log" >&2
  echo "run.sh: common_test ended without a result; its output is in $logs/stdout.log" >&2
  echo "0 passed, 1 failed"
  exit 1
}
read -r passed failed <"$REMORA_CT_RESULT"
[ "$failed" -eq 0 ] || echo "run.sh: details are in $logs/index.html" >&2
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
