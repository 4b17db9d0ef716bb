//// What was said. Every node listens, so nothing is lost when one goes; the
//// node that has the name `chat history` is the one that is asked.

import chat/room
import gleam/erlang/process.{type Subject}
import gleam/list
import gleam/otp/actor
import gleam/otp/supervision.{type ChildSpecification}
import remora/codec
import remora/messaging.{type ReplyTo}
import remora/registry

type Message {
  Said(room.Line)
  Asked(ReplyTo(List(String)))
  Renamed(registry.NameEvent)
}

fn name() -> registry.GlobalName(ReplyTo(List(String))) {
  registry.name("chat history", messaging.reply_codec(answer()))
}

fn answer() -> codec.Codec(List(String)) {
  codec.list(codec.string())
}

/// All that was said, from whoever keeps it.
pub fn all() -> Result(List(String), String) {
  case registry.await(name(), within: 5000) {
    Ok(keeper) ->
      case messaging.call(keeper, 5000, answer(), fn(reply_to) { reply_to }) {
        Ok(lines) -> Ok(lines)
        Error(error) -> Error(messaging.describe_call_error(error))
      }
    Error(error) -> Error(registry.describe_lookup_error(error))
  }
}

pub fn supervised() -> ChildSpecification(Nil) {
  supervision.worker(start)
}

fn start() -> actor.StartResult(Nil) {
  let ready = process.new_subject()
  let pid = process.spawn(fn() { listen(ready) })
  case process.receive(ready, within: 5000) {
    Ok(Nil) -> Ok(actor.Started(pid, Nil))
    Error(Nil) -> Error(actor.InitTimeout)
  }
}

fn listen(ready: Subject(Nil)) -> Nil {
  let lines = process.new_subject()
  let questions = process.new_subject()
  let names = process.new_subject()
  let assert Ok(Nil) = room.enter(lines)
  let assert Ok(_) = registry.subscribe(names)
  apply(questions)
  process.send(ready, Nil)
  process.new_selector()
  |> process.select_map(lines, Said)
  |> process.select_map(questions, Asked)
  |> process.select_map(names, Renamed)
  |> keep([], questions)
}

fn keep(messages, said: List(String), questions) -> Nil {
  case process.selector_receive_forever(messages) {
    Said(room.Line(from, text)) ->
      keep(messages, [from <> " said " <> text, ..said], questions)
    Asked(reply_to) -> {
      let _ = messaging.reply(to: reply_to, with: list.reverse(said))
      keep(messages, said, questions)
    }
    Renamed(registry.Unregistered("chat history")) -> {
      apply(questions)
      keep(messages, said, questions)
    }
    Renamed(_) -> keep(messages, said, questions)
  }
}

// One of all gets the name; the others hear when it is free again. Of two that
// had it before their nodes met one keeps it, and nobody is killed.
fn apply(questions: Subject(ReplyTo(List(String)))) -> Nil {
  case registry.register_subject_with(name(), questions, registry.LowestPid) {
    Ok(Nil) -> Nil
    Error(_) -> Nil
  }
}
