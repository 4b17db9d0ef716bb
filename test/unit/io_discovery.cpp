// What discovery's look-ups are made of, where no server is needed: addresses of servers, files that are
// none, watched files, groups of one machine. The rest is in test/beam/discovery_SUITE, with the real
// servers.
#include "io/discovery.hpp"
#include "io/dns.hpp"
#include "io/files.hpp"
#include "io/https.hpp"
#include "io/multicast.hpp"
#include "io/watch.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

using namespace remora;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

struct folder {
  folder() {
    std::string pattern = (fs::temp_directory_path() / "remora-unit-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~folder() { fs::remove_all(path); }
  std::string at(std::string const& name) const { return (path / name).string(); }
  void write(std::string const& name, std::string const& text) const { std::ofstream(at(name)) << text; }
  fs::path path;
};

// Runs the loop until this holds, or 5 s have passed.
bool run_until(io::asio::io_context& context, std::function<bool()> const& holds) {
  auto const until = std::chrono::steady_clock::now() + 5s;
  while (!holds() && std::chrono::steady_clock::now() < until) {
    context.restart();
    context.run_one_for(10ms);
  }
  return holds();
}

std::string dns_server(std::string const& text) {
  auto const found = io::read_dns_server(text);
  return found ? *found : "none";
}

std::string https_server(std::string const& text) {
  auto const found = io::read_https_server(text);
  return found ? fmt::format("{} {}", found->host, found->port) : "none";
}

} // namespace

TEST_CASE("dns: servers as people write them") {
  CHECK(dns_server("10.0.0.1") == "10.0.0.1:53");
  CHECK(dns_server("10.0.0.1:5353") == "10.0.0.1:5353");
  CHECK(dns_server("fd00::1") == "[fd00::1]:53");
  CHECK(dns_server("[fd00::1]:5353") == "[fd00::1]:5353");
  for (auto const* const wrong : {"", "localhost", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536",
                                  "[10.0.0.1]:53", "fd00::1:x", "10.0.0.1:5 3", ":53", "[]:53"})
    CHECK_MESSAGE(dns_server(wrong) == "none", wrong);
}

TEST_CASE("https: servers as people write them, and nothing without TLS") {
  CHECK(https_server("https://10.0.0.1") == "10.0.0.1 443");
  CHECK(https_server("https://kubernetes.default.svc:6443") == "kubernetes.default.svc 6443");
  CHECK(https_server("https://[fd00::1]:6443") == "fd00::1 6443");
  for (auto const* const wrong :
       {"", "http://10.0.0.1", "https://", "https://:443", "https://h:0", "https://h:x", "https://[fd00::1",
        "https://h/path", "https://h\r\nX: y", "https://u@h"})
    CHECK_MESSAGE(https_server(wrong) == "none", wrong);
}

TEST_CASE("https: what would be another header, or no request, is not sent") {
  folder const f;
  f.write("token", "two words");
  f.write("line", "one\r\nX-Other: y\n");
  auto const outcome = [](io::https_request request) {
    io::asio::io_context context;
    std::optional<discovery::cause> why;
    io::asio::co_spawn(
        context,
        [&]() -> io::asio::awaitable<void> {
          auto const said = co_await io::get_https(request);
          if (!said) why = said.error().why;
        },
        io::rethrow);
    context.run_for(5s);
    return why ? std::string(discovery::name_of(*why)) : "sent";
  };
  auto const to = [](std::string target, std::string token) {
    return io::https_request{
        .server = "https://127.0.0.1:1", .target = std::move(target), .token_file = std::move(token)};
  };
  CHECK(outcome(to("/api", f.at("token"))) == "no_file");
  CHECK(outcome(to("/api", f.at("line"))) == "no_file");
  CHECK(outcome(to("/api", f.at("missing"))) == "no_file");
  CHECK(outcome(to("api", {})) == "query_error");
  CHECK(outcome(to("/a b", {})) == "query_error");
  CHECK(outcome(to("/a\r\nX: y", {})) == "query_error");
  CHECK(outcome(to("/api", {})) == "network"); // nobody listens there
}

TEST_CASE("files: what is none is not waited for, what is too large not read") {
  folder const f;
  f.write("ten", "0123456789");
  REQUIRE(::mkfifo(f.at("pipe").c_str(), 0600) == 0);
  using kind = io::file_problem::kind;
  auto const problem = [&](std::string const& name, std::size_t max) {
    auto const read = io::read_text_file(f.at(name), max);
    REQUIRE_FALSE(read.has_value());
    return read.error().what;
  };
  CHECK(*io::read_text_file(f.at("ten"), 10) == "0123456789");
  CHECK(problem("ten", 9) == kind::too_large);
  CHECK(problem("none", 10) == kind::missing);
  CHECK(problem("ten/none", 10) == kind::missing);
  CHECK(problem("pipe", 10) == kind::unreadable);
  CHECK(problem("", 10) == kind::unreadable); // the folder
}

TEST_CASE("watch: a file that is renamed there, written in place, linked, removed; and its folder") {
  folder const f;
  fs::create_directory(f.path / "in");
  io::asio::io_context context;
  int changes = 0;
  io::file_watch const watch(context.get_executor(), f.at("in/nodes"), [&] { ++changes; });
  context.run_for(20ms); // it looks
  auto const told = [&] {
    bool const out = run_until(context, [&] { return changes > 0; });
    context.run_for(60ms); // what is told with it
    changes = 0;
    return out;
  };
  f.write("in/nodes", "a@h\n");
  CHECK(told());
  f.write("in/other", "x");
  f.write("new", "b@h\n");
  context.run_for(60ms);
  CHECK(changes == 0);
  fs::rename(f.path / "new", f.path / "in/nodes");
  CHECK(told());
  fs::remove(f.path / "in/nodes");
  CHECK(told());
  fs::create_symlink(f.path / "in/other", f.path / "in/nodes");
  CHECK(told());
  fs::remove_all(f.path / "in");
  CHECK(told());
  fs::create_directory(f.path / "in");
  f.write("in/nodes", "c@h\n");
  CHECK(told()); // it looks every second
  f.write("in/nodes", "d@h\n");
  CHECK(told());
}

TEST_CASE("watch: a new file counts once its writer has closed it, and nothing after the end") {
  folder const f;
  io::asio::io_context context;
  int changes = 0;
  auto watch = std::make_unique<io::file_watch>(context.get_executor(), f.at("nodes"), [&] { ++changes; });
  context.run_for(20ms);
  std::FILE* const half = std::fopen(f.at("nodes").c_str(), "w");
  REQUIRE(half != nullptr);
  std::fputs("a@h\n", half);
  std::fflush(half);
  context.run_for(60ms);
  CHECK(changes == 0);
  std::fclose(half);
  CHECK(run_until(context, [&] { return changes == 1; }));
  f.write("nodes", "b@h\n");
  watch.reset();
  context.restart();
  context.run_for(60ms);
  CHECK(changes == 1);
}

TEST_CASE("multicast: the members of one machine hear each other, and what is too large is left out") {
  io::asio::io_context context;
  std::vector<std::string> heard;
  auto const member = [&](std::string const& group, std::string const& interface) {
    return io::group_socket::join(
        context, {.group = group, .port = 45'891, .interface = interface},
        [&](std::string_view bytes, std::string const&) { heard.emplace_back(bytes); },
        [](std::string const&) {});
  };
  auto const a = member("239.77.1.1", "lo");
  auto const b = member("239.77.1.1", "127.0.0.1");
  REQUIRE_MESSAGE(a.has_value(), (a ? "" : a.error()));
  REQUIRE_MESSAGE(b.has_value(), (b ? "" : b.error()));
  CHECK((*a)->send(std::string(io::group_socket::bytes_max + 1, 'x')).empty());
  CHECK((*a)->send("hello").empty());
  CHECK(run_until(context, [&] { return heard.size() == 2; }));
  CHECK(heard == std::vector<std::string>{"hello", "hello"});
  (*a)->leave();
  CHECK((*b)->send("and again").empty());
  CHECK(run_until(context, [&] { return heard.size() == 3; }));
  (*b)->leave();
  context.restart();
  context.run_for(10ms);
  CHECK(heard.size() == 3);
  for (auto const& wrong : {std::pair{"10.0.0.1", ""}, {"x", ""}, {"239.1.1.1", "no-such"}})
    CHECK_MESSAGE(!member(wrong.first, wrong.second).has_value(), wrong.first);
}

TEST_CASE("service account: what the pod's environment says, and only where no server is given") {
  struct environment {
    environment(char const* host, char const* port) {
      ::setenv("KUBERNETES_SERVICE_HOST", host, 1);
      ::setenv("KUBERNETES_SERVICE_PORT", port, 1);
    }
    ~environment() {
      ::unsetenv("KUBERNETES_SERVICE_HOST");
      ::unsetenv("KUBERNETES_SERVICE_PORT");
    }
  };
  auto const filled = [](discovery::kubernetes k) {
    discovery::options o;
    o.sources = {k, discovery::custom{}};
    io::fill_in_service_account(o);
    return std::get<discovery::kubernetes>(o.sources.front());
  };
  discovery::kubernetes const bare{.basename = "app", .ns = "shop"};
  CHECK(filled(bare) == bare); // not in a pod
  environment const pod("fd00::1", "6443");
  auto const k = filled(bare);
  CHECK(k.server == "https://[fd00::1]:6443");
  CHECK(k.token_file == "/var/run/secrets/kubernetes.io/serviceaccount/token");
  CHECK(k.ca_file == "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt");
  // The pod's token is not for another server.
  auto other = bare;
  other.server = "https://10.9.9.9";
  CHECK(filled(other) == other);
  auto own = bare;
  own.token_file = "/etc/token";
  CHECK(filled(own).token_file == "/etc/token");
}

TEST_CASE("look-ups: one that is forgotten ends, and nothing of it is told") {
  folder const f;
  f.write("nodes", "a@h\n");
  io::asio::io_context context;
  std::vector<std::pair<discovery::question_id, std::string>> told;
  io::lookups lookups(
      context, {.file_bytes_max = 8},
      {.answered = [&](auto id, auto const& a) { told.emplace_back(id, discovery::describe(a)); },
       .changed = [](auto) {},
       .packet = [](auto, auto const&, auto const&) {}});
  lookups.begin(1, discovery::read_file{f.at("nodes")}, {});
  CHECK(told.empty()); // later
  lookups.begin(2, discovery::resolve{"silent.example", discovery::record::a}, {"127.0.0.1:1"});
  lookups.begin(3, discovery::join_group{"10.0.0.1", 1, "", 1}, {});
  lookups.begin(4, discovery::watch{f.at("nodes")}, {});
  lookups.begin(5, discovery::join_group{"239.77.1.2", 45'890, "lo", 1}, {});
  lookups.forget(2);
  CHECK(run_until(context, [&] { return told.size() == 2 && lookups.running() == 2; }));
  lookups.forget(4);
  lookups.forget(5);
  lookups.forget(5);
  CHECK(lookups.running() == 0);
  context.restart();
  context.run_for(10ms);
  std::sort(told.begin(), told.end());
  CHECK(told.front().first == 1);
  CHECK(told.back().first == 3);
}
