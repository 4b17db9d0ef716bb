//// Messages to processes of other nodes.
////
//// A `Remote(message)` is a process somewhere in the cluster and the codec of
//// what it understands. It comes from `registry.lookup` or `groups.remotes`,
//// or is made out of a pid. What is sent is checked for its size here, and for
//// its shape where it arrives.
////
//// ```gleam
//// import gleam/erlang/process
//// import remora/codec
//// import remora/messaging
//// import remora/registry
////
//// // Here: a counter of words has a name.
//// let words = process.new_subject()
//// let name = registry.name("words", codec.string())
//// let assert Ok(Nil) = registry.register_subject(name, words)
////
//// // On any node of the cluster:
//// let assert Ok(counter) = registry.await(name, within: 5000)
//// let assert Ok(Nil) = messaging.send(counter, "hello")
////
//// // And here again:
//// let assert Ok("hello") = process.receive(words, within: 5000)
//// ```

import gleam/dynamic.{type Dynamic}
import gleam/dynamic/decode
import gleam/erlang/process.{type Pid}
import gleam/list
import gleam/option.{type Option}
import gleam/result
import remora/codec.{type Codec}
import remora/internal/text

/// A process that understands messages of a type.
pub opaque type Remote(message) {
  Remote(pid: Pid, codec: Codec(message))
}

/// Where the answer to a call is expected, and the codec that it needs. It
/// travels inside the call's message.
pub opaque type ReplyTo(reply) {
  ReplyTo(address: Dynamic, codec: Codec(reply))
}

/// Why a message was not sent. That it was sent does not say that it arrived:
/// a process or a connection may end before.
pub type SendError {
  /// It takes `bytes` bytes, and a message may have `limit`; see
  /// `settings.set_max_message_size`. No byte left.
  TooLarge(bytes: Int, limit: Int)
  /// Nobody has this name now.
  NoSuchName(name: String)
  /// There is no companion now, so it is not known who has the name. Messages
  /// to a `Remote` need none.
  NotRunning
}

/// Why a call has no answer.
pub type CallError {
  /// No answer in time. Whether the call was carried out is not known; an
  /// answer that comes later is dropped.
  CallTimeout
  /// The process is not there any more, or ended before it answered: the
  /// reason, `noproc` for a process that had ended before, `noconnection` for
  /// a lost node.
  CallDown(reason: String)
  /// The message is too large; see `SendError`.
  CallTooLarge(bytes: Int, limit: Int)
  /// The answer has another shape than expected.
  CallBadReply(error: codec.DecodeError)
}

/// A process that understands what the codec writes. Nobody checks that it
/// does.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/codec
/// import remora/messaging
///
/// let me = messaging.remote(process.self(), codec.int())
/// let assert Ok(Nil) = messaging.send(me, 1)
/// ```
pub fn remote(pid: Pid, codec: Codec(message)) -> Remote(message) {
  Remote(pid, codec)
}

/// The process: to be monitored, or compared. For a name that was registered
/// with `registry.register_subject` it is the process that stands in front of
/// the subject and checks what arrives.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/codec
/// import remora/messaging
///
/// let me = messaging.remote(process.self(), codec.int())
/// let assert True = messaging.pid(me) == process.self()
/// ```
pub fn pid(remote: Remote(message)) -> Pid {
  remote.pid
}

/// Sends a message. Messages between two processes keep their order.
///
/// ```gleam
/// import gleam/erlang/process
/// import gleam/string
/// import remora/codec
/// import remora/messaging
///
/// let me = messaging.remote(process.self(), codec.string())
/// let assert Ok(Nil) = messaging.send(me, "short")
///
/// let long = string.repeat("x", times: 20_000_000)
/// let assert Error(messaging.TooLarge(_, 10_485_760)) =
///   messaging.send(me, long)
/// ```
pub fn send(
  to remote: Remote(message),
  message message: message,
) -> Result(Nil, SendError) {
  send_term(remote.pid, codec.to_term(remote.codec, message))
}

/// Sends a message to whoever has the name now.
///
/// ```gleam
/// import remora/codec
/// import remora/messaging
///
/// let assert Error(messaging.NoSuchName("nobody")) =
///   messaging.send_global("nobody", "hello", codec.string())
/// ```
pub fn send_global(
  name: String,
  message: message,
  codec: Codec(message),
) -> Result(Nil, SendError) {
  send_name(name, codec.to_term(codec, message))
}

/// Sends many messages, in their order. Each has a result of its own, in the
/// same order: one that is too large does not keep the others from leaving.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/codec
/// import remora/messaging
///
/// let me = messaging.remote(process.self(), codec.int())
/// let assert [Ok(Nil), Ok(Nil)] = messaging.send_batch([#(me, 1), #(me, 2)])
/// ```
pub fn send_batch(
  messages: List(#(Remote(message), message)),
) -> List(Result(Nil, SendError)) {
  list.map(messages, fn(entry) {
    let #(remote, message) = entry
    #(remote.pid, codec.to_term(remote.codec, message))
  })
  |> send_terms
}

/// Sends a question and waits for its answer, `milliseconds` at most. The
/// question carries the address for the answer: give the function that puts it
/// into a message, and let the message's codec use `reply_codec` for it.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/codec
/// import remora/messaging
/// import remora/registry
///
/// pub fn main() {
///   // A message that only asks: it is the address for the answer.
///   let name = registry.name("clock", messaging.reply_codec(codec.int()))
///   process.spawn(fn() { serve(name) })
///
///   let assert Ok(clock) = registry.await(name, within: 5000)
///   let assert Ok(1200) =
///     messaging.call(
///       clock,
///       waiting: 1000,
///       expecting: codec.int(),
///       sending: fn(reply_to) { reply_to },
///     )
/// }
///
/// fn serve(name: registry.GlobalName(messaging.ReplyTo(Int))) {
///   let questions = process.new_subject()
///   let assert Ok(Nil) = registry.register_subject(name, questions)
///   let assert Ok(question) = process.receive(questions, within: 5000)
///   let assert Ok(Nil) = messaging.reply(to: question, with: 1200)
/// }
/// ```
pub fn call(
  remote: Remote(message),
  waiting milliseconds: Int,
  expecting answer: Codec(reply),
  sending make_message: fn(ReplyTo(reply)) -> message,
) -> Result(reply, CallError) {
  let make_term = fn(address) {
    codec.to_term(remote.codec, make_message(ReplyTo(address, answer)))
  }
  use term <- result.try(call_term(remote.pid, milliseconds, make_term))
  codec.from_term(answer, term)
  |> result.map_error(CallBadReply)
}

/// Calls a `gen_server` of Erlang, Elixir or C++ with `GenServer.call`'s
/// protocol, and waits for its answer, `milliseconds` at most.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/codec
/// import remora/messaging
///
/// let gone = process.spawn(fn() { Nil })
/// let nobody = messaging.remote(gone, codec.string())
/// let assert Error(messaging.CallDown(_)) =
///   messaging.call_server(
///     nobody,
///     waiting: 1000,
///     expecting: codec.term(),
///     sending: "status",
///   )
/// ```
pub fn call_server(
  remote: Remote(message),
  waiting milliseconds: Int,
  expecting answer: Codec(reply),
  sending message: message,
) -> Result(reply, CallError) {
  let request = codec.to_term(remote.codec, message)
  use term <- result.try(server_call(remote.pid, request, milliseconds))
  codec.from_term(answer, term)
  |> result.map_error(CallBadReply)
}

/// Answers a call. An answer to a caller that does not wait any more is
/// dropped.
///
/// ```gleam
/// import remora/messaging
///
/// pub fn double(number: Int, reply_to: messaging.ReplyTo(Int)) {
///   messaging.reply(to: reply_to, with: number * 2)
/// }
/// ```
pub fn reply(
  to reply_to: ReplyTo(reply),
  with answer: reply,
) -> Result(Nil, SendError) {
  send_reply(reply_to.address, codec.to_term(reply_to.codec, answer))
}

/// How the address for an answer travels inside a message, and with which codec
/// the answer is written.
///
/// ```gleam
/// import remora/codec
/// import remora/messaging
///
/// // A question about a customer: the name, and where the age is expected.
/// let _question =
///   codec.pair(codec.string(), messaging.reply_codec(codec.int()))
/// ```
pub fn reply_codec(answer: Codec(reply)) -> Codec(ReplyTo(reply)) {
  codec.new(
    fn(reply_to: ReplyTo(reply)) { reply_to.address },
    decode.new_primitive_decoder("ReplyTo", read_address)
      |> decode.map(fn(address) { ReplyTo(address, answer) }),
  )
}

/// The correlation id that the caller had, if it had one; see
/// `log.with_correlation_id`.
///
/// ```gleam
/// import gleam/option.{None, Some}
/// import remora/log
/// import remora/messaging
///
/// pub fn note(question: messaging.ReplyTo(Int)) {
///   case messaging.correlation_id(question) {
///     Some(id) -> log.info_with_correlation("asked", [], id)
///     None -> log.info("asked", [])
///   }
/// }
/// ```
pub fn correlation_id(reply_to: ReplyTo(reply)) -> Option(String) {
  address_correlation(reply_to.address)
}

/// A sentence for people: what was tried and what to do.
///
/// ```gleam
/// import remora/messaging
///
/// let assert "nobody has the name \"words\" now" =
///   messaging.describe_send_error(messaging.NoSuchName("words"))
/// ```
pub fn describe_send_error(error: SendError) -> String {
  case error {
    TooLarge(bytes, limit) -> text.too_large(bytes, limit)
    NoSuchName(name) -> "nobody has the name \"" <> name <> "\" now"
    NotRunning -> text.not_running
  }
}

/// A sentence for people: what was tried and what was found.
///
/// ```gleam
/// import remora/messaging
///
/// let assert "the process ended before it answered: noconnection" =
///   messaging.describe_call_error(messaging.CallDown("noconnection"))
/// ```
pub fn describe_call_error(error: CallError) -> String {
  case error {
    CallTimeout -> "there was no answer in time"
    CallDown(reason) -> "the process ended before it answered: " <> reason
    CallTooLarge(bytes, limit) -> text.too_large(bytes, limit)
    CallBadReply(error) ->
      "the answer has another shape: " <> codec.describe_decode_error(error)
  }
}

@external(erlang, "remora_ffi", "send")
fn send_term(pid: Pid, term: Dynamic) -> Result(Nil, SendError)

@external(erlang, "remora_ffi", "send_name")
fn send_name(name: String, term: Dynamic) -> Result(Nil, SendError)

@external(erlang, "remora_ffi", "send_batch")
fn send_terms(
  messages: List(#(Pid, Dynamic)),
) -> List(Result(Nil, SendError))

@external(erlang, "remora_ffi", "call")
fn call_term(
  pid: Pid,
  milliseconds: Int,
  make_term: fn(Dynamic) -> Dynamic,
) -> Result(Dynamic, CallError)

@external(erlang, "remora_ffi", "call_server")
fn server_call(
  pid: Pid,
  request: Dynamic,
  milliseconds: Int,
) -> Result(Dynamic, CallError)

@external(erlang, "remora_ffi", "reply")
fn send_reply(address: Dynamic, term: Dynamic) -> Result(Nil, SendError)

@external(erlang, "remora_ffi", "read_address")
fn read_address(term: Dynamic) -> Result(Dynamic, Dynamic)

@external(erlang, "remora_ffi", "address_correlation")
fn address_correlation(address: Dynamic) -> Option(String)
