// One core whose peers are played by hand: what it answers, what it refuses, and every limit that a peer can
// reach (protocol.md 7.2, 7.3, 7.6, 7.8).
#include "global/core.hpp"

#include "etf/parse.hpp"
#include "etf/print.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

using namespace remora;
using namespace std::chrono_literals;
using etf::am;
using etf::make;
using etf::tup;
using global::role;

namespace {

etf::pid pid_of(std::string_view node, std::uint32_t id) {
  return {.node = etf::atom(node), .id = id, .serial = 0, .creation = 7};
}

struct alone {
  explicit alone(global::options o = {})
      : core({pid_of("m@h", 1), pid_of("m@h", 2), pid_of("m@h", 3)}, 7, o, 42) {}

  std::vector<std::string> feed(global::event const& e) {
    out.clear();
    core.handle(e, now, out);
    std::vector<std::string> lines;
    for (auto const& each : out) lines.push_back(global::describe(each));
    return lines;
  }
  std::vector<std::string> gets(std::string const& text) {
    auto const t = etf::parse(text);
    REQUIRE_MESSAGE(t.has_value(), text);
    return feed(global::message{role::name_server, *t});
  }
  std::vector<std::string> gets(etf::term const& t) { return feed(global::message{role::name_server, t}); }
  std::string call(std::string const& request, std::uint32_t caller = 9) {
    auto const said = gets(fmt::format("{{'$gen_call',{{#Pid<p@h.{}.0.7>,t}},{}}}", caller, request));
    for (auto const& line : said)
      if (line.starts_with("reply ")) return line.substr(line.rfind("| ") + 2);
    return "nothing";
  }
  std::vector<std::string> registrar_gets(std::string const& text) {
    return feed(global::message{role::registrar, *etf::parse(text)});
  }
  void sleep() { // until it says something, or wants nothing more
    do {
      now = core.next_deadline().value_or(now);
      feed(global::tick{});
    } while (out.empty() && core.next_deadline());
  }
  std::size_t notices() const {
    std::size_t n = 0;
    for (auto const& e : out) n += std::holds_alternative<global::notice>(e) ? 1U : 0U;
    return n;
  }
  std::string sent(std::string_view what) const { // the first message of this kind
    for (auto const& e : out)
      if (auto const line = global::describe(e); line.find(what) != std::string::npos) return line;
    return {};
  }
  std::uint64_t my_tag() const { // of the init_connect that was just sent
    for (auto const& e : out)
      if (auto const* const s = std::get_if<global::send>(&e))
        if (auto const cast = s->message->element(1); cast && cast->arity() == 4)
          return *cast->element(1)->element(1)->unsigned_integer();
    return 0;
  }

  base::time_point now{1000s};
  global::effects out;
  global::core core;
};

std::string const p_init =
    "{'$gen_cast',{init_connect,{8,77},'p@h',{locker,no_longer_a_pid,[],#Pid<p@h.2.0.7>}}}";

} // namespace

TEST_CASE("global: calls of the name server are answered at once") {
  alone s;
  CHECK(s.call("{set_lock,{res,me}}") == "true");
  CHECK(s.call("{set_lock,{res,me}}", 10) == "true"); // the same requester: a second holder
  CHECK(s.call("{set_lock,{res,you}}", 11) == "false");
  CHECK(s.call("{del_lock,{res,you}}", 11) == "true");
  CHECK(s.call("{del_lock,{res,me}}") == "true");
  CHECK(s.call("{set_lock,{res,you}}", 11) == "false"); // the second holder has it yet
  CHECK(s.call("{del_lock,{res,me}}", 10) == "true");
  CHECK(s.call("{set_lock,{res,you}}", 11) == "true");
  CHECK(s.call("get_known") == "[]");
  CHECK(s.call("get_synced") == "[]");
  CHECK(s.call("get_protocol_version") == "8");
  CHECK(s.call("{register_ext,x,#Pid<p@h.9.0.7>,m,'p@h'}") == "yes");
  CHECK(s.call("get_names_ext") == "[{x,#Pid<p@h.9.0.7>,p@h}]");
  CHECK(s.call("{unregister,x}") == "ok");
  CHECK(s.call("get_names_ext") == "[]");
}

TEST_CASE("global: a name put in without the lock is undone without a word (lock_still_set)") {
  alone s;
  CHECK(s.call("{set_lock,{global,me}}", 9) == "true");
  CHECK(s.call("{register,foo,#Pid<p@h.20.0.7>,m}", 10) == "yes"); // not a holder
  CHECK(s.core.tables().names.size() == 0);
  CHECK(s.call("{register,foo,#Pid<p@h.20.0.7>,m}", 9) == "yes");
  CHECK(s.core.tables().names.size() == 1);
  CHECK(s.gets("{'$gen_cast',{new_nodes,'p@h',[{insert,{bar,#Pid<p@h.21.0.7>,m}}],[],[],[{vsn,8},{lock,{"
               "global,you}}]}}")
            .empty());
  CHECK(s.core.tables().names.size() == 1);
  s.gets("{'$gen_cast',{new_nodes,'p@h',[{insert,{bar,#Pid<p@h.21.0.7>,m}}],[],[],[{vsn,8},{lock,{global,me}}"
         "]}}");
  CHECK(s.core.tables().names.size() == 2);
  // The holder ends: what comes late for its lock is not done; a lock that is given back opens it again.
  s.feed(global::watched_ended{role::name_server, pid_of("p@h", 9)});
  CHECK(s.call("{register,late,#Pid<p@h.22.0.7>,m}", 9) == "yes");
  CHECK(s.core.tables().names.size() == 2);
  CHECK(s.call("{set_lock,{global,x}}") == "true");
  CHECK(s.call("{del_lock,{global,x}}") == "true");
  CHECK(s.call("{register,free,#Pid<p@h.22.0.7>,m}", 9) == "yes");
  CHECK(s.core.tables().names.size() == 3);
}

TEST_CASE("global: lock ids list the lockers in the order of pids, not of their nodes") {
  alone s;
  s.feed(global::node_up{etf::atom("p@h")});
  s.gets("{'$gen_cast',{init_connect,{8,77},'p@h',{locker,no_longer_a_pid,[],#Pid<p@h.1.0.7>}}}");
  s.now += 1s;
  s.feed(global::tick{});
  CHECK(s.sent("set_lock").find("{set_lock,{global,[#Pid<p@h.1.0.7>,#Pid<m@h.2.0.7>]}}") !=
        std::string::npos);
}

TEST_CASE("global: hidden connections hear nothing and leave nothing") {
  alone s;
  CHECK(s.gets(p_init).empty()); // no nodeup came: the connection is hidden
  s.feed(global::node_up{etf::atom("p@h")});
  CHECK(s.sent("init_connect_ack").empty());
}

TEST_CASE("global: out of step, one cancel, silence of 100 to 300 ms, then one fresh attempt") {
  for (auto const* const trouble : {"{cancel_connect,'p@h',MINE}", "{init_connect_ack,'p@h',1,2}"}) {
    CAPTURE(trouble);
    alone s;
    s.feed(global::node_up{etf::atom("p@h")});
    auto const mine = s.my_tag();
    REQUIRE(mine > 0);
    s.gets(p_init);
    CHECK_FALSE(s.sent("init_connect_ack").empty());
    std::string text = trouble;
    if (auto const at = text.find("MINE"); at != std::string::npos) text.replace(at, 4, std::to_string(mine));
    s.gets(text);
    CHECK(s.out.size() <= 2);
    CHECK(s.gets("{init_connect_ack,'p@h',3,4}").empty()); // late ones are ignored
    CHECK(s.gets("{cancel_connect,'p@h',5}").empty());
    CHECK(s.gets(p_init).empty()); // remembered
    auto const quiet = *s.core.next_deadline() - s.now;
    CHECK(quiet >= 100ms);
    CHECK(quiet <= 300ms);
    s.now += quiet;
    s.feed(global::tick{});
    CHECK(s.my_tag() > mine);
    CHECK_FALSE(s.sent("init_connect_ack,m@h,77").empty());
  }
}

TEST_CASE("global: what has another shape is logged once and changes nothing") {
  alone s;
  s.feed(global::node_up{etf::atom("p@h")});
  for (auto const* const text :
       {"x",
        "{}",
        "1",
        "{'$gen_call',x,y}",
        "{'$gen_call',{1,2},get_known}",
        "{'$gen_cast',x}",
        "{'$gen_cast',{}}",
        "{'$gen_cast',{init_connect,1,2,3}}",
        "{'$gen_cast',{init_connect,{8,1},'p@h',{locker,x,[],y}}}",
        "{'$gen_cast',{lock_set,1,2,3,4}}",
        "{'$gen_cast',{exchange,1,2,3,4}}",
        "{'$gen_cast',{exchange,'p@h',[1|2],[],3}}",
        "{'$gen_cast',{resolved,1,2,3,4,5,6}}",
        "{'$gen_cast',{new_nodes,1,2,3,4,5}}",
        "{'$gen_cast',{new_nodes,'p@h',[x,{insert,y},{insert,{a,b,c}}],[z],[1,{x,y}],[w]}}",
        "{'$gen_cast',{in_sync,1,2}}",
        "{lost_connection,1,2,3,4}",
        "{lost_connection,a,b,c,d}",
        "{remove_connection,1}",
        "{init_connect_ack,1,2,3}",
        "{cancel_connect,1,2}",
        "{'$gen_call',{#Pid<p@h.9.0.7>,t},{set_lock,x}}",
        "{'$gen_call',{#Pid<p@h.9.0.7>,t},{register,a,b,c}}",
        "{'$gen_call',{#Pid<p@h.9.0.7>,t},{sync,[]}}"}) {
    CAPTURE(text);
    s.gets(text);
    CHECK(s.notices() <= 1);
    s.gets(text);
    CHECK(s.notices() == 0);
  }
  CHECK(s.core.tables().names.size() == 0);
  CHECK(s.core.tables().locks.size() == 0);
}

TEST_CASE("global: limits") {
  global::options o;
  o.limit = {.names_max = 3,
             .locks_max = 3,
             .holders_max = 2,
             .lost_max = 4,
             .nodes_max = 3,
             .requests_max = 2,
             .round_requests_max = 2,
             .complaints_max = 5};
  alone s(o);
  SUBCASE("names") {
    for (int i = 0; i < 10; ++i) s.call(fmt::format("{{register,n{},#Pid<p@h.{}.0.7>,m}}", i, 20 + i));
    CHECK(s.core.tables().names.size() == 3);
    CHECK(s.call("{register,n0,#Pid<p@h.99.0.7>,m}") == "yes"); // replaced, not added
    CHECK(s.core.find(*make(am("n0")))->pid.id == 99);
  }
  SUBCASE("locks and holders") {
    for (int i = 0; i < 10; ++i) s.call(fmt::format("{{set_lock,{{r{},x}}}}", i));
    CHECK(s.core.tables().locks.size() == 3);
    CHECK(s.call("{set_lock,{r0,x}}", 10) == "true");
    CHECK(s.call("{set_lock,{r0,x}}", 11) == "false");
  }
  SUBCASE("lost connections") {
    for (int i = 0; i < 50; ++i) s.gets(fmt::format("{{lost_connection,a{}@h,1,{},b@h}}", i, i));
    CHECK(s.core.remembered_losses() == 4);
    s.now += 2h;
    s.feed(global::tick{});
    CHECK(s.core.remembered_losses() == 0);
  }
  SUBCASE("sessions, known nodes") {
    for (int i = 0; i < 10; ++i) s.feed(global::node_up{etf::atom(fmt::format("p{}@h", i))});
    CHECK(s.core.sessions() == 3);
    s.gets("{'$gen_cast',{new_nodes,'p@h',[],[],[{'a@h',8},{'b@h',8},{'c@h',8},{'d@h',8}],[{vsn,8},{lock,{"
           "global,x}}]}}");
    CHECK(s.core.tables().known.size() == 3);
  }
  SUBCASE("requests of ours") {
    s.call("{set_lock,{global,somebody}}"); // they have to wait
    std::size_t busy = 0;
    for (std::uint64_t i = 0; i < 10; ++i) {
      s.feed(global::request{.id = i,
                             .wanted = global::request::what::register_name,
                             .name = make(i),
                             .pid = pid_of("m@h", 50)});
      if (!s.sent("busy").empty()) ++busy;
    }
    CHECK(busy == 8);
  }
  SUBCASE("complaints") {
    std::size_t n = 0;
    for (auto const* const text :
         {"x", "{'$gen_cast',x}", "{'$gen_call',x,y}", "{init_connect_ack,1}", "{cancel_connect,1}",
          "{lost_connection,1}", "{'$gen_cast',{in_sync,1,2}}"}) {
      s.gets(text);
      n += s.notices();
    }
    CHECK(n == 5);
  }
}

TEST_CASE("global: a callback decides in time, and lowest_pid when it does not; later words are not heard") {
  for (bool const late : {false, true}) {
    CAPTURE(late);
    alone s;
    global::policy const by{.how = global::policy::kind::callback, .nodes = {}, .callback = 5};
    auto const ours = pid_of("m@h", 50);
    auto const theirs = pid_of("p@h", 60);
    s.feed(global::request{.id = 1,
                           .wanted = global::request::what::register_name,
                           .name = make(am("foo")),
                           .pid = ours,
                           .method = by});
    s.feed(global::resolve_request{9, global::method_of(by.how), make(am("foo")), theirs, ours});
    REQUIRE(s.out.size() == 1);
    auto const asked = std::get<global::ask_callback>(s.out.front());
    CHECK(asked.callback == 5);
    CHECK(*s.core.next_deadline() - s.now == 1000ms);
    if (late) {
      s.now += 1000ms;
      s.feed(global::tick{});
      CHECK(s.sent("resolution 9") == "resolution 9 | #Pid<m@h.50.0.7>");
    }
    s.feed(global::callback_answer{asked.id, theirs});
    CHECK(s.sent("resolution 9") == (late ? "" : "resolution 9 | #Pid<p@h.60.0.7>"));
  }
}

// A native peer that is known to the core, and up; p compares by hand.
namespace {
struct compared_with_p : alone {
  compared_with_p() {
    feed(global::node_up{etf::atom("p@h")});
    gets("{'$gen_cast',{new_nodes,'q@h',[],[],[{'p@h',8}],[]}}");
    gets("{'$gen_cast',{in_sync,'p@h',true}}");
    sleep();
  }
};
} // namespace

TEST_CASE(
    "global: once trouble is over a peer is compared with; the same difference twice, and both join anew") {
  compared_with_p s;
  CHECK(s.sent("{compare,1,m@h,0}").find("remora_names") != std::string::npos);
  SUBCASE("alike: nothing more") {
    CHECK(s.registrar_gets("{compared,1,'p@h',true,0}").empty());
    s.sleep();
    CHECK(s.out.empty());
  }
  SUBCASE("other names, then alike: it was a registration under way") {
    CHECK(s.registrar_gets("{compared,1,'p@h',true,17}").empty());
    s.sleep();
    CHECK(!s.sent("compare").empty());
    CHECK(s.registrar_gets("{compared,1,'p@h',true,0}").empty());
    s.sleep();
    CHECK(s.out.empty());
  }
  SUBCASE("other names twice, but not the same ones") {
    s.registrar_gets("{compared,1,'p@h',true,17}");
    s.sleep();
    CHECK(s.registrar_gets("{compared,1,'p@h',true,18}").empty());
  }
  SUBCASE("he does not know us") {
    s.registrar_gets("{compared,1,'p@h',false,0}");
    s.sleep();
    s.registrar_gets("{compared,1,'p@h',false,0}");
    CHECK(!s.sent("{rejoin,1,m@h}").empty());
    CHECK(!s.sent("init_connect").empty());
    CHECK(s.core.tables().known.empty());
    CHECK(s.registrar_gets("{rejoin,1,'p@h'}").empty()); // he found the same at the same time
    CHECK(!s.gets(p_init).empty());                      // and the session goes on
    CHECK(s.sent("cancel_connect").empty());
  }
  SUBCASE("he says so") {
    s.registrar_gets("{rejoin,1,'p@h'}");
    CHECK(!s.sent("init_connect").empty());
    CHECK(s.sent("rejoin").empty());
  }
  SUBCASE("what is not understood, or of nobody, changes nothing") {
    for (auto const* const text :
         {"{rejoin,2,'p@h'}", "{rejoin,1,'z@h'}", "{rejoin,1,7}", "{compare,1,'z@h',0}",
          "{compared,1,'p@h',true,-1}", "{compared,1,'p@h',maybe,0}"})
      CHECK(s.registrar_gets(text).empty());
    CHECK(s.core.tables().known.size() == 1);
  }
}

TEST_CASE("global: a peer that always differs is let be after rejoins_max") {
  compared_with_p s;
  unsigned rejoins = 0;
  for (int i = 0; i < 40; ++i) {
    s.registrar_gets("{compared,1,'p@h',true,17}");
    s.sleep();
    s.registrar_gets("{compared,1,'p@h',true,17}");
    if (s.sent("rejoin").empty()) continue;
    ++rejoins;
    s.gets("{'$gen_cast',{new_nodes,'q@h',[],[],[{'p@h',8}],[]}}"); // joined
    s.gets("{'$gen_cast',{in_sync,'p@h',true}}");
    s.sleep();
  }
  CHECK(rejoins == global::rejoins_max);
}

// An OTP node p, up, whose answers to get_known a test gives. It does not hear what native nodes compare.
namespace {
struct asks_p : alone {
  std::uint64_t tag() const {
    for (auto const& e : out)
      if (auto const* const s = std::get_if<global::send>(&e))
        if (s->message->element(2) && s->message->element(2)->is_atom("get_known"))
          return *s->message->element(1)->element(1)->unsigned_integer();
    return 0;
  }
  bool is_asked() {
    for (int i = 0; i < 4 && tag() == 0; ++i) sleep();
    return tag() != 0;
  }
  void answers(std::string const& nodes) { registrar_gets(fmt::format("{{{},{}}}", tag(), nodes)); }
  void answers_twice(std::string const& nodes) {
    REQUIRE(is_asked());
    answers(nodes);
    REQUIRE(is_asked());
    answers(nodes);
  }
  bool connects_anew() const {
    return !sent("disconnect p@h").empty() &&
           sent("remove_connection") ==
               "name_server (noconnect) -> {global_name_server,p@h} | {remove_connection,m@h}";
  }
};
} // namespace

TEST_CASE("global: a node that we count in and that does not count us in is connected anew") {
  asks_p s;
  s.gets("{'$gen_cast',{new_nodes,'q@h',[],[],[{'p@h',8}],[]}}");
  s.feed(global::node_up{etf::atom("p@h")});
  SUBCASE("no sign of it: nobody is asked") { CHECK_FALSE(s.is_asked()); }
  SUBCASE("he began a session, and heard of us then") {
    s.gets(p_init);
    s.gets("{'$gen_cast',{in_sync,'p@h',true}}");
    REQUIRE(s.is_asked()); // for he says that, too, when he has been told to drop us meanwhile
    s.answers("['m@h']");
    CHECK_FALSE(s.is_asked());
  }
  SUBCASE("he began a session") {
    s.gets(p_init);
    REQUIRE(s.is_asked());
    SUBCASE("and knows us") {
      s.answers("['x@h','m@h']");
      CHECK_FALSE(s.is_asked());
    }
    SUBCASE("and does not know us, and then does") {
      s.answers("['x@h']");
      REQUIRE(s.is_asked());
      s.answers("['x@h','m@h']");
      CHECK(s.out.empty());
      CHECK_FALSE(s.is_asked());
    }
    SUBCASE("and does not know us, twice") {
      s.answers_twice("['x@h']");
      CHECK(s.connects_anew());
      CHECK(s.core.tables().known.empty());
      s.feed(global::node_down{etf::atom("p@h")});
      CHECK(s.sent("lost_connection").empty()); // it is meant
      CHECK_FALSE(s.sent("connect p@h").empty());
      SUBCASE("and joins") {
        s.feed(global::connect_result{etf::atom("p@h"), true});
        s.feed(global::node_up{etf::atom("p@h")});
        CHECK_FALSE(s.sent("init_connect").empty());
        CHECK_FALSE(s.gets(p_init).empty());
        s.feed(global::node_down{etf::atom("p@h")});
        CHECK(s.sent("connect").empty());
      }
      SUBCASE("or cannot be reached: all others are to drop it") {
        s.gets("{'$gen_cast',{new_nodes,'q@h',[],[],[{'q@h',8}],[]}}");
        s.feed(global::connect_result{etf::atom("p@h"), false});
        CHECK_FALSE(s.sent("lost_connection").empty());
      }
    }
    SUBCASE("and gives an answer of another shape") {
      s.answers("none");
      CHECK(s.notices() == 1);
    }
    SUBCASE("and is lost before it answers") {
      auto const tag = s.tag();
      s.feed(global::node_down{etf::atom("p@h")});
      CHECK(s.registrar_gets(fmt::format("{{{},[]}}", tag)).empty());
    }
  }
}

TEST_CASE("global: a node that counts us in and that we do not know is connected anew") {
  asks_p s;
  s.feed(global::node_up{etf::atom("p@h")});
  SUBCASE("it knows us when we begin a session, and tells of it") {
    s.gets("{'$gen_cast',{in_sync,'p@h',true}}");
    s.answers_twice("['m@h']");
    CHECK(s.connects_anew());
  }
  SUBCASE("neither knows the other, and the session is gone") {
    s.gets("{'$gen_cast',{in_sync,'p@h',true}}");
    s.answers_twice("[]");
    CHECK(s.connects_anew());
  }
  SUBCASE("it takes no part in this: our session stays without an answer") {
    REQUIRE(s.is_asked());
    s.answers("[]");
    CHECK_FALSE(s.is_asked());
  }
  SUBCASE("the session goes on: it waits for its turn at the lock") {
    s.gets(p_init);
    CHECK(s.core.tables().pending.size() == 1);
    CHECK_FALSE(s.is_asked());
  }
}

TEST_CASE("global: a node that never fits is let be after redials_max") {
  asks_p s;
  unsigned redials = 0;
  for (unsigned i = 0; i < 2 * global::redials_max; ++i) {
    s.feed(global::node_up{etf::atom("p@h")});
    s.gets("{'$gen_cast',{in_sync,'p@h',true}}");
    for (int twice = 0; twice < 2 && s.is_asked(); ++twice) s.answers("['m@h']");
    if (!s.connects_anew()) break;
    ++redials;
    s.feed(global::node_down{etf::atom("p@h")});
    s.feed(global::connect_result{etf::atom("p@h"), true});
  }
  CHECK(redials == global::redials_max);
}

TEST_CASE("global: lost_connection is relayed once, and drops the lost node") {
  alone s;
  s.gets("{'$gen_cast',{new_nodes,'p@h',[],[],[{'a@h',8},{'b@h',8},{'c@h',8}],[{vsn,8},{lock,{global,x}}]}}");
  s.feed(global::node_up{etf::atom("b@h")});
  s.gets("{lost_connection,'a@h',99,7,'b@h'}");
  CHECK(s.sent("remove_connection") ==
        "name_server (noconnect) -> {global_name_server,b@h} | {remove_connection,m@h}");
  CHECK_FALSE(s.sent("{global_name_server,c@h} | {lost_connection,a@h,99,7,b@h}").empty());
  CHECK(s.sent("{global_name_server,a@h} | {lost_connection").empty());
  CHECK(s.core.tables().known.size() == 2);
  CHECK(s.gets("{lost_connection,'a@h',99,7,'b@h'}").empty());
  CHECK(s.gets("{lost_connection,'a@h',99,6,'b@h'}").empty());
  CHECK(s.feed(global::node_down{etf::atom("b@h")}).empty()); // it was to go: silent
  s.gets("{remove_connection,'c@h'}");
  CHECK_FALSE(s.sent("disconnect c@h").empty());
  CHECK(s.core.tables().known.size() == 1);
  s.feed(global::node_down{etf::atom("a@h")});
  CHECK(s.core.tables().known.empty());
}
