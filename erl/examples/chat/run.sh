#!/bin/sh
# run.sh: two people in the chat room of this folder, on two nodes of this machine. What each of them saw stands behind its
# name. Needs what ../two_nodes/run.sh needs.
set -eu
cd "$(dirname "$0")"
if [ -z "${BEAMS:-}" ]; then
  gleam build
  BEAMS=$(find "$PWD/build/dev/erlang" -type d -name ebin | tr '\n' ' ')
fi
dir=$(mktemp -d)
ben=

clean_up() {
  trap - EXIT INT TERM
  [ -z "$ben" ] || kill "$ben" 2>/dev/null || true
  rm -rf "$dir"
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT
trap 'clean_up; exit 143' TERM

(umask 377 && od -An -N8 -tx8 /dev/urandom | tr -d ' \n' >"$dir/.erlang.cookie")
person() { # NAME
  # shellcheck disable=SC2086 # folders, one word each
  HOME=$dir exec erl +Bd -noinput -name "$1$$@127.0.0.1" -kernel logger_level error \
    -kernel inet_dist_use_interface '{127,0,0,1}' -pa $BEAMS -eval "chat:main(), init:stop()."
}

code=0
person ben >"$dir/ben" &
ben=$!
(person ann) >"$dir/ann" || code=$?
wait "$ben" || code=$?
ben=
for name in ann ben; do sed "s/$$//g; s/^/$name sees  /" "$dir/$name"; done
exit "$code"
