#!/bin/sh
# test.sh: everything that says whether remora works, as `make test` and CI run it: the doctest units and simulated
# clusters, what README.md says, the Gleam package and the examples, units, simulator and the fuzz corpora under ASan and
# UBSan, then Common Test against real OTP 25 and 27 nodes. Ends with one line `N passed, N failed` over all of them.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root" || exit 1
logs=build/test-logs
mkdir -p "$logs"
passed=0
failed=0

# part NAME COMMAND...: the last line `N passed, N failed` of its output counts; without one its exit code does.
part() {
  name=$1
  shift
  echo "== $name"
  began=$(date +%s)
  "$@" >"$logs/$name.log" 2>&1
  code=$?
  counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$logs/$name.log" | tail -n 1)
  [ -n "$counts" ] || counts=$([ $code -eq 0 ] && echo "1 0" || echo "0 1")
  p=${counts% *}
  f=${counts#* }
  [ "$code" -eq 0 ] || [ "$f" -gt 0 ] || f=1
  [ "$f" -eq 0 ] || grep -v ' ok$' "$logs/$name.log" | tail -n 60
  echo "   $p passed, $f failed, $(($(date +%s) - began)) s"
  passed=$((passed + p))
  failed=$((failed + f))
}

# doctest's own summary as our line.
units() {
  "$1" --no-colors=true >"$logs/units.out" 2>&1
  code=$?
  cat "$logs/units.out"
  sed -n 's/.*test cases: *[0-9]* | *\([0-9]*\) passed | *\([0-9]*\) failed.*/\1 passed, \2 failed/p' "$logs/units.out"
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

# The suites wait for nodes more than they compute, so two lanes of them run at once: the package and its door, and all
# others.
beam() {
  lane='door shim shim_api shim_race shim_discovery shim_membership shim_election'
  others=$(ls test/beam/*_SUITE.erl | sed 's|.*/\(.*\)_SUITE.erl|\1|' | grep -vxE "$(echo "$lane" | tr ' ' '|')")
  # shellcheck disable=SC2086 # lists of words
  REMORA_LANE=-shim test/beam/run.sh $lane >"$logs/beam-shim.log" 2>&1 &
  shim=$!
  # shellcheck disable=SC2086
  test/beam/run.sh $others >"$logs/beam-others.log" 2>&1
  wait "$shim"
  cat "$logs/beam-others.log" "$logs/beam-shim.log"
  sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$logs/beam-others.log" "$logs/beam-shim.log" |
    awk '{ p += $1; f += $2 } END { print p " passed, " f + (NR < 2) " failed" }'
}

# The build under sanitizers computes for minutes: it goes on beside what comes first, behind everything else. The suites,
# which watch the clock, come after it.
nice -n 19 make -s asan >"$logs/asan-make.log" 2>&1 &
asan=$!
trap 'kill "$asan" 2>/dev/null' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
asan_build() {
  wait "$asan"
  code=$?
  cat "$logs/asan-make.log"
  return $code
}

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
part install test/support/install.sh
part readme test/support/readme.sh
part otp27 test/support/otp27.sh build/otp27
part gleam test/gleam/run.sh
part examples env BEAMS="$root/build/gleam/beams" test/support/examples.sh
part asan-build asan_build
part asan-units units build/asan/test/unit
part asan-sim build/asan/test/sim --runs 150 --seed 10000 --keep-going
part asan-sim-discovery build/asan/test/sim --discovery --runs 100 --seed 10000 --keep-going
part asan-sim-election build/asan/test/sim --election --runs 60 --seed 10000 --keep-going
part asan-sim-membership build/asan/test/sim --membership --runs 40 --seed 10000 --keep-going
part fuzz-corpus replay
part beam beam
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
