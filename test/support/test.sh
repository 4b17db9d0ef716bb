#!/bin/sh
# test.sh: everything that says whether remora works, as `make test` and CI run it: the doctest units and simulated
# clusters, what README.md says, the Gleam package and the examples, Common Test against real OTP 25 and 27 nodes, and
# units, simulators and the fuzz corpora under ASan and UBSan. Ends with one line `N passed, N failed` over all of them.
#
# Two cores are enough, and are kept busy: what waits for nodes goes in lanes beside each other, and the build under
# sanitizers, minutes of computing, takes what they leave (chrt --idle), so that it is in nobody's way.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root" || exit 1
logs=build/test-logs
# part NAME COMMAND...: the last line `N passed, N failed` of its output counts; without one its exit code does.
part() {
  name=$1
  shift
  began=$(date +%s)
  "$@" >"$logs/$name.log" 2>&1
  code=$?
  counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$logs/$name.log" | tail -n 1)
  [ -n "$counts" ] || counts=$([ $code -eq 0 ] && echo "1 0" || echo "0 1")
  p=${counts% *}
  f=${counts#* }
  [ "$code" -eq 0 ] || [ "$f" -gt 0 ] || f=1
  echo "$p $f" >"$logs/$name.count"
  # One write for each part: lanes share the output.
  failures=$([ "$f" -eq 0 ] || grep -v ' ok$' "$logs/$name.log" | tail -n 60)
  printf '%s%s: %s passed, %s failed, %s s\n' "${failures:+$failures
}" "$name" "$p" "$f" "$(($(date +%s) - began))"
}

# doctest's own summary as our line.
units() { # PROGRAM ARGUMENT...
  out=$(mktemp)
  "$@" --no-colors=true >"$out" 2>&1
  code=$?
  cat "$out"
  sed -n 's/.*test cases: *[0-9]* | *\([0-9]*\) passed | *\([0-9]*\) failed.*/\1 passed, \2 failed/p' "$out"
  rm -f "$out"
  return $code
}

replay() {
  code=0
  for target in "$root"/build/asan/test/replay_*; do
    [ -x "$target" ] || continue
    "$target" "$root/test/fuzz/corpus/${target##*/replay_}" || code=1
  done
  return $code
}

computing() {
  part units units build/release/test/unit
  part reconcile build/release/test/bench/reconcile --limit 10
  part sim build/release/test/sim --runs 2000 --keep-going
  part sim-repeats build/release/test/sim --runs 50 --seed 5000 --repeat
  part sim-checkers build/release/test/sim --self-test
  part sim-discovery build/release/test/sim --discovery --runs 500 --keep-going
  part sim-discovery-repeats build/release/test/sim --discovery --runs 50 --seed 5000 --repeat
  part sim-discovery-checkers build/release/test/sim --discovery --self-test
  part sim-election build/release/test/sim --election --runs 500 --keep-going
  part sim-election-repeats build/release/test/sim --election --runs 50 --seed 5000 --repeat
  part sim-election-checkers build/release/test/sim --election --self-test
  part sim-membership build/release/test/sim --membership --runs 400 --keep-going
  part sim-membership-repeats build/release/test/sim --membership --runs 20 --seed 5000 --repeat
  part sim-membership-checkers build/release/test/sim --membership --self-test
  part sim-membership-table build/release/test/sim --membership --table --short
}
scripts() {
  part install test/support/install.sh
  part readme test/support/readme.sh
  part otp27 test/support/otp27.sh build/otp27
  part gleam test/gleam/run.sh
  part examples env BEAMS="$root/build/gleam/beams" test/support/examples.sh
}
suites() { # LANE SUITE...
  lane=$1
  shift
  REMORA_LANE=-$lane part "suites-$lane" test/beam/run.sh "$@"
}
# What takes minutes of one core first, and all others beside it.
sanitized() {
  part asan-sim build/asan/test/sim --runs 150 --seed 10000 --keep-going &
  sim=$!
  part asan-sim-discovery build/asan/test/sim --discovery --runs 100 --seed 10000 --keep-going
  part asan-sim-election build/asan/test/sim --election --runs 60 --seed 10000 --keep-going
  part asan-sim-membership build/asan/test/sim --membership --runs 40 --seed 10000 --keep-going
  part fuzz-corpus replay
  wait "$sim"
}
# For the chrt below.
if [ "${1:-}" = sanitized ]; then
  part asan-build make -s asan
  sanitized
  exit 0 # its counts are in files
fi

rm -rf "$logs"
mkdir -p "$logs"
jobs=
trap 'kill $jobs 2>/dev/null' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

chrt --idle 0 "$0" sanitized &
jobs="$jobs $!"
sanitized=$!
computing &
jobs="$jobs $!"
computing=$!
scripts
wait "$computing"

# Four lanes that take alike; new suites are in the last one.
door='door shim shim_api shim_race shim_discovery'
global='global pg model program discovery'
members='shim_membership shim_election membership'
# shellcheck disable=SC2012 # the names are ours
others=$(ls test/beam/*_SUITE.erl | sed 's|.*/\(.*\)_SUITE.erl|\1|' | grep -vxE "$(echo "$door $global $members" | tr ' ' '|')")
# shellcheck disable=SC2086 # lists of words
{
  suites door $door &
  door=$!
  suites global $global &
  global=$!
  suites members $members &
  members=$!
  jobs="$jobs $door $global $members"
  suites others $others
}
wait "$door" "$global" "$members"
while [ ! -e "$logs/asan-build.count" ] && kill -0 "$sanitized" 2>/dev/null; do sleep 0.2; done
part asan-units-door units build/asan/test/unit --test-case='door*' & # they take longest
jobs="$jobs $!"
door=$!
part asan-units-others units build/asan/test/unit --test-case-exclude='door*'
wait "$door"
part asan wait "$sanitized"

cat "$logs"/*.count | awk '{ p += $1; f += $2 } END { print p " passed, " f " failed"; exit f > 0 }'
