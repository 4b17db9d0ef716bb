// Whatever other nodes say to the three processes of the registry: nothing crashes it, every limit holds,
// what it watches is watched once and let go once, each request is answered once - and when all nodes are
// gone and time has passed, nothing of them is left.
//
// The input is a list of steps: a byte that says what happens, then for a message the length in a byte and a
// term in external format, else one byte of argument.
#include "etf/reader.hpp"
#include "fuzz/fuzz.hpp"
#include "global/core.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

using namespace remora;
using etf::am;
using etf::lst;
using etf::make;
using etf::tup;
using fuzz::must;
using global::role;

namespace {

constexpr std::uint32_t creation = 7;
constexpr int deadlines_max = 2000; // until all is over

etf::atom node_of(std::uint8_t n) { return etf::atom(std::string(1, "bcdz"[n % 4]) + "@h"); }
etf::pid pid_of(etf::atom const& node, std::uint32_t id) {
  return {.node = node, .id = id, .serial = 0, .creation = creation};
}

global::options tight() {
  global::options o;
  o.limit.names_max = 6;
  o.limit.locks_max = 4;
  o.limit.holders_max = 3;
  o.limit.lost_max = 4;
  o.limit.nodes_max = 3;
  o.limit.requests_max = 5;
  o.limit.round_requests_max = 3;
  o.limit.complaints_max = 4;
  return o;
}

class run {
public:
  void step(base::cursor& in) {
    auto const what = in.u8();
    switch (what % 8) {
    case 0: return hear(static_cast<role>(what / 8 % 3), in.take(in.u8()));
    case 1:
    case 2: return known(in.u8(), in.u8());
    case 3: return request(in.u8());
    case 4: return link(node_of(what / 8), what & 0x80U);
    case 5: return end(in.u8());
    case 6: return tick(in.u8());
    default: return answer(in.u8());
    }
  }
  void check() {
    auto const& t = core_.tables();
    auto const& limit = limits_.limit;
    must(t.names.size() <= limit.names_max, "names_max");
    must(t.locks.size() <= limit.locks_max, "locks_max");
    must(t.known.size() <= limit.nodes_max && t.pending.size() <= limit.nodes_max, "nodes_max");
    must(core_.sessions() <= limit.nodes_max, "nodes_max of sessions");
    must(core_.remembered_losses() <= limit.lost_max, "lost_max");
    must(open_.size() <= limit.requests_max + limit.round_requests_max, "requests_max");
  }
  void finish() {
    for (std::uint8_t n = 0; n < 4; ++n) link(node_of(n), false);
    for (auto const& w : std::set(watched_)) ended(w.first, w.second);
    for (int i = 0; i < deadlines_max; ++i) {
      for (auto const& node : std::exchange(dials_, {})) feed(global::connect_result{node, false});
      for (auto const id : std::exchange(resolving_, {})) feed(global::resolved_there{id, std::nullopt});
      for (auto const& w : std::set(watched_))
        if (w.second.where() != us_) ended(w.first, w.second);
      auto const next = core_.next_deadline();
      if (!next && dials_.empty() && resolving_.empty()) break;
      now_ = std::max(now_, next.value_or(now_));
      feed(global::tick{});
    }
    must(open_.empty(), "each request is answered");
    must(core_.sessions() == 0 && core_.tables().known.empty() && core_.tables().pending.empty(),
         "nobody left");
    must(core_.tables().locks.size() == 0, "no lock left");
  }

private:
  void hear(role at, base::bytes_view bytes) {
    base::buffer out;
    if (etf::reader({.depth_max = 64, .bytes_max = 4096}).read(bytes, {}, out))
      feed(global::message{at, etf::term(std::move(out))});
  }
  // Messages that mean something, of nodes and processes that there are.
  void known(std::uint8_t n, std::uint8_t m) {
    auto const node = node_of(n);
    auto const locker = pid_of(node, 2);
    auto const member = pid_of(node, 4 + m % 3);
    auto const name = make(m % 4);
    auto const method = global::method_of(static_cast<global::policy::kind>(m % 8));
    auto const id = make(tup(am("global"), lst(locker, pid_of(us_, 2))));
    auto const inserts = make(lst(tup(am("insert"), tup(name, member, method))));
    auto const cast = [this](auto const& what) { at_server(make(tup(am("$gen_cast"), what))); };
    auto const call = [this, &locker](auto const& what) {
      at_server(make(tup(am("$gen_call"), tup(locker, 1), what)));
    };
    switch (n / 4 % 16) {
    case 0: return cast(tup(am("init_connect"), tup(8, 77), node, tup(am("locker"), am("x"), lst(), locker)));
    case 1: return cast(tup(am("lock_set"), locker, true, lst(), my_tag_));
    case 2: return cast(tup(am("exchange"), node, lst(tup(name, member, method)), lst(), my_tag_));
    case 3:
      return cast(tup(am("resolved"), node, inserts, lst(tup(node_of(m), 8)), am("unused"), lst(), my_tag_));
    case 4:
      return cast(
          tup(am("new_nodes"), node, inserts, lst(), lst(tup(node_of(m), 8)), lst(tup(am("lock"), id))));
    case 5: return cast(tup(am("in_sync"), node, true));
    case 6: return call(tup(am("set_lock"), id));
    case 7: return call(tup(am("del_lock"), id));
    case 8: return call(tup(am("register"), name, member, method));
    case 9: return call(tup(am("unregister"), name));
    case 10: return at_server(make(tup(am("lost_connection"), node, 1, m, node_of(m))));
    case 11: return at_server(make(tup(am("remove_connection"), node)));
    case 12: return at_server(make(tup(am("init_connect_ack"), node, 77, my_tag_)));
    case 13: return at_server(make(tup(am("cancel_connect"), node, my_tag_)));
    case 14: return feed(global::message{role::registrar, make(tup(am("compared"), 1, node, m % 2 == 0, m))});
    default: return feed(global::message{role::registrar, make(tup(am("rejoin"), 1, node))});
    }
  }
  void at_server(etf::term const& what) { feed(global::message{role::name_server, what}); }

  void request(std::uint8_t n) {
    auto const id = ++last_id_;
    open_.insert(id);
    feed(global::request{.id = id,
                         .wanted = static_cast<global::request::what>(n % 3),
                         .name = make(n / 3 % 4),
                         .pid = pid_of(n % 2 == 0 ? us_ : node_of(n), 4 + n / 16 % 4),
                         .method = {.how = static_cast<global::policy::kind>(n / 12 % 9)}});
  }
  void link(etf::atom const& node, bool up) {
    if (up && up_.insert(node).second) return feed(global::node_up{node, creation});
    if (up || up_.erase(node) == 0) return;
    for (auto const& w : std::set(watched_))
      if (w.second.where() == node) ended(w.first, w.second);
    feed(global::node_down{node});
  }
  void end(std::uint8_t n) {
    for (auto const& w : std::set(watched_))
      if (n-- == 0) return ended(w.first, w.second);
  }
  void ended(role as, etf::destination const& whom) {
    if (watched_.erase({as, whom}) > 0) feed(global::watched_ended{as, whom});
  }
  void tick(std::uint8_t n) {
    if (n % 2 == 0)
      now_ += std::chrono::milliseconds(n * 10);
    else
      now_ = std::max(now_, core_.next_deadline().value_or(now_));
    feed(global::tick{});
  }
  // Of a member that we asked, of a dial, of another node's decision.
  void answer(std::uint8_t n) {
    if (n % 4 == 0 && !asked_.empty()) {
      auto const [as, tag] = asked_.back();
      asked_.pop_back();
      return feed(global::message{as, make(tup(tag, n % 8 == 0))});
    }
    if (n % 4 == 1)
      for (auto const& node : std::exchange(dials_, {})) {
        if (n % 8 == 1) link(node, true);
        feed(global::connect_result{node, up_.contains(node)});
      }
    if (n % 4 == 2)
      for (auto const id : std::exchange(resolving_, {}))
        feed(global::resolved_there{id, make(pid_of(node_of(n), 4 + n / 4 % 3))});
    if (n % 4 == 3)
      feed(global::resolve_request{++last_id_, global::method_of(global::policy::kind::lowest_pid),
                                   make(n / 4 % 4), pid_of(node_of(n), 5), pid_of(us_, 4)});
  }

  void feed(global::event const& e) {
    global::effects out;
    core_.handle(e, now_, out);
    for (auto const& each : out) {
      static_cast<void>(global::describe(each));
      if (auto const* const w = std::get_if<global::watch>(&each))
        must(watched_.emplace(w->as, w->whom).second, "watched once");
      if (auto const* const u = std::get_if<global::unwatch>(&each))
        must(watched_.erase({u->as, u->whom}) == 1, "was watched");
      if (auto const* const a = std::get_if<global::answer>(&each))
        must(open_.erase(a->id) == 1, "one answer for each request");
      if (auto const* const c = std::get_if<global::connect>(&each)) dials_.insert(c->node);
      if (auto const* const r = std::get_if<global::resolve_there>(&each)) resolving_.insert(r->id);
      if (auto const* const s = std::get_if<global::send>(&each)) sent(*s);
    }
  }
  // Tags that only answers can know.
  void sent(global::send const& s) {
    auto const m = s.message->tuple<3>();
    if (m && (*m)[0].is_atom("$gen_call"))
      if (auto const tag = (*m)[1].element(1)->unsigned_integer()) asked_.emplace_back(s.as, *tag);
    if (auto const cast = s.message->element(1); cast && cast->arity() == 4)
      if (auto const version = cast->element(1); version && version->arity() == 2)
        my_tag_ = version->element(1)->unsigned_integer().value_or(0);
  }

  struct less {
    static auto key(etf::destination const& d) {
      return std::tuple(d.pid.has_value(), d.pid.value_or(etf::pid()), d.name, d.node);
    }
    bool operator()(auto const& a, auto const& b) const {
      return std::pair(a.first, key(a.second)) < std::pair(b.first, key(b.second));
    }
  };
  etf::atom us_{"m@h"};
  global::options limits_ = tight();
  global::core core_{{pid_of(us_, 1), pid_of(us_, 2), pid_of(us_, 3)}, creation, limits_, 42};
  base::time_point now_{std::chrono::seconds(1000)};
  std::set<etf::atom> up_, dials_;
  std::set<std::uint64_t> open_, resolving_;
  std::set<std::pair<role, etf::destination>, less> watched_;
  std::vector<std::pair<role, std::uint64_t>> asked_;
  std::uint64_t my_tag_ = 0, last_id_ = 0;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  base::cursor in({data, size});
  run r;
  while (!in.rest().empty()) {
    r.step(in);
    r.check();
  }
  r.finish();
  return 0;
}
