%% The companion comes first, then what uses it.
-module(tally_app).
-behaviour(application).
-behaviour(supervisor).

-export([start/2, stop/1, init/1]).

start(_Type, _Args) -> supervisor:start_link({local, tally_sup}, ?MODULE, []).

stop(_State) -> ok.

init([]) ->
    Tally = #{id => tally, start => {tally, start_link, []}},
    {ok, {#{strategy => one_for_one}, [remora:child_spec(), Tally]}}.
