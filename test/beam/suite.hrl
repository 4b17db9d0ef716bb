%% suite.hrl: what every suite has in common. A suite says cases() (the claims, in order), peers() (options of
%% the OTP nodes that its cases share, one map each) and nut_opts(Case) (options of the node under test, which
%% is started afresh for each case). A suite whose cases may run at once defines PARALLEL before; one whose cases
%% start themselves what they test defines NO_NUT and has no nut_opts; one that has more to do around its cases
%% defines OWN_TESTCASE and does it, as one that has more to do around its groups defines OWN_GROUP.
-include_lib("stdlib/include/assert.hrl").
-compile([export_all, nowarn_export_all]).
-import(remora_ct, [nut/1, peer/2, run/2, rcall/4, wait_until/2, elapsed/1, connect/2]).

all() -> remora_ct:all().
-ifdef(PARALLEL).
groups() -> remora_ct:groups(cases(), [parallel]).
-else.
groups() -> remora_ct:groups(cases()).
-endif.
suite() -> [{timetrap, {minutes, 2}}].
init_per_suite(Config) -> remora_ct:start_suite(?MODULE, Config).
end_per_suite(Config) -> remora_ct:stop_suite(Config).
-ifdef(OWN_GROUP).
-else.
init_per_group(Group, Config) -> remora_ct:start_group(Group, Config, peers()).
end_per_group(_, Config) -> remora_ct:stop_group(Config).
-endif.
-ifdef(OWN_TESTCASE).
-else.
-ifdef(NO_NUT).
init_per_testcase(_, Config) -> Config.
end_per_testcase(_, _) -> ok.
-else.
init_per_testcase(Case, Config) -> remora_ct:start_nut(Config, nut_opts(Case)).
end_per_testcase(_, Config) -> remora_ct:stop_nut(Config).
-endif.
-endif.
