//// One leader for the cluster, elected as Raft does: at most one in a term, none
//// by a minority, and a token that only grows with each new one. Beside it named
//// elections, as many as you like: which process of the cluster does this?
////
//// ```gleam
//// import remora/election
////
//// let options =
////   election.default_options()
////   |> election.with_voters(["app_remora@127.0.0.1"])
////   |> election.with_state_dir("state")
//// let assert Ok(Nil) = election.start_service_with(options)
//// let assert Ok(election.Leader("app_remora@127.0.0.1", _token)) =
////   election.elect()
//// let assert True = election.am_i_leader()
//// ```
////
//// Who votes and leads are companions, by their node names; the same first
//// voters are given to all of them. Better than `start_service_with` is
//// `remora.with_election`: then it is on from the first moment.
////
//// `am_i_leader`, `fencing_token` and `holds` ask the companion, and say yes only
//// while that surely is so. A process may still be late: it is stopped between
//// the question and what it does. So give the token to what you write to, and
//// have that refuse one that is lower than it has seen.
////
//// A VM that hangs loses what it leads and holds. When its companion ends, all
//// of it is over at once, and told so. What was started, and who campaigns, is
//// told again to a companion that is started again.

import gleam/erlang/process.{type Pid, type Subject}
import gleam/option.{type Option}
import gleam/result
import remora/internal/subscription
import remora/internal/text

/// Who leads.
pub type ElectionResult {
  /// This companion does. The token grows with each leader.
  Leader(node: String, token: Int)
  /// Nobody does now.
  NoLeader
}

/// How the service runs. Times in milliseconds.
pub opaque type Options {
  Options(settings: List(Setting))
}

// These are options of remora_election as they are written in Erlang.
type Setting {
  Voters(List(String))
  BootstrapExpect(Int)
  StateDir(String)
  Observer(Bool)
  Priority(Int)
  Heartbeat(Int)
  ElectionMin(Int)
  ElectionMax(Int)
  Lease(Int)
  NameLease(Int)
}

/// What this node is in the election.
pub type Role {
  /// There are no voters yet.
  Unconfigured
  /// It hears who leads, and never votes.
  Observing
  /// It is a voter that does not vote now; `Status` says why.
  Abstaining
  Follower
  /// It stands for election.
  Candidate
  Leading
}

/// What the companion says of the election.
pub type Status {
  Status(
    role: Role,
    term: Int,
    leader: ElectionResult,
    /// How many milliseconds the own leadership surely goes on; 0 when it does
    /// not lead.
    lease_left: Int,
    voters: List(String),
    /// Of the voters: each change makes it one more.
    version: Int,
    /// Why it does not vote.
    abstains: Option(String),
  )
}

/// Something changed.
pub type ElectionEvent {
  LeaderElected(node: String, term: Int, token: Int)
  LeaderLost(term: Int)
  /// This node does not vote from here on, and why.
  Abstained(why: String)
  /// It votes again.
  VotesAgain
  ServiceStarted
  ServiceStopped
}

/// Something changed in a named election.
pub type NameEvent {
  /// It is held through this companion, as the leader says.
  NameLed(name: String, node: String, token: Int)
  /// Nobody holds it, as the leader says.
  NameFree(name: String)
  /// A process of this VM holds it.
  NameHeld(name: String, pid: Pid, token: Int)
  /// It does not any more.
  NameLost(name: String, pid: Pid)
}

/// Why there is no answer.
pub type ElectionError {
  /// There are no voters yet: nobody was told `with_voters`, or fewer nodes are
  /// there than `with_bootstrap_expect` says.
  NotConfigured
  /// The service is not started.
  NotStarted
  /// It was not done in time.
  Timeout
  /// There is no companion now.
  NotRunning
  /// The companion's word for why it did not do it.
  Refused(reason: String)
}

/// Why the service does not run.
pub type StartError {
  /// This option cannot have this value: what it is and what it should be.
  InvalidOption(option: String, text: String)
  StartFailed(error: ElectionError)
}

/// Why leader or voters are the same as before.
pub type ChangeError {
  /// Nobody leads who could do it; and only who leads can resign.
  NotLeader
  /// It is not connected, or takes no part.
  UnknownNode(node: String)
  AlreadyVoter(node: String)
  NotVoter(node: String)
  /// There may be 31.
  TooManyVoters
  /// Another change is under way. Repeat it.
  Busy
  NotChanged(error: ElectionError)
}

/// Why there is no token.
pub type HoldError {
  /// This node does not lead, or the process does not hold the name, or not
  /// surely.
  NotHeld
  HoldUnknown(error: ElectionError)
}

/// Why a token is not good.
pub type TokenError {
  /// It is of a former leader.
  StaleToken
  /// It is of no leader that there was.
  UnknownToken
  /// Nobody leads now who could say so.
  NobodyToAsk
  NotChecked(error: ElectionError)
}

/// Why a process does not campaign, or not resign.
pub type CampaignError {
  /// There may be 10 000 campaigns of a node, and 1024 of a name.
  TooManyCampaigns
  /// A name has 1 to 255 bytes.
  InvalidName(name: String)
  /// It does not campaign for it.
  NotCampaigning
  CampaignFailed(error: ElectionError)
}

/// What `unsubscribe` ends.
pub opaque type Subscription {
  Subscription(pid: Pid)
}

// ---- starting ---------------------------------------------------------------

/// Usual options. Without `with_state_dir` this node never votes; without
/// `with_voters` or `with_bootstrap_expect` at any node there are no voters.
///
/// ```gleam
/// import remora/election
///
/// let assert Ok(Nil) =
///   election.start_service_with(election.default_options())
/// ```
pub fn default_options() -> Options {
  Options([])
}

/// The first voters: companions, the same at all of them. They count once, when
/// there are none yet; afterwards `add_voter` and `remove_voter` change them.
///
/// ```gleam
/// import remora/election
///
/// let _options =
///   election.default_options()
///   |> election.with_voters(["a_remora@h1", "b_remora@h2", "c_remora@h3"])
/// ```
pub fn with_voters(options: Options, nodes: List(String)) -> Options {
  with(options, Voters(nodes))
}

/// Instead of a list: when `remora/membership` shows so many companions that
/// have no voters yet, they are the first ones.
///
/// ```gleam
/// import remora/election
///
/// let _options =
///   election.default_options() |> election.with_bootstrap_expect(3)
/// ```
pub fn with_bootstrap_expect(options: Options, count: Int) -> Options {
  with(options, BootstrapExpect(count))
}

/// The folder in which term and vote are kept. It must outlive the companion, as
/// a vote that is forgotten could be given twice.
///
/// ```gleam
/// import remora/election
///
/// let _options =
///   election.default_options() |> election.with_state_dir("/var/lib/app")
/// ```
pub fn with_state_dir(options: Options, path: String) -> Options {
  with(options, StateDir(path))
}

/// Whether this node only hears who leads.
///
/// ```gleam
/// import remora/election
///
/// let _options = election.default_options() |> election.with_observer(True)
/// ```
pub fn with_observer(options: Options, observer: Bool) -> Options {
  with(options, Observer(observer))
}

/// A leader hands over to a voter with a greater priority; 0 never stands. 1
/// unless it is said.
///
/// ```gleam
/// import remora/election
///
/// let _options = election.default_options() |> election.with_priority(2)
/// ```
pub fn with_priority(options: Options, priority: Int) -> Options {
  with(options, Priority(priority))
}

/// Milliseconds between two signs of life of the leader; 100 unless it is said.
///
/// ```gleam
/// import remora/election
///
/// let _options = election.default_options() |> election.with_heartbeat(50)
/// ```
pub fn with_heartbeat(options: Options, milliseconds: Int) -> Options {
  with(options, Heartbeat(milliseconds))
}

/// How long a voter waits at least and at most for the leader before it stands
/// itself, in milliseconds; 500 and 1000 unless it is said. The same at all of
/// them.
///
/// ```gleam
/// import remora/election
///
/// let _options =
///   election.default_options() |> election.with_election_timeout(150, 300)
/// ```
pub fn with_election_timeout(options: Options, min: Int, max: Int) -> Options {
  options |> with(ElectionMin(min)) |> with(ElectionMax(max))
}

/// How long voters promise not to elect another one, in milliseconds; three
/// fifths of the least election timeout unless it is said.
///
/// ```gleam
/// import remora/election
///
/// let _options = election.default_options() |> election.with_lease(300)
/// ```
pub fn with_lease(options: Options, milliseconds: Int) -> Options {
  with(options, Lease(milliseconds))
}

/// How long a name stays with a node, or leadership with a VM, that is not heard
/// of, in milliseconds; 2000 unless it is said. The same at all of them.
///
/// ```gleam
/// import remora/election
///
/// let _options = election.default_options() |> election.with_name_lease(1000)
/// ```
pub fn with_name_lease(options: Options, milliseconds: Int) -> Options {
  with(options, NameLease(milliseconds))
}

/// Takes part in elections, with what the companion's own options say.
///
/// ```gleam
/// import remora/election
///
/// let assert Ok(Nil) = election.start_service()
/// ```
pub fn start_service() -> Result(Nil, StartError) {
  start_service_with(default_options())
}

/// Takes part in elections; when it does already, with these options from here
/// on.
///
/// ```gleam
/// import remora/election
///
/// let options = election.default_options() |> election.with_heartbeat(0)
/// let assert Error(election.InvalidOption("heartbeat", _text)) =
///   election.start_service_with(options)
/// ```
pub fn start_service_with(options: Options) -> Result(Nil, StartError) {
  do_start(options.settings)
}

/// Takes part no longer; a leader hands over before, and who campaigns here does
/// not any more.
///
/// ```gleam
/// import remora/election
///
/// let assert Ok(Nil) = election.start_service()
/// let assert Ok(Nil) = election.stop_service()
/// let assert Error(election.NotStarted) = election.current_leader()
/// ```
@external(erlang, "remora_election_ffi", "stop")
pub fn stop_service() -> Result(Nil, ElectionError)

// ---- the leader -------------------------------------------------------------

/// Who leads, after an election if there has to be one; and, where this VM has
/// said who votes, after these have agreed on it.
///
/// ```gleam
/// import remora/election
///
/// let options =
///   election.default_options()
///   |> election.with_voters(["app_remora@127.0.0.1"])
///   |> election.with_state_dir("state")
/// let assert Ok(Nil) = election.start_service_with(options)
/// let assert Ok(election.Leader("app_remora@127.0.0.1", _token)) =
///   election.elect()
/// ```
@external(erlang, "remora_election_ffi", "elect")
pub fn elect() -> Result(ElectionResult, ElectionError)

/// Who leads, as far as this node knows. Read here, without a call, when
/// somebody does.
///
/// ```gleam
/// import remora/election
///
/// case election.current_leader() {
///   Ok(election.Leader(node, _token)) -> node
///   _ -> "nobody"
/// }
/// ```
@external(erlang, "remora_election_ffi", "current_leader")
pub fn current_leader() -> Result(ElectionResult, ElectionError)

/// Whether this VM's companion leads, surely so at this moment. `False` when
/// that is not known.
///
/// ```gleam
/// import remora/election
///
/// let options =
///   election.default_options()
///   |> election.with_voters(["app_remora@127.0.0.1"])
///   |> election.with_state_dir("state")
/// let assert Ok(Nil) = election.start_service_with(options)
/// let assert Ok(_leader) = election.elect()
/// let assert True = election.am_i_leader()
/// ```
@external(erlang, "remora_election", "am_i_leader")
pub fn am_i_leader() -> Bool

/// The term: it grows with each election.
///
/// ```gleam
/// import remora/election
///
/// let assert Ok(Nil) = election.start_service()
/// let assert Ok(_term) = election.current_term()
/// ```
@external(erlang, "remora_election_ffi", "current_term")
pub fn current_term() -> Result(Int, ElectionError)

/// The token of this node's leadership, while that surely holds.
///
/// ```gleam
/// import remora/election
///
/// let options =
///   election.default_options()
///   |> election.with_voters(["app_remora@127.0.0.1"])
///   |> election.with_state_dir("state")
/// let assert Ok(Nil) = election.start_service_with(options)
/// let assert Ok(election.Leader(_node, token)) = election.elect()
/// let assert Ok(same) = election.fencing_token()
/// let assert True = same == token
/// ```
@external(erlang, "remora_election_ffi", "fencing_token")
pub fn fencing_token() -> Result(Int, HoldError)

/// Whether a token is that of who leads now: the leader is asked. What keeps
/// data refuses a token below one that it has seen, without asking anybody; this
/// is for the rest.
///
/// ```gleam
/// import remora/election
///
/// case election.check_token(1) {
///   Ok(Nil) -> "go on"
///   Error(error) -> election.describe_token_error(error)
/// }
/// ```
@external(erlang, "remora_election_ffi", "check_token")
pub fn check_token(token: Int) -> Result(Nil, TokenError)

/// What the companion says of it: it is asked.
///
/// ```gleam
/// import remora/election
///
/// let assert Ok(Nil) = election.start_service()
/// let assert Ok(status) = election.status()
/// let assert True = status.term >= 0
/// ```
@external(erlang, "remora_election_ffi", "status")
pub fn status() -> Result(Status, ElectionError)

// ---- changing it ------------------------------------------------------------

/// Asks the leader to hand over to another voter, which leads when this returns.
///
/// ```gleam
/// import remora/election
///
/// let assert Error(_error) = election.transfer(to: "b_remora@10.0.0.2")
/// ```
@external(erlang, "remora_election_ffi", "transfer")
pub fn transfer(to node: String) -> Result(Nil, ChangeError)

/// Gives this node's leadership up, to whom it thinks best.
///
/// ```gleam
/// import remora/election
///
/// case election.resign() {
///   Ok(Nil) -> "somebody else leads"
///   Error(error) -> election.describe_change_error(error)
/// }
/// ```
@external(erlang, "remora_election_ffi", "resign")
pub fn resign() -> Result(Nil, ChangeError)

/// Asks the leader to take a companion in as a voter, one at a time.
///
/// ```gleam
/// import remora/election
///
/// let assert Error(_error) = election.add_voter("unheard_of@10.0.0.2")
/// ```
@external(erlang, "remora_election_ffi", "add_voter")
pub fn add_voter(node: String) -> Result(Nil, ChangeError)

/// Asks the leader to take a voter out, one at a time.
///
/// ```gleam
/// import remora/election
///
/// let assert Error(_error) = election.remove_voter("unheard_of@10.0.0.2")
/// ```
@external(erlang, "remora_election_ffi", "remove_voter")
pub fn remove_voter(node: String) -> Result(Nil, ChangeError)

// ---- named elections --------------------------------------------------------

/// The calling process stands for the election of this name, until it ends or
/// calls `resign_name`. Of all that do, one holds it; `subscribe_name` tells
/// when, and `holds` whether. It is no error when it stands already.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/election
///
/// let options =
///   election.default_options()
///   |> election.with_voters(["app_remora@127.0.0.1"])
///   |> election.with_state_dir("state")
/// let assert Ok(Nil) = election.start_service_with(options)
/// let events = process.new_subject()
/// let assert Ok(_subscription) = election.subscribe_name("billing", events)
/// let assert Ok(Nil) = election.campaign("billing")
/// let assert Ok(_event) = process.receive(events, within: 10_000)
/// let assert Ok(Nil) = election.resign_name("billing")
/// ```
@external(erlang, "remora_election_ffi", "campaign")
pub fn campaign(name: String) -> Result(Nil, CampaignError)

/// The calling process does not stand any more, and gives back what it holds.
///
/// ```gleam
/// import remora/election
///
/// let assert Ok(Nil) = election.start_service()
/// let assert Error(election.NotCampaigning) = election.resign_name("nothing")
/// ```
@external(erlang, "remora_election_ffi", "resign_name")
pub fn resign_name(name: String) -> Result(Nil, CampaignError)

/// The companion through which a name is held, and the token, as the leader last
/// told. Read here, without a call.
///
/// ```gleam
/// import remora/election
///
/// let assert Ok(Nil) = election.start_service()
/// let assert Ok(election.NoLeader) = election.leader("nobody's")
/// ```
@external(erlang, "remora_election_ffi", "leader")
pub fn leader(name: String) -> Result(ElectionResult, ElectionError)

/// The token of the calling process for a name, while it surely holds it.
///
/// ```gleam
/// import remora/election
///
/// let assert Ok(Nil) = election.start_service()
/// let assert Error(election.NotHeld) = election.holds("nobody's")
/// ```
@external(erlang, "remora_election_ffi", "holds")
pub fn holds(name: String) -> Result(Int, HoldError)

// ---- what happens -----------------------------------------------------------

/// Tells a subject of each change of the leader from here on, until its owner
/// ends or it is unsubscribed. It outlives companions.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/election
///
/// let assert Ok(subscription) = election.subscribe(process.new_subject())
/// election.unsubscribe(subscription)
/// ```
pub fn subscribe(
  listener: Subject(ElectionEvent),
) -> Result(Subscription, ElectionError) {
  subscription.owner(listener)
  |> do_subscribe(fn(event) { process.send(listener, event) })
  |> result.map(Subscription)
}

/// The same of a named election.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/election
///
/// let assert Ok(subscription) =
///   election.subscribe_name("billing", process.new_subject())
/// election.unsubscribe(subscription)
/// ```
pub fn subscribe_name(
  name: String,
  listener: Subject(NameEvent),
) -> Result(Subscription, ElectionError) {
  subscription.owner(listener)
  |> do_subscribe_name(name, fn(event) { process.send(listener, event) })
  |> result.map(Subscription)
}

/// Ends a subscription. When this returns, no more events are on their way.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/election
///
/// let assert Ok(subscription) = election.subscribe(process.new_subject())
/// election.unsubscribe(subscription)
/// ```
pub fn unsubscribe(subscription: Subscription) -> Nil {
  subscription.stop(subscription.pid)
}

// ---- errors for people ------------------------------------------------------

/// A sentence for people: what was found and what to do.
///
/// ```gleam
/// import remora/election
///
/// let assert "it was not done in time" =
///   election.describe_election_error(election.Timeout)
/// ```
pub fn describe_election_error(error: ElectionError) -> String {
  case error {
    NotConfigured ->
      "there are no voters yet; start with with_voters or with_bootstrap_expect"
    NotStarted -> text.not_started("the election")
    Timeout -> "it was not done in time"
    NotRunning -> text.not_running
    Refused(reason) -> text.refused(reason)
  }
}

/// A sentence for people: what was found and what to do.
///
/// ```gleam
/// import remora/election
///
/// let assert "the option lease of the election is not right: too long" =
///   election.describe_start_error(election.InvalidOption("lease", "too long"))
/// ```
pub fn describe_start_error(error: StartError) -> String {
  case error {
    InvalidOption(option, words) ->
      "the option " <> option <> " of the election is not right: " <> words
    StartFailed(error) -> describe_election_error(error)
  }
}

/// A sentence for people: what was found and what to do.
///
/// ```gleam
/// import remora/election
///
/// let assert "nobody leads who could do it" =
///   election.describe_change_error(election.NotLeader)
/// ```
pub fn describe_change_error(error: ChangeError) -> String {
  case error {
    NotLeader -> "nobody leads who could do it"
    UnknownNode(node) -> node <> " is not connected, or takes no part"
    AlreadyVoter(node) -> node <> " is a voter already"
    NotVoter(node) -> node <> " is no voter"
    TooManyVoters -> "there are as many voters as there may be"
    Busy -> "another change is under way; repeat it"
    NotChanged(error) -> describe_election_error(error)
  }
}

/// A sentence for people: what was found.
///
/// ```gleam
/// import remora/election
///
/// let assert "it is not held, or not surely" =
///   election.describe_hold_error(election.NotHeld)
/// ```
pub fn describe_hold_error(error: HoldError) -> String {
  case error {
    NotHeld -> "it is not held, or not surely"
    HoldUnknown(error) -> describe_election_error(error)
  }
}

/// A sentence for people: what was found.
///
/// ```gleam
/// import remora/election
///
/// let assert "the token is of a former leader" =
///   election.describe_token_error(election.StaleToken)
/// ```
pub fn describe_token_error(error: TokenError) -> String {
  case error {
    StaleToken -> "the token is of a former leader"
    UnknownToken -> "the token is of no leader that there was"
    NobodyToAsk -> "nobody leads now who could check the token"
    NotChecked(error) -> describe_election_error(error)
  }
}

/// A sentence for people: what was found and what to do.
///
/// ```gleam
/// import remora/election
///
/// let assert "the process does not campaign for this name" =
///   election.describe_campaign_error(election.NotCampaigning)
/// ```
pub fn describe_campaign_error(error: CampaignError) -> String {
  case error {
    TooManyCampaigns -> "there are as many campaigns as there may be"
    InvalidName(name) ->
      "\"" <> name <> "\" is no name of an election; it has 1 to 255 bytes"
    NotCampaigning -> "the process does not campaign for this name"
    CampaignFailed(error) -> describe_election_error(error)
  }
}

// ---- what Erlang does -------------------------------------------------------

// The latest comes first.
fn with(options: Options, setting: Setting) -> Options {
  Options([setting, ..options.settings])
}

@external(erlang, "remora_election_ffi", "start")
fn do_start(settings: List(Setting)) -> Result(Nil, StartError)

@external(erlang, "remora_election_ffi", "subscribe")
fn do_subscribe(
  owner: Pid,
  forward: fn(ElectionEvent) -> Nil,
) -> Result(Pid, ElectionError)

@external(erlang, "remora_election_ffi", "subscribe_name")
fn do_subscribe_name(
  owner: Pid,
  name: String,
  forward: fn(NameEvent) -> Nil,
) -> Result(Pid, ElectionError)
