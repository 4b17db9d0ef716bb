//// An election of this VM's companion alone: it is the only voter, so it leads.

import gleam/erlang/process
import gleam/list
import remora/election
import tests

const companion = "app_remora@127.0.0.1"

fn options() -> election.Options {
  election.default_options()
  |> election.with_voters([companion])
  |> election.with_state_dir("state")
  |> election.with_election_timeout(150, 300)
  |> election.with_heartbeat(30)
  |> election.with_name_lease(500)
}

fn lead() -> Int {
  let assert Ok(Nil) = election.start_service_with(options())
  let assert Ok(election.Leader(node, token)) = election.elect()
  let assert True = node == companion
  token
}

pub fn it_leads_test() {
  let token = lead()
  let assert True = election.am_i_leader()
  let assert Ok(same) = election.fencing_token()
  let assert True = same == token
  let assert Ok(election.Leader(_, same)) = election.current_leader()
  let assert True = same == token
  let assert Ok(term) = election.current_term()
  let assert True = term > 0
  let assert Ok(status) = election.status()
  let assert election.Leading = status.role
  let assert True = status.voters == [companion]
  let assert True = status.lease_left > 0
  let assert Ok(Nil) = election.check_token(token)
  let assert Error(election.UnknownToken) = election.check_token(token + 1)
  let assert Error(election.UnknownToken) = election.check_token(-1)
}

pub fn changes_that_cannot_be_test() {
  let _token = lead()
  let assert Error(_) = election.transfer(to: "nobody_remora@127.0.0.1")
  let assert Error(_) = election.add_voter("nobody_remora@127.0.0.1")
  let assert Error(election.AlreadyVoter(_)) = election.add_voter(companion)
  let assert Error(election.NotVoter("nobody_remora@127.0.0.1")) =
    election.remove_voter("nobody_remora@127.0.0.1")
  let assert Error(election.UnknownNode("")) = election.transfer(to: "")
}

pub fn names_test() {
  let _token = lead()
  let name = tests.unique("name")
  let events = process.new_subject()
  let assert Ok(subscription) = election.subscribe_name(name, events)
  let assert Ok(election.NoLeader) = election.leader(name)
  let assert Error(election.NotHeld) = election.holds(name)
  let assert Ok(Nil) = election.campaign(name)
  let assert Ok(Nil) = election.campaign(name)
  let self = process.self()
  let held = fn() {
    case election.holds(name) {
      Ok(_token) -> True
      Error(_) -> False
    }
  }
  let assert Ok(Nil) = tests.eventually(10_000, held)
  let assert Ok(token) = election.holds(name)
  let assert Ok(election.Leader(node, led)) = election.leader(name)
  let assert True = node == companion
  let assert True = led == token
  let assert Ok(Nil) = election.resign_name(name)
  let assert Error(election.NotHeld) = election.holds(name)
  let assert Error(election.NotCampaigning) = election.resign_name(name)
  let heard = all_of(events)
  let assert True =
    list.contains(heard, election.NameHeld(name, self, token))
    && list.contains(heard, election.NameLost(name, self))
    && list.contains(heard, election.NameLed(name, companion, token))
    && list.contains(heard, election.NameFree(name))
  election.unsubscribe(subscription)
  let assert Error(election.InvalidName("")) = election.campaign("")
}

fn all_of(
  events: process.Subject(election.NameEvent),
) -> List(election.NameEvent) {
  case process.receive(events, within: 300) {
    Ok(event) -> [event, ..all_of(events)]
    Error(Nil) -> []
  }
}

pub fn a_process_that_ends_holds_nothing_test() {
  let _token = lead()
  let name = tests.unique("name")
  let events = process.new_subject()
  let assert Ok(subscription) = election.subscribe_name(name, events)
  let worker =
    process.spawn_unlinked(fn() {
      let assert Ok(Nil) = election.campaign(name)
      process.sleep(60_000)
    })
  let has_leader = fn() { election.leader(name) != Ok(election.NoLeader) }
  let assert Ok(Nil) = tests.eventually(10_000, has_leader)
  process.kill(worker)
  let free = fn() { election.leader(name) == Ok(election.NoLeader) }
  let assert Ok(Nil) = tests.eventually(10_000, free)
  election.unsubscribe(subscription)
}

pub fn a_companion_is_killed_test() {
  let token = lead()
  let events = process.new_subject()
  let assert Ok(subscription) = election.subscribe(events)
  tests.kill_companion()
  // Its leadership is over with it, and the next one has a greater token.
  let assert Ok(election.LeaderLost(_term)) =
    process.receive(events, within: 5000)
  let assert Ok(election.LeaderElected(node, _term, greater)) =
    process.receive(events, within: 10_000)
  let assert True = node == companion
  let assert True = greater > token
  let assert Error(election.StaleToken) = election.check_token(token)
  election.unsubscribe(subscription)
}

pub fn it_stops_test() {
  let _token = lead()
  let events = process.new_subject()
  let assert Ok(subscription) = election.subscribe(events)
  let assert Ok(Nil) = election.stop_service()
  let assert Ok(election.LeaderLost(_term)) =
    process.receive(events, within: 5000)
  let assert Ok(election.ServiceStopped) = process.receive(events, within: 5000)
  let assert Error(election.NotStarted) = election.elect()
  let assert Error(election.NotStarted) = election.current_leader()
  let assert Error(election.HoldUnknown(election.NotStarted)) =
    election.fencing_token()
  let assert False = election.am_i_leader()
  election.unsubscribe(subscription)
}

// Without a folder it never votes, and without voters there is no election.
pub fn an_observer_knows_nobody_test() {
  let assert Ok(Nil) = election.start_service()
  let assert Ok(status) = election.status()
  let assert True =
    status.role == election.Observing || status.role == election.Unconfigured
  let assert False = election.am_i_leader()
  let assert Ok(Nil) = election.stop_service()
}

pub fn wrong_options_test() {
  let wrong = fn(options) {
    let assert Error(election.InvalidOption(name, _text)) =
      election.start_service_with(options)
    name
  }
  let options = election.default_options()
  let assert "voters" = wrong(election.with_voters(options, ["no host"]))
  let assert "bootstrap_expect" =
    wrong(election.with_bootstrap_expect(options, -1))
  let assert "state_dir" = wrong(election.with_state_dir(options, ""))
  let assert "priority" = wrong(election.with_priority(options, -1))
  let assert "heartbeat" = wrong(election.with_heartbeat(options, 0))
  let assert "election_max" =
    wrong(election.with_election_timeout(options, 100, 0))
  let assert "lease" = wrong(election.with_lease(options, -1))
  let assert "name_lease" = wrong(election.with_name_lease(options, 0))
  let assert Ok(Nil) =
    options
    |> election.with_priority(-1)
    |> election.with_priority(2)
    |> election.with_observer(True)
    |> election.start_service_with
  let assert Ok(Nil) = election.stop_service()
}
