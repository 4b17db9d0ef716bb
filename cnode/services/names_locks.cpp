// Locks of native code over several nodes: global:set_lock/3, del_lock/2, trans/4 (global.erl, set_lock/3, local_lock_check,
// set_lock_on_nodes/2, random_sleep/1; protocol.md 7.4).
#include "services/names.hpp"

#include <algorithm>

namespace remora::services {

using etf::am;
using etf::make;
using etf::tup;

namespace {

constexpr auto call_timeout = std::chrono::seconds(5); // of one node; later it is as one that is gone

// One gen call to the name server of each node at once; the caller's pid is what holds the lock. Answers what came
// from those that answered.
node::task<std::vector<std::pair<etf::atom, bool>>> ask_all(node::self me, std::vector<etf::atom> nodes,
                                                            etf::term request) {
  struct open {
    etf::atom node;
    etf::reference ref;
  };
  std::vector<open> calls;
  for (auto const& n : nodes) {
    etf::destination const to(global::server_name, n.text());
    auto const ref = me.monitor(to, true);
    me.send(to, make(tup(am("$gen_call"), tup(me.pid(), etf::imp(am("alias"), ref)), request)), false);
    calls.push_back(open{n, ref});
  }
  std::vector<std::pair<etf::atom, bool>> out;
  for (auto const& call : calls) {
    auto const tag = make(etf::imp(am("alias"), call.ref));
    auto const ref = make(call.ref);
    auto const answer = co_await me.receive_within(call_timeout, [&](etf::view m) {
      auto const pair = m.tuple<2>();
      if (pair && (*pair)[0] == *tag) return true;
      auto const down = m.tuple<5>();
      return down && (*down)[0].is_atom("DOWN") && (*down)[1] == *ref;
    });
    me.demonitor(call.ref);
    if (answer && (*answer)->arity() == 2U) out.emplace_back(call.node, (*(*answer)->tuple<2>())[1].is_atom("true"));
  }
  co_return out;
}

etf::term lock_term(names::lock const& id) { return make(tup(id.resource, id.requester)); }

// Before the attempt after this one.
base::duration back_off(int attempt, base::random& random) {
  auto const most = attempt > 5 ? 8000U : 125U << static_cast<unsigned>(attempt);
  return std::chrono::milliseconds(1 + random.below(most));
}

node::task<bool> try_lock(node::self me, std::vector<etf::atom> nodes, names::lock id) {
  auto const request = make(tup(am("set_lock"), lock_term(id)));
  auto const said = co_await ask_all(me, nodes, request);
  bool const refused = std::any_of(said.begin(), said.end(), [](auto const& s) { return !s.second; });
  if (!refused) co_return true;
  std::vector<etf::atom> held;
  for (auto const& [node, yes] : said)
    if (yes) held.push_back(node);
  auto const undo = make(tup(am("del_lock"), lock_term(id)));
  co_await ask_all(me, held, undo);
  co_return false;
}

} // namespace

node::task<bool> names::set_lock(node::self me, lock id, std::vector<etf::atom> nodes, int retries) const {
  bool const all = nodes.empty();
  for (int attempt = 0;; ++attempt) {
    if (all) {
      nodes = known();
      nodes.push_back(me.node().name());
      std::sort(nodes.begin(), nodes.end());
    }
    // The greatest first and alone: who loses there disturbs nobody else.
    std::vector<etf::atom> first;
    first.push_back(nodes.back());
    bool held = co_await try_lock(me, first, id);
    if (held && nodes.size() > 1) {
      auto const rest = std::vector<etf::atom>(nodes.begin(), nodes.end() - 1);
      held = co_await try_lock(me, rest, id);
      if (!held) {
        auto const undo = make(tup(am("del_lock"), lock_term(id)));
        co_await ask_all(me, first, undo);
      }
    }
    if (held) co_return true;
    if (retries != for_ever && attempt >= retries) co_return false;
    co_await me.sleep(back_off(attempt, me.node().random()));
  }
}

node::task<> names::del_lock(node::self me, lock id, std::vector<etf::atom> nodes) const {
  if (nodes.empty()) {
    nodes = known();
    nodes.push_back(me.node().name());
  }
  auto const request = make(tup(am("del_lock"), lock_term(id)));
  co_await ask_all(me, nodes, request);
}

node::task<bool> names::trans(node::self me, lock id, std::function<node::task<>()> work,
                              std::vector<etf::atom> nodes, int retries) const {
  bool const held = co_await set_lock(me, id, nodes, retries);
  if (!held) co_return false;
  std::exception_ptr failed;
  try {
    co_await work();
  } catch (...) {
    failed = std::current_exception();
  }
  co_await del_lock(me, id, nodes);
  if (failed) std::rethrow_exception(failed);
  co_return true;
}

} // namespace remora::services
