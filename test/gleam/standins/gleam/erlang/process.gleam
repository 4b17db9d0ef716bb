import gleam/dynamic
import gleam/erlang/port

pub type Pid

pub type Name(message)

pub type Selector(payload)

pub type Monitor

pub type Timer

type Tag

pub opaque type Subject(message) {
  Subject(owner: Pid, tag: Tag)
  NamedSubject(name: Name(message))
}

pub type ExitReason {
  Normal
  Killed
  Abnormal(reason: dynamic.Dynamic)
}

pub type Down {
  ProcessDown(monitor: Monitor, pid: Pid, reason: ExitReason)
  PortDown(monitor: Monitor, port: port.Port, reason: ExitReason)
}

@external(erlang, "erlang", "self")
pub fn self() -> Pid

@external(erlang, "erlang", "spawn_link")
pub fn spawn(running: fn() -> anything) -> Pid

@external(erlang, "erlang", "spawn")
pub fn spawn_unlinked(a: fn() -> anything) -> Pid

@external(erlang, "erlang", "make_ref")
fn tag() -> Tag

pub fn new_subject() -> Subject(message) {
  Subject(owner: self(), tag: tag())
}

@external(erlang, "gleam_standin_ffi", "new_name")
pub fn new_name(prefix prefix: String) -> Name(message)

pub fn named_subject(name: Name(message)) -> Subject(message) {
  NamedSubject(name)
}

pub fn subject_owner(subject: Subject(message)) -> Result(Pid, Nil) {
  case subject {
    Subject(pid, _) -> Ok(pid)
    NamedSubject(name) -> named(name)
  }
}

@external(erlang, "gleam_standin_ffi", "named")
pub fn named(name: Name(a)) -> Result(Pid, Nil)

@external(erlang, "gleam_standin_ffi", "register_name")
pub fn register(pid: Pid, name: Name(message)) -> Result(Nil, Nil)

@external(erlang, "gleam_standin_ffi", "unregister_name")
pub fn unregister(name: Name(message)) -> Result(Nil, Nil)

@external(erlang, "gleam_standin_ffi", "send")
pub fn send(subject: Subject(message), message: message) -> Nil

@external(erlang, "gleam_standin_ffi", "receive_")
pub fn receive(
  from subject: Subject(message),
  within timeout: Int,
) -> Result(message, Nil)

@external(erlang, "gleam_standin_ffi", "receive_forever")
pub fn receive_forever(from subject: Subject(message)) -> message

@external(erlang, "gleam_standin_ffi", "call")
pub fn call(
  subject: Subject(message),
  waiting timeout: Int,
  sending make_request: fn(Subject(reply)) -> message,
) -> reply

@external(erlang, "gleam_standin_ffi", "send_after")
pub fn send_after(subject: Subject(msg), delay: Int, message: msg) -> Timer

@external(erlang, "gleam_standin_ffi", "new_selector")
pub fn new_selector() -> Selector(payload)

pub fn select(
  selector: Selector(payload),
  for subject: Subject(payload),
) -> Selector(payload) {
  select_map(selector, subject, fn(x) { x })
}

@external(erlang, "gleam_standin_ffi", "select_map")
pub fn select_map(
  selector: Selector(payload),
  for subject: Subject(message),
  mapping transform: fn(message) -> payload,
) -> Selector(payload)

@external(erlang, "gleam_standin_ffi", "select_record")
pub fn select_record(
  selector: Selector(payload),
  tag tag: tag,
  fields arity: Int,
  mapping transform: fn(dynamic.Dynamic) -> payload,
) -> Selector(payload)

@external(erlang, "gleam_standin_ffi", "select_other")
pub fn select_other(
  selector: Selector(payload),
  mapping handler: fn(dynamic.Dynamic) -> payload,
) -> Selector(payload)

@external(erlang, "gleam_standin_ffi", "selector_receive")
pub fn selector_receive(
  from from: Selector(payload),
  within within: Int,
) -> Result(payload, Nil)

@external(erlang, "gleam_standin_ffi", "selector_receive_forever")
pub fn selector_receive_forever(from from: Selector(payload)) -> payload

@external(erlang, "gleam_standin_ffi", "map_selector")
pub fn map_selector(a: Selector(a), b: fn(a) -> b) -> Selector(b)

@external(erlang, "maps", "merge")
pub fn merge_selector(a: Selector(a), b: Selector(a)) -> Selector(a)

@external(erlang, "gleam_standin_ffi", "select_specific_monitor")
pub fn select_specific_monitor(
  selector: Selector(payload),
  monitor: Monitor,
  mapping: fn(Down) -> payload,
) -> Selector(payload)

@external(erlang, "gleam_standin_ffi", "monitor")
pub fn monitor(pid: Pid) -> Monitor

@external(erlang, "gleam_standin_ffi", "demonitor")
pub fn demonitor_process(monitor monitor: Monitor) -> Nil

@external(erlang, "gleam_standin_ffi", "sleep")
pub fn sleep(a: Int) -> Nil

@external(erlang, "gleam_standin_ffi", "sleep_forever")
pub fn sleep_forever() -> Nil

@external(erlang, "erlang", "is_process_alive")
pub fn is_alive(a: Pid) -> Bool

@external(erlang, "erlang", "link")
pub fn link(pid pid: Pid) -> Bool

@external(erlang, "gleam_standin_ffi", "kill")
pub fn kill(pid: Pid) -> Nil

@external(erlang, "gleam_standin_ffi", "unlink")
pub fn unlink(pid: Pid) -> Nil

@external(erlang, "gleam_standin_ffi", "trap_exits")
pub fn trap_exits(a: Bool) -> Nil

@external(erlang, "gleam_standin_ffi", "send_exit")
pub fn send_exit(to pid: Pid) -> Nil

@external(erlang, "gleam_standin_ffi", "send_abnormal_exit")
pub fn send_abnormal_exit(pid: Pid, reason: anything) -> Nil
