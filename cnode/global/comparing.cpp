#include "global/comparing.hpp"

#include <fmt/format.h>

namespace remora::global {

using etf::am;
using etf::make;
using etf::tup;

namespace {

constexpr int version = 1;
constexpr std::uint64_t calm_ms = 2000; // without trouble, and up to a half more: not all nodes at once
constexpr auto again_after = std::chrono::milliseconds(1000);

} // namespace

void comparing::unsettled() {
  differences_.clear();
  deadline_ = s_.now + std::chrono::milliseconds(calm_ms + s_.random.below(calm_ms / 2));
}

void comparing::lost(etf::atom const& node) {
  differences_.erase(node);
  rejoins_.erase(node);
}

void comparing::wake() {
  if (!deadline_ || *deadline_ > s_.now) return;
  deadline_.reset();
  if (busy() || s_.locks.global() != nullptr) {
    deadline_ = s_.now + again_after;
    return;
  }
  // The first time all that we know; then those that differed.
  if (differences_.empty())
    for (auto const& [node, v] : s_.known) compare(node);
  else
    for (auto const& [node, d] : differences_) compare(node);
}

void comparing::compare(etf::atom const& node) {
  if (!s_.up.contains(node)) return;
  s_.emit(send{role::registrar, etf::destination(comparing_name, node.text()),
               make(tup(am("compare"), version, s_.us, s_.names.digest())), false});
}

bool comparing::heard(etf::view message) {
  auto const arity = message.arity();
  auto const tag = arity && *arity >= 3 ? message.element(0)->atom_text() : std::nullopt;
  if (!tag || (*tag != "compare" && *tag != "compared" && *tag != "rejoin")) return false;
  auto const name = message.element(2)->atom_text();
  if (message.element(1)->integer() != version || !name || !s_.up.contains(etf::atom(*name))) return true;
  etf::atom const node(*name);
  if (*tag == "compare" && *arity == 4) {
    s_.emit(send{role::registrar, etf::destination(comparing_name, node.text()),
                 make(tup(am("compared"), version, s_.us, s_.known.contains(node), s_.names.digest())),
                 false});
  } else if (*tag == "compared" && *arity == 5) {
    auto const knows_us = message.element(3)->boolean();
    auto const his = message.element(4)->unsigned_integer();
    if (knows_us && his) on_compared(node, *knows_us, *his);
  } else if (*tag == "rejoin") {
    anew(node, false);
  }
  return true;
}

void comparing::on_compared(etf::atom const& node, bool knows_us, std::uint64_t his) {
  difference const now{knows_us, his, s_.names.digest()};
  auto const found = differences_.find(node);
  if (!s_.known.contains(node) || (knows_us && his == now.ours)) {
    if (found != differences_.end()) differences_.erase(found);
    rejoins_.erase(node);
    return;
  }
  // Twice the same: not a registration that is on its way. One node at a time, for its names may be all that
  // is missing.
  if (found != differences_.end() && found->second == now) {
    if (++rejoins_[node] > rejoins_max) return;
    s_.log(notice::level::warning,
           fmt::format("global: {} and this node {}; they join anew", node.text(),
                       knows_us ? "have different names" : "are not known to each other"));
    differences_.clear();
    s_.emit(send{role::registrar, etf::destination(comparing_name, node.text()),
                 make(tup(am("rejoin"), version, s_.us)), false});
    return anew(node, true);
  }
  differences_.insert_or_assign(node, now);
  if (!deadline_) deadline_ = s_.now + again_after;
}

} // namespace remora::global
