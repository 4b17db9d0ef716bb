#include "sim/membership.hpp"

#include "sim/membership_net.hpp"
#include "swim/metadata.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace remora::sim {

using namespace std::chrono_literals;
namespace w = remora::swim;

namespace {

using index = membership_net::index;
using status = w::status;

constexpr double rest_packets_max = 2.1;
constexpr base::duration settled_within = 60s;
constexpr std::size_t copies_max =
    40; // of an event, by one member: lambda * ln(n + 1), and it may be new once more
constexpr base::duration calm_before = 5s; // disturbances are forgotten after that, and a few intervals

std::string said_of_itself(std::string const& value) { return w::write_metadata({{"k", value}}); }

class simulation {
public:
  explicit simulation(settings const& s) : settings_(s), net_(s.seed) {}

  outcome run() {
    build();
    storm();
    heal();
    if (complaints_.empty()) at_rest();
    if (complaints_.empty()) say_things();
    if (complaints_.empty()) rejoin();
    if (complaints_.empty()) hang();
    if (complaints_.empty()) vms();
    return {complaints_, trace_, net_.steps()};
  }

private:
  bool mutated(std::string_view name) const { return settings_.mutant == name; }
  bool chance(std::uint64_t per_cent) { return net_.below(100) < per_cent; }

  void note(std::string const& line) {
    if (settings_.trace)
      trace_.push_back(fmt::format(
          "{:9.3f} {}", std::chrono::duration<double>(net_.now().time_since_epoch()).count(), line));
  }
  void complain(std::string_view checker, std::string const& words) {
    note(fmt::format("COMPLAINT {}: {}", checker, words));
    if (complaints_.size() < 10) complaints_.push_back(fmt::format("{}: {}", checker, words));
  }

  void build();
  void storm();
  void heal();
  void at_rest();
  void say_things();
  void hang();
  void vms();
  void disturb();
  void part();
  void rejoin();
  void heard(index by, w::news const& n);
  void judge_death(index by, w::member_changed const& c);
  bool passes(index from, index to, std::string& bytes);
  bool break_packet(index from, index to, w::message const& m, std::vector<w::update>& updates);
  void watch(index n, w::event const& e);
  std::optional<std::string> disagreement();

  bool stay_parted(index a, index b) const {
    auto const found = parted_.find({a, b});
    return found != parted_.end() && found->second == std::pair(net_.of(a).generation, net_.of(b).generation);
  }
  bool is_vm(index n) const { return n >= nodes_; }
  void disturbed(index n, base::duration time = {}) {
    disturbed_[n] = std::max(disturbed_[n], net_.now() + time);
  }
  // Nothing has kept it from being heard lately.
  bool was_well(index n) {
    return net_.of(n).up && !net_.of(n).hung && net_.of(n).runs == 0ns &&
           net_.of(n).paused_until < net_.now() && net_.now() - disturbed_[n] > calm_before + 10 * interval_;
  }
  base::duration suspicion_min() const { return 2 * interval_; }

  settings settings_;
  membership_net net_;
  std::size_t nodes_ = 0;
  std::size_t vm_count_ = 0;
  base::duration interval_{};
  bool starving_ = false; // this seed's story is of nodes without CPU
  bool calm_ = false;     // the storm is over
  // Connections that stay away when all is well again, as long as neither end has started since.
  std::map<std::pair<index, index>, std::pair<std::uint32_t, std::uint32_t>> parted_;
  bool again_ = false;
  std::map<index, base::time_point> disturbed_;
  std::map<std::string, base::time_point> suspected_;                   // since when anybody does
  std::map<std::string, std::pair<std::uint64_t, std::uint32_t>> said_; // the last of itself
  std::map<std::tuple<index, std::uint32_t, std::string>, int> events_; // by whom, in which start, which
  std::map<std::string, std::size_t> sent_;                             // copies of an event that were sent
  std::uint64_t last_event_ = 0;
  std::map<index, std::pair<base::time_point, int>> ticks_;
  std::vector<std::string> complaints_;
  test::lines trace_;
};

void simulation::build() {
  nodes_ = settings_.nodes.value_or(2 + net_.below(9));
  starving_ = nodes_ >= 6 && chance(30);
  interval_ = chance(70) ? 200ms : 1s;
  w::options o;
  o.interval = interval_;
  o.sync_interval = chance(50) ? 5s : 30s;
  if (chance(10)) o.expel = w::expelling::dead;
  if (mutated("no_health")) o.lifeguard = false;
  if (mutated("slow_to_die")) o.suspicion_min = 120s;
  w::limits l;
  if (chance(20)) l.packet_bytes_max = 900;
  for (index n = 0; n < nodes_; ++n) net_.add(fmt::format("n{}@h", n), o, l);
  vm_count_ = net_.below(4);
  if (mutated("no_health")) vm_count_ = 0;
  for (std::size_t v = 0; v < vm_count_; ++v) {
    net_.add_vm(fmt::format("vm{}@h", v));
    net_.of(static_cast<index>(v)).app = fmt::format("vm{}@h", v);
    if (v + 1 >= nodes_) vm_count_ = v + 1;
  }
  net_.on_news = [this](index by, w::news const& n) { heard(by, n); };
  net_.passes = [this](index from, index to, std::string& bytes) { return passes(from, to, bytes); };
  net_.peer_passes = [this](index, index, std::string const& bytes) {
    auto const kind = static_cast<w::message_kind>(bytes[1]);
    return !mutated("forgotten_sync") ||
           (kind != w::message_kind::sync && kind != w::message_kind::sync_answer);
  };
  net_.on_event = [this](index n, w::event const& e) { watch(n, e); };
  net_.on_effect = [this](index n, w::effect const& e) {
    if (settings_.trace) note(fmt::format("{} -> {}", net_.of(n).name, w::describe(e)));
  };
  for (index n = 0; n < nodes_; ++n) {
    disturbed(n);
    net_.start(n);
    if (mutated("forgotten_start") && n == 0) net_.of(n).hung = true;
  }
  for (index a = 0; a < net_.size(); ++a)
    for (index b = 0; b < a; ++b)
      if (a < nodes_ || !is_vm(b)) net_.connect(a, b);
}

void simulation::watch(index n, w::event const& e) {
  if (settings_.trace) note(fmt::format("{} <- {}", net_.of(n).name, w::describe(e)));
  auto& [since, count] = ticks_[n];
  if (since != net_.now()) {
    since = net_.now();
    count = 0;
  }
  if (!std::holds_alternative<w::tick>(e)) return;
  if (++count > 20) return complain("wakes", fmt::format("{} is woken again and again", net_.of(n).name));
  if (mutated("busy")) net_.handle(n, w::tick{}); // a deadline that does not move
}

// ---- what passes on the wire

bool simulation::passes(index from, index to, std::string& bytes) {
  w::message m;
  std::vector<w::update> updates;
  if (!w::read(bytes, net_.of(from).limits, m, updates)) {
    complain("size", "a message that is none");
    return false;
  }
  if (!settings_.mutant.empty()) {
    if (!break_packet(from, to, m, updates)) return false;
    std::string broken; // what was read looks into `bytes`
    w::write(broken, m);
    for (auto const& u : updates) w::write(broken, u);
    bytes = std::move(broken);
  }
  if (bytes.size() + 34 > net_.of(from).limits.packet_bytes_max)
    complain("size", fmt::format("{} sends {} bytes", net_.of(from).name, bytes.size()));
  for (auto const& u : updates)
    if (u.what == w::update_kind::happening) {
      auto const id = fmt::format("{} {}", net_.of(from).name, u.payload);
      if (++sent_[id] > copies_max) complain("size", "an event is sent without end: " + id);
    }
  return true;
}

// A fault of ours on the way of a datagram; false: it is lost.
bool simulation::break_packet(index from, index to, w::message const& m, std::vector<w::update>& updates) {
  auto const drop = [&](w::update_kind what) {
    std::erase_if(updates, [&](w::update const& u) { return u.what == what; });
  };
  if (mutated("deaf_dead") && m.kind == w::message_kind::ping && m.sequence == 0) return false;
  if (mutated("chatter") && calm_ && m.kind == w::message_kind::ping) ++net_.packets;
  if (mutated("lost_event") && to == 1) drop(w::update_kind::happening);
  for (auto& u : updates) {
    if (mutated("no_window") && u.what == w::update_kind::suspect) u.what = w::update_kind::dead;
    if (mutated("no_metadata") && u.what == w::update_kind::alive) u.metadata = {};
    if (mutated("wrong_refuter") && u.what == w::update_kind::suspect) {
      auto const known = net_.of(from).core->find(u.node);
      u = {.what = w::update_kind::alive,
           .node = u.node,
           .epoch = u.epoch,
           .incarnation = u.incarnation + 1,
           .creation = known ? known->creation : 0,
           .at = known ? known->at : w::address{}};
    }
  }
  auto const copies = mutated("oversized") ? 50 : 1;
  if (mutated("endless_gossip") || mutated("oversized"))
    for (int i = 0; i < copies; ++i)
      updates.push_back({.what = w::update_kind::happening,
                         .node = net_.of(0).name,
                         .epoch = 1,
                         .number = 1,
                         .name = "again and again",
                         .payload = "the same"});
  return true;
}

// ---- what is said

void simulation::heard(index by, w::news const& n) {
  if (mutated("heard_twice") && !std::exchange(again_, !again_)) heard(by, n);
  if (auto const* const e = std::get_if<w::event_heard>(&n)) {
    auto& times = events_[{by, net_.of(by).generation, e->payload}];
    if (++times > 1) complain("events", fmt::format("{} hears {} again", net_.of(by).name, e->payload));
    return;
  }
  auto const* const c = std::get_if<w::member_changed>(&n);
  if (c == nullptr) return;
  auto const who = net_.find(c->member.node);
  if (!who) return complain("objects", "nobody is called " + c->member.node);
  if (*who == by) {
    said_[c->member.node] = {c->member.epoch, c->member.incarnation};
    return;
  }
  if (c->what == w::change::suspected) suspected_.try_emplace(c->member.node, net_.now());
  if (c->member.kind == w::kind::remora && net_.of(*who).core != nullptr) {
    auto const own = net_.of(*who).core->find(c->member.node);
    if (own && std::pair(c->member.epoch, c->member.incarnation) > std::pair(own->epoch, own->incarnation))
      complain("objects", fmt::format("{} sees {} in incarnation {}, itself it says {}", net_.of(by).name,
                                      c->member.node, c->member.incarnation, own->incarnation));
  }
  if (c->what == w::change::died) judge_death(by, *c);
}

void simulation::judge_death(index by, w::member_changed const& c) {
  auto const who = *net_.find(c.member.node);
  if (is_vm(who)) {
    bool answers = false;
    for (index n = 0; n < nodes_; ++n)
      answers = answers || (net_.of(who).up && !net_.of(who).hung && net_.of(n).connected.contains(who) &&
                            was_well(n) && !net_.is_cut(n, who));
    if (answers && was_well(who) && was_well(by))
      complain("vm", fmt::format("{} declares {} dead, which answers", net_.of(by).name, c.member.node));
    return;
  }
  auto const& h = net_.of(who);
  bool const restarted = h.up && h.creation != c.member.creation && c.member.creation != 0;
  if (restarted || c.by.empty()) return; // of its earlier start
  auto const since = suspected_.find(c.member.node);
  if (since == suspected_.end() || net_.now() - since->second < suspicion_min())
    complain("window",
             fmt::format("{} declares {} dead before it could object", net_.of(by).name, c.member.node));
  if (was_well(who) && (starving_ || was_well(by)))
    complain(starving_ ? "healthy" : "mistake",
             fmt::format("{} declares {} dead, which is well", net_.of(by).name, c.member.node));
}

// ---- the storm

void simulation::disturb() {
  auto const n = static_cast<index>(net_.below(nodes_));
  auto const m = static_cast<index>(net_.below(net_.size()));
  switch (starving_ ? 3 : net_.below(12)) {
  case 0:
  case 1: { // a cut, one way or both
    if (n == m) return;
    bool const both = chance(60);
    note(fmt::format("cut {} {} {}", net_.of(n).name, both ? "and" : "to", net_.of(m).name));
    auto const time = net_.between(100ms, 20s);
    disturbed(n, time);
    disturbed(m, time);
    net_.cut(n, m, true);
    if (both) net_.cut(m, n, true);
    if (both) net_.disconnect(n, m);
    net_.at(net_.now() + time, [this, n, m, both] {
      note(fmt::format("healed {} and {}", net_.of(n).name, net_.of(m).name));
      disturbed(n);
      disturbed(m);
      net_.cut(n, m, false);
      net_.cut(m, n, false);
      if (both) net_.connect(n, m);
    });
    return;
  }
  case 2: { // hangs for a while
    auto const time = net_.between(10ms, 15s);
    note(fmt::format("{} pauses", net_.of(n).name));
    disturbed(n);
    net_.pause(n, time);
    net_.at(net_.now() + time, [this, n] { disturbed(n); });
    return;
  }
  case 3: { // has little CPU; never more than a quarter
    std::size_t count = 0;
    for (index i = 0; i < nodes_; ++i) count += net_.of(i).runs > 0ns ? 1U : 0U;
    if (4 * (count + 1) > nodes_ || nodes_ < 4) return;
    note(fmt::format("{} starves", net_.of(n).name));
    net_.starve(n, 20ms, 100ms, chance(50) ? 1s : 5s);
    net_.at(net_.now() + net_.between(5s, 40s), [this, n] {
      disturbed(n);
      net_.of(n).runs = 0ns;
    });
    return;
  }
  case 4:
  case 5: { // killed, and started again perhaps
    note(fmt::format("{} is killed", net_.of(n).name));
    disturbed(n);
    net_.stop(n, chance(30));
    net_.at(net_.now() + net_.between(1ms, 10s), [this, n] {
      if (net_.of(n).up) return;
      note(fmt::format("{} starts", net_.of(n).name));
      disturbed(n);
      net_.start(n, false);
      for (index i = 0; i < net_.size(); ++i)
        if (i != n && !net_.is_cut(n, i) && !net_.is_cut(i, n)) {
          net_.of(n).connected.erase(i);
          net_.of(i).connected.erase(n);
          net_.connect(n, i);
        }
    });
    return;
  }
  case 6: { // leaves
    if (!net_.of(n).up) return;
    note(fmt::format("{} leaves", net_.of(n).name));
    disturbed(n);
    net_.handle(n, w::leave{});
    net_.stop(n, false);
    return;
  }
  case 7: // a VM
    if (vm_count_ == 0) return;
    {
      auto const v = static_cast<index>(nodes_ + net_.below(vm_count_));
      disturbed(v);
      net_.of(v).hung = !net_.of(v).hung;
    }
    return;
  case 8:
  case 10: return part();
  case 9:
    if (!net_.of(n).up || net_.of(n).paused_until > net_.now()) return;
    net_.handle(n, w::user_event{"storm", fmt::format("{}", ++last_event_)});
    return;
  default:
    if (!net_.of(n).up || net_.of(n).paused_until > net_.now()) return;
    net_.handle(n, w::set_metadata{said_of_itself(fmt::format("{}", net_.below(1000)))});
    return;
  }
}

// Two halves that hear nothing of each other for long, and have no connections when they do again.
void simulation::part() {
  auto const border = static_cast<index>(1 + net_.below(nodes_));
  auto const each_pair = [this, border](auto what) {
    for (index a = 0; a < border; ++a)
      for (auto b = border; b < nodes_; ++b) what(a, b);
  };
  auto const time = net_.between(2s, 30s);
  bool const stays = chance(50);
  note(fmt::format("parted at {}", border));
  for (index n = 0; n < net_.size(); ++n) disturbed(n, time);
  each_pair([&](index a, index b) {
    net_.cut(a, b, true);
    net_.cut(b, a, true);
    if (stays && net_.of(a).connected.contains(b))
      parted_[{a, b}] = {net_.of(a).generation, net_.of(b).generation};
    net_.disconnect(a, b);
  });
  net_.at(net_.now() + time, [this, each_pair, stays] {
    note("not parted any more");
    for (index n = 0; n < net_.size(); ++n) disturbed(n);
    each_pair([&](index a, index b) {
      net_.cut(a, b, false);
      net_.cut(b, a, false);
      if (!stays) net_.connect(a, b);
    });
  });
}

void simulation::storm() {
  net_.pass(net_.between(0s, 5s));
  net_.sky.loss = chance(50) ? 10'000 : static_cast<std::uint32_t>(net_.below(50'000));
  net_.sky.doubled = static_cast<std::uint32_t>(net_.below(50'000));
  net_.sky.overtaken = static_cast<std::uint32_t>(net_.below(50'000));
  auto const deeds = 3 + net_.below(20);
  for (std::uint64_t i = 0; i < deeds && complaints_.empty(); ++i) {
    disturb();
    net_.pass(net_.between(1ms, 6s));
  }
}

// ---- and after it

void simulation::heal() {
  net_.pass(45s); // what was planned has come to its end
  calm_ = true;
  net_.sky = {};
  for (index n = 0; n < net_.size(); ++n) {
    net_.of(n).runs = 0ns;
    disturbed(n);
    if (is_vm(n)) {
      net_.of(n).hung = false;
    } else if (!net_.of(n).up) {
      net_.start(n, false);
    }
  }
  for (index a = 0; a < net_.size(); ++a)
    for (index b = 0; b < a; ++b) {
      net_.cut(a, b, false);
      net_.cut(b, a, false);
      if (is_vm(a) && is_vm(b)) continue;
      if (net_.of(a).connected.contains(b) && net_.of(b).connected.contains(a)) continue;
      if (stay_parted(b, a)) continue;
      net_.of(a).connected.erase(b);
      net_.of(b).connected.erase(a);
      net_.connect(a, b);
    }
  auto const began = net_.now();
  std::optional<std::string> left;
  do {
    net_.pass(1s);
    left = disagreement();
  } while (left && net_.now() - began < settled_within && complaints_.empty());
  if (left) complain("converges", *left);
}

std::optional<std::string> simulation::disagreement() {
  for (index by = 0; by < nodes_; ++by) {
    auto const& core = *net_.of(by).core;
    for (index n = 0; n < net_.size(); ++n) {
      auto const m = core.find(net_.of(n).name);
      if (!m) return fmt::format("{} does not know {}", net_.of(by).name, net_.of(n).name);
      if (m->status != status::alive)
        return fmt::format("for {} {} is {}", net_.of(by).name, m->node, w::name_of(m->status));
      if (is_vm(n)) {
        if (m->kind != w::kind::beam) return fmt::format("for {} {} is no VM", net_.of(by).name, m->node);
        continue;
      }
      auto const own = net_.of(n).core->find(net_.of(n).name);
      if (m->kind != w::kind::remora || m->epoch != own->epoch || m->incarnation != own->incarnation ||
          m->creation != net_.of(n).creation)
        return fmt::format("{} knows an old {}", net_.of(by).name, m->node);
      if (m->metadata != own->metadata)
        return fmt::format("{} has old metadata of {}", net_.of(by).name, m->node);
    }
    if (core.members().size() != net_.size()) return fmt::format("{} knows too many", net_.of(by).name);
    if (core.count(status::alive) != net_.size()) return fmt::format("{} counts wrongly", net_.of(by).name);
  }
  return std::nullopt;
}

void simulation::at_rest() {
  double each = 0;
  for (int tries = 0; tries < 3; ++tries) { // what a late comparison of views brings may be told once more
    net_.pass(30 * interval_);
    auto const before = net_.packets;
    net_.pass(20 * interval_);
    each = static_cast<double>(net_.packets - before) / static_cast<double>(nodes_) / 20;
    if (each <= rest_packets_max) break;
  }
  if (each > rest_packets_max) complain("rest", fmt::format("{:.2f} packets per node and period", each));
  if (auto const left = disagreement()) complain("rest", *left);
}

void simulation::say_things() {
  for (int i = 0; i < 5; ++i)
    net_.handle(static_cast<index>(net_.below(nodes_)),
                w::user_event{"calm", fmt::format("{}", ++last_event_)});
  auto const said = last_event_;
  auto const n = static_cast<index>(net_.below(nodes_));
  auto const bytes = said_of_itself("last");
  net_.handle(n, w::set_metadata{bytes});
  net_.pass(20 * interval_);
  for (index by = 0; by < nodes_; ++by) {
    for (auto e = said - 4; e <= said; ++e)
      if (!events_.contains({by, net_.of(by).generation, fmt::format("{}", e)}))
        complain("events", fmt::format("{} has not heard {}", net_.of(by).name, e));
    if (net_.of(by).core->find(net_.of(n).name)->metadata != bytes)
      complain("metadata", fmt::format("{} has old metadata of {}", net_.of(by).name, net_.of(n).name));
  }
}

// Who comes in by one connection only knows all others at once.
void simulation::rejoin() {
  if (nodes_ < 3) return;
  auto const n = static_cast<index>(net_.below(nodes_));
  auto const seed = static_cast<index>((n + 1 + net_.below(nodes_ - 1)) % nodes_);
  net_.sky.loss = 0;
  disturbed(n);
  note(fmt::format("{} joins by {}", net_.of(n).name, net_.of(seed).name));
  net_.stop(n, false);
  net_.pass(500ms);
  net_.start(n, false);
  net_.connect(n, seed);
  net_.pass(500ms + interval_);
  for (index other = 0; other < nodes_; ++other) {
    auto const m = net_.of(n).core->find(net_.of(other).name);
    if (!m || m->status != status::alive)
      complain("joins", fmt::format("{} does not know {} yet", net_.of(n).name, net_.of(other).name));
  }
  for (index other = 0; other < net_.size(); ++other)
    if (other != n && other != seed) net_.connect(n, other);
  net_.pass(5s);
}

void simulation::hang() {
  auto const n = static_cast<index>(net_.below(nodes_));
  net_.sky.loss = 10'000;
  suspected_.clear();
  disturbed(n);
  net_.of(n).hung = true;
  note(fmt::format("{} hangs for good", net_.of(n).name));
  // Alone with one other it has no helpers, and is probed in each period.
  net_.pass(20 * interval_ + 1s);
  for (index by = 0; by < nodes_; ++by)
    if (by != n && net_.of(by).core->find(net_.of(n).name)->status != status::dead)
      complain("detects", fmt::format("{} has not noticed that {} hangs", net_.of(by).name, net_.of(n).name));
}

void simulation::vms() {
  if (vm_count_ == 0) return;
  net_.sky.loss = 0;
  auto const v = static_cast<index>(nodes_);
  bool const hangs = chance(50);
  disturbed(v);
  note(fmt::format("{} {}", net_.of(v).name, hangs ? "hangs" : "ends"));
  if (hangs)
    net_.of(v).hung = true;
  else
    for (index n = 0; n < nodes_; ++n) net_.disconnect(n, v);
  if (mutated("immortal_vm")) net_.of(v).hung = false;
  net_.pass(hangs ? 20 * interval_ * static_cast<std::int64_t>(1 + vm_count_) + 5s : 3s + 8 * interval_);
  for (index by = 0; by < nodes_; ++by)
    if (!net_.of(by).hung && net_.of(by).core->find(net_.of(v).name)->status != status::dead)
      complain("vm", fmt::format("{} has not noticed that {} {}", net_.of(by).name, net_.of(v).name,
                                 hangs ? "hangs" : "has gone"));
}

} // namespace

outcome run_membership(settings const& s) { return simulation(s).run(); }

std::vector<membership_mutant> const& membership_mutants() {
  static std::vector<membership_mutant> const all = {
      {"no_window", "window"},          {"wrong_refuter", "objects"}, {"no_health", "healthy"},
      {"slow_to_die", "detects"},       {"deaf_dead", "converges"},   {"forgotten_sync", "joins"},
      {"forgotten_start", "converges"}, {"chatter", "rest"},          {"oversized", "size"},
      {"endless_gossip", "size"},       {"heard_twice", "events"},    {"lost_event", "events"},
      {"no_metadata", "metadata"},      {"immortal_vm", "vm"},        {"busy", "wakes"},
  };
  return all;
}

} // namespace remora::sim
