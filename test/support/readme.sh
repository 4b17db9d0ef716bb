#!/bin/sh
# readme.sh: does what README.md says, and compares. `readme.sh --write` puts the example's present text into it.
#
#   <!-- run -->         the ```sh block below is run: `$ command` lines in one shell, what is between them is their
#                        output. Numbers may differ, as may the blanks around them; `...` stands for any lines. A command
#                        that ends in & is waited for until its first line. `make test` is never run from here.
#   <!-- file: PATH -->  the block below is that file.
#
# And what it lists is there: make targets, exit codes, folders. Ends with `N passed, N failed`.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root" || exit 1
dir=$(mktemp -d)
passed=0
failed=0
epmd=

clean_up() {
  trap - EXIT INT TERM
  [ -z "$epmd" ] || kill "$epmd" 2>/dev/null
  rm -rf "$dir"
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT TERM

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

# The blocks under <!-- run -->, one file each; the text of those under <!-- file: --> beside the file's name.
split() {
  awk -v dir="$dir" '
    /^<!-- run -->$/ { mark = "run" ++runs; next }
    /^<!-- file: / { mark = "file" ++files; print $3 >(dir "/" mark ".name"); printf "" >(dir "/" mark); next }
    /^```/ && out { out = ""; next }
    /^```/ && mark { out = dir "/" mark; mark = ""; next }
    out { print >out }' README.md
}

write() {
  awk '
    /^<!-- file: / { name = $3 }
    /^```/ && inside { inside = 0 }
    inside { next }
    { print }
    /^```./ && name { while ((getline line <name) > 0) print line; name = ""; inside = 1 }' README.md >"$dir/new" &&
    cp "$dir/new" README.md
}

# One shell runs the commands of a block; a mark before each tells the outputs apart.
commands() {
  echo 'first_line() { n=0; while [ ! -s "$1" ] && [ $n -lt 500 ]; do n=$((n + 1)); sleep 0.02; done; head -n 1 "$1"; }'
  sed -n 's/^\$ //p' "$1" | while IFS= read -r line; do
    case $line in
      *'make test'*) echo "false" ;;
      *'&') printf '%s >%s 2>/dev/null &\njob=$!\nfirst_line %s\n' "${line%&}" "$dir/background" "$dir/background" ;;
      'kill -TERM %1') printf 'kill -TERM $job; wait $job; echo "exit $?" >%s\n' "$dir/exit" ;;
      *) printf '%s\n' "$line" ;;
    esac
  done
}

# Numbers and blanks out, then every shown line in its order; only `...` may skip lines.
compare() {
  awk '
    function plain(s) { gsub(/[0-9]+(\.[0-9]+)*/, "N", s); gsub(/[ \t]+/, " ", s); sub(/^ /, "", s); sub(/ $/, "", s); return s }
    FNR == 1 { file++ }
    file == 1 && !/^\$ / { shown[++n] = plain($0); text[n] = $0; next }
    file == 2 && plain($0) != "" { seen[++m] = plain($0) }
    END {
      j = 1
      for (i = 1; i <= n; i++) {
        if (shown[i] == "...") { skip = 1; continue }
        if (shown[i] == "") continue
        while (skip && j <= m && seen[j] != shown[i]) j++
        if (j > m || seen[j] != shown[i]) { print "shown:  " text[i] "\nseen:   " seen[j]; exit 1 }
        skip = 0; j++
      }
      if (!skip && j <= m) { print "more is seen than shown: " seen[j]; exit 1 }
    }' "$1" "$2"
}

runs() {
  commands "$1" >"$1.sh"
  env -u REMORA_COOKIE -u MAKEFLAGS -u MAKELEVEL HOME="$dir/home" sh "$1.sh" >"$1.out" 2>"$1.err" </dev/null || {
    cat "$1.out" "$1.err"
    return 1
  }
  compare "$1" "$1.out" || { cat "$1.err"; return 1; }
}

has_targets() {
  code=0
  for target in $(sed -n 's/^\.PHONY://p' Makefile); do
    case $target in all | deps | help) continue ;; esac
    grep -q "\`make ${target}[\` ]" README.md || { echo "no make $target"; code=1; }
  done
  return $code
}
has_exit_codes() {
  sed -n 's/^ *exit_[a-z_]* = \([0-9]*\),.*/\1/p' cnode/cli/exit_code.hpp >"$dir/codes"
  awk '/^\| exit code / { inside = 1 } !/^\|/ { inside = 0 } inside && $2 + 0 == $2 { print $2 }' README.md | diff "$dir/codes" -
}
has_folders() {
  code=0
  for folder in cnode/*/; do
    grep -q "\`${folder%/}\`" README.md || { echo "no ${folder%/}"; code=1; }
  done
  return $code
}

# What a container needs: the packages of the libraries that the program asks for, but for those that every Debian has.
has_packages() {
  needed=$(ldd priv/remora | awk '$2 == "=>" { print $3 }' | xargs -n 1 readlink -f | sed 's|^/usr||' |
    while read -r library; do dpkg -S "*$library"; done | cut -d: -f1 | sort -u | grep -vxE 'libc6|libgcc-s1|libstdc\+\+6' |
    tr '\n' ' ')
  grep -qF "\`${needed% }\`" README.md || { echo "needed: $needed"; return 1; }
}

if [ "${1:-}" = --write ]; then
  write
  exit
fi
split
mkdir "$dir/home"
export ERL_EPMD_PORT=$((20000 + ($$ + 7) % 20000))
epmd -port "$ERL_EPMD_PORT" </dev/null >/dev/null 2>&1 &
epmd=$!
for block in "$dir"/file[0-9]; do check "shows $(cat "$block.name")" diff "$(cat "$block.name")" "$block"; done
check "has every make target" has_targets
check "has every exit code" has_exit_codes
check "has every folder of cnode" has_folders
check "has the packages of a container" has_packages
for block in "$dir"/run[0-9]; do check "does $(sed -n 's/^\$ //p' "$block" | head -n 1), ..." runs "$block"; done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
