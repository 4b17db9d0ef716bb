//// A native companion for this VM: a program that joins its cluster as a node
//// of its own and gives the application names, groups, messages, remote calls
//// and monitors.
////
//// Make a builder, choose what differs from the defaults, and put it into your
//// supervision tree:
////
//// <!-- alone -->
//// ```gleam
//// import gleam/otp/static_supervisor as supervisor
//// import remora
////
//// pub fn main() {
////   let assert Ok(_) =
////     supervisor.new(supervisor.OneForOne)
////     |> supervisor.add(remora.none() |> remora.supervised)
////     |> supervisor.start
//// }
//// ```
////
//// One companion belongs to one VM, as epmd does, so the other modules need no
//// handle. While it is away their functions return `NotRunning` of their error
//// at once; the supervisor starts it again, and names and memberships of living
//// processes are restored.
////
//// The VM has to be a node: start it with `-name app@host` or
//// `cluster.start_node`. The companion is called `app_remora@host` then.

import gleam/erlang/process.{type Pid, type Subject}
import gleam/int
import gleam/option.{type Option, None, Some}
import gleam/otp/actor
import gleam/otp/supervision.{type ChildSpecification}
import gleam/result
import gleam/string
import remora/binary.{type Binary}
import remora/cluster.{type ConnectError, type DisconnectError}
import remora/internal/subscription
import remora/internal/text
import remora/log
import remora/strategy.{type DiscoveryError, type Strategy}

/// How to start remora, and how it finds the other nodes.
pub opaque type Builder {
  Builder(
    source: Source,
    name: Option(String),
    poll_interval: Int,
    keep_missing_nodes: Bool,
    listener: Option(#(Pid, fn(Event) -> Nil)),
    binary: Binary,
    node_name: Option(String),
    cookie_file: Option(String),
    config_file: Option(String),
    visibility: Visibility,
    scopes: List(String),
    log_level: log.Level,
    max_new_atoms: Option(Int),
    start_timeout: Int,
    call_timeout: Int,
  )
}

type Source {
  NoSource
  LocalEpmd
  Epmd(nodes: List(String))
  Dns(basename: String, hostname: String)
  DnsSrv(basename: String, service: String)
  HostsFile(path: String)
  Kubernetes(basename: String, namespace: String, selector: String)
  KubernetesDns(basename: String, namespace: String, service: String)
  Multicast(group: String, port: Int, secret: String)
  Custom(strategy: Strategy)
}

/// Whether other nodes count the companion among `nodes()`.
pub type Visibility {
  /// They do, and connect to it as to each other.
  Visible
  /// They do not; it connects to those that it is told to.
  Hidden
}

/// Why remora did not start.
pub type StartError {
  /// This VM is no node. Start it with `-name`, or call `cluster.start_node`
  /// before.
  NotDistributed
  /// Remora is started already. One belongs to a VM.
  AlreadyStarted(pid: Pid)
  /// This option cannot have this value.
  InvalidOption(name: String, given: String)
  /// There is no program to start.
  BinaryFailed(error: binary.BinaryError)
  /// The program does not take what it was given: its own words.
  UsageRefused(text: String)
  /// Another node has the companion's name.
  NameTaken(text: String)
  /// There is no epmd, or it does not answer.
  NoEpmd(text: String)
  /// The address or port to listen on is taken, or none of this machine.
  AddressUnavailable(text: String)
  /// The program ended: its exit code and last words.
  CompanionEnded(status: Int, text: String)
  /// The companion was not there in time.
  StartTimeout(milliseconds: Int)
  /// The companion's node has another cookie than this VM.
  CookieMismatch(node: String)
  /// The companion's node cannot be reached from this VM.
  Unreachable(node: String)
  /// A scope's name is no atom, and none may be made; see
  /// `with_max_new_atoms`.
  ScopeNotAllowed(scope: String)
  /// This way of discovery is not in this version of remora.
  SourceUnsupported(source: String)
  /// Something else: as it was said.
  StartFailed(text: String)
}

/// Something happened to the companion, its nodes, or discovery.
pub type Event {
  /// The companion runs: calls and reads are answered from here on.
  CompanionUp
  /// It does not any more, and why. It is started again.
  CompanionDown(reason: String)
  /// A node is connected to the companion.
  NodeUp(node: String)
  /// A node is not any more. The reason is one word.
  NodeDown(node: String, reason: String)
  /// While the companion was away this process got a name of ours.
  NameLost(name: String, by: Pid)
  /// The companion, started again, did not take this member back, because it
  /// does not run the scope.
  MembershipLost(scope: String, group: String, pid: Pid)
  /// Discovery compared what there should be with what is connected.
  Refreshed(result: Result(List(String), RefreshError))
  /// Discovery waits for `resume`.
  Paused
  /// Discovery goes on.
  Resumed
  /// Remora was shut down. It is the last event.
  Stopped
}

/// Why discovery did not do what it was asked.
pub type RefreshError {
  /// It is not known which nodes there should be.
  DiscoveryFailed(error: DiscoveryError)
  /// These could not be connected.
  ConnectFailed(nodes: List(#(String, ConnectError)))
  /// These could not be disconnected.
  DisconnectFailed(nodes: List(#(String, DisconnectError)))
  /// This way of discovery is not in this version of remora.
  Unsupported(source: String)
  /// It was not done in time.
  RefreshTimeout
  /// Remora is not started, or the companion is away.
  NotRunning
}

/// What runs.
pub type Status {
  Status(
    /// The name given by `with_name`.
    name: Option(String),
    /// The companion's node.
    companion: String,
    /// The program's version.
    version: String,
    /// Its number at the operating system.
    os_pid: Int,
    /// What tells one run of it from the next.
    creation: Int,
    /// Visible nodes that are connected to it, without this VM.
    nodes: List(String),
  )
}

/// Why there is no status, or no subscription.
pub type StatusError {
  /// There is no companion now.
  StatusNotRunning
  /// It did not answer in time.
  StatusTimeout
}

/// What `unsubscribe` ends.
pub opaque type Subscription {
  Subscription(pid: Pid)
}

// ---- where nodes are found --------------------------------------------------

/// No discovery: nodes are connected with `cluster.connect`, or connect to this
/// one.
///
/// ```gleam
/// import remora
///
/// let assert Ok(_nodes) = remora.run_once(remora.none())
/// ```
pub fn none() -> Builder {
  new(NoSource)
}

/// The nodes that are registered at the epmd of this host.
///
/// ```gleam
/// import remora
///
/// let assert Error(remora.Unsupported("local_epmd")) =
///   remora.run_once(remora.local_epmd())
/// ```
pub fn local_epmd() -> Builder {
  new(LocalEpmd)
}

/// These nodes, `name@host` each.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.epmd(["app@10.0.0.1", "app@10.0.0.2"])
/// ```
pub fn epmd(nodes: List(String)) -> Builder {
  new(Epmd(nodes))
}

/// The node `basename@address` for each address of a host.
///
/// ```gleam
/// import remora
///
/// let assert Ok(basename) = remora.get_node_basename("app@10.0.0.1")
/// let _builder = remora.dns(basename, "app.example.com")
/// ```
pub fn dns(basename: String, hostname: String) -> Builder {
  new(Dns(basename, hostname))
}

/// The node `basename@target` for each SRV record of a service.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.dns_srv("app", "_dist._tcp.app.example.com")
/// ```
pub fn dns_srv(basename: String, service: String) -> Builder {
  new(DnsSrv(basename, service))
}

/// The nodes at the hosts that a file lists in the form of OTP's
/// `.hosts.erlang`.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.hosts_file("/etc/app/.hosts.erlang")
/// ```
pub fn hosts_file(path: String) -> Builder {
  new(HostsFile(path))
}

/// The node `basename@address` for each pod of a namespace that has the labels
/// of a selector, asked of Kubernetes.
///
/// ```gleam
/// import remora
///
/// let _builder =
///   remora.kubernetes(basename: "app", namespace: "prod", selector: "app=shop")
/// ```
pub fn kubernetes(
  basename basename: String,
  namespace namespace: String,
  selector selector: String,
) -> Builder {
  new(Kubernetes(basename, namespace, selector))
}

/// The node `basename@address` for each address of a headless service of
/// Kubernetes.
///
/// ```gleam
/// import remora
///
/// let _builder =
///   remora.kubernetes_dns(basename: "app", namespace: "prod", service: "shop")
/// ```
pub fn kubernetes_dns(
  basename basename: String,
  namespace namespace: String,
  service service: String,
) -> Builder {
  new(KubernetesDns(basename, namespace, service))
}

/// The nodes whose companions say so to a multicast group, signed with a secret
/// that all of them have.
///
/// ```gleam
/// import remora
///
/// let _builder =
///   remora.multicast(group: "233.252.1.32", port: 45_892, secret: "s3cret")
/// ```
pub fn multicast(
  group group: String,
  port port: Int,
  secret secret: String,
) -> Builder {
  new(Multicast(group, port, secret))
}

/// The nodes that your own strategy finds.
///
/// ```gleam
/// import remora
/// import remora/strategy
///
/// let _builder = remora.custom(strategy.new(fn() { Ok(["app@10.0.0.2"]) }))
/// ```
pub fn custom(strategy: Strategy) -> Builder {
  new(Custom(strategy))
}

fn new(source: Source) -> Builder {
  Builder(
    source: source,
    name: None,
    poll_interval: 5000,
    keep_missing_nodes: False,
    listener: None,
    binary: binary.search(),
    node_name: None,
    cookie_file: None,
    config_file: None,
    visibility: Visible,
    scopes: [],
    log_level: log.Info,
    max_new_atoms: None,
    start_timeout: 10_000,
    call_timeout: 5000,
  )
}

// ---- options ----------------------------------------------------------------

/// A name for people, which `status` shows.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.none() |> remora.with_name("shop")
/// ```
pub fn with_name(builder: Builder, name: String) -> Builder {
  Builder(..builder, name: Some(name))
}

/// How often discovery looks, in milliseconds; 5000 unless it is said.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.local_epmd() |> remora.with_poll_interval(15_000)
/// ```
pub fn with_poll_interval(builder: Builder, milliseconds: Int) -> Builder {
  Builder(..builder, poll_interval: milliseconds)
}

/// Leaves nodes connected that discovery does not find any more.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.local_epmd() |> remora.keep_missing_nodes
/// ```
pub fn keep_missing_nodes(builder: Builder) -> Builder {
  Builder(..builder, keep_missing_nodes: True)
}

/// Tells a subject of each event from the start on, as `subscribe` does.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora
///
/// let _builder = remora.none() |> remora.with_listener(process.new_subject())
/// ```
pub fn with_listener(builder: Builder, listener: Subject(Event)) -> Builder {
  let forward = fn(event) { process.send(listener, event) }
  let owner = subscription.owner(listener)
  Builder(..builder, listener: Some(#(owner, forward)))
}

/// Where the program is, or that somebody else runs the companion.
///
/// ```gleam
/// import remora
/// import remora/binary
///
/// let _builder =
///   remora.none()
///   |> remora.with_binary(binary.managed_elsewhere("app_remora@10.0.0.1"))
/// ```
pub fn with_binary(builder: Builder, binary: Binary) -> Builder {
  Builder(..builder, binary: binary)
}

/// The companion's name. Without `@host` it has this VM's host. Unless it is
/// said, it is this VM's name with `_remora` behind its first part.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.none() |> remora.with_node_name("shop_companion")
/// ```
pub fn with_node_name(builder: Builder, name: String) -> Builder {
  Builder(..builder, node_name: Some(name))
}

/// A file that the program reads the cookie from. Unless it is said, the
/// program is given this VM's cookie, on its standard input.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.none() |> remora.with_cookie_file("/etc/app/cookie")
/// ```
pub fn with_cookie_file(builder: Builder, path: String) -> Builder {
  Builder(..builder, cookie_file: Some(path))
}

/// A configuration file for the program: TOML, all settings of `remora run`.
///
/// ```gleam
/// import remora
///
/// let _builder =
///   remora.none() |> remora.with_config_file("/etc/app/remora.toml")
/// ```
pub fn with_config_file(builder: Builder, path: String) -> Builder {
  Builder(..builder, config_file: Some(path))
}

/// Whether other nodes count the companion among `nodes()`. They do, unless it
/// is said.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.none() |> remora.with_visibility(remora.Hidden)
/// ```
pub fn with_visibility(builder: Builder, visibility: Visibility) -> Builder {
  Builder(..builder, visibility: visibility)
}

/// Scopes of process groups that the companion takes part in, beside `pg`.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.none() |> remora.with_scopes(["billing"])
/// ```
pub fn with_scopes(builder: Builder, scopes: List(String)) -> Builder {
  Builder(..builder, scopes: scopes)
}

/// The least level of what the companion says of itself; `log.Info` unless it
/// is said. Its lines go to Erlang's `logger`.
///
/// ```gleam
/// import remora
/// import remora/log
///
/// let _builder = remora.none() |> remora.with_log_level(log.Debug)
/// ```
pub fn with_log_level(builder: Builder, level: log.Level) -> Builder {
  Builder(..builder, log_level: level)
}

/// Allows so many atoms to be made out of names of nodes, modules, functions
/// and scopes; see `settings.set_allow_atom_creation`. None are, unless it is
/// said.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.none() |> remora.with_max_new_atoms(1000)
/// ```
pub fn with_max_new_atoms(builder: Builder, count: Int) -> Builder {
  Builder(..builder, max_new_atoms: Some(count))
}

/// How long the companion may take to start, in milliseconds; 10 000 unless it
/// is said.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.none() |> remora.with_start_timeout(3000)
/// ```
pub fn with_start_timeout(builder: Builder, milliseconds: Int) -> Builder {
  Builder(..builder, start_timeout: milliseconds)
}

/// How long functions without a `within` wait for the companion, in
/// milliseconds; 5000 unless it is said.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.none() |> remora.with_call_timeout(1000)
/// ```
pub fn with_call_timeout(builder: Builder, milliseconds: Int) -> Builder {
  Builder(..builder, call_timeout: milliseconds)
}

// ---- start and stop ---------------------------------------------------------

/// Starts remora, linked to the calling process. It returns when the companion
/// answers. Better have a supervisor do it, with `supervised`.
///
/// <!-- alone -->
/// ```gleam
/// import remora
///
/// let assert Ok(_started) = remora.start(remora.none())
/// let assert Ok(Nil) = remora.shutdown(within: 10_000)
/// ```
pub fn start(builder: Builder) -> actor.StartResult(Nil) {
  case start_link(builder) {
    Ok(pid) -> Ok(actor.Started(pid, Nil))
    Error(error) -> Error(actor.InitFailed(describe_start_error(error)))
  }
}

/// As `start`, with an error that says which cause it was.
///
/// ```gleam
/// import remora
///
/// let assert Error(remora.AlreadyStarted(_pid)) =
///   remora.start_link(remora.none())
/// let assert Error(remora.SourceUnsupported("local_epmd")) =
///   remora.start_link(remora.local_epmd())
/// ```
pub fn start_link(builder: Builder) -> Result(Pid, StartError) {
  case builder.source {
    NoSource -> do_start(options(builder), builder.name, builder.listener)
    source -> Error(SourceUnsupported(source_text(source)))
  }
}

/// Remora as a child of your supervisor.
///
/// <!-- alone -->
/// ```gleam
/// import gleam/otp/static_supervisor as supervisor
/// import remora
///
/// let child = remora.none() |> remora.supervised
/// let assert Ok(_) =
///   supervisor.new(supervisor.OneForOne)
///   |> supervisor.add(child)
///   |> supervisor.start
/// ```
pub fn supervised(builder: Builder) -> ChildSpecification(Nil) {
  supervision.supervisor(fn() { start(builder) })
}

/// The same as `supervised`.
///
/// <!-- alone -->
/// ```gleam
/// import gleam/otp/static_supervisor as supervisor
/// import remora
///
/// let assert Ok(_) =
///   supervisor.new(supervisor.OneForOne)
///   |> supervisor.add(remora.child_spec(remora.none()))
///   |> supervisor.start
/// ```
pub fn child_spec(builder: Builder) -> ChildSpecification(Nil) {
  supervised(builder)
}

/// Stops a remora that was started by `start`: the companion leaves the cluster
/// in order, and then this returns. One that a supervisor started is ended by
/// ending the supervisor; else that would start it again.
///
/// ```gleam
/// import remora
///
/// pub fn leave() -> Result(Nil, remora.RefreshError) {
///   remora.shutdown(within: 10_000)
/// }
/// ```
@external(erlang, "remora_ffi", "shutdown")
pub fn shutdown(within milliseconds: Int) -> Result(Nil, RefreshError)

// ---- discovery --------------------------------------------------------------

/// One round of discovery with this builder, whether remora is started with it
/// or not: the nodes that are connected afterwards. With `none()` these are the
/// nodes that are connected now.
///
/// ```gleam
/// import remora
///
/// let assert Ok(_nodes) = remora.run_once(remora.none())
/// let assert Error(remora.Unsupported("dns")) =
///   remora.run_once(remora.dns("app", "app.example.com"))
/// ```
pub fn run_once(builder: Builder) -> Result(List(String), RefreshError) {
  case builder.source {
    NoSource -> connected()
    source -> Error(Unsupported(source_text(source)))
  }
}

/// A round of discovery now, which is waited for: the nodes that are connected
/// afterwards.
///
/// ```gleam
/// import remora
///
/// let assert Ok(_nodes) = remora.refresh(within: 5000)
/// ```
pub fn refresh(within milliseconds: Int) -> Result(List(String), RefreshError) {
  case milliseconds > 0 {
    True -> connected()
    False -> Error(RefreshTimeout)
  }
}

/// Lets discovery wait until `resume`.
///
/// ```gleam
/// import remora
///
/// let assert Ok(Nil) = remora.pause(within: 1000)
/// let assert Ok(Nil) = remora.resume(within: 1000)
/// ```
pub fn pause(within milliseconds: Int) -> Result(Nil, RefreshError) {
  result.replace(refresh(milliseconds), Nil)
}

/// Lets discovery go on.
///
/// ```gleam
/// import remora
///
/// let assert Ok(Nil) = remora.resume(within: 1000)
/// ```
pub fn resume(within milliseconds: Int) -> Result(Nil, RefreshError) {
  result.replace(refresh(milliseconds), Nil)
}

/// The first part of a node's name, before `@`.
///
/// ```gleam
/// import remora
///
/// let assert Ok("app") = remora.get_node_basename("app@10.0.0.1")
/// let assert Error(Nil) = remora.get_node_basename("app")
/// ```
pub fn get_node_basename(node: String) -> Result(String, Nil) {
  case string.split(node, on: "@") {
    ["", _] -> Error(Nil)
    [_, ""] -> Error(Nil)
    [basename, _host] -> Ok(basename)
    _ -> Error(Nil)
  }
}

// ---- what happens -----------------------------------------------------------

/// What runs: the companion is asked.
///
/// ```gleam
/// import remora
///
/// let assert Ok(status) = remora.status()
/// let assert "app_remora@127.0.0.1" = status.companion
/// ```
@external(erlang, "remora_ffi", "status")
pub fn status() -> Result(Status, StatusError)

/// Tells a subject of each event from here on, until its owner ends, remora is
/// shut down, or it is unsubscribed. The first events say how it is now:
/// `CompanionUp` if it runs, and `NodeUp` for each node.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora
///
/// let events = process.new_subject()
/// let assert Ok(subscription) = remora.subscribe(events)
/// let assert Ok(remora.CompanionUp) = process.receive(events, within: 5000)
/// remora.unsubscribe(subscription)
/// ```
pub fn subscribe(
  listener: Subject(Event),
) -> Result(Subscription, StatusError) {
  subscription.owner(listener)
  |> subscribe_events(fn(event) { process.send(listener, event) })
  |> result.map(Subscription)
}

/// Ends a subscription. When this returns, no more events are on their way.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora
///
/// let assert Ok(subscription) = remora.subscribe(process.new_subject())
/// remora.unsubscribe(subscription)
/// ```
pub fn unsubscribe(subscription: Subscription) -> Nil {
  subscription.stop(subscription.pid)
}

// ---- errors for people ------------------------------------------------------

/// A sentence for people: what was tried, what was found and what to do.
///
/// ```gleam
/// import remora
///
/// let assert "the companion did not start within 3000 ms" =
///   remora.describe_start_error(remora.StartTimeout(3000))
/// ```
pub fn describe_start_error(error: StartError) -> String {
  case error {
    NotDistributed ->
      "this VM is no node; start it with -name, or call cluster.start_node"
    AlreadyStarted(pid) ->
      "remora is started already, as " <> string.inspect(pid)
    InvalidOption(name, given) -> name <> " cannot be " <> given
    BinaryFailed(error) -> binary.describe_binary_error(error)
    UsageRefused(words) ->
      "the companion does not take what it was given: " <> words
    NameTaken(words) -> "the companion's name is taken: " <> words
    NoEpmd(words) -> "the companion needs an epmd: " <> words
    AddressUnavailable(words) -> "the companion cannot listen: " <> words
    CompanionEnded(status, words) ->
      "the companion ended with exit code "
      <> int.to_string(status)
      <> ": "
      <> words
    StartTimeout(milliseconds) ->
      "the companion did not start within "
      <> int.to_string(milliseconds)
      <> " ms"
    CookieMismatch(node) -> node <> " has another cookie than this VM"
    Unreachable(node) -> node <> " runs, and cannot be reached from this VM"
    ScopeNotAllowed(scope) -> text.no_such_atom(scope)
    SourceUnsupported(source) -> strategy_unsupported(source)
    StartFailed(words) -> "remora did not start: " <> words
  }
}

/// A sentence for people: what was tried and what to do.
///
/// ```gleam
/// import remora
///
/// let assert "it was not done in time" =
///   remora.describe_refresh_error(remora.RefreshTimeout)
/// ```
pub fn describe_refresh_error(error: RefreshError) -> String {
  case error {
    DiscoveryFailed(error) -> strategy.describe_discovery_error(error)
    ConnectFailed(nodes) ->
      "not connected: "
      <> each(nodes, cluster.describe_connect_error)
    DisconnectFailed(nodes) ->
      "not disconnected: "
      <> each(nodes, cluster.describe_disconnect_error)
    Unsupported(source) -> strategy_unsupported(source)
    RefreshTimeout -> "it was not done in time"
    NotRunning -> text.not_running
  }
}

/// A sentence for people: what was tried and what to do.
///
/// ```gleam
/// import remora
///
/// let assert "the companion did not answer in time" =
///   remora.describe_status_error(remora.StatusTimeout)
/// ```
pub fn describe_status_error(error: StatusError) -> String {
  case error {
    StatusNotRunning -> text.not_running
    StatusTimeout -> "the companion did not answer in time"
  }
}

fn each(
  nodes: List(#(String, error)),
  describe: fn(error) -> String,
) -> String {
  case nodes {
    [] -> ""
    [#(_, error)] -> describe(error)
    [#(_, error), ..rest] -> describe(error) <> "; " <> each(rest, describe)
  }
}

fn strategy_unsupported(source: String) -> String {
  strategy.describe_discovery_error(strategy.Unsupported(source))
}

fn source_text(source: Source) -> String {
  case source {
    NoSource -> "none"
    LocalEpmd -> "local_epmd"
    Epmd(_) -> "epmd"
    Dns(_, _) -> "dns"
    DnsSrv(_, _) -> "dns_srv"
    HostsFile(_) -> "hosts_file"
    Kubernetes(_, _, _) -> "kubernetes"
    KubernetesDns(_, _, _) -> "kubernetes_dns"
    Multicast(_, _, _) -> "multicast"
    Custom(_) -> "custom"
  }
}

// ---- what Erlang does -------------------------------------------------------

// As remora_ffi makes the options of remora_sup of it.
type Options {
  Options(
    binary: Binary,
    companion: Option(String),
    cookie_file: Option(String),
    config: Option(String),
    visibility: Visibility,
    pg_scopes: List(String),
    log_level: log.Level,
    max_new_atoms: Option(Int),
    start_timeout: Int,
    call_timeout: Int,
  )
}

fn options(builder: Builder) -> Options {
  Options(
    binary: builder.binary,
    companion: builder.node_name,
    cookie_file: builder.cookie_file,
    config: builder.config_file,
    visibility: builder.visibility,
    pg_scopes: builder.scopes,
    log_level: builder.log_level,
    max_new_atoms: builder.max_new_atoms,
    start_timeout: builder.start_timeout,
    call_timeout: builder.call_timeout,
  )
}

fn connected() -> Result(List(String), RefreshError) {
  cluster.nodes()
  |> result.replace_error(NotRunning)
}

@external(erlang, "remora_ffi", "start_link")
fn do_start(
  options: Options,
  name: Option(String),
  listener: Option(#(Pid, fn(Event) -> Nil)),
) -> Result(Pid, StartError)

@external(erlang, "remora_ffi", "subscribe_events")
fn subscribe_events(
  owner: Pid,
  forward: fn(Event) -> Nil,
) -> Result(Pid, StatusError)
