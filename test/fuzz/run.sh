#!/bin/sh
# run.sh [seconds] [target...]: fuzzes each target for some seconds (default 60), two at a time, from the kept
# corpus. What it finds to be new stays in build/fuzz/corpus, crashes in build/fuzz/crashes; one line per target.
# Leaves with 1 when a target crashed.  `run.sh minimise` reduces what was found to the kept corpus.
set -eu
cd "$(dirname "$0")/../.."

SECONDS_EACH=${1:-60}
[ $# -gt 0 ] && shift
TARGETS=${*:-$(ls test/fuzz/fuzz_*.cpp | sed 's|.*/fuzz_\(.*\)\.cpp|\1|')}
OUT=build/fuzz
KEPT=test/fuzz/corpus
MAX_LEN=4096

build() {
  [ -f CMakeUserPresets.json ] || printf '{"version": 6, "include": [".cmake/presets.json"]}\n' > CMakeUserPresets.json
  mkdir -p $OUT/crashes $OUT/logs
  cmake --preset fuzz >$OUT/logs/build 2>&1 &&
    cmake --build $OUT -j "${JOBS:-2}" --target $(printf 'fuzz_%s ' $TARGETS) >> $OUT/logs/build 2>&1 ||
    { tail -n 30 $OUT/logs/build; exit 1; }
}

# A dictionary, when the target has one: test/fuzz/NAME.dict.
fuzz() {
  mkdir -p "$OUT/corpus/$1"
  DICT=""
  [ -f "test/fuzz/$1.dict" ] && DICT="-dict=test/fuzz/$1.dict"
  $OUT/test/fuzz_"$1" "$OUT/corpus/$1" "$KEPT/$1" -max_total_time="$SECONDS_EACH" -max_len=$MAX_LEN -timeout=10 \
    -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$OUT/crashes/$1-" $DICT > "$OUT/logs/$1" 2>&1
}

report() {
  EXECS=$(sed -n 's/^stat::number_of_executed_units: *//p' "$OUT/logs/$1")
  COVERED=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$OUT/logs/$1" | tail -n 1)
  printf '%-12s %s, %s runs, %s edges, %s inputs\n' "$1" "$2" "${EXECS:-?}" "${COVERED:-?}" \
    "$(ls "$OUT/corpus/$1" | wc -l)"
}

minimise() {
  for T in $TARGETS; do
    mkdir -p "$OUT/corpus/$T" "$KEPT/$T"
    rm -rf "$OUT/small" && mkdir "$OUT/small"
    $OUT/test/fuzz_"$T" -set_cover_merge=1 -use_counters=0 -max_len=512 "$OUT/small" "$KEPT/$T" "$OUT/corpus/$T" > "$OUT/logs/$T-merge" 2>&1
    rm -rf "${KEPT:?}/$T" && mv "$OUT/small" "$KEPT/$T"
    printf '%-12s %s inputs kept, %s bytes\n' "$T" "$(ls "$KEPT/$T" | wc -l)" "$(cat "$KEPT/$T"/* | wc -c)"
  done
}

if [ "$SECONDS_EACH" = minimise ]; then
  build
  minimise
  exit 0
fi

build
FAILED=0
set -- $TARGETS
while [ $# -gt 0 ]; do
  fuzz "$1" & FIRST=$!
  SECOND=""
  [ $# -gt 1 ] && { fuzz "$2" & SECOND=$!; }
  STATUS=fine; wait $FIRST || { STATUS=CRASH; FAILED=1; }
  report "$1" $STATUS
  shift
  [ -z "$SECOND" ] && continue
  STATUS=fine; wait $SECOND || { STATUS=CRASH; FAILED=1; }
  report "$1" $STATUS
  shift
done
exit $FAILED
