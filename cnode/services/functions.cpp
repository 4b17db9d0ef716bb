// The functions that come with the node. Those of erlang answer with OTP's shapes, for what a native node
// has.
#include "services/answers.hpp"
#include "services/discovery_terms.hpp"
#include "services/parts.hpp"

#include <fmt/format.h>

#include <cstdlib>

namespace remora::services {

using etf::am;
using etf::lst;
using etf::make;
using etf::tup;

namespace {

etf::term atoms(std::vector<std::string> const& names) {
  etf::builder b;
  b.list(names.size());
  for (auto const& n : names) b.atom(n);
  b.nil();
  return b.take();
}

etf::term undefined() { return make(am("undefined")); }

// {Key, Value} of one process, or nothing for keys that a native process does not have.
std::optional<etf::term> process_item(node::process const& p, std::string_view key) {
  auto const pair = [&](auto const& value) { return make(tup(am(key), value)); };
  if (key == "registered_name") return p.name.empty() ? make(std::vector<int>{}) : pair(p.name);
  if (key == "message_queue_len") return pair(p.mailbox.size());
  if (key == "status")
    return pair(am(p.waiting.for_what == node::waiting::what::message ? "waiting" : "running"));
  if (key == "group_leader") return pair(p.leader);
  if (key == "trap_exit") return pair(p.trap_exit);
  if (key == "memory") return pair(sizeof(node::process) + p.mailbox_bytes);
  if (key == "links") {
    std::vector<etf::pid> links;
    for (auto const& [other, entry] : p.links)
      if (entry.active) links.push_back(other);
    return pair(links);
  }
  if (key == "monitors") {
    std::vector<etf::term> monitors;
    for (auto const& [ref, w] : p.monitors)
      monitors.push_back(w.target.pid ? make(tup(am("process"), *w.target.pid))
                                      : make(tup(am("process"), tup(w.target.name, w.target.node))));
    return pair(monitors);
  }
  if (key == "monitored_by") {
    std::vector<etf::pid> by;
    for (auto const& [watched_as, w] : p.watchers) by.push_back(w.by);
    return pair(by);
  }
  if (key == "initial_call" || key == "current_function") {
    auto const colon = p.initial_call.find(':');
    auto const slash = p.initial_call.rfind('/');
    if (colon == std::string::npos || slash == std::string::npos || slash < colon)
      return pair(tup(am("native"), am(p.initial_call), 0));
    auto const text = std::string_view(p.initial_call);
    return pair(tup(am(text.substr(0, colon)), am(text.substr(colon + 1, slash - colon - 1)),
                    std::atoi(p.initial_call.c_str() + slash + 1)));
  }
  if (key == "messages") {
    std::vector<etf::term> messages(p.mailbox.begin(), p.mailbox.end());
    return pair(messages);
  }
  return std::nullopt;
}

constexpr std::string_view process_keys[] = {"current_function",  "initial_call", "status",
                                             "message_queue_len", "links",        "trap_exit",
                                             "group_leader",      "memory"};

node::process* local_process(node::core& node, etf::pid const& pid) {
  if (pid.node != node.name()) node::raise_error("badarg"); // as OTP for pids of other nodes
  return node.find_process(pid);
}

etf::term process_info(node::core& node, etf::pid const& pid) {
  auto const* const p = local_process(node, pid);
  if (p == nullptr) return undefined();
  std::vector<etf::term> items;
  if (!p->name.empty()) items.push_back(*process_item(*p, "registered_name"));
  for (auto const key : process_keys) items.push_back(*process_item(*p, key));
  return make(items);
}

etf::term process_info_of(node::core& node, etf::pid const& pid, etf::view keys) {
  auto const* const p = local_process(node, pid);
  auto const item = [&](etf::view key) {
    auto const name = key.atom_text();
    auto found = name && p != nullptr ? process_item(*p, *name) : std::nullopt;
    if (!found && p != nullptr) node::raise_error("badarg");
    return found ? *found : undefined();
  };
  if (keys.is_atom()) return item(keys);
  auto list = keys.list();
  if (!list) node::raise_error("badarg");
  if (p == nullptr) return undefined();
  std::vector<etf::term> items;
  while (auto const key = list->next()) items.push_back(item(*key));
  return make(items);
}

etf::term system_info(node::core& node, about const& program, etf::view key) {
  auto const name = key.atom_text();
  if (!name) node::raise_error("badarg");
  if (*name == "process_count") return make(node.process_count());
  if (*name == "process_limit") return make(node.options().limits.processes_max);
  if (*name == "creation") return make(node.creation());
  if (*name == "system_version") return make(etf::str("remora " + program.version));
  if (*name == "system_architecture") return make(etf::str("native"));
  if (*name == "version") return make(etf::str(program.version));
  if (*name == "machine") return make(etf::str("remora"));
  if (*name == "wordsize") return make(sizeof(void*));
  if (*name == "schedulers" || *name == "schedulers_online") return make(1);
  if (*name == "dist_buf_busy_limit") return make(node.options().limits.connection.out.high_mark);
  if (*name == "start_time")
    return make(std::chrono::nanoseconds(node.started_at().time_since_epoch()).count());
  node::raise_error("badarg");
}

etf::term nodes_of(node::core& node, etf::view kinds) {
  bool visible = false;
  bool hidden = false;
  bool self = false;
  auto const add = [&](etf::view kind) {
    if (kind.is_atom("visible"))
      visible = true;
    else if (kind.is_atom("hidden"))
      hidden = true;
    else if (kind.is_atom("connected"))
      visible = hidden = true;
    else if (kind.is_atom("this"))
      self = true;
    else if (kind.is_atom("known"))
      visible = hidden = self = true;
    else
      node::raise_error("badarg");
  };
  if (auto list = kinds.list()) {
    while (auto const kind = list->next()) add(*kind);
  } else {
    add(kinds);
  }
  auto names = node.peers(visible, hidden);
  if (self) names.insert(names.begin(), std::string(node.name().text()));
  return atoms(names);
}

node::task<etf::term> ping(node::self me, etf::term arguments) {
  auto const name = (*arguments->list()->next()).atom_text();
  if (!name) node::raise_error("badarg");
  auto const peer = etf::atom(*name);
  bool const there = co_await ping_node(me, peer);
  co_return make(am(there ? "pong" : "pang"));
}

etf::term counters_map(node::core& node, about const& program) {
  auto const& c = node.counts();
  std::pair<std::string_view, std::uint64_t> const all[] = {{"signals_in", c.signals_in},
                                                            {"signals_out", c.signals_out},
                                                            {"bytes_in", c.bytes_in},
                                                            {"bytes_out", c.bytes_out},
                                                            {"connections", c.connections},
                                                            {"handshakes_failed", c.handshakes_failed},
                                                            {"dials_failed", c.dials_failed},
                                                            {"frames_refused", c.frames_refused},
                                                            {"spawned", c.spawned},
                                                            {"processes", node.process_count()},
                                                            {"outbox_bytes", node.outbox_bytes()},
                                                            {"resident_bytes", program.resident_bytes()}};
  etf::builder b;
  b.map(std::size(all));
  for (auto const& [name, value] : all) b.atom(name).unsigned_integer(value);
  return b.take();
}

etf::term membership_map(membership const& m) {
  static constexpr std::array all{swim::status::alive, swim::status::suspect, swim::status::dead,
                                  swim::status::left};
  etf::builder b;
  b.map(all.size() + 1);
  for (auto const s : all) b.atom(swim::name_of(s)).unsigned_integer(m.count(s));
  b.atom("multiplier").unsigned_integer(m.health().self.multiplier);
  return b.take();
}

etf::term election_map(election const& e) {
  auto const s = e.status();
  etf::builder b;
  b.map(4).atom("role").atom(raft::name_of(s.role)).atom("term").unsigned_integer(s.term).atom("leader");
  put_text_or_none(b, s.leader);
  b.atom("abstains");
  put_text_or_none(b, e.why_abstaining());
  return b.take();
}

etf::term status_map(node::core& node, about const& program, installed const& all) {
  auto const& d = all.discoverer;
  etf::builder b;
  b.map(8U + (d.configured() ? 1 : 0) + (all.membership.started() ? 1 : 0) +
        (all.election.started() ? 1 : 0));
  b.atom("node").atom(node.name());
  b.atom("version").binary(program.version);
  b.atom("creation").unsigned_integer(node.creation());
  b.atom("hidden").boolean(node.options().hidden);
  b.atom("uptime_ms")
      .integer(std::chrono::duration_cast<std::chrono::milliseconds>(node.now() - node.started_at()).count());
  b.atom("visible").copy(atoms(node.peers(true, false)));
  b.atom("hidden_peers").copy(atoms(node.peers(false, true)));
  b.atom("processes").unsigned_integer(node.process_count());
  if (d.configured()) b.atom("discovery").copy(to_term(d.status(), true, node.now()));
  if (all.membership.started()) b.atom("membership").copy(membership_map(all.membership));
  if (all.election.started()) b.atom("election").copy(election_map(all.election));
  return b.take();
}

} // namespace

// net_adm:ping/1: dials if need be, asks is_auth, and hangs up a node that does not say yes.
node::task<bool> ping_node(node::self me, etf::atom peer) {
  if (peer == me.node().name()) co_return true;
  bool const connected = co_await me.connect(peer);
  if (!connected) co_return false;
  auto const request = make(tup(am("is_auth"), me.node().name()));
  auto const answer =
      co_await me.call(node::destination("net_kernel", peer.text()), request, std::chrono::seconds(7));
  if (answer.has_value() && (*answer)->is_atom("yes")) co_return true;
  me.node().disconnect(peer.text(), "ping_failed");
  co_return false;
}

void install_functions(node::core& node, about const& program, installed const& all) {
  auto& f = node.functions();
  auto& n = node;
  f.add("erlang", "node", [&n] { return n.name(); });
  f.add("erlang", "nodes", [&n] { return atoms(n.peers(true, false)); });
  f.add("erlang", "nodes", [&n](etf::view kinds) { return nodes_of(n, kinds); });
  f.add("erlang", "registered", [&n] { return atoms(n.registered()); });
  f.add("erlang", "whereis", [&n](etf::view name) {
    if (!name.is_atom()) node::raise_error("badarg");
    auto const* const p = n.find_registered(*name.atom_text());
    return p != nullptr ? make(p->pid) : undefined();
  });
  f.add("erlang", "processes", [&n] { return n.processes(); });
  f.add("erlang", "is_process_alive", [&n](etf::pid const& pid) { return local_process(n, pid) != nullptr; });
  f.add("erlang", "process_info", [&n](etf::pid const& pid) { return process_info(n, pid); });
  f.add("erlang", "process_info",
        [&n](etf::pid const& pid, etf::view keys) { return process_info_of(n, pid, keys); });
  f.add("erlang", "system_info", [&n, program](etf::view key) { return system_info(n, program, key); });
  f.add("erlang", "memory", [program] {
    auto const bytes = program.resident_bytes();
    return make(lst(tup(am("total"), bytes), tup(am("system"), bytes)));
  });
  f.add("erlang", "monotonic_time", [&n] { return std::int64_t{n.now().time_since_epoch().count()}; });
  f.add("net_adm", "ping", 1, ping);
  f.add("remora", "version", [program] { return program.version; });
  f.add("remora", "status", [&n, program, all] { return status_map(n, program, all); });
  f.add("remora", "metrics", [&n, program] { return counters_map(n, program); });
}

} // namespace remora::services
