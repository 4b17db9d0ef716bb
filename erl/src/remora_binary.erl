%%% @doc Where the companion's program is, and whether it is the right one.
%%%
%%% `search' looks, in this order, at the environment's `REMORA_BIN', the application's `priv' folder, the `priv' of the
%%% checkout that this module was compiled from, and `PATH'. `{at, Path}' looks there alone, as does `REMORA_BIN' when it
%%% is set: who names a place wants no other.
-module(remora_binary).

-export([locate/1, version/1, wanted/0, is_wanted/1]).

-export_type([where/0, problem/0]).

-type where() :: search | {at, file:name_all()}.
-type problem() :: {binary, {not_found, Searched :: [string()]}}
                 | {binary, {not_executable, Path :: string()}}
                 | {binary, {wrong_version, Found :: binary(), Wanted :: binary()}}.

-define(WANTED, <<"0.1.0">>).
-define(VERSION_MS, 10_000).
-define(OUTPUT_MAX, 1_024).

%% @doc The path of a file that may be executed.
-spec locate(where()) -> {ok, string()} | {error, problem()}.
locate({at, Path}) ->
    first([text(Path)]);
locate(search) ->
    case os:getenv("REMORA_BIN") of
        Path when is_list(Path), Path =/= "" -> first([Path]);
        _ -> first(in_priv() ++ in_checkout() ++ in_path())
    end.

text(Path) -> unicode:characters_to_list(Path).

in_priv() ->
    case code:priv_dir(remora) of
        {error, bad_name} -> [];
        Priv -> [filename:join(Priv, "remora")]
    end.

%% erl/src/remora_binary.erl, two levels below the top.
in_checkout() ->
    Source = proplists:get_value(source, module_info(compile), ""),
    case lists:reverse(filename:split(Source)) of
        [_, "src", "erl" | Top] -> [filename:join(lists:reverse(Top) ++ ["priv", "remora"])];
        _ -> []
    end.

in_path() ->
    case os:find_executable("remora") of
        false -> ["remora in PATH"];
        Path -> [Path]
    end.

first(Places) ->
    case [Path || Path <- Places, filelib:is_regular(Path)] of
        [] -> {error, {binary, {not_found, lists:uniq(Places)}}};
        [Path | _] ->
            case os:find_executable(filename:absname(Path)) of
                false -> {error, {binary, {not_executable, Path}}};
                Executable -> {ok, Executable}
            end
    end.

%% @doc The version that this package works with: the same up to the last number, which counts repairs.
-spec wanted() -> binary().
wanted() -> ?WANTED.

-spec is_wanted(Version :: binary()) -> boolean().
is_wanted(Version) -> series(Version) =:= series(?WANTED).

series(Version) -> lists:droplast(binary:split(Version, <<".">>, [global])).

%% @doc What the program at Path says of itself with `--version': the version alone, or after its name.
-spec version(string()) -> {ok, binary()} | {error, problem()}.
version(Path) ->
    try open_port({spawn_executable, Path},
                  [{args, ["--version"]}, {env, [{"REMORA_COOKIE", false}]}, binary, exit_status, stderr_to_stdout,
                   use_stdio]) of
        Port -> said(Path, output(Port, <<>>, remora_door:deadline(?VERSION_MS)))
    catch
        error:_ -> {error, {binary, {not_executable, Path}}} % eacces, enoent: gone since
    end.

output(Port, Text, Deadline) ->
    receive
        {Port, {data, More}} when byte_size(Text) < ?OUTPUT_MAX -> output(Port, <<Text/binary, More/binary>>, Deadline);
        {Port, {data, _}} -> output(Port, Text, Deadline);
        {Port, {exit_status, Status}} -> {Status, Text}
    after remora_door:left(Deadline) ->
        kill(Port),
        {timeout, Text}
    end.

said(_Path, {0, Text}) ->
    case re:run(Text, "^(?:remora )?([0-9]+\\.[0-9]+\\.[0-9]+)\\s*$", [{capture, all_but_first, binary}]) of
        {match, [Version]} -> {ok, Version};
        nomatch -> {error, {binary, {wrong_version, readable(Text), ?WANTED}}}
    end;
%% Where exec fails, the emulator's helper ends without a word (erl_child_setup.c); a shell has words for it.
said(Path, {_, <<>>}) -> {error, {binary, {not_executable, Path}}};
said(Path, {Status, _}) when Status =:= 126; Status =:= 127 -> {error, {binary, {not_executable, Path}}};
said(_Path, {_, Other}) -> {error, {binary, {wrong_version, readable(Other), ?WANTED}}}.

readable(Text) ->
    Line = hd(binary:split(Text, <<"\n">>)),
    case unicode:characters_to_binary(Line) of
        Valid when is_binary(Valid) -> Valid;
        _ -> <<"no text">>
    end.

kill(Port) ->
    case erlang:port_info(Port, os_pid) of
        {os_pid, OsPid} -> _ = os:cmd("kill -9 " ++ integer_to_list(OsPid)), ok;
        undefined -> ok
    end,
    catch port_close(Port).
