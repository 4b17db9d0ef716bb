// Control messages: each op is parsed and written again to the same bytes, its _TT form is the plain one, and
// a message with wrong elements is named and nothing more.
#include "dist/control.hpp"
#include "etf/parse.hpp"
#include "etf/print.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

using namespace remora;
using dist::control_error;

namespace {

// $p and $q are pids, $r is a reference, $t a seq_trace token.
std::string full(std::string text) {
  static std::pair<std::string, std::string> const words[] = {{"$t", "{0,17,1,$p,0}"},
                                                              {"$p", "#Pid<a@h.1.2.3>"},
                                                              {"$q", "#Pid<b@h.4.5.6>"},
                                                              {"$r", "#Ref<a@h.3.7.8.9>"}};
  for (auto const& [name, value] : words)
    for (auto at = text.find(name); at != std::string::npos; at = text.find(name)) text.replace(at, 2, value);
  return text;
}

etf::term parse(std::string const& text) {
  CAPTURE(text);
  auto t = etf::parse(full(text));
  REQUIRE_MESSAGE(t.has_value(), etf::describe(t.error()));
  return *t;
}

// The message as remora writes it. `old`: the ops with the reason in the control message.
struct written {
  bool old;
  etf::builder b;

  void operator()(dist::link const& m) { dist::write::link(b, *m.from.as_pid(), *m.to.as_pid()); }
  void operator()(dist::send const& m) {
    if (m.from.empty())
      dist::write::send(b, *m.to.as_pid());
    else
      dist::write::send_sender(b, *m.from.as_pid(), *m.to.as_pid());
  }
  void operator()(dist::exit const& m) {
    dist::write::exit(b, *m.from.as_pid(), *m.to.as_pid(), m.reason, !old);
  }
  void operator()(dist::exit2 const& m) {
    dist::write::exit2(b, *m.from.as_pid(), *m.to.as_pid(), m.reason, !old);
  }
  void operator()(dist::unlink const& m) { dist::write::unlink(b, *m.from.as_pid(), *m.to.as_pid()); }
  void operator()(dist::reg_send const& m) {
    dist::write::reg_send(b, *m.from.as_pid(), *m.name.atom_text());
  }
  void operator()(dist::group_leader const& m) {
    dist::write::group_leader(b, *m.leader.as_pid(), *m.to.as_pid());
  }
  void operator()(dist::monitor_p const& m) {
    dist::write::monitor_p(b, *m.from.as_pid(), m.target, *m.ref.as_reference());
  }
  void operator()(dist::demonitor_p const& m) {
    dist::write::demonitor_p(b, *m.from.as_pid(), m.target, *m.ref.as_reference());
  }
  void operator()(dist::monitor_p_exit const& m) {
    dist::write::monitor_p_exit(b, m.source, *m.to.as_pid(), *m.ref.as_reference(), m.reason, !old);
  }
  void operator()(dist::spawn_request const& m) {
    dist::write::spawn_request(b, *m.req.as_reference(), *m.from.as_pid(), *m.leader.as_pid(),
                               *m.module.atom_text(), *m.function.atom_text(), m.arity, m.options);
  }
  void operator()(dist::spawn_reply const& m) {
    dist::write::spawn_reply(b, *m.req.as_reference(), *m.to.as_pid(), m.flags, m.result);
  }
  void operator()(dist::alias_send const& m) {
    dist::write::alias_send(b, *m.from.as_pid(), *m.alias.as_reference());
  }
  void operator()(dist::unlink_id const& m) {
    dist::write::unlink_id(b, m.id, *m.from.as_pid(), *m.to.as_pid());
  }
  void operator()(dist::unlink_id_ack const& m) {
    dist::write::unlink_id_ack(b, m.id, *m.from.as_pid(), *m.to.as_pid());
  }
};

std::string rewrite(dist::control_message const& m, bool old) {
  written w{.old = old, .b = {}};
  std::visit(w, m);
  return etf::print(etf::view(w.b.bytes()));
}

struct form {
  std::string text;
  bool payload;
  std::string token_form; // the same with a seq_trace token, if there is one
};

std::vector<form> const& forms() {
  static std::vector<form> const all = {
      {"{1,$p,$q}", false, ""},
      {"{2,'',$q}", true, "{12,'',$q,$t}"},
      {"{3,$p,$q,{some,reason}}", false, "{13,$p,$q,$t,{some,reason}}"},
      {"{4,$p,$q}", false, ""},
      {"{6,$p,'',rex}", true, "{16,$p,'',rex,$t}"},
      {"{7,$p,$q}", false, ""},
      {"{8,$p,$q,kill}", false, "{18,$p,$q,$t,kill}"},
      {"{19,$p,$q,$r}", false, ""},
      {"{19,$p,rex,$r}", false, ""},
      {"{20,$p,$q,$r}", false, ""},
      {"{20,$p,rex,$r}", false, ""},
      {"{21,$p,$q,$r,noproc}", false, ""},
      {"{21,rex,$q,$r,[a|b]}", false, ""},
      {"{22,$p,$q}", true, "{23,$p,$q,$t}"},
      {"{24,$p,$q}", true, "{25,$p,$q,$t}"},
      {"{26,$p,$q}", true, "{27,$p,$q,$t}"},
      {"{28,$p,$q,$r}", true, ""},
      {"{28,rex,$q,$r}", true, ""},
      {"{29,$r,$p,$q,{erpc,execute_call,4},[monitor,{priority,high}]}", true,
       "{30,$r,$p,$q,{erpc,execute_call,4},[monitor,{priority,high}],$t}"},
      {"{31,$r,$p,3,$q}", false, "{32,$r,$p,3,$q,$t}"},
      {"{31,$r,$p,0,badopt}", false, "{32,$r,$p,0,badopt,$t}"},
      {"{33,$p,$r}", true, "{34,$p,$r,$t}"},
      {"{35,1,$p,$q}", false, ""},
      {"{35,18446744073709551615,$p,$q}", false, ""},
      {"{36,9223372036854775808,$p,$q}", false, ""},
  };
  return all;
}

bool old_form(std::string const& text) {
  return text.starts_with("{3,") || text.starts_with("{8,") || text.starts_with("{21,");
}

void refused(std::string const& text, control_error why) {
  CAPTURE(text);
  auto const t = parse(text);
  auto const parsed = dist::parse_control(t);
  REQUIRE_FALSE(parsed.has_value());
  CHECK(parsed.error() == why);
}

} // namespace

TEST_CASE("control: every op is written again as it was read") {
  for (auto const& f : forms()) {
    CAPTURE(f.text);
    auto const t = parse(f.text);
    auto const parsed = dist::parse_control(t);
    REQUIRE(parsed.has_value());
    CHECK(parsed->payload == f.payload);
    CHECK(rewrite(parsed->message, old_form(f.text)) == full(f.text));
  }
}

TEST_CASE("control: a seq_trace token changes nothing") {
  for (auto const& f : forms()) {
    if (f.token_form.empty()) continue;
    CAPTURE(f.token_form);
    auto const t = parse(f.token_form);
    auto const parsed = dist::parse_control(t);
    REQUIRE(parsed.has_value());
    CHECK(parsed->payload == f.payload);
    CHECK(rewrite(parsed->message, old_form(f.text)) == full(f.text));
  }
}

TEST_CASE("control: an element too many, one too few, or one of another kind") {
  for (auto const& f : forms()) {
    auto const t = parse(f.text);
    auto const arity = *t->arity();
    for (std::uint32_t i = 0; i <= arity; ++i) { // i == arity: all of them and one more
      etf::builder b;
      b.tuple(i == arity ? arity + 1 : arity);
      for (std::uint32_t k = 0; k < arity; ++k) {
        if (k == i && k > 0)
          b.floating(1.5);
        else
          b.copy(*t->element(k));
      }
      if (i == arity) b.floating(1.5);
      auto const wrong = b.take();
      CAPTURE(etf::print(wrong));
      auto const parsed = dist::parse_control(wrong);
      if (i == 0)
        CHECK(parsed.has_value());
      else if (parsed.has_value()) {
        // Elements that may be anything, and those that nobody looks at.
        auto const op = *t->element(0)->integer();
        bool const reason = ((op == 3 || op == 8) && i == 3) || (op == 21 && i == 4);
        bool const options = op == 29 && i == 5;
        bool const unread = (op == 2 && i == 1) || (op == 6 && i == 2);
        bool const token = i == arity && (op == 29 || op == 31); // never: their _TT forms have other numbers
        CHECK((reason || options || unread || token));
      } else {
        CHECK(parsed.error() == control_error::wrong_shape);
      }
    }
  }
}

TEST_CASE("control: what is no control message at all") {
  refused("ok", control_error::not_a_tuple);
  refused("{}", control_error::not_a_tuple);
  refused("[1,$p]", control_error::not_a_tuple);
  refused("{1,2,3,4,5,6,7,8,9}", control_error::not_a_tuple); // more than any op has
  refused("{a,$p,$q}", control_error::unknown_op);
  for (auto const* const op : {"0", "5", "9", "10", "11", "14", "15", "17", "37", "99", "255", "256", "257",
                               "-1", "18446744073709551617"})
    refused(fmt::format("{{{},$p,$q}}", op), control_error::unknown_op);
}

TEST_CASE("control: an unlink of id 0 is OTP's reason to hang up, and ours") {
  refused("{35,0,$p,$q}", control_error::zero_unlink_id);
  refused("{36,0,$p,$q}", control_error::zero_unlink_id);
  refused("{35,-1,$p,$q}", control_error::wrong_shape);
  refused("{35,18446744073709551616,$p,$q}", control_error::wrong_shape);
}

TEST_CASE("control: numbers of spawn messages stay in their ranges") {
  auto const request = [](std::string const& mfa) { return fmt::format("{{29,$r,$p,$q,{},[]}}", mfa); };
  CHECK(dist::parse_control(parse(request("{m,f,255}"))).has_value());
  for (auto const* const mfa : {"{m,f,256}", "{m,f,-1}", "{m,f}", "{m,\"f\",1}", "{1,f,1}", "m"})
    refused(request(mfa), control_error::wrong_shape);
  CHECK(dist::parse_control(parse("{31,$r,$p,4294967295,$q}")).has_value());
  refused("{31,$r,$p,4294967296,$q}", control_error::wrong_shape);
  refused("{31,$r,$p,-1,$q}", control_error::wrong_shape);
}
