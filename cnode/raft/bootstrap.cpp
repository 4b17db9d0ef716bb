#include "raft/bootstrap.hpp"

#include "base/check.hpp"
#include "raft/quorum.hpp"

#include <algorithm>

namespace remora::raft {

// "If an acceptor receives a prepare request with number n greater than that of any prepare request to which
// it has already responded, then it responds with a promise not to accept any more proposals numbered less
// than n and with the highest-numbered proposal (if any) that it has accepted."
wire::body on_prepare(durable& d, wire::prepare const& m) {
  if (m.ballot < d.promised) return wire::refused{d.promised};
  d.promised = m.ballot;
  return wire::promise{m.ballot, d.instance, d.accepted, d.accepted_config};
}

// "If an acceptor receives an accept request for a proposal numbered n, it accepts the proposal unless it has
// already responded to a prepare request having a number greater than n."
wire::body on_accept(durable& d, wire::accept const& m) {
  if (m.ballot < d.promised) return wire::refused{d.promised};
  d.promised = m.ballot;
  d.accepted = m.ballot;
  d.accepted_config = m.config;
  return wire::accepted{m.ballot};
}

proposal::proposal(raft::ballot number, std::vector<voter> nodes, bool unanimous, std::uint64_t cluster)
    : number_(std::move(number)), nodes_(std::move(nodes)), unanimous_(unanimous), cluster_(cluster) {
  base::check(cluster_ != 0 && !nodes_.empty(), "bootstrap: a proposal has nodes and a cluster id");
}

// "If the proposer receives a response to its prepare requests from a majority of acceptors, then it sends an
// accept request [..] with a value v, where v is the value of the highest-numbered proposal among the
// responses, or is any value if the responses reported no proposals."
std::optional<configuration> proposal::promised(std::string const& node, wire::promise const& m) {
  if (m.ballot != number_ || value_) return std::nullopt;
  auto const of = std::find_if(nodes_.begin(), nodes_.end(), [&](voter const& v) { return v.node == node; });
  if (of == nodes_.end()) return std::nullopt;
  of->instance = m.instance;
  promises_.insert_or_assign(node, m);
  if (promises_.size() < (unanimous_ ? nodes_.size() : majority(nodes_.size()))) return std::nullopt;
  value_ = configuration{cluster_, 0, 1, nodes_};
  raft::ballot highest;
  for (auto const& [who, p] : promises_)
    if (p.accepted > highest) {
      highest = p.accepted;
      value_ = p.config;
    }
  return value_;
}

// Chosen when a majority of those have accepted it whom the configuration has as its voters.
std::optional<configuration> proposal::accepted(std::string const& node, wire::accepted const& m) {
  if (m.ballot != number_ || !value_ || find_voter(*value_, node) == nullptr) return std::nullopt;
  if (std::find(accepted_.begin(), accepted_.end(), node) != accepted_.end()) return std::nullopt;
  accepted_.push_back(node);
  if (accepted_.size() != majority(value_->voters.size())) return std::nullopt;
  return value_;
}

} // namespace remora::raft
