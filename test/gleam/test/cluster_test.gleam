//// Nodes: whom the companion meets, and why it does not.

import gleam/list
import gleam/string
import remora/cluster
import remora/health
import remora/settings
import tests

fn allow_atoms() {
  settings.set_allow_atom_creation(True)
  let assert Ok(Nil) = settings.set_max_new_atoms(10_000)
}

pub fn the_other_node_is_there_test() {
  tests.together()
  let assert Ok(nodes) = cluster.nodes()
  let assert True = list.contains(nodes, tests.other)
  let assert False = list.contains(nodes, cluster.self_node())
  let assert Ok(count) = cluster.connected_count()
  let assert True = count == list.length(nodes)
  let assert True = cluster.ping(tests.other)
  let assert True = cluster.ping(cluster.self_node())
  let assert Ok(health) = cluster.health()
  let assert True = health.visible == count
  let assert "app_remora@127.0.0.1" = health.companion
}

pub fn health_follows_the_nodes_test() {
  tests.together()
  let assert True = health.is_healthy()
  let assert Ok(health.Healthy) = health.cluster_health()
  let assert Ok(alive) = health.alive_count()
  let assert True = alive >= 2
  let assert True = health.has_quorum(alive)
  let assert False = health.has_quorum(alive * 2)
  let assert Ok(health.NodeHealthy) = health.node_health(tests.other)
}

pub fn a_node_that_is_not_there_test() {
  allow_atoms()
  let assert Error(cluster.NotReached("absent@127.0.0.1", "not_registered")) =
    cluster.connect("absent@127.0.0.1")
  let assert False = cluster.ping("absent@127.0.0.1")
  let assert Error(cluster.NotConnected("absent@127.0.0.1")) =
    cluster.disconnect("absent@127.0.0.1")
}

pub fn what_is_no_name_test() {
  allow_atoms()
  let names = ["", "a", "@", "a@", "@b", "a@b@c"]
  list.each(names, fn(name) {
    let assert Error(cluster.InvalidNode(_)) = cluster.connect(name)
    let assert False = cluster.ping(name)
  })
  let long = string.repeat("a", times: 300) <> "@127.0.0.1"
  let assert Error(cluster.NoSuchAtom(_)) = cluster.connect(long)
}

pub fn a_vm_is_a_node_once_test() {
  let assert Error(cluster.AlreadyStarted) =
    cluster.start_node("again@127.0.0.1", "secret")
  let assert Error(cluster.StopNotAllowed) = cluster.stop_node()
}

pub fn disconnected_in_order_test() {
  tests.together()
  let assert Ok(Nil) = cluster.disconnect(tests.other)
  let assert Ok(nodes) = cluster.nodes()
  let assert False = list.contains(nodes, tests.other)
  let assert Error(cluster.NotConnected(_)) = cluster.disconnect(tests.other)
  allow_atoms()
  let assert Ok(Nil) = cluster.connect(tests.other)
  let assert Ok(nodes) = cluster.nodes()
  let assert True = list.contains(nodes, tests.other)
}
