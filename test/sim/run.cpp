#include "sim/run.hpp"

#include "sim/faults.hpp"
#include "sim/subject.hpp"

#include <fmt/format.h>

namespace remora::sim {

using namespace std::chrono_literals;

namespace {

constexpr auto quiet_time = 10s;               // without a signal: at rest
constexpr auto healing_time_max = 600s;        // to get there, from the last fault on
constexpr std::uint64_t signals_max = 200'000; // of a whole run
constexpr std::uint64_t rest_signals_max = 0;  // in a minute at rest

void check_requests(cluster& c) {
  for (auto const& r : c.requests())
    if (!r->done && c.counts(*r) && c.overdue(*r)) c.complain("stuck", r->what + " was never answered");
}

// Connects who is not connected, again and again, until all is quiet.
bool heal(cluster& c, base::duration at_least = {}) {
  auto const from = c.now();
  auto const until = from + healing_time_max;
  auto signals = c.signals();
  auto since = c.now();
  while (c.now() < until) {
    bool const connected = c.all_connected();
    if (!connected && !c.mutated("nobody_heals")) c.connect_all();
    c.pass(1s);
    if (!connected || c.signals() != signals) {
      signals = c.signals();
      since = c.now();
    }
    if (c.now() - since >= quiet_time && c.now() - from >= at_least) return true;
    if (signals > signals_max) break;
  }
  if (!c.all_connected()) {
    std::string words;
    for (auto* const m : c.running())
      words += fmt::format(" {} {{{}}}", m->name, fmt::join(m->core->peers(true, false), " "));
    c.complain("connections", "they do not find together:" + words);
  } else {
    c.complain("storm", fmt::format("no rest within {} s, {} signals", healing_time_max.count(), signals));
  }
  return false;
}

struct part {
  char const* name;
  std::unique_ptr<subject> (*make)(cluster& c);
  bool on_demand = false;
};
constexpr part parts[] = {
    {"links", make_links}, {"groups", make_groups}, {"names", make_names}, {"ideal", make_ideal_names, true}};

} // namespace

std::set<std::string_view> run_parts() {
  std::set<std::string_view> names;
  for (auto const& p : parts) names.insert(p.name);
  return names;
}

outcome run(settings const& s) {
  cluster c(s);
  faults f(c);
  std::vector<std::unique_ptr<subject>> subjects;
  for (auto const& p : parts)
    if (s.only.empty() ? !p.on_demand : s.only.contains(p.name))
      if (auto made = p.make(c)) subjects.push_back(std::move(made));

  auto const ends = [&] {
    outcome o;
    o.complaints = c.complaints();
    o.steps = c.world().steps();
    o.trace = c.world().take_trace();
    return o;
  };
  auto const all_rest = [&](bool last) {
    for (auto const& t : subjects) t->during();
    for (auto const& t : subjects) last ? t->after_finale() : t->at_rest();
    check_requests(c);
    return c.complaints().empty();
  };

  c.note(fmt::format("{} nodes, prevent_overlapping_partitions {}{}", c.members().size(),
                     c.pop() ? "on" : "off", c.calm() ? ", calm" : ""));
  // Some are there from the beginning, the others come during the storm.
  for (auto& m : c.members()) {
    if (c.calm() || c.chance(70))
      c.start(m);
    else
      c.later(c.up_to(20s), [&] {
        if (!m.up) c.start(m);
      });
  }
  if (c.calm()) {
    c.weather().clear();
    heal(c);
  } else if (c.chance(60)) {
    c.connect_all();
    c.pass(c.up_to(10s));
  }

  auto const acts = 10 + c.below(c.chance(50) ? 60 : 300);
  auto const fault_share = c.calm() ? 0 : 5 + c.below(40);
  auto const discovery = c.chance(50) ? 5 + c.below(30) : 0; // per cent of the acts that connect all
  static constexpr std::array<base::duration, 4> gaps = {2ms, 50ms, 500ms, 3s};
  for (std::uint64_t i = 0; i < acts && c.complaints().empty(); ++i) {
    if (c.chance(fault_share))
      f.act();
    else if (c.chance(discovery))
      c.connect_all();
    else if (!subjects.empty())
      subjects[c.below(subjects.size())]->act();
    if (c.chance(80)) c.pass(c.up_to(gaps.at(c.below(gaps.size()))));
    for (auto const& t : subjects) t->during();
    check_requests(c);
    if (c.signals() > signals_max) c.complain("storm", fmt::format("{} signals", c.signals()));
  }
  if (!c.complaints().empty()) return ends();

  c.note("the storm is over");
  if (c.mutated("storm")) // two that never stop talking
    for (auto* const m : c.acting())
      c.spawn(*m, [](node::self me) -> node::task<> {
        for (etf::destination const us("ping"); true; co_await me.sleep(500ms))
          for (auto const& n : me.node().peers(true, false)) me.send({"ping", n}, etf::make(etf::am("ping")));
      });
  c.weather().clear();
  c.do_all_later();
  // A connection that was silent for long is dropped only a while after both ends hear each other again.
  if (!heal(c, c.tick_time() * 3 / 2) || !all_rest(false)) return ends();
  c.note("finale");
  for (auto const& t : subjects) t->finale();
  if (!heal(c) || !all_rest(true)) return ends();

  auto const before = c.signals();
  c.pass(60s);
  if (auto const more = c.signals() - before; more > rest_signals_max)
    c.complain("storm", fmt::format("{} signals in a minute at rest", more));
  all_rest(true);
  return ends();
}

} // namespace remora::sim
