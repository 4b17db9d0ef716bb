#!/bin/sh
# lint.sh: what the compilers do not say. clang-format on every C++ file, clang-tidy on cnode/, shellcheck on the
# scripts, dialyzer on the Erlang of test/ and erl/, spin on the model of election. Ends with `N passed, N failed`; each
# failure shows what was found.
#
#   LINT="format tidy shell erlang shim model"   only these        LINT_FILES="cnode/io/*.cpp"   clang-tidy on these only
#
# clang-tidy reads the commands of the Release build; g++'s own warning flags and precompiled headers are taken out of
# them, so that an unknown flag's noise never hides a finding, and each file includes what it needs. A file that was
# clean is not read again until it, or a header of cnode/, has changed (build/lint).
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root" || exit 1
work=build/lint
mkdir -p "$work/tidy"
passed=0
failed=0

check() { # NAME COMMAND...
  name=$1
  shift
  case " ${LINT:-format tidy shell erlang shim model} " in *" $name "*) ;; *) return ;; esac
  if "$@" >"$work/$name.log" 2>&1; then
    echo "$name ok"
    passed=$((passed + 1))
  else
    echo "FAILED  $name (build/lint/$name.log)"
    tail -n 60 "$work/$name.log"
    failed=$((failed + 1))
  fi
}

format() { git ls-files '*.cpp' '*.hpp' | xargs clang-format --dry-run -Werror; }

tidy() {
  sed -E 's/ -W(duplicated-cond|duplicated-branches|logical-op|no-null-dereference|no-restrict)//g; s/ -Werror//g; s/ -Winvalid-pch//g; s/ -include [^ ]*cmake_pch.hxx//g' \
    build/release/compile_commands.json >"$work/compile_commands.json"
  settings=$(cat .clang-tidy $(git ls-files 'cnode/*.hpp') "$work/compile_commands.json" | cksum)
  export work settings
  # shellcheck disable=SC2016,SC2086 # the variables are those of the inner shell; a list of patterns
  printf '%s\n' ${LINT_FILES:-$(git ls-files 'cnode/*.cpp')} | xargs -P "$(nproc)" -n 1 sh -c '
    stamp=$work/tidy/$(echo "$1" | tr / _)
    state="$settings $(cksum <"$1")"
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$state" ] && exit 0
    found=$(clang-tidy --quiet -p "$work" "$1" 2>&1) && echo "$state" >"$stamp" && exit 0
    echo "$found" | grep -v "warnings\? generated"
    exit 1' tidy
}

shell() { git ls-files '*.sh' .ci/run .ci/deps | xargs shellcheck -S warning -e SC2046; } # lists of words are meant

# Common Test's own callbacks return what they like, so a suite is checked for what it calls and how.
erlang() {
  beams=$work/beams
  plt=$work/otp.plt
  mkdir -p "$beams"
  rm -f "$beams"/*.beam
  erlc -Werror +debug_info -I test/beam -o "$beams" test/beam/*.erl test/bench/*.erl test/support/*.erl || return 1
  [ -s "$plt" ] || dialyzer --build_plt --output_plt "$plt" --apps erts kernel stdlib common_test crypto || return 1
  erlc -Werror +debug_info +warn_missing_spec -o "$beams" erl/src/*.erl erl/erlang/*.erl || return 1
  dialyzer --plt "$plt" -Wno_return -Wno_improper_lists "$beams"/*.beam
}

# What users get is checked harder, and on its own: what it calls is in OTP or in itself.
shim() {
  beams=$work/shim
  mkdir -p "$beams"
  rm -f "$beams"/*.beam
  erlc -Werror +debug_info +warn_missing_spec -o "$beams" erl/src/*.erl erl/erlang/*.erl || return 1
  dialyzer --plt "$work/otp.plt" -Wunmatched_returns -Werror_handling -Wunknown "$beams"/*.beam
}

check format format
check shell shell
check erlang erlang
check shim shim
check model test/model/run.sh
check tidy tidy
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
