// Calls: gen_server calls in both directions, rpc, spawns with timeouts; and that nothing of them stays
// behind.
#include "etf/print.hpp"
#include "node/server.hpp"
#include "services/services.hpp"
#include "support/frames.hpp"
#include "support/world.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <set>

using namespace remora;
using namespace remora::test;
using namespace std::chrono_literals;

namespace {

// Answers `now` at once, `late` when it is told to, `never` never, and dies of `crash`.
class answering : public node::server {
public:
  answer handle_call(node::self me, node::caller const& from, etf::view request) override {
    if (request.is_atom("late")) late_.push_back(from);
    if (request.is_atom("crash")) me.exit(t("{crashed,here}"));
    if (request.is_atom("now")) return t("answer");
    return std::nullopt;
  }
  void handle_cast(node::self me, etf::view) override {
    for (auto const& from : late_) me.reply(from, t("too_late"));
    late_.clear();
  }

private:
  std::vector<node::caller> late_;
};

struct calls {
  explicit calls(std::uint64_t seed = 1) : w(seed), a(w.add("a@h")), b(w.add("b@h")) {
    services::install(a, {.version = "test"});
    services::install(b, {.version = "test"});
    w.spawn(b, node::serve(std::make_shared<answering>()), "server");
    w.spawn(a, node::serve(std::make_shared<answering>()), "here");
  }

  using work = std::function<node::task<std::string>(node::self)>;
  // What `work` answers in a process of a; the process stays, to be looked at.
  std::string run(work f, base::duration time = 0s) {
    auto const result = std::make_shared<std::string>("still waiting");
    last = w.spawn(a, [result, f = std::move(f)](node::self me) -> node::task<> {
      *result = co_await f(me);
      co_await me.sleep(1000h);
    });
    w.run();
    if (time > 0s) w.pass(time);
    return *result;
  }
  std::string call(node::destination to, std::string request, base::duration time = 0s) {
    return run(
        [to, request](node::self me) -> node::task<std::string> {
          auto const answer = co_await me.call(to, t(request), 5s);
          co_return answer ? etf::print(*answer) : "failed: " + etf::print(answer.error().reason);
        },
        time);
  }
  std::string rpc(std::string peer, std::string module, std::string function, std::string arguments,
                  base::duration time = 0s) {
    return run(
        [=](node::self me) -> node::task<std::string> {
          auto const answer = co_await me.rpc(etf::atom(peer), module, function, t(arguments), 5s);
          co_return answer ? etf::print(*answer) : "failed: " + etf::print(answer.error().reason);
        },
        time);
  }
  // Nothing of the last call is left at the caller, nor at anybody whom it asked.
  void check_clean() {
    w.run();
    auto const& p = w.as(last).raw();
    CHECK(p.mailbox.empty());
    CHECK(p.monitors.empty());
    CHECK(p.aliases.empty());
    CHECK(p.spawns.empty());
    CHECK(p.links.empty());
    for (auto* const n : {&a, &b})
      for (auto const* const name : {"server", "here"})
        if (auto* const server = n->find_registered(name)) CHECK(server->watchers.empty());
  }
  world w;
  node::core& a;
  node::core& b;
  etf::pid last;
};

} // namespace

TEST_CASE("calls: answered, on the own node and on another") {
  calls s;
  for (auto const& to :
       {node::destination("here"), node::destination("here", "a@h"), node::destination("server", "b@h"),
        node::destination(s.b.find_registered("server")->pid)}) {
    CHECK(s.call(to, "now") == "answer");
    s.check_clean();
  }
}

TEST_CASE("calls: why there is no answer") {
  calls s;
  CHECK(s.call({"nosuch", "b@h"}, "now") == "failed: noproc");
  s.check_clean();
  CHECK(s.call("nosuch", "now") == "failed: noproc");
  s.check_clean();
  CHECK(s.call({"server", "b@h"}, "crash") == "failed: {crashed,here}");
  s.check_clean();
  CHECK(s.call({"server", "nobody@h"}, "now") == "failed: {nodedown,nobody@h}");
  s.check_clean();
  CHECK(s.call({"server", "not a node"}, "now") == "failed: {nodedown,'not a node'}");
  s.check_clean();
}

TEST_CASE("calls: a timeout, and the late answer is never seen") {
  calls s;
  for (auto const& to : {node::destination("server", "b@h"), node::destination("here")}) {
    CHECK(s.call(to, "late", 4999ms) == "still waiting");
    s.w.pass(2ms);
    CHECK(s.w.as(s.last).raw().waiting.for_what == node::waiting::what::time); // asleep: it was told
    s.check_clean();
    s.w.as(s.last).cast(to, t("go"));
    s.check_clean();
    CHECK(s.call(to, "late", 5s) == "failed: timeout");
    s.w.as(s.last).cast(to, t("go"));
    s.check_clean();
  }
}

TEST_CASE("calls: an answer just before the timeout counts") {
  calls s;
  CHECK(s.call({"server", "b@h"}, "late", 4999ms) == "still waiting");
  auto const caller = s.last;
  auto const p = s.w.probe(s.b);
  s.w.as(p).cast("server", t("go"));
  s.check_clean();
  CHECK(s.w.as(caller).raw().mailbox.empty());
}

TEST_CASE("calls: the connection is lost, and dialled anew by the next one") {
  calls s;
  CHECK(s.call({"server", "b@h"}, "now") == "answer");
  auto const result = std::make_shared<std::string>();
  auto const caller = s.w.spawn(s.a, [result](node::self me) -> node::task<> {
    auto const answer = co_await me.call({"server", "b@h"}, t("never"), 5s);
    *result = etf::print(answer.error().reason);
  });
  s.w.run();
  s.w.cut("a@h", "b@h");
  s.w.run();
  CHECK(*result == "{nodedown,b@h}");
  CHECK_FALSE(s.w.alive(caller));
  CHECK(s.b.find_registered("server")->watchers.empty());
  CHECK(s.call({"server", "b@h"}, "now") == "answer");
  s.check_clean();
}

TEST_CASE("rpc: what each end of the function looks like") {
  calls s;
  auto& f = s.b.functions();
  f.add("m", "add", [](std::int64_t x, std::int64_t y) { return x + y; });
  f.add("m", "raise", 2, [](node::self me, etf::term arguments) -> node::task<etf::term> {
    auto const [how, reason] = node::detail::spread<2>(arguments);
    if (how.is_atom("exit")) me.exit(etf::term(reason));
    throw node::raised{how.is_atom("throw") ? node::raised::kind::throw_ : node::raised::kind::error,
                       etf::term(reason)};
    co_return arguments;
  });
  f.add("m", "sleep", 0, [](node::self me, etf::term) -> node::task<etf::term> {
    co_await me.sleep(60s);
    co_return t("slept");
  });
  f.add("m", "die", 0, [](node::self me, etf::term) -> node::task<etf::term> {
    me.exit_other(me.pid(), t("kill"));
    co_await me.sleep(60s);
    co_return t("never");
  });
  CHECK(s.rpc("b@h", "m", "add", "[1,2]") == "3");
  s.check_clean();
  CHECK(s.rpc("b@h", "m", "add", "[1,foo]") == "failed: {error,{exception,badarg,[{m,add,[1,foo],[]}]}}");
  CHECK(s.rpc("b@h", "m", "raise", "[throw,ball]") == "failed: {throw,ball}");
  CHECK(s.rpc("b@h", "m", "raise", "[exit,bye]") == "failed: {exit,{exception,bye}}");
  CHECK(s.rpc("b@h", "m", "raise", "[error,{x,1}]") ==
        "failed: {error,{exception,{x,1},[{m,raise,[error,{x,1}],[]}]}}");
  CHECK(s.rpc("b@h", "nomod", "nof", "[1]") == "failed: {error,{exception,undef,[{nomod,nof,[1],[]}]}}");
  s.check_clean();
  CHECK(s.rpc("b@h", "m", "die", "[]") == "failed: {exit,{signal,killed}}");
  s.check_clean();
  CHECK(s.rpc("nobody@h", "m", "add", "[1,2]") == "failed: {error,{erpc,noconnection}}");
  s.check_clean();
  CHECK(s.rpc("b@h", "m", "sleep", "[]", 5s) == "failed: {error,{erpc,timeout}}");
  s.check_clean();
  s.w.pass(100s); // it slept, and told nobody
  s.check_clean();
  auto const before = s.b.process_count();
  CHECK(s.rpc("b@h", "m", "sleep", "[]") == "still waiting");
  CHECK(s.b.process_count() == before + 1);
  s.w.cut("a@h", "b@h");
  s.w.run();
  s.check_clean();
}

TEST_CASE("rpc and spawn: on the own node they work as on any other") {
  calls s;
  s.a.functions().add("m", "add", [](std::int64_t x, std::int64_t y) { return x + y; });
  s.a.functions().add("m", "die", 0, [](node::self me, etf::term) -> node::task<etf::term> {
    me.exit(t("bye"));
    co_return t("never");
  });
  s.a.functions().add("m", "sleep", 0, [](node::self me, etf::term) -> node::task<etf::term> {
    co_await me.sleep(60s);
    co_return t("slept");
  });
  CHECK(s.rpc("a@h", "m", "add", "[1,2]") == "3");
  s.check_clean();
  CHECK(s.rpc("a@h", "nomod", "nof", "[1]") == "failed: {error,{exception,undef,[{nomod,nof,[1],[]}]}}");
  CHECK(s.rpc("a@h", "m", "sleep", "[]", 5s) == "failed: {error,{erpc,timeout}}");
  s.check_clean();
  auto const p = s.w.probe(s.a);
  auto const ref =
      s.w.as(p).spawn_request(etf::atom("a@h"), "m", "die", t("[]"), {.link = true, .monitor = true});
  s.w.run();
  auto const& log = s.w.log(p);
  REQUIRE(log.size() == 3);
  CHECK(log[0].starts_with("{spawn_reply,R1,ok,#Pid<a@h."));
  std::set<std::string> const ends(log.begin() + 1, log.end());
  auto const child = log[0].substr(19, log[0].size() - 20);
  CHECK(ends == std::set<std::string>{"{'EXIT'," + child + ",bye}", "{'DOWN',R1,process," + child + ",bye}"});
  static_cast<void>(ref);
}

TEST_CASE("rpc: a timeout before the node answered at all leaves nothing, neither there nor here") {
  calls s;
  s.w.hold_dials(true);
  CHECK(s.rpc("b@h", "erlang", "node", "[]", 5s) == "failed: {error,{erpc,timeout}}");
  s.w.hold_dials(false);
  s.w.run();
  s.check_clean();
  auto const before = s.b.process_count();
  s.w.pass(1s);
  CHECK(s.b.process_count() == before);
  for (auto const& p : s.b.processes()) CHECK(s.w.as(p).raw().watchers.empty());
}

TEST_CASE("ping: pong, and pang for a node that is not there") {
  calls s;
  CHECK(s.run([](node::self me) -> node::task<std::string> {
    auto const answer = co_await me.rpc(etf::atom("b@h"), "net_adm", "ping", t("['a@h']"), 5s);
    co_return etf::print(*answer);
  }) == "pong");
  CHECK(s.run([](node::self me) -> node::task<std::string> {
    auto const answer = co_await me.rpc(etf::atom("b@h"), "net_adm", "ping", t("['x@h']"), 5s);
    co_return etf::print(*answer);
  }) == "pang");
  s.check_clean();
}

TEST_CASE("calls: many at once over one connection, cut into small pieces, all answered") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    calls s(seed);
    s.w.chunk_bytes_max = 100;
    auto const answered = std::make_shared<int>(0);
    for (int i = 0; i < 100; ++i)
      s.w.spawn(s.a, [answered](node::self me) -> node::task<> {
        auto const answer = co_await me.call({"server", "b@h"}, t("now"), 5s);
        if (answer && (*answer)->is_atom("answer")) ++*answered;
      });
    s.w.run();
    CHECK(*answered == 100);
  }
}
