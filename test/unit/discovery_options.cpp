// Which options are refused, and in which words; and the text of every value, in which no secret may stand.
#include "discovery/types.hpp"

#include <doctest/doctest.h>

#include <set>

using namespace remora;
using namespace remora::discovery;
using namespace std::chrono_literals;

namespace {

std::string wrong(source s) {
  options o;
  o.sources = {std::move(s)};
  auto const w = find_wrong(o);
  if (!w) return "";
  CHECK(w->key == "sources");
  return w->text;
}
std::string wrong_key(auto change) {
  options o;
  change(o);
  auto const w = find_wrong(o);
  return w ? w->key : "";
}
kubernetes cluster() {
  return {.basename = "app",
          .ns = "prod",
          .server = "https://10.0.0.1:443",
          .token_file = "/run/token",
          .ca_file = "/run/ca.crt"};
}
multicast group() { return {.group = "239.1.2.3", .port = 4711, .secret = "s"}; }

} // namespace

TEST_CASE("discovery: options that can be used") {
  options o;
  CHECK_FALSE(find_wrong(o));
  auto v6 = group();
  v6.group = "ff02::4711";
  auto k6 = cluster();
  k6.server = "https://[fd00::1]:6443";
  o.sources = {node_list{{"a@h"}},
               epmd_hosts{{"", "h2", "fd00::1"}},
               dns_name{"app", "all.example."},
               dns_service{"", "_epmd._tcp.example"},
               cluster(),
               k6,
               kubernetes_dns{.basename = "app", .ns = "prod", .service = "web"},
               group(),
               v6,
               hosts_file{"/h"},
               node_file{"/n"},
               custom{}};
  o.poll_interval = 0s;
  auto const w = find_wrong(o);
  CHECK_MESSAGE(!w, w.value_or(wrong_option{}).text);
}

TEST_CASE("discovery: each wrong source is told what it needs") {
  CHECK(wrong(node_list{{"a@h", "b"}}) == "nodes: `b` is no node name (name@host)");
  CHECK(wrong(epmd_hosts{}) == "epmd needs a host");
  CHECK(wrong(epmd_hosts{{"a b"}}) == "epmd: `a b` is no host");
  CHECK(wrong(dns_name{"a b", "x"}) == "dns: `a b` cannot stand before the @ of a node name");
  CHECK(wrong(dns_name{"app", ""}) == "dns needs a host name");
  CHECK(wrong(dns_service{"app", "a/b"}) == "srv: `a/b` is no service name");
  auto k = cluster();
  k.ns = "";
  CHECK(wrong(k) == "kubernetes needs a namespace");
  k.ns = "../secrets";
  CHECK(wrong(k).starts_with("kubernetes: `../secrets` is no namespace"));
  k = cluster();
  k.service = "Web";
  CHECK(wrong(k).starts_with("kubernetes: `Web` is no service"));
  for (auto const* const server : {"", "http://10.0.0.1", "https://", "https://a/b", "https://u@h",
                                   "https://[::1", "https://fd00::1", "10.0.0.1"}) {
    k = cluster();
    k.server = server;
    CHECK_MESSAGE(wrong(k).starts_with("kubernetes needs the API server's address"), server);
  }
  k = cluster();
  k.token_file = "";
  CHECK(wrong(k) == "kubernetes needs a file with the token");
  k = cluster();
  k.ca_file = "";
  CHECK(wrong(k) == "kubernetes needs a file with the certificates to trust");
  CHECK(wrong(kubernetes_dns{.basename = "app", .ns = "prod"}) == "kubernetes-dns needs a service");
  for (auto const* const address : {"", "192.0.2.1", "fe80::1", "all"}) {
    auto m = group();
    m.group = address;
    CHECK_MESSAGE(wrong(m).find("is no group") != std::string::npos, address);
  }
  auto m = group();
  m.port = 0;
  CHECK(wrong(m) == "multicast needs a port");
  m = group();
  m.secret = "";
  CHECK(wrong(m) == "multicast needs a secret, the same on all nodes");
  CHECK(wrong(hosts_file{}) == "hosts-file needs a path");
  CHECK(wrong(node_file{}) == "file needs a path");
}

TEST_CASE("discovery: the limits of sources") {
  options o;
  for (int i = 0; i < 16; ++i) o.sources.emplace_back(dns_name{"a", "h" + std::to_string(i)});
  CHECK_FALSE(find_wrong(o));
  o.sources.emplace_back(custom{});
  CHECK(find_wrong(o)->text == "17 sources, at most 16 can be combined");
  o.sources = {custom{}, custom{}};
  CHECK(find_wrong(o)->text == "custom is there twice");
  CHECK(wrong(node_list{std::vector<std::string>(10'001, "a@h")}) ==
        "nodes: 10001 of them, at most 10000 can be listed");
  CHECK(wrong(epmd_hosts{std::vector<std::string>(1'025, "h")}) ==
        "epmd: 1025 hosts, at most 1024 can be asked");
}

TEST_CASE("discovery: numbers that make no sense are refused by their name") {
  CHECK(wrong_key([](options& o) { o.poll_interval = 99ms; }) == "poll_interval");
  CHECK(wrong_key([](options& o) { o.poll_interval = -1s; }) == "poll_interval");
  CHECK(wrong_key([](options& o) { o.poll_jitter = 1.0; }) == "poll_jitter");
  CHECK(wrong_key([](options& o) { o.poll_jitter = -0.1; }) == "poll_jitter");
  CHECK(wrong_key([](options& o) { o.poll_jitter = std::numeric_limits<double>::quiet_NaN(); }) ==
        "poll_jitter");
  CHECK(wrong_key([](options& o) { o.grace = 0; }) == "grace");
  CHECK(wrong_key([](options& o) { o.dial_limit = 0; }) == "dial_limit");
  CHECK(wrong_key([](options& o) { o.dial_timeout = 0s; }) == "dial_timeout");
  CHECK(wrong_key([](options& o) { o.backoff_min = 0s; }) == "backoff_min");
  CHECK(wrong_key([](options& o) { o.backoff_max = o.backoff_min - 1ms; }) == "backoff_max");
  CHECK(wrong_key([](options& o) { o.fast_time = 2h; }) == "fast_time");
  CHECK(wrong_key([](options& o) { o.fast_max = 0s; }) == "fast_max");
  CHECK(wrong_key([](options& o) { o.ask_timeout = 0s; }) == "ask_timeout");
  CHECK(wrong_key([](options& o) { o.announce_interval = 0s; }) == "announce_interval");
  options o;
  o.dial_timeout = 1h;
  CHECK(find_wrong(o)->text == "3600000 ms is not between 100 and 120000");
}

TEST_CASE("discovery: every word has a name of its own") {
  std::set<std::string_view> causes;
  for (int i = 0; i <= static_cast<int>(cause::by_app); ++i) causes.insert(name_of(static_cast<cause>(i)));
  CHECK(causes.size() == 21);
  CHECK(name_of(cause::format_error) == "format_error");
  CHECK(name_of(cause::timeout) == "timeout");
  CHECK(name_of(cause::unknown_host) == "unknown_host");
  CHECK(name_of(cause::unauthorized) == "unauthorized");
  CHECK(name_of(cause::server_error) == "server_error");
  CHECK(name_of(cause::no_file) == "no_file");
  CHECK(name_of(cause::by_app) == "by_app");
  CHECK(name_of(result::what::busy) == "busy");
  CHECK(name_of(status::state::stopped) == "stopped");
  CHECK(name_of(addressing::hostname) == "hostname");
  CHECK(name_of(record::srv) == "srv");
}

TEST_CASE("discovery: sources have short texts, and a secret is in none") {
  CHECK(describe(source(node_list{{"a@h", "b@h", "c@h"}})) == "nodes a@h and 2 more");
  CHECK(describe(source(epmd_hosts{{""}})) == "epmd this host");
  CHECK(describe(source(dns_name{"app", "x"})) == "dns app@x");
  CHECK(describe(source(dns_name{"", "x"})) == "dns x");
  auto k = cluster();
  k.service = "web";
  k.selector = "a=b";
  CHECK(describe(source(k)) == "kubernetes app@prod/web?a=b");
  CHECK(describe(source(kubernetes_dns{.basename = "app", .ns = "prod", .service = "web"})) ==
        "kubernetes-dns app@web.prod");
  auto m = group();
  m.secret = "hush";
  CHECK(describe(source(m)) == "multicast 239.1.2.3:4711");
  options o;
  o.sources = {m};
  CHECK(describe(event(configure{o})) == "configure, 1 sources");
}

TEST_CASE("discovery: events, answers and effects have a line each") {
  CHECK(describe(event(start{})) == "start");
  CHECK(describe(event(tick{})) == "tick");
  CHECK(describe(event(refresh{1})) == "refresh 1");
  CHECK(describe(event(discovery::pause{1})) == "pause 1");
  CHECK(describe(event(resume{1})) == "resume 1");
  CHECK(describe(event(discovery::shutdown{1})) == "shutdown 1");
  CHECK(describe(event(changed{4})) == "changed 4");
  CHECK(describe(event(packet{3, "abc", "192.0.2.1"})) == "packet 3 of 3 bytes from 192.0.2.1");
  CHECK(describe(event(link_up{side::app, "b@h"})) == "link_up app b@h");
  CHECK(describe(event(link_up{side::companion, "b@h", false})) == "link_up companion b@h, dialled there");
  CHECK(describe(event(link_down{side::app, "b@h", "gone"})) == "link_down app b@h: gone");
  CHECK(describe(event(link_failed{side::app, "b@h", "no"})) == "link_failed app b@h: no");
  CHECK(describe(event(app_here{"a@h"})) == "app_here a@h");
  CHECK(describe(event(app_gone{})) == "app_gone");
  CHECK(describe(event(disconnected{side::app, "b@h"})) == "disconnected app b@h: ok");
  CHECK(describe(event(answered{2, names{{"a", "b"}}})) == "answered 2 names [a b]");
  CHECK(describe(answer(addresses{})) == "addresses []");
  CHECK(describe(answer(targets{{{"x", 1}}})) == "targets [x]");
  CHECK(describe(answer(document{200, "abc"})) == "document 200, 3 bytes");
  CHECK(describe(answer(text{"abc"})) == "text, 3 bytes");
  CHECK(describe(answer(listed{{"a@h"}})) == "listed [a@h]");
  CHECK(describe(answer(failed{cause::timeout, "slow"})) == "failed timeout: slow");
  CHECK(describe(effect(ask{1, http_get{"https://h", "/p", "/token", "/ca"}})) ==
        "ask 1 http_get https://h/p");
  CHECK(describe(effect(forget{1})) == "forget 1");
  CHECK(describe(effect(send_packet{1, "abc"})) == "send_packet 1 of 3 bytes");
  CHECK(describe(effect(connect{side::app, "b@h"})) == "connect app b@h");
  CHECK(describe(effect(disconnect{side::app, "b@h"})) == "disconnect app b@h");
  CHECK(describe(effect(tell{connect_failed{side::app, "b@h", "no", 120ms}})) ==
        "tell connect_failed app b@h: no, next in 120 ms");
  CHECK(describe(effect(tell{dropped{side::app, "b@h"}})) == "tell dropped app b@h");
  CHECK(effect(forget{1}) == effect(forget{1}));
  CHECK_FALSE(effect(connect{side::app, "b@h"}) == effect(connect{side::companion, "b@h"}));
}
