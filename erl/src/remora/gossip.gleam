//// What companions tell each other of the members of a cluster, for who has
//// news of nodes from elsewhere: an orchestrator, another cluster's view.
////
//// What is told is hearsay, and nobody dies of it: who is said to be gone is
//// probed at once, and who is said to be there is asked whether it is. This node
//// itself objects, with a greater incarnation. Of an incarnation below that
//// which is known, and of nodes that are not known, nothing is learnt.
////
//// ```gleam
//// import remora/gossip
//// import remora/membership
////
//// let assert Ok(Nil) = membership.start_service(500)
//// let assert Ok([_, ..]) = gossip.local_view()
//// let assert [_, _] = gossip.pick_random_peers(["a", "b", "c"], 2)
//// ```

import remora/membership.{type MembershipError, type Status}

/// What is known of a node, and when this VM heard its status, in milliseconds
/// since 1970.
pub type GossipEntry {
  GossipEntry(node: String, status: Status, incarnation: Int, timestamp: Int)
}

/// Why it was not told.
pub type GossipError {
  /// No member has this name, or it takes no part itself.
  UnknownNode(node: String)
  NotTold(error: MembershipError)
}

/// What this node knows of all nodes: the companion is asked.
///
/// ```gleam
/// import remora/gossip
/// import remora/membership
///
/// let assert Ok(Nil) = membership.start_service(500)
/// let assert Ok([_, ..]) = gossip.local_view()
/// ```
@external(erlang, "remora_membership_ffi", "local_view")
pub fn local_view() -> Result(List(GossipEntry), MembershipError)

/// Tells a member, which learns from it as from `receive_and_merge`.
///
/// ```gleam
/// import remora/gossip
/// import remora/membership
///
/// let assert Ok(Nil) = membership.start_service(500)
/// let assert Error(gossip.UnknownNode("unheard_of@10.0.0.2")) =
///   gossip.send_to("unheard_of@10.0.0.2", [])
/// ```
@external(erlang, "remora_membership_ffi", "send_to")
pub fn send_to(
  node: String,
  entries: List(GossipEntry),
) -> Result(Nil, GossipError)

/// Learns from what somebody told.
///
/// ```gleam
/// import remora/gossip
/// import remora/membership
///
/// let assert Ok(Nil) = membership.start_service(500)
/// let assert Ok(entries) = gossip.local_view()
/// let assert Ok(Nil) = gossip.receive_and_merge(entries)
/// ```
@external(erlang, "remora_membership_ffi", "merge")
pub fn receive_and_merge(
  entries: List(GossipEntry),
) -> Result(Nil, MembershipError)

/// Learns one thing. This node itself objects to being suspected.
///
/// ```gleam
/// import remora/gossip
/// import remora/membership
///
/// let assert Ok(Nil) = membership.start_service(500)
/// let own = "app_remora@127.0.0.1"
/// let entry = gossip.GossipEntry(own, membership.Suspect, 0, 0)
/// let assert Ok(Nil) = gossip.merge_single(entry)
/// ```
pub fn merge_single(entry: GossipEntry) -> Result(Nil, MembershipError) {
  receive_and_merge([entry])
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

/// A sentence for people: what was found and what to do.
///
/// ```gleam
/// import remora/gossip
///
/// let assert "b@h is no member that takes part in membership itself" =
///   gossip.describe_gossip_error(gossip.UnknownNode("b@h"))
/// ```
pub fn describe_gossip_error(error: GossipError) -> String {
  case error {
    UnknownNode(node) ->
      node <> " is no member that takes part in membership itself"
    NotTold(error) -> membership.describe_membership_error(error)
  }
}
