// The stream of changes by itself: versions, parts, limits, and that whoever applies the messages has what
// there is.
#include "base/random.hpp"
#include "etf/print.hpp"
#include "services/mirror.hpp"
#include "support/frames.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <set>
#include <string>
#include <vector>

using namespace remora;
using namespace remora::test;
using services::mirror;
using services::mirror_changes;

namespace {

etf::pid pid_of(std::uint32_t id) { return {.node = etf::atom("a@h"), .id = id, .serial = 0, .creation = 4}; }
etf::reference ref_of(std::uint32_t n) {
  return {.node = etf::atom("r@h"), .creation = 4, .count = 1, .words = {n}};
}

// {remora_mirror, Ref, From, To, Changes}
struct message {
  etf::pid to;
  std::uint64_t from = 0;
  std::uint64_t version = 0;
  std::vector<std::string> changes;
  std::size_t bytes = 0;
};

struct fixture {
  explicit fixture(services::mirror_limits limits = {})
      : m([this](etf::pid const& to, etf::term const& said) { hear(to, said); }, [this] { ++wakes; },
          limits) {}

  void hear(etf::pid const& to, etf::term const& said) {
    auto const all = *said->tuple<5>();
    REQUIRE(all[0].is_atom("remora_mirror"));
    message out{.to = to,
                .from = *all[2].unsigned_integer(),
                .version = *all[3].unsigned_integer(),
                .changes = {},
                .bytes = said.size()};
    auto list = *all[4].list();
    while (auto const c = list.next()) out.changes.push_back(etf::print(*c));
    REQUIRE(list.tail().what() == etf::kind::nil);
    heard.push_back(std::move(out));
  }
  void begin(
      std::uint32_t n, std::function<void(mirror_changes&)> const& now = [](mirror_changes&) {}) {
    REQUIRE(m.begin(ref_of(n), pid_of(n), now));
  }
  std::vector<message> take() { return std::exchange(heard, {}); }

  std::vector<message> heard;
  int wakes = 0;
  mirror m;
};

} // namespace

TEST_CASE("mirror: a stream begins with what there is, and goes on with what changes") {
  fixture f;
  f.m.named(t("before"), pid_of(1)); // nobody hears
  auto const version = f.m.version();
  f.begin(7, [](mirror_changes& now) {
    now.node_up("b@h", false);
    now.named(t("n"), pid_of(1));
  });
  auto said = f.take();
  REQUIRE(said.size() == 1);
  CHECK(said[0].from == 0);
  CHECK(said[0].version == version);
  CHECK(said[0].changes ==
        std::vector<std::string>{"{up,b@h,visible}", "{name,n,#Pid<a@h.1.0.4>}", "synced"});
  CHECK(f.wakes == 0);

  f.m.named(t("n"), pid_of(2));
  f.m.unnamed(t("n"));
  f.m.scope_started("s");
  f.m.joined("s", t("g"), std::vector{pid_of(1), pid_of(1)});
  f.m.left("s", t("g"), std::vector{pid_of(1)});
  f.m.scope_stopped("s");
  f.m.node_up("c@h", true);
  f.m.node_down("c@h", "net_tick_timeout");
  CHECK(f.wakes == 1);
  CHECK(f.heard.empty()); // gathered
  f.m.flush();
  said = f.take();
  REQUIRE(said.size() == 1);
  CHECK(said[0].from == version);
  CHECK(said[0].version == version + 8);
  CHECK(said[0].changes == std::vector<std::string>{"{name,n,#Pid<a@h.2.0.4>}", "{unname,n}", "{scope,s}",
                                                    "{join,s,g,[#Pid<a@h.1.0.4>,#Pid<a@h.1.0.4>]}",
                                                    "{leave,s,g,[#Pid<a@h.1.0.4>]}", "{unscope,s}",
                                                    "{up,c@h,hidden}", "{down,c@h,net_tick_timeout}"});
  f.m.flush();
  CHECK(f.heard.empty()); // nothing new
  f.m.unnamed(t("x"));
  CHECK(f.wakes == 2);
}

TEST_CASE("mirror: versions count while nobody listens, and a later stream begins there") {
  fixture f;
  for (int i = 0; i < 5; ++i) f.m.unnamed(t("x"));
  CHECK(f.m.version() == 6);
  CHECK(f.wakes == 0);
  f.begin(1);
  CHECK(f.take()[0].version == 6);
  CHECK(f.m.end(ref_of(1)));
  CHECK_FALSE(f.m.end(ref_of(1)));
  f.m.unnamed(t("x"));
  f.m.flush();
  CHECK(f.heard.empty());
  f.begin(2);
  f.m.unnamed(t("y"));
  f.m.flush();
  auto const said = f.take();
  REQUIRE(said.size() == 2);
  CHECK(said[0].version == 7);
  CHECK(said[1].from == 7);
  CHECK(said[1].version == 8);
}

TEST_CASE("mirror: a stream that begins later misses nothing and hears nothing twice") {
  fixture f;
  f.begin(1);
  f.take();
  f.m.named(t("n"), pid_of(1));
  f.begin(2, [](mirror_changes& now) { now.named(t("n"), pid_of(1)); });
  auto said = f.take();
  REQUIRE(said.size() == 2); // the first is told before
  CHECK(said[0].to == pid_of(1));
  CHECK(said[0].version == 2);
  CHECK(said[1].to == pid_of(2));
  CHECK(said[1].version == 2);
  f.m.unnamed(t("n"));
  f.m.flush();
  said = f.take();
  REQUIRE(said.size() == 2);
  for (auto const& m : said) {
    CHECK(m.from == 2);
    CHECK(m.version == 3);
  }
}

TEST_CASE("mirror: the beginning comes in parts, the last of which has the version and synced") {
  fixture f({.changes_max = 10});
  f.begin(1, [](mirror_changes& now) {
    for (std::uint32_t i = 0; i < 25; ++i) now.named(etf::make(i), pid_of(1));
  });
  auto const said = f.take();
  REQUIRE(said.size() == 3);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(said[i].from == 0);
    CHECK(said[i].version == 0);
    CHECK(said[i].changes.size() == 10);
    CHECK(said[i].changes.back() != "synced");
  }
  CHECK(said[2].version == 1);
  CHECK(said[2].changes.size() == 6);
  CHECK(said[2].changes.back() == "synced");
}

TEST_CASE(
    "mirror: a message takes no more than its limit of changes, one change no more than its limit of pids") {
  fixture f({.changes_max = 10, .pids_max = 3});
  f.begin(1);
  f.take();
  for (std::uint32_t i = 0; i < 25; ++i) f.m.unnamed(etf::make(i));
  CHECK(f.heard.size() == 2); // told as they fill, not kept
  f.m.flush();
  auto said = f.take();
  REQUIRE(said.size() == 3);
  CHECK(said[0].from == 1);
  CHECK(said[0].version == 11);
  CHECK(said[1].from == 11);
  CHECK(said[2].version == 26);
  CHECK(said[2].changes.size() == 5);

  f.m.joined("s", t("g"), std::vector<etf::pid>(7, pid_of(1)));
  CHECK(f.m.version() == 29);
  f.m.flush();
  said = f.take();
  REQUIRE(said.size() == 1);
  CHECK(said[0].changes.size() == 3);
  CHECK(said[0].changes[2] == "{join,s,g,[#Pid<a@h.1.0.4>]}");
}

TEST_CASE("mirror: large names fill a message before its limit of changes does") {
  fixture f({.message_bytes_full = 10'000});
  f.begin(1);
  f.take();
  for (int i = 0; i < 20; ++i) f.m.unnamed(etf::make(std::string(4'000, 'x')));
  f.m.flush();
  auto const said = f.take();
  CHECK(said.size() == 7);
  std::uint64_t at = 1;
  for (auto const& m : said) {
    CHECK(m.bytes < 14'200);
    CHECK(m.from == at);
    at = m.version;
  }
  CHECK(at == 21);
}

TEST_CASE("mirror: streams_max") {
  fixture f({.streams_max = 3});
  for (std::uint32_t i = 1; i <= 3; ++i) f.begin(i);
  CHECK_FALSE(f.m.has_room());
  CHECK_FALSE(f.m.begin(ref_of(4), pid_of(4), [](mirror_changes&) { FAIL("nobody is to be told"); }));
  CHECK(f.m.end(ref_of(2)));
  f.begin(4);
  CHECK(f.m.streams() == 3);
}

// Whoever applies what comes, and checks the versions as a receiver has to, has what there is.
TEST_CASE("mirror: many receivers, random changes, in small messages") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    base::random random(seed);
    fixture f({.changes_max = 1 + random.below(8), .pids_max = 1 + random.below(4), .streams_max = 8});
    std::map<std::string, std::uint32_t> names;
    struct receiver {
      std::uint64_t version = 0;
      bool synced = false;
      std::map<std::string, std::string> names;
    };
    std::map<std::uint32_t, receiver> receivers;
    auto const deliver = [&] {
      for (auto const& m : f.take()) {
        auto const found = receivers.find(m.to.id);
        if (found == receivers.end()) continue;
        auto& r = found->second;
        REQUIRE(m.from == r.version);
        r.version = m.version;
        for (auto const& c : m.changes) {
          if (c == "synced") {
            r.synced = true;
            continue;
          }
          auto const body = c.substr(1, c.size() - 2);
          auto const comma = body.find(',');
          auto const rest = body.substr(comma + 1);
          if (body.starts_with("unname"))
            CHECK(r.names.erase(rest) == 1);
          else
            r.names[rest.substr(0, rest.find(','))] = rest.substr(rest.find(',') + 1);
        }
      }
    };
    for (std::uint32_t step = 1; step <= 300; ++step) {
      auto const name = fmt::format("n{}", random.below(12));
      auto const what = random.below(20);
      if (what < 9) {
        auto const id = 1 + static_cast<std::uint32_t>(random.below(5));
        names[name] = id;
        f.m.named(t(name), pid_of(id));
      } else if (what < 15) {
        if (names.erase(name) > 0) f.m.unnamed(t(name));
      } else if (what < 17) {
        f.m.flush();
      } else if (what == 17 && f.m.has_room()) {
        receivers[step] = {};
        REQUIRE(f.m.begin(ref_of(step), pid_of(step), [&](mirror_changes& now) {
          for (auto const& [n, id] : names) now.named(t(n), pid_of(id));
        }));
      } else if (what == 18 && !receivers.empty()) {
        CHECK(f.m.end(ref_of(receivers.begin()->first)));
        receivers.erase(receivers.begin());
      }
      deliver();
    }
    f.m.flush();
    deliver();
    std::map<std::string, std::string> expected;
    for (auto const& [n, id] : names) expected[n] = fmt::format("#Pid<a@h.{}.0.4>", id);
    for (auto const& [id, r] : receivers) {
      CHECK(r.synced);
      CHECK(r.version == f.m.version());
      CHECK(r.names == expected);
    }
  }
}
