//// Groups: what OTP's `pg` on another node sees of ours, and we of its.

import gleam/erlang/atom
import gleam/erlang/process
import gleam/list
import gleam/string
import remora/codec
import remora/groups
import remora/messaging
import remora/settings
import tests

pub fn erlang_sees_ours_test() {
  tests.together()
  let group = tests.unique("ours")
  let pid = tests.collector()
  // The other node runs the scope from its first join on.
  tests.on_other(fn() {
    tests.pg_join(tests.term(tests.unique("first")), tests.collector())
  })
  let assert Ok(Nil) = groups.join(group, pid)
  let seen = fn() { tests.pg_members(tests.term(group)) }
  let assert Ok(Nil) =
    tests.eventually(5000, fn() { tests.on_other(seen) == [pid] })
  let assert Ok(Nil) = groups.leave(group, pid)
  let assert Ok(Nil) =
    tests.eventually(5000, fn() { tests.on_other(seen) == [] })
}

pub fn we_see_erlangs_test() {
  tests.together()
  let group = tests.unique("theirs")
  let pid = tests.on_other(tests.collector)
  tests.on_other(fn() { tests.pg_join(tests.term(group), pid) })
  let assert Ok(Nil) =
    tests.eventually(5000, fn() { groups.members(group) == Ok([pid]) })
  let assert Ok([]) = groups.local_members(group)
  let assert Ok(1) = groups.broadcast(groups.group(group, codec.int()), 5)
  let assert Ok(Nil) =
    tests.eventually(5000, fn() { tests.collected(pid) == [tests.term(5)] })
  tests.exit_pid(pid, tests.term("done"))
  let assert Ok(Nil) =
    tests.eventually(5000, fn() { groups.members(group) == Ok([]) })
}

pub fn a_group_that_is_an_atom_is_meant_by_its_text_test() {
  tests.together()
  let group = atom.create("an_old_club")
  let pid = tests.on_other(tests.collector)
  tests.on_other(fn() { tests.pg_join(tests.term(group), pid) })
  let assert Ok(Nil) =
    tests.eventually(5000, fn() { groups.members("an_old_club") == Ok([pid]) })
  let assert Ok(1) =
    groups.broadcast(groups.group("an_old_club", codec.string()), "hello")
  let got = fn() { tests.collected(pid) == [tests.term("hello")] }
  let assert Ok(Nil) = tests.eventually(5000, got)
  tests.exit_pid(pid, tests.term("done"))
}

pub fn joined_twice_is_there_twice_test() {
  let group = tests.unique("twice")
  let me = process.self()
  let assert Ok(Nil) = groups.join(group, me)
  let assert Ok(Nil) = groups.join(group, me)
  let assert True = groups.members(group) == Ok([me, me])
  let assert Ok(Nil) = groups.leave(group, me)
  let assert Ok(Nil) = groups.leave(group, me)
  let assert Error(groups.NotJoined) = groups.leave(group, me)
}

pub fn subjects_get_what_they_understand_test() {
  let group = groups.group(tests.unique("typed"), codec.int())
  let a = process.new_subject()
  let b = process.new_subject()
  let assert Ok(Nil) = groups.join_subject(group, a)
  let assert Ok(Nil) = groups.join_subject(group, b)
  let assert Ok(2) = groups.broadcast(group, 1)
  let assert Ok(1) = process.receive(a, within: 5000)
  let assert Ok(1) = process.receive(b, within: 5000)

  let assert Ok([remote, _]) = groups.remotes(group)
  tests.send_raw(messaging.pid(remote), tests.term("no number"))
  let assert Ok(2) = groups.broadcast_local(group, 2)
  let assert Ok(2) = process.receive(a, within: 5000)
  let assert Ok(2) = process.receive(b, within: 5000)

  let assert Ok(Nil) = groups.leave_subject(group, a)
  let assert Error(groups.NotJoined) = groups.leave_subject(group, a)
  let assert Ok(1) = groups.broadcast(group, 3)
  let assert Ok(3) = process.receive(b, within: 5000)
  let assert Error(Nil) = process.receive(a, within: 0)
}

pub fn too_large_a_message_leaves_nothing_test() {
  let group = groups.group(tests.unique("large"), codec.string())
  let inbox = process.new_subject()
  let assert Ok(Nil) = groups.join_subject(group, inbox)
  let assert Ok(Nil) = settings.set_max_message_size(1000)
  let text = string.repeat("x", times: 1000)
  let assert Error(groups.TooLarge(_, 1000)) = groups.broadcast(group, text)
  let assert Error(groups.TooLarge(_, 1000)) =
    groups.broadcast_local(group, text)
  let assert Ok(1) = groups.broadcast(group, "short")
  let assert Ok("short") = process.receive(inbox, within: 5000)
}

pub fn changes_are_told_test() {
  let group = tests.unique("watched")
  let changes = process.new_subject()
  let a = tests.collector()
  let b = tests.collector()
  let assert Ok(Nil) = groups.join(group, a)
  let assert Ok(#(subscription, members)) = groups.subscribe(group, changes)
  let assert True = members == [a]
  let assert Ok(Nil) = groups.join(group, b)
  let assert True =
    process.receive(changes, within: 5000) == Ok(groups.Joined(group, [b]))
  tests.exit_pid(a, tests.term("done"))
  let assert True =
    process.receive(changes, within: 5000) == Ok(groups.Left(group, [a]))
  groups.unsubscribe(subscription)
  let assert Ok(Nil) = groups.leave(group, b)
  let assert Error(Nil) = process.receive(changes, within: 100)
}

pub fn a_scope_of_its_own_test() {
  settings.set_allow_atom_creation(True)
  let assert Ok(Nil) = settings.set_max_new_atoms(10_000)
  let scope = tests.unique("scope")
  let me = process.self()
  let assert Error(groups.NoSuchAtom(_)) = groups.join_in(scope, "g", me)
  let assert Ok(Nil) = groups.start_scope(scope)
  let assert Ok(Nil) = groups.start_scope(scope)
  let assert Ok(Nil) = groups.join_in(scope, "g", me)
  let assert True = groups.members_in(scope, "g") == Ok([me])
  let assert Ok(["g"]) = groups.groups_in(scope)
  let assert Ok([]) = groups.members("g")
  let of = groups.group_in(scope, "g", codec.int())
  let assert Ok(1) = groups.broadcast(of, 1)
  let assert Ok(Nil) = groups.stop_scope(scope)
  let assert Error(groups.NoScope(gone)) = groups.join_in(scope, "g", me)
  let assert True = gone == scope
}

pub fn all_groups_of_a_scope_are_told_test() {
  let group = tests.unique("any")
  let changes = process.new_subject()
  let assert Ok(#(subscription, _)) = groups.subscribe_scope("pg", changes)
  let pid = tests.collector()
  let assert Ok(Nil) = groups.join(group, pid)
  let assert True = joined(changes, group) == [pid]
  groups.unsubscribe(subscription)
  tests.exit_pid(pid, tests.term("done"))
}

fn joined(changes, group: String) -> List(process.Pid) {
  let assert Ok(event) = process.receive(changes, within: 5000)
  case event {
    groups.Joined(name, pids) if name == group -> pids
    _ -> joined(changes, group)
  }
}

pub fn many_members_test() {
  let group = tests.unique("many")
  let pids = list.map(list.repeat(Nil, 50), fn(_) { tests.collector() })
  list.each(pids, fn(pid) {
    let assert Ok(Nil) = groups.join(group, pid)
  })
  let assert Ok(50) = groups.broadcast(groups.group(group, codec.int()), 9)
  let got = fn(pid) { tests.collected(pid) == [tests.term(9)] }
  let assert Ok(Nil) =
    tests.eventually(5000, fn() { list.all(pids, got) })
  list.each(pids, tests.exit_pid(_, tests.term("done")))
}
