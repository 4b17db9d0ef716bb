// The host of discovery in whole nodes without a network: what it does before the node runs, when its process
// is the first or the last to go, and where it stops taking more. With real sources:
// test/beam/discovery_SUITE.
#include "etf/print.hpp"
#include "services/discovery_terms.hpp"
#include "services/services.hpp"
#include "support/world.hpp"

#include <doctest/doctest.h>

#include <memory>

using namespace remora;
using namespace remora::test;
using namespace std::chrono_literals;

namespace {

services::discovery_settings nodes_of(std::vector<std::string> nodes) {
  services::discovery_settings s;
  s.core.sources = {discovery::node_list{std::move(nodes)}};
  s.core.who = discovery::side::companion;
  return s;
}

services::installed install(node::core& n) {
  return services::install(
      n, {.version = "1.2.3", .os_pid = 42, .pg_scopes = {"pg"}, .registry = global::options{}});
}

// Look-ups that are never answered, counted.
struct silent {
  std::size_t asked = 0;
  std::size_t forgotten = 0;
  services::discovery_outside outside() {
    return {.ask = [this](auto, auto const&, auto const&) { ++asked; },
            .forget = [this](auto) { ++forgotten; },
            .send = [](auto, auto const&) {},
            .fill_in = [](auto&) {},
            .unix_ms = [] { return std::int64_t{0}; },
            .find_wrong = [](auto const&) { return std::string(); },
            .boot_id = [] { return std::uint64_t{1}; }};
  }
};

} // namespace

TEST_CASE("discovery: settings that are there before the node runs count from its start, and a lost peer is "
          "redialled") {
  world w(1);
  auto& a = w.add("a@h");
  auto& b = w.add("b@h");
  auto const ours = install(a);
  auto const theirs = install(b);
  auto d = ours.discoverer;
  std::vector<std::string> news;
  d.observe([&](discovery::news const& n) { news.push_back(etf::print(services::to_term(n))); });
  REQUIRE_FALSE(d.begin(nodes_of({"a@h", "b@h"})).has_value());
  w.run();
  w.pass(1s);
  CHECK(a.connected("b@h"));
  REQUIRE_FALSE(news.empty());
  CHECK(news.front() == "{refreshed,{ok,[b@h]}}");
  b.disconnect("a@h", "test");
  w.run();
  w.pass(1s);
  CHECK(a.connected("b@h"));
  CHECK(d.configured());
}

TEST_CASE("discovery: without a source nothing runs, and no request is taken") {
  world w(1);
  auto& a = w.add("a@h");
  auto const ours = install(a);
  auto d = ours.discoverer;
  auto const before = a.process_count();
  REQUIRE_FALSE(d.begin({}).has_value());
  w.run();
  CHECK(a.process_count() == before);
  CHECK_FALSE(d.configured());
  CHECK_FALSE(d.refresh([](auto const&) {}));
}

TEST_CASE("discovery: once_max rounds of their own at a time; what is given up is forgotten") {
  world w(1);
  auto& a = w.add("a@h");
  auto const ours = install(a);
  silent nobody;
  auto d = ours.discoverer;
  d.set_outside(nobody.outside());
  w.run();
  services::discovery_settings s;
  s.core.sources = {discovery::dns_name{"", "nodes.example.org"}};
  s.core.ask_timeout = 100s;
  std::size_t busy = 0;
  std::vector<std::function<void()>> ends;
  for (std::size_t i = 0; i < services::discoverer::once_max + 2; ++i) {
    auto begun =
        d.run_once(s, [&](discovery::result const& r) { busy += r.was == discovery::result::what::busy; });
    REQUIRE(begun.has_value());
    ends.push_back(*begun);
  }
  w.run();
  CHECK(busy == 2);
  CHECK(nobody.asked == 2 * services::discoverer::once_max); // A and AAAA
  ends.front()();
  CHECK(nobody.forgotten == 2);
  CHECK(d.run_once(s, [&](auto const&) { ++busy; }).has_value());
  CHECK(busy == 2);
  d.set_outside({});
}

TEST_CASE("discovery: an answer of a look-up that is over, and of none, is nobody's") {
  world w(1);
  auto& a = w.add("a@h");
  auto const ours = install(a);
  silent nobody;
  auto d = ours.discoverer;
  d.set_outside(nobody.outside());
  w.run();
  services::discovery_settings s;
  s.core.sources = {discovery::dns_name{"", "nodes.example.org"}};
  std::string said;
  auto const begun = d.run_once(s, [&](discovery::result const& r) { said = discovery::describe(r); });
  REQUIRE(begun.has_value());
  d.answered(1, discovery::addresses{{"10.0.0.1"}});
  d.answered(1, discovery::addresses{{"10.0.0.2"}});
  d.answered(4711, discovery::failed{});
  d.changed(1);
  d.packet(2, "x", "y");
  (*begun)();
  d.answered(2, discovery::addresses{{"10.0.0.3"}});
  CHECK(said.empty());
  d.set_outside({});
}
