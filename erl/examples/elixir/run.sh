#!/bin/sh
# run.sh: runs counter.exs on a node of its own, with the package as rebar3 compiled it. Needs epmd running, or starts it.
#
# In a project with mix the package is a dependency, {:remora, path: ".."} or git: "..", which mix builds with rebar3.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$here/../../..
mkdir -p "$here/_build"
(cd "$top" && rebar3 compile) >"$here/_build/log" 2>&1 || { cat "$here/_build/log" >&2; exit 1; }
cookie=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
exec elixir --name "elixir$$@127.0.0.1" --cookie "$cookie" --erl "-kernel logger_level error" \
  -pa "$top/_build/default/lib/remora/ebin" "$here/counter.exs"
