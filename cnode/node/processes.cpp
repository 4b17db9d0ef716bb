// The node's processes: their life, mailboxes, links and monitors (erl_proc_sig_queue.c, erl_process.c;
// protocol.md 3.6, 3.9).
#include "node/signals.hpp"

#include "base/check.hpp"
#include "dist/flags.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::node {

namespace {

constexpr std::uint32_t reference_first_word_bits = 18; // OTP refuses more (external.c, MAX_REFERENCE)

etf::term atom_term(std::string_view text) { return etf::make(etf::am(text)); }

// What a monitor signal calls its object: the pid, or the name alone.
etf::term wire_object(destination const& target) {
  return target.pid ? etf::make(*target.pid) : etf::make(target.name);
}

} // namespace

core::core(core_options options)
    : options_(std::move(options)), name_(options_.name), random_(options_.seed) {}

core::~core() {
  for (auto& [id, p] : processes_) p->coroutine = {}; // frames may refer to each other's processes
}

void core::start(std::uint32_t creation, base::time_point now) {
  creation_ = creation;
  now_ = now;
  started_ = now;
  for (auto& [id, p] : processes_) { // spawned before there was a creation
    base::check(!p->coroutine, "start: before anything runs");
    p->pid.creation = creation;
    if (p->leader.node == name_) p->leader.creation = creation;
  }
  default_leader_.creation = creation;
  run_ready();
}

process& core::new_process(body run, etf::pid leader, std::string initial_call) {
  auto p = std::make_unique<process>();
  p->id = ++last_process_;
  p->pid = {.node = name_,
            .id = static_cast<std::uint32_t>(p->id),
            .serial = static_cast<std::uint32_t>(p->id >> 32U),
            .creation = creation_};
  p->leader = leader.node.empty() ? p->pid : std::move(leader); // without services it is nobody's
  p->initial_call = std::move(initial_call);
  p->run = std::move(run);
  auto& out = *p;
  processes_.emplace(p->id, std::move(p));
  ++counts_.spawned;
  schedule(out);
  return out;
}

etf::pid core::spawn(body run, std::string_view name, std::string_view initial_call) {
  base::check(name.empty() || !names_.contains(name), "spawn: the name is free");
  auto& p = new_process(std::move(run), default_leader_, std::string(initial_call));
  if (!name.empty()) {
    p.name = etf::atom(name);
    names_.emplace(p.name, p.id);
  }
  return p.pid;
}

process* core::find_process(local_id id) {
  auto const found = processes_.find(id);
  return found != processes_.end() ? found->second.get() : nullptr;
}

process* core::find_process(etf::pid const& p) {
  if (p.creation != creation_ || p.node != name_) return nullptr;
  auto* const found = find_process(local_id_of(p));
  return found != nullptr && !found->dying ? found : nullptr;
}

process* core::find_registered(std::string_view name) {
  auto const found = names_.find(name);
  auto* const p = found != names_.end() ? find_process(found->second) : nullptr;
  return p != nullptr && !p->dying ? p : nullptr;
}

std::vector<std::string> core::registered() const {
  std::vector<std::string> out;
  for (auto const& [name, id] : names_) out.emplace_back(name.text());
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<etf::pid> core::processes() const {
  std::vector<etf::pid> out;
  for (auto const& [id, p] : processes_) out.push_back(p->pid);
  std::sort(out.begin(), out.end());
  return out;
}

// Running.

void core::schedule(process& p) {
  if (p.scheduled) return;
  p.scheduled = true;
  ready_.push_back(p.id);
}

void core::run_ready() {
  if (running_ != nullptr) return;
  run_all();
  close_overflown();
  if (leaving_ && ready_.empty()) hang_up_all();
}

// Two processes that answer each other for ever must not starve the rest: what is left runs when the driver
// has looked at its sockets, because next_deadline() says now.
void core::run_all() {
  if (running_ != nullptr) return;
  for (auto left = options_.limits.runs_per_step_max; left > 0 && !ready_.empty(); --left) {
    auto const id = ready_.front();
    ready_.pop_front();
    if (auto* const p = find_process(id)) resume(*p);
  }
}

void core::resume(process& p) {
  p.scheduled = false;
  if (p.dying) return finish(p, std::move(*p.dying));
  set_deadline(p, std::nullopt);
  auto const next = std::exchange(p.waiting, {}).resume;
  running_ = &p;
  try {
    if (!p.coroutine) {
      p.coroutine = p.run(self(*this, p));
      p.coroutine.handle().resume();
    } else {
      next.resume();
    }
  } catch (...) { // run() itself, before there was a coroutine
    running_ = nullptr;
    return finish(p, crash_reason(p));
  }
  running_ = nullptr;
  if (p.dying) return finish(p, std::move(*p.dying));
  if (!p.coroutine.done()) return;
  try {
    p.coroutine.take();
  } catch (exit_process const& e) {
    return finish(p, e.reason);
  } catch (...) {
    return finish(p, crash_reason(p));
  }
  finish(p, p.end_reason ? *p.end_reason : atom_term("normal"));
}

// Within a handler: what escaped from a process's body. A bug of that service, not of the node: it costs the
// process.
etf::term core::crash_reason(process const& p) {
  etf::term reason;
  try {
    throw;
  } catch (raised const& r) {
    reason = r.reason;
  } catch (std::exception const& e) {
    reason = etf::make(etf::tup(etf::am("cpp_exception"), e.what()));
  } catch (...) {
    reason = etf::make(etf::tup(etf::am("cpp_exception"), "unknown"));
  }
  report_crash(p, reason);
  return reason;
}

// Where its group leader lives, as OTP does: there to the logger of that node (utils.c,
// send_error_term_to_logger; protocol.md 5.5), which is lost where there is no connection.
void core::report_crash(process const& p, etf::term const& reason) {
  auto const& node = p.leader.node;
  if (node == name_ || node.empty()) {
    effects_.emplace_back(process_crashed{
        .process = p.name.empty() ? p.initial_call : std::string(p.name.text()), .reason = reason});
    return;
  }
  using etf::am;
  etf::builder meta;
  meta.map(3).atom("pid").pid(p.pid).atom("gl").pid(p.leader).atom("error_logger");
  meta.map(2).atom("emulator").boolean(true).atom("tag").atom("error");
  auto const report = etf::make(etf::tup(am("log"), am("error"),
                                         etf::str("Error in process ~p on node ~p with exit value:~n~p~n"),
                                         etf::lst(p.pid, name_, *reason), *meta.take()));
  signal_to(
      node.text(), p.id, false,
      [&](etf::builder& b, peer const&) { dist::write::reg_send(b, p.pid, "logger_proxy"); }, report);
}

void core::terminate(process& p, etf::term reason) {
  if (p.dying) return;
  p.dying = std::move(reason);
  schedule(p); // its frame is destroyed when nothing of it is on the stack
}

// 3.9: demonitor what it watched, tell its watchers, then its links.
void core::finish(process& p, etf::term reason) {
  auto const id = p.id;
  if (p.vital && !leaving_)
    effects_.emplace_back(vital_ended{.process = p.name.empty() ? p.initial_call : std::string(p.name.text()),
                                      .reason = reason});
  set_deadline(p, std::nullopt);
  p.coroutine = {};
  if (!p.name.empty()) names_.erase(p.name);
  for (auto const& alias : p.aliases) aliases_.erase(alias);
  for (auto const& [ref, request] : p.spawns)
    if (auto* const to = find_peer(request.peer.text());
        to != nullptr && request.options.link && to->orphans.size() < options_.limits.links_per_peer_max)
      to->orphans.emplace(ref, reason);
  drop_monitors(p);
  tell_watchers(p, reason);
  tell_links(p, reason);
  p.mailbox.clear();
  p.mailbox_bytes = 0;
  release_mailbox(p);
  processes_.erase(id);
}

void core::set_vital(etf::pid const& who) {
  if (auto* const p = find_process(who)) p->vital = true;
}

void core::drop_monitors(process& p) {
  auto const monitors = std::move(p.monitors);
  for (auto const& [ref, w] : monitors) {
    auto const& node = w.target.where();
    if (node == name_) {
      if (auto* const other = find_process(w.local)) drop_watcher(*other, {ref, name_});
      continue;
    }
    send_demonitor(p, ref, w.target, node);
  }
}

void core::drop_watcher(process& p, watch_key const& key) {
  if (p.watchers.erase(key) > 0 && p.unwatched) p.unwatched(key);
}

void core::send_demonitor(process const& p, etf::reference const& ref, destination const& target,
                          etf::atom const& node) {
  auto const object = wire_object(target);
  signal_to(node.text(), p.id, false,
            [&](etf::builder& b, peer const&) { dist::write::demonitor_p(b, p.pid, object, ref); });
}

void core::tell_watchers(process& p, etf::term const& reason) {
  auto const watchers = std::move(p.watchers);
  for (auto const& [key, w] : watchers) {
    auto const& ref = key.ref;
    if (w.by.node == name_) {
      auto* const by = find_process(w.by);
      if (by == nullptr) continue;
      auto const found = by->monitors.find(ref);
      if (found == by->monitors.end()) continue;
      auto const target = found->second.target;
      by->monitors.erase(found);
      fire_down(*by, ref, target, reason);
      continue;
    }
    auto* const to = find_peer(w.by.node.text());
    if (to == nullptr) continue;
    to->monitors.erase(ref);
    etf::builder source;
    if (w.name.empty())
      source.pid(p.pid);
    else
      source.atom(w.name);
    bool const payload = to->takes_exit_payload();
    signal_to(
        w.by.node.text(), p.id, false,
        [&, &w = w](etf::builder& b, peer const&) {
          dist::write::monitor_p_exit(b, etf::view(source.bytes()), w.by, ref, reason, payload);
        },
        payload ? reason : etf::term());
  }
}

void core::tell_links(process& p, etf::term const& reason) {
  auto const links = std::move(p.links);
  for (auto const& [other, entry] : links) {
    if (other.node != name_) {
      if (auto* const to = find_peer(other.node.text()); to != nullptr && to->links > 0) --to->links;
      if (entry.active) exit_signal(&p, p.pid, other, reason);
      continue;
    }
    auto* const q = find_process(other);
    if (q == nullptr) continue;
    q->links.erase(p.pid);
    if (entry.active) kill_or_deliver_exit(*q, p.pid, reason, true);
  }
}

// PAYLOAD_EXIT: a link's end.
void core::exit_signal(process* from, etf::pid const& from_pid, etf::pid const& to, etf::view reason) {
  auto* const p = find_peer(to.node.text());
  if (p == nullptr || p->knows_as_gone(to)) return;
  bool const payload = p->takes_exit_payload();
  signal_to(
      to.node.text(), from != nullptr ? from->id : local_id_of(from_pid), false,
      [&](etf::builder& b, peer const&) { dist::write::exit(b, from_pid, to, reason, payload); },
      payload ? etf::term(reason) : etf::term());
}

// An exit signal arrives: by a link `kill` is a reason like others, by exit/2 it cannot be trapped.
void core::kill_or_deliver_exit(process& p, etf::pid const& from, etf::term const& reason, bool by_link) {
  bool const kill = !by_link && reason->is_atom("kill");
  if (kill) return terminate(p, atom_term("killed"));
  if (p.trap_exit) return deliver(p, etf::make(etf::tup(etf::am("EXIT"), from, *reason)));
  if (reason->is_atom("normal") && from != p.pid) return;
  terminate(p, reason);
}

// Mailboxes.

// What a process waits for may be among what is not read yet: while it waits it is given more room.
bool core::mailbox_full(process const& p) const {
  bool const waits = p.waiting.for_what == waiting::what::message && !p.suspended;
  auto const factor = waits ? options_.limits.mailbox_wait_factor : 1;
  return p.mailbox_bytes > options_.limits.mailbox_bytes_max * factor ||
         p.mailbox.size() > options_.limits.mailbox_messages_max * factor;
}

void core::deliver(process& p, etf::term message, connection_id via) {
  if (p.dying) return;
  if (p.waiting.for_what == waiting::what::message && !p.waiting.message->has_value() &&
      (!*p.waiting.pattern || (*p.waiting.pattern)(message))) {
    *p.waiting.message = std::move(message);
    return schedule(p);
  }
  p.mailbox_bytes += message.size();
  p.mailbox.push_back(std::move(message));
  if (via == 0 || !mailbox_full(p)) return;
  auto* const c = find_connection(via);
  if (c == nullptr || !c->wire || std::find(p.held.begin(), p.held.end(), via) != p.held.end()) return;
  p.held.push_back(via);
  ++c->holds;
  c->wire->pause();
}

// Half empty again, waiting for what is not in it, or gone: the connections that filled it are read on.
void core::release_mailbox(process& p) {
  bool const half_empty = p.mailbox_bytes <= options_.limits.mailbox_bytes_max / 2 &&
                          p.mailbox.size() <= options_.limits.mailbox_messages_max / 2;
  bool const waits = p.waiting.for_what == waiting::what::message && !p.suspended && !mailbox_full(p);
  if (p.held.empty() || (!half_empty && !waits)) return;
  for (auto const id : std::exchange(p.held, {})) {
    auto* const c = find_connection(id);
    if (c == nullptr || !c->wire || c->holds == 0 || --c->holds > 0) continue;
    c->wire->resume(now_);
    effects_.emplace_back(resume_reading{id});
  }
}

std::optional<etf::term> core::take_message(process& p, self::pattern const& wanted) {
  auto const found =
      wanted ? std::find_if(p.mailbox.begin(), p.mailbox.end(), [&](auto const& m) { return wanted(m); })
             : p.mailbox.begin();
  if (found == p.mailbox.end()) return std::nullopt;
  auto message = std::move(*found);
  if (found == p.mailbox.begin())
    p.mailbox.pop_front();
  else
    p.mailbox.erase(found);
  p.mailbox_bytes -= message.size();
  release_mailbox(p);
  return message;
}

void core::set_deadline(process& p, std::optional<base::time_point> when) {
  if (p.deadline) deadlines_.erase({*p.deadline, p.id});
  p.deadline = when;
  if (when) deadlines_.emplace(*when, p.id);
}

void core::wake(base::time_point now) {
  now_ = now;
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    auto* const p = find_process(deadlines_.begin()->second);
    base::check(p != nullptr, "a deadline belongs to a process");
    set_deadline(*p, std::nullopt);
    schedule(*p);
  }
  wake_connections();
  run_ready();
}

std::optional<base::time_point> core::next_deadline() const {
  if (!ready_.empty()) return now_;
  if (deadlines_.empty()) return connections_deadline_;
  return base::earliest(deadlines_.begin()->first, connections_deadline_);
}

// Links and monitors that our processes set.

etf::reference core::new_reference() {
  auto const n = ++last_reference_;
  return {.node = name_,
          .creation = creation_,
          .count = 3,
          .words = {static_cast<std::uint32_t>(n & ((1U << reference_first_word_bits) - 1)),
                    static_cast<std::uint32_t>(n >> reference_first_word_bits),
                    static_cast<std::uint32_t>(n >> (reference_first_word_bits + 32U))}};
}

void core::fire_down(process& to, etf::reference const& ref, destination const& target, etf::view reason) {
  to.aliases.erase(ref);
  aliases_.erase(ref);
  if (target.pid)
    return deliver(to, etf::make(etf::tup(etf::am("DOWN"), ref, etf::am("process"), *target.pid, reason)));
  deliver(to, etf::make(etf::tup(etf::am("DOWN"), ref, etf::am("process"), etf::tup(target.name, target.node),
                                 reason)));
}

void core::monitor(process& p, destination const& other, etf::reference const& ref) {
  destination target = other;
  if (!target.pid && target.node.empty()) target.node = name_;
  auto const node = target.where();
  p.monitors.emplace(ref, watched{.target = target});
  auto const fail = [&](std::string_view why) {
    p.monitors.erase(ref);
    fire_down(p, ref, target, atom_term(why));
  };
  if (node == name_) {
    auto* const q = target.pid ? find_process(*target.pid) : find_registered(target.name.text());
    if (q == nullptr) return fail("noproc");
    p.monitors.at(ref).local = q->id;
    q->watchers.emplace(watch_key{ref, name_},
                        watcher{.by = p.pid, .name = target.pid ? etf::atom() : target.name});
    return;
  }
  auto const object = wire_object(target);
  auto const status = signal_to(node.text(), p.id, true, [&](etf::builder& b, peer const&) {
    dist::write::monitor_p(b, p.pid, object, ref);
  });
  if (status == send_status::dropped && find_peer(node.text()) == nullptr) fail("noconnection");
}

void core::demonitor(process& p, etf::reference const& ref) {
  p.aliases.erase(ref);
  aliases_.erase(ref);
  auto const found = p.monitors.find(ref);
  if (found == p.monitors.end()) return;
  auto const [target, local] = found->second;
  p.monitors.erase(found);
  auto const& node = target.where();
  if (node != name_) return send_demonitor(p, ref, target, node);
  if (auto* const q = find_process(local)) drop_watcher(*q, {ref, name_});
}

void core::link(process& p, etf::pid const& other) {
  if (other == p.pid) return;
  if (other.node == name_) {
    auto* const q = find_process(other);
    if (q == nullptr) return kill_or_deliver_exit(p, other, atom_term("noproc"), true);
    p.links.try_emplace(other);
    q->links.try_emplace(p.pid);
    return;
  }
  auto const [entry, fresh] = p.links.try_emplace(other);
  if (!fresh && entry->second.active) return;
  entry->second = {};
  auto const status = signal_to(other.node.text(), p.id, true,
                                [&](etf::builder& b, peer const&) { dist::write::link(b, p.pid, other); });
  auto* const to = find_peer(other.node.text());
  if (to != nullptr && fresh) ++to->links;
  if (status == send_status::dropped && to == nullptr) {
    p.links.erase(other);
    kill_or_deliver_exit(p, other, atom_term("noconnection"), true);
  }
}

void core::unlink(process& p, etf::pid const& other) {
  auto const found = p.links.find(other);
  if (found == p.links.end() || !found->second.active) return;
  if (other.node == name_) {
    p.links.erase(found);
    if (auto* const q = find_process(other)) q->links.erase(p.pid);
    return;
  }
  auto* const to = find_peer(other.node.text());
  if (to == nullptr || to->knows_as_gone(other)) {
    p.links.erase(found);
    if (to != nullptr && to->links > 0) --to->links;
    return;
  }
  bool const old = to->where == peer::state::up && (to->flags & dist::flag::unlink_id) == 0;
  auto const id = ++last_unlink_;
  if (old)
    p.links.erase(found);
  else
    found->second = {.active = false, .unlink_id = id};
  signal_to(other.node.text(), p.id, false, [&](etf::builder& b, peer const&) {
    if (old)
      dist::write::unlink(b, p.pid, other);
    else
      dist::write::unlink_id(b, id, p.pid, other);
  });
}

void core::node_event(std::string_view what, etf::atom const& node) {
  std::vector<local_id> subscribed;
  for (auto const& [id, p] : processes_)
    if (p->node_monitor) subscribed.push_back(id);
  std::sort(subscribed.begin(), subscribed.end());
  for (auto const id : subscribed)
    if (auto* const p = find_process(id)) deliver(*p, etf::make(etf::tup(etf::am(what), node)));
}

void core::send(destination const& to, etf::term const& message) {
  if (to.pid ? to.pid->node == name_ : to.node.empty() || to.node == name_) {
    auto* const p = to.pid ? find_process(*to.pid) : find_registered(to.name.text());
    if (p != nullptr) deliver(*p, message);
  }
  run_ready();
}

} // namespace remora::node
