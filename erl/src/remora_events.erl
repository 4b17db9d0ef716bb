%%% @doc What happens to the companion and its nodes, as messages.
%%%
%%% {remora_event, Ref, Event}:
%%%
%%% <ul>
%%% <li>`companion_up': calls and reads are answered from here on.</li>
%%% <li>`{companion_down, Reason}': they are answered `{error, not_running}' from here on. It is started again (or, when
%%%     it is managed elsewhere, waited for), told again what this VM had registered and joined, and then there is
%%%     `companion_up'. Reasons: `{exit_status, Status, LastText}', `connection_lost', `stopped', `shim_restarted',
%%%     `mirror_restarted'.</li>
%%% <li>`{node_up, Node}', `{node_down, Node, Reason}': a node connected to the companion, or is no longer; the
%%%     reason is one word.</li>
%%% <li>`{name_lost, Name, Holder}': while the companion was away somebody else registered a name of ours, or gave our
%%%     process another one (`none'). It is no longer ours.</li>
%%% <li>`{membership_lost, Scope, Group, Pid}': the companion refused a membership that we had before, because its scope is
%%%     not there.</li>
%%% </ul>
%%%
%%% Of discovery, while it runs ({@link remora_discovery}):
%%%
%%% <ul>
%%% <li>`{refreshed, Result}': a round has ended; what remora_discovery:refresh/1 gives.</li>
%%% <li>`{connect_failed, Side, Node, Reason, Ms}': an attempt to connect a listed node failed, why in one word, and how
%%%     long until the next one. Side: who tried, `app' (this VM) or `companion'. What is no name, or no word, is text.</li>
%%% <li>`{dropped, Side, Node}': it was disconnected, as no source lists it any more.</li>
%%% <li>`{source_failed, Source, Cause, Text}': a source could not be asked, or only in part. Nobody is disconnected for
%%%     it.</li>
%%% <li>`paused', `resumed', `stopped': by remora_discovery:pause/1, resume/1, shutdown/1.</li>
%%% </ul>
%%%
%%% A subscription outlives companions; it ends with its process, or by {@link unsubscribe/1}.
-module(remora_events).

-export([subscribe/0, unsubscribe/1]).
-export([notify/1]).

-export_type([event/0]).

-type event() :: companion_up
               | {companion_down, Reason :: term()}
               | {node_up, node()}
               | {node_down, node(), Reason :: atom()}
               | {name_lost, Name :: term(), Holder :: pid() | none}
               | {membership_lost, Scope :: atom(), Group :: term(), pid()}
               | {refreshed, remora_discovery:result()}
               | {connect_failed, remora_discovery:side(), node() | binary(), Reason :: atom() | binary(), Ms :: non_neg_integer()}
               | {dropped, remora_discovery:side(), node()}
               | {source_failed, Source :: binary(), Cause :: atom(), Text :: binary()}
               | paused | resumed | stopped.

%% @doc The calling process gets `{remora_event, Ref, Event}' from here on.
-spec subscribe() -> {ok, reference()} | {error, not_running}.
subscribe() -> remora_intents:subscribe(events, self()).

%% @doc No more of them. Those that are in the caller's mailbox are taken out.
-spec unsubscribe(reference()) -> ok | {error, not_running}.
unsubscribe(Ref) ->
    Result = remora_intents:unsubscribe(Ref),
    flush(Ref),
    Result.

flush(Ref) ->
    receive {remora_event, Ref, _} -> flush(Ref)
    after 0 -> ok
    end.

%% @private
-spec notify(event()) -> ok.
notify(Event) ->
    try ets:lookup(remora_subscriptions, events) of
        Rows -> lists:foreach(fun({_, Ref, Pid}) -> Pid ! {remora_event, Ref, Event} end, Rows)
    catch error:badarg -> ok % the supervisor is gone, and all with it
    end.
