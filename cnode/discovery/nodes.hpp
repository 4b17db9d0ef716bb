// The nodes that discovery knows: who lists them, and how their two links are. A node is here as long as a
// source lists it, or something of its links is open.
//
// A source that answers completely, and not emptily, misses whom it listed and lists no more; after `grace`
// such answers it lists him no longer, and he is gone: a source has positively said so. A node that is gone
// and that no source lists is missing. Whoever lists a node again takes that back.
#pragma once

#include "base/random.hpp"
#include "base/time.hpp"
#include "discovery/types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace remora::discovery {

enum class phase : std::uint8_t {
  down,     // nothing is planned: it is not wanted, or waits for the other side's first outcome
  waiting,  // for its next attempt; timer
  ready,    // for a free place among the attempts
  dialling, // timer
  up,
  dropping, // up, and asked to end; timer
};

struct link {
  using place = std::tuple<bool, unsigned, std::uint64_t, std::uint64_t, side>;

  phase at = phase::down;
  bool ours = false;             // up by an attempt of ours
  unsigned asked = 0;            // attempts whose outcome the host owes; more than one when it is late
  base::time_point owed_until{}; // then it has forgotten them
  bool tried = false;            // an attempt has ended, or it was up
  bool awaited = false;          // by the round
  unsigned failures = 0;
  unsigned flaps = 0; // losses soon after it came up, one after the other
  std::string reason{};
  base::time_point up_since{};
  std::optional<base::time_point> fast_until{};
  std::optional<base::time_point> timer{};
  place in_line{}; // of ready
};

struct mention { // of one source
  bool listed = false;
  unsigned missed = 0;
  std::uint64_t answer = 0; // the last one that had it
};

struct known_node {
  std::string name;
  std::uint64_t serial = 0;
  std::vector<mention> by{}; // by the slot of the source
  std::size_t listed_by = 0;
  bool gone = false;
  std::array<link, 2> links{};

  bool listed() const { return listed_by > 0; }
  bool missing() const { return gone && !listed(); }
  link& of(side s) { return links.at(static_cast<std::size_t>(s)); }
  link const& of(side s) const { return links.at(static_cast<std::size_t>(s)); }
};
inline constexpr std::array<side, 2> each_side = {side::companion, side::app};

class known_nodes {
public:
  known_node* find(std::string_view name);
  known_node& find_or_add(std::string_view name);
  std::map<std::string, known_node, std::less<>>& all() { return all_; }
  std::map<std::string, known_node, std::less<>> const& all() const { return all_; }
  std::size_t listed_count() const { return listed_count_; }

  // The source lists it. nullptr: nodes_max are listed already. `fresh`: nobody did before.
  struct outcome {
    known_node* node = nullptr;
    bool fresh = false;
  };
  outcome mention_by(std::size_t slot, std::string_view name, std::uint64_t number, std::size_t nodes_max);

  // After a complete answer of the source: whom it has missed too often and nobody else lists.
  std::vector<known_node*> miss(std::size_t slot, std::uint64_t number, unsigned grace);

  // The source lists it no more, for a reason that says nothing of the node. True: nobody does.
  bool withdraw(std::size_t slot, known_node& n);

  std::size_t count_of(std::size_t slot) const;

  // Drops the node if nothing is known of it that matters. Others stay where they are.
  void drop_if_idle(known_node& n, base::time_point now);

private:
  void unlist(mention& m, known_node& n);

  std::map<std::string, known_node, std::less<>> all_; // in order: effects have one too
  std::size_t listed_count_ = 0;
  std::uint64_t last_serial_ = 0;
};

} // namespace remora::discovery
