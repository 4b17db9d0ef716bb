#!/bin/sh
# install.sh: installs into a prefix of its own and uses what is there as a stranger would: the program, the manual, the
# systemd unit, the example configuration, and the library from a project that knows nothing but find_package(remora).
# Ends with `N passed, N failed`.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
prefix=$dir/prefix
passed=0
failed=0
started=

clean_up() {
  trap - EXIT INT TERM
  for pid in $started; do kill "$pid" 2>/dev/null; done
  rm -rf "$dir"
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT TERM

# check CLAIM COMMAND...: what it printed is shown when it fails.
check() {
  claim=$1
  shift
  if "$@" >"$dir/out" 2>&1; then
    echo "$claim ok"
    passed=$((passed + 1))
  else
    echo "FAILED  $claim"
    sed 's/^/        /' "$dir/out"
    failed=$((failed + 1))
  fi
}

installs() { cmake --install "$root/build/release" --prefix "$prefix"; }

# Everything that is installed is told of here, so that nothing slips in or out unseen.
is_complete() {
  (cd "$prefix" && find . -type f ! -name '*.hpp' | sort) >"$dir/found"
  printf './%s\n' bin/remora lib/cmake/remora/cares.cmake lib/cmake/remora/ei.cmake lib/cmake/remora/remora-config-version.cmake \
    lib/cmake/remora/remora-config.cmake lib/cmake/remora/remora-targets-release.cmake \
    lib/cmake/remora/remora-targets.cmake lib/libremora.a lib/systemd/system/remora@.service \
    share/doc/remora/CHANGELOG.md share/doc/remora/LICENSE share/doc/remora/README.md \
    share/doc/remora/examples/calc.cpp share/doc/remora/remora.toml share/man/man1/remora.1 >"$dir/expected"
  diff "$dir/expected" "$dir/found" && [ -f "$prefix/include/remora/remora.hpp" ]
}

says_its_version() { [ "$("$prefix/bin/remora" --version)" = "$version" ]; }

builds_outside() {
  mkdir -p "$dir/outside"
  cp "$prefix/share/doc/remora/examples/calc.cpp" "$dir/outside"
  cat >"$dir/outside/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.25)
project(outside LANGUAGES CXX)
find_package(remora 0.1 REQUIRED)
add_executable(calc calc.cpp)
target_link_libraries(calc PRIVATE remora::remora)
CMAKE
  cmake -S "$dir/outside" -B "$dir/outside/build" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_CXX_FLAGS="-Wall -Wextra -Wpedantic -Werror" && cmake --build "$dir/outside/build"
}

# The program of that project, called by the installed one, with an epmd on a port of its own.
runs_outside() {
  export REMORA_COOKIE=outside ERL_EPMD_PORT=$((20000 + $$ % 20000))
  epmd -port "$ERL_EPMD_PORT" </dev/null >/dev/null 2>&1 &
  started="$started $!"
  wait_for "$prefix/bin/remora" names || return 1
  "$dir/outside/build/calc" calc@127.0.0.1 >"$dir/calc.out" 2>&1 &
  calc=$!
  started="$started $calc"
  wait_for grep -q '^ready on port' "$dir/calc.out" || { cat "$dir/calc.out"; return 1; }
  result=$("$prefix/bin/remora" call calc@127.0.0.1 calc add 2 3) || return 1
  kill -TERM "$calc"
  wait "$calc" && [ "$result" = 5 ]
}

wait_for() {
  tries=0
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 250 ] || return 1
    sleep 0.02
  done
}

# Warnings of the formatter are defects; so is an option or command that the page does not have.
manual_is_clean() {
  if command -v mandoc >/dev/null; then mandoc -Tlint -Wwarning "$prefix/share/man/man1/remora.1"
  else warnings=$(man --warnings -l "$prefix/share/man/man1/remora.1" 2>&1 >/dev/null); echo "$warnings"; [ -z "$warnings" ]; fi
}
manual_is_complete() {
  code=0
  for command in run ping names nodes status call whereis registered groups members leader "election add"; do
    grep -q "Cm ${command}" "$prefix/share/man/man1/remora.1" || { echo "no command $command"; code=1; }
    for option in $("$prefix/bin/remora" $command --help | sed -n 's/^ *\(-h,\)\{0,1\}--\([a-z-]*\).*/\2/p'); do
      grep -q "Fl -$option" "$prefix/share/man/man1/remora.1" || { echo "no option --$option of $command"; code=1; }
    done
  done
  for status in $(sed -n 's/^ *exit_[a-z_]* = \([0-9]*\),.*/\1/p' "$root/cnode/cli/exit_code.hpp"); do
    sed -n '/^.Sh EXIT STATUS/,/^.Sh EXAMPLES/p' "$prefix/share/man/man1/remora.1" | grep -q "^\.It $status\$" ||
      { echo "no exit status $status"; code=1; }
  done
  return $code
}

# The keys of the example are those that the program names when it is given another; with all of them in effect it gets
# as far as asking for an epmd, where there is none (exit code 4).
example_has_every_key() {
  example="$prefix/share/doc/remora/remora.toml"
  says_keys 'no-such-key = 1' &&
    { printf 'discovery\nmembership\nelection\n'; sed '/^\[discovery\]/,$d' "$example"; } | shows_keys &&
    says_keys '[discovery]
no-such-key = 1' && { echo source; table discovery; } | shows_keys &&
    says_keys '[membership]
no-such-key = 1' && table membership | shows_keys &&
    says_keys '[election]
no-such-key = 1' && table election | shows_keys
}
table() { sed -n "1,/^\[$1\]/d; /^\[/q; p" "$example"; }
says_keys() {
  echo "$1" >"$dir/wrong.toml"
  "$prefix/bin/remora" run --config "$dir/wrong.toml" 2>&1 | sed 's/.*there are: //; s/, /\n/g' | sort >"$dir/keys"
  [ -s "$dir/keys" ]
}
shows_keys() {
  sed -n 's/^#\{0,1\}\([a-z-]*\) = .*/\1/p; t; s/^[a-z][a-z]*$/&/p' | sort >"$dir/shown"
  diff "$dir/keys" "$dir/shown"
}
example_is_accepted() {
  sed 's/^#\([a-z-]* = .*\)/\1/; /^sname/d' "$prefix/share/doc/remora/remora.toml" >"$dir/all.toml"
  REMORA_COOKIE=x "$prefix/bin/remora" run --config "$dir/all.toml" --epmd-port 1
  [ $? -eq 4 ]
}

unit_is_valid() {
  grep -q "^ExecStart=$prefix/bin/remora run" "$prefix/lib/systemd/system/remora@.service" || return 1
  command -v systemd-analyze >/dev/null || return 0
  cp "$prefix/lib/systemd/system/remora@.service" "$dir/remora@calc.service"
  warnings=$(systemd-analyze verify --man=no "$dir/remora@calc.service" 2>&1 | grep 'remora@calc')
  echo "$warnings"
  [ -z "$warnings" ]
}

version=$(sed -n 's/^project(remora VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")
check "installs into a prefix" installs
check "installs what is listed" is_complete
check "the program says its version" says_its_version
check "the manual is clean" manual_is_clean
check "the manual has every command, option and exit status" manual_is_complete
check "the example configuration has every key" example_has_every_key
check "the example configuration is accepted" example_is_accepted
check "the systemd unit is valid" unit_is_valid
check "a project outside builds with find_package" builds_outside
check "its program runs and is called" runs_outside
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
