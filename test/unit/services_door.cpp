// The door in whole nodes: writes, batches, callers that go away, calls on other nodes, and a receiver of the
// stream that applies it and must then have what the node has.
#include "etf/print.hpp"
#include "services/log_gate.hpp"
#include "services/services.hpp"
#include "support/frames.hpp"
#include "support/world.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

using namespace remora;
using namespace remora::test;
using namespace std::chrono_literals;

namespace {

// What a receiver makes of the stream, in text.
struct copy {
  std::uint64_t version = 0;
  bool synced = false;
  bool lost = false; // a message did not begin where it was
  std::map<std::string, std::string> names;
  std::map<std::string, std::map<std::string, std::vector<std::string>>> scopes;
  std::map<std::string, std::string> nodes;
  std::map<std::string, std::string> reasons;
  std::size_t messages = 0;

  void apply(etf::view message) {
    auto const all = *message.tuple<5>();
    ++messages;
    lost = lost || *all[2].unsigned_integer() != version;
    version = *all[3].unsigned_integer();
    auto list = *all[4].list();
    while (auto const c = list.next()) change(*c);
  }
  void change(etf::view c) {
    if (c.is_atom("synced")) {
      CHECK_FALSE(synced);
      synced = true;
      return;
    }
    auto const arity = *c.arity();
    auto const what = std::string(*c.element(0)->atom_text());
    auto const first = etf::print(*c.element(1));
    if (what == "name") names[first] = etf::print(*c.element(2));
    if (what == "unname") CHECK(names.erase(first) == 1);
    if (what == "up") nodes[first] = etf::print(*c.element(2));
    if (what == "down") {
      CHECK(nodes.erase(first) == 1);
      reasons[first] = etf::print(*c.element(2));
    }
    if (what == "scope") {
      CHECK_FALSE(scopes.contains(first));
      scopes[first];
    }
    if (what == "unscope") CHECK(scopes.erase(first) == 1);
    if (arity != 4U) return;
    auto const group = etf::print(*c.element(2));
    auto& members = scopes.at(first)[group];
    auto pids = *c.element(3)->list();
    while (auto const pid = pids.next()) {
      auto const text = etf::print(*pid);
      if (what == "join") {
        members.push_back(text);
        continue;
      }
      auto const found = std::find(members.begin(), members.end(), text);
      REQUIRE(found != members.end());
      members.erase(found);
    }
    std::sort(members.begin(), members.end());
    if (members.empty()) scopes.at(first).erase(group);
  }
};

struct doors {
  explicit doors(std::uint64_t seed = 1, node::core_options options = {}, bool pop = false)
      : w(seed), options_(options), pop_(pop) {
    for (auto const* const name : {"a@h", "b@h", "c@h"}) add(name);
  }
  void add(std::string const& name) {
    auto o = options_;
    all.insert_or_assign(
        name, services::install(w.add(name, o),
                                {.version = "1.2.3",
                                 .os_pid = 42,
                                 .pg_scopes = {"pg"},
                                 .registry = global::options{.prevent_overlapping_partitions = pop_}}));
  }
  void meet() {
    for (auto const& [x, gx] : all)
      for (auto const& [y, gy] : all)
        if (x < y) w.at(x).connect(etf::atom(y));
    w.run();
    w.pass(10s);
  }
  // A gen_server:call of a process of `from` to the door of `to`; what it answers.
  std::string ask(std::string const& request, std::string const& from = "a@h", std::string const& to = "a@h",
                  base::duration time = 0s) {
    return ask(t(request), from, to, time);
  }
  std::string ask(etf::term request, std::string const& from = "a@h", std::string const& to = "a@h",
                  base::duration time = 0s) {
    auto const said = std::make_shared<std::string>("still waiting");
    w.spawn(w.at(from), [said, to, request](node::self me) -> node::task<> {
      auto const answer = co_await me.call({"remora", to}, request, 100s);
      *said = answer ? etf::print(*answer) : "failed: " + etf::print(answer.error().reason);
    });
    w.run();
    if (time > 0s) w.pass(time);
    return *said;
  }
  // A process of `from` that follows the stream of `to`.
  std::shared_ptr<copy> follow(std::string const& from, std::string const& to, etf::pid* who = nullptr) {
    auto const out = std::make_shared<copy>();
    auto const pid = w.spawn(w.at(from), [out, to](node::self me) -> node::task<> {
      auto const answer = co_await me.call({"remora", to}, t("mirror"), 100s);
      CHECK(answer.has_value());
      while (true) {
        auto const message = co_await me.receive();
        if (message->arity() == 5U) out->apply(message);
      }
    });
    if (who != nullptr) *who = pid;
    w.run();
    return out;
  }
  etf::pid process(std::string const& node) { return w.probe(w.at(node)); }
  void kill(etf::pid const& p) {
    w.as(p).exit_other(p, t("kill"));
    w.run();
  }
  std::size_t processes(std::string const& node) { return w.at(node).process_count(); }
  services::door& door(std::string const& node) { return all.at(node).door; }

  // As the node itself knows it.
  void check_agrees(copy const& c, std::string const& name) {
    auto& at = all.at(name);
    CHECK(c.synced);
    CHECK_FALSE(c.lost);
    CHECK(c.version == at.door.mirror().version());
    std::map<std::string, std::string> names;
    at.names->for_each(
        [&](etf::view n, etf::pid const& p) { names[etf::print(n)] = etf::print(etf::make(p)); });
    CHECK(c.names == names);
    decltype(c.scopes) scopes;
    for (auto const& s : at.groups.scopes()) {
      auto& groups = scopes[s];
      for (auto const g : at.groups.find(s)->groups()) {
        auto& members = groups[etf::print(g)];
        for (auto const& p : at.groups.members(s, g)) members.push_back(etf::print(etf::make(p)));
        std::sort(members.begin(), members.end());
      }
    }
    CHECK(c.scopes == scopes);
    std::map<std::string, std::string> nodes;
    for (auto const& p : w.at(name).peers(true, false)) nodes[p] = "visible";
    for (auto const& p : w.at(name).peers(false, true)) nodes[p] = "hidden";
    CHECK(c.nodes == nodes);
  }

  world w;
  node::core_options options_;
  bool pop_; // prevent_overlapping_partitions
  std::map<std::string, services::installed> all;
};

std::string pid_text(etf::pid const& p) { return etf::print(etf::make(p)); }

} // namespace

TEST_CASE("door: hello, nodes, unknown requests") {
  doors s;
  s.meet();
  CHECK(s.ask("hello").starts_with("{ok,#{protocol => 1,version => <<\"1.2.3\">>,node => a@h,creation => "));
  CHECK(s.ask("hello").ends_with(",scopes => [pg],os_pid => 42}}"));
  CHECK(s.ask("{nodes,visible}") == "[b@h,c@h]");
  CHECK(s.ask("{nodes,hidden}") == "[]");
  CHECK(s.ask("{nodes,connected}", "b@h") == "[b@h,c@h]");
  CHECK(s.ask("{nodes,all}") == "{error,badarg}");
  CHECK(s.ask("{what,ever}") == "{error,{unknown_request,{what,ever}}}");
  CHECK(s.ask("7") == "{error,{unknown_request,7}}");
}

TEST_CASE("door: a write is answered with its version, whatever it wraps") {
  doors s;
  s.meet();
  auto const mirror = s.follow("b@h", "a@h");
  auto const p = s.process("b@h");
  auto const version = s.door("a@h").mirror().version();
  auto const join = fmt::format("{{write,{{join,pg,g,{}}}}}", pid_text(p));
  CHECK(s.ask(join, "b@h") == fmt::format("{{{},ok}}", version + 1));
  CHECK(mirror->version == version + 1);
  CHECK(s.ask(fmt::format("{{write,{{register_name,n,{},random_exit}}}}", pid_text(p)), "b@h") ==
        fmt::format("{{{},yes}}", version + 2));
  CHECK(s.ask("{write,{whereis_name,n}}") == fmt::format("{{{},{}}}", version + 2, pid_text(p)));
  CHECK(s.ask("{write,{no,such}}") ==
        fmt::format("{{{},{{error,{{unknown_request,{{no,such}}}}}}}}", version + 2));
  CHECK(s.ask("{write,{write,hello}}") == fmt::format("{{{},{{error,badarg}}}}", version + 2));
  CHECK(s.ask("{write,{batch,[]}}") == fmt::format("{{{},{{error,badarg}}}}", version + 2));
  CHECK(s.ask("{write,{unregister_name,n}}") == fmt::format("{{{},ok}}", version + 3));
  s.check_agrees(*mirror, "a@h");
}

// On one connection: what the answer's version says has been told is on its way before it.
TEST_CASE("door: the stream is told before the answer") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    doors s(seed);
    s.meet();
    auto const mirror = s.follow("b@h", "a@h");
    auto const seen = std::make_shared<std::vector<std::pair<std::uint64_t, std::uint64_t>>>();
    for (int i = 0; i < 8; ++i)
      s.w.spawn(s.w.at("b@h"), [=](node::self me) -> node::task<> {
        auto const request = etf::make(
            etf::tup(etf::am("write"), etf::tup(etf::am("join"), etf::am("pg"), etf::am("g"), me.pid())));
        auto const answer = co_await me.call({"remora", "a@h"}, request, 10s);
        seen->emplace_back(*(*answer)->element(0)->unsigned_integer(), mirror->version);
        co_await me.sleep(1000h);
      });
    s.w.run();
    REQUIRE(seen->size() == 8);
    for (auto const& [answered, mirrored] : *seen) CHECK(mirrored >= answered);
    s.check_agrees(*mirror, "a@h");
  }
}

TEST_CASE("door: a batch is answered in its order, whatever ends first") {
  doors s;
  s.meet();
  auto const p = pid_text(s.process("b@h"));
  auto const q = pid_text(s.process("b@h"));
  auto const version = s.door("a@h").mirror().version();
  auto const said =
      s.ask(fmt::format("{{batch,[{{register_name,n,{0},random_exit}},{{join,pg,g,{0}}},{{nodes,hidden}},"
                        "{{register_name,n,{1},random_exit}},{{rpc,b@h,erlang,node,[],1000,#{{}}}},"
                        "{{batch,[]}},{{write,hello}},nonsense]}}",
                        p, q),
            "b@h");
  CHECK(said == fmt::format("{{{},[yes,ok,[],no,{{ok,b@h}},{{error,badarg}},{{error,badarg}},"
                            "{{error,{{unknown_request,nonsense}}}}]}}",
                            version + 2));
  CHECK(s.ask("{batch,[]}") == fmt::format("{{{},[]}}", version + 2));
  CHECK(s.ask("{batch,nolist}") == "{error,badarg}");
  CHECK(s.ask("{batch,[hello|hello]}") == "{error,badarg}");
}

TEST_CASE("door: a batch of the largest size, and one more") {
  doors s;
  s.meet();
  services::door_limits const limits;
  REQUIRE(4 * limits.requests_max <= global::limits().requests_max);
  auto const p = s.process("b@h");
  auto const batch = [&](std::size_t count) {
    etf::builder b;
    b.tuple(2).atom("batch").list(count);
    for (std::size_t i = 0; i < count; ++i)
      b.tuple(4).atom("re_register_name").unsigned_integer(i).pid(p).atom("random_exit");
    b.nil();
    return b.take();
  };
  auto const rounds_of = [&] { return s.w.at("a@h").counts().signals_out; };
  auto const before = rounds_of();
  auto const said = s.ask(batch(limits.requests_max), "b@h", "a@h", 60s);
  CHECK(said.starts_with("{"));
  std::size_t yes = 0;
  for (auto at = said.find("yes"); at != std::string::npos; at = said.find("yes", at + 3)) ++yes;
  CHECK(yes == limits.requests_max);
  std::size_t names = 0;
  s.all.at("c@h").names->for_each([&](etf::view, etf::pid const&) { ++names; });
  CHECK(names == limits.requests_max);
  // One call for each name to each of the two others, and the locks of as few rounds as that takes.
  auto const calls = rounds_of() - before - 2 * limits.requests_max;
  CHECK(calls < 40 * (limits.requests_max / global::limits().round_requests_max + 2));
  CHECK(s.ask(batch(limits.requests_max + 1), "b@h") == "{error,system_limit}");
}

TEST_CASE("door: a batch holds no more answers than batch_bytes_max") {
  doors s;
  s.w.at("a@h").functions().add("big", "one", [] { return std::string(20U << 20U, 'x'); });
  auto const request = "{rpc,a@h,big,one,[],infinity,#{}}";
  auto const said = std::make_shared<std::vector<std::size_t>>();
  s.w.spawn(s.w.at("a@h"), [=](node::self me) -> node::task<> {
    auto const batch = fmt::format("{{batch,[{0},{0},{0},{0},{0}]}}", request);
    auto const answer = co_await me.call("remora", t(batch), 100s);
    auto list = *(*answer)->element(1)->list();
    while (auto const one = list.next()) {
      said->push_back(one->bytes().size());
      if (said->size() > 3) CHECK(etf::print(*one) == "{error,system_limit}");
    }
  });
  s.w.run();
  REQUIRE(said->size() == 5);
  CHECK((*said)[2] > (20U << 20U));
  CHECK((*said)[3] < 100);
}

TEST_CASE("door: calls on other nodes, each end apart") {
  doors s;
  s.meet();
  auto& f = s.w.at("b@h").functions();
  f.add("m", "add", [](std::int64_t a, std::int64_t b) { return a + b; });
  f.add("m", "fail", [](etf::view what) -> etf::term {
    throw node::raised{node::raised::kind::error, etf::term(what)};
  });
  f.add("m", "exit", [](etf::view what) -> etf::term {
    throw node::raised{node::raised::kind::exit, etf::term(what)};
  });
  f.add("m", "throw", [](etf::view what) -> etf::term {
    throw node::raised{node::raised::kind::throw_, etf::term(what)};
  });
  f.add("m", "sleep", 0, [](node::self me, etf::term) -> node::task<etf::term> {
    co_await me.sleep(1h);
    co_return t("ok");
  });
  auto const rpc = [&](std::string const& node, std::string const& f_and_args,
                       std::string const& timeout = "5000", base::duration time = 0s) {
    return s.ask(fmt::format("{{rpc,{},m,{},{},#{{}}}}", node, f_and_args, timeout), "b@h", "a@h", time);
  };
  auto const before = s.processes("a@h");
  CHECK(rpc("b@h", "add,[1,2]") == "{ok,3}");
  CHECK(rpc("b@h", "add,[1,2]", "infinity") == "{ok,3}");
  CHECK(rpc("b@h", "add,[1]") == "{error,{undef,{m,add,1}}}");
  CHECK(rpc("b@h", "add,[1,x]") == "{error,{raised,error,badarg}}");
  CHECK(rpc("b@h", "fail,[{my,reason}]") == "{error,{raised,error,{my,reason}}}");
  CHECK(rpc("b@h", "exit,[normal]") == "{error,{raised,exit,normal}}");
  CHECK(rpc("b@h", "throw,[x]") == "{error,{raised,throw,x}}");
  CHECK(rpc("nobody@h", "add,[1,2]") == "{error,{nodedown,nobody@h}}");
  CHECK(rpc("a@h", "add,[1,2]") == "{error,{undef,{m,add,2}}}"); // on the companion itself
  CHECK(rpc("b@h", "sleep,[]", "0", 1ms) == "{error,timeout}");
  CHECK(rpc("b@h", "sleep,[]", "1000", 999ms) == "still waiting");
  CHECK(rpc("b@h", "sleep,[]", "1000", 1000ms) == "{error,timeout}");
  for (auto const* const wrong : {"{rpc,b@h,m,add,[1,2],-1,#{}}", "{rpc,b@h,m,add,[1,2],x,#{}}",
                                  "{rpc,b@h,m,add,[1|2],1,#{}}", "{rpc,\"b@h\",m,add,[1,2],1,#{}}",
                                  "{rpc,b@h,m,add,[1,2],1,[]}", "{rpc,b@h,m,add,[1,2],4294967296,#{}}",
                                  "{rpc,b@h,m,add,[1,2],1,#{correlation => 7}}", "{rpc_cast,b@h,m,7,[],#{}}"})
    CHECK(s.ask(std::string(wrong)) == "{error,badarg}");
  s.w.pass(10s);
  CHECK(s.processes("a@h") == before);
  CHECK(s.w.as(s.w.at("a@h").find_registered("remora")->pid).raw().monitors.empty());
}

TEST_CASE("door: a connection that is lost ends its calls, and a late answer is nobody's") {
  doors s;
  s.meet();
  s.w.at("b@h").functions().add("m", "later", 0, [](node::self me, etf::term) -> node::task<etf::term> {
    co_await me.sleep(2s);
    co_return t("late");
  });
  auto const before = s.processes("a@h");
  auto const request = "{rpc,b@h,m,later,[],1000,#{}}";
  CHECK(s.ask(std::string(request), "c@h", "a@h", 1s) == "{error,timeout}");
  s.w.pass(5s); // it answers into the void
  CHECK(s.processes("a@h") == before);
  auto const said = std::make_shared<std::string>();
  s.w.spawn(s.w.at("c@h"), [=](node::self me) -> node::task<> {
    auto const answer = co_await me.call({"remora", "a@h"}, t("{rpc,b@h,m,later,[],infinity,#{}}"), 100s);
    *said = etf::print(*answer);
  });
  s.w.run();
  s.w.cut("a@h", "b@h");
  s.w.run();
  CHECK(*said == "{error,{nodedown,b@h}}");
  CHECK(s.processes("a@h") == before);
}

// By its monitor's end, as gen_server:call leaves it; by our own on it where it has set none; by its node's
// loss.
TEST_CASE("door: whoever waits no longer costs nothing any more") {
  doors s;
  s.meet();
  s.w.at("b@h").functions().add("m", "sleep", 0, [](node::self me, etf::term) -> node::task<etf::term> {
    co_await me.sleep(1000h);
    co_return t("ok");
  });
  auto const before = s.processes("a@h");
  auto const forever = "{rpc,b@h,m,sleep,[],infinity,#{}}";
  auto const check_clean = [&] {
    s.w.run();
    CHECK(s.processes("a@h") == before);
    CHECK(s.door("a@h").tracked_callers() == 0);
    auto const& door = *s.w.at("a@h").find_registered("remora");
    CHECK(door.monitors.empty());
    CHECK(door.mailbox.empty());
  };
  auto const call = [&](std::string request, base::duration timeout) {
    auto const pid = s.w.spawn(s.w.at("c@h"), [=](node::self me) -> node::task<> {
      (void)co_await me.call({"remora", "a@h"}, t(request), timeout);
      co_await me.sleep(1000h);
    });
    s.w.run();
    CHECK(s.processes("a@h") > before);
    CHECK(s.door("a@h").tracked_callers() == 1);
    return pid;
  };
  SUBCASE("it is killed") {
    s.kill(call(forever, 100h));
    check_clean();
  }
  SUBCASE("its call has timed out") {
    call(forever, 5s);
    s.w.pass(5s);
    check_clean();
  }
  SUBCASE("its node is lost") {
    call(forever, 100h);
    s.w.cut("a@h", "c@h");
    check_clean();
  }
  SUBCASE("it has a batch under way, one of which is done") {
    s.kill(call(fmt::format("{{batch,[hello,{},{{write,hello}},{}]}}", forever, forever), 100h));
    check_clean();
  }
  SUBCASE("it waits in a write") {
    s.kill(call(fmt::format("{{write,{}}}", forever), 100h));
    check_clean();
  }
  SUBCASE("it has set no monitor") {
    auto const p = s.process("c@h");
    auto const send = [&](std::string const& request) {
      s.w.as(p).send({"remora", "a@h"},
                     etf::make(etf::tup(etf::am("$gen_call"), etf::tup(p, etf::am("tag")), t(request))));
      s.w.run();
    };
    send("{rpc,b@h,m,sleep,[],1000,#{}}");
    CHECK(s.door("a@h").tracked_callers() == 0); // it ends soon anyway
    CHECK(s.processes("a@h") == before + 1);
    s.w.pass(1s);
    CHECK(s.w.log(p).back() == "{tag,{error,timeout}}");
    send(forever);
    CHECK(s.door("a@h").tracked_callers() == 1);
    s.kill(p);
    check_clean();
  }
  SUBCASE("it was dead before its request was looked at") {
    auto const p = s.process("c@h");
    s.w.as(p).send({"remora", "a@h"},
                   etf::make(etf::tup(etf::am("$gen_call"), etf::tup(p, etf::am("tag")), t(forever))));
    s.kill(p);
    check_clean();
  }
}

TEST_CASE("door: what works for a caller is killed: the caller hears, and so does the batch") {
  doors s;
  s.meet();
  s.w.at("b@h").functions().add("m", "sleep", 0, [](node::self me, etf::term) -> node::task<etf::term> {
    co_await me.sleep(1000h);
    co_return t("ok");
  });
  auto const said = std::make_shared<std::string>();
  auto const before = s.w.at("a@h").processes();
  s.w.spawn(s.w.at("c@h"), [=](node::self me) -> node::task<> {
    auto const request = "{batch,[{nodes,hidden},{rpc,b@h,m,sleep,[],infinity,#{}}]}";
    auto const answer = co_await me.call({"remora", "a@h"}, t(request), 100h);
    *said = etf::print(*(*answer)->element(1));
  });
  s.w.run();
  for (auto const& p : s.w.at("a@h").processes())
    if (std::find(before.begin(), before.end(), p) == before.end()) s.kill(p);
  CHECK(*said == "[[],{error,aborted}]");
  CHECK(s.door("a@h").tracked_callers() == 0);
}

TEST_CASE("door: more calls than processes_max are refused, not queued") {
  node::core_options few;
  few.limits.processes_max = 40;
  doors s(1, few);
  s.meet();
  s.w.at("b@h").functions().add("m", "sleep", 0, [](node::self me, etf::term) -> node::task<etf::term> {
    co_await me.sleep(5s);
    co_return t("ok");
  });
  std::string requests;
  for (int i = 0; i < 60; ++i)
    requests += fmt::format("{}{{rpc,b@h,m,sleep,[],1000,#{{}}}}", i > 0 ? "," : "");
  auto const said = s.ask(fmt::format("{{batch,[{},{{connect,nobody@h}}]}}", requests), "c@h", "a@h", 2s);
  CHECK(said.find("{error,{badrpc,system_limit}}") != std::string::npos);
  CHECK(said.find("{error,timeout}") != std::string::npos);
  CHECK(said.ends_with("{error,system_limit}]}"));
}

TEST_CASE("door: a cast goes, the node is dialled, and nothing stays") {
  doors s;
  auto const told = std::make_shared<int>(0);
  s.w.at("b@h").functions().add("m", "count", [told] { ++*told; });
  auto const before = s.processes("a@h");
  CHECK(s.ask("{rpc_cast,b@h,m,count,[],#{}}") == "ok");
  CHECK(s.ask("{rpc_cast,nobody@h,m,count,[],#{}}") == "ok");
  CHECK(s.ask("{rpc_cast,a@h,m,count,[],#{}}") == "ok"); // undef here: as on OTP nobody hears
  s.w.pass(10s);
  CHECK(*told == 1);
  CHECK(s.processes("a@h") == before);
}

TEST_CASE("door: connect, ping, disconnect") {
  doors s;
  CHECK(s.ask("{connect,b@h}") == "ok");
  CHECK(s.ask("{connect,b@h}") == "ok");
  CHECK(s.ask("{connect,a@h}") == "ok");
  CHECK(s.ask("{connect,nobody@h}") == "{error,unreachable}");
  CHECK(s.ask("{connect,'not a node'}") == "{error,bad_name}");
  CHECK(s.ask("{connect,\"b@h\"}") == "{error,badarg}");
  CHECK(s.ask("{ping,c@h}") == "pong");
  CHECK(s.ask("{ping,a@h}") == "pong");
  CHECK(s.ask("{ping,nobody@h}") == "pang");
  CHECK(s.ask("{nodes,visible}") == "[b@h,c@h]");
  auto& raw = s.w.raw("r@h");
  raw.cookie = "another";
  CHECK(s.ask("{connect,r@h}") == "{error,handshake_closed}");
  s.w.raw("n@h").answer = dist::status::not_allowed;
  CHECK(s.ask("{connect,n@h}") == "{error,not_allowed}");
  s.w.raw("m@h").mute = true;
  CHECK(s.ask("{connect,m@h}", "a@h", "a@h", 7s) == "{error,timeout}");
  CHECK(s.ask("{disconnect,nobody@h}") == "{error,not_connected}");
  CHECK(s.ask("{disconnect,b@h}") == "ok");
  CHECK(s.ask("{disconnect,b@h}") == "{error,not_connected}");
  CHECK(s.ask("{nodes,visible}") == "[c@h]");
}

// One lost connection costs both ends the cluster (protocol.md 7.9); one that is meant does not.
TEST_CASE("door: a disconnect on purpose leaves the rest of the cluster whole") {
  doors s(1, {}, true);
  s.meet();
  REQUIRE(s.all.at("c@h").names->known().size() == 2);
  CHECK(s.ask("{disconnect,b@h}") == "ok");
  s.w.pass(30s);
  CHECK(s.w.at("a@h").peers(true, true) == std::vector<std::string>{"c@h"});
  CHECK(s.w.at("b@h").peers(true, true) == std::vector<std::string>{"c@h"});
  CHECK(s.w.at("c@h").peers(true, true) == std::vector<std::string>{"a@h", "b@h"});
  CHECK(s.ask("{connect,b@h}") == "ok");
  s.w.pass(30s);
  CHECK(s.all.at("a@h").names->known().size() == 2);
  s.w.cut("a@h", "b@h"); // and one that is lost does
  s.w.pass(30s);
  CHECK(s.w.at("c@h").peers(true, true).size() < 2);
}

TEST_CASE("door: lines of the application, with their fields, at most so many") {
  doors s;
  s.w.take_trace();
  CHECK(s.ask("{log,info,\"said\",#{correlation => <<\"c1\">>, time => 1, n => 7, who => me}}") == "ok");
  CHECK(s.ask("{log,loud,\"said\",#{}}") == "{error,badarg}");
  CHECK(s.ask("{log,info,said,#{}}") == "{error,badarg}");
  CHECK(s.ask("{log,info,\"said\",[]}") == "{error,badarg}");
  auto const lines_of = [&] {
    std::size_t count = 0;
    for (auto const& line : s.w.take_trace()) count += line.find("said") != std::string::npos ? 1U : 0U;
    return count;
  };
  CHECK(lines_of() == 1);
  std::string requests;
  for (int i = 0; i < 3'000; ++i) requests += i > 0 ? ",{log,info,\"said\",#{}}" : "{log,info,\"said\",#{}}";
  CHECK(s.ask(fmt::format("{{batch,[{}]}}", requests)).find("error") == std::string::npos);
  CHECK(lines_of() == services::log_gate::burst - 1);
}

// ---- the stream

TEST_CASE("door: a stream has what there is, and follows it") {
  doors s;
  s.meet();
  auto const p = s.process("b@h");
  s.ask(fmt::format("{{register_name,before,{},random_exit}}", pid_text(p)));
  s.ask(fmt::format("{{join,pg,g,[{0},{0}]}}", pid_text(p)));
  auto const mirror = s.follow("b@h", "a@h");
  CHECK(mirror->names == std::map<std::string, std::string>{{"before", pid_text(p)}});
  s.check_agrees(*mirror, "a@h");
  s.ask("{start_scope,second}");
  s.ask(fmt::format("{{join,second,g,{}}}", pid_text(p)), "c@h", "a@h");
  s.ask(fmt::format("{{join,pg,h,{}}}", pid_text(s.process("c@h"))), "c@h", "c@h"); // through another node
  s.check_agrees(*mirror, "a@h");
  CHECK(mirror->scopes.at("pg").contains("h"));
  s.ask("{stop_scope,second}");
  CHECK_FALSE(mirror->scopes.contains("second"));
  s.kill(p); // its names and memberships go
  CHECK(mirror->names.empty());
  s.check_agrees(*mirror, "a@h");
  s.w.cut("a@h", "c@h");
  s.w.run();
  CHECK(mirror->nodes == std::map<std::string, std::string>{{"b@h", "visible"}});
  CHECK(mirror->reasons == std::map<std::string, std::string>{{"c@h", "connection_closed"}});
  s.check_agrees(*mirror, "a@h");
}

TEST_CASE("door: a scope that is killed is told as one that went and came") {
  doors s;
  s.meet();
  auto const mirror = s.follow("b@h", "a@h");
  s.ask(fmt::format("{{join,pg,g,{}}}", pid_text(s.process("a@h"))));
  s.ask(fmt::format("{{join,pg,h,{}}}", pid_text(s.process("b@h"))), "b@h", "b@h");
  s.check_agrees(*mirror, "a@h");
  s.kill(s.w.at("a@h").find_registered("pg")->pid);
  s.w.pass(5s);
  CHECK(mirror->scopes.at("pg").size() == 1); // the other node's, heard again
  s.check_agrees(*mirror, "a@h");
}

TEST_CASE("door: a stream ends with demirror, with its receiver, and with its receiver's node") {
  doors s;
  s.meet();
  auto const streams = [&] { return s.door("a@h").mirror().streams(); };
  etf::pid p;
  etf::pid q;
  auto const mirror = s.follow("b@h", "a@h", &p);
  s.follow("c@h", "a@h", &q);
  auto const local = s.follow("a@h", "a@h");
  CHECK(streams() == 3);
  s.kill(p);
  CHECK(streams() == 2);
  s.w.cut("a@h", "c@h");
  s.w.run();
  CHECK(streams() == 1);
  s.check_agrees(*local, "a@h");
  auto const messages = mirror->messages;
  s.ask(fmt::format("{{join,pg,g,{}}}", pid_text(s.process("a@h"))));
  CHECK(mirror->messages == messages);

  auto const said = std::make_shared<std::string>();
  s.w.spawn(s.w.at("b@h"), [=](node::self me) -> node::task<> {
    auto const answer = co_await me.call({"remora", "a@h"}, t("mirror"), 10s);
    auto const ref = etf::term(*(*answer)->element(1));
    auto const end = etf::make(etf::tup(etf::am("demirror"), ref));
    auto const once = co_await me.call({"remora", "a@h"}, end, 10s);
    auto const again = co_await me.call({"remora", "a@h"}, end, 10s);
    *said = etf::print(*once) + etf::print(*again);
  });
  s.w.run();
  CHECK(*said == "ok{error,unknown_stream}");
  CHECK(streams() == 1);
  CHECK(s.ask("{demirror,nothing}") == "{error,unknown_stream}");
  auto const& door = *s.w.at("a@h").find_registered("remora");
  CHECK(door.monitors.size() == 1); // of the stream that is left
}

TEST_CASE("door: receivers agree with the node after anything, in any order of events") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    doors s(seed);
    s.meet();
    base::random random(seed);
    std::vector<std::shared_ptr<copy>> mirrors{s.follow("b@h", "a@h"), s.follow("a@h", "a@h")};
    std::vector<etf::pid> processes;
    for (int i = 0; i < 6; ++i) processes.push_back(s.process(i % 2 == 0 ? "b@h" : "a@h"));
    auto const some = [&] { return processes[random.below(processes.size())]; };
    auto const say = [&](std::string request) {
      auto const at = random.below(2) == 0 ? "a@h" : "c@h";
      s.w.spawn(s.w.at("c@h"), [=](node::self me) -> node::task<> {
        (void)co_await me.call({"remora", at}, t(request), 50s);
      });
    };
    for (int step = 0; step < 60; ++step) {
      auto const n = random.below(4);
      switch (random.below(12)) {
      case 0:
      case 1: say(fmt::format("{{register_name,n{},{},random_exit}}", n, pid_text(some()))); break;
      case 2:
        say(fmt::format("{{write,{{re_register_name,n{},{},random_exit}}}}", n, pid_text(some())));
        break;
      case 3: say(fmt::format("{{unregister_name,n{}}}", n)); break;
      case 4:
      case 5: say(fmt::format("{{join,pg,g{},[{},{}]}}", n, pid_text(some()), pid_text(some()))); break;
      case 6: say(fmt::format("{{leave,pg,g{},{}}}", n, pid_text(some()))); break;
      case 7: say(fmt::format("{{start_scope,s{}}}", n)); break;
      case 8: say(fmt::format("{{stop_scope,s{}}}", n)); break;
      case 9: say(fmt::format("{{join,s{},g,{}}}", n, pid_text(some()))); break;
      case 10: {
        auto& p = processes[random.below(processes.size())];
        s.w.as(p).exit_other(p, t("kill"));
        s.w.run();
        p = s.process("b@h");
        break;
      }
      default:
        if (random.below(6) == 0) s.w.cut("a@h", "c@h");
      }
      for (auto steps = random.below(6); steps > 0; --steps) s.w.step();
    }
    s.w.pass(30s);
    for (auto const& m : mirrors) s.check_agrees(*m, "a@h");
  }
}

// What waits for it is its connection's, which is closed at the outbox's limit as for every sender.
TEST_CASE("door: a receiver that does not read loses its connection, and the node nothing") {
  node::core_options small;
  small.limits.connection.out = {.high_mark = 64U << 10U, .low_mark = 16U << 10U, .bytes_max = 256U << 10U};
  doors s(1, small);
  s.meet();
  s.follow("b@h", "a@h");
  s.w.socket_bytes = 4U << 10U;
  s.w.stall("a@h", "b@h", true);
  auto const p = pid_text(s.process("a@h"));
  for (int i = 0; i < 3'000 && s.w.at("a@h").connected("b@h"); ++i)
    s.ask(fmt::format("{{{},pg,{{group,{}}},{}}}", "join", i, p));
  CHECK_FALSE(s.w.at("a@h").connected("b@h"));
  CHECK(s.door("a@h").mirror().streams() == 0);
  CHECK(s.w.at("a@h").connected("c@h"));
  CHECK(s.ask("{nodes,visible}") == "[c@h]");
}
