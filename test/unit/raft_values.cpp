// Election's values: its messages and its file, byte by byte, the arithmetic of quorums against an obvious
// version, options, words.
#include "base/random.hpp"
#include "raft/bootstrap.hpp"
#include "raft/file.hpp"
#include "raft/messages.hpp"
#include "raft/quorum.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

using namespace remora;
using namespace std::chrono_literals;
namespace wire = raft::wire;

namespace {

raft::configuration three() { return {0x0102030405060708, 3, 4, {{"a@h", 0x11}, {"b@h", 0}, {"c@h", 0x33}}}; }

std::vector<wire::body> one_of_each() {
  return {
      wire::hello{true, 7, 2, true, 3, 5, three()},
      wire::hello{},
      wire::ask_vote{true, 6, 5, three()},
      wire::vote{true, 6, 5, false, 7, 20ms, three()},
      wire::vote{false, 6, 6, true, 7, 0ms, std::nullopt},
      wire::heartbeat{5, raft::token_of(5, 4), 9, {3, 4}, three(), {8, 9}, true, 2s},
      wire::heartbeat_reply{5, 9, 7, {3, 4}, 2, 90ms, {8, 10}, 11},
      wire::timeout_now{5},
      wire::leave{5},
      wire::request{1, wire::asked::add_voter, true, "d@h", 0},
      wire::request{1, wire::asked::check_token, false, "", 99},
      wire::request_reply{1, raft::failure::stale_token},
      wire::request_reply{1, std::nullopt},
      wire::claims{5,
                   8,
                   1,
                   {{wire::claim::kind::want, 1, 0, "n"},
                    {wire::claim::kind::hold, 2, raft::name_token_of(4, 1), "m"}}},
      wire::claims_reply{5, 8, 1, {wire::verdict::taken, wire::verdict::full}},
      wire::grants{5, 8, {{1, raft::name_token_of(5, 2), "n"}}},
      wire::table{5, 0, 3, true, {{"n", "a@h", raft::name_token_of(5, 2)}, {"m", "", 0}}},
      wire::prepare{{2, "a@h"}},
      wire::promise{{2, "a@h"}, 7, {1, "b@h"}, three()},
      wire::promise{{2, "a@h"}, 7, {}, {}},
      wire::refused{{3, "b@h"}},
      wire::accept{{2, "a@h"}, {9, 0, 1, {{"a@h", 1}}}},
      wire::accepted{{2, "a@h"}},
  };
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (auto const c : bytes) out += fmt::format("{:02x}", static_cast<std::uint8_t>(c));
  return out;
}

raft::durable full_state() {
  return {7, 9, "b@h", three(), {4, "c@h"}, {3, "a@h"}, {5, 0, 1, {{"a@h", 1}}}, 90ms};
}

} // namespace

TEST_CASE("election's messages are read as they were written, and in no part") {
  std::set<std::size_t> kinds;
  for (auto const& b : one_of_each()) {
    wire::envelope const e{42, b};
    auto const bytes = wire::write(e);
    kinds.insert(b.index());
    CAPTURE(wire::describe(b));
    REQUIRE(wire::read(bytes, {}));
    CHECK(*wire::read(bytes, {}) == e);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      CHECK_FALSE(wire::read(std::string_view(bytes).substr(0, size), {}));
    CHECK_FALSE(wire::read(bytes + '\0', {}));
    for (std::size_t i = 0; i < 4; ++i) {
      auto wrong = bytes;
      wrong[i] = static_cast<char>(0x7f);
      CHECK_FALSE(wire::read(wrong, {}));
    }
  }
  CHECK(kinds.size() == std::variant_size_v<wire::body>);
}

TEST_CASE("election's messages have these bytes") {
  CHECK(hex(wire::write({0x2a, wire::timeout_now{5}})) == "52450105000000000000002a0000000000000005");
  CHECK(hex(wire::write({0x2a, wire::prepare{{2, "a@h"}}})) ==
        "5245010d000000000000002a00000000000000020003614068");
  CHECK(hex(wire::write({0x2a, wire::ask_vote{true, 6, 5, {9, 3, 4, {{"a@h", 17}}}}})) ==
        "52450101000000000000002a0100000000000000060000000000000005000000000000000900000000000000030000000000"
        "0000040001"
        "00036140680000000000000011");
  CHECK(hex(wire::write({0x2a, wire::heartbeat_reply{5, 9, 7, {3, 4}, 2, 90ms, {8, 10}, 11}})) ==
        "52450104000000000000002a0000000000000005000000000000000900000000000000070000000000000003000000000000"
        "0004000000"
        "02000000000"
        "55d4a800000000000000008000000000000000a000000000000000b");
}

TEST_CASE("election: what a message may not say is not read") {
  auto const wrong = [](wire::body b) { return !wire::read(wire::write({1, std::move(b)}), {}); };
  raft::limits const l;
  auto config = three();
  CHECK(wrong(wire::timeout_now{l.term_max + 1}));
  CHECK_FALSE(wrong(wire::timeout_now{l.term_max}));
  config.version = l.version_max + 1;
  CHECK(wrong(wire::ask_vote{false, 1, 0, config}));
  config = three();
  std::swap(config.voters[0], config.voters[1]); // not sorted
  CHECK(wrong(wire::ask_vote{false, 1, 0, config}));
  config = three();
  config.voters[1].node = "a@h"; // twice
  CHECK(wrong(wire::ask_vote{false, 1, 0, config}));
  config = three();
  config.voters[1].node = "b"; // no node
  CHECK(wrong(wire::ask_vote{false, 1, 0, config}));
  config = three();
  config.cluster = 0;
  CHECK(wrong(wire::ask_vote{false, 1, 0, config}));
  config = three();
  config.voters.clear();
  for (int i = 0; i < 31; ++i) config.voters.push_back({fmt::format("n{:02}@h", i), 1});
  CHECK_FALSE(wrong(wire::ask_vote{false, 1, 0, config}));
  config.voters.push_back({"z@h", 1});
  CHECK(wrong(wire::ask_vote{false, 1, 0, config}));
  CHECK(wrong(wire::ask_vote{false, 1, 0, {}})); // there is none
  CHECK(wrong(wire::vote{false, 1, 1, true, 1, 2h, std::nullopt}));
  CHECK(wrong(wire::heartbeat{0, 0, 1, {}, std::nullopt, {}, false, 1s}));
  CHECK(wrong(wire::heartbeat{5, raft::token_of(4, 1), 1, {}, std::nullopt, {}, false, 1s}));
  CHECK(wrong(wire::heartbeat{5, raft::name_token_of(5, 1), 1, {}, std::nullopt, {}, false, 1s}));
  CHECK(wrong(wire::claims{5, 0, 1, {}}));
  CHECK(wrong(wire::claims{5, 1, 1, {{wire::claim::kind::want, 1, 0, ""}}}));
  CHECK(wrong(wire::claims{5, 1, 1, {{wire::claim::kind::want, 1, 0, std::string(256, 'n')}}}));
  CHECK_FALSE(wrong(wire::claims{5, 1, 1, {{wire::claim::kind::want, 1, 0, std::string(255, 'n')}}}));
  CHECK(wrong(wire::claims{5, 1, 1, {{wire::claim::kind::want, 1, 0, "\xff"}}}));
  CHECK(wrong(wire::claims{5, 1, 1, {{wire::claim::kind::hold, 1, raft::token_of(4, 1), "n"}}}));
  CHECK(wrong(wire::claims{5, 1, 1, {{wire::claim::kind::want, 1, raft::name_token_of(4, 1), "n"}}}));
  CHECK(wrong(wire::grants{5, 1, {{1, std::uint64_t{1} << 59U | raft::name_token_bit, "n"}}}));
  CHECK(wrong(wire::table{5, 3, 2, false, {}}));
  CHECK(wrong(wire::request{1, wire::asked::transfer, false, "", 0}));
  CHECK(wrong(wire::prepare{{0, "a@h"}}));
  CHECK(wrong(wire::prepare{{1, ""}}));
  CHECK(wrong(wire::prepare{{~std::uint64_t{0}, "a@h"}})); // no greater one could follow
  CHECK(wrong(wire::promise{{1, "a@h"}, 0, {}, {}}));
  CHECK(wrong(wire::promise{{1, "a@h"}, 1, {1, "a@h"}, {}}));
  CHECK(wrong(wire::accept{{1, "a@h"}, three()})); // not a first configuration
  std::string const long_one(raft::limits{}.message_bytes_max + 1, 'x');
  CHECK_FALSE(wire::read(long_one, {}));
}

TEST_CASE("election's file: every truncation and every flipped bit is recognised") {
  auto const bytes = raft::write_state(full_state());
  REQUIRE(raft::read_state(bytes).has_value());
  CHECK((*raft::read_state(bytes) == full_state()));
  raft::durable fresh;
  fresh.instance = 1;
  CHECK((*raft::read_state(raft::write_state(fresh)) == fresh));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    auto const got = raft::read_state(std::string_view(bytes).substr(0, size));
    REQUIRE(got.has_error());
    CHECK(got.error().starts_with("the state file "));
  }
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto wrong = bytes;
    wrong[bit / 8] = static_cast<char>(static_cast<unsigned char>(wrong[bit / 8]) ^ (1U << (bit % 8)));
    REQUIRE(raft::read_state(wrong).has_error());
  }
  CHECK(raft::read_state(bytes + "x").error() == "the state file has something behind its end");
  CHECK(raft::read_state("").error() == "the state file is empty");
  CHECK(raft::read_state(std::string(200, '\0')).error() ==
        "the state file is not one of remora's elections");
  CHECK(raft::read_state(bytes.substr(0, 40)).error() == "the state file ends too early");
}

TEST_CASE("election's file has these bytes") {
  raft::durable d;
  d.instance = 7;
  d.term = 9;
  d.voted_for = "b@h";
  CHECK(hex(raft::write_state(d)) == "72656d6f72612d656c656374696f6e" // remora-election
                                     "01"
                                     "00000065"
                                     "0000000000000007"
                                     "0000000000000009"
                                     "0003624068"
                                     "0000000000000000000000000000000000000000000000000000"
                                     "00000000000000000000"
                                     "00000000000000000000"
                                     "0000000000000000000000000000000000000000000000000000"
                                     "0000000000000000"
                                     "0e6382547635f728e32f1d7603f8415bb158419264ae14a749f091777ffdd5c1");
}

TEST_CASE("election: tokens grow, and fit into a small integer of the BEAM") {
  raft::limits const l;
  CHECK(raft::token_of(l.term_max, l.version_max) < std::uint64_t{1} << 59U);
  CHECK(raft::name_token_of(l.term_max, raft::name_token_bit - 1) < std::uint64_t{1} << 59U);
  CHECK(raft::token_of(2, 0) > raft::name_token_of(1, raft::name_token_bit - 1));
  CHECK(raft::name_token_of(1, 1) > raft::token_of(1, l.version_max));
  CHECK_FALSE(raft::is_name_token(raft::token_of(3, l.version_max)));
  CHECK(raft::is_name_token(raft::name_token_of(3, 0)));
  CHECK(raft::term_of(raft::name_token_of(3, 17)) == 3);
}

// Is there a quorum of a and a quorum of b that have no voter in common? All subsets are tried.
static bool overlap_obviously(raft::configuration const& a, raft::configuration const& b) {
  auto const quorums = [](raft::configuration const& c) {
    std::vector<std::set<std::pair<std::string, std::uint64_t>>> out;
    for (unsigned bits = 0; bits < 1U << c.voters.size(); ++bits) {
      std::set<std::pair<std::string, std::uint64_t>> q;
      for (std::size_t i = 0; i < c.voters.size(); ++i)
        if ((bits >> i & 1U) != 0 && c.voters[i].instance != 0)
          q.emplace(c.voters[i].node, c.voters[i].instance);
      if (2 * q.size() > c.voters.size()) out.push_back(q);
    }
    return out;
  };
  for (auto const& p : quorums(a))
    for (auto const& q : quorums(b))
      if (std::none_of(p.begin(), p.end(), [&](auto const& v) { return q.contains(v); })) return false;
  return true;
}

TEST_CASE("election: quorums meet as an obvious version says") {
  base::random random(7);
  for (int i = 0; i < 3'000; ++i) {
    auto const drawn = [&] {
      raft::configuration c{1, 1, 1, {}};
      for (char n = 'a'; n < 'g'; ++n)
        if (random.below(3) > 0) c.voters.push_back({std::string(1, n) + "@h", random.below(3)});
      return c;
    };
    auto const a = drawn();
    auto const b = drawn();
    CHECK(raft::quorums_overlap(a, b) == overlap_obviously(a, b));
    auto const yes = [](raft::voter const& v) { return v.node < "d"; };
    std::size_t count = 0;
    for (auto const& v : a.voters)
      if (v.instance != 0 && yes(v)) ++count;
    CHECK(raft::is_quorum(a, yes) == (2 * count > a.voters.size()));
    std::vector<int> values;
    for (std::size_t n = random.below(7); n > 0; --n) values.push_back(static_cast<int>(random.below(50)));
    auto sorted = values;
    std::sort(sorted.rbegin(), sorted.rend());
    auto const size = a.voters.size();
    auto const got = raft::of_majority(values, size);
    bool const enough = size > 0 && sorted.size() >= size / 2 + 1;
    REQUIRE(got.has_value() == enough);
    if (enough) CHECK(*got == sorted[size / 2]);
  }
}

TEST_CASE("election: one voter more or less, bound or unbound, always overlaps; exchanged, it need not") {
  raft::configuration c{1, 1, 1, {{"a@h", 1}, {"b@h", 2}, {"c@h", 3}}};
  auto next = c;
  next.voters.push_back({"d@h", 4});
  CHECK(raft::quorums_overlap(c, next));
  next = c;
  next.voters.pop_back();
  CHECK(raft::quorums_overlap(c, next));
  next = c;
  next.voters.back().instance = 0;
  CHECK(raft::quorums_overlap(c, next));
  auto bound = next;
  bound.voters.back().instance = 9;
  CHECK(raft::quorums_overlap(next, bound));
  CHECK_FALSE(raft::quorums_overlap(c, bound)); // {a, c} and {b, c'}
}

TEST_CASE("election: a promise that is counted on two clocks is over on the one before it is on the other") {
  for (auto const d : {1ms, 90ms, 1'000ms, 3'600'000ms}) {
    auto const promised = base::duration(d);
    auto const longest =
        static_cast<double>(raft::surely(promised).count()) / (1 - raft::drift_max); // true time
    auto const shortest = static_cast<double>(promised.count()) / (1 + raft::drift_max);
    CHECK(longest <= shortest);
    CHECK(raft::at_least(promised) > promised);
  }
}

TEST_CASE("election's options are looked at") {
  raft::options const good;
  CHECK_FALSE(raft::find_wrong(good));
  auto const key_of = [](auto change) {
    raft::options o;
    change(o);
    auto const w = raft::find_wrong(o);
    if (w) CHECK(w->text.size() > 20);
    return w ? w->key : std::string();
  };
  CHECK(key_of([](auto& o) { o.heartbeat = 0ms; }) == "heartbeat");
  CHECK(key_of([](auto& o) { o.election_min = 199ms; }) == "election_min");
  CHECK(key_of([](auto& o) { o.election_max = 499ms; }) == "election_max");
  CHECK(key_of([](auto& o) { o.election_max = 2h; }) == "election_max");
  CHECK(key_of([](auto& o) { o.lease = 501ms; }) == "lease");
  CHECK(key_of([](auto& o) { o.lease = 99ms; }) == "lease");
  CHECK(key_of([](auto& o) { o.lease = -1ms; }) == "lease");
  CHECK(key_of([](auto& o) { o.name_lease = 399ms; }) == "name_lease");
  CHECK(key_of([](auto& o) { o.name_lease = 2h; }) == "name_lease");
  CHECK(key_of([](auto& o) { o.voters = {"a"}; }) == "voters");
  CHECK(key_of([](auto& o) { o.voters = {"a@h", "a@h"}; }) == "voters");
  CHECK(key_of([](auto& o) { o.voters.assign(32, "a@h"); }) == "voters");
  CHECK(key_of([](auto& o) { o.bootstrap_expect = 32; }) == "bootstrap_expect");
  CHECK(key_of([](auto& o) {
          o.bootstrap_expect = 3;
          o.voters = {"a@h"};
        }) == "bootstrap_expect");
}

TEST_CASE("election's values print") {
  CHECK(raft::describe(raft::effect(raft::tell{raft::leader_elected{"a@h", 2, 5}})) ==
        "tell leader_elected a@h term 2 token 5");
  CHECK(raft::describe(raft::effect(raft::reply{3, raft::failure::no_leader})) == "reply 3 no_leader");
  CHECK(raft::describe(raft::effect(raft::reply{3, raft::led_by{"a@h", 7}})) == "reply 3 a@h 7");
  CHECK(raft::describe(raft::effect(raft::persist{1, full_state()})) ==
        "persist 1 term 9 vote b@h 3.4 [a@h b@h? c@h]");
  CHECK(raft::describe(raft::event(raft::start{})) == "start without state");
  CHECK(raft::describe(raft::news(raft::name_led{"n", "", 0})) == "name_led n by nobody");
  for (int f = 0; f <= static_cast<int>(raft::failure::stopped); ++f)
    CHECK_FALSE(raft::name_of(static_cast<raft::failure>(f)).empty());
  for (int r = 0; r <= static_cast<int>(raft::role::leader); ++r)
    CHECK_FALSE(raft::name_of(static_cast<raft::role>(r)).empty());
}

// ---- the first configuration (bootstrap.hpp)

TEST_CASE("bootstrap: an acceptor keeps its promise") {
  raft::durable d;
  d.instance = 5;
  auto const promised = raft::on_prepare(d, {{3, "b@h"}});
  CHECK(std::get<wire::promise>(promised).accepted.number == 0);
  CHECK(std::get<wire::refused>(raft::on_prepare(d, {{3, "a@h"}})).promised == raft::ballot{3, "b@h"});
  raft::configuration const c{9, 0, 1, {{"a@h", 5}}};
  CHECK(std::holds_alternative<wire::refused>(raft::on_accept(d, {{2, "z@h"}, c})));
  CHECK(d.accepted_config.cluster == 0);
  CHECK(std::holds_alternative<wire::accepted>(raft::on_accept(d, {{3, "b@h"}, c})));
  auto const again = std::get<wire::promise>(raft::on_prepare(d, {{4, "a@h"}}));
  CHECK(again.accepted == raft::ballot{3, "b@h"});
  CHECK(again.config == c);
}

TEST_CASE("bootstrap: a proposer takes the value of the highest ballot that was accepted") {
  std::vector<raft::voter> const nodes = {{"a@h", 0}, {"b@h", 0}, {"c@h", 0}};
  raft::configuration const older{7, 0, 1, {{"a@h", 1}, {"b@h", 2}, {"c@h", 0}}};
  raft::configuration const newer{8, 0, 1, {{"a@h", 1}, {"b@h", 0}, {"c@h", 3}}};
  raft::proposal p({5, "a@h"}, nodes, true, 99);
  CHECK_FALSE(p.promised("a@h", {{5, "a@h"}, 1, {1, "b@h"}, older}));
  CHECK_FALSE(p.promised("b@h", {{4, "a@h"}, 2, {}, {}})); // of another ballot
  CHECK_FALSE(p.promised("x@h", {{5, "a@h"}, 2, {}, {}})); // none of them
  CHECK_FALSE(p.promised("a@h", {{5, "a@h"}, 1, {1, "b@h"}, older}));
  CHECK_FALSE(p.promised("b@h", {{5, "a@h"}, 2, {3, "c@h"}, newer}));
  CHECK(p.promised("c@h", {{5, "a@h"}, 3, {}, {}}) == newer);
  CHECK_FALSE(p.accepted("a@h", {{5, "a@h"}}));
  CHECK_FALSE(p.accepted("a@h", {{5, "a@h"}}));
  CHECK_FALSE(p.accepted("x@h", {{5, "a@h"}}));
  CHECK(p.accepted("c@h", {{5, "a@h"}}) == newer);
}

TEST_CASE("bootstrap: a proposer's own value has the instances of who has promised") {
  raft::proposal p({1, "a@h"}, {{"a@h", 0}, {"b@h", 0}, {"c@h", 0}}, false, 99);
  CHECK_FALSE(p.promised("c@h", {{1, "a@h"}, 3, {}, {}}));
  raft::configuration const c{99, 0, 1, {{"a@h", 1}, {"b@h", 0}, {"c@h", 3}}};
  CHECK(p.promised("a@h", {{1, "a@h"}, 1, {}, {}}) == c); // a majority of the list is enough
}
