//// One leader for the cluster, elected as Raft does: at most one for a term,
//// none by a minority.
////
//// **Not in this version of remora**: the types are what they will be, and each
//// function returns `Unsupported`.
////
//// ```gleam
//// import remora/election
////
//// let assert Error(election.Unsupported) = election.elect()
//// ```

import gleam/erlang/process.{type Subject}
import remora/internal/text

/// Who leads.
pub type ElectionResult {
  /// This node does. The token grows with each leader: give it to what you
  /// write to, and have that refuse a lower one than it has seen.
  Leader(node: String, token: Int)
  /// Nobody does now.
  NoLeader
}

/// Something changed.
pub type ElectionEvent {
  LeaderElected(node: String, term: Int, token: Int)
  LeaderLost(term: Int)
}

/// Why there is no answer.
pub type ElectionError {
  /// Not in this version of remora.
  Unsupported
  /// The service is not started, or there is no companion now.
  NotRunning
  /// This node does not lead.
  NotLeader
  /// It was not done in time.
  Timeout
}

/// What `subscribe` gives.
pub type Subscription

/// Takes part in elections.
///
/// ```gleam
/// import remora/election
///
/// let assert Error(election.Unsupported) = election.start_service()
/// ```
pub fn start_service() -> Result(Nil, ElectionError) {
  Error(Unsupported)
}

/// Takes part no longer; a leader resigns.
///
/// ```gleam
/// import remora/election
///
/// let assert Error(election.Unsupported) = election.stop_service()
/// ```
pub fn stop_service() -> Result(Nil, ElectionError) {
  Error(Unsupported)
}

/// Who leads, after an election if there has to be one.
///
/// ```gleam
/// import remora/election
///
/// let assert Error(election.Unsupported) = election.elect()
/// ```
pub fn elect() -> Result(ElectionResult, ElectionError) {
  Error(Unsupported)
}

/// Who leads, as far as this node knows.
///
/// ```gleam
/// import remora/election
///
/// let assert Error(election.Unsupported) = election.current_leader()
/// ```
pub fn current_leader() -> Result(ElectionResult, ElectionError) {
  Error(Unsupported)
}

/// Whether this node leads. `False` when that is not known.
///
/// ```gleam
/// import remora/election
///
/// let assert False = election.am_i_leader()
/// ```
pub fn am_i_leader() -> Bool {
  False
}

/// The term: it grows with each election.
///
/// ```gleam
/// import remora/election
///
/// let assert Error(election.Unsupported) = election.current_term()
/// ```
pub fn current_term() -> Result(Int, ElectionError) {
  Error(Unsupported)
}

/// The token of this node's leadership.
///
/// ```gleam
/// import remora/election
///
/// let assert Error(election.Unsupported) = election.fencing_token()
/// ```
pub fn fencing_token() -> Result(Int, ElectionError) {
  Error(Unsupported)
}

/// Hands leadership to another node.
///
/// ```gleam
/// import remora/election
///
/// let assert Error(election.Unsupported) = election.transfer(to: "b@10.0.0.2")
/// ```
pub fn transfer(to _node: String) -> Result(Nil, ElectionError) {
  Error(Unsupported)
}

/// Gives leadership up.
///
/// ```gleam
/// import remora/election
///
/// let assert Error(election.Unsupported) = election.resign()
/// ```
pub fn resign() -> Result(Nil, ElectionError) {
  Error(Unsupported)
}

/// Tells a subject of each change.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/election
///
/// let assert Error(election.Unsupported) =
///   election.subscribe(process.new_subject())
/// ```
pub fn subscribe(
  _listener: Subject(ElectionEvent),
) -> Result(Subscription, ElectionError) {
  Error(Unsupported)
}

/// A sentence for people.
///
/// ```gleam
/// import remora/election
///
/// let assert "this node does not lead" =
///   election.describe_election_error(election.NotLeader)
/// ```
pub fn describe_election_error(error: ElectionError) -> String {
  case error {
    Unsupported -> text.unsupported
    NotRunning -> text.not_running
    NotLeader -> "this node does not lead"
    Timeout -> "it was not done in time"
  }
}
