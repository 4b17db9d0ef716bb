// Whatever a peer or a caller of election can make grow, at its limit; and bytes that are no messages.
#include "base/random.hpp"
#include "unit/raft_cluster.hpp"

#include "raft/names_client.hpp"
#include "raft/names_desk.hpp"

#include <doctest/doctest.h>

using namespace remora;
using namespace remora::test;
using namespace std::chrono_literals;
namespace wire = raft::wire;

namespace {
std::optional<raft::result> failed(raft::failure f) { return raft::result(f); }

wire::claims want(std::uint64_t batch, std::vector<std::pair<std::uint64_t, std::string>> const& all,
                  std::uint64_t session = 1) {
  wire::claims out{5, session, batch, {}};
  for (auto const& [owner, name] : all) out.all.push_back({wire::claim::kind::want, owner, 0, name});
  return out;
}
} // namespace

TEST_CASE("election, limits: no more voters than may be") {
  raft_cluster c;
  c.limits.voters_max = 4;
  c.form({"a", "b", "c"});
  for (auto const* const l : {"d", "e"}) {
    c.add(l);
    c.start(l);
  }
  c.pass(200ms);
  c.on("a", raft::add_voter{1, "d@h"});
  c.pass(100ms);
  c.on("a", raft::add_voter{2, "e@h"});
  c.pass(100ms);
  CHECK(c.reply("a", 1) == raft::result(raft::done{}));
  CHECK(c.reply("a", 2) == failed(raft::failure::too_many));
}

TEST_CASE("election, limits: no more versions of the configuration than the token has room for") {
  raft_cluster c;
  c.limits.version_max = 2;
  c.form({"a", "b", "c"});
  c.on("a", raft::remove_voter{1, c.leader() == "c@h" ? "b@h" : "c@h"});
  c.pass(100ms);
  CHECK(c.reply("a", 1) == raft::result(raft::done{}));
  c.on("a", raft::remove_voter{2, c.leader() == "a@h" ? "b@h" : "a@h"});
  c.pass(100ms);
  CHECK(c.reply("a", 2) == failed(raft::failure::too_many));
}

TEST_CASE("election, limits: when there are no terms left it abstains, and says so") {
  raft_cluster c;
  c.limits.term_max = 2;
  c.form({"a", "b", "c"});
  c.kill(c.leader());
  c.pass(1s);
  auto const second = c.leader();
  REQUIRE(second.size() == 3);
  c.start(second == "a@h" ? "b" : "a");
  c.kill(second);
  c.pass(3s);
  CHECK(c.leader().empty());
  std::size_t said = 0;
  for (auto const* const l : {"a", "b", "c"}) said += c.told<raft::abstains>(l).size();
  CHECK(said >= 1);
}

TEST_CASE("election, limits: requests of this node that wait") {
  raft_cluster c;
  c.limits.requests_max = 3;
  c.form({"a", "b", "c"});
  c.kill(c.leader());
  std::string const l = c.at("a").core ? "a" : "b";
  c.pass(20ms);
  for (raft::request_id id = 1; id <= 4; ++id) c.on(l, raft::add_voter{id, "x@h"});
  CHECK_FALSE(c.reply(l, 3));
  CHECK(c.reply(l, 4) == failed(raft::failure::too_many));
  c.pass(5s);
  for (raft::request_id id = 1; id <= 3; ++id) CHECK(c.reply(l, id) == failed(raft::failure::unknown_node));
}

TEST_CASE("election, limits: a request ends in a timeout when nobody answers") {
  raft_cluster c;
  c.form({"a", "b", "c"});
  std::string const l = c.leader() == "a@h" ? "b" : "a";
  c.cut_one_way(l, c.leader());
  c.on(l, raft::check_token{1, 77});
  c.pass(3s);
  CHECK(c.reply(l, 1));
}

TEST_CASE("election, limits: messages that wait for a slow disk; older ones are lost") {
  raft::limits few;
  few.held_max = 8;
  raft::core node({"x@h"}, raft_cluster::quick(), 1, few);
  raft::effects out;
  base::time_point now{};
  raft::durable d{.instance = 7, .term = 3, .config = {5, 3, 1, {{"a@h", 1}, {"x@h", 7}}}};
  d.promise = 90ms;
  node.handle(raft::start{d}, now, out);
  node.handle(raft::peer_up{"a@h"}, now, out);
  out.clear();
  auto const hear = [&](raft::term t, std::uint64_t round) {
    wire::heartbeat const h{t, raft::token_of(t, 1), round, {3, 1}, std::nullopt, {}, false, 1s};
    node.handle(raft::message{"a@h", wire::write({5, h})}, now += 30ms, out);
  };
  for (std::uint64_t round = 1; round <= 100; ++round) hear(4, round);
  REQUIRE(out.size() == 2); // that it leads, and what is to be saved
  auto const id = std::get<raft::persist>(out.back()).id;
  out.clear();
  node.handle(raft::saved{id}, now, out);
  CHECK(out.size() == 8);
}

TEST_CASE("election, limits: nodes that only listen") {
  raft_cluster c;
  c.limits.observers_max = 2;
  c.limits.voters_max = 1;
  c.form({"a"});
  for (auto const* const l : {"b", "d", "e", "f"}) {
    c.add(l);
    c.start(l);
  }
  c.pass(1s);
  std::size_t follow = 0;
  for (auto const* const l : {"b", "d", "e", "f"})
    if (c.status(l).leader == "a@h") ++follow;
  CHECK(follow == 3);
}

TEST_CASE("election, limits: names at the leader, and candidates of one") {
  raft::limits few;
  few.names_max = 2;
  few.candidates_max = 2;
  raft::name_desk desk(few);
  base::time_point now{};
  desk.begin(5, now);
  desk.renew("a@h", {1, 1}, 1s, now);
  using wire::verdict;
  auto const got = desk.claimed("a@h", want(1, {{1, "n"}, {2, "m"}, {3, "o"}, {4, "n"}, {5, "n"}}), now);
  REQUIRE(got);
  CHECK(got->all ==
        std::vector{verdict::taken, verdict::taken, verdict::full, verdict::taken, verdict::full});
  CHECK(desk.name_count() == 2);
  desk.give(now);
  CHECK(desk.claimed("a@h", want(2, {{5, "n"}}), now)->all.front() ==
        verdict::taken); // one of them leads now
  // Rows that say that nobody leads do not pile up either.
  for (std::uint64_t i = 0; i < 50; ++i) {
    wire::claims gone{5, 1, 10 + 2 * i, {{wire::claim::kind::gone, 2, 0, "m"}}};
    desk.claimed("a@h", gone, now);
    desk.claimed("a@h", want(11 + 2 * i, {{2, fmt::format("m{}", i)}}), now);
    desk.give(now);
    gone.batch = 11 + 2 * i;
  }
  CHECK(desk.table_since(0)->all.size() <= 2 + few.names_max + 1);
}

TEST_CASE("election, limits: sessions of nodes come and go") {
  raft::limits few;
  few.observers_max = 3;
  raft::name_desk desk(few);
  base::time_point now{};
  desk.begin(5, now);
  for (int i = 0; i < 5; ++i) desk.renew(fmt::format("n{}@h", i), {1, 1}, 1s, now);
  CHECK(desk.session_count() == 3);
  CHECK(desk.standing_of("n4@h").confirmed.id == 0);
  now += 1s;
  desk.expire(now);
  desk.renew("n4@h", {1, 1}, 1s, now);
  CHECK(desk.standing_of("n4@h").confirmed.id == 1);
}

TEST_CASE("election, limits: when all tokens of a term are given, the leader takes another term") {
  CHECK(raft::limits{}.name_tokens_max < raft::name_token_bit);
  raft_cluster c;
  c.limits.name_tokens_max = 3;
  c.form({"a", "b", "c"});
  c.pass(1s);
  auto const leader = c.leader();
  auto const before = c.status(leader).term;
  std::uint64_t last = 0;
  for (std::uint64_t owner = 1; owner <= 8; ++owner) {
    c.on("a", raft::campaign{owner, "n"});
    c.pass(600ms);
    auto const won = c.told<raft::name_won>("a");
    REQUIRE(won.size() == owner);
    CHECK(won.back().token > last);
    last = won.back().token;
    c.on("a", raft::withdraw{owner});
    c.pass(100ms);
  }
  CHECK(c.leader() == leader); // its followers vote for it again
  CHECK(c.status(leader).term >= before + 2);
}

TEST_CASE("election, limits: candidates of this node, and what a name may be") {
  raft_cluster c;
  c.limits.campaigns_max = 2;
  c.form({"a", "b", "c"});
  c.pass(1s);
  c.on("a", raft::campaign{1, std::string(255, 'n')});
  c.on("a", raft::campaign{2, std::string(256, 'n')});
  c.on("a", raft::campaign{3, ""});
  c.on("a", raft::campaign{4, "n"});
  c.on("a", raft::campaign{4, "n"});
  c.on("a", raft::campaign{5, "m"});
  CHECK(c.told<raft::name_lost>("a").size() == 4); // two that are none, one twice, one too many
  c.pass(200ms);
  CHECK(c.told<raft::name_won>("a").size() == 2);
}

TEST_CASE("election, limits: many names fit into messages, in parts") {
  raft_cluster c;
  c.form({"a", "b", "c"});
  c.pass(1s);
  std::size_t const many = 2'000;
  std::string const l = c.leader() == "a@h" ? "b" : "a";
  for (std::uint64_t i = 1; i <= many; ++i) c.on(l, raft::campaign{i, fmt::format("{:0>120}", i)});
  c.pass(2s);
  CHECK(c.told<raft::name_won>(l).size() == many);
  for (auto const* const at : {"a", "b", "c"}) CHECK(c.told<raft::name_led>(at).size() == many);
  for (auto const* const at : {"a", "b", "c"}) CHECK(c.at(at).core->malformed_count() == 0);
  // A node that comes later is told all of it.
  c.add("d");
  c.start("d");
  c.pass(2s);
  CHECK(c.told<raft::name_led>("d").size() == many);
}

TEST_CASE("election: a grant of a session that is over is not taken") {
  raft::name_client client({}, 7);
  std::vector<raft::news> out;
  base::time_point now{};
  client.campaign(1, "n");
  client.led(5, now);
  auto const first = client.renew(now);
  client.confirmed(5, first, false, 1s, now, out);
  REQUIRE(client.next_batch(now, 1s));
  now += 2s;
  client.lapse(now, out);
  auto const second = client.renew(now);
  CHECK(second.id > first.id);
  client.confirmed(5, second, false, 1s, now, out);
  client.granted({5, first.id, {{1, raft::name_token_of(5, 1), "n"}}}, now, out);
  CHECK(out.empty());
  client.granted({4, second.id, {{1, raft::name_token_of(4, 9), "n"}}}, now, out); // of an earlier leader
  CHECK(out.empty());
  client.granted({5, second.id, {{1, raft::name_token_of(5, 2), "n"}}}, now, out);
  CHECK(out.size() == 1);
  CHECK(client.left(1, now) > 900ms);
}

TEST_CASE("election: what an earlier leader gave counts under the next one only when it has taken it over") {
  raft::name_client client({}, 7);
  std::vector<raft::news> out;
  base::time_point now{};
  client.campaign(1, "n");
  client.led(5, now);
  client.confirmed(5, client.renew(now), false, 1s, now, out);
  client.next_batch(now, 1s);
  client.granted({5, 7, {{1, raft::name_token_of(5, 1), "n"}}}, now, out);
  REQUIRE(out.size() == 1);
  now += 500ms;
  client.led(6, now);
  client.confirmed(6, client.renew(now), false, 1s, now, out); // the session goes on, the name not yet
  CHECK(client.left(1, now) < 500ms);
  auto const b = client.next_batch(now, 1s);
  REQUIRE(b);
  CHECK(b->all.front().what == wire::claim::kind::hold);
  SUBCASE("it has") {
    client.answered({6, 7, b->batch, {wire::verdict::taken}}, now, out);
    CHECK(client.left(1, now) > 900ms);
  }
  SUBCASE("it refuses") {
    client.answered({6, 7, b->batch, {wire::verdict::refused}}, now, out);
    CHECK(client.left(1, now) == 0ms);
    CHECK(out.size() == 2);
  }
  SUBCASE("it says nothing") {
    now += 481ms;
    client.lapse(now, out);
    CHECK(client.left(1, now) == 0ms);
    CHECK(out.size() == 2);
  }
}

TEST_CASE("election: bytes that are no messages change nothing, and are counted") {
  raft_cluster c;
  c.form({"a", "b", "c"});
  auto const leader = c.leader();
  base::random random(3);
  auto const before = c.at("a").core->malformed_count();
  std::uint64_t sent = 0;
  for (int i = 0; i < 2'000; ++i) {
    std::string bytes = i % 2 == 0 ? "RE\x01" : "";
    for (auto n = random.below(60); n > 0; --n) bytes += static_cast<char>(random.below(256));
    if (wire::read(bytes, {})) continue;
    c.on("a", raft::message{"b@h", bytes});
    ++sent;
  }
  CHECK(c.at("a").core->malformed_count() == before + sent);
  c.on("a", raft::message{"stranger@h", "x"}); // not connected
  CHECK(c.at("a").core->malformed_count() == before + sent);
  c.pass(500ms);
  CHECK(c.leader() == leader);
}
