//// One of three nodes that watch each other. It starts its companion with
//// membership on, says in its metadata which street it is in, and tells what it
//// hears of the others.
////
//// `./run.sh` starts the three, stops one for a while, and lets one go.

import gleam/erlang/process.{type Subject}
import gleam/int
import gleam/io
import gleam/list
import gleam/otp/actor
import gleam/otp/static_supervisor as supervisor
import gleam/string
import remora
import remora/cluster
import remora/membership.{type Member, type MembershipEvent}

/// A companion that finds the others, and takes part in membership with them
/// from the first moment. A probe each 200 ms: who hangs is known to be dead in
/// a second or two.
pub fn start(
  nodes: List(String),
  street: String,
) -> actor.StartResult(supervisor.Supervisor) {
  let options =
    membership.default_options()
    |> membership.with_interval(200)
    |> membership.with_probe_timeout(80)
    |> membership.with_metadata([#("street", street)])
  supervisor.new(supervisor.OneForOne)
  |> supervisor.add(
    remora.epmd(nodes)
    |> remora.with_poll_interval(1000)
    |> remora.with_membership(options)
    |> remora.supervised,
  )
  |> supervisor.start
}

/// Tells until it is ended: the companion's process id, each event, and after
/// it who is alive as this node sees it, and who is not.
pub fn main(nodes: List(String), street: String) -> Nil {
  let assert Ok(_) = start(nodes, street)
  let assert Ok(status) = remora.status()
  io.println("companion " <> int.to_string(status.os_pid))
  let events = process.new_subject()
  let assert Ok(_) = membership.subscribe(events)
  tell(events)
}

fn tell(events: Subject(MembershipEvent)) -> Nil {
  sees()
  let event = process.receive_forever(events)
  case in_words(event) {
    "" -> Nil
    words -> {
      let ms = int.to_string(system_time(Millisecond))
      io.println("event " <> ms <> " " <> cluster.self_node() <> " " <> words)
    }
  }
  tell(events)
}

// Those whose street is known have told it themselves: gossip has brought it.
fn sees() -> Nil {
  let assert Ok(members) = membership.members()
  let those = fn(status) {
    members
    |> list.filter(fn(member) { member.status == status })
    |> list.filter_map(street_of)
    |> list.sort(by: string.compare)
    |> string.join(" ")
  }
  io.println(
    "sees "
    <> those(membership.Alive)
    <> named("; suspects ", those(membership.Suspect))
    <> named("; dead is ", those(membership.Dead))
    <> named("; gone is ", those(membership.Left)),
  )
}

fn named(words: String, streets: String) -> String {
  case streets {
    "" -> ""
    _ -> words <> streets
  }
}

fn street_of(member: Member) -> Result(String, Nil) {
  list.key_find(member.metadata, "street")
}

fn in_words(event: MembershipEvent) -> String {
  case event {
    membership.MemberJoined(member) -> member.node <> " is a member"
    membership.MemberSuspected(member) ->
      member.node <> " does not answer somebody"
    membership.MemberCleared(member) -> member.node <> " objects: it is alive"
    membership.MemberDied(member) -> member.node <> " is dead"
    membership.MemberLeft(member) -> member.node <> " has left"
    membership.MemberUpdated(member) ->
      case street_of(member) {
        Ok(street) -> member.node <> " is in street " <> street
        Error(Nil) -> ""
      }
    _ -> ""
  }
}

type Unit {
  Millisecond
}

@external(erlang, "os", "system_time")
fn system_time(unit: Unit) -> Int
