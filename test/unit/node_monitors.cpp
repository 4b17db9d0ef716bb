// Monitors, aliases, group leaders and spawn requests between nodes (protocol.md 3.5, 3.7, 3.9).
#include "etf/print.hpp"
#include "services/services.hpp"
#include "support/frames.hpp"
#include "support/world.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace remora;
using namespace remora::test;
using namespace std::chrono_literals;

namespace {

struct pair {
  explicit pair(std::uint64_t seed = 1) : w(seed), a(w.add("a@h")), b(w.add("b@h")) {
    p = w.probe(a, "p");
    q = w.probe(b, "q");
  }
  world w;
  node::core& a;
  node::core& b;
  etf::pid p, q;
};

// A node, and a raw peer connected to it.
struct with_raw {
  with_raw() : a(w.add("a@h")), r(w.raw("r@h")) {
    r.dial("a@h");
    p = w.probe(a, "p");
    w.label({.node = etf::atom("r@h"), .id = 1, .serial = 0, .creation = 50}, "q");
    w.run();
    r.log.clear();
    w.take_trace();
  }
  // $p is our process, $q theirs.
  void send(std::string control, std::string payload = {}) {
    for (auto* const text : {&control, &payload})
      for (auto const& [name, pid] : {std::pair{std::string("$p"), etf::print(etf::make(p))},
                                      {std::string("$q"), std::string("#Pid<r@h.1.0.50>")}})
        for (auto at = text->find(name); at != std::string::npos; at = text->find(name))
          text->replace(at, 2, pid);
    r.send(control, payload);
    w.run();
  }
  world w;
  node::core& a;
  raw_peer& r;
  etf::pid p;
};

std::string const ref = "#Ref<r@h.50.1.2.3>";

} // namespace

TEST_CASE("monitors: of a pid and of a name, fired once with the reason") {
  pair s;
  s.w.as(s.p).monitor(s.q);
  s.w.as(s.p).monitor(node::destination("q", "b@h"));
  s.w.run();
  CHECK(s.w.as(s.q).raw().watchers.size() == 2);
  s.w.as(s.p).exit_other(s.q, t("kill"));
  s.w.run();
  auto log = s.w.log(s.p);
  std::sort(log.begin(), log.end());
  CHECK(log == lines{"{'DOWN',R1,process,q,killed}", "{'DOWN',R2,process,{q,b@h},killed}"});
  CHECK(s.w.as(s.p).raw().monitors.empty());
}

TEST_CASE("monitors: the dead and the unknown are noproc, also a name that is free again") {
  pair s;
  s.w.as(s.p).exit_other(s.q, t("kill"));
  s.w.run();
  s.w.as(s.p).monitor(s.q);
  s.w.run();
  s.w.as(s.p).monitor(node::destination("q", "b@h"));
  s.w.run();
  s.w.as(s.p).monitor(node::destination("nosuch", "b@h"));
  s.w.run();
  CHECK(s.w.log(s.p) == lines{"{'DOWN',R1,process,q,noproc}", "{'DOWN',R2,process,{q,b@h},noproc}",
                              "{'DOWN',R3,process,{nosuch,b@h},noproc}"});
}

TEST_CASE("monitors: the name is resolved once, the process keeps being watched without it") {
  with_raw s;
  s.send("{19,$q,p," + ref + "}");
  s.w.as(s.p).unregister_name();
  s.send("{19,$q,p,#Ref<r@h.50.2>}");
  CHECK(s.r.log == lines{"{28,p,q,R2} | noproc"});
  s.w.as(s.p).exit_other(s.p, t("kill"));
  s.w.run();
  CHECK(s.r.log.back() == "{28,p,q,R1} | killed"); // with the atom that it came with
}

TEST_CASE("monitors: demonitor, and one that crosses the exit") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    pair s(seed);
    auto const r = s.w.as(s.p).monitor(s.q);
    s.w.run();
    s.w.as(s.q).exit_other(s.q, t("kill"));
    for (auto steps = seed % 4; steps > 0; --steps) s.w.step();
    s.w.as(s.p).demonitor(r);
    auto const seen = s.w.log(s.p).size();
    s.w.run();
    CHECK(s.w.log(s.p).size() == seen);
    CHECK(s.w.as(s.p).raw().monitors.empty());
  }
  pair s;
  auto const r = s.w.as(s.p).monitor(s.q);
  s.w.run();
  s.w.as(s.p).demonitor(r);
  s.w.run();
  CHECK(s.w.as(s.q).raw().watchers.empty());
}

TEST_CASE("monitors: what a peer sends for references that nobody knows is ignored") {
  with_raw s;
  s.send("{20,$q,$p," + ref + "}");
  s.send("{28,$q,$p," + ref + "}", "gone");
  s.send("{21,$q,$p," + ref + ",gone}");
  s.send("{31," + ref + ",$p,0,badopt}");
  s.send("{36,5,$q,$p}");
  s.send("{33,$q," + ref + "}", "hello");
  s.send("{24,$q,$p}", "bye");
  s.send("{6,$q,'',nosuch}", "hello");
  s.send("{22,$q,#Pid<a@h.77.0.1000>}", "hello");
  s.send("{26,$q,#Pid<a@h.77.0.1000>}", "kill");
  CHECK(s.r.log.empty());
  CHECK(s.w.log(s.p).empty());
  CHECK(s.w.take_trace().empty());
}

TEST_CASE("monitors: one reference twice is one monitor") {
  with_raw s;
  s.send("{19,$q,$p," + ref + "}");
  s.send("{19,$q,$p," + ref + "}");
  s.w.as(s.p).exit_other(s.p, t("kill"));
  s.w.run();
  CHECK(s.r.log == lines{"{28,p,q,R1} | killed"});
}

TEST_CASE("monitors: two peers may use one reference, each has its own monitor") {
  with_raw s;
  auto& z = s.w.raw("z@h");
  z.dial("a@h");
  s.w.run();
  z.log.clear();
  s.send("{19,$q,$p," + ref + "}");
  z.send("{19,#Pid<z@h.1.0.50>," + etf::print(etf::make(s.p)) + "," + ref + "}");
  s.w.run();
  CHECK(s.w.as(s.p).raw().watchers.size() == 2);
  s.send("{20,$q,$p," + ref + "}");
  s.w.as(s.p).exit_other(s.p, t("kill"));
  s.w.run();
  CHECK(s.r.log.empty());
  CHECK(z.log == lines{"{28,p,#Pid<z@h.1.0.50>,R1} | killed"});
}

TEST_CASE("monitors: only the watched process's node can say that it ended") {
  with_raw s;
  auto& b = s.w.add("b@h");
  auto const far = s.w.probe(b, "far");
  auto const r = s.w.as(s.p).monitor(far);
  s.w.run();
  s.send("{28,$q,$p," + etf::print(etf::make(r)) + "}", "gone");
  CHECK(s.w.log(s.p).empty());
  CHECK(s.w.as(s.p).raw().monitors.size() == 1);
}

TEST_CASE("monitors: noproc for a process comes after the last that it sent") {
  with_raw s;
  etf::pid const q{.node = etf::atom("r@h"), .id = 1, .serial = 0, .creation = 50};
  s.r.deaf = true; // the large message stays half written
  s.w.socket_bytes = 1000;
  s.w.as(s.p).send(q, etf::make(std::string(2'000'000, 'x')));
  s.w.run();
  s.w.as(s.p).exit_other(s.p, t("kill"));
  s.w.run();
  s.send("{19,$q,$p," + ref + "}");
  s.r.deaf = false;
  s.w.run();
  CHECK(s.r.log.back() == "{28,p,q,R1} | noproc");
}

TEST_CASE("identifiers that are not the peer's end its connection") {
  for (auto const* const control :
       {"{1,#Pid<c@h.1.0.1>,$p}", "{19,#Pid<c@h.1.0.1>,$p,#Ref<r@h.50.1>}", "{35,1,#Pid<c@h.1.0.1>,$p}",
        "{8,#Pid<c@h.1.0.1>,$p,bye}", "{4,#Pid<c@h.1.0.1>,$p}", "{36,1,#Pid<c@h.1.0.1>,$p}",
        "{20,#Pid<c@h.1.0.1>,$p,#Ref<r@h.50.1>}", "{3,#Pid<c@h.1.0.1>,$p,bye}",
        "{29,#Ref<r@h.50.1>,#Pid<c@h.1.0.1>,$p,{m,f,0},[]}", "{35,0,$q,$p}", "{37,$q,$p}", "{99}",
        "{22,$q,$p}"}) {
    CAPTURE(control);
    with_raw s;
    s.send(control, std::string_view(control).starts_with("{29") ? "[]" : "");
    CHECK_FALSE(s.a.connected("r@h"));
    CHECK(s.w.alive(s.p));
    CHECK(s.w.log(s.p).empty());
    auto const trace = s.w.take_trace();
    REQUIRE(trace.size() == 1);
    CHECK(trace[0].starts_with("a: r@h down: "));
  }
}

TEST_CASE("aliases: active until the monitor is gone") {
  pair s;
  auto const r = s.w.as(s.p).monitor(s.q, true);
  s.w.run();
  auto const reply_to_alias = [&](std::string_view what) {
    s.w.as(s.q).reply({etf::make(etf::tup(s.p, etf::imp(etf::am("alias"), r)))}, t(what));
    s.w.run();
  };
  reply_to_alias("one");
  CHECK(s.w.log(s.p) == lines{"{[alias|R1],one}"});
  s.w.as(s.p).demonitor(r);
  reply_to_alias("two");
  CHECK(s.w.log(s.p).size() == 1);
  auto const again = s.w.as(s.p).monitor(s.q, true);
  s.w.as(s.q).exit_other(s.q, t("kill"));
  s.w.run();
  CHECK(s.w.log(s.p).size() == 2);
  CHECK(s.w.as(s.p).raw().aliases.empty());
  static_cast<void>(again);
}

TEST_CASE("group leader: set from elsewhere") {
  with_raw s;
  s.send("{7,$q,$p}");
  CHECK(etf::print(etf::make(s.w.as(s.p).leader())) == "#Pid<r@h.1.0.50>");
  s.send("{7,$q,#Pid<a@h.99.0.1000>}");
}

TEST_CASE("spawn: a request is answered before anything that the child causes") {
  with_raw s;
  s.a.functions().add("m", "f", 1, [](node::self me, etf::term arguments) -> node::task<etf::term> {
    me.send(*(*arguments->list()->next()).as_pid(), t("from_child"));
    co_return t("ok");
  });
  s.send("{29," + ref + ",$q,$q,{m,f,1},[monitor,link,{priority,high},{min_heap_size,500}]}", "[$q]");
  REQUIRE(s.r.log.size() == 4);
  CHECK(s.r.log[0] == "{31,R1,q,3,#Pid<a@h.2.0.1000>}");
  CHECK(s.r.log[1] == "{22,#Pid<a@h.2.0.1000>,q} | from_child");
  CHECK(s.r.log[2] == "{28,#Pid<a@h.2.0.1000>,q,R1} | normal");
  CHECK(s.r.log[3] == "{24,#Pid<a@h.2.0.1000>,q} | normal");
  s.r.log.clear();
  s.send("{29," + ref + ",$q,$q,{m,f,1},[]}", "[$q]");
  CHECK(s.r.log == lines{"{31,R1,q,0,#Pid<a@h.3.0.1000>}", "{22,#Pid<a@h.3.0.1000>,q} | from_child"});
}

TEST_CASE("spawn: undef is the child's death, not the request's failure") {
  with_raw s;
  s.send("{29," + ref + ",$q,$q,{nomod,nof,1},[monitor]}", "[1]");
  REQUIRE(s.r.log.size() == 3);
  CHECK(s.r.log[0] == "{31,R1,q,2,#Pid<a@h.2.0.1000>}");
  CHECK(
      s.r.log[1].starts_with("{6,#Pid<a@h.2.0.1000>,'',logger_proxy} | {log,error,")); // its leader is theirs
  CHECK(s.r.log[2] == "{28,#Pid<a@h.2.0.1000>,q,R1} | {undef,[{nomod,nof,[1],[]}]}");
  CHECK(s.a.process_count() == 1);
}

TEST_CASE("spawn: badopt, and system_limit at processes_max") {
  with_raw s;
  for (auto const* const options :
       {"[foo]", "[link|monitor]", "foo", "[{foo,1}]", "[{priority,high,1}]", "[1]"}) {
    CAPTURE(options);
    s.r.log.clear();
    s.send(fmt::format("{{29,{},$q,$q,{{m,f,0}},{}}}", ref, options), "[]");
    CHECK(s.r.log == lines{"{31,R1,q,0,badopt}"});
  }
  s.r.log.clear();
  s.send("{29," + ref + ",$q,$q,{m,f,2},[]}", "[1]"); // not its arity
  s.send("{29," + ref + ",$q,$q,{m,f,2},[]}", "foo");
  CHECK(s.r.log == lines{"{31,R1,q,0,badopt}", "{31,R1,q,0,badopt}"});

  world w;
  auto& a = w.add("a@h", {.limits = {.processes_max = 3}});
  a.functions().add("m", "wait", 0, [](node::self me, etf::term) -> node::task<etf::term> {
    co_await me.receive();
    co_return t("ok");
  });
  auto& r = w.raw("r@h");
  r.dial("a@h");
  w.run();
  r.log.clear();
  for (int i = 0; i < 4; ++i)
    r.send("{29," + ref + ",#Pid<r@h.1.0.50>,#Pid<r@h.1.0.50>,{m,wait,0},[]}", "[]");
  w.run();
  REQUIRE(r.log.size() == 4);
  for (std::size_t i = 0; i < 3; ++i) CHECK(r.log[i].starts_with("{31,R1,#Pid<r@h.1.0.50>,0,#Pid<a@h."));
  CHECK(r.log[3] == "{31,R1,#Pid<r@h.1.0.50>,0,system_limit}");
}

TEST_CASE("spawn: ours, answered, refused, and after the connection is lost") {
  pair s;
  s.b.functions().add("m", "bye", 0, [](node::self me, etf::term) -> node::task<etf::term> {
    me.exit("bye");
    co_return t("ok");
  });
  s.w.as(s.p).spawn_request(etf::atom("b@h"), "m", "bye", t("[]"), {.link = true, .monitor = true});
  s.w.run();
  REQUIRE(s.w.log(s.p).size() == 3);
  CHECK(s.w.log(s.p)[0] == "{spawn_reply,R1,ok,#Pid<b@h.2.0.1001>}");
  CHECK(s.w.log(s.p)[1] == "{'DOWN',R1,process,#Pid<b@h.2.0.1001>,bye}");
  CHECK(s.w.log(s.p)[2] == "{'EXIT',#Pid<b@h.2.0.1001>,bye}");
  s.w.log(s.p).clear();
  s.w.as(s.p).spawn_request(etf::atom("nobody@h"), "m", "bye", t("[]"), {});
  s.w.run();
  CHECK(s.w.log(s.p) == lines{"{spawn_reply,R2,error,noconnection}"});
  s.w.as(s.p).spawn_request(etf::atom("not a node"), "m", "bye", t("[]"), {});
  s.w.run();
  CHECK(s.w.log(s.p).back() == "{spawn_reply,R3,error,noconnection}");
  CHECK(s.w.as(s.p).raw().spawns.empty());
}

TEST_CASE("spawn: the requester is gone, or no longer waits, when the reply comes") {
  with_raw s;
  auto const request = [&](etf::pid const& who) {
    s.w.as(who).spawn_request(etf::atom("r@h"), "m", "f", t("[]"), {.link = true, .monitor = true});
    s.w.run();
    s.r.log.clear();
  };
  auto const other = s.w.probe(s.a, "other");
  request(other);
  s.w.as(other).exit_other(other, t("kill"));
  s.w.run();
  CHECK(s.w.take_trace() == lines{});
  s.r.send(fmt::format("{{31,#Ref<a@h.1000.1.0.0>,{},3,#Pid<r@h.1.0.50>}}", etf::print(etf::make(other))));
  s.w.run();
  CHECK(s.r.log == lines{"{20,other,q,R1}", "{24,other,q} | killed"}); // why the requester died

  auto result = std::make_shared<std::string>();
  auto const caller = s.w.spawn(s.a, [result](node::self me) -> node::task<> {
    auto const pid =
        co_await me.spawn_at(etf::atom("r@h"), "m", "f", t("[]"), {.link = true, .monitor = true}, 5s);
    *result = pid ? "pid" : etf::print(pid.error().reason);
    co_await me.receive();
  });
  s.w.label(caller, "caller");
  s.w.pass(6s);
  CHECK(*result == "timeout");
  s.r.log.clear();
  s.r.send(fmt::format("{{31,#Ref<a@h.1000.2.0.0>,{},3,#Pid<r@h.1.0.50>}}", etf::print(etf::make(caller))));
  s.w.run();
  CHECK(s.r.log == lines{"{20,caller,q,R2}", "{24,caller,q} | abandoned"});
  CHECK(s.w.as(caller).raw().links.empty());
  CHECK(s.w.as(caller).raw().monitors.empty());
  CHECK(s.w.as(caller).raw().mailbox.empty());
}
