//// Two applications, left and right, each on a node of its own with a companion
//// beside it: they connect, and use each other's names, groups and functions.
//// `./run.sh` starts both; the left one tells what happens.

import gleam/dynamic
import gleam/dynamic/decode
import gleam/erlang/process.{type Subject}
import gleam/int
import gleam/io
import gleam/list
import gleam/string
import remora
import remora/cluster
import remora/codec
import remora/groups
import remora/messaging.{type ReplyTo}
import remora/monitor
import remora/registry
import remora/remote_call

// ---- what both sides know ---------------------------------------------------

/// Who greets: a name, and where the greeting is expected.
fn greeter() -> registry.GlobalName(#(String, ReplyTo(String))) {
  registry.name(
    "greeter",
    codec.pair(codec.string(), messaging.reply_codec(codec.string())),
  )
}

/// Where notes are left.
fn notes() -> registry.GlobalName(String) {
  registry.name("notes", codec.string())
}

fn listeners() -> groups.Group(String) {
  groups.group("listeners", codec.string())
}

// ---- the right one ----------------------------------------------------------

type Event {
  Greet(#(String, ReplyTo(String)))
  Note(String)
  Heard(String)
}

/// Serves until it is left a note that says so.
pub fn right() -> Nil {
  let assert Ok(_) = remora.start(builder())
  let questions = process.new_subject()
  let left_notes = process.new_subject()
  let heard = process.new_subject()
  let assert Ok(Nil) = groups.join_subject(listeners(), heard)
  let assert Ok(Nil) = registry.register_subject(notes(), left_notes)
  let assert Ok(Nil) = registry.register_subject(greeter(), questions)
  process.new_selector()
  |> process.select_map(questions, Greet)
  |> process.select_map(left_notes, Note)
  |> process.select_map(heard, Heard)
  |> serve
  let assert Ok(Nil) = registry.unregister("greeter")
  let assert Ok(Nil) = remora.shutdown(within: 10_000)
  Nil
}

fn serve(events) -> Nil {
  let assert Ok(event) = process.selector_receive(events, within: 60_000)
  case event {
    Greet(#(name, reply_to)) -> {
      let assert Ok(Nil) =
        messaging.reply(to: reply_to, with: "good day, " <> name)
      serve(events)
    }
    Note("that is all") -> Nil
    Note(text) -> {
      let assert Ok(_count) =
        groups.broadcast(listeners(), "there is a note: " <> text)
      serve(events)
    }
    Heard(_) -> serve(events)
  }
}

/// Called from the other node.
pub fn multiply(a: Int, b: Int) -> Int {
  a * b
}

/// Called from the other node: how many listeners there are, as seen here.
pub fn count_listeners() -> Int {
  let assert Ok(members) = groups.members("listeners")
  list.length(members)
}

// ---- the left one -----------------------------------------------------------

/// Tells what happens, step by step.
pub fn left() -> Nil {
  let assert Ok(_) = remora.start(builder())
  let assert Ok(status) = remora.status()
  say("companion", status.companion <> ", version " <> status.version)

  let right = other_node()
  let came_and_went = process.new_subject()
  let assert Ok(_) = monitor.monitor_nodes(came_and_went)
  say("connect", show(cluster.connect(right)))
  say("node", node_event(came_and_went))

  let assert Ok(remote) = registry.await(greeter(), within: 10_000)
  let greeting =
    messaging.call(
      remote,
      waiting: 5000,
      expecting: codec.string(),
      sending: fn(reply_to) { #("left", reply_to) },
    )
  say("call", show(greeting))

  let heard = process.new_subject()
  say("join", show(groups.join_subject(listeners(), heard)))
  wait_until_seen(right, 500)
  let assert Ok(desk) = registry.await(notes(), within: 10_000)
  say("send", show(messaging.send(desk, "milk is out")))
  say("heard", show(process.receive(heard, within: 5000)))
  say("broadcast", show(groups.broadcast(listeners(), "buying milk")))
  say("heard", show(process.receive(heard, within: 5000)))
  say("members", int.to_string(count_listeners()))

  let rpc = fn(function) {
    remote_call.call_typed(
      right,
      "two_nodes",
      function,
      [dynamic.int(6), dynamic.int(7)],
      within: 5000,
      expecting: decode.int,
    )
  }
  say("rpc", show(rpc("multiply")))
  let assert Error(error) = rpc("right")
  say("rpc", remote_call.describe_rpc_error(error))

  let watch = monitor.monitor(messaging.pid(remote))
  say("send", show(messaging.send(desk, "that is all")))
  let ended =
    process.new_selector()
    |> monitor.select_down(watch, fn(down) { down.reason })
    |> process.selector_receive(within: 10_000)
  say("monitor", show(ended))
  say("node", node_event(came_and_went))
  say("name", show(registry.lookup(greeter())))
  say("shutdown", show(remora.shutdown(within: 10_000)))
}

// Groups are told from node to node. A member is seen here at once, and over
// there a little later.
fn wait_until_seen(right: String, tries: Int) -> Nil {
  let count =
    remote_call.call_typed(
      right,
      "two_nodes",
      "count_listeners",
      [],
      within: 5000,
      expecting: decode.int,
    )
  case count == Ok(2) || tries == 0 {
    True -> Nil
    False -> {
      process.sleep(10)
      wait_until_seen(right, tries - 1)
    }
  }
}

fn builder() -> remora.Builder {
  // Room for the few names of nodes and functions that are used here.
  remora.none() |> remora.with_max_new_atoms(20)
}

// left@host has its counterpart in right@host.
fn other_node() -> String {
  let assert Ok(#(_, rest)) = string.split_once(cluster.self_node(), on: "left")
  "right" <> rest
}

// The next thing that happens to the other application's node; companions and
// what else there is come and go as well.
fn node_event(events: Subject(monitor.NodeEvent)) -> String {
  let right = other_node()
  let assert Ok(event) = process.receive(events, within: 10_000)
  case event {
    monitor.NodeUp(node) if node == right -> node <> " is up"
    monitor.NodeDown(node, _) if node == right -> node <> " is down"
    _ -> node_event(events)
  }
}

fn say(what: String, result: String) -> Nil {
  io.println(what <> string.repeat(" ", 12 - string.length(what)) <> result)
}

fn show(value: a) -> String {
  string.inspect(value)
}
