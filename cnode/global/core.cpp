#include "global/core.hpp"

#include <utility>

namespace remora::global {

using etf::am;
using etf::make;
using etf::tup;

core::core(std::array<etf::pid, roles> pids, std::uint32_t creation, options opts, std::uint64_t seed)
    : state_(std::move(pids), creation, opts, seed), locker_(state_), registrar_(state_), partitions_(state_),
      joining_(state_, locker_, partitions_), comparing_(state_), mutual_(state_, joining_, partitions_) {
  locker_.on_locked = [this](etf::atom const& node, std::uint64_t tag, lock_id const& id) {
    joining_.locked(node, tag, id);
  };
  partitions_.forget = [this](etf::atom const& node) {
    joining_.forget(node);
    registrar_.forget(node);
  };
  comparing_.busy = [this] { return !registrar_.idle(); };
  comparing_.anew = [this](etf::atom const& node, bool ours) {
    if (!ours && joining_.begun_anew(node)) return; // both began
    joining_.forget(node);
    registrar_.forget(node);
    joining_.open_anew(node);
  };
}

void core::handle(event const& e, base::time_point now, effects& out) {
  state_.now = now;
  state_.out = &out;
  std::visit([this](auto const& what) { on(what); }, e);
  if (std::exchange(state_.unsettled, false)) {
    comparing_.unsettled();
    mutual_.unsettled();
  }
  state_.out = nullptr;
}

std::optional<base::time_point> core::next_deadline() const {
  auto const next = base::earliest(base::earliest(locker_.next_deadline(), registrar_.next_deadline()),
                                   base::earliest(joining_.next_deadline(), partitions_.next_deadline()));
  return base::earliest(next, base::earliest(comparing_.next_deadline(), mutual_.next_deadline()));
}

void core::on(tick const&) {
  locker_.wake();
  registrar_.wake();
  joining_.wake();
  partitions_.wake();
  comparing_.wake();
  mutual_.wake();
}

void core::on(node_up const& e) {
  state_.unsettled = true; // it may know us already, or we it
  joining_.node_up(e.node, e.creation);
}

void core::on(part const& e) { partitions_.part(e.node); }

void core::on(node_down const& e) {
  state_.up.erase(e.node);
  state_.unsettled = true;
  comparing_.lost(e.node);
  partitions_.lost(e.node);
  mutual_.lost(e.node);
  // The words of three processes come in any order: calls to that node end with the first of them.
  locker_.gone(e.node, false);
}

void core::on(connect_result const& e) {
  joining_.connected(e.node, e.up);
  mutual_.connected(e.node, e.up);
}

void core::on(watched_ended const& e) {
  if (e.as == role::name_server && e.whom.pid) return state_.ended(*e.whom.pid);
  if (e.as == role::locker) return locker_.gone(e.whom.node, true);
  if (e.as == role::registrar) return registrar_.gone(e.whom.node, true);
}

void core::on(request const& e) { registrar_.submit(e); }
void core::on(resolve_request const& e) { joining_.resolve(e); }
void core::on(resolved_there const& e) { joining_.resolved_there(e); }
void core::on(callback_answer const& e) { joining_.callback_answer(e); }

void core::on(message const& e) {
  switch (e.at) {
  case role::name_server: return at_name_server(*e.what);
  case role::locker: return locker_.heard(*e.what);
  case role::registrar:
    if (!comparing_.heard(*e.what) && !mutual_.heard(*e.what)) registrar_.heard(*e.what);
    return;
  }
}

void core::at_name_server(etf::view m) {
  auto const arity = m.arity();
  auto const tag = arity && *arity > 0 ? m.element(0)->atom_text() : std::nullopt;
  if (!tag) return state_.complain("an unexpected message", m);
  if (*tag == "$gen_call" && *arity == 3) return call(*m.element(1), *m.element(2));
  if (*tag == "$gen_cast" && *arity == 2) return joining_.cast(*m.element(1));
  if (*tag == "init_connect_ack") return joining_.init_connect_ack(m);
  if (*tag == "cancel_connect") return joining_.cancel_connect(m);
  if (*tag == "lost_connection") return partitions_.on_lost_connection(m);
  if (*tag == "remove_connection" && *arity == 2 && m.element(1)->is_atom())
    return partitions_.on_remove_connection(etf::atom(*m.element(1)->atom_text()));
  if (*tag == "whereis" && *arity == 3) { // obsolete: {whereis, Name, From}
    auto const* const e = find(*m.element(1));
    state_.emit(reply{etf::term(*m.element(2)), e != nullptr ? make(e->pid) : make(am("undefined"))});
    return;
  }
  state_.complain("an unexpected message", m);
}

void core::call(etf::view from, etf::view request) {
  auto const pair = from.tuple<2>();
  auto const caller = pair ? (*pair)[0].as_pid() : std::nullopt;
  if (!caller) return state_.complain("a call of another shape", from);
  if (auto said = answer(*caller, request)) return state_.emit(reply{etf::term(from), std::move(*said)});
  state_.complain("an unexpected call", request);
}

std::optional<etf::term> core::register_call(etf::pid const& caller, etf::view request) {
  auto const arity = *request.arity();
  auto const pid = request.element(2)->as_pid();
  if (!pid) return std::nullopt;
  entry e{.name = etf::term(*request.element(1)), .pid = *pid, .method = etf::term(*request.element(3))};
  if (arity == 5) {
    if (!request.element(4)->is_atom()) return std::nullopt;
    e.registrar_node = etf::atom(*request.element(4)->atom_text());
  }
  state_.insert(std::move(e), {.caller = &caller});
  return make(am("yes"));
}

std::optional<etf::term> core::answer(etf::pid const& caller, etf::view request) {
  auto const nodes = [](auto const& all, auto const& name) {
    etf::builder b;
    b.list(all.size());
    for (auto const& n : all) b.atom(name(n));
    b.nil();
    return b.take();
  };
  if (request.is_atom("get_known")) return nodes(state_.known, [](auto const& n) { return n.first; });
  if (request.is_atom("get_synced")) return nodes(state_.synced, [](auto const& n) { return n; });
  if (request.is_atom("get_protocol_version")) return make(protocol_version);
  if (request.is_atom("get_names_ext")) {
    std::vector<etf::term> out;
    for (auto const& [name, e] : state_.names)
      if (!e.registrar_node.empty()) out.push_back(make(tup(e.name, e.pid, e.registrar_node)));
    return make(out);
  }
  auto const arity = request.arity();
  auto const tag = arity && *arity > 0 ? request.element(0)->atom_text() : std::nullopt;
  if (!tag) return std::nullopt;
  if ((*tag == "set_lock" || *tag == "del_lock") && *arity == 2) {
    auto const id = request.element(1)->tuple<2>();
    if (!id) return std::nullopt;
    if (*tag == "set_lock") return make(state_.set_lock((*id)[0], (*id)[1], caller));
    state_.del_lock((*id)[0], (*id)[1], caller);
    return make(true);
  }
  if ((*tag == "register" && *arity == 4) || (*tag == "register_ext" && *arity == 5))
    return register_call(caller, request);
  if (*tag == "unregister" && *arity == 2) {
    state_.erase(*request.element(1));
    return make(am("ok"));
  }
  return std::nullopt;
}

} // namespace remora::global
