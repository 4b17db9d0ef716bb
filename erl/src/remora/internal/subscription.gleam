//// What the modules with subscriptions have in common: a process of remora
//// listens, and sends what it hears to the subject of who subscribed.

import gleam/erlang/process.{type Pid, type Subject}
import gleam/result

/// Whose end ends the subscription. A named subject that nobody has yet is the
/// caller's.
pub fn owner(listener: Subject(event)) -> Pid {
  process.subject_owner(listener)
  |> result.unwrap(process.self())
}

/// Ends the listening process; nothing comes from it afterwards.
@external(erlang, "remora_relay", "stop")
pub fn stop(pid: Pid) -> Nil
