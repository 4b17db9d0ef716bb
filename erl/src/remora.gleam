//// A native companion for this VM: a program that joins its cluster as a node
//// of its own, finds and connects the other nodes, and gives the application
//// names, groups, messages, remote calls and monitors.
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
//// Instead of `none`, say where the other nodes are listed: `local_epmd`,
//// `dns`, `kubernetes` and so on, or several of them with `also`. The companion
//// asks at once and every few seconds, connects itself and this VM to what it
//// finds, and connects again what is lost. It disconnects only what it
//// connected, and only when complete answers list it no longer; an error, or an
//// empty answer, disconnects nobody.
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
import gleam/list
import gleam/option.{type Option, None, Some}
import gleam/otp/actor
import gleam/otp/supervision.{type ChildSpecification}
import gleam/result
import gleam/string
import remora/binary.{type Binary}
import remora/cluster.{type ConnectError, type DisconnectError}
import remora/election
import remora/internal/subscription
import remora/internal/text
import remora/log
import remora/membership
import remora/strategy.{type DiscoveryError, type Strategy}

/// How to start remora, and how it finds the other nodes.
pub opaque type Builder {
  Builder(
    sources: Option(List(Source)),
    discovery: List(Setting),
    name: Option(String),
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
    membership: Option(membership.Options),
    election: Option(election.Options),
  )
}

// These three are sources and options of remora_discovery as they are written
// in Erlang; what is not is made so by remora_discovery_ffi.
type Source {
  LocalEpmd
  Nodes(nodes: List(String))
  Epmd(hosts: List(String))
  Dns(basename: String, hostname: String)
  DnsSrv(basename: String, service: String)
  HostsFile(path: String)
  File(path: String)
  Kubernetes(namespace: String, settings: List(KubernetesSetting))
  KubernetesDns(basename: String, namespace: String, service: String)
  Multicast(group: String, port: Int, secret: fn() -> String)
  Custom(
    discover: fn() -> Result(List(String), String),
    connect: Option(fn(String) -> Result(Nil, String)),
    disconnect: Option(fn(String) -> Result(Nil, String)),
    list: Option(fn() -> Result(List(String), String)),
  )
}

type KubernetesSetting {
  Basename(String)
  Selector(String)
  Service(String)
  Addressing(Addressing)
  Domain(String)
  Server(String)
  TokenFile(String)
  CaFile(String)
}

type Setting {
  Side(Side)
  PollInterval(Int)
  PollJitter(Float)
  Grace(Int)
  KeepMissingNodes(Bool)
  DialLimit(Int)
  DialTimeout(Int)
  BackoffMin(Int)
  BackoffMax(Int)
  AskTimeout(Int)
  DnsServers(List(String))
  MulticastInterface(String)
  OfKubernetes(KubernetesSetting)
}

/// Who is connected to the nodes that are found.
pub type Side {
  /// This VM.
  App
  /// Its companion.
  Companion
  /// Both of them.
  Both
}

/// How the nodes of Kubernetes' pods are called: what stands behind the `@`.
pub type Addressing {
  /// The pod's address.
  Ip
  /// The pod's name in the cluster's DNS: `10-0-0-7.prod.pod.cluster.local`.
  Pod
  /// The pod's host name in the service:
  /// `shop-0.shop.prod.svc.cluster.local`.
  Hostname
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
  /// This option of discovery is not right: what it is and what it should be.
  InvalidDiscovery(option: String, text: String)
  /// This option of membership is not right: what it is and what it should be.
  InvalidMembership(option: String, text: String)
  /// This option of the election is not right: what it is and what it should be.
  InvalidElection(option: String, text: String)
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
  /// A round of discovery has ended: the nodes that were found and are connected,
  /// or what was not possible.
  Refreshed(result: Result(List(String), RefreshError))
  /// An attempt to connect to a node that was found failed; who tried it, and
  /// after how many milliseconds it is tried again.
  AttemptFailed(node: String, side: Side, error: ConnectError, again_in: Int)
  /// A node was disconnected because it is not found any more.
  Dropped(node: String, side: Side)
  /// A source could not be asked, or gave a part of its answer only. Nobody is
  /// disconnected for it.
  SourceFailed(source: String, error: DiscoveryError)
  /// Discovery waits for `resume`.
  Paused
  /// Discovery goes on.
  Resumed
  /// Remora was shut down. It is the last event.
  Stopped
}

/// Why discovery did not do what it was asked.
pub type RefreshError {
  /// Of these sources it is not known which nodes there should be. What others
  /// list is connected all the same.
  DiscoveryFailed(sources: List(#(String, DiscoveryError)))
  /// These could not be connected.
  ConnectFailed(nodes: List(#(String, ConnectError)))
  /// These could not be disconnected.
  DisconnectFailed(nodes: List(#(String, DisconnectError)))
  /// This option of discovery is not right: what it is and what it should be.
  InvalidSource(option: String, text: String)
  /// Discovery is paused. `resume` lets it go on.
  DiscoveryPaused
  /// The companion's word for why it did not do it.
  RefreshRefused(reason: String)
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

/// What discovery does now.
pub type DiscoveryStatus {
  DiscoveryStatus(
    state: DiscoveryState,
    /// Milliseconds until the sources are asked again, if they will be.
    next_round: Option(Int),
    sources: List(SourceStatus),
    /// Those that are listed now, or were until a moment ago.
    nodes: List(NodeStatus),
  )
}

/// Whether discovery runs.
pub type DiscoveryState {
  /// Remora was started with `none()`.
  NotDiscovering
  /// It does.
  Discovering
  /// It waits for `resume`.
  Resting
  /// It was ended for good, from Erlang.
  Ended
}

/// What a source has said.
pub type SourceStatus {
  SourceStatus(
    source: String,
    /// How many nodes it lists.
    nodes: Int,
    /// Whether it has ever answered.
    answered: Bool,
    /// What is wrong with its last answer.
    trouble: Option(DiscoveryError),
  )
}

/// A node that is listed, and how the companion and this VM are connected to it.
pub type NodeStatus {
  NodeStatus(node: String, companion: Link, app: Link)
}

/// A connection that there should be.
pub type Link {
  /// There need not be one; see `with_side`.
  NotWanted
  /// It is there.
  Connected
  /// It is being made, after so many attempts that failed.
  Connecting(failures: Int)
  /// The last attempt failed; it is made again after so many milliseconds.
  Waiting(failures: Int, reason: String, next: Option(Int))
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
  new(None)
}

/// The nodes that are registered at the epmd of this host.
///
/// ```gleam
/// import gleam/list
/// import remora
///
/// let assert Ok(nodes) = remora.run_once(remora.local_epmd())
/// let assert True = list.contains(nodes, "other@127.0.0.1")
/// ```
pub fn local_epmd() -> Builder {
  from_source(LocalEpmd)
}

/// These nodes, `name@host` each.
///
/// ```gleam
/// import remora
///
/// let assert Ok(["other@127.0.0.1"]) =
///   remora.run_once(remora.epmd(["other@127.0.0.1"]))
/// ```
pub fn epmd(nodes: List(String)) -> Builder {
  from_source(Nodes(nodes))
}

/// All nodes that are registered at the epmds of these hosts.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.epmd_hosts(["10.0.0.1", "10.0.0.2"])
/// ```
pub fn epmd_hosts(hosts: List(String)) -> Builder {
  from_source(Epmd(hosts))
}

/// The node `basename@address` for each address of a host, A and AAAA records.
/// An empty basename is that of this VM.
///
/// ```gleam
/// import remora
///
/// let assert Ok(basename) = remora.get_node_basename("app@10.0.0.1")
/// let _builder = remora.dns(basename, "app.example.com")
/// ```
pub fn dns(basename: String, hostname: String) -> Builder {
  from_source(Dns(basename, hostname))
}

/// The node `basename@target` for each SRV record of a service.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.dns_srv("app", "_dist._tcp.app.example.com")
/// ```
pub fn dns_srv(basename: String, service: String) -> Builder {
  from_source(DnsSrv(basename, service))
}

/// The nodes at the hosts that a file lists in the form of OTP's
/// `.hosts.erlang`: their epmds are asked.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.hosts_file("/etc/app/.hosts.erlang")
/// ```
pub fn hosts_file(path: String) -> Builder {
  from_source(HostsFile(path))
}

/// The nodes that a file lists, one in each line. It is watched: a change is
/// acted on at once.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.file("/etc/app/nodes")
/// ```
pub fn file(path: String) -> Builder {
  from_source(File(path))
}

/// The node `basename@address` for each ready pod of a namespace whose service
/// has the labels of a selector, asked of Kubernetes' API. An empty selector is
/// all of them. Address, token and certificate of the API are those that
/// Kubernetes puts into each pod.
///
/// ```gleam
/// import remora
///
/// let _builder =
///   remora.kubernetes(basename: "app", namespace: "prod", selector: "app=shop")
///   |> remora.with_kubernetes_addressing(remora.Hostname)
///   |> remora.with_kubernetes_service("shop")
/// ```
pub fn kubernetes(
  basename basename: String,
  namespace namespace: String,
  selector selector: String,
) -> Builder {
  from_source(Kubernetes(namespace, [Basename(basename), Selector(selector)]))
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
  from_source(KubernetesDns(basename, namespace, service))
}

/// The nodes whose companions say so to a multicast group, signed with a secret
/// that all of them have. The secret is in no message, and in no log.
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
  from_source(Multicast(group, port, fn() { secret }))
}

/// The nodes that your own strategy finds. What it has of functions to connect,
/// disconnect and list is called instead of what the companion would do.
///
/// ```gleam
/// import remora
/// import remora/strategy
///
/// let find = fn() { Ok(["other@127.0.0.1"]) }
/// let assert Ok(["other@127.0.0.1"]) =
///   remora.run_once(remora.custom(strategy.new(find)))
/// ```
pub fn custom(own: Strategy) -> Builder {
  let connect = strategy.connect_function(own)
  let disconnect = strategy.disconnect_function(own)
  let list = strategy.list_function(own)
  from_source(Custom(
    discover: in_words(fn() { strategy.discover_nodes(own) }),
    connect: option.map(connect, fn(run) { one(run, connect_word) }),
    disconnect: option.map(disconnect, fn(run) { one(run, disconnect_word) }),
    list: option.map(list, in_words),
  ))
}

/// What the program's configuration file says of discovery, for this VM too: see
/// `with_config_file`, and `remora run --help`.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.as_configured("/etc/app/remora.toml")
/// ```
pub fn as_configured(path: String) -> Builder {
  new(Some([])) |> with_config_file(path)
}

/// Sources of another builder beside those of this one: nodes are those that
/// any of them lists. Options of the other one, where they are not said here,
/// are taken too.
///
/// ```gleam
/// import remora
///
/// let assert Ok(_nodes) =
///   remora.local_epmd()
///   |> remora.also(remora.epmd(["other@127.0.0.1"]))
///   |> remora.run_once
/// ```
pub fn also(builder: Builder, other: Builder) -> Builder {
  let sources = case builder.sources, other.sources {
    None, sources -> sources
    sources, None -> sources
    Some(ours), Some(theirs) -> Some(list.append(ours, theirs))
  }
  let discovery = list.append(builder.discovery, other.discovery)
  Builder(..builder, sources: sources, discovery: discovery)
}

fn from_source(source: Source) -> Builder {
  new(Some([source]))
}

fn new(sources: Option(List(Source))) -> Builder {
  Builder(
    sources: sources,
    discovery: [],
    name: None,
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
    membership: None,
    election: None,
  )
}

// The companion hears sentences, and gives them back in its own errors.
fn in_words(
  find: fn() -> Result(List(String), DiscoveryError),
) -> fn() -> Result(List(String), String) {
  fn() { result.map_error(find(), strategy.describe_discovery_error) }
}

// One node at a time: one that hangs keeps nobody else waiting.
fn one(
  function: fn(List(String)) -> Result(List(String), List(#(String, error))),
  word: fn(error) -> String,
) -> fn(String) -> Result(Nil, String) {
  fn(node) {
    case function([node]) {
      Ok(nodes) ->
        case list.contains(nodes, node) {
          True -> Ok(Nil)
          False -> Error("failed")
        }
      Error(errors) ->
        list.key_find(errors, node)
        |> result.map(word)
        |> result.unwrap("failed")
        |> Error
    }
  }
}

fn connect_word(error: ConnectError) -> String {
  case error {
    cluster.NotReached(_, reason) -> reason
    cluster.ConnectTimeout(_) -> "timeout"
    cluster.InvalidNode(_) -> "bad_name"
    cluster.NoSuchAtom(_) -> "no_such_atom"
    cluster.AtomBudgetSpent(_) -> "atom_budget"
    cluster.NotRunning -> "not_running"
  }
}

fn disconnect_word(error: DisconnectError) -> String {
  case error {
    cluster.NotConnected(_) -> "not_connected"
    cluster.NotDisconnected(_, reason) -> reason
    cluster.DisconnectTimeout(_) -> "timeout"
    cluster.DisconnectNotRunning -> "not_running"
  }
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

/// How often discovery looks, in milliseconds, 100 or more; 5000 unless it is
/// said. With 0 it looks when it starts, and when it is asked to.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.local_epmd() |> remora.with_poll_interval(15_000)
/// ```
pub fn with_poll_interval(builder: Builder, milliseconds: Int) -> Builder {
  set(builder, PollInterval(milliseconds))
}

/// By which part of the interval it looks sooner or later, by chance, so that
/// not all nodes look at once; 0.1 unless it is said, and 0.9 at most.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.local_epmd() |> remora.with_poll_jitter(0.5)
/// ```
pub fn with_poll_jitter(builder: Builder, part: Float) -> Builder {
  set(builder, PollJitter(part))
}

/// Who is connected to the nodes that are found; `Both` unless it is said, and
/// `App` where a strategy of your own connects.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.local_epmd() |> remora.with_side(remora.Companion)
/// ```
pub fn with_side(builder: Builder, side: Side) -> Builder {
  set(builder, Side(side))
}

/// How many complete answers without a node it takes until the node is
/// disconnected; 2 unless it is said.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.local_epmd() |> remora.with_grace(5)
/// ```
pub fn with_grace(builder: Builder, answers: Int) -> Builder {
  set(builder, Grace(answers))
}

/// Leaves nodes connected that discovery does not find any more.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.local_epmd() |> remora.keep_missing_nodes
/// ```
pub fn keep_missing_nodes(builder: Builder) -> Builder {
  set(builder, KeepMissingNodes(True))
}

/// To how many nodes it connects at the same time; 64 unless it is said.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.local_epmd() |> remora.with_dial_limit(16)
/// ```
pub fn with_dial_limit(builder: Builder, count: Int) -> Builder {
  set(builder, DialLimit(count))
}

/// How long one attempt to connect to a node may take, in milliseconds; 7000
/// unless it is said.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.local_epmd() |> remora.with_dial_timeout(3000)
/// ```
pub fn with_dial_timeout(builder: Builder, milliseconds: Int) -> Builder {
  set(builder, DialTimeout(milliseconds))
}

/// The pause before a node is tried again doubles with each failed attempt, from
/// the first of these to the second at most, in milliseconds: 100 and 30 000
/// unless it is said. Each time a part of it is taken by chance.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.local_epmd() |> remora.with_backoff(from: 50, to: 5000)
/// ```
pub fn with_backoff(
  builder: Builder,
  from shortest: Int,
  to longest: Int,
) -> Builder {
  builder
  |> set(BackoffMin(shortest))
  |> set(BackoffMax(longest))
}

/// How long one question to a source may take, in milliseconds; 5000 unless it
/// is said. It is also the time that a strategy of your own has.
///
/// ```gleam
/// import remora
///
/// let _builder = remora.local_epmd() |> remora.with_ask_timeout(1000)
/// ```
pub fn with_ask_timeout(builder: Builder, milliseconds: Int) -> Builder {
  set(builder, AskTimeout(milliseconds))
}

/// The name servers that are asked, by their addresses, each with a port behind
/// it or not. They are the system's unless it is said.
///
/// ```gleam
/// import remora
///
/// let _builder =
///   remora.dns("app", "app.example.com")
///   |> remora.with_dns_servers(["10.0.0.53", "10.0.1.53:5353"])
/// ```
pub fn with_dns_servers(builder: Builder, servers: List(String)) -> Builder {
  set(builder, DnsServers(servers))
}

/// The one service whose pods `kubernetes` takes. `Hostname` needs it.
///
/// ```gleam
/// import remora
///
/// let _builder =
///   remora.kubernetes(basename: "app", namespace: "prod", selector: "")
///   |> remora.with_kubernetes_service("shop")
/// ```
pub fn with_kubernetes_service(builder: Builder, service: String) -> Builder {
  set(builder, OfKubernetes(Service(service)))
}

/// How the nodes of `kubernetes` are called; `Ip` unless it is said.
///
/// ```gleam
/// import remora
///
/// let _builder =
///   remora.kubernetes(basename: "app", namespace: "prod", selector: "")
///   |> remora.with_kubernetes_addressing(remora.Pod)
/// ```
pub fn with_kubernetes_addressing(
  builder: Builder,
  addressing: Addressing,
) -> Builder {
  set(builder, OfKubernetes(Addressing(addressing)))
}

/// The cluster's domain for `kubernetes` and `kubernetes_dns`; `cluster.local`
/// unless it is said.
///
/// ```gleam
/// import remora
///
/// let _builder =
///   remora.kubernetes_dns(basename: "app", namespace: "prod", service: "shop")
///   |> remora.with_kubernetes_domain("k8s.example.com")
/// ```
pub fn with_kubernetes_domain(builder: Builder, domain: String) -> Builder {
  set(builder, OfKubernetes(Domain(domain)))
}

/// Where Kubernetes' API is, and files with the token and the certificate of who
/// signed the API's. They are those of the pod unless it is said.
///
/// ```gleam
/// import remora
///
/// let _builder =
///   remora.kubernetes(basename: "app", namespace: "prod", selector: "")
///   |> remora.with_kubernetes_api(
///     server: "https://10.0.0.1:6443",
///     token_file: "/etc/app/token",
///     ca_file: "/etc/app/ca.crt",
///   )
/// ```
pub fn with_kubernetes_api(
  builder: Builder,
  server server: String,
  token_file token_file: String,
  ca_file ca_file: String,
) -> Builder {
  builder
  |> set(OfKubernetes(Server(server)))
  |> set(OfKubernetes(TokenFile(token_file)))
  |> set(OfKubernetes(CaFile(ca_file)))
}

/// The interface that `multicast` uses, by its name or address; the system
/// chooses one unless it is said.
///
/// ```gleam
/// import remora
///
/// let _builder =
///   remora.multicast(group: "233.252.1.32", port: 45_892, secret: "s3cret")
///   |> remora.with_multicast_interface("eth1")
/// ```
pub fn with_multicast_interface(
  builder: Builder,
  interface: String,
) -> Builder {
  set(builder, MulticastInterface(interface))
}

// The first one of a kind counts.
fn set(builder: Builder, setting: Setting) -> Builder {
  Builder(..builder, discovery: [setting, ..builder.discovery])
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

/// Takes part in membership from the first moment; see `remora/membership`.
///
/// ```gleam
/// import remora
/// import remora/membership
///
/// let _builder =
///   remora.none()
///   |> remora.with_membership(
///     membership.default_options() |> membership.with_interval(200),
///   )
/// ```
pub fn with_membership(
  builder: Builder,
  options: membership.Options,
) -> Builder {
  Builder(..builder, membership: Some(options))
}

/// Takes part in elections from the first moment; see `remora/election`.
///
/// ```gleam
/// import remora
/// import remora/election
///
/// let _builder =
///   remora.none()
///   |> remora.with_election(
///     election.default_options()
///     |> election.with_voters(["a_remora@h1", "b_remora@h2", "c_remora@h3"])
///     |> election.with_state_dir("/var/lib/app"),
///   )
/// ```
pub fn with_election(builder: Builder, options: election.Options) -> Builder {
  Builder(..builder, election: Some(options))
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
/// let assert Error(remora.InvalidDiscovery("grace", _text)) =
///   remora.start_link(remora.local_epmd() |> remora.with_grace(0))
/// ```
pub fn start_link(builder: Builder) -> Result(Pid, StartError) {
  do_start(options(builder), builder.name, builder.listener)
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

/// One round of discovery with this builder, whatever remora was started with:
/// the nodes that were found and are connected afterwards. Nobody is
/// disconnected. With `none()` these are the nodes that are connected now.
///
/// ```gleam
/// import remora
///
/// let assert Ok(["other@127.0.0.1"]) =
///   remora.run_once(remora.epmd(["other@127.0.0.1"]))
/// let assert Error(remora.ConnectFailed([#("absent@127.0.0.1", _error)])) =
///   remora.run_once(remora.epmd(["absent@127.0.0.1"]))
/// ```
pub fn run_once(builder: Builder) -> Result(List(String), RefreshError) {
  case builder.sources {
    None -> connected()
    Some(sources) -> do_run_once(sources, builder.discovery)
  }
}

/// A round of discovery now, which is waited for: the nodes that were found and
/// are connected afterwards. It tries at once whom it finds, however long they
/// were away. A remora that was started with `none()` says whom it is connected
/// to.
///
/// ```gleam
/// import remora
///
/// let assert Ok(_nodes) = remora.refresh(within: 5000)
/// ```
pub fn refresh(within milliseconds: Int) -> Result(List(String), RefreshError) {
  case do_refresh(milliseconds) {
    Ok(Some(nodes)) -> Ok(nodes)
    Ok(None) -> connected()
    Error(error) -> Error(error)
  }
}

/// Lets discovery wait until `resume`. Connections stay; those that are lost are
/// not made again meanwhile.
///
/// ```gleam
/// import remora
///
/// let assert Ok(Nil) = remora.pause(within: 1000)
/// let assert Ok(Nil) = remora.resume(within: 1000)
/// ```
@external(erlang, "remora_discovery_ffi", "pause")
pub fn pause(within milliseconds: Int) -> Result(Nil, RefreshError)

/// Lets discovery go on.
///
/// ```gleam
/// import remora
///
/// let assert Ok(Nil) = remora.resume(within: 1000)
/// ```
@external(erlang, "remora_discovery_ffi", "resume")
pub fn resume(within milliseconds: Int) -> Result(Nil, RefreshError)

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

/// What discovery does now, source by source and node by node: the companion is
/// asked.
///
/// ```gleam
/// import remora
///
/// let assert Ok(status) = remora.discovery_status()
/// let assert remora.NotDiscovering = status.state
/// ```
@external(erlang, "remora_discovery_ffi", "status")
pub fn discovery_status() -> Result(DiscoveryStatus, StatusError)

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
    InvalidDiscovery(name, words) -> wrong_option(name, words)
    InvalidMembership(name, words) ->
      membership.describe_start_error(membership.InvalidOption(name, words))
    InvalidElection(name, words) ->
      election.describe_start_error(election.InvalidOption(name, words))
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
    DiscoveryFailed(sources) -> each_source(sources)
    ConnectFailed(nodes) ->
      "not connected: "
      <> each(nodes, cluster.describe_connect_error)
    DisconnectFailed(nodes) ->
      "not disconnected: "
      <> each(nodes, cluster.describe_disconnect_error)
    InvalidSource(name, words) -> wrong_option(name, words)
    DiscoveryPaused -> "discovery is paused; remora.resume lets it go on"
    RefreshRefused(reason) -> "the companion did not do it: " <> reason
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

fn each_source(sources: List(#(String, DiscoveryError))) -> String {
  list.map(sources, fn(failed) {
    failed.0 <> ": " <> strategy.describe_discovery_error(failed.1)
  })
  |> string.join("; ")
}

fn wrong_option(name: String, words: String) -> String {
  "the option " <> name <> " of discovery is not right: " <> words
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
    discovery: Option(#(List(Source), List(Setting))),
    membership: Option(membership.Options),
    election: Option(election.Options),
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
    discovery: option.map(builder.sources, fn(sources) {
      #(sources, builder.discovery)
    }),
    membership: builder.membership,
    election: builder.election,
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

@external(erlang, "remora_discovery_ffi", "run_once")
fn do_run_once(
  sources: List(Source),
  settings: List(Setting),
) -> Result(List(String), RefreshError)

// None: there is nothing to refresh.
@external(erlang, "remora_discovery_ffi", "refresh")
fn do_refresh(
  milliseconds: Int,
) -> Result(Option(List(String)), RefreshError)

@external(erlang, "remora_ffi", "subscribe_events")
fn subscribe_events(
  owner: Pid,
  forward: fn(Event) -> Nil,
) -> Result(Pid, StatusError)
