//// What companions tell each other of the members of a cluster.
////
//// **Not in this version of remora**, but for `pick_random_peers`: the other
//// functions return `Unsupported`.
////
//// ```gleam
//// import remora/gossip
////
//// let assert [_, _] = gossip.pick_random_peers(["a", "b", "c"], 2)
//// ```

import remora/internal/text
import remora/membership.{type Status}

/// What is known of a node, and when it was learnt, in milliseconds since 1970.
pub type GossipEntry {
  GossipEntry(node: String, status: Status, incarnation: Int, timestamp: Int)
}

/// Why it was not done.
pub type GossipError {
  /// Not in this version of remora.
  Unsupported
  /// Membership is not started, or there is no companion now.
  NotRunning
}

/// What this node knows of all nodes.
///
/// ```gleam
/// import remora/gossip
///
/// let assert Error(gossip.Unsupported) = gossip.local_view()
/// ```
pub fn local_view() -> Result(List(GossipEntry), GossipError) {
  Error(Unsupported)
}

/// Tells a node.
///
/// ```gleam
/// import remora/gossip
///
/// let assert Error(gossip.Unsupported) = gossip.send_to("b@10.0.0.2", [])
/// ```
pub fn send_to(
  _node: String,
  _entries: List(GossipEntry),
) -> Result(Nil, GossipError) {
  Error(Unsupported)
}

/// Learns from what a node told.
///
/// ```gleam
/// import remora/gossip
///
/// let assert Error(gossip.Unsupported) = gossip.receive_and_merge([])
/// ```
pub fn receive_and_merge(
  _entries: List(GossipEntry),
) -> Result(Nil, GossipError) {
  Error(Unsupported)
}

/// Learns one thing. The higher incarnation is right; of two alike, the worse
/// status.
///
/// ```gleam
/// import remora/gossip
/// import remora/membership
///
/// let entry = gossip.GossipEntry("b@10.0.0.2", membership.Suspect, 3, 0)
/// let assert Error(gossip.Unsupported) = gossip.merge_single(entry)
/// ```
pub fn merge_single(_entry: GossipEntry) -> Result(Nil, GossipError) {
  Error(Unsupported)
}

/// So many of the nodes, by chance, none twice; all of them when there are no
/// more.
///
/// ```gleam
/// import remora/gossip
///
/// let assert [] = gossip.pick_random_peers([], 2)
/// let assert ["a"] = gossip.pick_random_peers(["a"], 2)
/// ```
@external(erlang, "remora_ffi", "pick_random")
pub fn pick_random_peers(nodes: List(String), count: Int) -> List(String)

/// A sentence for people.
///
/// ```gleam
/// import remora/gossip
///
/// let assert "this is not in this version of remora" =
///   gossip.describe_gossip_error(gossip.Unsupported)
/// ```
pub fn describe_gossip_error(error: GossipError) -> String {
  case error {
    Unsupported -> text.unsupported
    NotRunning -> text.not_running
  }
}
