#include "global/mutual.hpp"

#include "global/calls.hpp"

#include <fmt/format.h>

namespace remora::global {

using etf::am;
using etf::make;

namespace {

constexpr auto calm = std::chrono::milliseconds(3000); // without trouble: native nodes have compared by then
constexpr auto again_after = std::chrono::milliseconds(1000);

} // namespace

void mutual::unsettled() {
  differences_.clear();
  deadline_ = s_.now + calm;
}

void mutual::lost(etf::atom const& node) {
  differences_.erase(node);
  if (redialling_.contains(node)) return s_.emit(connect{node});
  redials_.erase(node);
}

void mutual::connected(etf::atom const& node, bool up) {
  if (redialling_.erase(node) > 0 && !up) partitions_.lost(node); // as an introduced one that is not reached
}

void mutual::wake() {
  if (!deadline_ || *deadline_ > s_.now) return;
  deadline_.reset();
  asked_.clear();
  auto const doubted = joining_.doubted();
  if (doubted.empty()) return;
  if (s_.locks.global() != nullptr) { // somebody joins
    deadline_ = s_.now + again_after;
    return;
  }
  for (auto const& node : doubted) {
    auto const tag = s_.next_id();
    asked_.emplace(tag, node);
    s_.emit(send{role::registrar, etf::destination(server_name, node.text()),
                 gen_call(s_.pid(role::registrar), tag, *make(am("get_known"))), false});
  }
}

bool mutual::heard(etf::view message) {
  auto const pair = message.tuple<2>();
  auto const tag = pair ? (*pair)[0].unsigned_integer() : std::nullopt;
  auto const found = tag ? asked_.find(*tag) : asked_.end();
  if (found == asked_.end()) return false;
  auto const node = found->second;
  asked_.erase(found);
  auto nodes = (*pair)[1].list();
  if (!nodes) {
    s_.complain("an answer to get_known of another shape", (*pair)[1]);
    return true;
  }
  bool knows_us = false;
  while (auto const item = nodes->next()) knows_us = knows_us || item->is_atom(s_.us.text());
  on_answer(node, knows_us);
  return true;
}

void mutual::on_answer(etf::atom const& node, bool knows_us) {
  if (!joining_.doubts(node)) {
    differences_.erase(node);
    return;
  }
  bool const known = s_.known.contains(node);
  // Neither knows the other, and the session that would mend it waits for its turn.
  bool const on_the_way = !knows_us && !known && joining_.has_session(node);
  if (on_the_way || (knows_us && known)) {
    differences_.erase(node);
    redials_.erase(node);
    joining_.trust(node);
    return;
  }
  auto const [before, fresh] = differences_.try_emplace(node, knows_us);
  if (!fresh && before->second == knows_us) return redial(node);
  before->second = knows_us;
  if (!deadline_) deadline_ = s_.now + again_after;
}

void mutual::redial(etf::atom const& node) {
  differences_.erase(node);
  if (++redials_[node] > redials_max) return;
  s_.log(notice::level::warning,
         fmt::format("global: {} and this node are connected and not known to each other alike; they are "
                     "connected anew",
                     node.text()));
  redialling_.insert(node);
  partitions_.leave(node);
  s_.emit(disconnect{node});
}

} // namespace remora::global
