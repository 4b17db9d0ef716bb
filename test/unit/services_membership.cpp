// The hosts of membership and election, and the application beside them, in whole nodes without a network:
// datagrams and files are handed over by the test, in virtual time. With real ones:
// test/beam/membership_SUITE, election_SUITE.
#include "etf/print.hpp"
#include "services/services.hpp"
#include "support/frames.hpp"
#include "support/world.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <deque>
#include <map>
#include <memory>
#include <set>

using namespace remora;
using namespace remora::test;
using namespace std::chrono_literals;

namespace {

struct ether { // datagrams on their way, and a disk for each node
  struct datagram {
    swim::address to;
    swim::address from;
    std::string bytes;
  };
  std::deque<datagram> all;
  std::map<std::string, std::string> files;
  std::set<std::string> full; // disks
  std::map<std::string, std::string> keys;
};

swim::address address_of(std::size_t i) {
  swim::address a;
  a.ip[15] = static_cast<std::uint8_t>(i);
  a.port = 4'000;
  return a;
}

class nodes {
public:
  explicit nodes(std::size_t count) : w_(1) {
    for (std::size_t i = 1; i <= count; ++i) add(i);
  }
  ~nodes() {
    for (auto& [name, all] : services_) {
      all.election.stop();
      all.membership.stop();
    }
  }
  nodes(nodes const&) = delete;
  nodes& operator=(nodes const&) = delete;

  static std::string name(std::size_t i) { return std::string(1, static_cast<char>('a' + i - 1)) + "@h"; }
  services::installed& at(std::size_t i) { return services_.at(name(i)); }
  world& w() { return w_; }
  ether& outside() { return ether_; }

  void meet() {
    for (auto const& [x, sx] : services_)
      for (auto const& [y, sy] : services_)
        if (x < y) w_.at(x).connect(etf::atom(y));
    pass(100ms);
  }
  // In small steps, so that datagrams take none of it.
  void pass(base::duration time) {
    for (auto const until = w_.now() + time; w_.now() < until;) {
      deliver();
      w_.pass(5ms);
    }
    deliver();
  }
  std::string ask(std::string const& request, std::size_t to = 1) {
    auto const said = std::make_shared<std::string>("still waiting");
    auto const where = name(to);
    w_.spawn(w_.at(where), [said, where, q = t(request)](node::self me) -> node::task<> {
      auto const answer = co_await me.call({"remora", where}, q, 100s);
      *said = answer ? etf::print(*answer) : "failed: " + etf::print(answer.error().reason);
    });
    w_.run();
    return *said;
  }
  lines statuses(std::size_t of) {
    lines out;
    for (auto const& m : at(of).membership.members())
      out.push_back(m.node + " " + std::string(swim::name_of(m.status)));
    return out;
  }
  // That surely lead.
  std::vector<std::size_t> leaders() {
    std::vector<std::size_t> out;
    for (std::size_t i = 1; i <= services_.size(); ++i)
      if (at(i).election.lease_left() > 0s) out.push_back(i);
    return out;
  }
  services::election_settings voters() {
    services::election_settings s{.state_dir = "/state"};
    s.core = {.heartbeat = 30ms, .election_min = 150ms, .election_max = 300ms, .name_lease = 500ms};
    for (auto const& [n, all] : services_) s.core.voters.push_back(n);
    return s;
  }

private:
  void add(std::size_t i) {
    auto const n = name(i);
    auto& node = w_.add(n);
    auto& all = services_
                    .emplace(n, services::install(node, {.version = "1.2.3",
                                                         .os_pid = 42,
                                                         .pg_scopes = {"pg"},
                                                         .registry = global::options{}}))
                    .first->second;
    all.membership.set_outside(
        {.open = [i](auto const&) { return base::result<swim::address, std::string>(address_of(i)); },
         .close = [] {},
         .send =
             [this, i](swim::address const& to, std::string_view bytes) {
               ether_.all.push_back({to, address_of(i), std::string(bytes)});
             },
         .read_keys =
             [this](std::string const& path) {
               using result = base::result<std::vector<std::string>, std::string>;
               auto const found = ether_.keys.find(path);
               if (found == ether_.keys.end())
                 return result(boost::system::in_place_error, "there is no " + path);
               return result(boost::system::in_place_value, std::vector{found->second});
             },
         .unix_ms = [] { return std::int64_t{1'000}; },
         .boot_id = [i] { return std::uint64_t{i}; }});
    all.election.set_outside({.read =
                                  [this, n](std::string const&) {
                                    using result = base::result<std::optional<std::string>, std::string>;
                                    auto const found = ether_.files.find(n);
                                    return found == ether_.files.end() ? result(std::nullopt)
                                                                       : result(std::optional(found->second));
                                  },
                              .set_aside = [this, n](std::string const&) { ether_.files.erase(n); },
                              .write =
                                  [this, n](std::string const&, std::string bytes,
                                            std::function<void(std::optional<std::string>)> const& done) {
                                    if (ether_.full.contains(n)) return done("no space left");
                                    ether_.files[n] = std::move(bytes);
                                    done(std::nullopt);
                                  },
                              .entropy = [this] { return ++instance_; }});
  }
  void deliver() {
    while (!ether_.all.empty()) {
      auto const d = std::move(ether_.all.front());
      ether_.all.pop_front();
      for (std::size_t i = 1; i <= services_.size(); ++i)
        if (address_of(i) == d.to && !silent.contains(i) && !silent.contains(d.from.ip[15]))
          at(i).membership.packet(d.bytes, d.from);
      w_.run();
    }
  }

  world w_;
  ether ether_;
  std::map<std::string, services::installed> services_;
  std::uint64_t instance_ = 100;

public:
  std::set<std::size_t> silent{}; // whose datagrams are lost, both ways
};

services::membership_settings quick() {
  services::membership_settings s;
  s.core.interval = 200ms;
  return s;
}

} // namespace

TEST_CASE("membership: nodes find each other over their connections, probe by datagrams, and leave") {
  nodes n(3);
  for (std::size_t i = 1; i <= 3; ++i) REQUIRE_FALSE(n.at(i).membership.start(quick()).has_value());
  n.meet();
  n.pass(1s);
  for (std::size_t i = 1; i <= 3; ++i) CHECK(n.statuses(i) == lines{"a@h alive", "b@h alive", "c@h alive"});
  CHECK(n.at(1).membership.leader() == "c@h");
  CHECK(n.at(1).membership.metrics().probes > 0);
  CHECK(n.at(1).membership.metrics().probes_failed == 0);
  n.at(3).membership.stop();
  n.pass(1s);
  CHECK(n.statuses(1) == lines{"a@h alive", "b@h alive", "c@h left"});
  CHECK_FALSE(n.at(3).membership.started());
  CHECK(n.at(3).membership.members().empty());
}

TEST_CASE("membership: what is started before the node runs begins with it; options change while it runs") {
  nodes n(1);
  REQUIRE_FALSE(n.at(1).membership.start(quick()).has_value());
  n.w().run();
  CHECK(n.at(1).membership.started());
  auto slower = quick();
  slower.core.interval = 2s;
  slower.metadata = {{"zone", "a"}};
  REQUIRE_FALSE(n.at(1).membership.start(slower).has_value());
  CHECK(n.at(1).membership.find("a@h")->metadata == swim::write_metadata({{"zone", "a"}}));
}

TEST_CASE("membership: wrong settings are refused by their key, and nothing runs") {
  nodes n(1);
  n.w().run();
  auto bad = quick();
  bad.key_file = "/nowhere";
  CHECK(n.at(1).membership.start(bad)->key == "key_file");
  bad = quick();
  bad.metadata = {{"k", std::string(swim::limits().metadata_bytes_max, 'x')}};
  CHECK(n.at(1).membership.start(bad)->key == "metadata");
  CHECK_FALSE(n.at(1).membership.started());
  CHECK(n.ask("{membership, members}") == "{error,not_started}");
  CHECK(n.ask("{membership, {start, #{expel => x}}}") ==
        "{error,{option,expel,<<\"never or dead is expected\">>}}");
}

TEST_CASE("membership: a datagram under another key is counted, and said once") {
  nodes n(2);
  n.outside().keys = {{"/one", std::string(20, '1')}, {"/two", std::string(20, '2')}};
  for (std::size_t i = 1; i <= 2; ++i) {
    auto s = quick();
    s.key_file = i == 1 ? "/one" : "/two";
    REQUIRE_FALSE(n.at(i).membership.start(s).has_value());
  }
  n.w().quiet(true);
  n.meet();
  n.pass(2s);
  auto const r = n.at(1).membership.refusals();
  CHECK(r.unknown_key + r.not_authentic > 1);
  std::size_t said = 0;
  for (auto const& line : n.w().take_trace()) said += line.find("a: a datagram from") != std::string::npos;
  CHECK(said <= 1);
}

TEST_CASE("membership: user events reach all, hearsay and metadata have their limits") {
  std::vector<std::string> heard; // outlives whoever tells
  nodes n(2);
  for (std::size_t i = 1; i <= 2; ++i) REQUIRE_FALSE(n.at(i).membership.start(quick()).has_value());
  n.meet();
  n.pass(500ms);
  n.at(2).membership.observe([&](swim::news const& what) {
    if (auto const* const e = std::get_if<swim::event_heard>(&what))
      heard.push_back(e->name + " " + e->payload);
  });
  CHECK(n.at(1).membership.spread("deploy", "7"));
  CHECK_FALSE(n.at(1).membership.spread("deploy", std::string(swim::limits().event_bytes_max, 'x')));
  n.pass(1s);
  CHECK(heard == std::vector<std::string>{"deploy 7"});
  CHECK(n.ask("{membership, {merge, [{<<\"b@h\">>, dead, 0}]}}") == "ok");
  n.pass(2s);
  CHECK(n.statuses(1) == lines{"a@h alive", "b@h alive"}); // hearsay kills nobody
  CHECK(n.ask("{membership, {tell, <<\"x@h\">>, []}}") == "{error,unknown_node}");
}

TEST_CASE(
    "membership: who does not answer dies, tells the election, and is expelled only where that is set") {
  for (auto const expel : {swim::expelling::never, swim::expelling::dead}) {
    nodes n(3);
    for (std::size_t i = 1; i <= 3; ++i) {
      auto s = quick();
      s.core.expel = expel;
      REQUIRE_FALSE(n.at(i).membership.start(s).has_value());
    }
    n.meet();
    n.pass(1s);
    n.silent.insert(3);
    for (auto const* const other : {"a@h", "b@h"}) {
      n.w().stall("c@h", other, true);
      n.w().stall(other, "c@h", true);
    }
    n.pass(8s);
    CHECK(n.statuses(1) == lines{"a@h alive", "b@h alive", "c@h dead"});
    CHECK(n.w().at("a@h").connected("c@h") == (expel == swim::expelling::never));
  }
}

TEST_CASE("the application: its VM is a member with its companion, and hangs when it is not heard") {
  std::vector<std::string> changes; // they outlive whoever tells
  std::vector<std::string> told;
  nodes n(2);
  auto& all = n.at(1);
  REQUIRE_FALSE(all.membership.start(quick()).has_value());
  n.meet();
  all.application.observe([&](services::application::change c, std::string const& vm) {
    static constexpr std::string_view names[] = {"here", "gone", "silent", "heard_again"};
    changes.push_back(std::string(names[static_cast<int>(c)]) + " " + vm);
  });
  auto const front =
      n.w().spawn(n.w().at("b@h"), [](node::self me) -> node::task<> { co_await me.receive(); });
  all.membership.observe([&](swim::news const& what) {
    if (auto const* const c = std::get_if<swim::member_changed>(&what))
      told.push_back(fmt::format("{} {} {}", swim::name_of(c->what), c->member.node, c->member.companion));
  });
  n.pass(3s); // until it is clear that it speaks no SWIM
  all.application.set_silence_max(500ms);
  all.application.here(front);
  CHECK(told == std::vector<std::string>{"joined b@h ", "updated b@h a@h"});
  auto const vm = all.membership.find("b@h");
  REQUIRE(vm.has_value());
  CHECK(vm->companion == "a@h");
  CHECK(changes == std::vector<std::string>{"here b@h"}); // one that has never beaten is not missed
  all.application.beat(front);
  n.pass(400ms);
  all.application.beat(front);
  n.pass(400ms);
  CHECK_FALSE(all.application.silent());
  n.pass(200ms);
  CHECK(all.application.silent());
  all.application.beat(front);
  CHECK(changes == std::vector<std::string>{"here b@h", "silent b@h", "heard_again b@h"});
  n.w().as(front).exit_other(front, t("kill"));
  n.w().run();
  CHECK(changes.back() == "gone b@h");
  CHECK_FALSE(all.application.vm().has_value());
}

TEST_CASE(
    "election: three nodes have one leader, whose token others can check, and hand over when it is stopped") {
  nodes n(3);
  for (std::size_t i = 1; i <= 3; ++i) REQUIRE_FALSE(n.at(i).election.start(n.voters()).has_value());
  n.meet();
  n.pass(2s);
  REQUIRE(n.leaders().size() == 1);
  auto const first = n.leaders().front();
  auto const token = n.at(first).election.status().token;
  auto const other = first % 3 + 1;
  std::string answer;
  n.at(other).election.check_token(token, [&](raft::result const& r) {
    answer = std::holds_alternative<raft::done>(r) ? "ok" : "refused";
  });
  n.pass(500ms);
  CHECK(answer == "ok");
  n.at(first).election.stop();
  CHECK(n.leaders().empty());
  n.pass(2s);
  REQUIRE(n.leaders().size() == 1);
  CHECK(n.at(n.leaders().front()).election.status().token > token);
  CHECK(n.ask("{election, status}", first) == "{error,not_started}");
}

TEST_CASE("election: without a folder a node observes; a disk that is full lets it abstain until it is not") {
  nodes n(4);
  auto s = n.voters();
  s.core.voters.pop_back();
  for (std::size_t i = 1; i <= 3; ++i) REQUIRE_FALSE(n.at(i).election.start(s).has_value());
  services::election_settings nothing{.core = s.core};
  nothing.core.voters.clear();
  REQUIRE_FALSE(n.at(4).election.start(nothing).has_value());
  n.meet();
  n.pass(2s);
  CHECK(n.at(4).election.status().role == raft::role::observer);
  CHECK_FALSE(n.at(4).election.status().leader.empty());
  auto const leader = n.leaders().at(0);
  auto const follower = leader % 3 + 1;
  n.outside().full.insert(nodes::name(follower));
  n.at(leader).election.transfer({}, [](auto const&) {});
  n.pass(2s);
  CHECK(n.at(follower).election.status().role == raft::role::abstaining);
  CHECK(n.at(follower).election.why_abstaining().find("no space left") != std::string::npos);
  n.outside().full.clear();
  n.pass(20s);
  CHECK(n.at(follower).election.status().role != raft::role::abstaining);
  CHECK(n.at(follower).election.why_abstaining().empty());
}

TEST_CASE("election: a candidate holds its name until it ends, resigns, or its VM hangs") {
  nodes n(3);
  for (std::size_t i = 1; i <= 3; ++i) REQUIRE_FALSE(n.at(i).election.start(n.voters()).has_value());
  n.meet();
  n.pass(3s);
  auto const idle = [](node::self me) -> node::task<> { co_await me.receive(); };
  auto& a = n.at(1);
  auto const one = n.w().spawn(n.w().at("b@h"), idle);
  auto const two = n.w().spawn(n.w().at("c@h"), idle);
  using campaigning = services::election::campaigning;
  CHECK(a.election.campaign("", one) == campaigning::bad_name);
  CHECK(a.election.campaign(std::string(256, 'x'), one) == campaigning::bad_name);
  CHECK(a.election.campaign("billing", one) == campaigning::ok);
  CHECK(a.election.campaign("billing", one) == campaigning::ok); // the same
  n.pass(2s);
  auto const first = a.election.holds("billing", one);
  REQUIRE(first.has_value());
  CHECK(a.election.campaign("billing", two) == campaigning::ok);
  n.pass(1s);
  CHECK_FALSE(a.election.holds("billing", two).has_value());
  CHECK(n.at(2).election.leader_of("billing")->token == first->token);
  n.w().as(one).exit_other(one, t("kill"));
  n.pass(2s);
  auto const second = a.election.holds("billing", two);
  REQUIRE(second.has_value());
  CHECK(second->token > first->token);
  CHECK(n.ask("{election, {leader, <<\"billing\">>}}", 3) ==
        fmt::format("{{ok,<<\"a@h\">>,{}}}", second->token));
  a.election.app_silent("c@h");
  n.pass(1s);
  CHECK_FALSE(a.election.holds("billing", two).has_value());
  a.election.app_heard("c@h");
  n.pass(2s);
  CHECK(a.election.holds("billing", two)->token > second->token);
  CHECK(a.election.withdraw("billing", two));
  CHECK_FALSE(a.election.withdraw("billing", two));
  CHECK(a.election.held().empty());
}

TEST_CASE("election: as many candidates as campaigns_max, and one more") {
  nodes n(1);
  REQUIRE_FALSE(n.at(1).election.start(n.voters()).has_value());
  n.w().run();
  auto const who = n.w().spawn(n.w().at("a@h"), [](node::self me) -> node::task<> { co_await me.receive(); });
  raft::limits const limits;
  for (std::size_t i = 0; i < limits.campaigns_max; ++i)
    REQUIRE(n.at(1).election.campaign(std::to_string(i), who) == services::election::campaigning::ok);
  CHECK(n.at(1).election.campaign("one more", who) == services::election::campaigning::too_many);
  CHECK(n.at(1).election.campaign("0", who) == services::election::campaigning::ok); // it is there
}

TEST_CASE("election: a broken state is set aside and told") {
  nodes n(1);
  n.outside().files["a@h"] = "no state";
  REQUIRE_FALSE(n.at(1).election.start(n.voters()).has_value());
  n.w().run();
  bool told = false;
  for (auto const& line : n.w().take_trace()) told = told || line.find("was set aside") != std::string::npos;
  CHECK(told);
}

TEST_CASE("election: a request that is open when it is stopped is answered") {
  nodes n(3);
  for (std::size_t i = 1; i <= 3; ++i) REQUIRE_FALSE(n.at(i).election.start(n.voters()).has_value());
  n.meet();
  n.pass(3s);
  for (auto const* const other : {"b@h", "c@h"}) {
    n.w().stall("a@h", other, true);
    n.w().stall(other, "a@h", true);
  }
  n.pass(1s);
  CHECK(n.at(1).election.lease_left() == 0s);
  std::string answer;
  n.at(1).election.elect([&](raft::result const& r) {
    if (auto const* const f = std::get_if<raft::failure>(&r)) answer = raft::name_of(*f);
  });
  CHECK(answer.empty());
  n.at(1).election.stop();
  CHECK(answer == "stopped");
  n.at(1).election.elect([&](raft::result const&) { answer = "at once"; });
  CHECK(answer == "at once");
}
