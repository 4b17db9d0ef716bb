// The first configuration: when this node proposes it, and its part in what others propose (bootstrap.hpp).
#include "raft/machine.hpp"

#include <algorithm>

namespace remora::raft {

// The voters as they would be proposed now, sorted; none: it is not the time.
std::vector<voter> core::machine::first_voters() const {
  auto const free = [&](std::string const& node) -> peer const* {
    auto const p = peers_.find(node);
    bool const is = p != peers_.end() && p->second.speaks && !p->second.configured && p->second.votes;
    return is ? &p->second : nullptr;
  };
  std::vector<voter> out;
  if (!options_.voters.empty()) {
    std::size_t here = 0;
    bool own = false;
    for (auto const& node : options_.voters) {
      auto const* const p = free(node);
      own = own || node == self_.node;
      if (p != nullptr || node == self_.node) ++here;
      out.push_back({node, node == self_.node ? s_.instance : p != nullptr ? p->instance : 0});
    }
    if (!own || here < majority(out.size())) out.clear();
    return out;
  }
  auto const expected = options_.bootstrap_expect;
  if (expected == 0) return out;
  out.push_back({self_.node, s_.instance});
  for (auto const& node : seen_)
    if (auto const* const p = free(node); p != nullptr && p->expect == expected)
      out.push_back({node, p->instance});
  std::sort(out.begin(), out.end(), [](voter const& a, voter const& b) { return a.node < b.node; });
  if (out.size() < expected) return {};
  out.resize(expected);
  if (find_voter({.voters = out}, self_.node) == nullptr) out.clear();
  return out;
}

void core::machine::form() {
  if (configured_here() || d_.config.cluster != 0 || !votes_at_all()) return form_at_.reset();
  auto nodes = first_voters();
  if (nodes.empty()) {
    if (!proposal_) form_at_.reset();
    if (form_at_ && now_ >= *form_at_) form_at_ = now_ + random_timeout();
    return;
  }
  // The smallest name first; the next one, if it does not. Who is not here yet is waited for, a while: a
  // voter that is not bound from the beginning does not count until it is, and meanwhile fewer may fail.
  bool const all_here =
      std::none_of(nodes.begin(), nodes.end(), [](auto const& v) { return v.instance == 0; });
  auto const place =
      std::find_if(nodes.begin(), nodes.end(), [&](auto const& v) { return v.node == self_.node; }) -
      nodes.begin();
  auto const turn_at = [&] {
    return now_ + (place == 0 ? step() : place * options_.election_min + random_timeout());
  };
  if (!form_at_) {
    waits_for_all_ = !all_here;
    form_at_ = turn_at() + (all_here ? base::duration() : 4 * options_.election_max);
  } else if (all_here && std::exchange(waits_for_all_, false)) {
    form_at_ = std::min(*form_at_, turn_at());
  }
  if (now_ < *form_at_) return;
  form_at_ = now_ + random_timeout() + options_.election_min;
  highest_ballot_ = std::max(highest_ballot_, d_.promised.number) + 1;
  auto const cluster = random_.next() | 1U;
  bool const unanimous = options_.voters.empty();
  proposal_.emplace(ballot{highest_ballot_, self_.node}, std::move(nodes), unanimous, cluster);
  for (auto const& v : proposal_->nodes()) post(v.node, wire::prepare{proposal_->number()});
}

bool core::machine::takes_part_in_forming(std::string const& from) const {
  if (!votes_at_all() || configured_here() || d_.config.cluster != 0) return false;
  if (options_.bootstrap_expect > 0) return true;
  return std::binary_search(options_.voters.begin(), options_.voters.end(), from) &&
         std::binary_search(options_.voters.begin(), options_.voters.end(), self_.node);
}

void core::machine::on_message(std::string const& from, wire::prepare const& m) {
  if (m.ballot.node != from || !takes_part_in_forming(from)) return;
  auto out = on_prepare(d_, m);
  highest_ballot_ = std::max(highest_ballot_, d_.promised.number);
  if (std::holds_alternative<wire::promise>(out)) {
    changed_vote();
    if (from != self_.node) { // it has time
      proposal_.reset();
      form_at_ = now_ + random_timeout() + options_.election_min;
    }
  }
  post(from, std::move(out));
}

void core::machine::on_message(std::string const& from, wire::promise const& m) {
  if (!proposal_ || !takes_part_in_forming(from)) return;
  auto const value = proposal_->promised(from, m);
  if (!value) return;
  for (auto const& v : value->voters) post(v.node, wire::accept{proposal_->number(), *value});
}

void core::machine::on_message(std::string const& from, wire::refused const& m) {
  if (!proposal_ || m.promised <= proposal_->number() || !takes_part_in_forming(from)) return;
  highest_ballot_ = std::max(highest_ballot_, m.promised.number);
  proposal_.reset();
  form_at_ = now_ + random_timeout();
}

// Whose list is another one does not accept it; nor who would be no voter.
void core::machine::on_message(std::string const& from, wire::accept const& m) {
  if (m.ballot.node != from || !takes_part_in_forming(from)) return;
  if (find_voter(m.config, self_.node) == nullptr) return;
  if (!options_.voters.empty() &&
      !std::equal(m.config.voters.begin(), m.config.voters.end(), options_.voters.begin(),
                  options_.voters.end(), [](voter const& v, std::string const& n) { return v.node == n; }))
    return;
  auto out = on_accept(d_, m);
  highest_ballot_ = std::max(highest_ballot_, d_.promised.number);
  if (std::holds_alternative<wire::accepted>(out)) changed_vote();
  post(from, std::move(out));
}

void core::machine::on_message(std::string const& from, wire::accepted const& m) {
  if (!proposal_ || !takes_part_in_forming(from)) return;
  auto const chosen = proposal_->accepted(from, m);
  if (!chosen) return;
  proposal_.reset();
  adopt(*chosen); // and tells it, when it is on disk
}

} // namespace remora::raft
