#!/bin/sh
# run.sh: three nodes of this machine, each with its companion, that find each other; then two is killed and started again,
# and three is cut off and comes back. Lines that begin with a blank are events as they came, with the time and the node
# that tells them; the others are what must come of it. Needs what ../two_nodes/run.sh needs.
#
# The cut: all of three - its VM and its companion - is stopped (SIGSTOP) until the others have lost it, and then goes on.
# For the others that is a cut cable: what they send is taken by the system, and nothing comes back, so only the ticks tell
# (net_ticktime is 4 s here, not 60). A packet filter between the nodes would need root.
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
node() { # NAME
  # shellcheck disable=SC2086 # folders, one word each
  HOME=$dir erl +Bd -noinput -name "$(full "$1")" -kernel logger_level error -kernel net_ticktime 4 \
    -kernel inet_dist_use_interface '{127,0,0,1}' -pa $BEAMS -eval "self_healing:main([$all])." >>"$dir/$1" 2>&1 &
  vm=$!
  pids="$pids $vm"
}
companion() { sed -n 's/^companion //p' "$dir/$1"; }

# What the node saw last: the others by name.
sees() { # NAME OTHERS
  seen=$(grep '^sees' "$dir/$1" 2>/dev/null | tail -n 1)
  for other in $2; do set -- "$1" "$2" "${3:-}${3:+ }$(full "$other")"; done
  [ "$seen" = "sees ${3:-}" ]
}

# Until each NAME:OTHERS is so; then what it took, and the events so far.
until_all() { # WHAT NAME:OTHERS...
  what=$1
  shift
  tries=0
  for pair in "$@"; do
    until sees "${pair%%:*}" "${pair#*:}"; do
      tries=$((tries + 1))
      [ "$tries" -lt 600 ] || {
        echo "run.sh: not so after 60 s: $what" >&2
        events >&2
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
node one
node two
two=$vm
node three
three=$vm
until_all "one, two and three have found each other" "one:two three" "two:one three" "three:one two"

companion=$(companion two)
kill -KILL "$two"
until_all "two was killed, and the others know it" "one:three" "three:one"
while kill -0 "$companion" 2>/dev/null; do sleep 0.1; done # it leaves by itself
rm "$dir/two"
node two
until_all "two was started again, and is found" "one:two three" "two:one three" "three:one two"

frozen="$three $(companion three)"
# shellcheck disable=SC2086 # two numbers
kill -STOP $frozen
until_all "three was cut off, and the others know it" "one:two" "two:one"
# shellcheck disable=SC2086
kill -CONT $frozen
until_all "the cut was healed, and all are connected again" "one:two three" "two:one three" "three:one two"
