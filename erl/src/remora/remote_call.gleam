//// Function calls on other nodes, through the companion, with each cause of
//// failure told apart.
////
//// The function is named by its Erlang module and name; a Gleam function
//// `wares/stock.count` is the Erlang function `wares@stock:count`. Arguments
//// are `Dynamic`, and so is the result, unless `call_typed` decodes it.
////
//// ```gleam
//// import gleam/dynamic
//// import gleam/dynamic/decode
//// import remora/remote_call
////
//// let assert Ok([1, 2, 3]) =
////   remote_call.call_typed(
////     "other@127.0.0.1",
////     "lists",
////     "seq",
////     [dynamic.int(1), dynamic.int(3)],
////     within: 5000,
////     expecting: decode.list(of: decode.int),
////   )
//// ```
////
//// A correlation id that the calling process has, see `remora/log`, goes along
//// and stands in the companion's lines about the call.

import gleam/dynamic.{type Dynamic}
import gleam/dynamic/decode.{type Decoder}
import gleam/int
import gleam/result
import remora/internal/text

/// Why there is no result.
pub type RpcError {
  /// No answer in time. The function may still run, or have run.
  RpcTimeout
  /// The node is not there, or its connection was lost meanwhile; then the
  /// function may have run.
  RpcNodeDown(node: String)
  /// The node has no such function.
  RpcUndefined(module: String, function: String, arity: Int)
  /// The function raised: `reason` as Erlang prints it.
  RpcRaised(class: RaiseClass, reason: String)
  /// The node refused the call for another reason.
  RpcBadRpc(reason: String)
  /// The result is not what was expected.
  RpcBadResult(errors: List(decode.DecodeError))
  /// The arguments are too large; see `settings.set_max_message_size`. No byte
  /// left.
  RpcTooLarge(bytes: Int, limit: Int)
  /// The name of a node, a module or a function is no atom, and none may be
  /// made; see `settings.set_allow_atom_creation`.
  RpcNoSuchAtom(text: String)
  /// All atoms that may be made are; see `settings.set_max_new_atoms`.
  RpcAtomBudgetSpent(limit: Int)
  /// There is no companion now.
  NotRunning
}

/// How a function raised.
pub type RaiseClass {
  /// As a fault: Erlang's `error`. Gleam's `panic` and `let assert` do this.
  RaisedError
  /// By ending its process: `exit`.
  RaisedExit
  /// As a value to be caught: `throw`.
  RaisedThrow
}

/// Calls a function and waits for its result, 5 seconds at most.
///
/// ```gleam
/// import gleam/dynamic
/// import remora/remote_call
///
/// let other = "other@127.0.0.1"
/// let assert Ok(_node) = remote_call.call(other, "erlang", "node", [])
///
/// let arguments = [dynamic.int(1), dynamic.int(0)]
/// let assert Error(remote_call.RpcRaised(_error, "badarith")) =
///   remote_call.call(other, "erlang", "div", arguments)
/// ```
pub fn call(
  node: String,
  module: String,
  function: String,
  arguments: List(Dynamic),
) -> Result(Dynamic, RpcError) {
  call_with_timeout(node, module, function, arguments, default_timeout)
}

/// As `call`, and waits so many milliseconds at most.
///
/// ```gleam
/// import gleam/dynamic
/// import remora/remote_call
///
/// let assert Error(remote_call.RpcTimeout) =
///   remote_call.call_with_timeout(
///     "other@127.0.0.1",
///     "timer",
///     "sleep",
///     [dynamic.int(2000)],
///     within: 50,
///   )
/// ```
@external(erlang, "remora_ffi", "rpc")
pub fn call_with_timeout(
  node: String,
  module: String,
  function: String,
  arguments: List(Dynamic),
  within milliseconds: Int,
) -> Result(Dynamic, RpcError)

/// As `call_with_timeout`, and decodes the result.
///
/// ```gleam
/// import gleam/dynamic
/// import gleam/dynamic/decode
/// import remora/remote_call
///
/// let assert Ok(7) =
///   remote_call.call_typed(
///     "other@127.0.0.1",
///     "erlang",
///     "abs",
///     [dynamic.int(-7)],
///     within: 5000,
///     expecting: decode.int,
///   )
/// ```
pub fn call_typed(
  node: String,
  module: String,
  function: String,
  arguments: List(Dynamic),
  within milliseconds: Int,
  expecting decoder: Decoder(a),
) -> Result(a, RpcError) {
  use term <- result.try(call_with_timeout(
    node,
    module,
    function,
    arguments,
    milliseconds,
  ))
  decode.run(term, decoder)
  |> result.map_error(RpcBadResult)
}

/// Has a function run without waiting for it. `Ok` says that the companion was
/// told; what becomes of the call is not.
///
/// ```gleam
/// import remora/remote_call
///
/// let assert Ok(Nil) =
///   remote_call.cast("other@127.0.0.1", "erlang", "garbage_collect", [])
/// ```
@external(erlang, "remora_ffi", "rpc_cast")
pub fn cast(
  node: String,
  module: String,
  function: String,
  arguments: List(Dynamic),
) -> Result(Nil, RpcError)

/// Calls a function on several nodes at once: each node with its result, in the
/// order given. It takes so many milliseconds at most, whatever their number.
///
/// ```gleam
/// import remora/remote_call
///
/// let nodes = ["other@127.0.0.1", "nobody@127.0.0.1"]
/// let assert [#("other@127.0.0.1", Ok(_)), #("nobody@127.0.0.1", Error(_))] =
///   remote_call.multicall(nodes, "erlang", "node", [], within: 5000)
/// ```
@external(erlang, "remora_ffi", "rpc_multicall")
pub fn multicall(
  nodes: List(String),
  module: String,
  function: String,
  arguments: List(Dynamic),
  within milliseconds: Int,
) -> List(#(String, Result(Dynamic, RpcError)))

/// A sentence for people: what was tried and what was found.
///
/// ```gleam
/// import remora/remote_call
///
/// let assert "the node has no function shop:open/2" =
///   remote_call.describe_rpc_error(remote_call.RpcUndefined("shop", "open", 2))
/// ```
pub fn describe_rpc_error(error: RpcError) -> String {
  case error {
    RpcTimeout -> "there was no answer in time; the function may have run"
    RpcNodeDown(node) -> node <> " is not there, or was lost before it answered"
    RpcUndefined(module, function, arity) ->
      "the node has no function "
      <> module
      <> ":"
      <> function
      <> "/"
      <> int.to_string(arity)
    RpcRaised(class, reason) -> class_text(class) <> ": " <> reason
    RpcBadRpc(reason) -> "the node refused the call: " <> reason
    RpcBadResult(errors) ->
      "the result is not what was expected: "
      <> text.unexpected_shape(errors)
    RpcTooLarge(bytes, limit) -> text.too_large(bytes, limit)
    RpcNoSuchAtom(name) -> text.no_such_atom(name)
    RpcAtomBudgetSpent(limit) -> text.atom_budget_spent(limit)
    NotRunning -> text.not_running
  }
}

fn class_text(class: RaiseClass) -> String {
  case class {
    RaisedError -> "the function failed"
    RaisedExit -> "the function ended its process"
    RaisedThrow -> "the function threw, and nobody caught it"
  }
}

const default_timeout: Int = 5000
