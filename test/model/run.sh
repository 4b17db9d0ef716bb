#!/bin/sh
# run.sh: spin goes through election.pml in full, then once for each rule taken out, which it has to notice.
# Ends with `N passed, N failed`.
#
#   MODEL="BREAK_DISK"   only this rule, and not the whole        VERSIONS=2   a larger model (minutes, gigabytes)
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
passed=0
failed=0
command -v spin >/dev/null || {
  echo "run.sh: there is no spin: apt-get install spin" >&2
  echo "0 passed, 1 failed"
  exit 1
}

# check NAME EXPECTED FLAG...: `errors: 0' or `errors: 1' in the verifier's report; a search that was cut short is none.
check() {
  name=$1
  expected=$2
  shift 2
  dir=$root/build/model/$name
  rm -rf "$dir"
  mkdir -p "$dir"
  if (cd "$dir" && spin -a "$@" "$root/test/model/election.pml" >spin.log 2>&1 &&
    cc -O2 -w -DSAFETY -DNOFAIR -DVECTORSZ=256 -DCOLLAPSE -DMEMLIM=8000 -o pan pan.c && ./pan -m1000000 -w26 -n >pan.log 2>&1) &&
    grep -q "errors: $expected\$" "$dir/pan.log" && ! grep -q "max search depth too small\|out of memory" "$dir/pan.log"; then
    echo "$name ok: $(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1 states/p' "$dir/pan.log")"
    passed=$((passed + 1))
  else
    echo "FAILED  $name (build/model/$name)"
    tail -n 20 "$dir"/*.log
    failed=$((failed + 1))
  fi
}

[ -n "${MODEL:-}" ] || check whole 0 -DTOLD=0 "-DVERSIONS=${VERSIONS:-1}"
[ -n "${MODEL:-}" ] || check told 0 -DVERSIONS=0
for rule in ${MODEL:-BREAK_PROMISE BREAK_OLD_CONFIG BREAK_ORDER BREAK_WAIT BREAK_DISK BREAK_HANDOVER BREAK_COMMITTED BREAK_OWN_VOTE}; do
  check "$rule" 1 "-D$rule" -DVERSIONS=2
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
