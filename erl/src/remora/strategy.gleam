//// Your own way to find nodes, for `remora.custom`.
////
//// A strategy says which nodes there should be. The other three functions say
//// how to connect to nodes, how to disconnect from them, and which ones are
//// connected; without them the companion does it.
////
//// ```gleam
//// import remora/strategy
////
//// let _strategy =
////   strategy.new(fn() { Ok(["b@10.0.0.2", "c@10.0.0.3"]) })
//// ```

import gleam/option.{type Option, None, Some}
import remora/cluster.{type ConnectError, type DisconnectError}
import remora/dns
import remora/epmd

/// Which nodes there should be, and what to do about it.
pub opaque type Strategy {
  Strategy(
    discover: fn() -> Result(List(String), DiscoveryError),
    connect: Option(ConnectNodes),
    disconnect: Option(DisconnectNodes),
    list: Option(fn() -> Result(List(String), DiscoveryError)),
  )
}

/// Connects to nodes: those that it connected to, or those that it did not,
/// each with the reason.
pub type ConnectNodes =
  fn(List(String)) -> Result(List(String), List(#(String, ConnectError)))

/// Disconnects from nodes: those that are gone, or those that are not, each
/// with the reason.
pub type DisconnectNodes =
  fn(List(String)) -> Result(List(String), List(#(String, DisconnectError)))

/// Why it is not known which nodes there are. Nobody is disconnected then.
pub type DiscoveryError {
  /// Looking up a host's addresses failed.
  DnsFailed(error: dns.LookupError)
  /// Asking an epmd failed.
  EpmdFailed(error: epmd.EpmdError)
  /// A file could not be read, or a line of it not be understood.
  FileFailed(path: String, reason: String)
  /// Something else, for strategies of your own.
  OtherFailure(reason: String)
  /// This way of discovery is not in this version of remora.
  Unsupported(source: String)
}

/// A strategy out of a function that finds nodes. An answer says which nodes
/// there are, all of them; an error says that this is not known now.
///
/// ```gleam
/// import remora/strategy
///
/// let find = fn() { Ok(["b@10.0.0.2"]) }
/// let assert Ok(["b@10.0.0.2"]) = strategy.discover_nodes(strategy.new(find))
/// ```
pub fn new(
  discover_nodes: fn() -> Result(List(String), DiscoveryError),
) -> Strategy {
  Strategy(discover_nodes, None, None, None)
}

/// Connects to nodes in another way than through the companion.
///
/// ```gleam
/// import remora/strategy
///
/// let _strategy =
///   strategy.new(fn() { Ok([]) })
///   |> strategy.with_connect_nodes_function(fn(nodes) { Ok(nodes) })
/// ```
pub fn with_connect_nodes_function(
  strategy: Strategy,
  connect_nodes: ConnectNodes,
) -> Strategy {
  Strategy(..strategy, connect: Some(connect_nodes))
}

/// Disconnects from nodes in another way than through the companion.
///
/// ```gleam
/// import remora/strategy
///
/// let _strategy =
///   strategy.new(fn() { Ok([]) })
///   |> strategy.with_disconnect_nodes_function(fn(nodes) { Ok(nodes) })
/// ```
pub fn with_disconnect_nodes_function(
  strategy: Strategy,
  disconnect_nodes: DisconnectNodes,
) -> Strategy {
  Strategy(..strategy, disconnect: Some(disconnect_nodes))
}

/// Says in another way than the companion which nodes are connected.
///
/// ```gleam
/// import remora/strategy
///
/// let _strategy =
///   strategy.new(fn() { Ok([]) })
///   |> strategy.with_list_nodes_function(fn() { Ok([]) })
/// ```
pub fn with_list_nodes_function(
  strategy: Strategy,
  list_nodes: fn() -> Result(List(String), DiscoveryError),
) -> Strategy {
  Strategy(..strategy, list: Some(list_nodes))
}

/// What the strategy finds now.
///
/// ```gleam
/// import remora/strategy
///
/// let unknown = fn() { Error(strategy.OtherFailure("the list is locked")) }
/// let assert Error(strategy.OtherFailure("the list is locked")) =
///   strategy.discover_nodes(strategy.new(unknown))
/// ```
pub fn discover_nodes(
  strategy: Strategy,
) -> Result(List(String), DiscoveryError) {
  strategy.discover()
}

/// A sentence for people: what was tried and what to do.
///
/// ```gleam
/// import remora/strategy
///
/// let assert "discovery by multicast is not in this version of remora" =
///   strategy.describe_discovery_error(strategy.Unsupported("multicast"))
/// ```
pub fn describe_discovery_error(error: DiscoveryError) -> String {
  case error {
    DnsFailed(error) -> dns.describe_lookup_error(error)
    EpmdFailed(error) -> epmd.describe_epmd_error(error)
    FileFailed(path, reason) -> path <> " cannot be used: " <> reason
    OtherFailure(reason) -> reason
    Unsupported(source) ->
      "discovery by " <> source <> " is not in this version of remora"
  }
}

@internal
pub fn connect_function(strategy: Strategy) -> Option(ConnectNodes) {
  strategy.connect
}

@internal
pub fn disconnect_function(strategy: Strategy) -> Option(DisconnectNodes) {
  strategy.disconnect
}

@internal
pub fn list_function(
  strategy: Strategy,
) -> Option(fn() -> Result(List(String), DiscoveryError)) {
  strategy.list
}
