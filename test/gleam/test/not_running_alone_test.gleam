//// Without a companion every function says so, at once.

import gleam/dynamic
import gleam/erlang/process
import remora
import remora/cluster
import remora/codec
import remora/election
import remora/gossip
import remora/groups
import remora/health
import remora/membership
import remora/messaging
import remora/monitor
import remora/registry
import remora/remote_call
import tests

fn at_once(run: fn() -> a) -> a {
  let #(took, answer) = tests.elapsed(run)
  let assert True = took < 100
  answer
}

pub fn names_test() {
  let me = process.self()
  let of = registry.name("n", codec.int())
  let assert Error(registry.NotRunning) =
    at_once(fn() { registry.register("n", me) })
  let assert Error(registry.NotRunning) =
    at_once(fn() { registry.re_register("n", me) })
  let assert [Error(registry.NotRunning), Error(registry.NotRunning)] =
    at_once(fn() { registry.register_many([#("n", me), #("m", me)]) })
  let assert Error(registry.NotRunning) =
    at_once(fn() { registry.register_subject(of, process.new_subject()) })
  let assert Error(registry.UnregisterNotRunning) =
    at_once(fn() { registry.unregister("n") })
  let assert Error(registry.LookupNotRunning) =
    at_once(fn() { registry.whereis("n") })
  let assert Error(registry.LookupNotRunning) =
    at_once(fn() { registry.whereis_fresh("n") })
  let assert Error(registry.LookupNotRunning) =
    at_once(fn() { registry.await(of, within: 5000) })
  let assert Error(registry.LookupNotRunning) = at_once(registry.names)
  let assert Error(registry.LookupNotRunning) =
    at_once(fn() { registry.subscribe(process.new_subject()) })
  let assert False = registry.is_registered("n")
}

pub fn groups_test() {
  let me = process.self()
  let of = groups.group("g", codec.int())
  let assert Error(groups.NotRunning) = at_once(fn() { groups.join("g", me) })
  let assert Error(groups.NotRunning) = at_once(fn() { groups.leave("g", me) })
  let assert Error(groups.NotRunning) = at_once(fn() { groups.members("g") })
  let assert Error(groups.NotRunning) =
    at_once(fn() { groups.local_members("g") })
  let assert Error(groups.NotRunning) = at_once(groups.groups)
  let assert Error(groups.NotRunning) =
    at_once(fn() { groups.broadcast(of, 1) })
  let assert Error(groups.NotRunning) =
    at_once(fn() { groups.broadcast_local(of, 1) })
  let assert Error(groups.NotRunning) =
    at_once(fn() { groups.join_subject(of, process.new_subject()) })
  let assert Error(groups.NotRunning) =
    at_once(fn() { groups.subscribe("g", process.new_subject()) })
  let assert Error(groups.NotRunning) =
    at_once(fn() { groups.start_scope("pg") })
}

pub fn nodes_test() {
  let assert Error(cluster.NotRunning) =
    at_once(fn() { cluster.connect(tests.other) })
  let assert Error(cluster.DisconnectNotRunning) =
    at_once(fn() { cluster.disconnect(tests.other) })
  let assert Error(cluster.ReadNotRunning) = at_once(cluster.nodes)
  let assert Error(cluster.ReadNotRunning) = at_once(cluster.hidden_nodes)
  let assert Error(cluster.ReadNotRunning) = at_once(cluster.connected_count)
  let assert Error(cluster.ReadNotRunning) = at_once(cluster.companion)
  let assert Error(cluster.ReadNotRunning) = at_once(cluster.health)
  let assert False = at_once(fn() { cluster.ping(tests.other) })
  let assert False = at_once(health.is_healthy)
  let assert False = at_once(fn() { health.has_quorum(1) })
  let assert Error(health.NotRunning) = at_once(health.cluster_health)
  let assert Error(monitor.NotRunning) =
    at_once(fn() { monitor.monitor_nodes(process.new_subject()) })
}

pub fn membership_test() {
  let assert Error(membership.StartFailed(membership.NotRunning)) =
    at_once(fn() { membership.start_service(500) })
  let assert Error(membership.NotRunning) = at_once(membership.stop_service)
  let assert Error(membership.NotRunning) = at_once(membership.alive)
  let assert Error(membership.NotRunning) = at_once(membership.suspect)
  let assert Error(membership.NotRunning) = at_once(membership.members)
  let assert Error(membership.NotRunning) =
    at_once(membership.members_with_status)
  let assert Error(membership.NotRunning) = at_once(membership.current_leader)
  let assert Error(membership.NotRunning) = at_once(membership.metrics)
  let assert Error(membership.NotTold(membership.NotRunning)) =
    at_once(fn() { membership.set_metadata([]) })
  let assert Error(membership.NotTold(membership.NotRunning)) =
    at_once(fn() { membership.event("e", <<>>) })
  let assert Error(membership.NotRunning) =
    at_once(fn() { membership.subscribe(process.new_subject()) })
  let assert Error(membership.NotRunning) = at_once(gossip.local_view)
  let assert Error(membership.NotRunning) =
    at_once(fn() { gossip.receive_and_merge([]) })
  let entry = gossip.GossipEntry("b@h", membership.Alive, 0, 0)
  let assert Error(membership.NotRunning) =
    at_once(fn() { gossip.merge_single(entry) })
  let assert Error(gossip.NotTold(membership.NotRunning)) =
    at_once(fn() { gossip.send_to("b@h", [entry]) })
  let assert Error(health.NotRunning) = at_once(health.alive_count)
  let assert Error(health.NotRunning) = at_once(health.suspect_count)
  let assert Error(health.NotRunning) = at_once(health.dead_count)
  let assert Error(health.NotRunning) = at_once(health.current_leader)
  let assert Error(health.NotRunning) =
    at_once(fn() { health.node_health("b@h") })
}

pub fn election_test() {
  let assert Error(election.StartFailed(election.NotRunning)) =
    at_once(election.start_service)
  let assert Error(election.NotRunning) = at_once(election.stop_service)
  let assert Error(election.NotRunning) = at_once(election.elect)
  let assert Error(election.NotRunning) = at_once(election.current_leader)
  let assert Error(election.NotRunning) = at_once(election.current_term)
  let assert Error(election.NotRunning) = at_once(election.status)
  let assert False = at_once(election.am_i_leader)
  let assert Error(election.HoldUnknown(election.NotRunning)) =
    at_once(election.fencing_token)
  let assert Error(election.NotChecked(election.NotRunning)) =
    at_once(fn() { election.check_token(1) })
  let assert Error(election.NotChanged(election.NotRunning)) =
    at_once(fn() { election.transfer(to: "b@h") })
  let assert Error(election.NotChanged(election.NotRunning)) =
    at_once(election.resign)
  let assert Error(election.NotChanged(election.NotRunning)) =
    at_once(fn() { election.add_voter("b@h") })
  let assert Error(election.NotChanged(election.NotRunning)) =
    at_once(fn() { election.remove_voter("b@h") })
  let assert Error(election.CampaignFailed(election.NotRunning)) =
    at_once(fn() { election.campaign("n") })
  let assert Error(election.CampaignFailed(election.NotRunning)) =
    at_once(fn() { election.resign_name("n") })
  let assert Error(election.NotRunning) =
    at_once(fn() { election.leader("n") })
  let assert Error(election.HoldUnknown(election.NotRunning)) =
    at_once(fn() { election.holds("n") })
  let assert Error(election.NotRunning) =
    at_once(fn() { election.subscribe(process.new_subject()) })
  let assert Error(election.NotRunning) =
    at_once(fn() { election.subscribe_name("n", process.new_subject()) })
}

pub fn calls_test() {
  let assert Error(remote_call.NotRunning) =
    at_once(fn() { remote_call.call(tests.other, "erlang", "node", []) })
  let assert Error(remote_call.NotRunning) =
    at_once(fn() { remote_call.cast(tests.other, "erlang", "node", []) })
  let assert [#("other@127.0.0.1", Error(remote_call.NotRunning))] =
    at_once(fn() {
      remote_call.multicall([tests.other], "erlang", "abs", [
        dynamic.int(1),
      ], within: 5000)
    })
  let assert Error(messaging.NotRunning) =
    at_once(fn() { messaging.send_global("n", 1, codec.int()) })
}

pub fn remora_test() {
  let assert Error(remora.NotRunning) =
    at_once(fn() { remora.run_once(remora.none()) })
  let assert Error(remora.NotRunning) =
    at_once(fn() { remora.run_once(remora.local_epmd()) })
  let assert Error(remora.NotRunning) =
    at_once(fn() { remora.refresh(within: 1000) })
  let assert Error(remora.NotRunning) =
    at_once(fn() { remora.pause(within: 1000) })
  let assert Error(remora.NotRunning) =
    at_once(fn() { remora.resume(within: 1000) })
  let assert Error(remora.NotRunning) =
    at_once(fn() { remora.shutdown(within: 1000) })
  let assert Error(remora.StatusNotRunning) = at_once(remora.status)
  let assert Error(remora.StatusNotRunning) = at_once(remora.discovery_status)
  let assert Error(remora.StatusNotRunning) =
    at_once(fn() { remora.subscribe(process.new_subject()) })
}

// Messages to a process need no companion.
pub fn messages_go_on_test() {
  let pid = tests.on_other(tests.collector)
  let assert Ok(Nil) = messaging.send(messaging.remote(pid, codec.int()), 1)
  let got = fn() { tests.collected(pid) == [dynamic.int(1)] }
  let assert Ok(Nil) = tests.eventually(5000, got)
  tests.exit_pid(pid, tests.term("done"))
}
