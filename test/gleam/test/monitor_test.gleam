//// The ends of processes and the comings and goings of nodes.

import gleam/erlang/process
import remora/cluster
import remora/monitor
import remora/settings
import tests

fn down_of(pid: process.Pid, and_then: fn() -> Nil) -> monitor.DownReason {
  let watch = monitor.monitor(pid)
  and_then()
  let assert Ok(monitor.Down(of, reason)) =
    process.new_selector()
    |> monitor.select_down(watch, fn(down) { down })
    |> process.selector_receive(within: 5000)
  let assert True = of == pid
  reason
}

pub fn a_process_of_another_node_ends_test() {
  tests.together()
  let pid = tests.on_other(tests.collector)
  let assert monitor.Killed = down_of(pid, fn() { process.kill(pid) })
  let assert monitor.NoProcess = down_of(pid, fn() { Nil })

  let pid = tests.on_other(tests.collector)
  let assert monitor.Crashed("<<\"a reason\">>") =
    down_of(pid, fn() { tests.exit_pid(pid, tests.term("a reason")) })
}

pub fn it_had_done_its_work_test() {
  let pid = process.spawn_unlinked(fn() { process.sleep(50) })
  let assert monitor.Normal = down_of(pid, fn() { Nil })
}

pub fn nothing_comes_after_demonitor_test() {
  let pid = tests.collector()
  let watch = monitor.monitor(pid)
  monitor.demonitor(watch)
  process.kill(pid)
  let assert Error(Nil) =
    process.new_selector()
    |> monitor.select_down(watch, fn(down) { down })
    |> process.selector_receive(within: 50)
}

pub fn a_node_goes_and_comes_test() {
  tests.together()
  settings.set_allow_atom_creation(True)
  let assert Ok(Nil) = settings.set_max_new_atoms(10_000)
  let one = process.new_subject()
  let all = process.new_subject()
  let assert Ok(watch_one) = monitor.monitor_node(tests.other, one)
  let assert Ok(watch_all) = monitor.monitor_nodes(all)
  let assert Ok(Nil) = cluster.disconnect(tests.other)
  let assert Ok(monitor.NodeDown("other@127.0.0.1", _reason)) =
    process.receive(one, within: 5000)
  let assert Ok(monitor.NodeDown("other@127.0.0.1", _reason)) =
    process.receive(all, within: 5000)
  let assert Ok(Nil) = cluster.connect(tests.other)
  let assert Ok(monitor.NodeUp("other@127.0.0.1")) =
    process.receive(one, within: 5000)
  let assert Ok(monitor.NodeUp("other@127.0.0.1")) =
    process.receive(all, within: 5000)
  monitor.demonitor_node(watch_one)
  monitor.demonitor_node(watch_all)
}

pub fn a_node_that_is_not_there_test() {
  let nodes = process.new_subject()
  let name = tests.unique("nobody") <> "@127.0.0.1"
  let before = tests.atom_count()
  let assert Ok(watch) = monitor.monitor_node(name, nodes)
  let assert Ok(monitor.NodeDown(node, "not_connected")) =
    process.receive(nodes, within: 5000)
  let assert True = node == name
  let assert True = tests.atom_count() == before
  monitor.demonitor_node(watch)
}
