//// Which nodes are alive, by SWIM: suspicions and deaths between companions,
//// over authenticated UDP.
////
//// **Not in this version of remora**: the types are what they will be, and each
//// function returns `Unsupported`. `remora/cluster` and `remora/monitor` tell
//// what the distribution itself knows of nodes.
////
//// ```gleam
//// import remora/membership
////
//// let assert Error(membership.Unsupported) = membership.alive()
//// ```

import gleam/erlang/process.{type Subject}
import remora/internal/text

/// What is believed of a node.
pub type Status {
  /// It answers.
  Alive
  /// It did not answer somebody, and has some time to object.
  Suspect
  /// It did not object in time.
  Dead
  /// It said that it goes.
  Left
}

/// A node, and what it says of itself.
pub type Member {
  Member(
    node: String,
    status: Status,
    /// How often it has objected to being suspected.
    incarnation: Int,
    metadata: List(#(String, String)),
  )
}

/// How the service runs. Times in milliseconds.
pub type Options {
  Options(
    /// Between two probes.
    interval_ms: Int,
    /// Until a probed node has to have answered.
    probe_timeout_ms: Int,
    /// How long a suspected node has to object.
    suspicion_timeout_ms: Int,
    /// How many others are asked to probe a node that did not answer.
    indirect_probes: Int,
  )
}

/// Counts since the service was started.
pub type Metrics {
  Metrics(probes: Int, suspicions: Int, refutations: Int, deaths: Int)
}

/// Something was learnt of a node.
pub type MembershipEvent {
  StatusChanged(member: Member)
  LeaderChanged(node: String)
}

/// Why there is no answer.
pub type MembershipError {
  /// Not in this version of remora.
  Unsupported
  /// The service is not started, or there is no companion now.
  NotRunning
  /// The companion did not answer in time.
  Timeout
}

/// What `subscribe` gives.
pub type Subscription

/// Usual options: a probe each second.
///
/// ```gleam
/// import remora/membership
///
/// let options = membership.default_options()
/// let assert 1000 = options.interval_ms
/// ```
pub fn default_options() -> Options {
  Options(
    interval_ms: 1000,
    probe_timeout_ms: 500,
    suspicion_timeout_ms: 5000,
    indirect_probes: 3,
  )
}

/// Starts the service with a probe each so many milliseconds.
///
/// ```gleam
/// import remora/membership
///
/// let assert Error(membership.Unsupported) = membership.start_service(500)
/// ```
pub fn start_service(interval_ms: Int) -> Result(Nil, MembershipError) {
  start_service_with(Options(..default_options(), interval_ms: interval_ms))
}

/// Starts the service.
///
/// ```gleam
/// import remora/membership
///
/// let assert Error(membership.Unsupported) =
///   membership.start_service_with(membership.default_options())
/// ```
pub fn start_service_with(_options: Options) -> Result(Nil, MembershipError) {
  Error(Unsupported)
}

/// Stops the service; others see this node as `Left`.
///
/// ```gleam
/// import remora/membership
///
/// let assert Error(membership.Unsupported) = membership.stop_service()
/// ```
pub fn stop_service() -> Result(Nil, MembershipError) {
  Error(Unsupported)
}

/// The nodes that are alive, this one included.
///
/// ```gleam
/// import remora/membership
///
/// let assert Error(membership.Unsupported) = membership.alive()
/// ```
pub fn alive() -> Result(List(String), MembershipError) {
  Error(Unsupported)
}

/// The nodes that are suspected.
///
/// ```gleam
/// import remora/membership
///
/// let assert Error(membership.Unsupported) = membership.suspect()
/// ```
pub fn suspect() -> Result(List(String), MembershipError) {
  Error(Unsupported)
}

/// All nodes, each with its status and incarnation.
///
/// ```gleam
/// import remora/membership
///
/// let assert Error(membership.Unsupported) = membership.members_with_status()
/// ```
pub fn members_with_status() -> Result(
  List(#(String, Status, Int)),
  MembershipError,
) {
  Error(Unsupported)
}

/// All nodes.
///
/// ```gleam
/// import remora/membership
///
/// let assert Error(membership.Unsupported) = membership.members()
/// ```
pub fn members() -> Result(List(Member), MembershipError) {
  Error(Unsupported)
}

/// The leader, as `remora/election` says.
///
/// ```gleam
/// import remora/membership
///
/// let assert Error(membership.Unsupported) = membership.current_leader()
/// ```
pub fn current_leader() -> Result(String, MembershipError) {
  Error(Unsupported)
}

/// What this node says of itself to the others.
///
/// ```gleam
/// import remora/membership
///
/// let assert Error(membership.Unsupported) =
///   membership.set_metadata([#("zone", "a")])
/// ```
pub fn set_metadata(
  _metadata: List(#(String, String)),
) -> Result(Nil, MembershipError) {
  Error(Unsupported)
}

/// Counts since the service was started.
///
/// ```gleam
/// import remora/membership
///
/// let assert Error(membership.Unsupported) = membership.metrics()
/// ```
pub fn metrics() -> Result(Metrics, MembershipError) {
  Error(Unsupported)
}

/// Tells a subject of each change.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/membership
///
/// let assert Error(membership.Unsupported) =
///   membership.subscribe(process.new_subject())
/// ```
pub fn subscribe(
  _listener: Subject(MembershipEvent),
) -> Result(Subscription, MembershipError) {
  Error(Unsupported)
}

/// A sentence for people.
///
/// ```gleam
/// import remora/membership
///
/// let assert "this is not in this version of remora" =
///   membership.describe_membership_error(membership.Unsupported)
/// ```
pub fn describe_membership_error(error: MembershipError) -> String {
  case error {
    Unsupported -> text.unsupported
    NotRunning -> text.not_running
    Timeout -> "the companion did not answer in time"
  }
}
