//// Names that the whole cluster knows: OTP's `global`, through the companion.
////
//// A name registered here is found on every node, by `global:whereis_name/1`
//// as by this module, and names that Erlang registered are found here. A name
//// is text; it is never made into an atom. Where nothing has the name as text,
//// the atom of that text is looked up, if there is one, because Erlang's names
//// are mostly atoms.
////
//// `GlobalName(message)` is a name with the codec of the messages that its
//// process understands. Make it once, in a function that both sides use:
////
//// ```gleam
//// import gleam/erlang/process
//// import remora/codec
//// import remora/messaging
//// import remora/registry
////
//// pub fn orders() -> registry.GlobalName(Int) {
////   registry.name("orders", codec.int())
//// }
////
//// pub fn main() {
////   let inbox = process.new_subject()
////   let assert Ok(Nil) = registry.register_subject(orders(), inbox)
////   let assert Ok(remote) = registry.lookup(orders())
////   let assert Ok(Nil) = messaging.send(remote, 7)
////   let assert Ok(7) = process.receive(inbox, within: 5000)
////   let assert Ok(Nil) = registry.unregister("orders")
//// }
//// ```
////
//// Reads are answered from this VM's copy of the names, without a message; a
//// process finds what it registered as soon as that is `Ok`. When the companion
//// is gone they say so, and when it is back the names of living processes are
//// registered again.

import gleam/dynamic.{type Dynamic}
import gleam/erlang/process.{type Pid, type Subject}
import gleam/result
import gleam/string
import remora/codec.{type Codec}
import remora/internal/door
import remora/internal/subscription
import remora/internal/text
import remora/messaging.{type Remote}

/// A name, and the codec of the messages for the process that has it.
pub opaque type GlobalName(message) {
  GlobalName(name: String, codec: Codec(message))
}

/// What happens to a name that two processes have, because two parts of a
/// cluster that were cut off from each other meet again.
pub type Conflict {
  /// One of them, by chance, is killed. OTP's default, and this one's.
  RandomExit
  /// One of them, by chance, loses the name, and is sent
  /// `{global_name_conflict, Name}`.
  RandomNotify
  /// Both lose it, and are sent `{global_name_conflict, Name, OtherPid}`.
  NotifyAll
  /// The one with the lower pid keeps it; the other one is told.
  LowestPid
  /// The one with the higher pid keeps it; the other one is told.
  HighestPid
  /// The one that the deciding node knew keeps it; the other one is told.
  KeepLocal
  /// Both are killed.
  KillBoth
  /// The one whose node stands first in the list keeps it; the other one is
  /// told. Nodes that no atom of this VM spells are an error.
  NodePriority(nodes: List(String))
}

/// Why a name was not registered.
pub type RegisterError {
  /// This process has it.
  Taken(by: Pid)
  /// The same process has it already.
  AlreadyNamed
  /// This node did not answer while all were asked, and nobody got the name.
  MemberTimeout(node: String)
  /// Others held the cluster's lock, or the name, for too long. Try again.
  Busy
  /// The subject has no owner: its name is not registered with any process.
  NoOwner
  /// A node of `NodePriority` is no atom, and none may be made; see
  /// `settings.set_allow_atom_creation`.
  NoSuchAtom(text: String)
  /// All atoms that may be made are; see `settings.set_max_new_atoms`.
  AtomBudgetSpent(limit: Int)
  /// The companion refused it for a reason that is remora's fault.
  Refused(reason: String)
  /// No answer in time. It may be registered, or soon be.
  RegisterTimeout
  /// There is no companion now.
  NotRunning
}

/// Why a name was not taken away.
pub type UnregisterError {
  /// This node did not answer while all were asked. Try again.
  UnregisterMemberTimeout(node: String)
  /// Others held the cluster's lock for too long. Try again.
  UnregisterBusy
  /// No answer in time. It may be gone, or soon be.
  UnregisterTimeout
  /// There is no companion now.
  UnregisterNotRunning
}

/// Why there is no process of that name.
pub type LookupError {
  /// Nobody has the name now.
  NotFound
  /// Nobody has got it within the time, or the companion did not answer.
  LookupTimeout
  /// There is no companion now.
  LookupNotRunning
}

/// A change of the cluster's names.
pub type NameEvent {
  /// A process has the name now, whether it is new or somebody else had it.
  Registered(name: String, pid: Pid)
  /// Nobody has the name any more.
  Unregistered(name: String)
}

/// What `unsubscribe` ends.
pub opaque type Subscription {
  Subscription(pid: Pid)
}

/// A name with the codec of the messages for it.
///
/// ```gleam
/// import remora/codec
/// import remora/registry
///
/// let orders = registry.name("orders", codec.list(codec.int()))
/// let assert "orders" = registry.to_string(orders)
/// ```
pub fn name(name: String, codec: Codec(message)) -> GlobalName(message) {
  GlobalName(name, codec)
}

/// The text of a name.
///
/// ```gleam
/// import remora/codec
/// import remora/registry
///
/// let assert "orders" =
///   registry.to_string(registry.name("orders", codec.int()))
/// ```
pub fn to_string(name: GlobalName(message)) -> String {
  name.name
}

/// Gives a process a name. Messages to the name reach its mailbox as they are;
/// for a typed process use `register_subject`. The name is free again when the
/// process ends.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/registry
///
/// let me = process.self()
/// let assert Ok(Nil) = registry.register("front desk", me)
/// let assert Error(registry.AlreadyNamed) =
///   registry.register("front desk", me)
/// let assert True = registry.whereis("front desk") == Ok(me)
/// ```
pub fn register(name: String, pid: Pid) -> Result(Nil, RegisterError) {
  register_with(name, pid, RandomExit)
}

/// As `register`, and says what happens when two parts of a cluster meet that
/// both have the name.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/registry
///
/// let assert Ok(Nil) =
///   registry.register_with(
///     "back office",
///     process.self(),
///     registry.LowestPid,
///   )
/// ```
@external(erlang, "remora_ffi", "register_name")
pub fn register_with(
  name: String,
  pid: Pid,
  conflict: Conflict,
) -> Result(Nil, RegisterError)

/// Gives the name to a process, whoever had it.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/registry
///
/// let first = process.spawn(fn() { process.sleep(10_000) })
/// let assert Ok(Nil) = registry.register("the one", first)
/// let assert Ok(Nil) = registry.re_register("the one", process.self())
/// let assert True = registry.whereis("the one") == Ok(process.self())
/// ```
@external(erlang, "remora_ffi", "re_register_name")
pub fn re_register(name: String, pid: Pid) -> Result(Nil, RegisterError)

/// Gives names to many processes at once; the results are in the same order.
/// They share the rounds in which all nodes are asked, so this is much faster
/// than one after the other.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/registry
///
/// let a = process.spawn(fn() { process.sleep(10_000) })
/// let b = process.spawn(fn() { process.sleep(10_000) })
/// let assert [Ok(Nil), Ok(Nil)] =
///   registry.register_many([#("shard 1", a), #("shard 2", b)])
/// ```
@external(erlang, "remora_ffi", "register_many")
pub fn register_many(
  names: List(#(String, Pid)),
) -> List(Result(Nil, RegisterError))

/// Gives a subject a name. What is sent to the name from any node is decoded
/// with the name's codec and then sent to the subject; what the codec does not
/// understand is logged and dropped, so the process never meets it.
///
/// A process that is linked to the subject's owner stands in front of it, and
/// is what `whereis` finds. Who loses the name in a conflict under a rule that
/// kills, loses the subject's owner with it.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/codec
/// import remora/messaging
/// import remora/registry
///
/// let inbox = process.new_subject()
/// let name = registry.name("greeter", codec.string())
/// let assert Ok(Nil) = registry.register_subject(name, inbox)
/// let assert Ok(Nil) =
///   messaging.send_global("greeter", "hello", codec.string())
/// let assert Ok("hello") = process.receive(inbox, within: 5000)
/// ```
pub fn register_subject(
  name: GlobalName(message),
  subject: Subject(message),
) -> Result(Nil, RegisterError) {
  register_subject_with(name, subject, RandomExit)
}

/// As `register_subject`, and says what happens when two parts of a cluster
/// meet that both have the name. Who loses it under a rule that tells, gets no
/// more messages; `subscribe` tells who has it.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/codec
/// import remora/registry
///
/// let assert Ok(Nil) =
///   registry.register_subject_with(
///     registry.name("porter", codec.string()),
///     process.new_subject(),
///     registry.KeepLocal,
///   )
/// ```
pub fn register_subject_with(
  name: GlobalName(message),
  subject: Subject(message),
  conflict: Conflict,
) -> Result(Nil, RegisterError) {
  use owner <- result.try(
    process.subject_owner(subject)
    |> result.replace_error(NoOwner),
  )
  register_door(name.name, conflict, owner, fn(term) {
    door.receive_term(name.codec, subject, term)
  })
}

/// Takes a name away from whoever has it. It is no error when nobody does.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/registry
///
/// let assert Ok(Nil) = registry.register("gone soon", process.self())
/// let assert Ok(Nil) = registry.unregister("gone soon")
/// let assert Error(registry.NotFound) = registry.whereis("gone soon")
/// ```
@external(erlang, "remora_ffi", "unregister_name")
pub fn unregister(name: String) -> Result(Nil, UnregisterError)

/// The process that has a name. Read here, without a message; the error is
/// never `LookupTimeout`.
///
/// ```gleam
/// import remora/registry
///
/// let assert Error(registry.NotFound) = registry.whereis("nobody")
/// ```
@external(erlang, "remora_ffi", "whereis")
pub fn whereis(name: String) -> Result(Pid, LookupError)

/// The process that has a name, as the companion knows it at this moment: a
/// call.
///
/// ```gleam
/// import remora/registry
///
/// let assert Error(registry.NotFound) = registry.whereis_fresh("nobody")
/// ```
@external(erlang, "remora_ffi", "whereis_fresh")
pub fn whereis_fresh(name: String) -> Result(Pid, LookupError)

/// The process that has a name, to send messages to. Read here, without a
/// message.
///
/// ```gleam
/// import remora/codec
/// import remora/registry
///
/// let assert Error(registry.NotFound) =
///   registry.lookup(registry.name("nobody", codec.int()))
/// ```
pub fn lookup(
  name: GlobalName(message),
) -> Result(Remote(message), LookupError) {
  use pid <- result.map(whereis(name.name))
  messaging.remote(pid, name.codec)
}

/// As `lookup`, and waits until somebody has the name, `milliseconds` at most.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/codec
/// import remora/registry
///
/// let name = registry.name("late riser", codec.int())
/// let assert Error(registry.LookupTimeout) = registry.await(name, within: 10)
///
/// process.spawn(fn() {
///   let assert Ok(Nil) =
///     registry.register_subject(name, process.new_subject())
///   process.sleep(5000)
/// })
/// let assert Ok(_remote) = registry.await(name, within: 5000)
/// ```
pub fn await(
  name: GlobalName(message),
  within milliseconds: Int,
) -> Result(Remote(message), LookupError) {
  use pid <- result.map(await_name(name.name, milliseconds))
  messaging.remote(pid, name.codec)
}

/// Whether somebody has the name, as far as this VM knows. `False` without a
/// companion.
///
/// ```gleam
/// import remora/registry
///
/// let assert False = registry.is_registered("nobody")
/// ```
pub fn is_registered(name: String) -> Bool {
  result.is_ok(whereis(name))
}

/// All names that are text, or atoms; the latter as their text. Names that
/// Erlang made of other terms are left out. Read here, without a message.
///
/// ```gleam
/// import gleam/erlang/process
/// import gleam/list
/// import remora/registry
///
/// let assert Ok(Nil) = registry.register("listed", process.self())
/// let assert Ok(names) = registry.names()
/// let assert True = list.contains(names, "listed")
/// ```
@external(erlang, "remora_ffi", "names")
pub fn names() -> Result(List(String), LookupError)

/// Tells a subject of each change from here on, until its owner ends or it is
/// unsubscribed. Companions may come and go meanwhile: when one is back, what
/// is different is told.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/registry
///
/// let changes = process.new_subject()
/// let assert Ok(subscription) = registry.subscribe(changes)
/// let assert Ok(Nil) = registry.register("newcomer", process.self())
/// let assert Ok(_registered) = process.receive(changes, within: 5000)
/// registry.unsubscribe(subscription)
/// ```
pub fn subscribe(
  listener: Subject(NameEvent),
) -> Result(Subscription, LookupError) {
  subscription.owner(listener)
  |> subscribe_names(fn(event) { process.send(listener, event) })
  |> result.map(Subscription)
}

/// Ends a subscription. When this returns, no more events are on their way.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/registry
///
/// let assert Ok(subscription) = registry.subscribe(process.new_subject())
/// registry.unsubscribe(subscription)
/// ```
pub fn unsubscribe(subscription: Subscription) -> Nil {
  subscription.stop(subscription.pid)
}

/// A sentence for people: what was tried and what to do.
///
/// ```gleam
/// import remora/registry
///
/// let assert "this process has the name already" =
///   registry.describe_register_error(registry.AlreadyNamed)
/// ```
pub fn describe_register_error(error: RegisterError) -> String {
  case error {
    Taken(by) -> "the process " <> string.inspect(by) <> " has the name"
    AlreadyNamed -> "this process has the name already"
    MemberTimeout(node) -> did_not_answer(node)
    Busy -> locked
    NoOwner -> "the subject's name is not registered with any process"
    NoSuchAtom(name) -> text.no_such_atom(name)
    AtomBudgetSpent(limit) -> text.atom_budget_spent(limit)
    Refused(reason) -> text.refused(reason)
    RegisterTimeout ->
      "the companion did not answer in time; the name may be registered yet"
    NotRunning -> text.not_running
  }
}

/// A sentence for people: what was tried and what to do.
///
/// ```gleam
/// import remora/registry
///
/// let assert "the node b@h did not answer while all were asked; try again" =
///   registry.describe_unregister_error(registry.UnregisterMemberTimeout("b@h"))
/// ```
pub fn describe_unregister_error(error: UnregisterError) -> String {
  case error {
    UnregisterMemberTimeout(node) -> did_not_answer(node)
    UnregisterBusy -> locked
    UnregisterTimeout ->
      "the companion did not answer in time; the name may be gone yet"
    UnregisterNotRunning -> text.not_running
  }
}

/// A sentence for people: what was tried and what to do.
///
/// ```gleam
/// import remora/registry
///
/// let assert "nobody has the name now" =
///   registry.describe_lookup_error(registry.NotFound)
/// ```
pub fn describe_lookup_error(error: LookupError) -> String {
  case error {
    NotFound -> "nobody has the name now"
    LookupTimeout -> "nobody got the name in time"
    LookupNotRunning -> text.not_running
  }
}

const locked: String =
  "the cluster's lock, or the name, was held for too long; try again"

fn did_not_answer(node: String) -> String {
  "the node " <> node <> " did not answer while all were asked; try again"
}

@external(erlang, "remora_ffi", "register_door")
fn register_door(
  name: String,
  conflict: Conflict,
  owner: Pid,
  forward: fn(Dynamic) -> Result(Nil, String),
) -> Result(Nil, RegisterError)

@external(erlang, "remora_ffi", "await_name")
fn await_name(name: String, milliseconds: Int) -> Result(Pid, LookupError)

@external(erlang, "remora_ffi", "subscribe_names")
fn subscribe_names(
  owner: Pid,
  forward: fn(NameEvent) -> Nil,
) -> Result(Pid, LookupError)
