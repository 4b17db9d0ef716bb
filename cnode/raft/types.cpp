#include "raft/types.hpp"

#include "base/overload.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

namespace remora::raft {

namespace {

template <class Enum, std::size_t N>
std::string_view word(std::array<std::string_view, N> const& words, Enum e) {
  return words.at(static_cast<std::size_t>(e));
}

std::string describe(configuration const& c) {
  if (c.cluster == 0) return "no configuration";
  std::vector<std::string> names;
  for (auto const& v : c.voters) names.push_back(v.instance == 0 ? v.node + "?" : v.node);
  return fmt::format("{}.{} [{}]", c.term, c.version, fmt::join(names, " "));
}

std::string describe(result const& r) {
  return std::visit(base::overload{[](done) { return std::string("done"); },
                                   [](led_by const& l) { return fmt::format("{} {}", l.node, l.token); },
                                   [](failure f) { return std::string(name_of(f)); }},
                    r);
}

} // namespace

std::string_view name_of(failure f) {
  return word(std::array<std::string_view, 12>{"not_configured", "no_leader", "not_leader", "unknown_node",
                                               "is_voter", "not_voter", "busy", "too_many", "timeout",
                                               "stale_token", "unknown_token", "stopped"},
              f);
}
std::string_view name_of(role r) {
  return word(std::array<std::string_view, 6>{"unconfigured", "observer", "abstaining", "follower",
                                              "candidate", "leader"},
              r);
}

std::string describe(event const& e) {
  return std::visit(
      base::overload{
          [](start const& s) {
            if (!s.state) return std::string("start without state");
            return fmt::format("start term {} vote {} {}", s.state->term,
                               s.state->voted_for.empty() ? "-" : s.state->voted_for,
                               describe(s.state->config));
          },
          [](tick const&) { return std::string("tick"); },
          [](message const& m) { return fmt::format("message {} {} bytes", m.node, m.bytes.size()); },
          [](peer_up const& p) { return "peer_up " + p.node; },
          [](peer_down const& p) { return "peer_down " + p.node; },
          [](saved const& s) { return fmt::format("saved {}", s.id); },
          [](save_failed const& s) { return fmt::format("save_failed {} {}", s.id, s.text); },
          [](suspected_dead const& s) { return "suspected_dead " + s.node; },
          [](seen const& s) { return fmt::format("seen [{}]", fmt::join(s.nodes, " ")); },
          [](configure const&) { return std::string("configure"); },
          [](elect const& r) { return fmt::format("elect {}", r.id); },
          [](transfer const& r) { return fmt::format("transfer {} {}", r.id, r.to); },
          [](add_voter const& r) { return fmt::format("add_voter {} {}", r.id, r.node); },
          [](remove_voter const& r) { return fmt::format("remove_voter {} {}", r.id, r.node); },
          [](check_token const& r) { return fmt::format("check_token {} {}", r.id, r.token); },
          [](campaign const& c) { return fmt::format("campaign {} {}", c.owner, c.name); },
          [](withdraw const& c) { return fmt::format("withdraw {}", c.owner); },
          [](stop const&) { return std::string("stop"); },
      },
      e);
}

std::string describe(news const& n) {
  return std::visit(
      base::overload{
          [](leader_elected const& e) {
            return fmt::format("leader_elected {} term {} token {}", e.node, e.term, e.token);
          },
          [](leader_lost const& e) { return fmt::format("leader_lost term {}", e.term); },
          [](configured const& e) { return "configured " + describe(e.config); },
          [](name_won const& e) { return fmt::format("name_won {} {} token {}", e.owner, e.name, e.token); },
          [](name_lost const& e) { return fmt::format("name_lost {} {}", e.owner, e.name); },
          [](name_led const& e) {
            return e.node.empty() ? fmt::format("name_led {} by nobody", e.name)
                                  : fmt::format("name_led {} {} token {}", e.name, e.node, e.token);
          },
          [](abstains const& e) { return "abstains: " + e.text; },
          [](foreign_cluster const& e) { return "foreign_cluster " + e.node; },
      },
      n);
}

std::string describe(effect const& e) {
  return std::visit(base::overload{
                        [](send const& s) { return fmt::format("send {} {} bytes", s.node, s.bytes.size()); },
                        [](persist const& p) {
                          return fmt::format("persist {} term {} vote {} {}", p.id, p.state.term,
                                             p.state.voted_for.empty() ? "-" : p.state.voted_for,
                                             describe(p.state.config));
                        },
                        [](reply const& r) { return fmt::format("reply {} {}", r.id, describe(r.result)); },
                        [](tell const& t) { return "tell " + describe(t.news); },
                    },
                    e);
}

} // namespace remora::raft
