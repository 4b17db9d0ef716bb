#include "services/names.hpp"

#include "base/check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <string>
#include <utility>

namespace remora::services {

using etf::am;
using etf::make;
using etf::tup;
using global::role;

namespace {

constexpr auto resolve_timeout = std::chrono::seconds(60); // of a policy that another node evaluates

node::notice told(global::notice const& n) {
  return {.level = n.how == global::notice::level::warning ? "warning" : "info", .text = n.text};
}

} // namespace

// Who waits for an answer: a call to the door, or a native process that knows it by a reference.
struct names::shared : std::enable_shared_from_this<shared> {
  struct waiting {
    std::optional<ticket> caller;
    etf::pid process;
    etf::reference ref;
    bool unregisters = false; // answered ok, as global:unregister_name/1
  };
  struct watched {
    role as;
    etf::destination whom;
  };
  struct watcher {
    boost::unordered_flat_map<etf::reference, etf::destination> by_ref;
    std::vector<std::pair<etf::destination, etf::reference>> names; // few: members of a round
    boost::unordered_flat_map<etf::pid, etf::reference> pids;
  };

  shared(node::core& a_node, global::options some) : node(a_node), options(some) {}

  node::core& node;
  global::options options;
  std::array<std::optional<node::self>, global::roles> selves;
  std::array<watcher, global::roles> watchers;
  std::optional<global::core> core; // once all three run
  global::effects out;
  std::uint64_t last_id = 0;
  std::map<std::uint64_t, waiting> requests;
  std::map<std::uint64_t, waiting> resolutions;
  std::map<std::uint64_t, callback> callbacks;
  std::function<void(etf::view, etf::pid const*)> observer;

  node::self& self(role r) { return *selves[static_cast<std::size_t>(r)]; }
  watcher& watches(role r) { return watchers[static_cast<std::size_t>(r)]; }

  node::task<> run(node::self me, role as);
  void begin();
  void hear(role as, etf::term const& message);
  void up(etf::atom const& peer) { handle(global::node_up{peer, node.creation_of(peer.text())}); }
  void handle(global::event const& e);
  void carry_out();
  void tell(waiting const& who, etf::term const& answer);

  void perform(global::send const& e) { self(e.as).send(e.to, e.message, e.dial); }
  void perform(global::reply const& e) { self(role::name_server).reply(node::caller{e.from}, e.answer); }
  void perform(global::watch const& e);
  void perform(global::unwatch const& e);
  void perform(global::connect const& e);
  void perform(global::disconnect const& e) { node.disconnect(e.node.text(), "global"); }
  void perform(global::kill const& e) { self(role::name_server).exit_other(e.whom, make(am("kill"))); }
  void perform(global::resolve_there const& e);
  void perform(global::ask_callback const& e);
  void perform(global::resolution const& e);
  void perform(global::answer const& e);
  void perform(global::notice const& e) { node.tell(told(e)); }
};

// ---- the three processes

node::task<> names::shared::run(node::self me, role as) {
  selves[static_cast<std::size_t>(as)].emplace(me);
  // Whatever ends one of the three: without it the others must not go on (the node leaves then).
  struct guard {
    std::shared_ptr<shared> all;
    ~guard() { all->core.reset(); }
  };
  [[maybe_unused]] guard const ends{shared_from_this()};
  if (as == role::name_server) me.monitor_nodes(true);
  begin();
  while (true) {
    std::optional<base::time_point> until;
    if (as == role::name_server && core) until = core->next_deadline();
    auto const message = co_await me.receive_until(until);
    if (!message)
      handle(global::tick{});
    else
      hear(as, *message);
  }
}

// The last of the three to run starts the registry: from then on all that come are known.
void names::shared::begin() {
  for (auto const& s : selves)
    if (!s) return;
  std::array<etf::pid, global::roles> pids;
  for (std::size_t i = 0; i < global::roles; ++i) pids[i] = selves[i]->pid();
  core.emplace(pids, node.creation(), options, node.random().next());
  core->keep_changes();
  for (auto const& name : node.peers(true, false)) up(etf::atom(name));
}

void names::shared::hear(role as, etf::term const& message) {
  if (!core) return; // before any connection
  if (auto const pair = message->tuple<2>(); pair && as == role::name_server && (*pair)[1].is_atom()) {
    if ((*pair)[0].is_atom("nodeup")) return up(etf::atom(*(*pair)[1].atom_text()));
    if ((*pair)[0].is_atom("nodedown")) return handle(global::node_down{etf::atom(*(*pair)[1].atom_text())});
  }
  if (auto const down = message->tuple<5>(); down && (*down)[0].is_atom("DOWN"))
    if (auto const ref = (*down)[1].as_reference()) {
      auto& w = watches(as);
      auto const found = w.by_ref.find(*ref);
      if (found == w.by_ref.end()) return;
      auto const whom = found->second;
      w.by_ref.erase(found);
      if (whom.pid)
        w.pids.erase(*whom.pid);
      else
        std::erase_if(w.names, [&](auto const& n) { return n.second == *ref; });
      return handle(global::watched_ended{as, whom});
    }
  handle(global::message{as, message});
}

void names::shared::handle(global::event const& e) {
  if (!core) return;
  core->handle(e, node.now(), out);
  for (auto const& c : core->take_changes())
    if (observer) observer(c.name, c.pid ? &*c.pid : nullptr);
  carry_out();
  if (core) self(role::name_server).wait_until(core->next_deadline());
}

// Effects may end in events at once: what comes while others are carried out waits behind them.
void names::shared::carry_out() {
  for (auto& e : std::exchange(out, {}))
    if (core) std::visit([this](auto& what) { perform(what); }, e);
}

// ---- effects

void names::shared::perform(global::watch const& e) {
  auto& w = watches(e.as);
  auto const ref = self(e.as).monitor(e.whom);
  w.by_ref.emplace(ref, e.whom);
  if (e.whom.pid)
    w.pids.emplace(*e.whom.pid, ref);
  else
    w.names.emplace_back(e.whom, ref);
}

// What has fired already, and waits in the mailbox, is nobody's any more.
void names::shared::perform(global::unwatch const& e) {
  auto& w = watches(e.as);
  std::optional<etf::reference> ref;
  if (e.whom.pid) {
    if (auto const found = w.pids.find(*e.whom.pid); found != w.pids.end()) {
      ref = found->second;
      w.pids.erase(found);
    }
  } else {
    auto const found =
        std::find_if(w.names.begin(), w.names.end(), [&](auto const& n) { return n.first == e.whom; });
    if (found != w.names.end()) {
      ref = found->second;
      w.names.erase(found);
    }
  }
  if (!ref) return;
  w.by_ref.erase(*ref);
  self(e.as).demonitor(*ref, false);
}

void names::shared::perform(global::connect const& e) {
  self(role::name_server).spawn([all = shared_from_this(), peer = e.node](node::self me) -> node::task<> {
    bool const up = co_await me.connect(peer);
    all->handle(global::connect_result{peer, up});
  });
}

void names::shared::perform(global::resolve_there const& e) {
  self(role::name_server).spawn([all = shared_from_this(), e](node::self me) -> node::task<> {
    auto const r = co_await me.rpc(e.node, "global", "resolve_it", e.arguments, resolve_timeout);
    std::optional<etf::term> answer;
    if (r) answer = *r;
    all->handle(global::resolved_there{e.id, answer});
  });
}

void names::shared::perform(global::ask_callback const& e) {
  auto const found = callbacks.find(e.callback);
  if (found == callbacks.end()) return; // its deadline decides
  self(role::name_server)
      .spawn([all = shared_from_this(), decide = found->second, e](node::self me) -> node::task<> {
        auto const keeps = co_await decide(me, e.name, e.theirs, e.ours);
        all->handle(global::callback_answer{e.id, keeps});
      });
}

void names::shared::tell(waiting const& who, etf::term const& answer) {
  if (who.caller)
    who.caller->reply(answer);
  else
    self(role::name_server).send(who.process, make(tup(who.ref, answer)));
}

void names::shared::perform(global::answer const& e) {
  auto const found = requests.find(e.id);
  base::check(found != requests.end(), "names: one answer for each request");
  auto const who = std::move(found->second);
  requests.erase(found);
  bool const done = e.result.said == global::outcome::what::yes;
  tell(who, done && who.unregisters ? make(am("ok")) : to_term(e.result));
}

void names::shared::perform(global::resolution const& e) {
  auto const found = resolutions.find(e.id);
  base::check(found != resolutions.end(), "names: one resolution for each request");
  auto const who = std::move(found->second);
  resolutions.erase(found);
  tell(who, e.answer);
}

// ---- the facade

names::names(node::core& node, global::options options) : all_(std::make_shared<shared>(node, options)) {
  auto const start = [&](role as, std::string_view name, std::string_view initial_call) {
    node.spawn([all = all_.get(), as](node::self me) { return all->run(me, as); }, name, initial_call);
  };
  start(role::name_server, global::server_name, "global:init/1");
  start(role::locker, {}, "global:start_the_locker/1");
  start(role::registrar, global::comparing_name, "global:start_the_registrar/0");
}

namespace {

// {Ref, Answer} for us.
node::task<etf::term> answer_to(node::self me, etf::reference ref) {
  auto const wanted = make(ref);
  auto const message = co_await me.receive([&](etf::view m) {
    auto const pair = m.tuple<2>();
    return pair && (*pair)[0] == *wanted;
  });
  co_return etf::term((*message->tuple<2>())[1]);
}

global::outcome from_term(etf::view said) {
  using what = global::outcome::what;
  if (said.is_atom("yes") || said.is_atom("ok")) return {what::yes, {}};
  if (said.is_atom("no")) return {what::no, {}};
  auto const error = said.tuple<2>();
  auto const timeout = error ? (*error)[1].tuple<2>() : std::nullopt;
  if (!timeout) return {what::busy, {}};
  return {what::timeout, etf::atom((*timeout)[1].atom_text().value_or(""))};
}

} // namespace

etf::term to_term(global::outcome const& o) {
  using what = global::outcome::what;
  switch (o.said) {
  case what::yes: return make(am("yes"));
  case what::no: return make(am("no"));
  case what::timeout: return make(tup(am("error"), tup(am("timeout"), o.node)));
  case what::busy: break;
  }
  return make(tup(am("error"), am("busy")));
}

namespace {

global::request request_for(std::uint64_t id, global::request::what wanted, etf::term name, etf::pid pid,
                            global::policy method) {
  return {.id = id,
          .wanted = wanted,
          .name = std::move(name),
          .pid = std::move(pid),
          .method = std::move(method)};
}

} // namespace

void names::register_for(ticket to, global::request::what wanted, etf::term name, etf::pid pid,
                         global::policy method) const {
  auto const id = ++all_->last_id;
  all_->requests.emplace(id,
                         shared::waiting{.caller = std::move(to),
                                         .process = {},
                                         .ref = {},
                                         .unregisters = wanted == global::request::what::unregister_name});
  all_->handle(request_for(id, wanted, std::move(name), std::move(pid), std::move(method)));
}

node::task<names::outcome> names::register_name(node::self me, etf::term name, etf::pid pid,
                                                global::policy method) const {
  co_return co_await request(me, global::request::what::register_name, name, pid, method);
}

node::task<names::outcome> names::re_register_name(node::self me, etf::term name, etf::pid pid,
                                                   global::policy method) const {
  co_return co_await request(me, global::request::what::re_register_name, name, pid, method);
}

node::task<names::outcome> names::unregister_name(node::self me, etf::term name) const {
  co_return co_await request(me, global::request::what::unregister_name, name, {}, {});
}

node::task<names::outcome> names::request(node::self me, global::request::what wanted, etf::term name,
                                          etf::pid pid, global::policy method) const {
  auto const id = ++all_->last_id;
  auto const ref = me.make_ref();
  all_->requests.emplace(
      id, shared::waiting{.caller = {}, .process = me.pid(), .ref = ref, .unregisters = false});
  all_->handle(request_for(id, wanted, std::move(name), std::move(pid), std::move(method)));
  auto const said = co_await answer_to(me, ref);
  co_return from_term(said);
}

node::task<etf::term> names::resolve(node::self me, etf::term method, etf::term name, etf::pid theirs,
                                     etf::pid ours) const {
  auto const id = ++all_->last_id;
  auto const ref = me.make_ref();
  all_->resolutions.emplace(
      id, shared::waiting{.caller = {}, .process = me.pid(), .ref = ref, .unregisters = false});
  global::resolve_request asked{id, std::move(method), std::move(name), std::move(theirs), std::move(ours)};
  all_->handle(asked);
  co_return co_await answer_to(me, ref);
}

etf::pid const* names::whereis(etf::view name) const {
  if (!all_->core) return nullptr;
  auto const* const found = all_->core->tables().names.find(name);
  return found != nullptr ? &found->pid : nullptr;
}

bool names::send(node::self me, etf::view name, etf::term const& message) const {
  auto const* const to = whereis(name);
  if (to != nullptr) me.send(*to, message);
  return to != nullptr;
}

std::vector<etf::term> names::registered_names() const {
  std::vector<etf::term> out;
  if (!all_->core) return out;
  for (auto const& [name, e] : all_->core->tables().names) out.push_back(name);
  return out;
}

void names::part(etf::atom const& node) const {
  if (all_->core) all_->handle(global::part{node});
}

void names::observe(std::function<void(etf::view name, etf::pid const* pid)> told) const {
  all_->observer = std::move(told);
}

void names::for_each(std::function<void(etf::view name, etf::pid const& pid)> const& look) const {
  if (!all_->core) return;
  for (auto const& [name, e] : all_->core->tables().names) look(name, e.pid);
}

std::vector<etf::atom> names::known() const {
  std::vector<etf::atom> out;
  if (all_->core)
    for (auto const& [node, version] : all_->core->tables().known) out.push_back(node);
  std::sort(out.begin(), out.end(), [](auto const& a, auto const& b) { return a.text() < b.text(); });
  return out;
}

global::policy names::policy_by(callback decide) const {
  auto const id = ++all_->last_id;
  all_->callbacks.emplace(id, std::move(decide));
  return {.how = global::policy::kind::callback, .nodes = {}, .callback = id};
}

} // namespace remora::services
