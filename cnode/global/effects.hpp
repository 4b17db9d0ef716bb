// What the registry asks of its host, and what the host tells it. Values that print and compare.
#pragma once

#include "base/time.hpp"
#include "etf/destination.hpp"
#include "etf/term.hpp"
#include "global/policy.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace remora::global {

// The three processes of ours that take part (protocol.md 7): each is a pid that others see and watch.
enum class role : std::uint8_t { name_server, locker, registrar };
inline constexpr std::size_t roles = 3;
std::string_view name_of(role r);

// ---- effects

struct send {
  role as;
  etf::destination to;
  etf::term message;
  bool dial = true;
  friend bool operator==(send const&, send const&) = default;
};
struct reply { // to a gen_server call: From as it came
  etf::term from;
  etf::term answer;
  friend bool operator==(reply const&, reply const&) = default;
};
struct watch { // watched_ended once, unless it is taken back; asked for once at a time
  role as;
  etf::destination whom;
  friend bool operator==(watch const&, watch const&) = default;
};
struct unwatch {
  role as;
  etf::destination whom;
  friend bool operator==(unwatch const&, unwatch const&) = default;
};
struct connect { // connect_result comes back
  etf::atom node;
  friend bool operator==(connect const&, connect const&) = default;
};
struct disconnect {
  etf::atom node;
  friend bool operator==(disconnect const&, disconnect const&) = default;
};
struct kill { // exit(Pid, kill), as the name server
  etf::pid whom;
  friend bool operator==(kill const&, kill const&) = default;
};
struct resolve_there { // rpc of global:resolve_it/4; resolved_there comes back
  std::uint64_t id;
  etf::atom node;
  etf::term arguments;
  friend bool operator==(resolve_there const&, resolve_there const&) = default;
};
struct ask_callback { // a native function of policy::kind::callback; callback_answer comes back, or too late
  std::uint64_t id;
  std::uint64_t callback;
  etf::term name;
  etf::pid theirs;
  etf::pid ours;
  friend bool operator==(ask_callback const&, ask_callback const&) = default;
};
struct resolution { // the answer to resolve_request: a pid, or none
  std::uint64_t id;
  etf::term answer;
  friend bool operator==(resolution const&, resolution const&) = default;
};
struct outcome {
  enum class what : std::uint8_t { yes, no, timeout, busy }; // busy: more requests wait than may
  what said = what::yes;
  etf::atom node{}; // that did not answer in time
  friend bool operator==(outcome const&, outcome const&) = default;
};
struct answer { // to a request of ours
  std::uint64_t id;
  outcome result;
  friend bool operator==(answer const&, answer const&) = default;
};
struct notice { // for the log
  enum class level : std::uint8_t { info, warning };
  level how;
  std::string text;
  friend bool operator==(notice const&, notice const&) = default;
};

using effect = std::variant<send, reply, watch, unwatch, connect, disconnect, kill, resolve_there,
                            ask_callback, resolution, answer, notice>;
using effects = std::vector<effect>;
std::string describe(effect const& e); // one line

// ---- events

struct node_up { // a visible peer
  etf::atom node;
};
struct node_down {
  etf::atom node;
};
struct connect_result {
  etf::atom node;
  bool up;
};
struct message { // arrived at one of the three processes
  role at;
  etf::term what;
};
struct watched_ended {
  role as;
  etf::destination whom;
};
struct request { // of native code and of the door; one answer comes
  enum class what : std::uint8_t { register_name, re_register_name, unregister_name };
  std::uint64_t id;
  what wanted;
  etf::term name;
  etf::pid pid{};
  policy method{};
};
struct resolve_request { // somebody calls global:resolve_it/4 here
  std::uint64_t id;
  etf::term method;
  etf::term name;
  etf::pid theirs;
  etf::pid ours;
};
struct resolved_there {
  std::uint64_t id;
  std::optional<etf::term> answer; // none: the call failed
};
struct callback_answer {
  std::uint64_t id;
  std::optional<etf::pid> keeps;
};
struct part { // the connection to that node is about to be closed here, on purpose
  etf::atom node;
};
struct tick {}; // the deadline has come

using event = std::variant<node_up, node_down, connect_result, message, watched_ended, request,
                           resolve_request, resolved_there, callback_answer, part, tick>;

} // namespace remora::global
