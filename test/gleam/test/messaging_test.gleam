//// Messages and calls, to processes of another node.

import gleam/erlang/process
import gleam/list
import gleam/option.{None, Some}
import gleam/string
import remora/codec
import remora/log
import remora/messaging
import remora/registry
import remora/settings
import tests

pub fn messages_arrive_in_order_test() {
  tests.together()
  let pid = tests.on_other(tests.collector)
  let remote = messaging.remote(pid, codec.int())
  let numbers = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
  list.each(numbers, fn(number) {
    let assert Ok(Nil) = messaging.send(remote, number)
  })
  let got = fn() { tests.collected(pid) == list.map(numbers, tests.term) }
  let assert Ok(Nil) = tests.eventually(5000, got)
  tests.exit_pid(pid, tests.term("done"))
}

pub fn too_large_a_message_does_not_leave_test() {
  let pid = tests.collector()
  let remote = messaging.remote(pid, codec.string())
  let assert Ok(Nil) = settings.set_max_message_size(1000)
  let long = string.repeat("x", times: 1000)
  let assert Error(messaging.TooLarge(bytes, 1000)) =
    messaging.send(remote, long)
  let assert True = bytes > 1000
  let assert [Ok(Nil), Error(messaging.TooLarge(_, 1000)), Ok(Nil)] =
    messaging.send_batch([
      #(remote, "first"),
      #(remote, long),
      #(remote, "last"),
    ])
  let assert True =
    tests.collected(pid) == [tests.term("first"), tests.term("last")]
}

pub fn a_message_to_a_name_test() {
  tests.together()
  let name = tests.unique("name")
  let pid = tests.on_other(tests.collector)
  let assert Error(messaging.NoSuchName(_)) =
    messaging.send_global(name, 1, codec.int())
  let assert True =
    tests.on_other(fn() { tests.register_global(tests.term(name), pid) })
  let assert Ok(_) = registry.await(registry.name(name, codec.int()), 5000)
  let assert Ok(Nil) = messaging.send_global(name, 1, codec.int())
  let got = fn() { tests.collected(pid) == [tests.term(1)] }
  let assert Ok(Nil) = tests.eventually(5000, got)
  tests.exit_pid(pid, tests.term("done"))
}

// A question: a number, and where its double is wanted.
fn question() {
  codec.pair(codec.int(), messaging.reply_codec(codec.int()))
}

fn ask(remote, number: Int, within: Int) {
  messaging.call(
    remote,
    waiting: within,
    expecting: codec.int(),
    sending: fn(reply_to) { #(number, reply_to) },
  )
}

// A process with the name, on the node that this runs on; it does what `serve`
// says with each question.
fn server(name: String, serve: fn(#(Int, messaging.ReplyTo(Int))) -> a) {
  process.spawn_unlinked(fn() {
    let inbox = process.new_subject()
    let assert Ok(Nil) =
      registry.register_subject(registry.name(name, question()), inbox)
    serve_all(inbox, serve)
  })
}

fn serve_all(inbox, serve: fn(#(Int, messaging.ReplyTo(Int))) -> a) -> Nil {
  case process.receive(inbox, within: 60_000) {
    Ok(asked) -> {
      serve(asked)
      serve_all(inbox, serve)
    }
    Error(Nil) -> Nil
  }
}

pub fn a_call_is_answered_test() {
  let name = tests.unique("doubler")
  let pid =
    server(name, fn(asked) {
      let #(number, reply_to) = asked
      let assert None = messaging.correlation_id(reply_to)
      messaging.reply(to: reply_to, with: number * 2)
    })
  let assert Ok(remote) = registry.await(registry.name(name, question()), 5000)
  let assert Ok(14) = ask(remote, 7, 5000)
  let assert Ok(16) = ask(remote, 8, 5000)
  process.kill(pid)
}

pub fn a_call_from_another_node_is_answered_test() {
  tests.together()
  let name = tests.unique("doubler")
  let pid =
    server(name, fn(asked) {
      let #(number, reply_to) = asked
      messaging.reply(to: reply_to, with: number * 2)
    })
  let assert Ok(remote) = registry.await(registry.name(name, question()), 5000)
  let assert Ok(14) = tests.on_other(fn() { ask(remote, 7, 5000) })
  process.kill(pid)
}

pub fn nobody_answers_test() {
  let name = tests.unique("silent")
  let pid = server(name, fn(_) { Nil })
  let assert Ok(remote) = registry.await(registry.name(name, question()), 5000)
  let #(took, Error(messaging.CallTimeout)) =
    tests.elapsed(fn() { ask(remote, 7, 100) })
  let assert True = took >= 100 && took < 2000
  process.kill(pid)
}

pub fn a_late_answer_is_dropped_test() {
  let name = tests.unique("slow")
  let pid =
    server(name, fn(asked) {
      let #(number, reply_to) = asked
      process.sleep(200)
      messaging.reply(to: reply_to, with: number)
    })
  let assert Ok(remote) = registry.await(registry.name(name, question()), 5000)
  let assert Error(messaging.CallTimeout) = ask(remote, 1, 50)
  let assert Ok(2) = ask(remote, 2, 5000)
  // Nothing of the first answer is left for this process.
  let assert Error(Nil) =
    process.new_selector()
    |> process.select_other(fn(term) { term })
    |> process.selector_receive(within: 100)
  process.kill(pid)
}

pub fn who_is_asked_ends_test() {
  let name = tests.unique("fragile")
  server(name, fn(_) { tests.exit_pid(process.self(), tests.term("broken")) })
  let assert Ok(remote) = registry.await(registry.name(name, question()), 5000)
  let assert Error(messaging.CallDown(reason)) = ask(remote, 7, 5000)
  let assert True = string.contains(reason, "broken")
  let assert Error(messaging.CallDown("noproc")) = ask(remote, 7, 5000)
}

pub fn the_answer_has_another_shape_test() {
  let name = tests.unique("rude")
  let pid =
    server(name, fn(asked) {
      let #(number, reply_to) = asked
      messaging.reply(to: reply_to, with: number)
    })
  let of = codec.pair(codec.int(), messaging.reply_codec(codec.string()))
  let assert Ok(remote) = registry.await(registry.name(name, of), 5000)
  let assert Error(messaging.CallBadReply(codec.UnexpectedShape([_]))) =
    messaging.call(remote, 5000, codec.string(), fn(reply_to) {
      #(1, reply_to)
    })
  process.kill(pid)
}

pub fn too_large_a_call_does_not_leave_test() {
  let pid = tests.collector()
  let of = codec.pair(codec.string(), messaging.reply_codec(codec.int()))
  let assert Ok(Nil) = settings.set_max_message_size(1000)
  let assert Error(messaging.CallTooLarge(_, 1000)) =
    messaging.call(
      messaging.remote(pid, of),
      5000,
      codec.int(),
      fn(reply_to) { #(string.repeat("x", times: 1000), reply_to) },
    )
  let assert [] = tests.collected(pid)
}

pub fn a_call_takes_the_correlation_id_along_test() {
  let name = tests.unique("correlated")
  let seen = process.new_subject()
  let pid =
    server(name, fn(asked) {
      let #(number, reply_to) = asked
      process.send(seen, messaging.correlation_id(reply_to))
      messaging.reply(to: reply_to, with: number)
    })
  let assert Ok(remote) = registry.await(registry.name(name, question()), 5000)
  let assert Ok(1) =
    log.with_correlation_id("order-7", fn() { ask(remote, 1, 5000) })
  let assert Ok(Some("order-7")) = process.receive(seen, within: 5000)
  process.kill(pid)
}

pub fn a_gen_server_is_called_test() {
  tests.together()
  let pid = tests.on_other(tests.counter)
  let counter = messaging.remote(pid, codec.int())
  let assert Ok(42) =
    messaging.call_server(counter, 5000, codec.int(), 21)
  let assert Error(messaging.CallBadReply(_)) =
    messaging.call_server(counter, 5000, codec.string(), 21)
  let words = messaging.remote(pid, codec.string())
  let assert Error(messaging.CallTimeout) =
    messaging.call_server(words, 50, codec.int(), "what?")
  let assert Error(messaging.CallDown("crashed")) =
    messaging.call_server(words, 5000, codec.int(), "crash")
  let assert Error(messaging.CallDown("noproc")) =
    messaging.call_server(counter, 5000, codec.int(), 21)
}

pub fn an_address_from_elsewhere_is_checked_test() {
  let of = messaging.reply_codec(codec.int())
  list.each(
    [
      tests.term(1),
      tests.term(#("remora_reply_to", 1, 2, None)),
      tests.term(#(messaging.CallTimeout, 1, 2, None)),
    ],
    fn(term) {
      let assert Error(codec.UnexpectedShape(_)) = codec.from_term(of, term)
    },
  )
}
