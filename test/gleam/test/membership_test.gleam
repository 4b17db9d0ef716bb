//// Membership, gossip and health beside a companion, with the second node as a
//// member that has none.

import gleam/erlang/process
import gleam/list
import gleam/option.{None, Some}
import gleam/string
import remora/cluster
import remora/gossip
import remora/health
import remora/membership
import remora/monitor
import remora/settings
import tests

const own = "app@127.0.0.1"

const companion = "app_remora@127.0.0.1"

fn start() -> Nil {
  let options =
    membership.default_options()
    |> membership.with_interval(100)
    |> membership.with_probe_timeout(40)
    |> membership.with_metadata([])
  let assert Ok(Nil) = membership.start_service_with(options)
  Nil
}

fn find(node: String) -> Result(membership.Member, Nil) {
  let assert Ok(members) = membership.members()
  list.find(members, fn(member) { member.node == node })
}

pub fn who_is_a_member_test() {
  tests.together()
  start()
  let both = fn() {
    case membership.alive() {
      Ok(alive) ->
        list.contains(alive, own)
        && list.contains(alive, companion)
        && list.contains(alive, tests.other)
      Error(_) -> False
    }
  }
  let assert Ok(Nil) = tests.eventually(5000, both)
  let assert Ok(member) = find(companion)
  let assert membership.Remora = member.kind
  let assert Some(_address) = member.address
  let assert None = member.companion
  let assert Ok(member) = find(tests.other)
  let assert membership.Beam = member.kind
  let assert None = member.address
  // This VM is seen by its companion, which it has named.
  let named = fn() {
    case find(own) {
      Ok(member) -> member.companion == Some(companion)
      Error(Nil) -> False
    }
  }
  let assert Ok(Nil) = tests.eventually(5000, named)
  let assert Ok(leader) = membership.current_leader()
  let assert True = leader == tests.other
  let assert Ok([]) = membership.suspect()
  let assert Ok(members) = membership.members_with_status()
  let assert True =
    list.contains(list.map(members, fn(member) { member.0 }), companion)
}

pub fn a_node_goes_and_comes_test() {
  tests.together()
  start()
  settings.set_allow_atom_creation(True)
  let assert Ok(Nil) = settings.set_max_new_atoms(10_000)
  let alive = fn() {
    case find(tests.other) {
      Ok(member) -> member.status == membership.Alive
      Error(Nil) -> False
    }
  }
  let assert Ok(Nil) = tests.eventually(5000, alive)
  let events = process.new_subject()
  let nodes = process.new_subject()
  let assert Ok(subscription) = membership.subscribe(events)
  let assert Ok(watch) = monitor.monitor_node(tests.other, nodes)
  let assert Ok(Nil) = cluster.disconnect(tests.other)
  let assert Ok(monitor.NodeDown("other@127.0.0.1", _reason)) =
    process.receive(nodes, within: 5000)
  let gone = fn() {
    case find(tests.other) {
      Ok(member) -> member.status != membership.Alive
      Error(Nil) -> True
    }
  }
  let assert Ok(Nil) = tests.eventually(10_000, gone)
  let assert Ok(Nil) = cluster.connect(tests.other)
  let assert Ok(monitor.NodeUp("other@127.0.0.1")) =
    process.receive(nodes, within: 5000)
  let assert Ok(Nil) = tests.eventually(5000, alive)
  // It was told that it went, by whatever name, and that it came.
  let heard = all_of(events)
  let assert True = list.contains(heard, "down") || list.contains(heard, "left")
  let assert True = list.contains(heard, "joined")
  monitor.demonitor_node(watch)
  membership.unsubscribe(subscription)
}

fn all_of(
  events: process.Subject(membership.MembershipEvent),
) -> List(String) {
  case process.receive(events, within: 100) {
    Error(Nil) -> []
    Ok(membership.MemberDied(member)) -> about(member, "down", events)
    Ok(membership.MemberForgotten("other@127.0.0.1")) -> [
      "down",
      ..all_of(events)
    ]
    Ok(membership.MemberLeft(member)) -> about(member, "left", events)
    Ok(membership.MemberJoined(member)) -> about(member, "joined", events)
    Ok(_) -> all_of(events)
  }
}

fn about(
  member: membership.Member,
  word: String,
  events: process.Subject(membership.MembershipEvent),
) -> List(String) {
  case member.node == tests.other {
    True -> [word, ..all_of(events)]
    False -> all_of(events)
  }
}

pub fn metadata_and_events_test() {
  start()
  let events = process.new_subject()
  let assert Ok(subscription) = membership.subscribe(events)
  let assert Ok(Nil) = membership.set_metadata([#("zone", "a"), #("rack", "7")])
  let assert Ok(member) = find(companion)
  let assert [#("rack", "7"), #("zone", "a")] = member.metadata
  let assert Ok(membership.MemberUpdated(updated)) =
    process.receive(events, within: 5000)
  let assert True = updated.node == companion
  // 3 + 1 + 508.
  let assert Ok(Nil) =
    membership.set_metadata([#("k", string.repeat("x", times: 508))])
  let assert Error(membership.TooLarge(513, 512)) =
    membership.set_metadata([#("k", string.repeat("x", times: 509))])
  let assert Ok(membership.MemberUpdated(_)) =
    process.receive(events, within: 5000)
  let assert Ok(Nil) = membership.event("deployed", <<"v12":utf8>>)
  let assert Ok(membership.EventHeard(from, "deployed", <<"v12":utf8>>)) =
    process.receive(events, within: 5000)
  let assert True = from == companion
  let assert Error(membership.TooLarge(513, 512)) =
    membership.event(string.repeat("x", times: 513), <<>>)
  let assert Ok(Nil) = membership.set_metadata([])
  membership.unsubscribe(subscription)
}

pub fn counts_test() {
  start()
  let assert Ok(metrics) = membership.metrics()
  let assert True = metrics.deaths >= 0
  let assert True = metrics.refused == 0
}

pub fn gossip_test() {
  start()
  let assert Ok(entries) = gossip.local_view()
  let assert Ok(entry) =
    list.find(entries, fn(entry) { entry.node == companion })
  let assert True = entry.timestamp > 1_700_000_000_000
  // Hearsay of this node is objected to, with a greater incarnation.
  let suspicion =
    gossip.GossipEntry(companion, membership.Suspect, entry.incarnation, 0)
  let assert Ok(Nil) = gossip.merge_single(suspicion)
  let objected = fn() {
    case gossip.local_view() {
      Ok(now) ->
        list.any(now, fn(member) {
          member.node == companion
          && member.status == membership.Alive
          && member.incarnation > entry.incarnation
        })
      Error(_) -> False
    }
  }
  let assert Ok(Nil) = tests.eventually(5000, objected)
  let assert Ok(Nil) = gossip.receive_and_merge(entries)
  let assert Error(gossip.UnknownNode("nobody@127.0.0.1")) =
    gossip.send_to("nobody@127.0.0.1", entries)
  let assert [] = gossip.pick_random_peers(["a", "b"], 0)
  let assert [] = gossip.pick_random_peers(["a", "b"], -1)
  let picked = gossip.pick_random_peers(["a", "b", "c", "d"], 3)
  let assert 3 = list.length(list.unique(picked))
}

pub fn health_test() {
  tests.together()
  start()
  let assert Ok(Nil) = tests.eventually(5000, health.is_healthy)
  let assert Ok(health.Healthy) = health.cluster_health()
  let assert Ok(2) = health.alive_count()
  let assert Ok(0) = health.suspect_count()
  let assert Ok(0) = health.dead_count()
  let assert True = health.has_quorum(3)
  let assert False = health.has_quorum(4)
  let assert Ok(health.NodeHealthy) = health.node_health(tests.other)
  let assert Ok(health.NodeDown) = health.node_health("nobody@127.0.0.1")
  let assert Ok(_) = health.node_health(own)
  let assert Ok("other@127.0.0.1") = health.current_leader()
  // And by connections, without membership.
  let assert Ok(Nil) = membership.stop_service()
  let assert Error(membership.NotStarted) = membership.alive()
  let assert Error(membership.NotTold(membership.NotStarted)) =
    membership.set_metadata([])
  let assert Error(membership.NotStarted) = gossip.local_view()
  let assert Ok(health.Healthy) = health.cluster_health()
  let assert Ok(2) = health.alive_count()
  let assert Ok(0) = health.suspect_count()
  let assert Ok(health.NodeHealthy) = health.node_health(own)
  let assert Ok(health.NodeHealthy) = health.node_health(tests.other)
  let assert Ok("other@127.0.0.1") = health.current_leader()
}

pub fn wrong_options_test() {
  let wrong = fn(options) {
    let assert Error(membership.InvalidOption(name, _text)) =
      membership.start_service_with(options)
    name
  }
  let options = membership.default_options()
  let assert "interval" = wrong(membership.with_interval(options, 0))
  let assert "probe_timeout" = wrong(membership.with_probe_timeout(options, -1))
  let assert "indirect_probes" =
    wrong(membership.with_indirect_probes(options, -1))
  let assert "suspicion_min" = wrong(membership.with_suspicion_min(options, -1))
  let assert "suspicion_max_factor" =
    wrong(membership.with_suspicion_max_factor(options, 0))
  let assert "sync_interval" = wrong(membership.with_sync_interval(options, 0))
  let assert "port" = wrong(membership.with_port(options, 65_536))
  let assert "address" = wrong(membership.with_address(options, ""))
  let assert "key_file" = wrong(membership.with_key_file(options, "/no/such"))
  let long = string.repeat("x", times: 600)
  let assert "metadata" =
    wrong(membership.with_metadata(options, [#("k", long)]))
  // The latest counts.
  let assert Ok(Nil) =
    options
    |> membership.with_interval(0)
    |> membership.with_interval(200)
    |> membership.with_expelling(True)
    |> membership.with_expelling(False)
    |> membership.start_service_with
  let assert Ok(Nil) = membership.stop_service()
}

pub fn a_companion_is_killed_test() {
  tests.together()
  start()
  let assert Ok(Nil) = membership.set_metadata([#("zone", "b")])
  tests.kill_companion()
  let again = fn() {
    case membership.members() {
      Ok(members) ->
        list.any(members, fn(member) {
          member.node == companion && member.metadata == [#("zone", "b")]
        })
      Error(_) -> False
    }
  }
  // It is started again, and has been told again.
  let away = fn() { membership.alive() == Error(membership.NotRunning) }
  let assert Ok(Nil) = tests.eventually(5000, away)
  let assert Ok(Nil) = tests.eventually(10_000, again)
  let assert Ok(Nil) = membership.stop_service()
}
