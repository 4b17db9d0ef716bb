#include "sim/membership_table.hpp"

#include "base/check.hpp"
#include "sim/membership_net.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace remora::sim {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t mesh_max = 64;   // up to here everybody is connected to everybody
constexpr std::size_t connections = 4; // else each to so many others
constexpr std::uint32_t one_per_cent = 10'000;
using index = membership_net::index;

swim::options every(base::duration interval) {
  swim::options o;
  o.interval = interval;
  return o;
}

double ms(base::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

base::duration percentile(std::vector<base::duration> all, double p) {
  if (all.empty()) return {};
  std::sort(all.begin(), all.end());
  auto const at = static_cast<std::size_t>(p * static_cast<double>(all.size()));
  return all.at(std::min(at, all.size() - 1));
}

// A cluster that has been there for long.
struct cluster {
  cluster(std::size_t n, swim::options o, std::uint64_t seed, std::uint32_t loss, bool connected = true)
      : net(seed) {
    net.sky.loss = loss;
    for (std::size_t i = 0; i < n; ++i)
      net.add(fmt::format("remora_{:05}@10.0.{}.{}", i, i / 256, i % 256), o);
    for (index i = 0; i < n; ++i) net.start(i, false);
    know_each_other();
    for (index i = 0; i < n && connected; ++i) {
      if (n <= mesh_max)
        for (index j = 0; j < i; ++j) net.connect(i, j);
      else
        for (std::size_t c = 0; c < connections / 2; ++c) {
          auto const other = static_cast<index>(net.below(n));
          if (other != i) net.connect(i, other);
        }
    }
    net.pass(5 * o.interval);
  }

  void know_each_other() {
    swim::limits l;
    swim::core knows({.node = "all@knowing", .creation = 1, .at = {}}, net.of(0).options, net.directory(), 1,
                     l);
    swim::effects out;
    knows.handle(swim::start{{1}}, {}, out);
    for (index i = 0; i < net.size(); ++i) {
      auto const self = *net.of(i).core->find(net.of(i).name);
      std::string bytes;
      write(bytes, swim::message{.kind = swim::message_kind::gossip, .node = self.node, .epoch = self.epoch});
      write(bytes, swim::update{.what = swim::update_kind::alive,
                                .node = self.node,
                                .epoch = self.epoch,
                                .incarnation = self.incarnation,
                                .creation = self.creation,
                                .at = self.at});
      knows.handle(swim::packet{bytes, {}}, {}, out);
    }
    for (index i = 0; i < net.size(); ++i) net.of(i).core->know_the_same_as(knows);
  }

  // All that are up see all that are up, and nobody else.
  bool agree() {
    std::uint64_t view = 0;
    bool first = true;
    std::size_t up = 0;
    for (index i = 0; i < net.size(); ++i) up += net.of(i).up ? 1U : 0U;
    for (index i = 0; i < net.size(); ++i) {
      if (!net.of(i).up) continue;
      auto const& c = *net.of(i).core;
      if (first) view = c.view();
      first = false;
      if (c.view() != view || c.count(swim::status::alive) != up) return false;
    }
    return true;
  }

  membership_net net;
};

struct counted {
  double packets = 0, bytes = 0; // of a node and period
};

counted count_traffic(std::size_t n, std::uint64_t seed, unsigned periods) {
  cluster c(n, every(1s), seed, one_per_cent);
  auto const sum = [&] {
    std::pair<std::uint64_t, std::uint64_t> out;
    for (index i = 0; i < n; ++i) {
      out.first += c.net.of(i).core->metrics().packets_out;
      out.second += c.net.of(i).core->metrics().bytes_out;
    }
    return out;
  };
  auto const before = sum();
  c.net.pass(periods * 1s);
  auto const after = sum();
  auto const each = static_cast<double>(n) * periods;
  return {static_cast<double>(after.first - before.first) / each,
          static_cast<double>(after.second - before.second) / each};
}

struct detected {
  std::vector<base::duration> suspected, first, all;
  std::size_t missed = 0;
  std::size_t mistakes = 0; // deaths of others meanwhile
};

detected detect(std::size_t n, std::uint64_t seed, unsigned trials) {
  cluster c(n, every(200ms), seed, one_per_cent);
  detected out;
  std::string target;
  base::time_point first{}, last{}, suspected{};
  std::size_t deaths = 0;
  c.net.on_news = [&](index, swim::news const& news) {
    auto const* const changed = std::get_if<swim::member_changed>(&news);
    if (changed == nullptr) return;
    bool const ours = changed->member.node == target;
    if (changed->what == swim::change::suspected && ours && suspected == base::time_point{})
      suspected = c.net.now();
    if (changed->what != swim::change::died) return;
    if (!ours) {
      ++out.mistakes;
      return;
    }
    if (deaths++ == 0) first = c.net.now();
    last = c.net.now();
  };
  for (unsigned t = 0; t < trials; ++t) {
    c.net.pass(c.net.between(0ns, 400ms));
    auto const victim = static_cast<index>(c.net.below(n));
    target = c.net.of(victim).name;
    deaths = 0;
    suspected = {};
    auto const hung = c.net.now();
    c.net.of(victim).hung = true;
    while (deaths < n - 1 && c.net.now() - hung < 10s) c.net.pass(20ms);
    if (deaths < n - 1) ++out.missed;
    out.suspected.push_back(suspected - hung);
    out.first.push_back(first - hung);
    out.all.push_back(last - hung);
    c.net.start(victim); // as a new start
    for (int i = 0; i < 100 && !c.agree(); ++i) c.net.pass(100ms);
  }
  return out;
}

struct false_deaths {
  std::uint64_t of_healthy = 0, of_starved = 0;
  std::uint64_t suspicions = 0;
};

// The set-up of Lifeguard's section V: a quarter of the nodes have little CPU for five minutes.
false_deaths starve(std::size_t n, bool lifeguard, std::uint64_t seed, base::duration time) {
  auto o = every(1s);
  o.lifeguard = lifeguard;
  cluster c(n, o, seed, 0);
  false_deaths out;
  c.net.on_news = [&](index, swim::news const& news) {
    auto const* const changed = std::get_if<swim::member_changed>(&news);
    if (changed == nullptr) return;
    if (changed->what == swim::change::suspected) ++out.suspicions;
    if (changed->what != swim::change::died) return;
    ++(*c.net.find(changed->member.node) < n / 4 ? out.of_starved : out.of_healthy);
  };
  for (index i = 0; i < n / 4; ++i) c.net.starve(i, 20ms, 100ms, 3s);
  c.net.pass(time);
  return out;
}

struct steady {
  double node_hours = 0;
  std::uint64_t deaths = 0, suspicions = 0;
};

struct conditions {
  std::uint32_t loss = one_per_cent;
  bool connected = true;
  std::size_t members = 64;
  base::duration interval = 1s;
};

void run_steadily(steady& out, std::uint64_t seed, std::function<bool()> const& more, conditions const& in) {
  cluster c(in.members, every(in.interval), seed, in.loss, in.connected);
  c.net.on_news = [&](index, swim::news const& news) {
    auto const* const changed = std::get_if<swim::member_changed>(&news);
    if (changed == nullptr) return;
    if (changed->what == swim::change::died) ++out.deaths;
    if (changed->what == swim::change::suspected) ++out.suspicions;
  };
  while (more()) {
    c.net.pass(1min);
    out.node_hours += static_cast<double>(in.members) / 60;
  }
}

// How long until all views are right; none: not within a minute.
std::optional<base::duration> until_agreed(cluster& c) {
  auto const began = c.net.now();
  while (c.net.now() - began < 60s) {
    if (c.agree()) return c.net.now() - began;
    c.net.pass(100ms);
  }
  return std::nullopt;
}

std::optional<base::duration> mass_restart(std::size_t n, std::size_t restarted, base::duration interval,
                                           std::uint64_t seed) {
  cluster c(n, every(interval), seed, one_per_cent);
  for (index i = 0; i < restarted; ++i) c.net.stop(i, false);
  c.net.pass(10ms);
  for (index i = 0; i < restarted; ++i) {
    c.net.start(i, false);
    for (std::size_t k = 0; k < 3; ++k) // seeds
      c.net.connect(i, static_cast<index>(restarted + c.net.below(n - restarted)));
  }
  return until_agreed(c);
}

struct merged {
  std::optional<base::duration> halves, isolated, seen; // seen: by all others
};

merged merge(std::size_t n, base::duration interval, std::uint64_t seed) {
  merged out;
  for (bool const halves : {true, false}) {
    cluster c(n, every(interval), seed, one_per_cent);
    auto const border = halves ? static_cast<index>(n / 2) : 1U;
    auto const each_pair = [&](auto what) {
      for (index a = 0; a < border; ++a)
        for (auto b = border; b < n; ++b) what(a, b);
    };
    std::vector<std::pair<index, index>> links;
    each_pair([&](index a, index b) {
      c.net.cut(a, b, true);
      c.net.cut(b, a, true);
      if (c.net.of(a).connected.contains(b)) links.emplace_back(a, b);
    });
    for (auto const& [a, b] : links) c.net.disconnect(a, b);
    c.net.pass(60s); // long enough for each to be dead for the other
    base::check(!c.agree(), "sim: a cut parts");
    each_pair([&](index a, index b) {
      c.net.cut(a, b, false);
      c.net.cut(b, a, false);
    });
    // No connection comes back by itself here: what is measured is what membership does alone.
    auto const healed = c.net.now();
    if (!halves) {
      auto const seen = [&] {
        for (index i = 1; i < n; ++i)
          if (c.net.of(i).core->count(swim::status::alive) != n) return false;
        return true;
      };
      while (!seen() && c.net.now() - healed < 60s) c.net.pass(100ms);
      if (seen()) out.seen = c.net.now() - healed;
    }
    auto const more = until_agreed(c);
    if (more) (halves ? out.halves : out.isolated) = c.net.now() - healed;
  }
  return out;
}

class report {
public:
  void promise(std::string const& what, bool kept) {
    fmt::print("  {} {}\n", kept ? "ok    " : "BROKEN", what);
    std::fflush(stdout);
    good_ = good_ && kept;
  }
  bool good() const { return good_; }

private:
  bool good_ = true;
};

std::string seconds(std::optional<base::duration> d) {
  return d ? fmt::format("{:.1f} s", ms(*d) / 1000) : std::string("not within a minute");
}

void print_detection(report& r, bool is_short, std::uint64_t seed) {
  fmt::print("interval 200 ms, probe timeout 80 ms, 1 % loss; packets and bytes at the interval of 1 s.\n"
             "Everybody is connected to everybody up to {} members, above to about {} others.\n\n"
             "members  suspected first      first verdict        known to all     packets  bytes\n"
             "          p50    p99   max     p50    p99   max     p50    p99   max   per node and period\n",
             mesh_max, connections);
  struct row {
    std::size_t n;
    unsigned trials, periods;
  };
  std::vector<row> const rows =
      is_short ? std::vector<row>{{8, 300, 100}, {64, 60, 30}, {100, 100, 20}, {512, 6, 6}, {1000, 4, 4}}
               : std::vector<row>{{8, 1000, 600},  {64, 500, 100}, {100, 1000, 100}, {512, 100, 30},
                                  {1000, 100, 20}, {4096, 20, 10}, {10000, 8, 6}};
  std::map<std::size_t, detected> found;
  std::map<std::size_t, counted> traffic;
  for (auto const& [n, trials, periods] : rows) {
    auto const d = found[n] = detect(n, seed, trials);
    auto const t = traffic[n] = count_traffic(n, seed, periods);
    fmt::print("{:>7}", n);
    for (auto const* const v : {&d.suspected, &d.first, &d.all})
      fmt::print(" {:6.0f} {:6.0f} {:5.0f} ", ms(percentile(*v, 0.5)), ms(percentile(*v, 0.99)),
                 ms(percentile(*v, 1)));
    fmt::print(" {:6.2f} {:7.1f}\n", t.packets, t.bytes);
    std::fflush(stdout);
  }
  fmt::print("\n");
  for (auto const& [n, d] : found) {
    if (d.missed > 0 || d.mistakes > 0)
      r.promise(fmt::format("{} members: each hang is found by all, and nothing else is", n), false);
    if (n <= 100)
      r.promise(fmt::format("{} members: a hang is confirmed dead within 1 s (p99)", n),
                percentile(d.first, 0.99) <= 1s);
    if (n == 1000) r.promise("1000 members: all know within 2 s", percentile(d.all, 1) <= 2s);
  }
  double least = 1e9;
  double most = 0;
  double packets_most = 0;
  for (auto const& [n, t] : traffic) {
    least = std::min(least, t.bytes);
    most = std::max(most, t.bytes);
    packets_most = std::max(packets_most, t.packets);
  }
  r.promise(fmt::format("at most 2.5 packets per node and period: {:.2f}", packets_most),
            packets_most <= 2.5);
  r.promise(fmt::format("at most 600 bytes per node and second, flat: {:.0f} to {:.0f}", least, most),
            most <= 600 && most <= 1.25 * least);
}

void print_starved(report& r, bool is_short, std::uint64_t seed) {
  auto const plain = starve(128, false, seed, is_short ? 60s : 300s);
  auto const guarded = starve(128, true, seed, is_short ? 60s : 300s);
  fmt::print("128 members, 32 starved of CPU: false deaths heard, of healthy and of starved members\n"
             "  plain SWIM {} and {}, Lifeguard {} and {}\n",
             plain.of_healthy, plain.of_starved, guarded.of_healthy, guarded.of_starved);
  r.promise("at least 50 times fewer, and none of a healthy member",
            50 * (guarded.of_healthy + guarded.of_starved) <= plain.of_healthy + plain.of_starved &&
                guarded.of_healthy == 0);
}

void print_steady(report& r, bool is_short, std::uint64_t seed) {
  auto const steadily = [&](base::duration time, conditions const& in) {
    steady got;
    auto const until = std::chrono::steady_clock::now() + time;
    run_steadily(
        got, seed, [&] { return std::chrono::steady_clock::now() < until; }, in);
    fmt::print("{} members, interval {:.0f} ms, {} % loss{}: {:.0f} node-hours, {} suspicions heard, {} "
               "false deaths\n",
               in.members, ms(in.interval), in.loss / one_per_cent, in.connected ? "" : ", datagrams alone",
               got.node_hours, got.suspicions, got.deaths);
    std::fflush(stdout);
    return got;
  };
  auto const calm = steadily(is_short ? 1s : 120s, {});
  r.promise("no false death", calm.deaths == 0);
  // The fallback over a connection that never fails hides all else: without it there is something to count.
  steadily(is_short ? 500ms : 60s, {.connected = false});
  steadily(is_short ? 500ms : 60s, {.loss = 10 * one_per_cent, .connected = false});
  steadily(is_short ? 500ms : 60s,
           {.loss = 20 * one_per_cent, .connected = false, .members = 5, .interval = 200ms});
}

void print_restart(report& r, bool is_short, std::uint64_t seed) {
  for (auto const interval : {base::duration(200ms), base::duration(1s)}) {
    auto const n = is_short ? std::size_t{500} : std::size_t{5000};
    auto const took = mass_restart(n, n / 10 * 9, interval, seed);
    r.promise(fmt::format("{} of {} restarted at once, interval {:.0f} ms: right views after {}, within 10 s",
                          n / 10 * 9, n, ms(interval), seconds(took)),
              took && *took <= 10s);
  }
}

void print_merge(report& r, bool is_short, std::uint64_t seed) {
  for (auto const interval : {base::duration(200ms), base::duration(1s)}) {
    auto const n = is_short ? std::size_t{100} : std::size_t{1000};
    auto const m = merge(n, interval, seed);
    r.promise(fmt::format("halves of {}, interval {:.0f} ms: one again after {}, within 5 s", n, ms(interval),
                          seconds(m.halves)),
              m.halves && *m.halves <= 5s);
    r.promise(
        fmt::format("one of {} isolated, interval {:.0f} ms: back for the others after {}, within 5 s; the "
                    "others for it after {}, within 15 s",
                    n, ms(interval), seconds(m.seen), seconds(m.isolated)),
        m.seen && *m.seen <= 5s && m.isolated && *m.isolated <= 15s);
  }
}

struct part {
  char const* name;
  void (*print)(report& r, bool is_short, std::uint64_t seed);
};
constexpr part parts[] = {{"detection", print_detection},
                          {"starved", print_starved},
                          {"steady", print_steady},
                          {"restart", print_restart},
                          {"merge", print_merge}};

} // namespace

std::set<std::string_view> membership_table_parts() {
  std::set<std::string_view> names;
  for (auto const& p : parts) names.insert(p.name);
  return names;
}

bool print_membership_table(bool is_short, std::uint64_t seed, std::set<std::string> const& only) {
  report r;
  bool first = true;
  for (auto const& [name, print] : parts) {
    if (!only.empty() && !only.contains(name)) continue;
    if (!std::exchange(first, false)) fmt::print("\n");
    print(r, is_short, seed);
  }
  return r.good();
}

bool run_node_hours(std::uint64_t wanted, std::uint64_t seed) {
  constexpr double of_a_cluster = 1000;
  steady all;
  auto const end = static_cast<double>(wanted);
  while (all.node_hours < end && all.deaths == 0) {
    auto const until = std::min(all.node_hours + of_a_cluster, end);
    run_steadily(all, seed++, [&] { return all.node_hours < until && all.deaths == 0; }, {});
    fmt::print("\r{:.0f} node-hours, {} suspicions heard, {} false deaths", all.node_hours, all.suspicions,
               all.deaths);
    std::fflush(stdout);
  }
  fmt::print("\n");
  return all.deaths == 0;
}

} // namespace remora::sim
