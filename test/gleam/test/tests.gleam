//// What several tests use.

import gleam/dynamic.{type Dynamic}
import gleam/erlang/process.{type Pid}
import gleam/option.{type Option}

/// The second node of the tests.
pub const other: String = "other@127.0.0.1"

/// Text that no test used before, and that is no atom.
@external(erlang, "tests_ffi", "unique")
pub fn unique(prefix: String) -> String

@external(erlang, "tests_ffi", "atom_count")
pub fn atom_count() -> Int

@external(erlang, "tests_ffi", "process_count")
pub fn process_count() -> Int

/// A value as the term that it is.
@external(erlang, "tests_ffi", "identity")
pub fn term(value: a) -> Dynamic

/// A value as the function wants it, whatever it is.
@external(erlang, "tests_ffi", "identity")
pub fn believe(value: a) -> b

/// Asks until the answer is True, for so many milliseconds at most.
@external(erlang, "tests_ffi", "eventually")
pub fn eventually(within: Int, ask: fn() -> Bool) -> Result(Nil, Nil)

/// How many milliseconds it took, and what came of it.
@external(erlang, "tests_ffi", "elapsed")
pub fn elapsed(run: fn() -> a) -> #(Int, a)

/// Runs on the second node.
@external(erlang, "tests_ffi", "on_other")
pub fn on_other(run: fn() -> a) -> a

/// This VM, its companion and the second node have met, and know each other's
/// names.
@external(erlang, "tests_ffi", "together")
pub fn together() -> Nil

/// OTP's own names, as the node sees them that this runs on.
@external(erlang, "tests_ffi", "register_global")
pub fn register_global(name: Dynamic, pid: Pid) -> Bool

@external(erlang, "tests_ffi", "unregister_global")
pub fn unregister_global(name: Dynamic) -> Nil

@external(erlang, "tests_ffi", "whereis_global")
pub fn whereis_global(name: Dynamic) -> Result(Pid, Nil)

/// OTP's own groups.
@external(erlang, "tests_ffi", "pg_join")
pub fn pg_join(group: Dynamic, pid: Pid) -> Nil

@external(erlang, "tests_ffi", "pg_members")
pub fn pg_members(group: Dynamic) -> List(Pid)

@external(erlang, "tests_ffi", "send_raw")
pub fn send_raw(pid: Pid, term: Dynamic) -> Nil

@external(erlang, "tests_ffi", "exit_pid")
pub fn exit_pid(pid: Pid, reason: Dynamic) -> Nil

/// A process that keeps what it is sent.
@external(erlang, "tests_ffi", "collector")
pub fn collector() -> Pid

@external(erlang, "tests_ffi", "collected")
pub fn collected(pid: Pid) -> List(Dynamic)

/// A process that answers as a gen_server does: numbers with their double.
@external(erlang, "tests_ffi", "counter")
pub fn counter() -> Pid

@external(erlang, "tests_ffi", "kill_companion")
pub fn kill_companion() -> Nil

@external(erlang, "tests_ffi", "os_process_is_there")
pub fn os_process_is_there(os_pid: Int) -> Bool

/// Level, text, and fields of the lines that remora logged meanwhile.
@external(erlang, "tests_ffi", "with_log")
pub fn with_log(
  run: fn() -> a,
) -> List(#(String, String, List(#(String, String))))

/// Within `with_log`: waits until a line has this field.
@external(erlang, "tests_ffi", "await_logged")
pub fn await_logged(key: String, value: String) -> Bool

/// Runs in a VM that is no node, and looks for its epmd at this port.
@external(erlang, "tests_ffi", "in_plain_vm")
pub fn in_plain_vm(epmd_port: Int, run: fn() -> a) -> a

/// Where the tests' own epmd is.
@external(erlang, "tests_ffi", "epmd_port")
pub fn epmd_port() -> Int

/// The port of a server that answers one connection with these bytes, or never.
@external(erlang, "tests_ffi", "listen_once")
pub fn listen_once(answer: Option(BitArray)) -> Int

/// What a name server of the tests answers.
pub type DnsAnswer

/// Where the name server of `with_dns` is.
@external(erlang, "tests_ffi", "dns_server")
pub fn dns_server() -> String

/// Asks a name server of our own, which has these records.
@external(erlang, "tests_ffi", "with_dns")
pub fn with_dns(
  zone: List(#(String, RecordType, DnsAnswer)),
  run: fn() -> a,
) -> a

pub type RecordType {
  A
  Aaaa
}
