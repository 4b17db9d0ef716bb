//// Names: what OTP's `global` on another node sees of ours, and we of its.

import gleam/erlang/atom
import gleam/erlang/process
import gleam/list
import gleam/string
import remora/codec
import remora/messaging
import remora/registry
import tests

pub fn erlang_finds_ours_test() {
  tests.together()
  let name = tests.unique("ours")
  let me = process.self()
  let assert Ok(Nil) = registry.register(name, me)
  // At once, or when the other node has joined.
  let found = fn() {
    tests.on_other(fn() { tests.whereis_global(tests.term(name)) }) == Ok(me)
  }
  let assert Ok(Nil) = tests.eventually(5000, found)
  let assert Ok(Nil) = registry.unregister(name)
  let assert Error(Nil) =
    tests.on_other(fn() { tests.whereis_global(tests.term(name)) })
}

pub fn we_find_erlangs_test() {
  tests.together()
  let text = tests.unique("theirs")
  let pid = tests.on_other(tests.collector)
  let assert True =
    tests.on_other(fn() { tests.register_global(tests.term(text), pid) })
  let assert Ok(_) = registry.await(registry.name(text, codec.int()), 5000)
  let assert True = registry.whereis(text) == Ok(pid)
  tests.exit_pid(pid, tests.term("done"))
  let assert Ok(Nil) =
    tests.eventually(5000, fn() { registry.is_registered(text) == False })
}

pub fn an_atom_is_found_by_its_text_test() {
  tests.together()
  let pid = tests.on_other(tests.collector)
  let name = atom.create("an_old_friend")
  let assert True =
    tests.on_other(fn() { tests.register_global(tests.term(name), pid) })
  let found = fn() { registry.whereis("an_old_friend") == Ok(pid) }
  let assert Ok(Nil) = tests.eventually(5000, found)
  let assert True = registry.whereis_fresh("an_old_friend") == Ok(pid)
  let assert Ok(names) = registry.names()
  let assert True = list.contains(names, "an_old_friend")
  tests.exit_pid(pid, tests.term("done"))
}

pub fn a_name_is_taken_once_test() {
  let name = tests.unique("taken")
  let first = tests.collector()
  let assert Ok(Nil) = registry.register(name, first)
  let assert Error(registry.AlreadyNamed) = registry.register(name, first)
  let assert True =
    registry.register(name, process.self()) == Error(registry.Taken(first))
  tests.exit_pid(first, tests.term("done"))
  let assert Ok(Nil) =
    tests.eventually(5000, fn() {
      registry.register(name, process.self()) == Ok(Nil)
    })
}

pub fn every_rule_for_conflicts_is_taken_test() {
  let rules = [
    registry.RandomExit,
    registry.RandomNotify,
    registry.NotifyAll,
    registry.LowestPid,
    registry.HighestPid,
    registry.KeepLocal,
    registry.KillBoth,
    registry.NodePriority([tests.other]),
  ]
  list.each(rules, fn(rule) {
    let assert Ok(Nil) =
      registry.register_with(tests.unique("rule"), tests.collector(), rule)
  })
  let assert Error(registry.NoSuchAtom(_)) =
    registry.register_with(
      tests.unique("rule"),
      process.self(),
      registry.NodePriority([tests.unique("node")]),
    )
}

pub fn a_subject_is_reached_from_another_node_test() {
  tests.together()
  let name = tests.unique("subject")
  let inbox = process.new_subject()
  let of = registry.name(name, codec.pair(codec.string(), codec.int()))
  let assert Ok(Nil) = registry.register_subject(of, inbox)
  // As Erlang would say it: global:send(Name, {<<"a">>, 1}).
  tests.on_other(fn() {
    let assert Ok(pid) = tests.whereis_global(tests.term(name))
    tests.send_raw(pid, tests.term(#("a", 1)))
  })
  let assert Ok(#("a", 1)) = process.receive(inbox, within: 5000)
}

pub fn what_the_codec_does_not_understand_is_dropped_test() {
  let name = tests.unique("strict")
  let inbox = process.new_subject()
  let assert Ok(Nil) =
    registry.register_subject(registry.name(name, codec.int()), inbox)
  let assert Ok(door) = registry.whereis(name)
  let lines =
    tests.with_log(fn() {
      tests.send_raw(door, tests.term("no number"))
      tests.send_raw(door, tests.term(#("DOWN", 1, 2, door, Nil)))
      tests.send_raw(door, tests.term(Nil))
      tests.send_raw(door, tests.term(7))
      let assert Ok(7) = process.receive(inbox, within: 5000)
    })
  let assert Error(Nil) = process.receive(inbox, within: 0)
  // One line, though three were dropped: a door logs once in a second.
  let assert [#("warning", text, _)] = lines
  let assert True = string.contains(text, name)
  let assert True = string.contains(text, "expected Int, found String")
  let assert True = string.contains(text, "no number") == False
  let assert True = process.is_alive(door)
}

pub fn a_door_ends_with_its_owner_test() {
  let name = tests.unique("short_lived")
  let me = process.new_subject()
  let owner =
    process.spawn_unlinked(fn() {
      let assert Ok(Nil) =
        registry.register_subject(
          registry.name(name, codec.int()),
          process.new_subject(),
        )
      process.send(me, registry.whereis(name))
      process.sleep(60_000)
    })
  let assert Ok(Ok(door)) = process.receive(me, within: 5000)
  process.kill(owner)
  let assert Ok(Nil) =
    tests.eventually(5000, fn() { process.is_alive(door) == False })
  let assert Ok(Nil) =
    tests.eventually(5000, fn() { registry.is_registered(name) == False })
}

pub fn an_owner_ends_with_its_name_when_the_rule_kills_test() {
  let name = tests.unique("killed")
  let me = process.new_subject()
  let owner =
    process.spawn_unlinked(fn() {
      let assert Ok(Nil) =
        registry.register_subject(
          registry.name(name, codec.int()),
          process.new_subject(),
        )
      process.send(me, registry.whereis(name))
      process.sleep(60_000)
    })
  let assert Ok(Ok(door)) = process.receive(me, within: 5000)
  process.kill(door)
  let assert Ok(Nil) =
    tests.eventually(5000, fn() { process.is_alive(owner) == False })
}

pub fn an_unregistered_subject_is_closed_test() {
  let name = tests.unique("closed")
  let inbox = process.new_subject()
  let of = registry.name(name, codec.int())
  let assert Ok(Nil) = registry.register_subject(of, inbox)
  let assert Ok(door) = registry.whereis(name)
  let assert Ok(Nil) = registry.unregister(name)
  let assert False = process.is_alive(door)
  let assert Ok(Nil) = registry.register_subject(of, inbox)
  let assert Ok(remote) = registry.lookup(of)
  let assert Ok(Nil) = messaging.send(remote, 1)
  let assert Ok(1) = process.receive(inbox, within: 5000)
}

pub fn a_subject_without_owner_test() {
  let nobody = process.named_subject(process.new_name("nobody"))
  let assert Error(registry.NoOwner) =
    registry.register_subject(
      registry.name(tests.unique("nobody"), codec.int()),
      nobody,
    )
}

pub fn a_refused_subject_leaves_no_process_test() {
  let name = tests.unique("refused")
  let assert Ok(Nil) = registry.register(name, tests.collector())
  let of = registry.name(name, codec.int())
  let before = tests.process_count()
  list.each(list.repeat(Nil, 20), fn(_) {
    let assert Error(registry.Taken(_)) =
      registry.register_subject(of, process.new_subject())
  })
  let assert Ok(Nil) =
    tests.eventually(5000, fn() { tests.process_count() <= before + 5 })
}

pub fn waiting_for_a_name_test() {
  let name = tests.unique("awaited")
  let of = registry.name(name, codec.int())
  let #(took, Error(registry.LookupTimeout)) =
    tests.elapsed(fn() { registry.await(of, within: 100) })
  let assert True = took >= 100 && took < 2000
  process.spawn(fn() {
    process.sleep(50)
    let assert Ok(Nil) = registry.register(name, process.self())
    process.sleep(10_000)
  })
  let assert Ok(_) = registry.await(of, within: 5000)
}

pub fn many_names_at_once_test() {
  let pids = list.map(list.repeat(Nil, 100), fn(_) { tests.collector() })
  let names = list.map(pids, fn(pid) { #(tests.unique("many"), pid) })
  let results = registry.register_many(names)
  let assert True = list.all(results, fn(result) { result == Ok(Nil) })
  let assert True =
    list.all(names, fn(entry) {
      let #(name, pid) = entry
      registry.whereis(name) == Ok(pid)
    })
  list.each(pids, tests.exit_pid(_, tests.term("done")))
}

pub fn changes_are_told_in_order_test() {
  let name = tests.unique("watched")
  let changes = process.new_subject()
  let assert Ok(subscription) = registry.subscribe(changes)
  let first = tests.collector()
  let assert Ok(Nil) = registry.register(name, first)
  let assert Ok(Nil) = registry.unregister(name)
  let assert Ok(Nil) = registry.register(name, process.self())
  let assert True = next(changes, name) == registry.Registered(name, first)
  let assert True = next(changes, name) == registry.Unregistered(name)
  let assert True =
    next(changes, name) == registry.Registered(name, process.self())
  registry.unsubscribe(subscription)
  let assert Ok(Nil) = registry.unregister(name)
  let assert Error(Nil) = process.receive(changes, within: 100)
}

// The next change of this name: other tests' processes end when they like.
fn next(changes, name: String) -> registry.NameEvent {
  let assert Ok(event) = process.receive(changes, within: 5000)
  case event {
    registry.Registered(n, _) if n == name -> event
    registry.Unregistered(n) if n == name -> event
    _ -> next(changes, name)
  }
}
