//// Text of strangers never fills the atom table.

import gleam/dynamic.{type Dynamic}
import gleam/erlang/process
import gleam/string
import remora/cluster
import remora/codec
import remora/groups
import remora/messaging
import remora/monitor
import remora/registry
import remora/remote_call
import remora/settings
import tests

fn times(count: Int, run: fn(Int) -> a) -> Nil {
  case count {
    0 -> Nil
    _ -> {
      run(count)
      times(count - 1, run)
    }
  }
}

// Each function that takes a name, once for each of so many random names.
fn with_random_names(count: Int) {
  let me = process.self()
  times(count, fn(_) {
    let name = fn() { tests.unique("stranger") }
    let node = fn() { name() <> "@127.0.0.1" }
    let assert Error(registry.NotFound) = registry.whereis(name())
    let assert Error(messaging.NoSuchName(_)) =
      messaging.send_global(name(), 1, codec.int())
    let assert Ok([]) = groups.members(name())
    let assert Error(groups.NoSuchAtom(_)) = groups.join_in(name(), "g", me)
    let assert Error(groups.NoSuchAtom(_)) = groups.start_scope(name())
    let assert Error(cluster.NoSuchAtom(_)) = cluster.connect(node())
    let assert Error(cluster.NotConnected(_)) = cluster.disconnect(node())
    let assert False = cluster.ping(node())
    let assert Error(remote_call.RpcNoSuchAtom(_)) =
      remote_call.call(node(), "lists", "sum", [])
    let assert Error(remote_call.RpcNoSuchAtom(_)) =
      remote_call.call(tests.other, name(), "run", [])
    let assert Error(codec.NotATerm) =
      codec.decode(codec.term(), atom(name()))
  })
}

// An atom of this text in the external format.
fn atom(text: String) -> BitArray {
  <<131, 119, string.byte_size(text):8, text:utf8>>
}

pub fn a_hundred_thousand_names_make_no_atom_test() {
  // Once before, for what is loaded meanwhile.
  with_random_names(1)
  let before = tests.atom_count()
  // Eleven of them each time.
  with_random_names(10_000)
  let assert True = tests.atom_count() == before
}

pub fn names_and_groups_are_no_atoms_test() {
  tests.together()
  let once = fn(_) {
    let name = tests.unique("ours")
    let pid = tests.collector()
    let assert Ok(Nil) = registry.register(name, pid)
    let assert Ok(Nil) = groups.join(name, pid)
    let assert Ok(1) = groups.broadcast(groups.group(name, codec.int()), 1)
    let assert Ok(watch) =
      monitor.monitor_node(name <> "@127.0.0.1", process.new_subject())
    monitor.demonitor_node(watch)
    tests.exit_pid(pid, tests.term("done"))
  }
  once(0)
  let before = tests.atom_count()
  times(100, once)
  let assert True = tests.atom_count() == before
}

pub fn the_budget_is_not_exceeded_test() {
  tests.together()
  settings.set_allow_atom_creation(True)
  let made = new_atoms()
  let assert Ok(Nil) = settings.set_max_new_atoms(made + 4)
  let strange = fn() {
    remote_call.call(tests.other, tests.unique("module"), "run", [])
  }
  // Once before, for what is loaded meanwhile.
  let assert Error(_) = strange()
  let before = tests.atom_count()
  let assert Error(remote_call.RpcUndefined(_, "run", 0)) = strange()
  let assert Error(remote_call.RpcUndefined(_, "run", 0)) = strange()
  let assert Error(remote_call.RpcUndefined(_, "run", 0)) = strange()
  let assert Error(remote_call.RpcAtomBudgetSpent(_)) = strange()
  let assert True = tests.atom_count() - before == 3
}

@external(erlang, "remora_settings", "new_atoms")
fn new_atoms() -> Int

pub fn what_is_no_text_at_all_test() {
  // Gleam's types say that it is text; a careless FFI may say otherwise.
  let bytes: String = tests.believe(<<255, 254>>)
  let assert Error(registry.NotFound) = registry.whereis(bytes)
  let assert Error(cluster.InvalidNode(_)) = cluster.connect(bytes)
  let assert Error(remote_call.RpcNoSuchAtom(_)) =
    remote_call.call(tests.other, bytes, "run", [])
  let _: Dynamic = tests.term(Nil)
}
