//// How a cluster does, as this VM's companion sees it.
////
//// When `remora/membership` runs, by its verdicts: a node that hangs is suspect
//// and then dead, whatever its connections say. When it does not run, a node is
//// alive when it is connected to the companion, and nobody is suspect or dead.
////
//// This VM counts, its own companion does not: those of other VMs are nodes as
//// any.
////
//// ```gleam
//// import remora/health
////
//// let assert Ok(alive) = health.alive_count()
//// let assert True = alive >= 1
//// let assert True = health.has_quorum(1)
//// ```

import remora/internal/text

/// How the whole cluster does.
pub type ClusterHealth {
  /// There are other nodes, and no doubts about any of them.
  Healthy
  /// So many nodes are suspected, so many are dead and not yet forgotten.
  Degraded(suspect_count: Int, dead_count: Int)
  /// No other node is alive.
  Isolated
}

/// How a node does.
pub type NodeHealth {
  /// It is alive.
  NodeHealthy
  /// It is this one, alive, and slow for these reasons. Others are not known so
  /// well.
  NodeStrained(reasons: List(Reason))
  /// It does not answer everybody.
  NodeSuspect
  /// It is dead, has left, or is not known.
  NodeDown
}

/// Why this node is slow.
pub type Reason {
  /// Its companion was late to answer others, or to hear them: it waits so many
  /// times as long before it suspects anybody, 9 at most.
  SlowToAnswer(multiplier: Int)
  /// The companion does what it has to so late: the machine has too much to do.
  Lagging(milliseconds: Int)
  /// These do not read what is sent to them.
  FullQueues(nodes: List(String))
}

/// Why nothing can be said.
pub type HealthError {
  /// There is no companion now.
  NotRunning
  /// It did not answer in time.
  Timeout
}

/// Whether there are other nodes and no doubts about any of them. `False`
/// without a companion.
///
/// ```gleam
/// import remora/cluster
/// import remora/health
/// import remora/settings
///
/// settings.set_allow_atom_creation(True)
/// let assert Ok(Nil) = settings.set_max_new_atoms(100)
/// let assert Ok(Nil) = cluster.connect("other@127.0.0.1")
/// let _healthy = health.is_healthy()
/// ```
pub fn is_healthy() -> Bool {
  cluster_health() == Ok(Healthy)
}

/// How one node does. Read here, but for this VM and its companion, which is
/// asked.
///
/// ```gleam
/// import remora/health
///
/// let assert Ok(health.NodeDown) = health.node_health("nobody@127.0.0.1")
/// case health.node_health("app@127.0.0.1") {
///   Ok(health.NodeStrained([health.Lagging(ms), ..])) -> ms > 100
///   _ -> True
/// }
/// ```
@external(erlang, "remora_membership_ffi", "node_health")
pub fn node_health(node: String) -> Result(NodeHealth, HealthError)

/// How the whole cluster does.
///
/// ```gleam
/// import remora/health
///
/// let assert Ok(_health) = health.cluster_health()
/// ```
@external(erlang, "remora_membership_ffi", "cluster_health")
pub fn cluster_health() -> Result(ClusterHealth, HealthError)

/// How many nodes are alive, this VM included. Companions are nodes too: those
/// of other VMs count, this VM's own does not.
///
/// ```gleam
/// import remora/health
///
/// let assert Ok(_alive) = health.alive_count()
/// ```
@external(erlang, "remora_membership_ffi", "alive_count")
pub fn alive_count() -> Result(Int, HealthError)

/// How many nodes are suspected.
///
/// ```gleam
/// import remora/health
///
/// let assert Ok(_count) = health.suspect_count()
/// ```
@external(erlang, "remora_membership_ffi", "suspect_count")
pub fn suspect_count() -> Result(Int, HealthError)

/// How many nodes are dead, and not yet forgotten.
///
/// ```gleam
/// import remora/health
///
/// let assert Ok(_count) = health.dead_count()
/// ```
@external(erlang, "remora_membership_ffi", "dead_count")
pub fn dead_count() -> Result(Int, HealthError)

/// Whether more than half of so many nodes are alive, this VM included; one that
/// is suspected is not counted. `False` without a companion.
///
/// ```gleam
/// import remora/health
///
/// let assert True = health.has_quorum(1)
/// let assert False = health.has_quorum(1000)
/// ```
@external(erlang, "remora_health", "has_quorum")
pub fn has_quorum(expected: Int) -> Bool

/// The greatest name of the nodes that are there, as
/// `membership.current_leader`: good for a hint, not for a decision. One leader
/// is `remora/election`'s.
///
/// ```gleam
/// import remora/health
///
/// let assert Ok(_node) = health.current_leader()
/// ```
@external(erlang, "remora_membership_ffi", "greatest")
pub fn current_leader() -> Result(String, HealthError)

/// A sentence for people.
///
/// ```gleam
/// import remora/health
///
/// let assert "no companion runs; start remora, or wait until it is back" =
///   health.describe_health_error(health.NotRunning)
/// ```
pub fn describe_health_error(error: HealthError) -> String {
  case error {
    NotRunning -> text.not_running
    Timeout -> text.no_answer
  }
}
