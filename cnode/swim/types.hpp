// What membership is told, asks and says. Values: they compare, and print the same in a log, a test and the
// simulator. No key is in anything that describe() prints.
//
//   member    a node as it is seen           options   what is set
//   event     what goes into the core        effect    what comes out, news among it
#pragma once

#include "base/time.hpp"
#include "base/wrong_option.hpp"

#include <array>
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

namespace remora::swim {

// Where a member hears datagrams. IPv4 is kept as ::ffff:a.b.c.d.
struct address {
  std::array<std::uint8_t, 16> ip{};
  std::uint16_t port = 0; // 0: it has none
  friend auto operator<=>(address const&, address const&) = default;
};
std::string describe(address const& a); // 10.0.0.1:4000, [fd00::1]:4000

enum class kind : std::uint8_t {
  remora, // takes part: it probes and is probed by datagrams
  beam,   // a VM, or a remora node without membership: known by its distribution connections
};
enum class status : std::uint8_t { alive, suspect, dead, left };
std::string_view name_of(kind k);
std::string_view name_of(status s);

struct member {
  std::string node;
  swim::kind kind = kind::remora;
  swim::status status = status::alive;
  std::uint64_t epoch = 0; // of this start of the node, in ms since 1970 as it was seen; grows with each
  std::uint32_t incarnation = 0; // how often it has objected within its epoch
  std::uint32_t creation = 0;    // as the distribution has it; 0: not known
  swim::address at{};            // remora only
  std::string companion{};       // beam only: the remora node that belongs to it
  std::string metadata{};        // as swim/metadata.hpp writes it
  base::duration for_so_long{};  // since its status is this
  friend bool operator==(member const&, member const&) = default;
};

// ---- options

enum class expelling : std::uint8_t { never, dead }; // does a dead verdict disconnect the peer?

struct options {
  base::duration interval = std::chrono::seconds(1); // between two probes
  base::duration probe_timeout{};                    // of a direct probe; 0: two fifths of the interval
  std::uint32_t indirect_probes = 3;                 // helpers that are asked
  base::duration suspicion_min{};                    // 0: as the interval and the number of members say
  std::uint32_t suspicion_max_factor = 6;            // without confirmations: so many times suspicion_min
  base::duration sync_interval = std::chrono::seconds(30); // of push-pull; scaled with the number of members
  expelling expel = expelling::never;
  bool lifeguard = true; // false: plain SWIM, to compare with
  friend bool operator==(options const&, options const&) = default;
};

struct limits {                         // each is tested
  std::size_t members_max = 16'384;     // further ones are not taken in; said once
  std::size_t packet_bytes_max = 1'400; // of a datagram, seal included
  std::size_t metadata_bytes_max = 512;
  std::size_t event_bytes_max = 512; // of a user event, name and payload
  std::size_t events_max = 256;      // user events that are being spread; an older one gives way
  std::size_t name_bytes_max = 255;
  std::size_t message_bytes_max = 4U << 20U; // of one over the distribution
  std::size_t suspectors_max = 8;            // of one member, that are remembered
  std::size_t relays_max = 1'024;            // probes on behalf of others, under way
};

using base::wrong_option;
std::optional<wrong_option> find_wrong(options const& o);

// ---- events

struct wall_clock {
  std::int64_t unix_ms = 0;
};
struct start {
  wall_clock wall;
};
struct tick {}; // at next_deadline()
struct packet { // opened and found authentic
  std::string bytes;
  address from;
};
struct peer_message { // over the distribution connection
  std::string node;
  std::string bytes;
};
struct peer_up { // a distribution connection
  std::string node;
  std::uint32_t creation = 0;
};
struct peer_down {
  std::string node;
  std::string reason;
};
struct beam_answered {
  std::string node;
  std::uint64_t id = 0; // of the probe_beam
};
struct app_here { // the VM that this node belongs to
  std::string node;
};
struct app_gone {};
struct configure { // while it runs
  swim::options options;
};
struct set_metadata {
  std::string bytes; // at most limits::metadata_bytes_max: checked by the caller
};
struct user_event { // to all members, this one included
  std::string name;
  std::string payload;
};
struct hearsay { // from the application: what it believes of a node (gossip.merge)
  std::string node;
  swim::status status = status::alive;
  std::uint32_t incarnation = 0;
};
struct tell_hearsay { // to be merged by `to`
  std::string to;
  std::vector<hearsay> entries;
};
struct leave {}; // says so to the others; nothing is sent after it

using event = std::variant<start, tick, packet, peer_message, peer_up, peer_down, beam_answered, app_here,
                           app_gone, configure, set_metadata, user_event, hearsay, tell_hearsay, leave>;
std::string describe(event const& e);

// ---- effects

struct send_packet { // a datagram, to be sealed
  address to;
  std::string bytes;
};
struct send_peer { // over the distribution connection, if there is one; to its membership process
  std::string node;
  std::string bytes;
};
struct probe_beam { // is it answering? over its distribution connection
  std::string node;
  std::uint64_t id = 0;
};
struct expel { // end the distribution connection
  std::string node;
};

// News: what the log, the door and subscribers hear.
enum class change : std::uint8_t { joined, suspected, cleared, died, left, updated, forgotten };
std::string_view name_of(change c);
struct member_changed { // cleared: suspected no more; forgotten: dead or gone for long, and not listed any
                        // more
  change what = change::joined;
  swim::member member;
  std::string by{}; // suspected, died: who said so first
};
struct event_heard {
  std::string from;
  std::string name;
  std::string payload;
};
struct leader_changed { // the greatest name that is alive or suspected
  std::string node;
};
struct limit_reached {
  std::string text;
};
using news = std::variant<member_changed, event_heard, leader_changed, limit_reached>;
std::string describe(news const& n);

struct tell {
  swim::news news;
};

using effect = std::variant<send_packet, send_peer, probe_beam, expel, tell>;
using effects = std::vector<effect>;
std::string describe(effect const& e);

// ---- what it says when asked

struct metrics { // since the start
  std::uint64_t probes = 0;
  std::uint64_t probes_failed = 0; // without a direct answer
  std::uint64_t indirect_probes = 0;
  std::uint64_t fallback_probes = 0; // over the distribution
  std::uint64_t suspicions = 0;      // of others, by this node
  std::uint64_t refutations = 0;     // of suspicions of this node
  std::uint64_t deaths = 0;          // verdicts
  std::uint64_t packets_out = 0;
  std::uint64_t packets_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t malformed = 0; // authentic, and no message of this protocol
  std::uint64_t syncs = 0;
  friend bool operator==(metrics const&, metrics const&) = default;
};

struct self_health {
  std::uint32_t multiplier = 1; // Lifeguard's: 1 is well, at most 9
  base::duration lag{};         // how late its last ticks came, the worst of ten
};

} // namespace remora::swim
