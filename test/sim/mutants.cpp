// Faults of our own making, each of which a checker must find: signals that get lost or arrive twice.
#include "sim/mutants.hpp"
#include "sim/cluster.hpp"

#include "base/check.hpp"

#include <algorithm>

namespace remora::sim {

namespace {
bool is(etf::view payload, std::string_view tag) {
  auto const first = payload.empty() ? std::nullopt : payload.element(0);
  return first && first->is_atom(tag);
}
} // namespace

std::vector<mutant> const& mutants() {
  using op = std::int64_t;
  auto const all_arrive = [](op, etf::view) { return 1U; }; // the fault is elsewhere: cluster::mutated()
  static std::vector<mutant> const all = {
      {"nobody_heals", "links", "connections", all_arrive},
      {"storm", "links", "storm", all_arrive},
      {"no_answer", "links", "stuck", all_arrive},
      {"deaf_to_nodedown", "links", "nodeup", all_arrive},
      {"leaked_process", "links", "processes", all_arrive},
      {"deaf_subscriber", "groups", "subscribers", all_arrive},
      {"forgotten_join", "groups", "local", all_arrive},
      {"blind_node", "ideal", "agreement", all_arrive},
      {"ghost_name", "ideal", "ghosts", all_arrive},
      {"lost_name", "ideal", "lost", all_arrive},
      {"two_yes", "ideal", "exclusive", all_arrive},
      {"needless_no", "ideal", "exclusive", all_arrive},
      {"shared_lock", "ideal", "exclusive", all_arrive},
      {"lost_lock", "ideal", "locks", all_arrive},
      {"blind_node", "ideal", "fresh", all_arrive},
      {"stuck_registration", "ideal", "stuck", all_arrive},
      {"lose_pg_leave", "groups", "ghosts", [](op, etf::view p) { return is(p, "leave") ? 0U : 1U; }},
      {"lose_down", "links", "monitors", [](op o, etf::view) { return o == 28 ? 0U : 1U; }},
      {"double_message", "links", "order", [](op o, etf::view) { return o == 22 ? 2U : 1U; }},
      {"lose_link", "links", "links", [](op o, etf::view) { return o == 1 ? 0U : 1U; }},
      {"lose_exit", "links", "links", [](op o, etf::view) { return o == 24 ? 0U : 1U; }},
      {"lose_pg_leave", "groups", "members", [](op, etf::view p) { return is(p, "leave") ? 0U : 1U; }},
      {"lose_pg_join", "groups", "members", [](op, etf::view p) { return is(p, "join") ? 0U : 1U; }},
      {"double_pg_join", "groups", "members", [](op, etf::view p) { return is(p, "join") ? 2U : 1U; }},
      {"lose_pg_discover", "groups", "members", [](op, etf::view p) { return is(p, "discover") ? 0U : 1U; }},
      {"lose_broadcast", "groups", "broadcast", [](op, etf::view p) { return p.integer() ? 0U : 1U; }},
      {"lose_answer", "links", "calls", [](op o, etf::view) { return o == 33 ? 0U : 1U; }},
  };
  return all;
}

void cluster::install_mutant() {
  if (settings_.mutant.empty()) return;
  auto const found = std::find_if(mutants().begin(), mutants().end(),
                                  [&](auto const& m) { return m.name == settings_.mutant; });
  base::check(found != mutants().end(), "sim: a mutant's name");
  world_.filter = [copies = found->copies](std::string const&, std::string const&, etf::view control,
                                           etf::view payload) -> std::size_t {
    return copies(control.element(0)->integer().value_or(0), payload);
  };
}

} // namespace remora::sim
