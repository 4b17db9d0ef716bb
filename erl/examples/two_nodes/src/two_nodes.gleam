//// Two applications, each with a companion. The shop opens on the first node;
//// the visitor comes from the second, finds it by its name, buys, hears the
//// news of the town, and is there when the shop closes.
////
//// `run.sh` starts both: `two_nodes:shop()` and `two_nodes:main()`.

import gleam/dynamic/decode
import gleam/erlang/process.{type Subject}
import gleam/int
import gleam/io
import gleam/list
import gleam/otp/static_supervisor as supervisor
import gleam/string
import remora
import remora/cluster
import remora/codec
import remora/groups
import remora/messaging
import remora/monitor
import remora/registry
import remora/remote_call
import remora/settings

const first = "first@127.0.0.1"

/// The first node.
pub fn shop() -> Nil {
  start()
  let orders = process.new_subject()
  let news = process.new_subject()
  let assert Ok(Nil) = registry.register_subject(shop_name(), orders)
  let assert Ok(Nil) = groups.join_subject(town(), news)
  io.println("the shop is open")
  serve(orders, news)
}

fn serve(orders: Subject(String), news: Subject(String)) -> Nil {
  case process.receive(orders, within: 60_000) {
    Ok("close") -> {
      let assert Ok(headline) = process.receive(news, within: 5000)
      io.println("the shop has read: " <> headline)
    }
    Ok(order) -> {
      io.println("the shop sells: " <> order)
      serve(orders, news)
    }
    Error(Nil) -> io.println("nobody came")
  }
}

/// The second node.
pub fn main() -> Nil {
  start()
  let assert Ok(Nil) = cluster.connect(first)
  let assert Ok(nodes) = cluster.nodes()
  io.println("connected: " <> string.inspect(list.contains(nodes, first)))

  let assert Ok(shop) = registry.await(shop_name(), within: 5000)
  io.println("the shop is found by its name")
  let assert Ok(Nil) = messaging.send(shop, "a pound of sugar")

  let news = process.new_subject()
  let assert Ok(Nil) = groups.join_subject(town(), news)
  await_readers(2)
  let assert Ok(readers) = groups.broadcast(town(), "a visitor has come")
  let assert Ok(headline) = process.receive(news, within: 5000)
  io.println("news for " <> int.to_string(readers) <> ": " <> headline)

  let assert Ok(total) =
    remote_call.call_typed(
      first,
      "lists",
      "sum",
      [codec.to_term(codec.list(of: codec.int()), [2, 3])],
      within: 5000,
      expecting: decode.int,
    )
  io.println("the first node adds 2 and 3: " <> int.to_string(total))
  let assert Error(error) =
    remote_call.call_with_timeout(first, "lists", "nil", [], within: 5000)
  io.println("and says: " <> remote_call.describe_rpc_error(error))

  let watch = monitor.monitor(messaging.pid(shop))
  let assert Ok(Nil) = messaging.send(shop, "close")
  let assert Ok(reason) =
    process.new_selector()
    |> monitor.select_down(watch, fn(down) { down.reason })
    |> process.selector_receive(within: 5000)
  io.println("the shop has closed: " <> monitor.describe_down_reason(reason))
}

/// Nodes that have just met tell each other their members in a moment.
fn await_readers(count: Int) -> Nil {
  let changes = process.new_subject()
  let assert Ok(#(subscription, members)) = groups.subscribe("town", changes)
  count_readers(changes, list.length(members), count)
  groups.unsubscribe(subscription)
}

fn count_readers(
  changes: Subject(groups.GroupEvent),
  now: Int,
  wanted: Int,
) -> Nil {
  case now >= wanted {
    True -> Nil
    False ->
      case process.receive(changes, within: 5000) {
        Ok(groups.Joined(_, pids)) ->
          count_readers(changes, now + list.length(pids), wanted)
        Ok(groups.Left(_, pids)) ->
          count_readers(changes, now - list.length(pids), wanted)
        Error(Nil) -> Nil
      }
  }
}

/// A supervised companion. The names of a few nodes may become atoms here: they
/// are this program's own.
fn start() -> Nil {
  settings.set_allow_atom_creation(True)
  let assert Ok(Nil) = settings.set_max_new_atoms(10)
  let assert Ok(_) =
    supervisor.new(supervisor.OneForOne)
    |> supervisor.add(remora.none() |> remora.supervised)
    |> supervisor.start
  Nil
}

fn shop_name() -> registry.GlobalName(String) {
  registry.name("shop", codec.string())
}

fn town() -> groups.Group(String) {
  groups.group("town", codec.string())
}
