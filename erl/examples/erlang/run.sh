#!/bin/sh
# run.sh: two nodes of this application; the counter moves from the first to the second when the first ends. Needs epmd
# running, or starts it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
mkdir -p _checkouts _build
[ -e _checkouts/remora ] || ln -s "$here/../../.." _checkouts/remora
rebar3 compile >_build/log 2>&1 || { cat _build/log >&2; exit 1; }
beams=$(rebar3 path --ebin 2>/dev/null)
cookie=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')

node() { # NAME CODE
  # shellcheck disable=SC2086 # folders, one word each
  erl -noinput -name "$1@127.0.0.1" -setcookie "$cookie" -kernel logger_level error \
    -kernel inet_dist_use_interface '{127,0,0,1}' -pa $beams -eval "$2"
}

node "first$$" '{ok, _} = application:ensure_all_started(tally), io:format("ready~n").' >_build/first.log 2>&1 &
first=$!
trap 'kill "$first" 2>/dev/null || true' EXIT
tries=0
until grep -q ready _build/first.log; do
  tries=$((tries + 1))
  if [ "$tries" -gt 100 ] || ! kill -0 "$first" 2>/dev/null; then
    cat _build/first.log >&2
    exit 1
  fi
  sleep 0.1
done
node "second$$" "tally_demo:main('first$$@127.0.0.1')." | sed "s/$$//g"
