//// Discovery: what it finds and connects, what it tells, and how each thing
//// that is wrong is said.

import gleam/erlang/process.{type Subject}
import gleam/list
import gleam/option.{None, Some}
import gleam/otp/actor
import gleam/string
import remora
import remora/cluster
import remora/dns
import remora/strategy
import tests.{A, Aaaa}

const absent: String = "absent@127.0.0.1"

fn started(builder: remora.Builder, run: fn() -> a) -> a {
  let assert Ok(_) = remora.start(builder)
  let result = run()
  let assert Ok(Nil) = remora.shutdown(within: 10_000)
  result
}

fn until(
  events: Subject(remora.Event),
  wanted: fn(remora.Event) -> Bool,
) -> remora.Event {
  let assert Ok(event) = process.receive(events, within: 10_000)
  case wanted(event) {
    True -> event
    False -> until(events, wanted)
  }
}

pub fn a_node_is_found_test() {
  let events = process.new_subject()
  let builder = remora.epmd([tests.other]) |> remora.with_listener(events)
  use <- started(builder)
  let assert Ok([found]) = remora.refresh(within: 10_000)
  let assert True = found == tests.other
  let assert Ok(nodes) = cluster.nodes()
  let assert True = list.contains(nodes, tests.other)
  let assert remora.NodeUp(_) =
    until(events, fn(event) { event == remora.NodeUp(tests.other) })
  let assert remora.Refreshed(_) =
    until(events, fn(event) {
      event == remora.Refreshed(Ok([tests.other]))
    })
  let assert Ok(status) = remora.discovery_status()
  let assert remora.Discovering = status.state
  let assert Some(_) = status.next_round
  let assert [remora.SourceStatus(_, 1, True, None)] = status.sources
  let assert [
    remora.NodeStatus("other@127.0.0.1", remora.Connected, remora.Connected),
  ] = status.nodes
}

pub fn a_lost_node_comes_back_test() {
  let events = process.new_subject()
  let builder = remora.local_epmd() |> remora.with_listener(events)
  use <- started(builder)
  let assert Ok(nodes) = remora.refresh(within: 10_000)
  let assert True = list.contains(nodes, tests.other)
  let assert Ok(Nil) = cluster.disconnect(tests.other)
  let assert remora.NodeDown(_, _) =
    until(events, fn(event) {
      case event {
        remora.NodeDown(node, _) -> node == tests.other
        _ -> False
      }
    })
  let assert remora.NodeUp(_) =
    until(events, fn(event) { event == remora.NodeUp(tests.other) })
}

pub fn a_node_that_is_not_there_test() {
  let events = process.new_subject()
  let builder =
    remora.epmd([absent, tests.other])
    |> remora.with_backoff(from: 20, to: 40)
    |> remora.with_listener(events)
  use <- started(builder)
  let assert Error(remora.ConnectFailed(failed)) =
    remora.refresh(within: 10_000)
  let assert True =
    list.all(failed, fn(node) {
      node.0 == absent
      && node.1 == cluster.NotReached(absent, "not_registered")
    })
  let assert remora.AttemptFailed(_, remora.App, error, ms) =
    until(events, fn(event) {
      case event {
        remora.AttemptFailed(node, remora.App, _, _) -> node == absent
        _ -> False
      }
    })
  let assert cluster.NotReached("absent@127.0.0.1", "not_registered") = error
  let assert True = ms <= 40
  // The other one is connected all the same.
  let assert Ok(nodes) = cluster.nodes()
  let assert True = list.contains(nodes, tests.other)
  let assert Ok(status) = remora.discovery_status()
  let assert Ok(remora.NodeStatus(_, _, link)) =
    list.find(status.nodes, fn(node) { node.node == absent })
  let assert True = case link {
    remora.Waiting(failures, _, _) -> failures > 0
    remora.Connecting(failures) -> failures > 0
    _ -> False
  }
}

pub fn it_pauses_and_goes_on_test() {
  let events = process.new_subject()
  let builder = remora.epmd([tests.other]) |> remora.with_listener(events)
  use <- started(builder)
  let assert Ok(_) = remora.refresh(within: 10_000)
  let assert Ok(Nil) = remora.pause(within: 5000)
  let assert remora.Paused =
    until(events, fn(event) { event == remora.Paused })
  let assert Error(remora.DiscoveryPaused) = remora.refresh(within: 5000)
  let assert Ok(status) = remora.discovery_status()
  let assert remora.Resting = status.state
  let assert Ok(Nil) = remora.resume(within: 5000)
  let assert remora.Resumed =
    until(events, fn(event) { event == remora.Resumed })
  let assert Ok(_) = remora.refresh(within: 10_000)
}

pub fn without_sources_test() {
  use <- started(remora.none())
  tests.together()
  let assert Ok(nodes) = remora.refresh(within: 1000)
  let assert True = list.contains(nodes, tests.other)
  let assert Ok(Nil) = remora.pause(within: 1000)
  let assert Ok(Nil) = remora.resume(within: 1000)
  let assert Ok(status) = remora.discovery_status()
  let assert remora.NotDiscovering = status.state
}

// ---- strategies -------------------------------------------------------------

pub fn a_strategy_test() {
  let find = fn() { Ok([tests.other]) }
  use <- started(remora.custom(strategy.new(find)))
  let assert Ok(["other@127.0.0.1"]) = remora.refresh(within: 10_000)
  let assert Ok(nodes) = cluster.nodes()
  let assert True = list.contains(nodes, tests.other)
}

pub fn a_strategy_that_fails_test() {
  let events = process.new_subject()
  let find = fn() { Error(strategy.DnsFailed(dns.Refused)) }
  let builder =
    remora.custom(strategy.new(find)) |> remora.with_listener(events)
  use <- started(builder)
  let assert Error(remora.DiscoveryFailed([#("custom", error)])) =
    remora.refresh(within: 10_000)
  let assert strategy.OtherFailure(text) = error
  let assert True = text == dns.describe_lookup_error(dns.Refused)
  let assert remora.SourceFailed("custom", _) =
    until(events, fn(event) {
      case event {
        remora.SourceFailed(_, _) -> True
        _ -> False
      }
    })
}

pub fn a_strategy_that_crashes_or_hangs_test() {
  let crash = fn() {
    let assert True = tests.believe(False)
    Ok([])
  }
  use <- started(remora.custom(strategy.new(crash)))
  let assert Error(remora.DiscoveryFailed([#("custom", _)])) =
    remora.refresh(within: 10_000)
  let hang = fn() {
    process.sleep_forever()
    Ok([])
  }
  let assert Error(remora.DiscoveryFailed([#("custom", error)])) =
    remora.custom(strategy.new(hang))
    |> remora.with_ask_timeout(200)
    |> remora.run_once
  let assert strategy.OtherFailure(text) = error
  let assert True = string.contains(text, "200 ms")
}

// What a strategy says of its connections is believed.
pub fn a_strategy_that_connects_test() {
  let asked = process.new_subject()
  let own =
    strategy.new(fn() { Ok([tests.other, absent, "third@127.0.0.1"]) })
    |> strategy.with_connect_nodes_function(fn(nodes) {
      process.send(asked, nodes)
      case nodes == [absent] {
        True -> Error([#(absent, cluster.ConnectTimeout(absent))])
        False -> Ok(nodes)
      }
    })
    |> strategy.with_list_nodes_function(fn() { Ok(["third@127.0.0.1"]) })
  use <- started(remora.custom(own))
  let assert Error(remora.ConnectFailed([#("absent@127.0.0.1", error)])) =
    remora.refresh(within: 10_000)
  let assert cluster.ConnectTimeout("absent@127.0.0.1") = error
  // Each by itself, and who is there not at all.
  let assert Ok([_]) = process.receive(asked, within: 5000)
  let assert Ok([_]) = process.receive(asked, within: 5000)
  let assert Error(remora.ConnectFailed([#("absent@127.0.0.1", _)])) =
    remora.run_once(remora.custom(own))
}

// ---- one round --------------------------------------------------------------

pub fn one_round_test() {
  use <- started(remora.epmd([]))
  let assert Ok(["other@127.0.0.1"]) =
    remora.run_once(remora.epmd([tests.other]))
  let assert Ok(nodes) = remora.run_once(remora.local_epmd())
  let assert True = list.contains(nodes, tests.other)
  let assert Ok(["other@127.0.0.1"]) =
    remora.epmd([tests.other])
    |> remora.also(remora.custom(strategy.new(fn() { Ok([tests.other]) })))
    |> remora.run_once
}

pub fn sources_that_fail_test() {
  use <- started(remora.epmd([]))
  let assert Error(remora.DiscoveryFailed([#(_, missing)])) =
    remora.run_once(remora.file("/nowhere/nodes"))
  let assert strategy.FileFailed("/nowhere/nodes", _) = missing
  let assert Error(remora.DiscoveryFailed([#(_, missing)])) =
    remora.run_once(remora.hosts_file("/nowhere/.hosts.erlang"))
  let assert strategy.FileFailed("/nowhere/.hosts.erlang", _) = missing
  let assert Error(remora.DiscoveryFailed([#(_, down)])) =
    remora.kubernetes(basename: "app", namespace: "prod", selector: "")
    |> remora.with_kubernetes_api(
      server: "https://127.0.0.1:9",
      token_file: "/nowhere/token",
      ca_file: "/nowhere/ca.crt",
    )
    |> remora.run_once
  let assert strategy.KubernetesFailed(_) = down
  // A name server that nobody is.
  let assert Error(remora.DiscoveryFailed([#(_, silent)])) =
    remora.dns("app", "app.test")
    |> remora.with_dns_servers(["127.0.0.1:9"])
    |> remora.with_ask_timeout(1000)
    |> remora.run_once
  let assert strategy.DnsFailed(_) = silent
  let assert Error(remora.DiscoveryFailed([#(_, silent)])) =
    remora.dns_srv("app", "_dist._tcp.app.test")
    |> remora.with_dns_servers(["127.0.0.1:9"])
    |> remora.with_ask_timeout(1000)
    |> remora.run_once
  let assert strategy.DnsFailed(_) = silent
  let assert Error(remora.DiscoveryFailed([#(_, unknown)])) =
    remora.run_once(remora.epmd_hosts(["no.such.host.invalid"]))
  let assert strategy.EpmdFailed(_) = unknown
}

fn ask(
  zone: List(#(String, tests.RecordType, tests.DnsAnswer)),
) -> Result(List(String), remora.RefreshError) {
  use <- tests.with_dns(zone)
  remora.dns("other", "nodes.test")
  |> remora.with_dns_servers([tests.dns_server()])
  |> remora.with_ask_timeout(3000)
  |> remora.run_once
}

fn answer(all: a) -> tests.DnsAnswer {
  tests.believe(all)
}

pub fn names_in_dns_test() {
  use <- started(remora.epmd([]))
  let here = answer([#(127, 0, 0, 1)])
  let assert Ok(["other@127.0.0.1"]) =
    ask([#("nodes.test", A, here), #("nodes.test", Aaaa, answer([]))])
  // One kind of two failed: what the other has is connected, and it is said.
  let assert Error(remora.DiscoveryFailed([#(_, half)])) =
    ask([#("nodes.test", A, here), #("nodes.test", Aaaa, answer(2))])
  let assert strategy.DnsFailed(dns.ServerFailure) = half
}

// RFC 1035, 4.1.1.
pub fn each_error_of_a_name_server_test() {
  use <- started(remora.epmd([]))
  let errors = [
    #(2, dns.ServerFailure),
    #(3, dns.NoSuchDomain),
    #(4, dns.NotImplemented),
    #(5, dns.Refused),
  ]
  list.each(errors, fn(pair) {
    let #(code, error) = pair
    let zone = [
      #("nodes.test", A, answer(code)),
      #("nodes.test", Aaaa, answer(code)),
    ]
    let assert Error(remora.DiscoveryFailed([#(source, found)])) = ask(zone)
    let assert "dns other@nodes.test" = source
    let assert #(_, True) = #(found, found == strategy.DnsFailed(error))
  })
}

// ---- options ----------------------------------------------------------------

pub fn each_wrong_option_has_its_error_test() {
  let local = remora.local_epmd()
  let wrong = [
    #("poll_interval", remora.with_poll_interval(local, -1)),
    #("poll_jitter", remora.with_poll_jitter(local, 1.5)),
    #("grace", remora.with_grace(local, 0)),
    #("dial_limit", remora.with_dial_limit(local, 0)),
    #("dial_timeout", remora.with_dial_timeout(local, 0)),
    #("backoff_min", remora.with_backoff(local, from: 0, to: 1)),
    #("ask_timeout", remora.with_ask_timeout(local, 0)),
    #("dns_servers", remora.with_dns_servers(local, ["nowhere"])),
    #("nodes", remora.epmd(["nobody"])),
    #("file", remora.file("")),
    #("dns", remora.dns("app", "")),
    #("multicast", remora.multicast("233.252.1.32", 0, "s3cret")),
    #("sources", two_strategies()),
    #("side", connecting() |> remora.with_side(remora.Both)),
  ]
  list.each(wrong, fn(pair) {
    let #(name, builder) = pair
    let assert Error(remora.InvalidDiscovery(option, text)) =
      remora.start_link(builder)
    let assert #(True, _, _) = #(option == name, option, name)
    let assert Error(actor.InitFailed(sentence)) = remora.start(builder)
    let assert True = string.contains(sentence, name)
    let assert False = string.contains(sentence, "s3cret")
    let assert False = text == ""
  })
  use <- started(remora.none())
  let assert Error(remora.InvalidSource("grace", _)) =
    remora.run_once(remora.with_grace(local, 0))
}

fn two_strategies() -> remora.Builder {
  let own = remora.custom(strategy.new(fn() { Ok([]) }))
  remora.also(own, own)
}

fn connecting() -> remora.Builder {
  strategy.new(fn() { Ok([]) })
  |> strategy.with_connect_nodes_function(fn(nodes) { Ok(nodes) })
  |> remora.custom
}

pub fn a_secret_is_not_shown_test() {
  let builder = remora.multicast("233.252.1.32", 45_892, "s3cret")
  let assert False = string.contains(string.inspect(builder), "s3cret")
}

pub fn errors_are_sentences_test() {
  let failed = [
    #("dns app@app.test", strategy.DnsFailed(dns.NoSuchDomain)),
    #("custom", strategy.OtherFailure("it is locked")),
  ]
  let text = remora.describe_refresh_error(remora.DiscoveryFailed(failed))
  let assert ["dns app@app.test: there is no such name" <> _, second] =
    string.split(text, on: "; ")
  let assert "custom: it is locked" = second
  let assert "the option grace of discovery is not right: it is 0" =
    remora.describe_start_error(remora.InvalidDiscovery("grace", "it is 0"))
}
