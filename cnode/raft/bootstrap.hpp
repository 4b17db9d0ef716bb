// The first configuration: single-decree Paxos (Lamport 2001, "Paxos Made Simple", section 2.2) among the
// nodes that are to be its voters. What is chosen is the whole configuration, its cluster id included.
//
//   list     options.voters, the same list at all of them: a promise from a majority of the list, and its
//            acceptance by a majority of it. At most one configuration is ever chosen for the list, whatever
//            is lost, late, doubled or proposed at the same time.
//   expect   options.bootstrap_expect = N, and N nodes without a configuration are seen: the smallest name
//            proposes exactly those. Here nodes may have seen different ones, so the promise has to come from
//            all N, and the acceptance from a majority of them. At most one configuration is chosen among any
//            sets that share at least half of N: a promise from all of one set then meets every majority of
//            the other. Sets that share less can form two clusters, as with Consul's bootstrap_expect; two
//            groups that have not seen each other do. When they meet, foreign_cluster is said.
//
// What one acceptor has promised and accepted is on its disk before it is said. An acceptor that loses its
// disk between the choice and the moment when all have heard of it is beyond Paxos: with a majority lost, or
// one of three lost and another cut off since, a second configuration can be chosen.
//
// Paxos may be undecided for ever when two propose in turns; who is refused waits a random time.
#pragma once

#include "raft/messages.hpp"
#include "raft/types.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace remora::raft {

// The acceptor's half: what is to be said, and `d` changed, which is saved before.
wire::body on_prepare(durable& d, wire::prepare const& m);
wire::body on_accept(durable& d, wire::accept const& m);

// One attempt of a proposer.
class proposal {
public:
  // `nodes`, sorted, and their instances as far as they are known.
  proposal(raft::ballot number, std::vector<voter> nodes, bool unanimous, std::uint64_t cluster);

  raft::ballot const& number() const { return number_; }
  std::vector<voter> const& nodes() const { return nodes_; }
  // The configuration that acceptance is to be asked for: once, when enough have promised.
  std::optional<configuration> promised(std::string const& node, wire::promise const& m);
  // It is chosen.
  std::optional<configuration> accepted(std::string const& node, wire::accepted const& m);

private:
  raft::ballot number_;
  std::vector<voter> nodes_;
  bool unanimous_;
  std::uint64_t cluster_;
  std::map<std::string, wire::promise> promises_;
  std::optional<configuration> value_;
  std::vector<std::string> accepted_;
};

} // namespace remora::raft
