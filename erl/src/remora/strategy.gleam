//// Your own way to find nodes, for `remora.custom`.
////
//// A strategy says which nodes there should be. The other three functions say
//// how to connect to nodes, how to disconnect from them, and which ones are
//// connected; without them the companion and this VM do it.
////
//// All of them run in processes of their own, and for a time only: one that
//// crashes, hangs or answers nonsense is a failed attempt, and nothing else
//// waits for it.
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
/// each with the reason. It is called with one node at a time, and for several
/// at once, so that one that hangs keeps no other waiting.
pub type ConnectNodes =
  fn(List(String)) -> Result(List(String), List(#(String, ConnectError)))

/// Disconnects from nodes: those that are gone, or those that are not, each
/// with the reason. It is called with one node at a time too.
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
  /// Kubernetes' API did not say it.
  KubernetesFailed(error: KubernetesError)
  /// The multicast group could not be joined, or not be sent to.
  MulticastFailed(reason: String)
  /// Something else, and what strategies of your own say or do.
  OtherFailure(reason: String)
}

/// Why Kubernetes' API did not say which pods there are. Each has a sentence
/// with what was asked and what came.
pub type KubernetesError {
  /// 401: it does not take the token.
  Unauthorized(text: String)
  /// 403: it takes the token, and does not let it read endpoints. The service
  /// account needs a role with `get` and `list` for `endpoints`.
  Forbidden(text: String)
  /// It has a problem of its own, or too much to do. It is asked again.
  ServerError(text: String)
  /// What came is no list of endpoints, or not all of one.
  BadAnswer(text: String)
  /// The answer is larger than 4 MiB: choose less with a selector.
  AnswerTooLarge(text: String)
  /// It did not answer in time.
  ApiTimeout(text: String)
  /// There was no connection: no such host, refused, or a certificate that is
  /// not trusted.
  ApiUnreachable(text: String)
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

/// Connects to nodes in another way. The companion then connects to none by
/// itself.
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

/// Disconnects from nodes in another way.
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

/// Says in another way which nodes are connected. It is asked in each round.
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
/// let assert "/etc/app/nodes cannot be used: there is no such file" =
///   strategy.FileFailed("/etc/app/nodes", "there is no such file")
///   |> strategy.describe_discovery_error
/// ```
pub fn describe_discovery_error(error: DiscoveryError) -> String {
  case error {
    DnsFailed(error) -> dns.describe_lookup_error(error)
    EpmdFailed(error) -> epmd.describe_epmd_error(error)
    FileFailed(path, reason) -> path <> " cannot be used: " <> reason
    KubernetesFailed(error) -> error.text
    MulticastFailed(reason) -> "the multicast group cannot be used: " <> reason
    OtherFailure(reason) -> reason
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
