// What the node does with each control message (dist.c, erts_net_message; protocol.md 3.5 to 3.9).
#include "node/signals.hpp"

#include "dist/flags.hpp"

#include <fmt/format.h>

namespace remora::node {

send_status core::queue_signal(peer& p, std::uint64_t sender, etf::view control,
                               dist::payload const& payload) {
  std::size_t const size = control.bytes().size() + payload.size();
  if (p.overflown) return send_status::dropped;
  p.queued_bytes += size;
  if (p.queued_bytes >
      options_.limits.peer_queue_bytes_max) { // no silent hole: all that waits is lost, and told so
    p.overflown = true;
    overflown_peers_.push_back(p.name);
    return send_status::dropped;
  }
  p.queue.push_back({.sender = sender, .control = etf::term(control), .payload = payload});
  return send_status::sent;
}

void core::on_signal(peer& from, dist::signal& s, connection_id via) {
  ++counts_.signals_in;
  std::visit([&](auto const& message) { on(from, message, s.payload, via); }, s.control);
}

process* core::local(etf::view pid) {
  auto const p = pid.borrow_pid();
  if (!p || p->creation != creation_ || p->node != name_.text()) return nullptr;
  auto* const found = find_process(local_id_of(*p));
  return found != nullptr && !found->dying ? found : nullptr;
}

bool core::sent_by(peer const& from, etf::view pid) const { return pid.node_text() == from.name.text(); }

void core::violation(connection_id id, std::string_view what) {
  on_closed(id, "protocol_violation", std::string(what), true);
}

void core::on(peer& from, dist::link const& m, etf::term const& /*payload*/, connection_id via) {
  if (!sent_by(from, m.from)) return violation(via, "a link from a process that is not the peer's");
  auto const other = *m.from.as_pid();
  auto* const p = local(m.to);
  if (p == nullptr) { // also a pid of an earlier incarnation: answered as sent
    auto const dead = *m.to.as_pid();
    auto const noproc = etf::make(etf::am("noproc"));
    exit_signal(nullptr, dead, other, noproc);
    return;
  }
  if (!p->links.contains(other) && ++from.links > options_.limits.links_per_peer_max)
    return violation(via, "more links than links_per_peer_max");
  p->links.try_emplace(other); // an existing entry stays as it is, even an inactive one
}

void core::on(peer& /*from*/, dist::send const& m, etf::term const& payload, connection_id via) {
  if (auto* const p = local(m.to)) deliver(*p, payload, via);
}

void core::on(peer& from, dist::reg_send const& m, etf::term const& payload, connection_id via) {
  if (m.name.is_atom(fan_out_name)) return fan_out(from, payload, via);
  if (auto* const p = find_registered(*m.name.atom_text())) deliver(*p, payload, via);
}

// Here and now, not by a process of its own: what the same sender sends behind it must not overtake.
void core::fan_out(peer& from, etf::term const& payload, connection_id via) {
  if (payload->is_atom("here")) from.fans_out = true;
  auto const pair = payload->tuple<2>();
  auto pids = pair ? (*pair)[0].list() : std::nullopt;
  if (!pids) return;
  etf::term const message((*pair)[1]); // shared by all that get it
  while (auto const pid = pids->next())
    if (auto* const p = local(*pid)) deliver(*p, message, via);
}

void core::on(peer& /*from*/, dist::alias_send const& m, etf::term const& payload, connection_id via) {
  auto const found = aliases_.find(*m.alias.as_reference());
  if (found == aliases_.end()) return;
  if (auto* const p = find_process(found->second)) deliver(*p, payload, via);
}

void core::on(peer& from, dist::exit const& m, etf::term const& payload, connection_id via) {
  if (!sent_by(from, m.from)) return violation(via, "an exit of a process that is not the peer's");
  auto* const p = local(m.to);
  if (p == nullptr) return;
  auto const other = *m.from.as_pid();
  auto const entry = p->links.find(other);
  if (entry == p->links.end()) return;
  bool const active = entry->second.active;
  p->links.erase(entry);
  if (from.links > 0) --from.links;
  if (active) kill_or_deliver_exit(*p, other, m.reason.empty() ? payload : etf::term(m.reason), true);
}

void core::on(peer& from, dist::exit2 const& m, etf::term const& payload, connection_id via) {
  if (!sent_by(from, m.from)) return violation(via, "an exit of a process that is not the peer's");
  if (auto* const p = local(m.to))
    kill_or_deliver_exit(*p, *m.from.as_pid(), m.reason.empty() ? payload : etf::term(m.reason), false);
}

void core::on(peer& from, dist::unlink const& m, etf::term const& /*payload*/, connection_id via) {
  if (!sent_by(from, m.from)) return violation(via, "an unlink of a process that is not the peer's");
  if (auto* const p = local(m.to))
    if (p->links.erase(*m.from.as_pid()) > 0 && from.links > 0) --from.links;
}

void core::on(peer& from, dist::unlink_id const& m, etf::term const& /*payload*/, connection_id via) {
  if (!sent_by(from, m.from)) return violation(via, "an unlink of a process that is not the peer's");
  auto const other = *m.from.as_pid();
  if (auto* const p = local(m.to)) {
    auto const entry = p->links.find(other);
    if (entry != p->links.end() && entry->second.active) {
      p->links.erase(entry);
      if (from.links > 0) --from.links;
    }
  }
  // Always acknowledged, also for the dead: otherwise the peer keeps an inactive entry and ignores our later
  // links.
  auto const ours = *m.to.as_pid();
  signal_to(from.name.text(), local_id_of(ours), false,
            [&](etf::builder& b, peer const&) { dist::write::unlink_id_ack(b, m.id, ours, other); });
}

void core::on(peer& from, dist::unlink_id_ack const& m, etf::term const& /*payload*/, connection_id via) {
  if (!sent_by(from, m.from))
    return violation(via, "an unlink acknowledgement of a process that is not the peer's");
  auto* const p = local(m.to);
  if (p == nullptr) return;
  auto const entry = p->links.find(*m.from.as_pid());
  if (entry == p->links.end() || entry->second.active || entry->second.unlink_id != m.id) return;
  p->links.erase(entry);
  if (from.links > 0) --from.links;
}

void core::on(peer& /*from*/, dist::group_leader const& m, etf::term const& /*payload*/,
              connection_id /*via*/) {
  if (auto* const p = local(m.to)) p->leader = *m.leader.as_pid();
}

void core::on(peer& from, dist::monitor_p const& m, etf::term const& /*payload*/, connection_id via) {
  if (!sent_by(from, m.from)) return violation(via, "a monitor of a process that is not the peer's");
  auto const by = *m.from.as_pid();
  auto const ref = *m.ref.as_reference();
  auto const name = m.target.atom_text();
  auto* const p = name ? find_registered(*name) : local(m.target); // a name is resolved once, now
  if (p == nullptr) {
    auto const noproc = etf::make(etf::am("noproc"));
    auto const dead = m.target.borrow_pid();
    auto const sender = dead ? local_id_of(*dead) : 0; // behind the last that it sent
    signal_to(
        from.name.text(), sender, false,
        [&](etf::builder& b, peer const& to) {
          dist::write::monitor_p_exit(b, m.target, by, ref, noproc,
                                      (to.flags & dist::flag::exit_payload) != 0);
        },
        (from.flags & dist::flag::exit_payload) != 0 ? noproc : etf::term());
    return;
  }
  if (from.monitors.size() >= options_.limits.monitors_per_peer_max)
    return violation(via, "more monitors than monitors_per_peer_max");
  if (!from.monitors.try_emplace(ref, p->id).second) return; // a reference is used once
  p->watchers.emplace(watch_key{ref, by.node},
                      watcher{.by = by, .name = name ? etf::atom::recent(*name) : etf::atom()});
}

void core::on(peer& from, dist::demonitor_p const& m, etf::term const& /*payload*/, connection_id via) {
  if (!sent_by(from, m.from)) return violation(via, "a demonitor of a process that is not the peer's");
  auto const ref = *m.ref.as_reference();
  auto const found = from.monitors.find(ref);
  if (found == from.monitors.end()) return;
  auto const id = found->second;
  from.monitors.erase(found);
  if (auto* const p = find_process(id)) drop_watcher(*p, {ref, from.name});
}

void core::on(peer& from, dist::monitor_p_exit const& m, etf::term const& payload, connection_id /*via*/) {
  auto* const p = local(m.to);
  if (p == nullptr) return;
  auto const ref = *m.ref.as_reference();
  auto const found = p->monitors.find(ref);
  // It crossed our demonitor; or it speaks of a process that is another's.
  if (found == p->monitors.end() || found->second.target.where() != from.name) return;
  auto const target = found->second.target;
  p->monitors.erase(found);
  fire_down(*p, ref, target, m.reason.empty() ? *payload : m.reason);
}

namespace {

// erts_parse_spawn_opts: tuning options are ours to ignore, unknown ones are badopt.
bool parse_spawn_options(etf::view options, spawn_options& out) {
  auto list = options.list();
  if (!list) return false;
  while (auto const option = list->next()) {
    if (option->is_atom("link"))
      out.link = true;
    else if (option->is_atom("monitor"))
      out.monitor = true;
    else if (auto const pair = option->tuple<2>()) {
      static constexpr std::string_view tuning[] = {
          "priority",           "fullsweep_after", "min_heap_size",
          "min_bin_vheap_size", "max_heap_size",   "message_queue_data",
          "scheduler",          "async_dist",      "monitor"};
      auto const known = std::find(std::begin(tuning), std::end(tuning), (*pair)[0].atom_text().value_or(""));
      if (known == std::end(tuning)) return false;
      if (*known == "monitor") out.monitor = true;
    } else
      return false;
  }
  return list->tail().what() == etf::kind::nil;
}

} // namespace

void core::on(peer& from, dist::spawn_request const& m, etf::term const& payload, connection_id via) {
  if (!sent_by(from, m.from)) return violation(via, "a spawn request of a process that is not the peer's");
  auto const req = *m.req.as_reference();
  auto const by = *m.from.as_pid();
  auto const fail = [&](std::string_view why) {
    auto const atom = etf::make(etf::am(why));
    signal_to(from.name.text(), 0, false,
              [&](etf::builder& b, peer const&) { dist::write::spawn_reply(b, req, by, 0, atom); });
  };
  spawn_options options;
  auto arguments = payload->list();
  if (!parse_spawn_options(m.options, options) || !arguments || arguments->left() != m.arity)
    return fail("badopt");
  if (processes_.size() >= options_.limits.processes_max) return fail("system_limit");

  auto const module = *m.module.atom_text();
  auto const function = *m.function.atom_text();
  auto& child = new_process(spawned_body(module, function, payload), *m.leader.as_pid(),
                            fmt::format("{}:{}/{}", module, function, m.arity));
  if (options.link) {
    child.links.try_emplace(by);
    ++from.links;
  }
  if (options.monitor && from.monitors.try_emplace(req, child.id).second)
    child.watchers.emplace(watch_key{req, by.node}, watcher{.by = by, .name = {}});
  std::uint32_t const flags =
      (options.link ? dist::spawn_flag_link : 0U) | (options.monitor ? dist::spawn_flag_monitor : 0U);
  etf::builder pid; // the reply precedes all that the child causes, hence the child's own order
  pid.pid(child.pid);
  signal_to(from.name.text(), child.id, false, [&](etf::builder& b, peer const&) {
    dist::write::spawn_reply(b, req, by, flags, etf::view(pid.bytes()));
  });
}

namespace {

// How a spawned function ends when it raises: {Error, Stack}, {{nocatch, Thrown}, Stack}, or the reason of an
// exit.
etf::term end_of(raised const& r, etf::term const& stack) {
  switch (r.how) {
  case raised::kind::error: return etf::make(etf::tup(*r.reason, stack));
  case raised::kind::throw_: return etf::make(etf::tup(etf::tup(etf::am("nocatch"), *r.reason), stack));
  case raised::kind::exit: break;
  }
  return r.reason;
}

} // namespace

// What the child runs. An unknown function is no failure of the spawn: the child starts, and dies of undef.
body core::spawned_body(std::string_view module, std::string_view name, etf::term const& arguments) {
  auto const stack =
      etf::make(etf::lst(etf::tup(etf::am(module), etf::am(name), *arguments, std::vector<int>{})));
  auto const* const f = functions_.find(module, name, arguments->list()->left());
  if (f == nullptr)
    return [this, reason = etf::make(etf::tup(etf::am("undef"), stack))](self me) -> task<> {
      report_crash(me.raw(), reason);
      me.end_with(reason);
      co_return;
    };
  return [this, f, arguments, stack](self me) -> task<> {
    std::optional<etf::term> reason;
    try {
      co_await (*f)(me, arguments);
    } catch (raised const& r) {
      reason = end_of(r, stack);
      if (r.how != raised::kind::exit) report_crash(me.raw(), *reason);
    }
    if (reason) me.end_with(*reason);
  };
}

void core::on(peer& from, dist::spawn_reply const& m, etf::term const& /*payload*/, connection_id /*via*/) {
  auto const ref = *m.req.as_reference();
  auto const child = m.result.as_pid();
  auto* const p = local(m.to);
  auto const orphan = from.orphans.find(ref);
  auto const reason = orphan != from.orphans.end()
                          ? orphan->second
                          : etf::make(etf::am(p == nullptr ? "noproc" : "abandoned"));
  if (orphan != from.orphans.end()) from.orphans.erase(orphan);
  auto const found = p != nullptr ? p->spawns.find(ref) : decltype(p->spawns.find(ref)){};
  if (p != nullptr && found != p->spawns.end() && found->second.peer != from.name) return; // not asked there
  if (p == nullptr || found == p->spawns.end()) {
    if (!child) return;
    // The requester is dead, or no longer waits: nothing of ours stays at the child. A link ends with the
    // reason of the dead, or abandoned (erlang:spawn_request_abandon/1; both seen from OTP 25).
    auto const us = *m.to.as_pid();
    if ((m.flags & dist::spawn_flag_monitor) != 0)
      signal_to(from.name.text(), 0, false,
                [&](etf::builder& b, peer const&) { dist::write::demonitor_p(b, us, m.result, ref); });
    if ((m.flags & dist::spawn_flag_link) != 0) exit_signal(nullptr, us, *child, reason);
    return;
  }
  auto const asked = found->second.options;
  p->spawns.erase(found);
  if (child && asked.monitor) p->monitors.emplace(ref, watched{.target = *child});
  if (child && asked.link && p->links.try_emplace(*child).second) ++from.links;
  deliver(*p, etf::make(etf::tup(etf::am("spawn_reply"), ref, etf::am(child ? "ok" : "error"), m.result)));
}

} // namespace remora::node
