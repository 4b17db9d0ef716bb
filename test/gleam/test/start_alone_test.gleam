//// Starting, stopping, and a companion that is killed.

import gleam/erlang/process
import gleam/list
import gleam/option.{None, Some}
import gleam/otp/actor
import gleam/otp/static_supervisor as supervisor
import gleam/string
import remora
import remora/binary
import remora/codec
import remora/election
import remora/groups
import remora/log
import remora/membership
import remora/messaging
import remora/registry
import remora/remote_call
import tests

fn started(builder: remora.Builder, run: fn() -> a) -> a {
  let assert Ok(_) = remora.start(builder)
  let result = run()
  let assert Ok(Nil) = remora.shutdown(within: 10_000)
  result
}

pub fn there_is_one_test() {
  use <- started(remora.none())
  let assert Error(remora.AlreadyStarted(_)) =
    remora.start_link(remora.none())
  let assert Error(actor.InitFailed(_)) = remora.start(remora.none())
}

pub fn what_is_given_is_what_runs_test() {
  let builder =
    remora.none()
    |> remora.with_name("shop")
    |> remora.with_node_name("shop_companion")
    |> remora.with_visibility(remora.Hidden)
    |> remora.with_max_new_atoms(10_000)
    |> remora.with_scopes(["gleam_tests_scope"])
  use <- started(builder)
  let assert Ok(status) = remora.status()
  let assert Some("shop") = status.name
  let assert "shop_companion@127.0.0.1" = status.companion
  let assert "0.1.0" = status.version
  let assert True = tests.os_process_is_there(status.os_pid)
  let assert Ok([]) = groups.members_in("gleam_tests_scope", "g")
}

// Both are on when the start returns.
pub fn with_membership_and_election_test() {
  let builder =
    remora.none()
    |> remora.with_membership(
      membership.default_options()
      |> membership.with_interval(200)
      |> membership.with_metadata([#("zone", "a")]),
    )
    |> remora.with_election(
      election.default_options()
      |> election.with_voters(["app_remora@127.0.0.1"])
      |> election.with_state_dir("state_alone"),
    )
  use <- started(builder)
  let assert Ok([_, ..]) = membership.alive()
  let assert Ok(members) = membership.members()
  let assert Ok(own) =
    list.find(members, fn(member) { member.node == "app_remora@127.0.0.1" })
  let assert [#("zone", "a")] = own.metadata
  let assert Ok(election.Leader("app_remora@127.0.0.1", _)) = election.elect()
  let assert True = election.am_i_leader()
}

pub fn wrong_options_of_both_test() {
  let wrong = membership.default_options() |> membership.with_interval(0)
  let assert Error(remora.InvalidMembership("interval", _)) =
    remora.start_link(remora.none() |> remora.with_membership(wrong))
  // Right by themselves, and not together: the companion says so.
  let wrong = election.default_options() |> election.with_heartbeat(60_000)
  let assert Error(remora.InvalidElection("election_min", text)) =
    remora.start_link(remora.none() |> remora.with_election(wrong))
  let assert "the option election_min of the election is not right: " <> rest =
    remora.describe_start_error(remora.InvalidElection("election_min", text))
  let assert True = rest == text
  // Nothing is left of it.
  let assert Error(remora.StatusNotRunning) = remora.status()
}

pub fn the_program_ends_with_remora_test() {
  let os_pid = started(remora.none(), fn() {
    let assert Ok(status) = remora.status()
    let assert None = status.name
    status.os_pid
  })
  let assert Ok(Nil) =
    tests.eventually(1000, fn() {
      tests.os_process_is_there(os_pid) == False
    })
}

pub fn who_started_it_lives_on_test() {
  let assert Ok(pid) = remora.start_link(remora.none())
  let assert Ok(Nil) = remora.shutdown(within: 10_000)
  let assert False = process.is_alive(pid)
  let assert Error(remora.NotRunning) = remora.shutdown(within: 1000)
}

pub fn each_wrong_start_has_its_error_test() {
  let none = remora.none()
  let assert Error(remora.BinaryFailed(binary.NotFound(["/nowhere/remora"]))) =
    remora.start_link(remora.with_binary(none, binary.at("/nowhere/remora")))
  let assert Error(remora.BinaryFailed(binary.NotExecutable("/etc/passwd"))) =
    remora.start_link(remora.with_binary(none, binary.at("/etc/passwd")))
  let assert Error(remora.BinaryFailed(binary.WrongVersion(_, _, "0.1.0"))) =
    remora.start_link(remora.with_binary(none, binary.at("/bin/true")))
  let assert Error(remora.NameTaken(_)) =
    remora.start_link(remora.with_node_name(none, tests.other))
  let assert Error(remora.InvalidOption("with_node_name", _)) =
    remora.start_link(remora.with_node_name(none, "a@b@c"))
  let assert Error(remora.InvalidOption("with_start_timeout", "0")) =
    remora.start_link(remora.with_start_timeout(none, 0))
  let assert Error(remora.UsageRefused(_)) =
    remora.start_link(remora.with_config_file(none, "/nowhere/remora.toml"))
  let assert Error(remora.UsageRefused(_)) =
    remora.start_link(remora.with_cookie_file(none, "/nowhere/cookie"))
  let assert Error(remora.ScopeNotAllowed(_)) =
    remora.start_link(remora.with_scopes(none, [tests.unique("scope")]))
  let elsewhere = binary.managed_elsewhere("absent@127.0.0.1")
  let assert Error(remora.Unreachable("absent@127.0.0.1")) =
    remora.start_link(remora.with_binary(none, elsewhere))
  // A plain node is no companion.
  let plain = binary.managed_elsewhere(tests.other)
  let assert Error(remora.StartFailed(text)) =
    remora.start_link(remora.with_binary(none, plain))
  let assert True = string.contains(text, "no companion")
  let assert Error(remora.StatusNotRunning) = remora.status()
}

pub fn a_vm_that_is_no_node_test() {
  let answer =
    tests.in_plain_vm(tests.epmd_port(), fn() {
      remora.start_link(remora.none())
    })
  let assert Error(remora.NotDistributed) = answer
}

pub fn events_from_the_start_on_test() {
  let events = process.new_subject()
  let builder = remora.none() |> remora.with_listener(events)
  started(builder, fn() {
    let assert Ok(remora.CompanionUp) = process.receive(events, within: 5000)
    tests.together()
    let assert Ok(remora.NodeUp("other@127.0.0.1")) =
      process.receive(events, within: 5000)
  })
  let assert True = until_stopped(events) == Ok(Nil)
}

// Nodes may go before; nothing comes after.
fn until_stopped(events) -> Result(Nil, Nil) {
  case process.receive(events, within: 5000) {
    Ok(remora.Stopped) ->
      case process.receive(events, within: 50) {
        Ok(_) -> Error(Nil)
        Error(Nil) -> Ok(Nil)
      }
    Ok(_) -> until_stopped(events)
    Error(Nil) -> Error(Nil)
  }
}

pub fn all_is_back_after_a_kill_test() {
  use <- started(remora.none())
  tests.together()
  let inbox = process.new_subject()
  let events = process.new_subject()
  let name = registry.name(tests.unique("lasting"), codec.int())
  let group = groups.group(tests.unique("lasting"), codec.int())
  let assert Ok(Nil) = registry.register_subject(name, inbox)
  let assert Ok(Nil) = groups.join_subject(group, inbox)
  let assert Ok(subscription) = remora.subscribe(events)
  let assert Ok(remora.CompanionUp) = process.receive(events, within: 5000)

  tests.kill_companion()
  let assert Ok(Nil) = until_down(events)
  let assert Ok(Nil) = until_up(events)
  // At once, when it is up.
  let assert Ok(remote) = registry.lookup(name)
  let assert Ok(Nil) = messaging.send(remote, 1)
  let assert Ok(1) = process.receive(inbox, within: 5000)
  let assert Ok(1) = groups.broadcast(group, 2)
  let assert Ok(2) = process.receive(inbox, within: 5000)
  // And for the others.
  let asked = tests.term(registry.to_string(name))
  let seen = fn() { tests.on_other(fn() { tests.whereis_global(asked) }) }
  let assert Ok(Nil) =
    tests.eventually(5000, fn() { seen() == Ok(messaging.pid(remote)) })
  remora.unsubscribe(subscription)
}

fn until_down(events) -> Result(Nil, Nil) {
  case process.receive(events, within: 5000) {
    Ok(remora.CompanionDown(_)) -> Ok(Nil)
    Ok(_) -> until_down(events)
    Error(Nil) -> Error(Nil)
  }
}

fn until_up(events) -> Result(Nil, Nil) {
  case process.receive(events, within: 5000) {
    Ok(remora.CompanionUp) -> Ok(Nil)
    Ok(_) -> until_up(events)
    Error(Nil) -> Error(Nil)
  }
}

pub fn a_supervisor_starts_it_test() {
  let events = process.new_subject()
  let child = remora.none() |> remora.with_listener(events)
  let assert Ok(running) =
    supervisor.new(supervisor.OneForOne)
    |> supervisor.add(remora.supervised(child))
    |> supervisor.start
  let assert Ok(remora.CompanionUp) = process.receive(events, within: 5000)
  let assert Ok(status) = remora.status()
  process.unlink(running.pid)
  process.kill(running.pid)
  let assert Ok(Nil) =
    tests.eventually(5000, fn() {
      tests.os_process_is_there(status.os_pid) == False
    })
  let assert Ok(Nil) =
    tests.eventually(5000, fn() {
      remora.shutdown(within: 5000) == Error(remora.NotRunning)
    })
}

pub fn a_failed_call_is_in_the_companions_log_with_its_id_test() {
  let id = log.generate_correlation_id()
  let lines =
    tests.with_log(fn() {
      use <- started(remora.none() |> remora.with_log_level(log.Debug))
      tests.together()
      use <- log.with_correlation_id(id)
      let assert Error(remote_call.RpcUndefined(_, _, _)) =
        remote_call.call(tests.other, "lists", "nth", [])
      let assert True = tests.await_logged("correlation", id)
    })
  let with_id =
    list.filter(lines, fn(line) {
      list.key_find(line.2, "correlation") == Ok(id)
    })
  let assert [#("debug", text, _), ..] = with_id
  let assert True = string.contains(text, "nth")
}
