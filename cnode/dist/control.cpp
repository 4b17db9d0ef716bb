#include "dist/control.hpp"

#include <array>

namespace remora::dist {

namespace {

// dist.h, DOP_*.
enum op : std::uint8_t {
  op_link = 1,
  op_send = 2,
  op_exit = 3,
  op_unlink = 4,
  op_reg_send = 6,
  op_group_leader = 7,
  op_exit2 = 8,
  op_send_tt = 12,
  op_exit_tt = 13,
  op_reg_send_tt = 16,
  op_exit2_tt = 18,
  op_monitor_p = 19,
  op_demonitor_p = 20,
  op_monitor_p_exit = 21,
  op_send_sender = 22,
  op_send_sender_tt = 23,
  op_payload_exit = 24,
  op_payload_exit_tt = 25,
  op_payload_exit2 = 26,
  op_payload_exit2_tt = 27,
  op_payload_monitor_p_exit = 28,
  op_spawn_request = 29,
  op_spawn_request_tt = 30,
  op_spawn_reply = 31,
  op_spawn_reply_tt = 32,
  op_alias_send = 33,
  op_alias_send_tt = 34,
  op_unlink_id = 35,
  op_unlink_id_ack = 36,
};

constexpr std::size_t elements_max = 8;

// The elements of a control tuple, asked for by the kind that they must have.
class fields {
public:
  bool read(etf::view term) {
    auto const arity = term.arity();
    if (!arity || *arity == 0 || *arity > elements_max) return false;
    count_ = *arity;
    return term.tuple_elements(std::span(elements_).first(count_));
  }
  std::size_t count() const { return count_; }
  etf::view operator[](std::size_t i) const { return elements_[i]; }
  bool pid(std::size_t i) const { return elements_[i].what() == etf::kind::pid; }
  bool atom(std::size_t i) const { return elements_[i].what() == etf::kind::atom; }
  bool ref(std::size_t i) const { return elements_[i].what() == etf::kind::reference; }
  bool target(std::size_t i) const { return pid(i) || atom(i); }

private:
  std::size_t count_ = 0;
  std::array<etf::view, elements_max> elements_;
};

using answer = base::result<parsed_control, control_error>;

answer plain(bool shape, control_message message) {
  if (!shape) return control_error::wrong_shape;
  return parsed_control{.message = message, .payload = false};
}

answer with_payload(bool shape, control_message message) {
  if (!shape) return control_error::wrong_shape;
  return parsed_control{.message = message, .payload = true};
}

template <class Unlink>
answer unlink_answer(fields const& f) {
  if (f.count() != 4 || !f.pid(2) || !f.pid(3)) return control_error::wrong_shape;
  auto const id = f[1].unsigned_integer();
  if (!id) return control_error::wrong_shape;
  if (*id == 0) return control_error::zero_unlink_id;
  return parsed_control{.message = Unlink{*id, f[2], f[3]}, .payload = false};
}

answer spawn_request_answer(fields const& f, std::size_t arity) {
  if (f.count() != arity || !f.ref(1) || !f.pid(2) || !f.pid(3)) return control_error::wrong_shape;
  auto const mfa = f[4].tuple<3>();
  if (!mfa || !(*mfa)[0].is_atom() || !(*mfa)[1].is_atom()) return control_error::wrong_shape;
  auto const number = (*mfa)[2].integer();
  if (!number || *number < 0 || *number > 255) return control_error::wrong_shape;
  return parsed_control{.message = spawn_request{.req = f[1],
                                                 .from = f[2],
                                                 .leader = f[3],
                                                 .module = (*mfa)[0],
                                                 .function = (*mfa)[1],
                                                 .arity = static_cast<std::uint8_t>(*number),
                                                 .options = f[5]},
                        .payload = true};
}

answer spawn_reply_answer(fields const& f, std::size_t arity) {
  if (f.count() != arity || !f.ref(1) || !f.pid(2) || !f.target(4)) return control_error::wrong_shape;
  auto const flags = f[3].unsigned_integer();
  if (!flags || *flags > UINT32_MAX) return control_error::wrong_shape;
  return plain(
      true,
      spawn_reply{.req = f[1], .to = f[2], .flags = static_cast<std::uint32_t>(*flags), .result = f[4]});
}

} // namespace

std::string_view describe(control_error e) {
  switch (e) {
  case control_error::not_a_tuple: return "a control message is not a tuple";
  case control_error::unknown_op: return "a control message has an unknown operation";
  case control_error::wrong_shape: return "a control message has wrong elements";
  case control_error::zero_unlink_id: return "an unlink has the id 0";
  }
  return "a control message is wrong";
}

base::result<parsed_control, control_error> parse_control(etf::view term) {
  fields f;
  if (!f.read(term)) return control_error::not_a_tuple;
  auto const code = f[0].integer();
  if (!code || *code < 0 || *code > 255) return control_error::unknown_op;
  std::size_t const n = f.count();
  auto const pids = [&](std::size_t arity) { return n == arity && f.pid(1) && f.pid(2); };
  auto const monitor = [&](std::size_t arity) { return n == arity && f.pid(1) && f.target(2) && f.ref(3); };
  auto const fired = [&](std::size_t arity) { return n == arity && f.target(1) && f.pid(2) && f.ref(3); };
  switch (static_cast<op>(*code)) {
  case op_link: return plain(pids(3), link{f[1], f[2]});
  case op_send: return with_payload(n == 3 && f.pid(2), send{{}, f[2]});
  case op_send_tt: return with_payload(n == 4 && f.pid(2), send{{}, f[2]});
  case op_exit: return plain(pids(4), exit{f[1], f[2], f[3]});
  case op_exit_tt: return plain(pids(5), exit{f[1], f[2], f[4]});
  case op_unlink: return plain(pids(3), unlink{f[1], f[2]});
  case op_reg_send: return with_payload(n == 4 && f.pid(1) && f.atom(3), reg_send{f[1], f[3]});
  case op_reg_send_tt: return with_payload(n == 5 && f.pid(1) && f.atom(3), reg_send{f[1], f[3]});
  case op_group_leader: return plain(pids(3), group_leader{f[1], f[2]});
  case op_exit2: return plain(pids(4), exit2{f[1], f[2], f[3]});
  case op_exit2_tt: return plain(pids(5), exit2{f[1], f[2], f[4]});
  case op_monitor_p: return plain(monitor(4), monitor_p{f[1], f[2], f[3]});
  case op_demonitor_p: return plain(monitor(4), demonitor_p{f[1], f[2], f[3]});
  case op_monitor_p_exit: return plain(fired(5), monitor_p_exit{f[1], f[2], f[3], f[4]});
  case op_send_sender: return with_payload(pids(3), send{f[1], f[2]});
  case op_send_sender_tt: return with_payload(pids(4), send{f[1], f[2]});
  case op_payload_exit: return with_payload(pids(3), exit{f[1], f[2], {}});
  case op_payload_exit_tt: return with_payload(pids(4), exit{f[1], f[2], {}});
  case op_payload_exit2: return with_payload(pids(3), exit2{f[1], f[2], {}});
  case op_payload_exit2_tt: return with_payload(pids(4), exit2{f[1], f[2], {}});
  case op_payload_monitor_p_exit: return with_payload(fired(4), monitor_p_exit{f[1], f[2], f[3], {}});
  case op_spawn_request: return spawn_request_answer(f, 6);
  case op_spawn_request_tt: return spawn_request_answer(f, 7);
  case op_spawn_reply: return spawn_reply_answer(f, 5);
  case op_spawn_reply_tt: return spawn_reply_answer(f, 6);
  case op_alias_send: return with_payload(n == 3 && f.pid(1) && f.ref(2), alias_send{f[1], f[2]});
  case op_alias_send_tt: return with_payload(n == 4 && f.pid(1) && f.ref(2), alias_send{f[1], f[2]});
  case op_unlink_id: return unlink_answer<unlink_id>(f);
  case op_unlink_id_ack: return unlink_answer<unlink_id_ack>(f);
  }
  return control_error::unknown_op;
}

namespace write {

namespace {
void exit_signal(etf::builder& b, op with_reason, op with_payload, etf::pid const& from, etf::pid const& to,
                 etf::view reason, bool payload) {
  if (payload)
    etf::put(b, etf::tup(std::int64_t{with_payload}, from, to));
  else
    etf::put(b, etf::tup(std::int64_t{with_reason}, from, to, reason));
}
} // namespace

void link(etf::builder& b, etf::pid const& from, etf::pid const& to) {
  etf::put(b, etf::tup(int{op_link}, from, to));
}

void send_sender(etf::builder& b, etf::pid const& from, etf::pid const& to) {
  etf::put(b, etf::tup(int{op_send_sender}, from, to));
}

void send(etf::builder& b, etf::pid const& to) { etf::put(b, etf::tup(int{op_send}, etf::am(""), to)); }

void reg_send(etf::builder& b, etf::pid const& from, std::string_view name) {
  etf::put(b, etf::tup(int{op_reg_send}, from, etf::am(""), etf::am(name)));
}

void alias_send(etf::builder& b, etf::pid const& from, etf::reference const& alias) {
  etf::put(b, etf::tup(int{op_alias_send}, from, alias));
}

void exit(etf::builder& b, etf::pid const& from, etf::pid const& to, etf::view reason, bool payload) {
  exit_signal(b, op_exit, op_payload_exit, from, to, reason, payload);
}

void exit2(etf::builder& b, etf::pid const& from, etf::pid const& to, etf::view reason, bool payload) {
  exit_signal(b, op_exit2, op_payload_exit2, from, to, reason, payload);
}

void group_leader(etf::builder& b, etf::pid const& leader, etf::pid const& to) {
  etf::put(b, etf::tup(int{op_group_leader}, leader, to));
}

void unlink(etf::builder& b, etf::pid const& from, etf::pid const& to) {
  etf::put(b, etf::tup(int{op_unlink}, from, to));
}

void unlink_id(etf::builder& b, std::uint64_t id, etf::pid const& from, etf::pid const& to) {
  etf::put(b, etf::tup(int{op_unlink_id}, id, from, to));
}

void unlink_id_ack(etf::builder& b, std::uint64_t id, etf::pid const& from, etf::pid const& to) {
  etf::put(b, etf::tup(int{op_unlink_id_ack}, id, from, to));
}

void monitor_p(etf::builder& b, etf::pid const& from, etf::view target, etf::reference const& ref) {
  etf::put(b, etf::tup(int{op_monitor_p}, from, target, ref));
}

void demonitor_p(etf::builder& b, etf::pid const& from, etf::view target, etf::reference const& ref) {
  etf::put(b, etf::tup(int{op_demonitor_p}, from, target, ref));
}

void monitor_p_exit(etf::builder& b, etf::view source, etf::pid const& to, etf::reference const& ref,
                    etf::view reason, bool payload) {
  if (payload)
    etf::put(b, etf::tup(int{op_payload_monitor_p_exit}, source, to, ref));
  else
    etf::put(b, etf::tup(int{op_monitor_p_exit}, source, to, ref, reason));
}

void spawn_request(etf::builder& b, etf::reference const& req, etf::pid const& from, etf::pid const& leader,
                   std::string_view module, std::string_view function, std::uint8_t arity,
                   etf::view options) {
  etf::put(b, etf::tup(int{op_spawn_request}, req, from, leader,
                       etf::tup(etf::am(module), etf::am(function), std::uint32_t{arity}), options));
}

void spawn_reply(etf::builder& b, etf::reference const& req, etf::pid const& to, std::uint32_t flags,
                 etf::view result) {
  etf::put(b, etf::tup(int{op_spawn_reply}, req, to, flags, result));
}

} // namespace write

} // namespace remora::dist
