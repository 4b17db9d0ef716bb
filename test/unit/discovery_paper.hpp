// One core of discovery on paper: an event in, the text of its effects out. Time moves only when told.
#pragma once

#include "discovery/core.hpp"
#include "support/world.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace remora::test {

// Not secret: a packet is signed by the first letters of the secret, so that tests can write one.
inline discovery::signer paper_signer() {
  auto const sign = [](std::string_view secret, base::bytes_view bytes) {
    discovery::signature out{};
    std::copy_n(secret.begin(), std::min(secret.size(), out.size()), out.begin());
    std::uint8_t sum = 0;
    for (auto const b : bytes) sum = static_cast<std::uint8_t>(sum * 31U + b);
    out.back() = sum;
    return out;
  };
  return {sign, [sign](std::string_view secret, base::bytes_view bytes, base::bytes_view signature) {
            auto const right = sign(secret, bytes);
            return std::equal(right.begin(), right.end(), signature.begin(), signature.end());
          }};
}

struct discovery_paper {
  explicit discovery_paper(discovery::options o = {}, std::uint64_t seed = 1)
      : c({.node = "me@h", .boot_id = 7}, std::move(o), paper_signer(), seed) {}

  // The effects as lines; those of many attempts are sorted by the test where their order is drawn.
  lines take() {
    lines out;
    for (auto const& e : effects) out.push_back(discovery::describe(e));
    effects.clear();
    return out;
  }
  lines on(discovery::event const& e) {
    c.handle(e, now, effects);
    return take();
  }
  lines start() { return on(discovery::start{wall()}); }
  lines tick() { return on(discovery::tick{wall()}); }
  // Ticks at each deadline until then.
  lines pass(base::duration time) {
    lines out;
    auto const until = now + time;
    for (int rounds = 0; c.next_deadline() && *c.next_deadline() <= until; ++rounds) {
      REQUIRE_MESSAGE(rounds < 100'000, "a deadline that does not move");
      now = std::max(now, *c.next_deadline());
      auto const more = tick();
      out.insert(out.end(), more.begin(), more.end());
    }
    now = until;
    return out;
  }
  lines answer(discovery::question_id id, discovery::answer what) {
    return on(discovery::answered{id, std::move(what)});
  }
  lines lists(discovery::question_id id, std::vector<std::string> nodes) {
    return answer(id, discovery::listed{std::move(nodes)});
  }
  lines up(std::string node, discovery::side s = discovery::side::companion) {
    return on(discovery::link_up{s, std::move(node)});
  }
  lines down(std::string node, discovery::side s = discovery::side::companion) {
    return on(discovery::link_down{s, std::move(node), "lost"});
  }
  lines fails(std::string node, discovery::side s = discovery::side::companion) {
    return on(discovery::link_failed{s, std::move(node), "refused"});
  }
  discovery::wall_clock wall() const {
    return {1'700'000'000'000 + now.time_since_epoch() / std::chrono::milliseconds(1)};
  }

  static lines sorted(lines l) {
    std::sort(l.begin(), l.end());
    return l;
  }
  static std::size_t count(lines const& all, std::string_view beginning) {
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [&](auto const& l) { return l.starts_with(beginning); }));
  }

  discovery::core c;
  base::time_point now{};
  discovery::effects effects;
};

// Only the app's function lists, only this node dials, no jitter, a poll each 5 s.
inline discovery::options custom_only() {
  discovery::options o;
  o.sources = {discovery::custom{}};
  o.who = discovery::side::companion;
  o.poll_jitter = 0;
  return o;
}

} // namespace remora::test
