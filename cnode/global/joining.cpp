#include "global/joining.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::global {

using etf::am;
using etf::lst;
using etf::make;
using etf::tup;

namespace {

constexpr std::uint64_t quiet_min_ms = 100;
constexpr std::uint64_t quiet_span_ms = 201; // 100..300

std::optional<etf::atom> as_node(etf::view v) {
  if (!v.is_atom()) return std::nullopt;
  return etf::atom(*v.atom_text());
}

struct name_triple {
  etf::view name;
  etf::pid pid;
  etf::view method;
};
std::optional<name_triple> as_triple(etf::view v) {
  auto const t = v.tuple<3>();
  if (!t) return std::nullopt;
  auto pid = (*t)[1].as_pid();
  if (!pid) return std::nullopt;
  return name_triple{(*t)[0], std::move(*pid), (*t)[2]};
}

bool is_list(etf::view v) { return v.list().has_value(); }

void put(etf::builder& b, operation const& o) {
  b.tuple(2).atom(o.insert ? "insert" : "delete").copy(*o.what);
}
void put_all(etf::builder& b, std::vector<operation> const& ops) {
  b.list(ops.size());
  for (auto const& o : ops) put(b, o);
  b.nil();
}

etf::term triple(entry const& e) { return make(tup(e.name, e.pid, e.method)); }

} // namespace

joining::joining(state& s, locker& l, partitions& p) : s_(s), locker_(l), partitions_(p) {}

// ---- opening a session, and losing it

void joining::node_up(etf::atom const& node, std::uint32_t creation) {
  s_.up[node] = creation;
  if (introducing_.erase(node) > 0 && s_.known.contains(node))
    s_.cast(role::name_server, node, *make(tup(am("in_sync"), s_.us, true)));
  if (s_.known.contains(node) || sessions_.contains(node)) return;
  open(node);
}

void joining::open(etf::atom const& node) {
  if (sessions_.size() >= s_.opts.limit.nodes_max)
    return s_.complain("no room for one more session", *make(node));
  auto& s = sessions_[node];
  s = session{};
  s.my_tag = s_.next_id();
  // Known is ignored by its receiver (7.6).
  auto const init = make(tup(am("locker"), am("no_longer_a_pid"), std::vector<int>{}, s_.pid(role::locker)));
  s_.cast(role::name_server, node,
          *make(tup(am("init_connect"), tup(protocol_version, s.my_tag), s_.us, init)));
  auto const found = early_.find(node);
  if (found == early_.end()) return;
  auto const message = std::move(found->second);
  early_.erase(found);
  accept(node, *message);
}

void joining::init_connect(etf::view message) {
  auto const m = message.tuple<4>();
  auto const node = m ? as_node((*m)[2]) : std::nullopt;
  auto const version = m ? (*m)[1].arity() : std::nullopt;
  auto const init = m ? (*m)[3].tuple<4>() : std::nullopt;
  if (!node || !version || *version < 2 || !init || !(*init)[3].as_pid() || !(*m)[1].element(0)->integer() ||
      (*init)[3].node_text() != node->text())
    return s_.complain("an init_connect of another shape", message);
  // Not of a hidden connection: nothing would ever clear it (trap 4).
  if (!s_.up.contains(*node)) return;
  auto const found = sessions_.find(*node);
  if (s_.known.contains(*node)) begun_.insert(*node);
  if (found == sessions_.end() || found->second.quiet_until) {
    if (early_.size() < s_.opts.limit.nodes_max || early_.contains(*node))
      early_.insert_or_assign(*node, etf::term(message));
    return;
  }
  if (s_.pending.contains(*node)) { // a second attempt: out of step
    send_cancel(*node, *(*m)[1].element(1));
    early_.insert_or_assign(*node, etf::term(message));
    return restart(*node);
  }
  accept(*node, message);
}

void joining::accept(etf::atom const& node, etf::view message) {
  auto const m = *message.tuple<4>();
  auto& s = sessions_.at(node);
  auto const version = static_cast<int>(std::clamp<std::int64_t>(*m[1].element(0)->integer(), 0, 1000));
  s.his_tag = etf::term(*m[1].element(1));
  s.his_locker = *m[3].element(3)->as_pid();
  s.version = std::min(version, protocol_version);
  s_.pending[node] = version;
  locker_.add({node, s.his_locker, s.my_tag, s.his_tag, s.version});
  if (version >= verify_connect_version)
    s_.send_plain(node, make(tup(am("init_connect_ack"), s_.us, s.his_tag, s.my_tag)));
}

void joining::init_connect_ack(etf::view message) {
  auto const m = message.tuple<4>();
  auto const node = m ? as_node((*m)[1]) : std::nullopt;
  if (!node) return s_.complain("an init_connect_ack of another shape", message);
  auto const found = sessions_.find(*node);
  if (found == sessions_.end() || found->second.quiet_until) return;
  auto const& s = found->second;
  if ((*m)[2].unsigned_integer() == s.my_tag && !s.his_tag.empty() && *s.his_tag == (*m)[3]) return;
  // No session in common: his next attempt will find ours.
  send_cancel(*node, (*m)[3]);
  restart(*node);
}

void joining::cancel_connect(etf::view message) {
  auto const m = message.tuple<3>();
  auto const node = m ? as_node((*m)[1]) : std::nullopt;
  if (!node) return s_.complain("a cancel_connect of another shape", message);
  auto const found = sessions_.find(*node);
  if (found == sessions_.end() || found->second.quiet_until) return;
  if ((*m)[2].unsigned_integer() == found->second.my_tag) restart(*node);
}

void joining::send_cancel(etf::atom const& node, etf::view tag) {
  s_.send_plain(node, make(tup(am("cancel_connect"), s_.us, tag)));
}

// Drops it here and at the locker; tells him when he counts on it.
void joining::drop(etf::atom const& node, bool tell_him, announcement const* last_words) {
  auto const found = sessions_.find(node);
  bool const was_pending = s_.pending.erase(node) > 0;
  if (found == sessions_.end()) return;
  auto const my_tag = found->second.my_tag;
  auto const his_tag = found->second.his_tag;
  auto const version = found->second.version;
  sessions_.erase(found);
  locker_.cancel(node, my_tag, last_words);
  if (tell_him && was_pending && version >= verify_connect_version && !his_tag.empty())
    send_cancel(node, *his_tag);
}

// Both sides restarting at once chase each other for ever: each late ack cancels the newer attempt (7.8).
void joining::restart(etf::atom const& node) {
  drop(node, false);
  auto& s = sessions_[node];
  s = session{};
  s.my_tag = s_.next_id();
  s.quiet_until = s_.now + std::chrono::milliseconds(quiet_min_ms + s_.random.below(quiet_span_ms));
}

void joining::forget(etf::atom const& node) {
  drop(node, false);
  early_.erase(node);
  begun_.erase(node);
  s_.known.erase(node);
  s_.synced.erase(node);
}

void joining::open_anew(etf::atom const& node) {
  if (!s_.up.contains(node)) return;
  open(node);
  if (auto const found = sessions_.find(node); found != sessions_.end()) found->second.anew = true;
}

bool joining::begun_anew(etf::atom const& node) const {
  auto const found = sessions_.find(node);
  return found != sessions_.end() && found->second.anew && found->second.his_tag.empty();
}

// Who knows us begins no session with a connection. That he has met us since does not follow from his
// in_sync: he says it when an introduction has connected us, and may have been told to drop us meanwhile.
bool joining::doubts(etf::atom const& node) const {
  if (!s_.up.contains(node)) return false;
  if (s_.known.contains(node)) return begun_.contains(node);
  auto const found = sessions_.find(node);
  return found == sessions_.end() || (found->second.his_tag.empty() && !found->second.quiet_until);
}

std::vector<etf::atom> joining::doubted() const {
  std::vector<etf::atom> out;
  for (auto const& [node, creation] : s_.up)
    if (doubts(node)) out.push_back(node);
  return out;
}

void joining::wake() {
  std::vector<etf::atom> due;
  for (auto const& [node, s] : sessions_)
    if (s.quiet_until && *s.quiet_until <= s_.now) due.push_back(node);
  for (auto const& node : due) {
    sessions_.erase(node);
    if (s_.up.contains(node) && !s_.known.contains(node)) open(node);
  }
  std::vector<std::uint64_t> late;
  for (auto const& [id, c] : clashes_)
    if (c.callback && c.deadline <= s_.now) late.push_back(id);
  for (auto const id : late) callback_answer({id, std::nullopt});
}

std::optional<base::time_point> joining::next_deadline() const {
  std::optional<base::time_point> next;
  for (auto const& [node, s] : sessions_) next = base::earliest(next, s.quiet_until);
  for (auto const& [id, c] : clashes_)
    if (c.callback) next = base::earliest(next, c.deadline);
  return next;
}

// ---- messages of a session

joining::session* joining::with_tag(etf::view node, etf::view tag) {
  auto const name = as_node(node);
  if (!name) return nullptr;
  auto const found = sessions_.find(*name);
  bool const right = found != sessions_.end() && !found->second.quiet_until &&
                     tag.unsigned_integer() == found->second.my_tag;
  if (right) return &found->second;
  if (auto const stale = tag.unsigned_integer()) locker_.cancel(*name, *stale);
  return nullptr;
}

void joining::cast(etf::view message) {
  auto const arity = message.arity();
  auto const tag = arity && *arity > 0 ? message.element(0)->atom_text() : std::nullopt;
  if (!tag) return s_.complain("a cast of another shape", message);
  if (*tag == "init_connect" && *arity == 4) return init_connect(message);
  if (*tag == "lock_set" && (*arity == 5 || *arity == 4)) return on_lock_set(message, *arity == 5);
  if (*tag == "exchange" && *arity == 5) return on_exchange(message);
  if (*tag == "resolved" && *arity == 7) return on_resolved(message);
  if (*tag == "new_nodes" && *arity == 6) return on_new_nodes(message);
  if (*tag == "in_sync" && *arity == 3) return on_in_sync(message);
  if (*tag == "async_del_name" || *tag == "async_del_lock") return; // obsolete
  s_.complain("an unexpected cast", message);
}

void joining::on_lock_set(etf::view message, bool tagged) {
  auto const pid = message.element(1)->as_pid();
  auto const set = message.element(2)->boolean();
  if (!pid || !set) return s_.complain("a lock_set of another shape", message);
  auto const found = sessions_.find(pid->node);
  if (found == sessions_.end() || found->second.quiet_until) return;
  if (tagged && message.element(4)->unsigned_integer() != found->second.my_tag) return;
  locker_.lock_set(*pid, *set, found->second.my_tag);
}

void joining::locked(etf::atom const& node, std::uint64_t my_tag, lock_id const& id) {
  auto const found = sessions_.find(node);
  if (found == sessions_.end() || found->second.my_tag != my_tag) return locker_.cancel(node, my_tag);
  auto& s = found->second;
  s.lock = id;
  etf::builder b;
  b.tuple(2).atom("$gen_cast").tuple(5).atom("exchange").atom(s_.us);
  b.list(s_.names.size());
  for (auto const& [name, e] : s_.names) b.tuple(3).copy(*e.name).pid(e.pid).copy(*e.method);
  b.nil();
  b.nil();
  b.copy(*s.his_tag);
  s_.emit(send{role::name_server, etf::destination(server_name, node.text()), b.take(), true});
  if (s.exchange) start_resolving(node, s);
}

void joining::on_exchange(etf::view message) {
  auto const m = *message.tuple<5>();
  if (!is_list(m[2])) return s_.complain("an exchange of another shape", message);
  auto* const s = with_tag(m[1], m[4]);
  if (s == nullptr || s->exchanged || s->exchange) return;
  if (m[2].list()->left() > s_.opts.limit.names_max)
    return s_.complain("an exchange of too many names", m[1]);
  s->exchange = etf::term(m[2]);
  if (s->lock) start_resolving(*as_node(m[1]), *s);
}

// global.erl, exchange_names/4.
void joining::start_resolving(etf::atom const& node, session& s) {
  s.exchanged = true;
  auto const names = std::move(*s.exchange);
  s.exchange.reset();
  s.undecided = 1; // until all have been met
  auto list = *names->list();
  while (auto const item = list.next()) {
    if (!as_triple(*item)) {
      s_.complain("a name of another shape in an exchange", *item);
      continue;
    }
    meet(node, s, names.part(*item));
  }
  if (--s.undecided == 0) send_resolved(node, s);
}

void joining::meet(etf::atom const& node, session& s, etf::term const& theirs) {
  auto const t = *as_triple(*theirs);
  auto const* const ours = s_.names.find(t.name);
  if (ours == nullptr) {
    s.ops.push_back({true, theirs});
    return;
  }
  if (ours->pid == t.pid || s_.us > node) return; // the same, or he decides
  clash c{.node = node, .my_tag = s.my_tag, .theirs = theirs, .ours = *ours};
  auto const how = ours->own ? std::optional(ours->own->how) : kind_of(*ours->method);
  ++s.undecided;
  // Where more than the method is needed (the nodes, the callback), the node of the pid has it: ask there.
  bool const elsewhere = ours->pid.node != s_.us && !ours->own &&
                         (!how || *how == policy::kind::node_priority || *how == policy::kind::callback);
  if (elsewhere || (!how && node != s_.us)) {
    auto const id = s_.next_id();
    auto const where = ours->pid.node != s_.us ? ours->pid.node : node;
    s_.emit(resolve_there{id, where, make(lst(ours->method, t.name, t.pid, ours->pid))});
    clashes_.emplace(id, std::move(c));
    return;
  }
  if (*how == policy::kind::callback && ours->own) {
    auto const id = s_.next_id();
    s_.emit(ask_callback{id, ours->own->callback, etf::term(t.name), t.pid, ours->pid});
    c.callback = true;
    c.deadline = s_.now + s_.opts.callback_time;
    clashes_.emplace(id, std::move(c));
    return;
  }
  settle(c, decide(ours->own ? *ours->own : policy{.how = *how}, t.name, t.pid, ours->pid));
}

void joining::carry_out(verdict const& v) {
  for (auto const& p : v.killed) s_.emit(kill{p});
  for (auto const& t : v.told) s_.emit(send{role::name_server, t.whom, t.what, true});
}

void joining::settle(clash const& c, verdict const& v) {
  carry_out(v);
  if (c.resolution != 0)
    return s_.emit(resolution{c.resolution, v.keeps ? make(*v.keeps) : make(am("none"))});
  decided(c, v.keeps ? make(*v.keeps) : make(am("none")));
}

void joining::decided(clash const& c, std::optional<etf::term> answer) {
  auto const found = sessions_.find(c.node);
  if (found == sessions_.end() || found->second.my_tag != c.my_tag) return;
  auto& s = found->second;
  auto const t = *as_triple(*c.theirs);
  if (!answer || (*answer)->as_pid() == t.pid) {
    s.ops.push_back({true, c.theirs});
  } else if ((*answer)->as_pid() == c.ours.pid) {
    s.resolved.push_back({true, triple(c.ours)});
  } else {
    s.ops.push_back({false, etf::term(t.name)});
    s.resolved.push_back({false, etf::term(t.name)});
  }
  if (--s.undecided == 0) send_resolved(c.node, s);
}

void joining::resolved_there(global::resolved_there const& r) {
  auto const found = clashes_.find(r.id);
  if (found == clashes_.end()) return;
  auto const c = std::move(found->second);
  clashes_.erase(found);
  decided(c, r.answer);
}

void joining::callback_answer(global::callback_answer const& a) {
  auto const found = clashes_.find(a.id);
  if (found == clashes_.end()) return; // too late: decided already
  auto const c = std::move(found->second);
  clashes_.erase(found);
  auto const t = *as_triple(*c.theirs);
  if (a.keeps && *a.keeps == t.pid) return settle(c, kept(t.name, t.pid, c.ours.pid));
  if (a.keeps && *a.keeps == c.ours.pid) return settle(c, kept(t.name, c.ours.pid, t.pid));
  settle(c, decide({.how = policy::kind::lowest_pid}, t.name, t.pid, c.ours.pid));
}

// Another node decides, by the method of a process of ours (global:resolve_it/4).
void joining::resolve(resolve_request const& r) {
  auto const* const mine = s_.names.find(*r.name);
  auto const own = mine != nullptr && mine->pid == r.ours ? mine->own : nullptr;
  auto const how = own ? std::optional(own->how) : kind_of(*r.method);
  clash c{.node = {},
          .theirs = make(tup(r.name, r.theirs, r.method)),
          .ours = {.name = r.name, .pid = r.ours, .method = r.method},
          .resolution = r.id};
  if (how == policy::kind::callback && own) {
    auto const id = s_.next_id();
    s_.emit(ask_callback{id, own->callback, r.name, r.theirs, r.ours});
    c.callback = true;
    c.deadline = s_.now + s_.opts.callback_time;
    clashes_.emplace(id, std::move(c));
    return;
  }
  // A fun that only its own node can run: as OTP's default.
  settle(c, decide(own ? *own : policy{.how = how.value_or(policy::kind::random_exit)}, *r.name, r.theirs,
                   r.ours));
}

// ---- the end of a session

etf::term joining::names_ext() const {
  std::vector<etf::term> out;
  for (auto const& [name, e] : s_.names)
    if (!e.registrar_node.empty()) out.push_back(make(tup(e.name, e.pid, e.registrar_node)));
  return make(out);
}

void joining::send_resolved(etf::atom const& node, session& s) {
  etf::builder b;
  b.tuple(2).atom("$gen_cast").tuple(7).atom("resolved").atom(s_.us);
  put_all(b, s.resolved);
  b.list(s_.known.size());
  for (auto const& [n, version] : s_.known) {
    if (s.version >= pop_version)
      b.tuple(2).atom(n).integer(version);
    else
      b.atom(n);
  }
  b.nil();
  b.atom("unused").copy(*names_ext()).copy(*s.his_tag);
  s_.emit(send{role::name_server, etf::destination(server_name, node.text()), b.take(), true});
  s.ready = true;
  if (s.his) finish(node);
}

void joining::on_resolved(etf::view message) {
  auto const m = *message.tuple<7>();
  if (!is_list(m[2]) || !is_list(m[3]) || !is_list(m[5]))
    return s_.complain("a resolved message of another shape", message);
  auto* const s = with_tag(m[1], m[6]);
  if (s == nullptr || s->his) return;
  s->his = news{etf::term(m[2]), etf::term(m[3]), etf::term(m[5])};
  if (s->ready) finish(*as_node(m[1]));
}

std::vector<operation> joining::operations(etf::term const& terms) const {
  std::vector<operation> out;
  auto list = terms->list();
  if (!list) return out;
  while (auto const item = list->next()) {
    if (out.size() >= s_.opts.limit.names_max) break;
    auto const pair = item->tuple<2>();
    if (!pair) continue;
    bool const insert = (*pair)[0].is_atom("insert") && as_triple((*pair)[1]);
    if (insert || (*pair)[0].is_atom("delete")) out.push_back({insert, terms.part((*pair)[1])});
  }
  return out;
}

std::vector<std::pair<etf::atom, int>> joining::nodes_of(etf::view terms) const {
  std::vector<std::pair<etf::atom, int>> out;
  auto list = terms.list();
  if (!list) return out;
  while (auto const item = list->next()) {
    if (out.size() >= s_.opts.limit.nodes_max) break;
    auto const pair = item->tuple<2>();
    auto const node = as_node(pair ? (*pair)[0] : *item);
    if (!node || !node->names_a_node()) continue;
    auto const version = pair ? (*pair)[1].integer().value_or(0) : s_.version_of(*node);
    out.emplace_back(*node, static_cast<int>(std::clamp<std::int64_t>(version, 0, 1000)));
  }
  return out;
}

void joining::apply(std::vector<operation> const& ops, etf::view names_ext, etf::view requester) {
  std::map<std::string_view, std::pair<etf::view, etf::atom>> ext; // name -> pid, node
  if (auto list = names_ext.list())
    while (auto const item = list->next())
      if (auto const t = item->tuple<3>(); t && (*t)[2].is_atom())
        ext[base::as_text((*t)[0].bytes())] = {(*t)[1], etf::atom(*(*t)[2].atom_text())};
  for (auto const& o : ops) {
    if (!o.insert) continue;
    auto t = *as_triple(*o.what);
    entry e{.name = etf::term(t.name), .pid = std::move(t.pid), .method = etf::term(t.method)};
    if (auto const x = ext.find(base::as_text(t.name.bytes())); x != ext.end())
      if (x->second.first.as_pid() == e.pid) e.registrar_node = x->second.second;
    s_.insert(std::move(e), {.requester = requester});
  }
  for (auto const& o : ops)
    if (!o.insert) s_.erase(*o.what);
}

void joining::finish(etf::atom const& node) {
  auto& s = sessions_.at(node);
  auto const his = std::move(*s.his);
  auto const lock = *s.lock;
  auto const version = s.version;
  auto ops = std::move(s.ops);
  for (auto& o : operations(his.resolved)) ops.push_back(std::move(o));
  auto const his_known = nodes_of(*his.known);
  auto added = his_known;
  added.insert(added.begin(), {node, s_.version_of(node)});

  for (auto const& [n, v] : his_known)
    if (n != s_.us) introduce(n);
  apply(ops, *his.names_ext, *lock.requester);
  for (auto const& [n, v] : his_known)
    if (n != node) drop(n, false);

  announcement last_words;
  for (auto const& [n, v] : s_.known) last_words.to.push_back(n);
  if (!last_words.to.empty()) {
    etf::builder b;
    b.tuple(6).atom("new_nodes").atom(s_.us);
    put_all(b, ops);
    b.copy(*his.names_ext);
    b.list(added.size());
    for (auto const& [n, v] : added) b.tuple(2).atom(n).integer(v);
    b.nil();
    b.list(2).tuple(2).atom("vsn").integer(version).tuple(2).atom("lock").copy(*lock.whole()).nil();
    last_words.message = b.take();
  }
  s_.unsettled = true;
  // Known grows before the locker goes on: what it does next counts the new ones in.
  s_.pending.erase(node);
  add_known(added);
  s_.synced.insert(node);
  drop(node, false, &last_words);
}

std::vector<etf::atom> joining::add_known(std::vector<std::pair<etf::atom, int>> const& nodes) {
  std::vector<etf::atom> added;
  for (auto const& [node, version] : nodes) {
    if (node == s_.us || s_.known.size() >= s_.opts.limit.nodes_max) continue;
    if (s_.known.emplace(node, version).second) added.push_back(node);
  }
  return added;
}

void joining::on_new_nodes(etf::view message) {
  auto const m = *message.tuple<6>();
  auto extra = m[5].list();
  if (!is_list(m[2]) || !is_list(m[3]) || !is_list(m[4]) || !extra)
    return s_.complain("a new_nodes message of another shape", message);
  etf::term const whole(message);
  etf::view requester;
  while (auto const item = extra->next())
    if (auto const pair = item->tuple<2>(); pair && (*pair)[0].is_atom("lock"))
      if (auto const id = (*pair)[1].tuple<2>()) requester = (*id)[1];
  s_.unsettled = true;
  for (auto const& node : add_known(nodes_of(m[4]))) introduce(node);
  apply(operations(etf::term(m[2])), m[3], requester);
}

// sync_other/2: a node of the other partition that we must reach, or the cluster drops it.
void joining::introduce(etf::atom const& node) {
  if (s_.up.contains(node)) return s_.cast(role::name_server, node, *make(tup(am("in_sync"), s_.us, true)));
  if (introducing_.insert(node).second) s_.emit(connect{node});
}

void joining::connected(etf::atom const& node, bool up) {
  if (introducing_.erase(node) == 0) return;
  // Forgotten meanwhile, because a third node lost it: it joins anew, and in_sync would end its session, not
  // ours.
  if (!s_.known.contains(node)) return;
  if (up) return s_.cast(role::name_server, node, *make(tup(am("in_sync"), s_.us, true)));
  s_.log(notice::level::warning, fmt::format("global: failed to connect to {}", node.text()));
  partitions_.lost(node);
}

void joining::on_in_sync(etf::view message) {
  auto const node = as_node(*message.element(1));
  if (!node) return s_.complain("an in_sync of another shape", message);
  if (!s_.up.contains(*node)) return;
  s_.unsettled = true;
  s_.synced.insert(*node);
  s_.pending.erase(*node);
  early_.erase(*node);
  drop(*node, false);
}

} // namespace remora::global
