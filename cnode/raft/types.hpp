// What election is told, asks and says. Values: they compare, and print the same in a log, a test and the
// simulator.
//
//   configuration   who votes               durable   what must be on disk before anything is said that rests
//   on it event           what goes into the core effect    what comes out, news among it
#pragma once

#include "base/time.hpp"
#include "base/wrong_option.hpp"

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace remora::raft {

using term = std::uint64_t;
using request_id = std::uint64_t;

// A voter is a node and the instance of its state: one that has lost its state is another voter, and abstains
// until the leader has taken it in again. 0: not bound yet, and no vote until it is.
struct voter {
  std::string node;
  std::uint64_t instance = 0;
  friend bool operator==(voter const&, voter const&) = default;
};

struct configuration {
  std::uint64_t cluster = 0; // drawn at the bootstrap; others' messages are not heard. 0: there is none yet
  raft::term term = 0;       // of the leader that made or took it over
  std::uint64_t version = 0;
  std::vector<voter> voters{}; // sorted by name
  friend bool operator==(configuration const&, configuration const&) = default;
  bool newer_than(configuration const& other) const {
    return std::pair(term, version) > std::pair(other.term, other.version);
  }
};

// One ballot of the bootstrap: single-decree Paxos among the first voters (raft/bootstrap.hpp).
struct ballot {
  std::uint64_t number = 0;
  std::string node{};
  friend auto operator<=>(ballot const&, ballot const&) = default;
};

struct durable {
  std::uint64_t instance = 0; // drawn when the state was made
  raft::term term = 0;
  std::string voted_for{}; // in this term
  configuration config{};
  ballot promised{}; // while there is no configuration
  ballot accepted{};
  configuration accepted_config{};
  base::duration promise{}; // the longest that it may have promised a leader: a restart waits as long
  friend bool operator==(durable const&, durable const&) = default;
};

struct options {
  base::duration heartbeat = std::chrono::milliseconds(100);
  base::duration election_min =
      std::chrono::milliseconds(500); // a follower waits between these two for its leader
  base::duration election_max = std::chrono::milliseconds(1'000);
  base::duration
      lease{}; // that voters promise to the leader; 0: three fifths of election_min. At most election_min
  base::duration name_lease = std::chrono::seconds(2); // of a named election
  std::uint32_t priority = 1;         // 0: never stands; a leader hands over to a greater one
  std::vector<std::string> voters{};  // the first configuration, if there is none
  std::uint32_t bootstrap_expect = 0; // .. or as many unconfigured nodes as this
  bool observer = false;              // never votes
  friend bool operator==(options const&, options const&) = default;
};

// How much faster or slower than true time a clock may run: two clocks differ by at most twice that.
inline constexpr double drift_max = 0.01;

struct limits { // each is tested
  std::size_t voters_max = 31;
  std::size_t observers_max = 4'096;
  std::size_t names_max = 10'000;                  // of named elections, at the leader
  std::size_t candidates_max = 1'024;              // of one name
  std::size_t campaigns_max = 10'000;              // of this node
  std::uint64_t name_tokens_max = (1U << 19U) - 1; // of one term; then the leader takes another term
  std::size_t name_bytes_max = 255;
  std::size_t message_bytes_max = 64U << 10U;
  std::uint64_t version_max = (1U << 19U) - 1; // of configurations: what the token has room for
  std::size_t requests_max = 10'000;           // of this node, that wait for an answer
  std::size_t held_max = 4'096;                // messages that wait for the disk; older ones are lost
  std::uint64_t term_max = (std::uint64_t{1} << 39U) - 1;
};

using base::wrong_option;
std::optional<wrong_option> find_wrong(options const& o);

// The token of a leadership: its term, and the version of the configuration it began with. Below 2^59.
constexpr std::uint64_t token_of(raft::term t, std::uint64_t version) { return t << 20U | version; }
// The token of a named election: the term of the leader that gave it, and how many it had given before. It is
// of the same numbers, so check_token takes both; bit 19 tells them apart, which no version reaches.
inline constexpr std::uint64_t name_token_bit = std::uint64_t{1} << 19U;
constexpr std::uint64_t name_token_of(raft::term t, std::uint64_t count) {
  return t << 20U | name_token_bit | count;
}
constexpr bool is_name_token(std::uint64_t token) { return (token & name_token_bit) != 0; }
constexpr raft::term term_of(std::uint64_t token) { return token >> 20U; }

// ---- events

struct start {
  std::optional<raft::durable> state; // none: there is nowhere to keep any, and so it is an observer
};
struct tick {}; // at next_deadline()
struct message {
  std::string node;
  std::string bytes;
};
struct peer_up { // a distribution connection
  std::string node;
};
struct peer_down {
  std::string node;
};
struct saved { // the persist of this id is on disk
  std::uint64_t id = 0;
};
struct save_failed { // it is not: the node abstains until one succeeds
  std::uint64_t id = 0;
  std::string text;
};
struct suspected_dead { // membership's verdict
  std::string node;
};
struct seen { // nodes that membership shows alive: for bootstrap_expect
  std::vector<std::string> nodes;
};
struct configure {
  raft::options options;
};
// Requests: each is answered once, by reply.
struct elect { // who leads, after an election if there has to be one
  request_id id = 0;
};
struct transfer { // empty: to whom it thinks best (resign)
  request_id id = 0;
  std::string to;
};
struct add_voter {
  request_id id = 0;
  std::string node;
};
struct remove_voter {
  request_id id = 0;
  std::string node;
};
struct check_token {
  request_id id = 0;
  std::uint64_t token = 0;
};
// Named elections. `owner` is a candidate of this node, its id never used twice.
struct campaign {
  std::uint64_t owner = 0;
  std::string name;
};
struct withdraw {
  std::uint64_t owner = 0;
};
struct stop {}; // a leader hands over, holders give back; nothing is sent after it

using event =
    std::variant<start, tick, message, peer_up, peer_down, saved, save_failed, suspected_dead, seen,
                 configure, elect, transfer, add_voter, remove_voter, check_token, campaign, withdraw, stop>;
std::string describe(event const& e);

// ---- effects

struct send {
  std::string node;
  std::string bytes;
};
// Write and sync, then say saved{id}. What depends on it comes out only then.
struct persist {
  std::uint64_t id = 0;
  raft::durable state;
};

enum class failure : std::uint8_t {
  not_configured, // there are no voters yet
  no_leader,
  not_leader,   // this node does not lead
  unknown_node, // not connected, or it takes no part
  is_voter,
  not_voter,
  busy, // a change is under way already
  too_many,
  timeout,
  stale_token,
  unknown_token,
  stopped,
};
std::string_view name_of(failure f);

struct led_by {
  std::string node;
  std::uint64_t token = 0;
  friend bool operator==(led_by const&, led_by const&) = default;
};
struct done {
  friend bool operator==(done const&, done const&) = default;
};
using result = std::variant<done, led_by, failure>;
struct reply {
  request_id id = 0;
  raft::result result;
};

// News: what the log, the door and subscribers hear.
struct leader_elected {
  std::string node;
  raft::term term = 0;
  std::uint64_t token = 0;
};
struct leader_lost {
  raft::term term = 0;
};
struct configured { // another configuration holds here
  configuration config;
};
struct name_won { // this node's candidate holds the name
  std::uint64_t owner = 0;
  std::string name;
  std::uint64_t token = 0;
};
struct name_lost { // .. no more
  std::uint64_t owner = 0;
  std::string name;
};
struct name_led { // as the leader tells everybody; an empty node: nobody holds it
  std::string name;
  std::string node;
  std::uint64_t token = 0;
};
struct abstains { // said once for each reason
  std::string text;
};
struct foreign_cluster { // another configuration's member: said once for each node
  std::string node;
};
using news = std::variant<leader_elected, leader_lost, configured, name_won, name_lost, name_led, abstains,
                          foreign_cluster>;
std::string describe(news const& n);
struct tell {
  raft::news news;
};

using effect = std::variant<send, persist, reply, tell>;
using effects = std::vector<effect>;
std::string describe(effect const& e);

// ---- what it says when asked

enum class role : std::uint8_t { unconfigured, observer, abstaining, follower, candidate, leader };
std::string_view name_of(role r);

struct status {
  raft::role role = raft::role::unconfigured;
  raft::term term = 0;
  std::string leader{}; // empty: none that it knows of
  std::uint64_t token = 0;
  base::duration lease_left{}; // of its own leadership; 0: it surely does not hold, or it does not lead
  configuration config{};
};

} // namespace remora::raft
