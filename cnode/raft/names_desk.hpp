// Named elections at the leader: who holds which name, who waits for it, who is told. (Leases on names are
// sessions with the leader, as in Chubby, Burrows 2006, section 2.8: one renewal for all names of a node.)
//
//  - A node has a session as long as its renewals come, `name_lease` from each. Only a leader whose own lease
//    holds takes a renewal, confirms it, or gives a name away: `sure`.
//  - The node counts from when it sent the renewal, and less (surely()): it has found its session over before
//    it is over here. Then it begins another; what belonged to the one before is free.
//  - A session that is over here is never taken up again: a renewal of it may have been late.
//  - A new leader takes over what nodes still hold, with the tokens that they have: what they say in its term
//    they said after the lease of the leader before it. It gives nothing to anybody else until the longest
//    lease of its predecessor has run out: settled.
//  - Whoever waits for a name longest is next.
#pragma once

#include "base/time.hpp"
#include "raft/messages.hpp"
#include "raft/types.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace remora::raft {

class name_desk {
public:
  explicit name_desk(limits const& l) : limits_(l) {}

  void begin(raft::term t, base::time_point settles); // a new leadership: nothing is known
  void end();                                         // of it

  void renew(std::string const& node, wire::session const& renewal, base::duration lease,
             base::time_point now);
  struct standing {
    wire::session confirmed{};
    bool over = false;
    base::duration lease{}; // that it was confirmed for
  };
  standing standing_of(std::string const& node) const;

  // None: it is not of a session that goes on.
  std::optional<wire::claims_reply> claimed(std::string const& node, wire::claims const& c,
                                            base::time_point now);
  void leave(std::string const& node); // it says itself that all is over
  void expire(base::time_point now);   // each heartbeat; a session that is asked for is looked at in any case

  // Gives free names to who waits. Called when the leader's lease holds.
  void give(base::time_point now);
  // Names that were given and that the node has not said to hold: new ones, or again after `pause`.
  std::vector<std::pair<std::string, wire::grants>> grants_due(base::time_point now, base::duration pause);

  // What has changed in the table since `from`; none: nothing.
  std::optional<wire::table> table_since(std::uint64_t from) const;
  std::uint64_t table_version() const { return version_; }

  bool settled(base::time_point now) const { return now >= settles_; }
  base::time_point settles() const { return settles_; }
  enum class standing_of_token : std::uint8_t { current, stale, unknown, unsure };
  standing_of_token look_up(std::uint64_t token, base::time_point now) const;
  // All tokens of the term are given: it takes another term to go on.
  bool exhausted() const { return given_ >= limits_.name_tokens_max; }

  std::size_t name_count() const { return names_.size(); }
  std::size_t session_count() const { return sessions_.size(); }

private:
  struct candidate {
    std::string node;
    std::uint64_t owner = 0;
    friend auto operator<=>(candidate const&, candidate const&) = default;
  };
  struct held_name {
    std::optional<candidate> holder{};
    std::uint64_t token = 0;
    bool confirmed = false; // the holder has said that it knows
    std::optional<base::time_point> told{};
    std::deque<candidate> waiting{};
  };
  struct node_session {
    std::uint64_t id = 0;
    std::uint64_t sequence = 0;
    std::uint64_t batch = 0;
    bool over = false;
    base::duration lease{};
    base::time_point until{};
    std::map<std::uint64_t, std::string> owners{}; // their names
    std::optional<wire::claims_reply> answered{};  // to the last batch
  };
  struct table_row {
    std::string node;
    std::uint64_t token = 0;
    std::uint64_t version = 0;
  };

  wire::verdict take(std::string const& node, node_session& s, wire::claim const& c, base::time_point now);
  wire::verdict keep(std::string const& node, node_session& s, wire::claim const& c, base::time_point now);
  void forget_owner(std::string const& node, node_session& s, std::uint64_t owner);
  void close(std::string const& node, node_session& s);
  void expire(std::string const& node, node_session& s, base::time_point now);
  bool has_room(std::string const& node);
  void release(std::string const& name);
  void drop_if_idle(std::string const& name);
  void write_row(std::string const& name, std::string const& node, std::uint64_t token);

  limits limits_;
  raft::term term_ = 0;
  base::time_point settles_{};
  bool told_settled_ = false;
  std::uint64_t given_ = 0;
  std::map<std::string, held_name> names_;
  std::map<std::string, node_session> sessions_;
  std::set<std::string> free_;                                   // .. and somebody waits
  std::set<std::string> unconfirmed_;                            // .. given, and not yet confirmed
  boost::unordered_flat_map<std::uint64_t, std::string> tokens_; // current ones
  std::map<std::string, table_row> rows_;
  std::map<std::uint64_t, std::string> changes_; // rows by version
  std::set<std::uint64_t> empty_rows_;           // versions of rows that say: nobody
  std::uint64_t version_ = 0;
  std::uint64_t forgotten_ = 0; // changes up to here are not kept
};

} // namespace remora::raft
