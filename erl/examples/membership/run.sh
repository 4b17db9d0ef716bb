#!/bin/sh
# run.sh: three nodes of this machine that are members with their companions; then two is stopped for a while, and three
# goes. Lines that begin with a blank are events as they came, with the time and the node that tells them; the others are
# what must come of it. Needs what ../two_nodes/run.sh needs.
#
# Stopped (SIGSTOP) are both of two, its VM and its companion: their connections stay, and OTP would wait for a minute.
set -eu
cd "$(dirname "$0")"
if [ -z "${BEAMS:-}" ]; then
  gleam build
  BEAMS=$(find "$PWD/build/dev/erlang" -type d -name ebin | tr '\n' ' ')
fi
dir=$(mktemp -d)
pids=

clean_up() {
  trap - EXIT INT TERM
  for pid in $pids; do
    kill -CONT "$pid" 2>/dev/null || true
    kill -KILL "$pid" 2>/dev/null || true
  done
  rm -rf "$dir"
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT
trap 'clean_up; exit 143' TERM

(umask 377 && od -An -N8 -tx8 /dev/urandom | tr -d ' \n' >"$dir/.erlang.cookie")
full() { echo "$1$$@127.0.0.1"; }
all="<<\"$(full one)\">>, <<\"$(full two)\">>, <<\"$(full three)\">>"

# Its output is in a file; the VM's process id in $vm.
node() { # NAME STREET
  # shellcheck disable=SC2086 # folders, one word each
  HOME=$dir erl +Bd -noinput -name "$(full "$1")" -kernel logger_level emergency \
    -kernel inet_dist_use_interface '{127,0,0,1}' -pa $BEAMS -eval "neighbours:main([$all], <<\"$2\">>)." >>"$dir/$1" 2>&1 &
  vm=$!
  pids="$pids $vm"
}
companion() { sed -n 's/^companion //p' "$dir/$1"; }

# Until each NAME sees such a line last; then what it took, and the events so far.
until_seen() { # WHAT LINE NAME...
  what=$1
  line=$2
  shift 2
  tries=0
  for name in "$@"; do
    until [ "$(grep '^sees' "$dir/$name" 2>/dev/null | tail -n 1)" = "sees $line" ]; do
      tries=$((tries + 1))
      [ "$tries" -lt 300 ] || {
        echo "run.sh: not so after 30 s: $what" >&2
        events >&2
        tail -n 3 "$dir/$name" >&2
        exit 1
      }
      sleep 0.1
    done
  done
  events
  echo "$what"
}

touch "$dir/told"
events() {
  sort -k 2n -s "$dir/one" "$dir/two" "$dir/three" 2>/dev/null | grep '^event' >"$dir/now" || true
  grep -vxFf "$dir/told" "$dir/now" | awk -v began="$began" '{ t = $2; $1 = $2 = ""; printf "%8.3f s%s\n", (t - began) / 1000, $0 }' |
    sed "s/$$@127.0.0.1//g; s/$$_remora@127.0.0.1/'s companion/g; s/  */ /3g" || true
  cp "$dir/now" "$dir/told"
}

began=$(date +%s%3N)
node one Ash
node two Birch
two=$vm
node three Cedar
three=$vm
until_seen "gossip has converged: each of the three knows the streets of all" "Ash Birch Cedar" one two three

frozen="$two $(companion two)"
# shellcheck disable=SC2086 # two numbers
kill -STOP $frozen
until_seen "two was stopped, and the others know it" "Ash Cedar; dead is Birch" one three
# shellcheck disable=SC2086
kill -CONT $frozen
until_seen "two goes on, objects, and is alive again" "Ash Birch Cedar" one two three

kill -TERM "$three"
until_seen "three was told to end, and its companion has left in order" "Ash Birch; gone is Cedar" one two
