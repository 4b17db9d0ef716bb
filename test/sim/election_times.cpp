// How long a cluster of five is without a leader, at election timeouts of 150 to 300 ms, over links that take
// up to a millisecond and disks that take up to two. `sim --election-times --seed N --trace` prints it.
#include "sim/election.hpp"
#include "sim/election_world.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::sim {

using namespace std::chrono_literals;

namespace {

constexpr int rounds = 100;

struct wanted {
  std::string what;
  base::duration p50;
  base::duration p99;
};

class timing_run {
public:
  explicit timing_run(settings const& s) : world_(s, true) {}

  outcome run() {
    world_.on_reply = [](auto&, auto, auto const&) {};
    raft::options o;
    o.heartbeat = 30ms;
    o.election_min = 150ms;
    o.election_max = 300ms;
    for (auto const* const n : {"a@h", "b@h", "c@h", "d@h", "e@h"}) o.voters.emplace_back(n);
    for (int i = 0; i < 5; ++i) world_.add(o, true, 1 + raft::drift_max * (static_cast<double>(i) - 2) / 2);
    world_.calm();
    world_.links(100us, 900us);
    for (auto& h : world_.hosts()) {
      h->disk_spread = 4ms;
      world_.start(*h);
    }
    world_.pass(2s);
    // Whose connections close is known to be dead at once; who hangs is found out by the timeout.
    measure({"killed", 100ms, 300ms}, [&](auto& l) { world_.crash(l, election_world::fate::kept, true); });
    measure({"frozen", 250ms, 450ms}, [&](auto& l) { world_.pause(l); });
    measure({"transfer", 10ms, 20ms}, [&](auto& l) {
      auto& to = *world_.hosts().at((l.index + 1) % 5);
      world_.ask(
          l,
          [&](raft::request_id id) -> raft::event {
            return raft::transfer{id, to.name};
          },
          "transfer", 1s);
    });
    return world_.result();
  }

private:
  election_world::host* leading(election_world::host const* but) {
    for (auto& h : world_.hosts())
      if (h.get() != but && h->up() && !h->paused && h->core->lease_left(world_.local(*h)) > 0ns)
        return h.get();
    return nullptr;
  }

  void measure(wanted const& w, auto fault) {
    std::vector<base::duration> took;
    for (int i = 0; i < rounds && !world_.failed(); ++i) {
      auto* const l = leading(nullptr);
      if (l == nullptr) return world_.complain("times", "nobody leads");
      world_.pass(world_.between(0ms, 100ms));
      auto const began = world_.now();
      fault(*l);
      while (leading(l) == nullptr && world_.now() < began + 3s) world_.pass(100us);
      took.push_back(world_.now() - began);
      world_.resume(*l);
      world_.start(*l);
      world_.pass(1s);
    }
    if (world_.failed()) return;
    std::sort(took.begin(), took.end());
    auto const of = [&](std::size_t per_cent) { return took.at((took.size() - 1) * per_cent / 100); };
    auto const ms = [](base::duration d) { return static_cast<double>(d.count()) / 1e6; };
    auto const line = fmt::format("{}: p50 {:.1f} ms, p99 {:.1f} ms, most {:.1f} ms", w.what, ms(of(50)),
                                  ms(of(99)), ms(took.back()));
    world_.note(line);
    if (of(50) > w.p50 || of(99) > w.p99) world_.complain("times", line);
  }

  election_world world_;
};

} // namespace

outcome run_election_times(settings const& s) { return timing_run(s).run(); }

} // namespace remora::sim
