//// Process groups of the whole cluster: OTP's `pg`, through the companion.
////
//// What joins here is a member for `pg:get_members/2` on every node, and the
//// other way round. A group's name is text; it is never made into an atom.
//// Where no group of that text has members, the group that is the atom of that
//// text is meant, if there is one: Erlang's groups are often atoms. A process
//// leaves when it ends, and joins again by itself when the companion had to be
//// started again.
////
//// `Group(message)` is a group with the codec of the messages for its members:
////
//// ```gleam
//// import gleam/erlang/process
//// import remora/codec
//// import remora/groups
////
//// pub fn workers() -> groups.Group(String) {
////   groups.group("workers", codec.string())
//// }
////
//// pub fn main() {
////   let inbox = process.new_subject()
////   let assert Ok(Nil) = groups.join_subject(workers(), inbox)
////   let assert Ok(1) = groups.broadcast(workers(), "sweep")
////   let assert Ok("sweep") = process.receive(inbox, within: 5000)
////   let assert Ok(Nil) = groups.leave_subject(workers(), inbox)
//// }
//// ```
////
//// Groups live in scopes: one runs on those nodes that were told to run it.
//// Everything without a scope in its name is about the scope `pg`.

import gleam/dynamic.{type Dynamic}
import gleam/erlang/process.{type Pid, type Subject}
import gleam/list
import gleam/result
import remora/codec.{type Codec}
import remora/internal/door
import remora/internal/subscription
import remora/internal/text
import remora/messaging.{type Remote}

/// A group, and the codec of the messages for its members.
pub opaque type Group(message) {
  Group(scope: String, name: String, codec: Codec(message))
}

/// Why something was not done with a group.
pub type GroupError {
  /// This process is no member through this VM.
  NotJoined
  /// The companion does not run this scope; see `start_scope`.
  NoScope(scope: String)
  /// The companion's limit of members, groups or scopes is reached.
  LimitReached
  /// A process of another kind has the scope's name at the companion.
  ScopeNameTaken(scope: String)
  /// The message is too large; see `settings.set_max_message_size`. No byte
  /// left.
  TooLarge(bytes: Int, limit: Int)
  /// The subject has no owner: its name is not registered with any process.
  NoOwner
  /// The scope is no atom, and none may be made; see
  /// `settings.set_allow_atom_creation`.
  NoSuchAtom(text: String)
  /// All atoms that may be made are; see `settings.set_max_new_atoms`.
  AtomBudgetSpent(limit: Int)
  /// The companion refused it for a reason that is remora's fault.
  Refused(reason: String)
  /// The companion did not answer in time. What was asked may have been done.
  Timeout
  /// There is no companion now.
  NotRunning
}

/// A change of a group.
pub type GroupEvent {
  /// These joined. A process that joined twice stands there twice.
  Joined(group: String, pids: List(Pid))
  /// These left, or ended.
  Left(group: String, pids: List(Pid))
}

/// What `unsubscribe` ends.
pub opaque type Subscription {
  Subscription(pid: Pid)
}

/// The scope that OTP uses when none is said.
pub const default_scope: String = "pg"

/// A group of the scope `pg`, with the codec of the messages for it.
///
/// ```gleam
/// import remora/codec
/// import remora/groups
///
/// let _workers = groups.group("workers", codec.string())
/// ```
pub fn group(name: String, codec: Codec(message)) -> Group(message) {
  Group(default_scope, name, codec)
}

/// A group of another scope.
///
/// ```gleam
/// import remora/codec
/// import remora/groups
///
/// let _workers = groups.group_in("billing", "workers", codec.string())
/// ```
pub fn group_in(
  scope: String,
  name: String,
  codec: Codec(message),
) -> Group(message) {
  Group(scope, name, codec)
}

/// Joins a process, of any node. Messages to the group reach its mailbox as
/// they are; for a typed process use `join_subject`. A process may join several
/// times, and has to leave as often.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/groups
///
/// let assert Ok(Nil) = groups.join("doc join", process.self())
/// let assert Ok([_me]) = groups.members("doc join")
/// ```
pub fn join(group: String, pid: Pid) -> Result(Nil, GroupError) {
  join_in(default_scope, group, pid)
}

/// As `join`, in another scope.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/groups
///
/// let assert Ok(Nil) = groups.join_in("pg", "doc join_in", process.self())
/// ```
@external(erlang, "remora_ffi", "join")
pub fn join_in(
  scope: String,
  group: String,
  pid: Pid,
) -> Result(Nil, GroupError)

/// Leaves once.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/groups
///
/// let me = process.self()
/// let assert Ok(Nil) = groups.join("doc leave", me)
/// let assert Ok(Nil) = groups.leave("doc leave", me)
/// let assert Error(groups.NotJoined) = groups.leave("doc leave", me)
/// ```
pub fn leave(group: String, pid: Pid) -> Result(Nil, GroupError) {
  leave_in(default_scope, group, pid)
}

/// As `leave`, in another scope.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/groups
///
/// let assert Error(groups.NotJoined) =
///   groups.leave_in("pg", "doc leave_in", process.self())
/// ```
@external(erlang, "remora_ffi", "leave")
pub fn leave_in(
  scope: String,
  group: String,
  pid: Pid,
) -> Result(Nil, GroupError)

/// Joins a subject. What is sent to the group from any node is decoded with the
/// group's codec and then sent to the subject; what the codec does not
/// understand is logged and dropped. A process that is linked to the subject's
/// owner stands in front of it, and is the member that others see.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/codec
/// import remora/groups
///
/// let numbers = groups.group("doc join_subject", codec.int())
/// let inbox = process.new_subject()
/// let assert Ok(Nil) = groups.join_subject(numbers, inbox)
/// let assert Ok(1) = groups.broadcast(numbers, 4)
/// let assert Ok(4) = process.receive(inbox, within: 5000)
/// ```
pub fn join_subject(
  group: Group(message),
  subject: Subject(message),
) -> Result(Nil, GroupError) {
  use owner <- result.try(
    process.subject_owner(subject)
    |> result.replace_error(NoOwner),
  )
  join_door(group.scope, group.name, subject, owner, fn(term) {
    door.receive_term(group.codec, subject, term)
  })
}

/// Takes a subject out of a group, once.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/codec
/// import remora/groups
///
/// let numbers = groups.group("doc leave_subject", codec.int())
/// let inbox = process.new_subject()
/// let assert Ok(Nil) = groups.join_subject(numbers, inbox)
/// let assert Ok(Nil) = groups.leave_subject(numbers, inbox)
/// let assert Ok([]) = groups.members("doc leave_subject")
/// ```
pub fn leave_subject(
  group: Group(message),
  subject: Subject(message),
) -> Result(Nil, GroupError) {
  leave_door(group.scope, group.name, subject)
}

/// The members on all nodes, one for each time that it joined. A group that
/// nobody is in has none. Read here, without a message.
///
/// ```gleam
/// import remora/groups
///
/// let assert Ok([]) = groups.members("doc members")
/// ```
pub fn members(group: String) -> Result(List(Pid), GroupError) {
  members_in(default_scope, group)
}

/// As `members`, in another scope.
///
/// ```gleam
/// import remora/groups
///
/// let assert Error(groups.NoSuchAtom("doc no such scope")) =
///   groups.members_in("doc no such scope", "workers")
/// ```
@external(erlang, "remora_ffi", "members")
pub fn members_in(
  scope: String,
  group: String,
) -> Result(List(Pid), GroupError)

/// The members that joined through this VM.
///
/// ```gleam
/// import remora/groups
///
/// let assert Ok([]) = groups.local_members("doc local_members")
/// ```
pub fn local_members(group: String) -> Result(List(Pid), GroupError) {
  local_members_in(default_scope, group)
}

/// As `local_members`, in another scope.
///
/// ```gleam
/// import remora/groups
///
/// let assert Ok([]) = groups.local_members_in("pg", "doc local_members_in")
/// ```
@external(erlang, "remora_ffi", "local_members")
pub fn local_members_in(
  scope: String,
  group: String,
) -> Result(List(Pid), GroupError)

/// The members of a group, to send messages to one of them.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/codec
/// import remora/groups
/// import remora/messaging
///
/// let numbers = groups.group("doc remotes", codec.int())
/// let inbox = process.new_subject()
/// let assert Ok(Nil) = groups.join_subject(numbers, inbox)
/// let assert Ok([one]) = groups.remotes(numbers)
/// let assert Ok(Nil) = messaging.send(one, 5)
/// let assert Ok(5) = process.receive(inbox, within: 5000)
/// ```
pub fn remotes(
  group: Group(message),
) -> Result(List(Remote(message)), GroupError) {
  use pids <- result.map(members_in(group.scope, group.name))
  list.map(pids, messaging.remote(_, group.codec))
}

/// The groups that have members, if their names are text, or atoms; the latter
/// as their text.
///
/// ```gleam
/// import gleam/erlang/process
/// import gleam/list
/// import remora/groups
///
/// let assert Ok(Nil) = groups.join("doc groups", process.self())
/// let assert Ok(names) = groups.groups()
/// let assert True = list.contains(names, "doc groups")
/// ```
pub fn groups() -> Result(List(String), GroupError) {
  groups_in(default_scope)
}

/// As `groups`, in another scope.
///
/// ```gleam
/// import remora/groups
///
/// let assert Ok(_names) = groups.groups_in("pg")
/// ```
@external(erlang, "remora_ffi", "groups")
pub fn groups_in(scope: String) -> Result(List(String), GroupError)

/// Sends a message to every member, once for each time that it joined, and says
/// how many that were when it left. The message goes to the companion once.
///
/// ```gleam
/// import remora/codec
/// import remora/groups
///
/// let assert Ok(0) =
///   groups.broadcast(groups.group("doc nobody", codec.string()), "hello")
/// ```
pub fn broadcast(
  group: Group(message),
  message: message,
) -> Result(Int, GroupError) {
  broadcast_term(
    group.scope,
    group.name,
    codec.to_term(group.codec, message),
  )
}

/// Sends a message to the members that joined through this VM.
///
/// ```gleam
/// import remora/codec
/// import remora/groups
///
/// let nobody = groups.group("doc nobody", codec.string())
/// let assert Ok(0) = groups.broadcast_local(nobody, "hello")
/// ```
pub fn broadcast_local(
  group: Group(message),
  message: message,
) -> Result(Int, GroupError) {
  broadcast_term_local(
    group.scope,
    group.name,
    codec.to_term(group.codec, message),
  )
}

/// Tells a subject of each change of a group from here on, until its owner ends
/// or it is unsubscribed; and gives the members as they are now.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/groups
///
/// let changes = process.new_subject()
/// let assert Ok(#(subscription, [])) =
///   groups.subscribe("doc subscribe", changes)
/// let assert Ok(Nil) = groups.join("doc subscribe", process.self())
/// let assert Ok(groups.Joined("doc subscribe", [_me])) =
///   process.receive(changes, within: 5000)
/// groups.unsubscribe(subscription)
/// ```
pub fn subscribe(
  group: String,
  listener: Subject(GroupEvent),
) -> Result(#(Subscription, List(Pid)), GroupError) {
  subscribe_in(default_scope, group, listener)
}

/// As `subscribe`, in another scope.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/groups
///
/// let assert Ok(#(subscription, [])) =
///   groups.subscribe_in("pg", "doc subscribe_in", process.new_subject())
/// groups.unsubscribe(subscription)
/// ```
pub fn subscribe_in(
  scope: String,
  group: String,
  listener: Subject(GroupEvent),
) -> Result(#(Subscription, List(Pid)), GroupError) {
  let forward = fn(event) { process.send(listener, event) }
  let owner = subscription.owner(listener)
  use #(pid, members) <- result.map(subscribe_group(
    scope,
    group,
    owner,
    forward,
  ))
  #(Subscription(pid), members)
}

/// As `subscribe`, for all groups of a scope that have names of text, or atoms.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/groups
///
/// let assert Ok(#(subscription, _groups)) =
///   groups.subscribe_scope("pg", process.new_subject())
/// groups.unsubscribe(subscription)
/// ```
pub fn subscribe_scope(
  scope: String,
  listener: Subject(GroupEvent),
) -> Result(#(Subscription, List(#(String, List(Pid)))), GroupError) {
  let forward = fn(event) { process.send(listener, event) }
  let owner = subscription.owner(listener)
  use #(pid, groups) <- result.map(subscribe_groups(scope, owner, forward))
  #(Subscription(pid), groups)
}

/// Ends a subscription. When this returns, no more events are on their way.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/groups
///
/// let assert Ok(#(subscription, _)) =
///   groups.subscribe("doc unsubscribe", process.new_subject())
/// groups.unsubscribe(subscription)
/// ```
pub fn unsubscribe(subscription: Subscription) -> Nil {
  subscription.stop(subscription.pid)
}

/// Has the companion take part in a scope from here on, also after it had to be
/// started again. It is no error when it does. Scopes are atoms of Erlang.
///
/// ```gleam
/// import remora/groups
/// import remora/settings
///
/// settings.set_allow_atom_creation(True)
/// let assert Ok(Nil) = settings.set_max_new_atoms(100)
/// let assert Ok(Nil) = groups.start_scope("doc_billing")
/// let assert Ok([]) = groups.members_in("doc_billing", "workers")
/// let assert Ok(Nil) = groups.stop_scope("doc_billing")
/// ```
@external(erlang, "remora_ffi", "start_scope")
pub fn start_scope(scope: String) -> Result(Nil, GroupError)

/// Has the companion take part in a scope no longer. What this VM joined in it
/// leaves.
///
/// ```gleam
/// import remora/groups
///
/// let assert Error(groups.NoSuchAtom("doc never started")) =
///   groups.stop_scope("doc never started")
/// ```
@external(erlang, "remora_ffi", "stop_scope")
pub fn stop_scope(scope: String) -> Result(Nil, GroupError)

/// A sentence for people: what was tried and what to do.
///
/// ```gleam
/// import remora/groups
///
/// let assert "this process is no member of the group through this VM" =
///   groups.describe_group_error(groups.NotJoined)
/// ```
pub fn describe_group_error(error: GroupError) -> String {
  case error {
    NotJoined -> "this process is no member of the group through this VM"
    NoScope(scope) ->
      "the companion does not run the scope " <> scope <> "; start it"
    LimitReached ->
      "the companion's limit of members, groups or scopes is reached"
    ScopeNameTaken(scope) ->
      "a process of another kind is called " <> scope <> " at the companion"
    TooLarge(bytes, limit) -> text.too_large(bytes, limit)
    NoOwner -> "the subject's name is not registered with any process"
    NoSuchAtom(name) -> text.no_such_atom(name)
    AtomBudgetSpent(limit) -> text.atom_budget_spent(limit)
    Refused(reason) -> text.refused(reason)
    Timeout -> "the companion did not answer in time"
    NotRunning -> text.not_running
  }
}

@external(erlang, "remora_ffi", "join_door")
fn join_door(
  scope: String,
  group: String,
  subject: Subject(message),
  owner: Pid,
  forward: fn(Dynamic) -> Result(Nil, String),
) -> Result(Nil, GroupError)

@external(erlang, "remora_ffi", "leave_door")
fn leave_door(
  scope: String,
  group: String,
  subject: Subject(message),
) -> Result(Nil, GroupError)

@external(erlang, "remora_ffi", "broadcast")
fn broadcast_term(
  scope: String,
  group: String,
  term: Dynamic,
) -> Result(Int, GroupError)

@external(erlang, "remora_ffi", "broadcast_local")
fn broadcast_term_local(
  scope: String,
  group: String,
  term: Dynamic,
) -> Result(Int, GroupError)

@external(erlang, "remora_ffi", "subscribe_group")
fn subscribe_group(
  scope: String,
  group: String,
  owner: Pid,
  forward: fn(GroupEvent) -> Nil,
) -> Result(#(Pid, List(Pid)), GroupError)

@external(erlang, "remora_ffi", "subscribe_groups")
fn subscribe_groups(
  scope: String,
  owner: Pid,
  forward: fn(GroupEvent) -> Nil,
) -> Result(#(Pid, List(#(String, List(Pid)))), GroupError)
