// Control messages (erl_dist_protocol, "Protocol between Connected Nodes"; protocol.md 3.5). Each is a small
// type that is named as the protocol names it.
//
// Read: parse_control() turns a validated control term into one of them; the members are views into that
// term, and are of the kind that their comment says: nobody has to ask again. The _TT variants are their
// plain ops (we do not take part in sequential tracing), the old forms with an inline reason are the new ones
// with a reason member. Written: the functions of namespace write append one control term.
#pragma once

#include "base/result.hpp"
#include "etf/builder.hpp"
#include "etf/term.hpp"

#include <cstdint>
#include <string_view>
#include <variant>

namespace remora::dist {

struct link {
  etf::view from, to;
}; // pid, pid
struct send {
  etf::view from, to;
}; // pid or empty (op 2), pid; payload
struct exit {
  etf::view from, to, reason;
}; // pid, pid, reason here or in the payload
struct unlink {
  etf::view from, to;
}; // before UNLINK_ID
struct reg_send {
  etf::view from, name;
}; // pid, atom; payload
struct group_leader {
  etf::view leader, to;
}; // pid, pid
struct exit2 {
  etf::view from, to, reason;
}; // as exit
struct monitor_p {
  etf::view from, target, ref;
}; // pid, pid or atom, reference
struct demonitor_p {
  etf::view from, target, ref;
}; //
struct monitor_p_exit {
  etf::view source, to, ref, reason;
}; // pid or atom, pid, reference, as exit
struct spawn_request {
  etf::view req, from, leader, module, function;
  std::uint8_t arity;
  etf::view options;
}; // payload
struct spawn_reply {
  etf::view req, to;
  std::uint32_t flags;
  etf::view result;
}; // result: pid, or atom on failure
struct alias_send {
  etf::view from, alias;
}; // pid, reference; payload
struct unlink_id {
  std::uint64_t id;
  etf::view from, to;
};
struct unlink_id_ack {
  std::uint64_t id;
  etf::view from, to;
};

using control_message =
    std::variant<link, send, exit, unlink, reg_send, group_leader, exit2, monitor_p, demonitor_p,
                 monitor_p_exit, spawn_request, spawn_reply, alias_send, unlink_id, unlink_id_ack>;

inline constexpr std::uint32_t spawn_flag_link = 1;
inline constexpr std::uint32_t spawn_flag_monitor = 2;

enum class control_error : std::uint8_t {
  not_a_tuple,
  unknown_op,
  wrong_shape,    // arity or kinds are not the op's
  zero_unlink_id, // OTP kills the connection on it
};
std::string_view describe(control_error e);

struct parsed_control {
  control_message message;
  bool payload; // a payload follows
};
base::result<parsed_control, control_error> parse_control(etf::view term);

namespace write {
void link(etf::builder& b, etf::pid const& from, etf::pid const& to);
void send_sender(etf::builder& b, etf::pid const& from, etf::pid const& to);
void send(etf::builder& b, etf::pid const& to); // peers without SEND_SENDER
void reg_send(etf::builder& b, etf::pid const& from, std::string_view name);
void alias_send(etf::builder& b, etf::pid const& from, etf::reference const& alias);
void exit(etf::builder& b, etf::pid const& from, etf::pid const& to, etf::view reason, bool payload);
void exit2(etf::builder& b, etf::pid const& from, etf::pid const& to, etf::view reason, bool payload);
void group_leader(etf::builder& b, etf::pid const& leader, etf::pid const& to);
void unlink(etf::builder& b, etf::pid const& from, etf::pid const& to);
void unlink_id(etf::builder& b, std::uint64_t id, etf::pid const& from, etf::pid const& to);
void unlink_id_ack(etf::builder& b, std::uint64_t id, etf::pid const& from, etf::pid const& to);
// target and source are a pid or an atom
void monitor_p(etf::builder& b, etf::pid const& from, etf::view target, etf::reference const& ref);
void demonitor_p(etf::builder& b, etf::pid const& from, etf::view target, etf::reference const& ref);
void monitor_p_exit(etf::builder& b, etf::view source, etf::pid const& to, etf::reference const& ref,
                    etf::view reason, bool payload);
void spawn_request(etf::builder& b, etf::reference const& req, etf::pid const& from, etf::pid const& leader,
                   std::string_view module, std::string_view function, std::uint8_t arity, etf::view options);
void spawn_reply(etf::builder& b, etf::reference const& req, etf::pid const& to, std::uint32_t flags,
                 etf::view result);
} // namespace write

} // namespace remora::dist
