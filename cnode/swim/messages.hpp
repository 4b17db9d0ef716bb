// What members say to each other. One layout, for datagrams (inside the envelope) and for messages over the
// distribution connection; integers big-endian, text with a length before it.
//
//   version u8 | kind u8 | flags u8 | sequence u32 | sender: u8 name, epoch u64, incarnation u32 | view u64
//   ping, ping_req: u8 name of the target      ping_req: its address
//   then updates, to the end
//
// `view` is a digest of whom the sender believes to be there: two that say the same know the same.
//
//   alive    1 | name | epoch | incarnation | creation u32 | address | u16 metadata     by the subject only
//   suspect  2 | name | epoch | incarnation | u8 name of who suspects
//   dead     3 | name | epoch | incarnation | u8 name of who suspected first
//   left     4 | name | epoch | incarnation                                             by the subject only
//   held     5 | status u8 | as alive: what the sender knows of a member                distribution only
//   beam     6 | name | creation u32 | state u8 | companion u8 | u8 reporter | epoch | version u32
//   event    7 | origin: name | epoch | number u32 | u8 event's name | u16 payload
//   hearsay  8 | name | status u8 | incarnation u32                                     distribution only
//
//   address  family u8 (0 none, 4, 6) | 4 or 16 bytes | port u16
//
// A message is read as a whole before anything of it is believed.
#pragma once

#include "swim/types.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace remora::swim {

enum class message_kind : std::uint8_t {
  ping = 1, // are you there? answered by ack
  ack = 2,
  ping_req = 3, // ping the target for me: answered by ack, or by nack when it does not answer in time
  nack = 4,
  gossip = 5,        // only updates
  hello = 16,        // over a connection that is new: I am a remora node. Answered by hello_answer
  hello_answer = 17, //
  sync = 18,         // all that I know; the first part asks for all that you know
  sync_answer = 19,
  fallback_ping = 20, // a ping over the distribution connection
  fallback_ack = 21,
  rumours = 22, // hearsay for the application's sake
};

enum class update_kind : std::uint8_t {
  alive = 1,
  suspect = 2,
  dead = 3,
  left = 4,
  held = 5,
  beam = 6,
  happening = 7, // a user event
  hearsay = 8
};
enum class reach : std::uint8_t { reached = 0, silent = 1, lost = 2 }; // what a reporter says of a VM
std::string_view name_of(message_kind k);
std::string_view name_of(reach r);

inline constexpr std::uint64_t epoch_max = (std::uint64_t{1} << 48U) - 1; // the year 10889

struct message {
  static constexpr std::uint8_t introduce = 1; // flag: I do not know you, or not what you said last
  static constexpr std::uint8_t asks = 2;      // flag of sync: answer with what you know
  static constexpr std::uint8_t compares = 4;  // flag of sync: nothing is told yet; if our views differ, do

  message_kind kind = message_kind::gossip;
  std::uint8_t flags = 0;
  std::uint32_t sequence = 0;
  std::string_view node{};
  std::uint64_t epoch = 0;
  std::uint32_t incarnation = 0;
  std::uint64_t view = 0;
  std::string_view target{};
  address at{};
};

struct update {
  update_kind what = update_kind::alive;
  std::string_view node{};
  std::uint64_t epoch = 0; // beam: of the reporter
  std::uint32_t incarnation = 0;
  std::uint32_t creation = 0;
  address at{};
  std::string_view metadata{};
  std::string_view by{};        // who suspects; beam: the reporter
  status held = status::alive;  // held, hearsay
  reach state = reach::reached; // beam
  bool companion = false;       // beam: the reporter belongs to it
  std::uint32_t number = 0;     // event, beam's version
  std::string_view name{};      // event
  std::string_view payload{};   // event
};

// Appends.
void write(std::string& out, message const& m);
void write(std::string& out, update const& u);

// False: it is no message. Views into `bytes`; `updates` is cleared first.
bool read(std::string_view bytes, limits const& l, message& m, std::vector<update>& updates);

bool is_name(std::string_view name, limits const& l);

std::string describe_message(std::string_view bytes);

} // namespace remora::swim
