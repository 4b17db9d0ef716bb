//// A chat room without a server: each of its people runs this application on a
//// node of their own. The room is a group of the cluster, and one of the nodes,
//// whichever was first, is asked for what was said before. When it goes, another
//// one is.
////
//// `./run.sh` starts two people, ann and ben, who talk to each other.

import chat/history
import chat/room
import gleam/erlang/process.{type Subject}
import gleam/io
import gleam/list
import gleam/otp/actor
import gleam/otp/static_supervisor as supervisor
import gleam/string
import remora
import remora/cluster

/// What everybody runs: a companion, and a process that keeps the history. The
/// second one needs the first one.
pub fn start() -> actor.StartResult(supervisor.Supervisor) {
  supervisor.new(supervisor.RestForOne)
  |> supervisor.add(
    remora.none()
    |> remora.with_max_new_atoms(100)
    |> remora.supervised,
  )
  |> supervisor.add(history.supervised())
  |> supervisor.start
}

/// Comes, meets the other one, talks, and goes. Who it is says the node's name.
pub fn main() -> Nil {
  let assert Ok(_) = start()
  let ears = process.new_subject()
  let assert Ok(Nil) = room.enter(ears)
  case cluster.self_node() {
    "ann" <> rest -> {
      meet("ben" <> rest, 200)
      room.wait_for_people(2, within: 10_000)
      room.say("ann", "hello, is anybody here?")
      hear(ears)
      hear(ears)
      recall(2, 200)
    }
    "ben" <> rest -> {
      meet("ann" <> rest, 200)
      room.wait_for_people(2, within: 10_000)
      hear(ears)
      room.say("ben", "yes, ben is")
      hear(ears)
      // What was said is known when ann has gone, whoever kept it.
      room.wait_for_people(1, within: 10_000)
      recall(2, 200)
    }
    other -> io.println(other <> " is neither ann nor ben")
  }
}

// The other one may start a little later.
fn meet(node: String, tries: Int) -> Nil {
  case cluster.connect(node) {
    Ok(Nil) -> Nil
    Error(_) if tries > 0 -> {
      process.sleep(50)
      meet(node, tries - 1)
    }
    Error(error) -> io.println(cluster.describe_connect_error(error))
  }
}

fn hear(ears: Subject(room.Line)) -> Nil {
  case process.receive(ears, within: 10_000) {
    Ok(room.Line(from, text)) -> io.println(from <> ": " <> text)
    Error(Nil) -> io.println("nobody says anything")
  }
}

// Who is asked may have gone a moment ago, or have heard less than we have.
fn recall(count: Int, tries: Int) -> Nil {
  case history.all() {
    Ok(lines) if tries == 0 -> io.println(string.join(lines, "; "))
    Error(text) if tries == 0 -> io.println(text)
    Ok(lines) ->
      case list.length(lines) == count {
        True -> io.println(string.join(lines, "; "))
        False -> again(count, tries)
      }
    Error(_) -> again(count, tries)
  }
}

fn again(count: Int, tries: Int) -> Nil {
  process.sleep(20)
  recall(count, tries - 1)
}
