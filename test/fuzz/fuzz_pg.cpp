// Whatever other nodes say to a scope of process groups: nothing crashes it, every limit holds, each scope's
// members are its own, and what it tells its peers is what it told them before, plus or minus what changed -
// a leave that a peer does not know would crash it (protocol.md 6).
//
// The input is a list of steps: a byte that says who does what, then for a message the length in a byte and a
// term in external format, else one byte of argument.
#include "etf/reader.hpp"
#include "fuzz/fuzz.hpp"
#include "pg/scope.hpp"

#include <map>
#include <string>
#include <vector>

using namespace remora;
using fuzz::must;

namespace {

constexpr pg::limits tight{.groups_max = 8,
                           .group_bytes_max = 64,
                           .names_bytes_max = 200,
                           .peers_max = 3,
                           .memberships_per_peer_max = 12,
                           .memberships_local_max = 10,
                           .subscriptions_max = 2,
                           .log_pause = std::chrono::seconds(1)};

etf::pid pid(char node, std::uint32_t id) {
  return {.node = etf::atom(std::string(1, node) + "@h"), .id = id, .serial = 0, .creation = 1};
}
etf::reference ref(std::uint32_t n) {
  return {.node = etf::atom("u@h"), .creation = 1, .count = 1, .words = {n}};
}

// What an OTP scope knows of us: it crashes where this aborts.
class otp_scope {
public:
  void hear(etf::view message) {
    auto const said = pg::read(message);
    must(said.has_value(), "only messages that pg knows");
    if (auto const* const s = std::get_if<pg::sync>(&*said)) {
      groups_.clear();
      synced_ = true;
      for (auto const& [group, pids] : s->groups) {
        must(!pids.empty(), "no group without members in a sync");
        auto& known = groups_[text(group)];
        must(known.empty(), "each group once in a sync");
        for (auto const& p : pids) ++known[p.id];
      }
    }
    if (auto const* const j = std::get_if<pg::join>(&*said)) {
      must(synced_, "a join follows a sync");
      must(!j->pids.empty(), "somebody joins");
      for (auto const& p : j->pids) ++groups_[text(j->group)][p.id];
    }
    if (auto const* const l = std::get_if<pg::leave>(&*said)) leave(*l);
  }

private:
  static std::string text(etf::view v) { return std::string(base::as_text(v.bytes())); }
  void leave(pg::leave const& l) {
    must(synced_, "a leave follows a sync");
    for (auto const group : l.groups) {
      auto const known = groups_.find(text(group));
      must(known != groups_.end(), "a leave from a group that is known");
      for (auto const& p : l.pids) {
        auto const member = known->second.find(p.id);
        must(member != known->second.end(), "a leave of somebody who joined");
        if (--member->second == 0) known->second.erase(member);
      }
      if (known->second.empty()) groups_.erase(known);
    }
  }

  bool synced_ = false;
  std::map<std::string, std::map<std::uint32_t, std::size_t>> groups_;
};

class run {
public:
  void step(base::cursor& in) {
    auto const what = in.u8();
    switch (what % 8) {
    case 0:
    case 1: return hear(in.take(in.u8()));
    case 2: return known(in.u8());
    case 3: return request(in.u8(), true);
    case 4: return request(in.u8(), false);
    case 5: return handle(pg::watched_ended{someone(in.u8())});
    case 6: return subscription(in.u8());
    default: now_ += std::chrono::milliseconds(in.u8() * 10); return;
    }
  }
  void check() {
    must(s_.group_count() <= tight.groups_max, "groups_max");
    must(s_.peer_count() <= tight.peers_max, "peers_max");
    must(s_.local_count() <= tight.memberships_local_max, "memberships_local_max");
    must(s_.subscription_count() <= tight.subscriptions_max, "subscriptions_max");
    std::size_t all = 0;
    std::size_t local = 0;
    std::size_t names = 0;
    for (auto const group : s_.groups()) {
      all += s_.members(group).size();
      local += s_.local_members(group).size();
      names += group.bytes().size();
      must(!s_.members(group).empty(), "a group is its members");
    }
    must(local == s_.local_count(), "local members are counted");
    must(all <= tight.memberships_per_peer_max * tight.peers_max + tight.memberships_local_max,
         "memberships");
    must(names <= tight.names_bytes_max, "names_bytes_max");
  }
  // Everybody ends: nothing is left.
  void finish() {
    for (unsigned i = 0; i < 256; ++i) handle(pg::watched_ended{someone(static_cast<std::uint8_t>(i))});
    for (auto const& [who, count] : std::map(watched_)) handle(pg::watched_ended{who});
    for (std::uint32_t i = 0; i < 4; ++i) s_.unsubscribe(ref(i));
    must(s_.groups().empty() && s_.group_count() == 0, "no ghost");
    must(s_.peer_count() == 0 && s_.local_count() == 0, "nobody left");
  }

private:
  // Four processes on each of four nodes; ours among them.
  static etf::pid someone(std::uint8_t n) { return pid("ubcd"[n % 4], 1 + n / 4 % 4); }

  void hear(base::bytes_view bytes) {
    base::buffer out;
    if (etf::reader({.depth_max = 64, .bytes_max = 4096}).read(bytes, {}, out))
      handle(pg::received{etf::term(std::move(out))});
  }
  // Messages that mean something, of pids that exist.
  void known(std::uint8_t n) {
    auto const scope = pid("bcd"[n % 3], 1);
    auto const member = someone(n);
    auto const group = etf::make(n / 16 % 3);
    switch (n / 3 % 5) {
    case 0: return handle(pg::received{pg::write_discover(scope)});
    case 1: return handle(pg::received{pg::write_join(scope, group, {&member, 1}, n % 2 == 0)});
    case 2: {
      etf::view const groups[] = {group, group};
      return handle(pg::received{pg::write_leave(scope, {&member, 1}, false, groups)});
    }
    case 3:
      return handle(pg::received{etf::make(
          etf::tup(etf::am("$gen_cast"),
                   etf::tup(etf::am("sync"), scope, etf::lst(etf::tup(group, etf::lst(member, member))))))});
    default: return handle(pg::node_up{etf::atom("b@h")});
    }
  }
  void request(std::uint8_t n, bool join) {
    std::vector<etf::pid> const who(n / 64, someone(n));
    auto const group = etf::make(n / 16 % 3);
    if (join)
      s_.join(group, who, who.size() != 1, out_);
    else
      s_.leave(group, who, who.size() != 1, out_);
    carry_out();
  }
  void subscription(std::uint8_t n) {
    if (n % 2 == 0)
      s_.unsubscribe(ref(n / 2 % 4));
    else if (!subscribed_[n / 2 % 4])
      subscribed_[n / 2 % 4] =
          n / 8 % 2 == 0 ? s_.subscribe(ref(n / 2 % 4), someone(n))
                         : s_.subscribe(ref(n / 2 % 4), someone(n), etf::view(etf::make(n / 16 % 3)));
    if (n % 2 == 0) subscribed_[n / 2 % 4] = false;
  }

  void handle(pg::event const& e) {
    if (auto const* const end = std::get_if<pg::watched_ended>(&e)) {
      if (watched_.erase(end->who) == 0) return; // only what is watched is told of
      peers_.erase(end->who);
    }
    s_.handle(e, now_, out_);
    carry_out();
  }
  void carry_out() {
    for (auto const& e : std::exchange(out_, {})) {
      static_cast<void>(pg::describe(e));
      if (auto const* const w = std::get_if<pg::watch>(&e)) must(++watched_[w->who] == 1, "watched once");
      if (auto const* const u = std::get_if<pg::unwatch>(&e))
        must(watched_.erase(u->who) == 1, "was watched");
      if (auto const* const m = std::get_if<pg::send>(&e))
        if (m->to.pid) peers_[*m->to.pid].hear(m->message);
    }
  }

  pg::scope s_{"pg", pid('u', 1), tight};
  base::time_point now_{};
  std::vector<pg::effect> out_;
  std::map<etf::pid, int> watched_;
  std::map<etf::pid, otp_scope> peers_;
  bool subscribed_[4] = {};
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
