//// What the worker writes into, on a node of its own. It has seen tokens, and
//// takes nothing with a lower one: whoever wrote that led once, and does not any
//// more.

import gleam/erlang/process.{type Subject}
import gleam/int
import gleam/io
import gleam/otp/static_supervisor as supervisor
import remora
import remora/codec.{type Codec}
import remora/messaging.{type ReplyTo}
import remora/registry

type Write {
  Write(token: Int, by: String, answer: ReplyTo(Bool))
}

fn writes() -> Codec(Write) {
  codec.map(
    codec.pair(
      codec.pair(codec.int(), codec.string()),
      messaging.reply_codec(codec.bool()),
    ),
    fn(parts) {
      let #(#(token, by), answer) = parts
      Write(token, by, answer)
    },
    fn(write: Write) { #(#(write.token, write.by), write.answer) },
  )
}

fn name() -> registry.GlobalName(Write) {
  registry.name("ledger", writes())
}

/// Whether it was taken.
pub fn write(token: Int, by: String) -> Result(Bool, String) {
  case registry.await(name(), within: 5000) {
    Ok(ledger) ->
      case
        messaging.call(ledger, 5000, codec.bool(), fn(answer) {
          Write(token, by, answer)
        })
      {
        Ok(taken) -> Ok(taken)
        Error(error) -> Error(messaging.describe_call_error(error))
      }
    Error(error) -> Error(registry.describe_lookup_error(error))
  }
}

pub fn main(nodes: List(String)) -> Nil {
  let assert Ok(_) =
    supervisor.new(supervisor.OneForOne)
    |> supervisor.add(
      remora.epmd(nodes)
      |> remora.with_poll_interval(1000)
      |> remora.supervised,
    )
    |> supervisor.start
  let writes = process.new_subject()
  let assert Ok(Nil) = registry.register_subject(name(), writes)
  keep(writes, 0)
}

fn keep(writes: Subject(Write), highest: Int) -> Nil {
  let write = process.receive_forever(writes)
  let taken = write.token >= highest
  let _ = messaging.reply(to: write.answer, with: taken)
  let word = case taken {
    True -> "taken"
    False -> "refused"
  }
  let ms = int.to_string(system_time(Millisecond))
  io.println(
    word <> " " <> ms <> " " <> write.by <> " " <> int.to_string(write.token),
  )
  keep(writes, int.max(highest, write.token))
}

type Unit {
  Millisecond
}

@external(erlang, "os", "system_time")
fn system_time(unit: Unit) -> Int
