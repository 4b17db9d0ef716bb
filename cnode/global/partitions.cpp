#include "global/partitions.hpp"

#include <fmt/format.h>

namespace remora::global {

using etf::am;
using etf::make;
using etf::tup;

namespace {
constexpr auto remembered_for = std::chrono::hours(1); // lost_conn_info_cleanup_time
constexpr unsigned creation_bits = 32;
constexpr std::uint64_t extension_max = std::uint64_t{1} << 27U; // the whole stays below 2^59
} // namespace

partitions::partitions(state& s)
    : s_(s), incarnation_((s.random.below(extension_max) << creation_bits) + s.creation) {}

void partitions::multicast(etf::atom const& except, etf::term const& message) {
  auto const to = [&](auto const& nodes) {
    for (auto const& [node, version] : nodes)
      if (node != except && version >= pop_version) s_.send_plain(node, message);
  };
  to(s_.known);
  to(s_.pending);
}

void partitions::lost(etf::atom const& node) {
  bool const expected = s_.removing.erase(node) > 0;
  if (!expected && on())
    multicast(node, make(tup(am("lost_connection"), s_.us, incarnation_, ++operation_, node)));
  forget(node);
}

void partitions::on_lost_connection(etf::view message) {
  auto const m = message.tuple<5>();
  auto const operation = m ? (*m)[3].integer() : std::nullopt;
  if (!m || !operation || !(*m)[1].is_atom() || !(*m)[2].integer() || !(*m)[4].is_atom())
    return s_.complain("a lost_connection message of another shape", message);
  if (!on()) return;
  etf::atom const a(*(*m)[1].atom_text());
  etf::atom const b(*(*m)[4].atom_text());
  key const pair{a, b};
  if (auto const found = seen_.find(pair);
      found != seen_.end() && *found->second.incarnation == (*m)[2] && *operation <= found->second.operation)
    return;
  multicast(a, etf::term(message));
  auto const until = s_.now + remembered_for;
  seen_.insert_or_assign(pair, report{etf::term((*m)[2]), *operation, until});
  ends_.emplace_back(until, pair);
  while (seen_.size() > s_.opts.limit.lost_max || ends_.size() > 2 * s_.opts.limit.lost_max) {
    auto const [end, oldest] = ends_.front();
    ends_.pop_front();
    if (auto const found = seen_.find(oldest); found != seen_.end() && found->second.until == end)
      seen_.erase(found);
  }
  auto const& removed = b == s_.us ? a : b;
  if (!s_.potentially_known(removed)) return;
  part(removed);
  s_.log(notice::level::warning,
         fmt::format("global: requested disconnect from {} in order to prevent overlapping partitions",
                     removed.text()));
}

void partitions::part(etf::atom const& node) {
  if (s_.potentially_known(node)) leave(node);
}

// Both ends know that it is meant, and report no loss. (Of a node that an introduction has yet to reach
// nothing will be lost: what is said of its next connection is not meant.)
void partitions::leave(etf::atom const& node) {
  s_.send_plain(node, make(tup(am("remove_connection"), s_.us)));
  if (s_.up.contains(node)) s_.removing.insert(node);
  forget(node);
}

void partitions::on_remove_connection(etf::atom const& node) {
  if (!s_.potentially_known(node)) return;
  s_.log(notice::level::warning,
         fmt::format("global: disconnected {} in order to prevent overlapping partitions", node.text()));
  s_.removing.insert(node);
  forget(node);
  s_.emit(disconnect{node});
}

std::optional<base::time_point> partitions::next_deadline() const {
  if (ends_.empty()) return std::nullopt;
  return ends_.front().first;
}

void partitions::wake() {
  while (!ends_.empty() && ends_.front().first <= s_.now) {
    auto const found = seen_.find(ends_.front().second);
    if (found != seen_.end() && found->second.until == ends_.front().first) seen_.erase(found);
    ends_.pop_front();
  }
}

} // namespace remora::global
