//// This VM as a node, and the nodes that its companion is connected to.
////
//// Nodes are named by text, `name@host`. A name that no atom of this VM spells
//// yet is an error until `settings.set_allow_atom_creation` allows it: names
//// may come from outside, and atoms are never cleaned up.
////
//// ```gleam
//// import gleam/list
//// import remora/cluster
//// import remora/settings
////
//// settings.set_allow_atom_creation(True)
//// let assert Ok(Nil) = settings.set_max_new_atoms(100)
//// let assert Ok(Nil) = cluster.connect("other@127.0.0.1")
//// let assert Ok(nodes) = cluster.nodes()
//// let assert True = list.contains(nodes, "other@127.0.0.1")
//// ```

import gleam/result
import remora/internal/text

/// Why this VM did not become a node.
pub type StartError {
  /// It is one already. A VM is one node at most.
  AlreadyStarted
  /// It has to be `name@host`, as `app@127.0.0.1` or `app@db.example.com`,
  /// of letters, digits, `_`, `-` and dots.
  InvalidNodeName(name: String)
  /// A cookie has 1 to 255 bytes.
  InvalidCookie
  /// There is no epmd. A VM starts one only from its command line.
  NoEpmd
  /// Another node of this name runs on this host.
  NameTaken(name: String)
  /// Erlang's own word for it.
  StartFailed(reason: String)
}

/// Why this VM is a node still.
pub type StopError {
  /// It is none.
  StopNotDistributed
  /// Its command line made it one, with `-name` or `-sname`: it is one until it
  /// ends.
  StopNotAllowed
}

/// Why the companion did not connect to a node.
pub type ConnectError {
  /// It could not be reached, or it refused: the companion's word for it, for
  /// example `econnrefused` or `cookie_mismatch`.
  NotReached(node: String, reason: String)
  /// It did not answer within the companion's time for it.
  ConnectTimeout(node: String)
  /// This is no name of a node.
  InvalidNode(node: String)
  /// No atom has this text, and none may be made; see
  /// `settings.set_allow_atom_creation`.
  NoSuchAtom(text: String)
  /// All atoms that may be made are; see `settings.set_max_new_atoms`.
  AtomBudgetSpent(limit: Int)
  /// There is no companion now.
  NotRunning
}

/// Why the companion did not disconnect from a node.
pub type DisconnectError {
  /// It is not connected to it.
  NotConnected(node: String)
  /// It is connected still: a word for why, of who tried to disconnect it.
  NotDisconnected(node: String, reason: String)
  /// The companion did not answer in time.
  DisconnectTimeout(node: String)
  /// There is no companion now.
  DisconnectNotRunning
}

/// Why there is no list of nodes.
pub type ReadError {
  /// There is no companion now.
  ReadNotRunning
}

/// What the companion is connected to.
pub type Health {
  Health(
    /// This VM.
    node: String,
    /// Its companion.
    companion: String,
    /// How many nodes are visible to each other; this VM is not counted.
    visible: Int,
    /// How many more are connected without being visible, as tools are.
    hidden: Int,
  )
}

/// Makes this VM a node with the given name and cookie, as the flags `-name`
/// and `-setcookie` do at its start. Where both can be given as flags or in
/// `vm.args`, prefer that.
///
/// ```gleam
/// import remora/cluster
///
/// let assert Error(cluster.AlreadyStarted) =
///   cluster.start_node("app@127.0.0.1", "secret")
/// ```
@external(erlang, "remora_ffi", "start_node")
pub fn start_node(name: String, cookie: String) -> Result(Nil, StartError)

/// Makes a VM that `start_node` made a node a plain one again. It loses its
/// connections; stop remora before.
///
/// ```gleam
/// import remora/cluster
///
/// let assert Error(cluster.StopNotAllowed) = cluster.stop_node()
/// ```
@external(erlang, "remora_ffi", "stop_node")
pub fn stop_node() -> Result(Nil, StopError)

/// Has the companion connect to a node. It tries again by itself when the
/// connection is lost only where discovery says that the node is there.
///
/// ```gleam
/// import remora/cluster
///
/// let assert Error(cluster.NoSuchAtom("unheard_of@127.0.0.1")) =
///   cluster.connect("unheard_of@127.0.0.1")
/// ```
@external(erlang, "remora_ffi", "connect")
pub fn connect(node: String) -> Result(Nil, ConnectError)

/// Has the companion disconnect from a node, in order: who watches processes
/// over this connection is told.
///
/// ```gleam
/// import remora/cluster
///
/// let assert Error(cluster.NotConnected("unheard_of@127.0.0.1")) =
///   cluster.disconnect("unheard_of@127.0.0.1")
/// ```
@external(erlang, "remora_ffi", "disconnect")
pub fn disconnect(node: String) -> Result(Nil, DisconnectError)

/// The visible nodes that the companion is connected to, without the companion
/// and without this VM. Read here, without a call.
///
/// ```gleam
/// import remora/cluster
///
/// let assert Ok(_nodes) = cluster.nodes()
/// ```
@external(erlang, "remora_ffi", "nodes")
pub fn nodes() -> Result(List(String), ReadError)

/// The hidden nodes that the companion is connected to. Read here, without a
/// call.
///
/// ```gleam
/// import remora/cluster
///
/// let assert Ok(_nodes) = cluster.hidden_nodes()
/// ```
@external(erlang, "remora_ffi", "hidden_nodes")
pub fn hidden_nodes() -> Result(List(String), ReadError)

/// How many visible nodes the companion is connected to.
///
/// ```gleam
/// import remora/cluster
///
/// let assert Ok(_count) = cluster.connected_count()
/// ```
@external(erlang, "remora_ffi", "connected_count")
pub fn connected_count() -> Result(Int, ReadError)

/// This VM's name; `nonode@nohost` when it is no node.
///
/// ```gleam
/// import remora/cluster
///
/// let assert "app@127.0.0.1" = cluster.self_node()
/// ```
@external(erlang, "remora_ffi", "self_node")
pub fn self_node() -> String

/// The companion's name.
///
/// ```gleam
/// import remora/cluster
///
/// let assert Ok("app_remora@127.0.0.1") = cluster.companion()
/// ```
@external(erlang, "remora_ffi", "companion")
pub fn companion() -> Result(String, ReadError)

/// Whether a node answers the companion, which connects to it for this. No
/// answer, no companion and a name that is no node's are all `False`; `connect`
/// tells them apart.
///
/// ```gleam
/// import remora/cluster
///
/// let assert False = cluster.ping("unheard_of@127.0.0.1")
/// ```
@external(erlang, "remora_ffi", "ping")
pub fn ping(node: String) -> Bool

/// Whether this VM is a node.
///
/// ```gleam
/// import remora/cluster
///
/// let assert True = cluster.is_distributed()
/// ```
@external(erlang, "erlang", "is_alive")
pub fn is_distributed() -> Bool

/// How connected this VM's companion is.
///
/// ```gleam
/// import remora/cluster
///
/// let assert Ok(health) = cluster.health()
/// let assert "app@127.0.0.1" = health.node
/// ```
pub fn health() -> Result(Health, ReadError) {
  use companion <- result.try(companion())
  use visible <- result.try(connected_count())
  use hidden <- result.map(hidden_count())
  Health(self_node(), companion, visible, hidden)
}

/// A sentence for people: what was tried and what to do.
///
/// ```gleam
/// import remora/cluster
///
/// let assert "this VM is a node already" =
///   cluster.describe_start_error(cluster.AlreadyStarted)
/// ```
pub fn describe_start_error(error: StartError) -> String {
  case error {
    AlreadyStarted -> "this VM is a node already"
    InvalidNodeName(name) ->
      "\"" <> name <> "\" is no name of a node; it has to be name@host"
    InvalidCookie ->
      "the cookie has to have 1 to 255 bytes"
    NoEpmd -> "there is no epmd on this host; run epmd -daemon"
    NameTaken(name) -> "another node on this host is called " <> name
    StartFailed(reason) -> "this VM did not become a node: " <> reason
  }
}

/// A sentence for people: what was found and what to do.
///
/// ```gleam
/// import remora/cluster
///
/// let assert "this VM is no node" =
///   cluster.describe_stop_error(cluster.StopNotDistributed)
/// ```
pub fn describe_stop_error(error: StopError) -> String {
  case error {
    StopNotDistributed -> "this VM is no node"
    StopNotAllowed ->
      "this VM was made a node by its command line, and is one until it ends"
  }
}

/// A sentence for people: what was tried and what to do.
///
/// ```gleam
/// import remora/cluster
///
/// let assert "b@h did not become a peer: cookie_mismatch" =
///   cluster.describe_connect_error(cluster.NotReached("b@h", "cookie_mismatch"))
/// ```
pub fn describe_connect_error(error: ConnectError) -> String {
  case error {
    NotReached(node, reason) -> node <> " did not become a peer: " <> reason
    ConnectTimeout(node) -> node <> " did not answer in time"
    InvalidNode(node) ->
      "\"" <> node <> "\" is no name of a node; it has to be name@host"
    NoSuchAtom(name) -> text.no_such_atom(name)
    AtomBudgetSpent(limit) -> text.atom_budget_spent(limit)
    NotRunning -> text.not_running
  }
}

/// A sentence for people: what was tried and what to do.
///
/// ```gleam
/// import remora/cluster
///
/// let assert "b@h is not connected" =
///   cluster.describe_disconnect_error(cluster.NotConnected("b@h"))
/// ```
pub fn describe_disconnect_error(error: DisconnectError) -> String {
  case error {
    NotConnected(node) -> node <> " is not connected"
    NotDisconnected(node, reason) ->
      node <> " is connected still: " <> reason
    DisconnectTimeout(node) ->
      "the companion did not say in time whether " <> node <> " is disconnected"
    DisconnectNotRunning -> text.not_running
  }
}

/// A sentence for people: what was tried and what to do.
///
/// ```gleam
/// import remora/cluster
///
/// let assert "no companion runs; start remora, or wait until it is back" =
///   cluster.describe_read_error(cluster.ReadNotRunning)
/// ```
pub fn describe_read_error(error: ReadError) -> String {
  let ReadNotRunning = error
  text.not_running
}

@external(erlang, "remora_ffi", "hidden_count")
fn hidden_count() -> Result(Int, ReadError)
