#include "swim/types.hpp"

#include "base/overload.hpp"
#include "swim/messages.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::swim {

namespace {

using namespace std::chrono_literals;

template <class Enum, std::size_t N>
std::string_view word(std::array<std::string_view, N> const& words, Enum e) {
  return words.at(static_cast<std::size_t>(e));
}

constexpr base::duration interval_min = 20ms;
constexpr base::duration interval_max = 1h;
constexpr std::uint32_t indirect_max = 16;
constexpr std::uint32_t factor_max = 100;

} // namespace

std::string_view name_of(kind k) { return k == kind::remora ? "remora" : "beam"; }
std::string_view name_of(status s) {
  return word(std::array<std::string_view, 4>{"alive", "suspect", "dead", "left"}, s);
}
std::string_view name_of(change c) {
  return word(std::array<std::string_view, 7>{"joined", "suspected", "cleared", "died", "left", "updated",
                                              "forgotten"},
              c);
}

std::string describe(address const& a) {
  if (a.port == 0) return "nowhere";
  bool const v4 = std::all_of(a.ip.begin(), a.ip.begin() + 10, [](auto b) { return b == 0; }) &&
                  a.ip[10] == 0xff && a.ip[11] == 0xff;
  if (v4) return fmt::format("{}.{}.{}.{}:{}", a.ip[12], a.ip[13], a.ip[14], a.ip[15], a.port);
  // RFC 5952: the longest run of zeros, of two groups at least, is written ::
  std::array<unsigned, 8> groups{};
  for (std::size_t i = 0; i < 8; ++i) groups.at(i) = a.ip.at(2 * i) * 256U + a.ip.at(2 * i + 1);
  std::size_t best = 8;
  std::size_t best_size = 1;
  for (std::size_t i = 0; i < 8; ++i) {
    std::size_t n = 0;
    while (i + n < 8 && groups.at(i + n) == 0) ++n;
    if (n > best_size) {
      best = i;
      best_size = n;
    }
  }
  std::string out;
  for (std::size_t i = 0; i < 8; ++i) {
    if (i == best) {
      out += "::";
      i += best_size - 1;
      continue;
    }
    if (!out.empty() && !out.ends_with(':')) out += ':';
    out += fmt::format("{:x}", groups.at(i));
  }
  return fmt::format("[{}]:{}", out, a.port);
}

std::optional<wrong_option> find_wrong(options const& o) {
  if (o.interval < interval_min || o.interval > interval_max)
    return wrong_option{"interval", "the interval is from 20 ms to an hour"};
  if (o.probe_timeout < 0ns || o.probe_timeout > o.interval * 4 / 5)
    return wrong_option{
        "probe_timeout",
        "the timeout of a probe is at most four fifths of the interval; 0 is two fifths of it"};
  if (o.probe_timeout > 0ns && o.probe_timeout < 1ms)
    return wrong_option{"probe_timeout", "the timeout of a probe is a millisecond at least, or 0"};
  if (o.indirect_probes > indirect_max)
    return wrong_option{"indirect_probes", "at most 16 members are asked to probe for this one"};
  if (o.suspicion_min < 0ns || o.suspicion_min > 24h)
    return wrong_option{"suspicion_min", "a suspicion lasts from 0 (chosen by the interval) to a day"};
  if (o.suspicion_max_factor < 1 || o.suspicion_max_factor > factor_max)
    return wrong_option{"suspicion_max_factor",
                        "a suspicion without confirmations lasts from 1 to 100 times the least"};
  if (o.sync_interval < 1s || o.sync_interval > 24h)
    return wrong_option{"sync_interval", "views are compared each second at most, each day at least"};
  return std::nullopt;
}

std::string describe(event const& e) {
  return std::visit(
      base::overload{
          [](start const&) { return std::string("start"); },
          [](tick const&) { return std::string("tick"); },
          [](packet const& p) {
            return fmt::format("packet from {}: {}", describe(p.from), describe_message(p.bytes));
          },
          [](peer_message const& p) {
            return fmt::format("message from {}: {}", p.node, describe_message(p.bytes));
          },
          [](peer_up const& p) { return fmt::format("peer_up {} {}", p.node, p.creation); },
          [](peer_down const& p) { return fmt::format("peer_down {}: {}", p.node, p.reason); },
          [](beam_answered const& b) { return fmt::format("beam_answered {} {}", b.node, b.id); },
          [](app_here const& a) { return "app_here " + a.node; },
          [](app_gone const&) { return std::string("app_gone"); },
          [](configure const&) { return std::string("configure"); },
          [](set_metadata const& m) { return fmt::format("set_metadata, {} bytes", m.bytes.size()); },
          [](user_event const& u) {
            return fmt::format("user_event {}, {} bytes", u.name, u.payload.size());
          },
          [](hearsay const& h) {
            return fmt::format("hearsay {} {} {}", h.node, name_of(h.status), h.incarnation);
          },
          [](tell_hearsay const& t) {
            return fmt::format("tell_hearsay {}, {} entries", t.to, t.entries.size());
          },
          [](leave const&) { return std::string("leave"); },
      },
      e);
}

std::string describe(news const& n) {
  return std::visit(base::overload{
                        [](member_changed const& c) {
                          auto out = fmt::format("{} {}", name_of(c.what), c.member.node);
                          if (c.member.kind == kind::beam) out += " (beam)";
                          if (!c.by.empty()) out += " by " + c.by;
                          return out;
                        },
                        [](event_heard const& e) {
                          return fmt::format("event {} of {}, {} bytes", e.name, e.from, e.payload.size());
                        },
                        [](leader_changed const& l) { return "leader " + l.node; },
                        [](limit_reached const& l) { return "limit: " + l.text; },
                    },
                    n);
}

std::string describe(effect const& e) {
  return std::visit(
      base::overload{
          [](send_packet const& s) {
            return fmt::format("send {} {}", describe(s.to), describe_message(s.bytes));
          },
          [](send_peer const& s) { return fmt::format("tell {} {}", s.node, describe_message(s.bytes)); },
          [](probe_beam const& p) { return fmt::format("probe_beam {} {}", p.node, p.id); },
          [](expel const& x) { return "expel " + x.node; },
          [](tell const& t) { return "news: " + describe(t.news); },
      },
      e);
}

} // namespace remora::swim
