%% checkout_cth: a Common Test hook for `rebar3 ct': the environment that run.sh sets, as far as it is not set.
-module(checkout_cth).
-export([init/2]).

init(_Id, _Opts) ->
    {source, Source} = lists:keyfind(source, 1, module_info(compile)),
    Top = filename:dirname(filename:dirname(filename:dirname(real(Source)))),
    Places = [{"REMORA_BIN", "priv/remora"}, {"REMORA_TESTNODE", "build/release/test/support/testnode"},
              {"REMORA_CALC", "build/release/test/examples/calc"}, {"REMORA_OTP27", "build/otp27"},
              {"REMORA_IN_OTP27", "test/support/in_otp27.sh"}, {"REMORA_INTO_OTP27", "test/support/into_otp27.sh"}],
    [os:putenv(Name, filename:join(Top, Place)) || {Name, Place} <- Places, os:getenv(Name) =:= false],
    {ok, []}.

%% rebar3 compiles from a folder of links.
real(Source) ->
    case file:read_link_all(filename:dirname(Source)) of
        {ok, Folder} -> filename:join(filename:absname(Folder, filename:dirname(filename:dirname(Source))), filename:basename(Source));
        {error, _} -> Source
    end.
