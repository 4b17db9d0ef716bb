//// Being told when a process ends or a node goes.
////
//// Processes of any node are monitored by Erlang itself: exactly one `Down`
//// comes, when the process ends, or when the connection to its node is lost.
//// Nodes are watched through the companion, which sees them come and go before
//// any process does.
////
//// ```gleam
//// import gleam/erlang/process
//// import remora/monitor
////
//// let worker = process.spawn(fn() { Nil })
//// let watch = monitor.monitor(worker)
//// let assert Ok(monitor.Down(_pid, _reason)) =
////   process.new_selector()
////   |> monitor.select_down(watch, fn(down) { down })
////   |> process.selector_receive(within: 5000)
//// ```

import gleam/erlang/process.{type Pid, type Selector, type Subject}
import gleam/result
import remora/internal/subscription
import remora/internal/text

/// A watch over a process.
pub type Monitor =
  process.Monitor

/// A process ended.
pub type Down {
  Down(pid: Pid, reason: DownReason)
}

/// What is known of its end.
pub type DownReason {
  /// It had done its work, or was told to shut down.
  Normal
  /// It was killed.
  Killed
  /// It had ended before it was monitored.
  NoProcess
  /// The connection to its node is lost. It may live.
  NoConnection
  /// It crashed, or ended for a reason of its own: as Erlang prints it.
  Crashed(reason: String)
}

/// A node of the companion came or went: by its connection, and, where
/// `remora/membership` runs, by the verdict of the others.
pub type NodeEvent {
  /// It is connected.
  NodeUp(node: String)
  /// It is not any more, or it is dead, as `remora/membership` finds mostly long
  /// before. It is told once. The reason is one word, for example
  /// `connection_closed`, `net_tick_timeout` or `died`.
  NodeDown(node: String, reason: String)
}

/// What `demonitor_node` ends.
pub opaque type NodeMonitor {
  NodeMonitor(pid: Pid)
}

/// Why nodes are not watched.
pub type MonitorError {
  /// Remora is not started.
  NotRunning
}

/// The calling process.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/monitor
///
/// let assert True = monitor.self() == process.self()
/// ```
pub fn self() -> Pid {
  process.self()
}

/// Watches a process of any node. Its end is told to the calling process once;
/// `select_down` receives it.
///
/// ```gleam
/// import remora/monitor
///
/// let watch = monitor.monitor(monitor.self())
/// monitor.demonitor(watch)
/// ```
pub fn monitor(pid: Pid) -> Monitor {
  process.monitor(pid)
}

/// Stops watching. If its end was told already, that is forgotten.
///
/// ```gleam
/// import remora/monitor
///
/// monitor.demonitor(monitor.monitor(monitor.self()))
/// ```
pub fn demonitor(monitor: Monitor) -> Nil {
  process.demonitor_process(monitor)
}

/// Adds the end of a watched process to what a selector receives.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/monitor
///
/// let worker = process.spawn_unlinked(fn() { process.sleep(60_000) })
/// let watch = monitor.monitor(worker)
/// process.kill(worker)
/// let assert Ok(monitor.Killed) =
///   process.new_selector()
///   |> monitor.select_down(watch, fn(down) { down.reason })
///   |> process.selector_receive(within: 5000)
/// ```
pub fn select_down(
  selector: Selector(payload),
  monitor: Monitor,
  mapping transform: fn(Down) -> payload,
) -> Selector(payload) {
  process.select_specific_monitor(selector, monitor, fn(down) {
    case down {
      process.ProcessDown(_, pid, reason) ->
        transform(Down(pid, down_reason(reason)))
      // A monitor of a pid never tells of a port.
      process.PortDown(_, _, reason) ->
        transform(Down(process.self(), down_reason(reason)))
    }
  })
}

/// Tells a subject when this node connects to the companion or goes, until its
/// owner ends or `demonitor_node` is called. The node need not be there, nor be
/// known: if it is not connected, that is the first event, with the reason
/// `not_connected`, or `died`.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/cluster
/// import remora/monitor
/// import remora/settings
///
/// let nodes = process.new_subject()
/// let assert Ok(watch) = monitor.monitor_node("other@127.0.0.1", nodes)
///
/// settings.set_allow_atom_creation(True)
/// let assert Ok(Nil) = settings.set_max_new_atoms(100)
/// let assert Ok(Nil) = cluster.connect("other@127.0.0.1")
/// let assert Ok(Nil) = cluster.disconnect("other@127.0.0.1")
/// let assert Ok(_event) = process.receive(nodes, within: 5000)
/// monitor.demonitor_node(watch)
/// ```
pub fn monitor_node(
  node: String,
  listener: Subject(NodeEvent),
) -> Result(NodeMonitor, MonitorError) {
  subscription.owner(listener)
  |> subscribe_node(node, fn(event) { process.send(listener, event) })
  |> result.map(NodeMonitor)
}

/// As `monitor_node`, for every node.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/monitor
///
/// let assert Ok(watch) = monitor.monitor_nodes(process.new_subject())
/// monitor.demonitor_node(watch)
/// ```
pub fn monitor_nodes(
  listener: Subject(NodeEvent),
) -> Result(NodeMonitor, MonitorError) {
  subscription.owner(listener)
  |> subscribe_nodes(fn(event) { process.send(listener, event) })
  |> result.map(NodeMonitor)
}

/// Stops watching. When this returns, no more events are on their way.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/monitor
///
/// let assert Ok(watch) = monitor.monitor_nodes(process.new_subject())
/// monitor.demonitor_node(watch)
/// ```
pub fn demonitor_node(monitor: NodeMonitor) -> Nil {
  subscription.stop(monitor.pid)
}

/// A sentence for people.
///
/// ```gleam
/// import remora/monitor
///
/// let assert "it crashed: badarith" =
///   monitor.describe_down_reason(monitor.Crashed("badarith"))
/// ```
pub fn describe_down_reason(reason: DownReason) -> String {
  case reason {
    Normal -> "it had done its work"
    Killed -> "it was killed"
    NoProcess -> "it had ended before"
    NoConnection -> "the connection to its node is lost"
    Crashed(reason) -> "it crashed: " <> reason
  }
}

/// A sentence for people: what was tried and what to do.
///
/// ```gleam
/// import remora/monitor
///
/// let assert "no companion runs; start remora, or wait until it is back" =
///   monitor.describe_monitor_error(monitor.NotRunning)
/// ```
pub fn describe_monitor_error(error: MonitorError) -> String {
  let NotRunning = error
  text.not_running
}

@external(erlang, "remora_ffi", "down_reason")
fn down_reason(reason: process.ExitReason) -> DownReason

@external(erlang, "remora_ffi", "subscribe_node")
fn subscribe_node(
  owner: Pid,
  node: String,
  forward: fn(NodeEvent) -> Nil,
) -> Result(Pid, MonitorError)

@external(erlang, "remora_ffi", "subscribe_nodes")
fn subscribe_nodes(
  owner: Pid,
  forward: fn(NodeEvent) -> Nil,
) -> Result(Pid, MonitorError)
