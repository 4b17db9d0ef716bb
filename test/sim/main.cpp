// sim: runs of simulated clusters, one for each seed. A failure prints the seed, what the checkers say and
// the end of the trace; the same seed gives the same run, so `sim --seed N --trace` shows all of it.
#include "sim/discovery.hpp"
#include "sim/election.hpp"
#include "sim/membership.hpp"
#include "sim/membership_table.hpp"
#include "sim/mutants.hpp"
#include "sim/run.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <set>
#include <unistd.h>

namespace {

using namespace remora;
using namespace remora::sim;

constexpr unsigned hang_seconds = 120; // one run; it takes milliseconds
constexpr std::uint64_t self_test_runs = 300;
constexpr std::uint64_t ideal_runs = 100;

struct fault { // of our own making
  std::string mutant;
  std::string checker; // that must complain
};

// Simulators of a core alone. `sim --NAME` runs that one.
struct world {
  std::string_view name;
  outcome (*run)(settings const&);
  std::vector<fault> (*faults)();
};

template <class Mutants>
std::vector<fault> faults_of(Mutants const& all) {
  std::vector<fault> out;
  for (auto const& m : all) out.push_back({m.name, m.checker});
  return out;
}

constexpr std::array worlds{
    world{"discovery", run_discovery, [] { return faults_of(discovery_mutants()); }},
    world{"election", run_election, [] { return faults_of(election_mutants()); }},
    world{"membership", run_membership, [] { return faults_of(membership_mutants()); }},
    world{"election-times", run_election_times, [] { return std::vector<fault>(); }},
};

struct options {
  settings each;
  std::uint64_t runs = 1;
  std::size_t lines = 80;
  bool repeat = false;
  bool self_test = false;
  bool keep_going = false;
  bool table = false; // of membership
  bool is_short = false;
  std::uint64_t node_hours = 0;
  world const* in = nullptr; // none: whole nodes
};

std::atomic<std::uint64_t> running = 0; // the seed, for the words of a run that ends badly

extern "C" void died(int signal) {
  char text[] = "sim: seed 00000000000000000000 ended by a signal\n";
  auto n = running.load();
  for (char* digit = text + 29; digit > text + 9; n /= 10) *--digit = static_cast<char>('0' + n % 10);
  if (write(STDERR_FILENO, text, sizeof text - 1) < 0) _exit(2);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

outcome one(options const& o, settings const& s) {
  running = s.seed;
  alarm(hang_seconds);
  auto out = o.in != nullptr ? o.in->run(s) : run(s);
  alarm(0);
  return out;
}

void show(test::lines const& trace, std::size_t last) {
  std::size_t const from = trace.size() > last ? trace.size() - last : 0;
  if (from > 0) fmt::print("    .. {} lines before, all of them with --trace\n", from);
  for (std::size_t i = from; i < trace.size(); ++i) fmt::print("    {}\n", trace[i]);
}

bool check(options const& o, settings s) {
  auto const got = one(o, s);
  if (o.repeat) {
    s.trace = true;
    auto const a = one(o, s);
    auto const b = one(o, s);
    if (a.trace != b.trace || a.steps != got.steps) {
      fmt::print("seed {}: two runs differ\n", s.seed);
      for (std::size_t i = 0; i < std::min(a.trace.size(), b.trace.size()); ++i)
        if (a.trace[i] != b.trace[i]) {
          fmt::print("    {}\n    {}\n", a.trace[i], b.trace[i]);
          break;
        }
      return false;
    }
  }
  if (o.each.trace && o.runs == 1) show(got.trace, got.trace.size());
  if (got.complaints.empty()) return true;
  fmt::print("seed {} failed\n", s.seed);
  for (auto const& c : got.complaints) fmt::print("  {}\n", c);
  if (!o.each.trace && o.lines > 0) {
    s.trace = true;
    show(one(o, s).trace, o.lines);
  }
  return false;
}

// Each fault of ours is found by the checker that has to, in one of so many seeds.
bool finds(options const& o, settings s, std::string const& checker) {
  std::uint64_t runs = 0;
  bool found = false;
  while (!found && runs < self_test_runs) {
    s.seed = o.each.seed + runs++;
    for (auto const& c : one(o, s).complaints) found = found || c.starts_with(checker + ":");
  }
  fmt::print("{}: {} {} {} run{}\n", s.mutant, checker, found ? "found it in" : "did not find it in", runs,
             runs == 1 ? "" : "s");
  return found;
}

// Every mutant is found, and nothing is said of a registry that is as it should be.
bool self_test(options const& o) {
  bool good = true;
  auto s = o.each;
  if (o.in != nullptr) {
    for (auto const& m : o.in->faults()) {
      s.mutant = m.mutant;
      good = finds(o, s, m.checker) && good;
    }
    return good;
  }
  for (std::uint64_t i = 0; i < ideal_runs; ++i) {
    s.seed = o.each.seed + i;
    s.only = {"ideal"};
    good = check(o, s) && good;
  }
  for (auto const& m : mutants()) {
    s.mutant = m.name;
    s.only = {m.subject};
    good = finds(o, s, m.checker) && good;
  }
  return good;
}

[[noreturn]] void usage() {
  std::cerr << "sim [--seed N] [--runs M] [--trace] [--lines L] [--nodes K] [--only links,groups,names]\n"
               "    [--repeat] [--keep-going] [--self-test] [--discovery | --election | --election-times | "
               "--membership]\n"
               "sim --membership --table [--short] [--only detection,starved,steady,restart,merge]\n"
               "sim --membership --node-hours N [--seed N]\n";
  std::exit(2);
}

world const* find_world(std::string_view option) {
  for (auto const& w : worlds)
    if (option.starts_with("--") && option.substr(2) == w.name) return &w;
  return nullptr;
}

// A part that nobody knows would run nothing, and pass.
void refuse_unknown_parts(options const& o) {
  std::set<std::string_view> known;
  if (o.table)
    known = membership_table_parts();
  else if (o.in == nullptr)
    known = run_parts();
  for (auto const& name : o.each.only)
    if (!known.contains(name)) {
      fmt::print(stderr, "sim: no part {} here; there are: {}\n", name, fmt::join(known, ", "));
      std::exit(2);
    }
}

options parse(int argc, char** argv) {
  options o;
  for (int i = 1; i < argc; ++i) {
    std::string const a = argv[i];
    auto const value = [&]() -> std::string {
      if (++i >= argc) usage();
      return argv[i];
    };
    auto const number = [&] {
      auto const text = value();
      std::uint64_t n = 0;
      auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
      if (error != std::errc() || end != text.data() + text.size()) usage();
      return n;
    };
    if (a == "--seed")
      o.each.seed = number();
    else if (a == "--runs")
      o.runs = number();
    else if (a == "--nodes")
      o.each.nodes = number();
    else if (a == "--lines")
      o.lines = number();
    else if (a == "--trace")
      o.each.trace = true;
    else if (a == "--repeat")
      o.repeat = true;
    else if (a == "--keep-going")
      o.keep_going = true;
    else if (a == "--self-test")
      o.self_test = true;
    else if (a == "--table")
      o.table = true;
    else if (a == "--short")
      o.is_short = true;
    else if (a == "--node-hours")
      o.node_hours = number();
    else if (auto const* const w = find_world(a))
      o.in = w;
    else if (a == "--mutant")
      o.each.mutant = value();
    else if (a == "--only") {
      auto const names = value();
      for (std::size_t from = 0; from <= names.size();) {
        auto const to = std::min(names.find(',', from), names.size());
        o.each.only.insert(names.substr(from, to - from));
        from = to + 1;
      }
    } else
      usage();
  }
  refuse_unknown_parts(o);
  return o;
}

} // namespace

int main(int argc, char** argv) {
  auto const o = parse(argc, argv);
  for (int const s : {SIGABRT, SIGALRM}) std::signal(s, died);
  if (o.self_test) return self_test(o) ? 0 : 1;
  if (o.table) return print_membership_table(o.is_short, o.each.seed, o.each.only) ? 0 : 1;
  if (o.node_hours > 0) return run_node_hours(o.node_hours, o.each.seed) ? 0 : 1;
  auto const began = std::chrono::steady_clock::now();
  std::uint64_t failed = 0;
  std::uint64_t done = 0;
  for (; done < o.runs && (failed == 0 || o.keep_going); ++done) {
    auto s = o.each;
    s.seed += done;
    if (!check(o, s)) ++failed;
  }
  std::chrono::duration<double> const took = std::chrono::steady_clock::now() - began;
  fmt::print("{} runs in {:.1f} s, {:.0f} per second: {} failed\n", done, took.count(),
             static_cast<double>(done) / took.count(), failed);
  return failed == 0 ? 0 : 1;
}
