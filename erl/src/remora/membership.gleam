//// Which nodes are alive, by SWIM: the companions probe each other by
//// datagrams, so a node that hangs is known to all of them in about a second,
//// whatever its connections say.
////
//// ```gleam
//// import gleam/list
//// import remora/membership
////
//// let assert Ok(Nil) = membership.start_service(200)
//// let assert Ok(alive) = membership.alive()
//// let assert True = list.contains(alive, "app_remora@127.0.0.1")
//// ```
////
//// Companions that have started it are members of the kind `Remora`. Other
//// nodes that are connected are members too, of the kind `Beam`: they are seen
//// by their connections, and dead when those are lost, or when several
//// companions cannot reach them.
////
//// Better than `start_service` is `remora.with_membership`: then it is on from
//// the first moment. What was started, and said of itself, is told again to a
//// companion that is started again. Reads are of this VM's copy and ask nobody,
//// but `metrics`.

import gleam/erlang/process.{type Pid, type Subject}
import gleam/int
import gleam/option.{type Option}
import gleam/result
import remora/internal/subscription
import remora/internal/text

/// What is believed of a node.
pub type Status {
  /// It answers.
  Alive
  /// It did not answer somebody, and has some time to object.
  Suspect
  /// It did not object in time, or its connection is lost.
  Dead
  /// It said that it goes.
  Left
}

/// What a member is.
pub type Kind {
  /// A companion that takes part: it probes, and is probed.
  Remora
  /// A VM, or a companion without membership: seen by its connections.
  Beam
}

/// A node, and what it says of itself.
pub type Member {
  Member(
    node: String,
    status: Status,
    /// How often it has objected to being suspected.
    incarnation: Int,
    kind: Kind,
    /// Of a VM.
    companion: Option(String),
    /// Where it hears datagrams.
    address: Option(String),
    metadata: List(#(String, String)),
  )
}

/// How the service runs. Times in milliseconds.
pub opaque type Options {
  Options(settings: List(Setting))
}

// These are options of remora_membership as they are written in Erlang.
type Setting {
  Interval(Int)
  ProbeTimeout(Int)
  IndirectProbes(Int)
  SuspicionMin(Int)
  SuspicionMaxFactor(Int)
  SyncInterval(Int)
  Expel(Expelling)
  Port(Int)
  Address(String)
  KeyFile(String)
  Metadata(List(#(String, String)))
}

type Expelling {
  ExpelNever
  ExpelDead
}

/// Counts since the service was started.
pub type Metrics {
  Metrics(
    probes: Int,
    /// Without a direct answer.
    probes_failed: Int,
    indirect_probes: Int,
    /// Over the distribution's connection.
    fallback_probes: Int,
    /// Of others, by this node.
    suspicions: Int,
    /// Of suspicions of this node.
    refutations: Int,
    /// Verdicts.
    deaths: Int,
    packets_out: Int,
    packets_in: Int,
    bytes_out: Int,
    bytes_in: Int,
    /// Exchanges of all that two nodes know.
    syncs: Int,
    /// Packets that were dropped: no packets, of strangers, or replayed.
    refused: Int,
  )
}

/// Something was learnt of a node.
pub type MembershipEvent {
  /// It is alive, and was not known, or dead, or had left.
  MemberJoined(member: Member)
  MemberSuspected(member: Member)
  /// It has objected: suspected no more.
  MemberCleared(member: Member)
  MemberDied(member: Member)
  MemberLeft(member: Member)
  /// What it says of itself is another thing than before.
  MemberUpdated(member: Member)
  /// It was dead or had left for long, and is not listed any more.
  MemberForgotten(node: String)
  /// See `current_leader`.
  LeaderChanged(node: String)
  /// A member has called `event`.
  EventHeard(from: String, name: String, payload: BitArray)
  ServiceStarted
  /// And nothing is known of any member.
  ServiceStopped
}

/// Why there is no answer.
pub type MembershipError {
  /// The service is not started.
  NotStarted
  /// The companion did not answer in time.
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
  /// The port for datagrams cannot be had: the system's words.
  NoSocket(text: String)
  StartFailed(error: MembershipError)
}

/// Why it was not told to the others.
pub type TellError {
  /// It has so many bytes, and may have so many. Nothing was sent.
  TooLarge(bytes: Int, limit: Int)
  NotTold(error: MembershipError)
}

/// What `unsubscribe` ends.
pub opaque type Subscription {
  Subscription(pid: Pid)
}

// ---- starting ---------------------------------------------------------------

/// Usual options: a probe each second.
///
/// ```gleam
/// import remora/membership
///
/// let options =
///   membership.default_options()
///   |> membership.with_interval(200)
///   |> membership.with_probe_timeout(80)
/// let assert Ok(Nil) = membership.start_service_with(options)
/// ```
pub fn default_options() -> Options {
  Options([])
}

/// Milliseconds between two probes; 1000 unless it is said.
///
/// ```gleam
/// import remora/membership
///
/// let _options = membership.default_options() |> membership.with_interval(500)
/// ```
pub fn with_interval(options: Options, milliseconds: Int) -> Options {
  with(options, Interval(milliseconds))
}

/// Until a probed node has to have answered, in milliseconds; two fifths of the
/// interval unless it is said.
///
/// ```gleam
/// import remora/membership
///
/// let _options =
///   membership.default_options() |> membership.with_probe_timeout(200)
/// ```
pub fn with_probe_timeout(options: Options, milliseconds: Int) -> Options {
  with(options, ProbeTimeout(milliseconds))
}

/// How many others are asked to probe a node that did not answer; 3 unless it
/// is said.
///
/// ```gleam
/// import remora/membership
///
/// let _options =
///   membership.default_options() |> membership.with_indirect_probes(5)
/// ```
pub fn with_indirect_probes(options: Options, count: Int) -> Options {
  with(options, IndirectProbes(count))
}

/// How long a suspected node has at least to object, in milliseconds. Unless it
/// is said, it follows from the interval and the number of members.
///
/// ```gleam
/// import remora/membership
///
/// let _options =
///   membership.default_options() |> membership.with_suspicion_min(1000)
/// ```
pub fn with_suspicion_min(options: Options, milliseconds: Int) -> Options {
  with(options, SuspicionMin(milliseconds))
}

/// How many times as long it has while only one node suspects it; 6 unless it is
/// said.
///
/// ```gleam
/// import remora/membership
///
/// let _options =
///   membership.default_options() |> membership.with_suspicion_max_factor(3)
/// ```
pub fn with_suspicion_max_factor(options: Options, factor: Int) -> Options {
  with(options, SuspicionMaxFactor(factor))
}

/// Milliseconds between two exchanges of all that is known, with one node each;
/// 30 000 unless it is said.
///
/// ```gleam
/// import remora/membership
///
/// let _options =
///   membership.default_options() |> membership.with_sync_interval(10_000)
/// ```
pub fn with_sync_interval(options: Options, milliseconds: Int) -> Options {
  with(options, SyncInterval(milliseconds))
}

/// Whether a node that is dead by verdict is disconnected as well. It is not,
/// unless it is said.
///
/// ```gleam
/// import remora/membership
///
/// let _options =
///   membership.default_options() |> membership.with_expelling(True)
/// ```
pub fn with_expelling(options: Options, expel: Bool) -> Options {
  case expel {
    True -> with(options, Expel(ExpelDead))
    False -> with(options, Expel(ExpelNever))
  }
}

/// The port for datagrams; the number of the distribution's port unless it is
/// said.
///
/// ```gleam
/// import remora/membership
///
/// let _options = membership.default_options() |> membership.with_port(4370)
/// ```
pub fn with_port(options: Options, port: Int) -> Options {
  with(options, Port(port))
}

/// The IP address at which others reach this node; that of its name unless it is
/// said.
///
/// ```gleam
/// import remora/membership
///
/// let _options =
///   membership.default_options() |> membership.with_address("10.0.0.7")
/// ```
pub fn with_address(options: Options, address: String) -> Options {
  with(options, Address(address))
}

/// A file with a key in each line: what is sent is sealed with the first, and
/// opened with all of them. Unless it is said, a key is made of the cookie.
///
/// ```gleam
/// import remora/membership
///
/// let _options =
///   membership.default_options() |> membership.with_key_file("/etc/app/keys")
/// ```
pub fn with_key_file(options: Options, path: String) -> Options {
  with(options, KeyFile(path))
}

/// What this node says of itself from the first moment, as `set_metadata`.
///
/// ```gleam
/// import remora/membership
///
/// let _options =
///   membership.default_options() |> membership.with_metadata([#("zone", "a")])
/// ```
pub fn with_metadata(
  options: Options,
  metadata: List(#(String, String)),
) -> Options {
  with(options, Metadata(metadata))
}

/// Starts the service with a probe each so many milliseconds.
///
/// ```gleam
/// import remora/membership
///
/// let assert Ok(Nil) = membership.start_service(500)
/// ```
pub fn start_service(interval_ms: Int) -> Result(Nil, StartError) {
  default_options() |> with_interval(interval_ms) |> start_service_with
}

/// Starts the service; when it runs, it runs with these options from here on.
///
/// ```gleam
/// import remora/membership
///
/// let options = membership.default_options() |> membership.with_interval(0)
/// let assert Error(membership.InvalidOption("interval", _text)) =
///   membership.start_service_with(options)
/// ```
pub fn start_service_with(options: Options) -> Result(Nil, StartError) {
  do_start(options.settings)
}

/// Stops the service; others see this node as `Left`.
///
/// ```gleam
/// import remora/membership
///
/// let assert Ok(Nil) = membership.start_service(500)
/// let assert Ok(Nil) = membership.stop_service()
/// let assert Error(membership.NotStarted) = membership.alive()
/// ```
@external(erlang, "remora_membership_ffi", "stop")
pub fn stop_service() -> Result(Nil, MembershipError)

// ---- reads ------------------------------------------------------------------

/// The nodes that are alive; this VM's companion is one of them.
///
/// ```gleam
/// import gleam/list
/// import remora/membership
///
/// let assert Ok(Nil) = membership.start_service(500)
/// let assert Ok(alive) = membership.alive()
/// let assert True = list.contains(alive, "app_remora@127.0.0.1")
/// ```
@external(erlang, "remora_membership_ffi", "alive")
pub fn alive() -> Result(List(String), MembershipError)

/// The nodes that are suspected.
///
/// ```gleam
/// import remora/membership
///
/// let assert Ok(Nil) = membership.start_service(500)
/// let assert Ok([]) = membership.suspect()
/// ```
@external(erlang, "remora_membership_ffi", "suspect")
pub fn suspect() -> Result(List(String), MembershipError)

/// All nodes that are known, each with its status and incarnation: also those
/// that are dead or have left, until they are forgotten. The incarnation is the
/// one with which it was last told; `gossip.local_view` has those of now.
///
/// ```gleam
/// import gleam/list
/// import remora/membership
///
/// let assert Ok(Nil) = membership.start_service(500)
/// let assert Ok(members) = membership.members_with_status()
/// let assert Ok(#("app_remora@127.0.0.1", membership.Alive, _incarnation)) =
///   list.find(members, fn(member) { member.0 == "app_remora@127.0.0.1" })
/// ```
@external(erlang, "remora_membership_ffi", "members_with_status")
pub fn members_with_status() -> Result(
  List(#(String, Status, Int)),
  MembershipError,
)

/// All nodes that are known, with all that is known of them.
///
/// ```gleam
/// import gleam/list
/// import remora/membership
///
/// let assert Ok(Nil) = membership.start_service(500)
/// let assert Ok(members) = membership.members()
/// let assert Ok(own) =
///   list.find(members, fn(member) { member.node == "app_remora@127.0.0.1" })
/// let assert membership.Remora = own.kind
/// ```
@external(erlang, "remora_membership_ffi", "members")
pub fn members() -> Result(List(Member), MembershipError)

/// The greatest name of those that are alive or suspected. In a cut cluster
/// each side has its own, and two nodes may differ for a moment at any time:
/// what must be done by one alone is for `remora/election`.
///
/// ```gleam
/// import remora/membership
///
/// let assert Ok(Nil) = membership.start_service(500)
/// let assert Ok(_node) = membership.current_leader()
/// ```
@external(erlang, "remora_membership_ffi", "leader")
pub fn current_leader() -> Result(String, MembershipError)

/// Counts since the service was started: the companion is asked.
///
/// ```gleam
/// import remora/membership
///
/// let assert Ok(Nil) = membership.start_service(500)
/// let assert Ok(metrics) = membership.metrics()
/// let assert True = metrics.probes >= metrics.probes_failed
/// ```
@external(erlang, "remora_membership_ffi", "metrics")
pub fn metrics() -> Result(Metrics, MembershipError)

// ---- what is told to others -------------------------------------------------

/// What this node says of itself to all others, all of it anew. It may have 512
/// bytes, with 3 for each pair.
///
/// ```gleam
/// import gleam/string
/// import remora/membership
///
/// let assert Ok(Nil) = membership.start_service(500)
/// let assert Ok(Nil) = membership.set_metadata([#("zone", "a")])
/// let assert Error(membership.TooLarge(_bytes, 512)) =
///   membership.set_metadata([#("zone", string.repeat("a", times: 600))])
/// ```
@external(erlang, "remora_membership_ffi", "set_metadata")
pub fn set_metadata(metadata: List(#(String, String))) -> Result(Nil, TellError)

/// Tells all members, this one included, who subscribe there, as `EventHeard`.
/// It reaches whoever is there, and is not repeated. Name and payload may have
/// 512 bytes together.
///
/// ```gleam
/// import remora/membership
///
/// let assert Ok(Nil) = membership.start_service(500)
/// let assert Ok(Nil) = membership.event("deployed", <<"v12":utf8>>)
/// ```
@external(erlang, "remora_membership_ffi", "event")
pub fn event(name: String, payload: BitArray) -> Result(Nil, TellError)

// ---- what happens -----------------------------------------------------------

/// Tells a subject of each change from here on, until its owner ends or it is
/// unsubscribed. It outlives companions: when one is back, what is different is
/// told, after a few seconds in which it hears of the others.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/membership
///
/// let events = process.new_subject()
/// let assert Ok(Nil) = membership.start_service(500)
/// let assert Ok(subscription) = membership.subscribe(events)
/// let assert Ok(Nil) = membership.event("deployed", <<"v12":utf8>>)
/// let assert Ok(_event) = process.receive(events, within: 5000)
/// membership.unsubscribe(subscription)
/// ```
pub fn subscribe(
  listener: Subject(MembershipEvent),
) -> Result(Subscription, MembershipError) {
  subscription.owner(listener)
  |> do_subscribe(fn(event) { process.send(listener, event) })
  |> result.map(Subscription)
}

/// Ends a subscription. When this returns, no more events are on their way.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/membership
///
/// let assert Ok(subscription) = membership.subscribe(process.new_subject())
/// membership.unsubscribe(subscription)
/// ```
pub fn unsubscribe(subscription: Subscription) -> Nil {
  subscription.stop(subscription.pid)
}

// ---- errors for people ------------------------------------------------------

/// A sentence for people: what was found and what to do.
///
/// ```gleam
/// import remora/membership
///
/// let assert "the companion did not answer in time" =
///   membership.describe_membership_error(membership.Timeout)
/// ```
pub fn describe_membership_error(error: MembershipError) -> String {
  case error {
    NotStarted -> text.not_started("membership")
    Timeout -> text.no_answer
    NotRunning -> text.not_running
    Refused(reason) -> text.refused(reason)
  }
}

/// A sentence for people: what was found and what to do.
///
/// ```gleam
/// import remora/membership
///
/// let assert "the port for datagrams cannot be had: address in use" =
///   membership.describe_start_error(membership.NoSocket("address in use"))
/// ```
pub fn describe_start_error(error: StartError) -> String {
  case error {
    InvalidOption(option, words) ->
      "the option " <> option <> " of membership is not right: " <> words
    NoSocket(words) -> "the port for datagrams cannot be had: " <> words
    StartFailed(error) -> describe_membership_error(error)
  }
}

/// A sentence for people: what was found and what to do.
///
/// ```gleam
/// import remora/membership
///
/// let assert "600 bytes are more than the 512 that every node can be told" =
///   membership.describe_tell_error(membership.TooLarge(600, 512))
/// ```
pub fn describe_tell_error(error: TellError) -> String {
  case error {
    TooLarge(bytes, limit) ->
      int.to_string(bytes)
      <> " bytes are more than the "
      <> int.to_string(limit)
      <> " that every node can be told"
    NotTold(error) -> describe_membership_error(error)
  }
}

// ---- what Erlang does -------------------------------------------------------

// The latest comes first.
fn with(options: Options, setting: Setting) -> Options {
  Options([setting, ..options.settings])
}

@external(erlang, "remora_membership_ffi", "start")
fn do_start(settings: List(Setting)) -> Result(Nil, StartError)

@external(erlang, "remora_membership_ffi", "subscribe")
fn do_subscribe(
  owner: Pid,
  forward: fn(MembershipEvent) -> Nil,
) -> Result(Pid, MembershipError)
