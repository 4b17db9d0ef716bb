#include "sim/faults.hpp"

#include <fmt/format.h>

#include <numeric>

namespace remora::sim {

using namespace std::chrono_literals;

faults::faults(cluster& c) : c_(c) {
  for (auto& w : weights_) w = c_.chance(50) ? 0 : 2 + c_.below(10);
  for (auto const k : {kind::crash, kind::dark_crash, kind::leave})
    weights_.at(static_cast<std::size_t>(k)) /= 4;
  static constexpr std::array<base::duration, 4> lengths = {500ms, 5s, 20s, 90s};
  longest_ = lengths.at(c_.below(lengths.size()));
}

void faults::act() {
  auto const sum = std::accumulate(weights_.begin(), weights_.end(), std::uint64_t{0});
  if (sum == 0) return;
  auto drawn = c_.below(sum);
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    if (drawn < weights_.at(i)) return act(static_cast<kind>(i));
    drawn -= weights_.at(i);
  }
}

void faults::act(kind k) {
  auto* const a = c_.any();
  auto* const b = c_.any();
  if (a == nullptr) return;
  auto& w = c_.world();
  switch (k) {
  case kind::reset:
    if (a == b) return;
    c_.note(fmt::format("reset {} {}", a->name, b->name));
    return w.cut(a->name, b->name);
  case kind::disconnect:
    if (a == b) return;
    c_.note(fmt::format("{} disconnects {}", a->name, b->name));
    a->core->wake(c_.now());
    a->core->disconnect(b->name, "disconnect");
    return a->core->wake(c_.now()); // its processes hear of it
  case kind::dial_both:
    if (a == b) return;
    a->core->connect(etf::atom(b->name));
    return b->core->connect(etf::atom(a->name));
  case kind::dial_all: return c_.connect_all();
  case kind::one_way:
    if (a == b) return;
    c_.note(fmt::format("one way: {} does not reach {}", a->name, b->name));
    return stall(a->name, b->name, c_.up_to(longest_));
  case kind::pair: {
    if (a == b) return;
    c_.note(fmt::format("cut {} {}", a->name, b->name));
    auto const time = c_.up_to(longest_);
    stall(a->name, b->name, time);
    stall(b->name, a->name, time);
    if (c_.chance(30)) w.cut(a->name, b->name);
    return;
  }
  case kind::split: {
    std::set<std::string> one_side;
    for (auto const& m : c_.members())
      if (c_.chance(50)) one_side.insert(m.name);
    c_.note(fmt::format("split off {}", fmt::join(one_side, " ")));
    auto const time = c_.up_to(longest_);
    bool const reset = c_.chance(30);
    for (auto const& m : c_.members())
      for (auto const& n : c_.members())
        if (one_side.contains(m.name) != one_side.contains(n.name)) {
          stall(m.name, n.name, time);
          if (reset) w.cut(m.name, n.name);
        }
    return;
  }
  case kind::freeze:
    c_.freeze(*a);
    return c_.later(c_.up_to(longest_), [this, a, life = a->incarnation] {
      if (a->frozen && a->incarnation == life) c_.thaw(*a);
    });
  case kind::crash:
  case kind::dark_crash: c_.crash(*a, k == kind::dark_crash); return back_later(*a);
  case kind::leave: c_.leave(*a); return back_later(*a);
  case kind::count: return;
  }
}

void faults::stall(std::string const& from, std::string const& to, base::duration time) {
  if (++stalls_[{from, to}] == 1) c_.world().stall(from, to, true);
  c_.later(time, [this, from, to] {
    if (--stalls_[{from, to}] > 0) return;
    c_.note(fmt::format("heal {} {}", from, to));
    c_.world().stall(from, to, false);
  });
}

void faults::back_later(member& m) {
  if (c_.chance(10) && gone_ + 2 < c_.members().size()) { // for good
    ++gone_;
    return;
  }
  c_.later(c_.up_to(c_.chance(50) ? 1s : longest_) + (m.leaving ? 4s : 0s), [this, &m] {
    if (!m.up) c_.start(m);
  });
}

} // namespace remora::sim
