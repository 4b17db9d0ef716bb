//// How a cluster does, as this VM's companion sees it.
////
//// In this version a node is alive when it is connected to the companion.
//// Suspicions come with `remora/membership`, which is not in this version; so
//// nobody is suspect, and a dead node is one that is not connected.
////
//// ```gleam
//// import remora/health
////
//// let assert Ok(alive) = health.alive_count()
//// let assert True = alive >= 1
//// let assert True = health.has_quorum(1)
//// ```

import gleam/list
import gleam/result
import remora/cluster
import remora/internal/text

/// How the whole cluster does.
pub type ClusterHealth {
  /// There are other nodes, and no doubts about any of them.
  Healthy
  /// So many nodes are suspected, so many are dead.
  Degraded(suspect_count: Int, dead_count: Int)
  /// No other node is connected.
  Isolated
}

/// How a node does.
pub type NodeHealth {
  /// It is connected, or it is this one.
  NodeHealthy
  /// It does not answer everybody.
  NodeSuspect
  /// It is not connected.
  NodeDown
}

/// Why nothing can be said.
pub type HealthError {
  /// There is no companion now.
  NotRunning
  /// Not in this version of remora.
  Unsupported
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
/// let assert True = health.is_healthy()
/// ```
pub fn is_healthy() -> Bool {
  cluster_health() == Ok(Healthy)
}

/// How one node does.
///
/// ```gleam
/// import remora/health
///
/// let assert Ok(health.NodeHealthy) = health.node_health("app@127.0.0.1")
/// let assert Ok(health.NodeDown) = health.node_health("nobody@127.0.0.1")
/// ```
pub fn node_health(node: String) -> Result(NodeHealth, HealthError) {
  use nodes <- result.map(all_nodes())
  case list.contains(nodes, node) {
    True -> NodeHealthy
    False -> NodeDown
  }
}

/// How the whole cluster does.
///
/// ```gleam
/// import remora/health
///
/// let assert Ok(_health) = health.cluster_health()
/// ```
pub fn cluster_health() -> Result(ClusterHealth, HealthError) {
  use alive <- result.map(alive_count())
  case alive > 1 {
    True -> Healthy
    False -> Isolated
  }
}

/// How many nodes are alive, this VM included. Companions are nodes too: those
/// of other VMs count, this VM's own does not.
///
/// ```gleam
/// import remora/health
///
/// let assert Ok(_alive) = health.alive_count()
/// ```
pub fn alive_count() -> Result(Int, HealthError) {
  use nodes <- result.map(all_nodes())
  list.length(nodes)
}

/// How many nodes are suspected.
///
/// ```gleam
/// import remora/health
///
/// let assert Error(health.Unsupported) = health.suspect_count()
/// ```
pub fn suspect_count() -> Result(Int, HealthError) {
  Error(Unsupported)
}

/// Whether more than half of so many nodes are alive, this VM included. `False`
/// without a companion.
///
/// ```gleam
/// import remora/health
///
/// let assert True = health.has_quorum(1)
/// let assert False = health.has_quorum(1000)
/// ```
pub fn has_quorum(expected: Int) -> Bool {
  case alive_count() {
    Ok(alive) -> alive * 2 > expected
    Error(_) -> False
  }
}

/// The leader, as `remora/election` says.
///
/// ```gleam
/// import remora/health
///
/// let assert Error(health.Unsupported) = health.current_leader()
/// ```
pub fn current_leader() -> Result(String, HealthError) {
  Error(Unsupported)
}

/// A sentence for people.
///
/// ```gleam
/// import remora/health
///
/// let assert "this is not in this version of remora" =
///   health.describe_health_error(health.Unsupported)
/// ```
pub fn describe_health_error(error: HealthError) -> String {
  case error {
    NotRunning -> text.not_running
    Unsupported -> text.unsupported
  }
}

fn all_nodes() -> Result(List(String), HealthError) {
  cluster.nodes()
  |> result.map(fn(nodes) { [cluster.self_node(), ..nodes] })
  |> result.replace_error(NotRunning)
}
