#include "dist/handshake.hpp"

#include "base/check.hpp"
#include "dist/flags.hpp"
#include "etf/reader.hpp"

#include <fmt/format.h>

namespace remora::dist {

namespace {

constexpr std::size_t name_head = 15; // tag, flags, creation, length
constexpr std::size_t challenge_head = 19;
constexpr std::size_t message_bytes_max = 2048; // names have at most 255 characters, and a little may trail

} // namespace

std::string_view describe(handshake_error e) {
  switch (e) {
  case handshake_error::timeout: return "it was silent for longer than net_setuptime";
  case handshake_error::malformed: return "it sent a malformed handshake message";
  case handshake_error::bad_name: return "its name is not name@host";
  case handshake_error::wrong_name: return "another node answered than the one that was dialled";
  case handshake_error::missing_flags: return "it lacks mandatory capabilities";
  case handshake_error::not_allowed: return "it does not allow this node";
  case handshake_error::bad_cookie: return "its cookie is not ours";
  case handshake_error::declined: return "it kept its old connection";
  }
  return "the handshake failed";
}

std::string_view name_of(handshake_error e) {
  switch (e) {
  case handshake_error::timeout: return "timeout";
  case handshake_error::malformed: return "malformed";
  case handshake_error::bad_name: return "bad_name";
  case handshake_error::wrong_name: return "wrong_name";
  case handshake_error::missing_flags: return "missing_flags";
  case handshake_error::not_allowed: return "not_allowed";
  case handshake_error::bad_cookie: return "bad_cookie";
  case handshake_error::declined: return "declined";
  }
  return "malformed";
}

handshake::handshake(handshake_config config, bool initiator, base::time_point now)
    : config_(std::move(config)), initiator_(initiator), phase_(initiator ? phase::status : phase::name) {
  rest(now);
}

handshake handshake::initiate(handshake_config config, std::string peer, base::time_point now) {
  handshake h(std::move(config), true, now);
  h.peer_ = std::move(peer);
  h.send_name();
  return h;
}

handshake handshake::accept(handshake_config config, base::time_point now) {
  return {std::move(config), false, now};
}

std::optional<handshake::outcome> handshake::read(base::bytes_view input, std::size_t& used,
                                                  base::time_point now) {
  used = 0;
  if (phase_ == phase::over || waiting_for_decision() || input.size() < 2) return std::nullopt;
  std::size_t const size = base::load_be<std::uint16_t>(input.data());
  if (size == 0 || size > message_bytes_max)
    return fail(handshake_error::malformed, fmt::format("a message of {} bytes", size));
  if (input.size() < 2 + size) return std::nullopt;
  used = 2 + size;
  return message(input.subspan(2, size), now);
}

std::optional<handshake::outcome> handshake::message(base::bytes_view body, base::time_point now) {
  auto const expect = [&](char tag) { return body[0] == static_cast<std::uint8_t>(tag); };
  auto const text = base::as_text(body.subspan(1));
  switch (phase_) {
  case phase::status:
    return expect('s') ? on_status(text, now) : fail(handshake_error::malformed, "no status");
  case phase::challenge:
    return expect('N') ? on_challenge(body, now) : fail(handshake_error::malformed, "no challenge");
  case phase::ack:
    return expect('a') ? on_ack(body) : fail(handshake_error::malformed, "no challenge acknowledgement");
  case phase::name:
    return expect('N') ? on_name(body)
                       : fail(handshake_error::malformed,
                              "no name message of handshake version 6 (is it older than OTP 23?)");
  case phase::alive_answer:
    return expect('s') ? on_alive_answer(text, now) : fail(handshake_error::malformed, "no answer to alive");
  case phase::reply:
    return expect('r') ? on_reply(body) : fail(handshake_error::malformed, "no challenge reply");
  case phase::deciding:
  case phase::proved:
  case phase::over: break;
  }
  return std::nullopt;
}

std::optional<handshake::outcome> handshake::wake(base::time_point now) {
  if (!deadline_ || now < *deadline_) return std::nullopt;
  return fail(handshake_error::timeout);
}

handshake::outcome handshake::fail(handshake_error why, std::string detail) {
  phase_ = phase::over;
  deadline_.reset();
  return failed{.why = why, .detail = std::move(detail)};
}

void handshake::begin_message(std::size_t body) { out_.put(static_cast<std::uint16_t>(body)); }

// Initiator.

void handshake::send_name() {
  begin_message(name_head + config_.our_name.size());
  out_.put(static_cast<std::uint8_t>('N'));
  out_.put(config_.flags);
  out_.put(config_.creation);
  out_.put(static_cast<std::uint16_t>(config_.our_name.size()));
  out_.append(std::string_view(config_.our_name));
}

std::optional<handshake::outcome> handshake::on_status(std::string_view text, base::time_point now) {
  if (text == "ok" || text == "ok_simultaneous") {
    phase_ = phase::challenge;
    rest(now);
    return std::nullopt;
  }
  if (text == "alive") { // it holds a connection to an earlier us; this one is real
    static constexpr std::string_view answer = "strue";
    begin_message(answer.size());
    out_.append(answer);
    phase_ = phase::challenge;
    rest(now);
    return std::nullopt;
  }
  if (text == "nok") {
    phase_ = phase::over;
    deadline_.reset();
    return lost_race{};
  }
  if (text == "not_allowed") return fail(handshake_error::not_allowed);
  return fail(handshake_error::malformed, "an unknown status");
}

std::optional<handshake::outcome> handshake::on_challenge(base::bytes_view body, base::time_point now) {
  base::cursor in(body.subspan(1));
  peer_flags_ = flag::expand(in.u64());
  std::uint32_t const challenge = in.u32();
  peer_creation_ = in.u32();
  auto const name = in.take(in.u16()); // what trails is for later versions
  if (!in.ok()) return fail(handshake_error::malformed, "the challenge is cut off");
  if (base::as_text(name) != peer_) {
    auto const shown = etf::is_atom_text(name) ? base::as_text(name) : "(not UTF-8)";
    return fail(handshake_error::wrong_name, fmt::format("{} answered", shown));
  }
  if (auto const missing = flag::mandatory & ~peer_flags_)
    return fail(handshake_error::missing_flags, flag::names(missing));
  begin_message(21);
  out_.put(static_cast<std::uint8_t>('r'));
  out_.put(config_.challenge);
  out_.append(make_digest(config_.cookie, challenge));
  phase_ = phase::ack;
  rest(now);
  return std::nullopt;
}

handshake::outcome handshake::on_ack(base::bytes_view body) {
  if (!digests_equal(body.subspan(1), make_digest(config_.cookie, config_.challenge)))
    return fail(handshake_error::bad_cookie);
  phase_ = phase::over;
  deadline_.reset();
  return up{.peer = peer_, .flags = peer_flags_ & config_.flags, .creation = peer_creation_};
}

// Acceptor.

handshake::outcome handshake::on_name(base::bytes_view body) {
  base::cursor in(body.subspan(1));
  peer_flags_ = flag::expand(in.u64());
  peer_creation_ = in.u32();
  auto const name = in.take(in.u16());
  if (!in.ok()) return fail(handshake_error::malformed, "the name message is cut off");
  bool const wants_name = (peer_flags_ & flag::name_me) != 0;
  auto const text = base::as_text(name);
  bool const fits =
      etf::is_atom_text(name) &&
      (wants_name ? !text.empty() && text.find('@') == std::string_view::npos : etf::is_node_name(text));
  if (!fits) return fail(handshake_error::bad_name);
  peer_ = std::string(text);
  phase_ = phase::deciding;
  if (auto const missing = flag::mandatory & ~peer_flags_) {
    static constexpr std::string_view refusal = "snot_allowed";
    begin_message(refusal.size());
    out_.append(refusal);
    return fail(handshake_error::missing_flags, flag::names(missing));
  }
  return named{.name = peer_,
               .flags = peer_flags_ & config_.flags,
               .creation = peer_creation_,
               .wants_name = wants_name};
}

void handshake::decide(status answer, base::time_point now, std::string given_name,
                       std::uint32_t given_creation) {
  base::check(phase_ == phase::deciding, "handshake: a name waits for a decision");
  auto const send_status = [&](std::string_view text, std::size_t more = 0) {
    begin_message(1 + text.size() + more);
    out_.put(static_cast<std::uint8_t>('s'));
    out_.append(text);
  };
  rest(now);
  switch (answer) {
  case status::ok: send_status("ok"); return send_challenge(now);
  case status::ok_simultaneous: send_status("ok_simultaneous"); return send_challenge(now);
  case status::alive:
    send_status("alive");
    phase_ = phase::alive_answer;
    return;
  case status::named:
    // dist_util:publish_flag: towards a node without a name NAME_ME stands where PUBLISHED would; without it
    // the initiator does not take the name.
    config_.flags = (config_.flags & ~flag::published) | flag::name_me;
    send_status("named:", 6 + given_name.size());
    out_.put(static_cast<std::uint16_t>(given_name.size()));
    out_.append(std::string_view(given_name));
    out_.put(given_creation);
    peer_ = std::move(given_name);
    peer_creation_ = given_creation;
    return send_challenge(now);
  case status::nok:
  case status::not_allowed:
    send_status(answer == status::nok ? "nok" : "not_allowed");
    phase_ = phase::over; // the node closes when this is written
    deadline_.reset();
    return;
  }
}

std::optional<handshake::outcome> handshake::on_alive_answer(std::string_view text, base::time_point now) {
  if (text == "true") {
    send_challenge(now);
    return std::nullopt;
  }
  if (text == "false") return fail(handshake_error::declined);
  return fail(handshake_error::malformed, "the answer to alive is neither true nor false");
}

void handshake::send_challenge(base::time_point now) {
  begin_message(challenge_head + config_.our_name.size());
  out_.put(static_cast<std::uint8_t>('N'));
  out_.put(config_.flags);
  out_.put(config_.challenge);
  out_.put(config_.creation);
  out_.put(static_cast<std::uint16_t>(config_.our_name.size()));
  out_.append(std::string_view(config_.our_name));
  phase_ = phase::reply;
  rest(now);
}

handshake::outcome handshake::on_reply(base::bytes_view body) {
  if (body.size() != 21) return fail(handshake_error::malformed, "the challenge reply is cut off");
  auto const challenge = base::load_be<std::uint32_t>(body.data() + 1);
  if (!digests_equal(body.subspan(5), make_digest(config_.cookie, config_.challenge)))
    return fail(handshake_error::bad_cookie);
  ack_digest_ = make_digest(config_.cookie, challenge);
  phase_ = phase::proved;
  return authenticated{};
}

handshake::outcome handshake::proceed() {
  base::check(phase_ == phase::proved, "handshake: the proof was accepted");
  begin_message(17);
  out_.put(static_cast<std::uint8_t>('a'));
  out_.append(ack_digest_);
  phase_ = phase::over;
  deadline_.reset();
  return up{.peer = peer_, .flags = peer_flags_ & config_.flags, .creation = peer_creation_};
}

} // namespace remora::dist
