//// One of three nodes that find each other, and find each other again. It does
//// nothing for that but to say, in `start`, who there is; then it tells what it
//// hears.
////
//// `./run.sh` starts the three, kills one and starts it again, cuts one off and
//// heals the cut.

import gleam/erlang/process.{type Subject}
import gleam/int
import gleam/io
import gleam/list
import gleam/otp/actor
import gleam/otp/static_supervisor as supervisor
import gleam/string
import remora
import remora/cluster

/// A companion that knows where the others are. A list is the plainest source;
/// names in DNS, Kubernetes and so on are others.
pub fn start(
  nodes: List(String),
  events: Subject(remora.Event),
) -> actor.StartResult(supervisor.Supervisor) {
  supervisor.new(supervisor.OneForOne)
  |> supervisor.add(
    remora.epmd(nodes)
    |> remora.with_poll_interval(1000)
    |> remora.with_listener(events)
    |> remora.supervised,
  )
  |> supervisor.start
}

/// Tells until it is ended: first the companion's process id, then each event,
/// and after it the applications that are connected.
pub fn main(names: List(String)) -> Nil {
  let events = process.new_subject()
  let assert Ok(_) = start(names, events)
  let assert Ok(status) = remora.status()
  io.println("companion " <> int.to_string(status.os_pid))
  tell(events, names, [])
}

fn tell(
  events: Subject(remora.Event),
  names: List(String),
  up: List(String),
) -> Nil {
  let event = process.receive_forever(events)
  case in_words(event) {
    "" -> Nil
    words -> {
      let ms = int.to_string(system_time(Millisecond))
      io.println("event " <> ms <> " " <> cluster.self_node() <> " " <> words)
    }
  }
  let now = after(event, up)
  // Companions are nodes too; what counts here are the applications.
  let others = list.filter(names, fn(name) { list.contains(now, name) })
  io.println(string.join(["sees", ..others], " "))
  tell(events, names, now)
}

// A companion that comes back tells what is different.
fn after(event: remora.Event, up: List(String)) -> List(String) {
  case event {
    remora.NodeUp(node) -> [node, ..up]
    remora.NodeDown(node, _) -> list.filter(up, fn(other) { other != node })
    _ -> up
  }
}

// Rounds in which all is as it was are no news.
fn in_words(event: remora.Event) -> String {
  case event {
    remora.NodeUp(node) -> node <> " is up"
    remora.NodeDown(node, reason) -> node <> " is down: " <> reason
    remora.CompanionUp -> "the companion is up"
    remora.CompanionDown(reason) -> "the companion is down: " <> reason
    remora.AttemptFailed(_, side, error, ms) ->
      side_in_words(side)
      <> cluster.describe_connect_error(error)
      <> "; again in "
      <> int.to_string(ms)
      <> " ms"
    remora.Refreshed(Error(error)) -> remora.describe_refresh_error(error)
    _ -> ""
  }
}

fn side_in_words(side: remora.Side) -> String {
  case side {
    remora.App -> ""
    _ -> "by the companion: "
  }
}

type Unit {
  Millisecond
}

@external(erlang, "os", "system_time")
fn system_time(unit: Unit) -> Int
