// What sources say, read on paper: addresses, node names, the two files, endpoints, and which questions each
// kind of source asks.
#include "discovery/address.hpp"
#include "discovery/endpoints.hpp"
#include "discovery/files.hpp"
#include "discovery/lookup.hpp"
#include "discovery/node_name.hpp"

#include <doctest/doctest.h>

using namespace remora::discovery;

namespace {

std::string canonical(std::string_view text) {
  auto const a = read_address(text);
  return a ? write(*a) : "none";
}

using strings = std::vector<std::string>;

piece said(source const& s, question const& q, answer const& a, limits const& limit = {}) {
  return read(s, q, a, "me@own.host", limit);
}

strings asked(source const& s) {
  strings out;
  for (auto const& q : questions_of(s, "me@own.host")) out.push_back(describe(q));
  return out;
}

kubernetes cluster() { return {.basename = "app", .ns = "prod", .server = "https://k8s"}; }

// As the API server of 1.29 answers, shortened.
constexpr std::string_view endpoints_list = R"({
  "kind": "EndpointsList", "apiVersion": "v1", "metadata": {"resourceVersion": "4711"},
  "items": [
    {"metadata": {"name": "web", "namespace": "prod"},
     "subsets": [
       {"addresses": [
          {"ip": "10.2.0.7", "hostname": "web-0", "nodeName": "n1", "targetRef": {"kind": "Pod", "name": "web-0"}},
          {"ip": "FD00:0:0::1", "hostname": "web-1"}],
        "notReadyAddresses": [{"ip": "10.2.0.9", "hostname": "web-2"}],
        "ports": [{"port": 4369, "protocol": "TCP"}]},
       {"notReadyAddresses": [{"ip": "10.2.0.10"}], "ports": null}]},
    {"metadata": {"name": "empty", "namespace": "prod"}, "subsets": null},
    {"metadata": {"name": "none", "namespace": "prod"}}]})";

endpoints read_list(addressing how, std::string_view text = endpoints_list, unsigned status = 200) {
  auto k = cluster();
  k.how = how;
  return read_endpoints(k, "app", document{status, std::string(text)}, 100);
}

} // namespace

TEST_CASE("discovery: IPv6 is written as RFC 5952 says") {
  // section 4.1: no leading zeros
  CHECK(canonical("2001:0db8::0001") == "2001:db8::1");
  // 4.2.1: shortened as much as possible
  CHECK(canonical("2001:db8:0:0:0:0:2:1") == "2001:db8::2:1");
  // 4.2.2: never a single group
  CHECK(canonical("2001:db8:0:1:1:1:1:1") == "2001:db8:0:1:1:1:1:1");
  CHECK(canonical("2001:db8::1:1:1:1:1") == "2001:db8:0:1:1:1:1:1");
  // 4.2.3: the longest run, of equal ones the first
  CHECK(canonical("2001:0:0:1:0:0:0:1") == "2001:0:0:1::1");
  CHECK(canonical("2001:db8:0:0:1:0:0:1") == "2001:db8::1:0:0:1");
  // 4.3: lower case
  CHECK(canonical("FD00::ABCD") == "fd00::abcd");
  // 5: IPv4 inside
  CHECK(canonical("::ffff:c000:201") == "::ffff:192.0.2.1");
  CHECK(canonical("::ffff:192.0.2.1") == "::ffff:192.0.2.1");
  CHECK(canonical("64:ff9b::192.0.2.33") == "64:ff9b::c000:221");
  CHECK(canonical("::") == "::");
  CHECK(canonical("::1") == "::1");
  CHECK(canonical("1::") == "1::");
  CHECK(canonical("1:2:3:4:5:6:7::") == "1:2:3:4:5:6:7:0");
  CHECK(canonical("1:2:3:4:5:6:7:8") == "1:2:3:4:5:6:7:8");
  CHECK(canonical("1:2:3:4:5:6:1.2.3.4") == "1:2:3:4:5:6:102:304");
  CHECK(canonical("192.0.2.1") == "192.0.2.1");
}

TEST_CASE("discovery: what is no address") {
  for (auto const* const text : {"",
                                 "1",
                                 "1.2.3",
                                 "1.2.3.4.5",
                                 "1.2.3.256",
                                 "01.2.3.4",
                                 "1..2.3",
                                 "1.2.3.",
                                 ".1.2.3",
                                 "a.b.c.d",
                                 "1.2.3.4 ",
                                 ":",
                                 ":::",
                                 "1:2:3:4:5:6:7",
                                 "1:2:3:4:5:6:7:8:9",
                                 "1:2:3:4:5:6:7::8",
                                 "1::2::3",
                                 "12345::",
                                 "g::",
                                 "::1%eth0",
                                 "[::1]",
                                 "1:2:3:4:5:6:7:1.2.3.4",
                                 "::1.2.3",
                                 "1.2.3.4::",
                                 ":1:2:3:4:5:6:7",
                                 "1:2:3:4:5:6:7:",
                                 "-1::",
                                 "1234567890123"})
    CHECK_MESSAGE(canonical(text) == "none", text);
  CHECK(read_address("239.1.2.3")->is_multicast());
  CHECK(read_address("ff02::1")->is_multicast());
  CHECK_FALSE(read_address("192.0.2.1")->is_multicast());
  CHECK_FALSE(read_address("fe80::1")->is_multicast());
}

TEST_CASE("discovery: names are made of a basename and a host") {
  CHECK(make_node_name("app", "host") == "app@host");
  CHECK(make_node_name("app", "a.example.org.") == "app@a.example.org");
  CHECK(make_node_name("app", "10.0.0.1") == "app@10.0.0.1");
  CHECK(make_node_name("app", "FD00:0::1") == "app@fd00::1");
  CHECK(make_node_name("app", "[fd00::1]") == "app@fd00::1");
  for (auto const* const host :
       {"", ".", "..", "a..b", ".a", "a..", "fe80::1%eth0", "a b", "a@b", "a/b", "a\nb", "host:80"})
    CHECK_MESSAGE(!make_node_name("app", host), host);
  CHECK_FALSE(make_node_name("", "host"));
  CHECK(make_node_name("app", std::string(251, 'h'))->size() == 255);
  CHECK_FALSE(make_node_name("app", std::string(252, 'h')));
  CHECK(basename_of("app@h") == "app");
  CHECK(host_of("app@h") == "h");
  CHECK(host_of("app").empty());
}

TEST_CASE("discovery: what is a node name") {
  for (auto const* const text : {"a@b", "a-b_c1@host.example", "a@fd00::1", "k\xc3\xb6ln@h", "a.b@h"})
    CHECK_MESSAGE(is_node_name(text), text);
  for (auto const* const text :
       {"", "a", "@", "a@", "@b", "a@b@c", "a b@h", "a@h\n", "a\x7f@h", "\xff@h", "a\t@h"})
    CHECK_MESSAGE(!is_node_name(text), text);
  std::string umlauts; // 255 characters are more bytes
  for (int i = 0; i < 253; ++i) umlauts += "\xc3\xbc";
  CHECK(is_node_name(umlauts + "@h"));
  CHECK_FALSE(is_node_name(umlauts + "\xc3\xbc@h"));
}

TEST_CASE("discovery: .hosts.erlang is read as net_adm reads it") {
  auto const all = read_hosts_file("%% our hosts\n'super.example.org'.\n'renat.example.org'. % the other\n"
                                   "grouse.\n\"fd00::1\".\n 'a' . 'b'.\n'a'.\n",
                                   100);
  CHECK(all.entries == strings{"super.example.org", "renat.example.org", "grouse", "fd00::1", "a", "b"});
  CHECK_FALSE(all.wrong);
  CHECK(read_hosts_file("", 100).entries.empty());
  CHECK_FALSE(read_hosts_file("% nothing", 100).wrong);
  CHECK(read_hosts_file("\xef\xbb\xbf'a'.\r\n'b'.", 100).entries == strings{"a", "b"});
}

TEST_CASE("discovery: what is wrong in .hosts.erlang is said with its line, the rest counts") {
  auto const dot = read_hosts_file("'a'.\nhost.example.org.\n'b'.\n", 100);
  CHECK(dot.entries == strings{"a", "b"});
  CHECK(dot.wrong == "line 2: expected 'host'. with its dot, found `.example.org.`");
  CHECK(read_hosts_file("'a'\n", 100).wrong.has_value());
  CHECK(read_hosts_file("'a", 100).wrong == "line 1: expected 'host'. with its dot, found `'a`");
  CHECK(read_hosts_file("'a\n'.\n'b'.", 100).entries == strings{"b"});
  CHECK(read_hosts_file("{tuple}.\n", 100).wrong.has_value());
  CHECK(read_hosts_file("Host.\n", 100).wrong.has_value());
  CHECK(read_hosts_file("'a b'.\n'c'.", 100).wrong == "line 1: `a b` cannot be a host");
  CHECK(read_hosts_file("'a\\", 100).wrong.has_value());
  auto const many = read_hosts_file("a. b. c.", 2);
  CHECK(many.entries.size() == 2);
  CHECK(many.wrong == "line 1: more than 2 entries");
}

TEST_CASE("discovery: a node file has a node a line") {
  auto const all = read_node_file("# ours\na@h\n  b@h  # the second\r\n\n\tc#1@h\na@h\nd@h", 100);
  CHECK(all.entries == strings{"a@h", "b@h", "c#1@h", "d@h"});
  CHECK_FALSE(all.wrong);
  auto const wrong = read_node_file("a@h\nb\nc@h d@h\ne@h\n", 100);
  CHECK(wrong.entries == strings{"a@h", "e@h"});
  CHECK(wrong.wrong == "line 2: `b` is no node name (name@host)");
  CHECK(read_node_file("a@h\nb@h\nc@h", 2).wrong == "line 3: more than 2 entries");
  CHECK(read_node_file(std::string(1000, 'x'), 10).wrong->size() < 120);
}

TEST_CASE("discovery: each addressing of a Kubernetes document; not-ready addresses are left out") {
  CHECK(read_list(addressing::ip).nodes == strings{"app@10.2.0.7", "app@fd00::1"});
  CHECK(read_list(addressing::pod).nodes ==
        strings{"app@10-2-0-7.prod.pod.cluster.local", "app@fd00--1.prod.pod.cluster.local"});
  CHECK(read_list(addressing::hostname).nodes ==
        strings{"app@web-0.web.prod.svc.cluster.local", "app@web-1.web.prod.svc.cluster.local"});
  for (auto const how : {addressing::ip, addressing::pod, addressing::hostname})
    CHECK_FALSE(read_list(how).trouble);
  auto const one = read_list(addressing::ip, R"({"kind":"Endpoints","metadata":{"name":"web"},
      "subsets":[{"addresses":[{"ip":"10.0.0.1"}]}]})");
  CHECK(one.nodes == strings{"app@10.0.0.1"});
  CHECK_FALSE(one.trouble);
  auto const none = read_list(addressing::ip, R"({"kind":"EndpointsList","items":[]})");
  CHECK(none.nodes.empty());
  CHECK_FALSE(none.trouble);
}

TEST_CASE("discovery: what is wrong in a Kubernetes document is said, the rest counts") {
  auto const why = [](std::string_view text, addressing how = addressing::ip, unsigned status = 200) {
    auto const got = read_list(how, text, status);
    REQUIRE_MESSAGE(got.trouble, text);
    return got.trouble->why;
  };
  CHECK(why(endpoints_list.substr(0, 300)) == cause::bad_answer); // truncated
  CHECK(why("") == cause::bad_answer);
  CHECK(why("<html>") == cause::bad_answer);
  CHECK(why("[]") == cause::bad_answer);
  CHECK(why(R"({"kind":"PodList","items":[]})") == cause::bad_answer);
  CHECK(why(R"({"kind":"EndpointsList","items":{}})") == cause::bad_answer);
  CHECK(why(R"({"kind":"Endpoints","subsets":7})") == cause::bad_answer);
  CHECK(why(R"({"kind":"EndpointsList","metadata":{"continue":"abc"},"items":[]})") == cause::bad_answer);
  CHECK(why(std::string(100, '[') + std::string(100, ']')) == cause::bad_answer); // deeper than a document is

  auto const partial = read_list(addressing::ip, R"({"kind":"Endpoints","subsets":[
      {"addresses":[{"ip":"10.0.0.1"},{"ip":"x"},{"ip":7},{},"a",{"ip":"10.0.0.2"}]}, {"addresses":{}}]})");
  CHECK(partial.nodes == strings{"app@10.0.0.1", "app@10.0.0.2"});
  CHECK(partial.trouble->why == cause::bad_answer);
  auto const nameless = read_list(addressing::hostname, R"({"kind":"Endpoints","metadata":{"name":"web"},
      "subsets":[{"addresses":[{"ip":"10.0.0.1"},{"ip":"10.0.0.2","hostname":"web-1"}]}]})");
  CHECK(nameless.nodes == strings{"app@web-1.web.prod.svc.cluster.local"});
  CHECK(nameless.trouble->text.find("StatefulSet") != std::string::npos);
  auto many = cluster();
  CHECK(read_endpoints(many, "app", document{200, std::string(endpoints_list)}, 1).trouble->why ==
        cause::too_large);
}

TEST_CASE("discovery: each status of the API server is a cause of its own, in its own words") {
  auto const refused = [](unsigned status) {
    return *read_list(addressing::ip, R"({"kind":"Status","message":"endpoints is\nforbidden"})", status)
                .trouble;
  };
  CHECK(refused(401).why == cause::unauthorized);
  CHECK(refused(403).why == cause::forbidden);
  CHECK(refused(403).text ==
        "the API server answered 403: endpoints is forbidden; the service account's role needs "
        "`get` and `list` of endpoints");
  CHECK(refused(404).why == cause::no_such_name);
  CHECK(refused(429).why == cause::server_error);
  CHECK(refused(500).why == cause::server_error);
  CHECK(refused(503).why == cause::server_error);
  CHECK(refused(302).why == cause::bad_answer);
  CHECK(read_list(addressing::ip, "no json", 500).trouble->text == "the API server answered 500");
}

TEST_CASE("discovery: what the API server is asked") {
  auto k = cluster();
  CHECK(endpoints_target(k) == "/api/v1/namespaces/prod/endpoints");
  k.service = "web";
  CHECK(endpoints_target(k) == "/api/v1/namespaces/prod/endpoints/web");
  k.selector = "app=web,tier in (a b)";
  CHECK(endpoints_target(k) ==
        "/api/v1/namespaces/prod/endpoints?labelSelector=app%3Dweb%2Ctier%20in%20%28a%20b%29"
        "&fieldSelector=metadata.name%3Dweb");
  k.service = {};
  CHECK(endpoints_target(k) ==
        "/api/v1/namespaces/prod/endpoints?labelSelector=app%3Dweb%2Ctier%20in%20%28a%20b%29");
}

TEST_CASE("discovery: what each kind of source asks") {
  CHECK(asked(node_list{{"a@h"}}).empty());
  CHECK(asked(epmd_hosts{{"", "h2"}}) == strings{"epmd_names own.host", "epmd_names h2"});
  CHECK(asked(dns_name{"app", "all.example"}) ==
        strings{"resolve a all.example", "resolve aaaa all.example"});
  CHECK(asked(dns_service{"app", "_epmd._tcp.example"}) == strings{"resolve srv _epmd._tcp.example"});
  CHECK(asked(cluster()) == strings{"http_get https://k8s/api/v1/namespaces/prod/endpoints"});
  CHECK(asked(kubernetes_dns{.basename = "app", .ns = "prod", .service = "web"}) ==
        strings{"resolve a web.prod.svc.cluster.local", "resolve aaaa web.prod.svc.cluster.local"});
  CHECK(asked(multicast{}).empty());
  CHECK(asked(hosts_file{"/h"}) == strings{"read_file /h"});
  CHECK(asked(node_file{"/n"}) == strings{"read_file /n"});
  CHECK(asked(custom{}) == strings{"list_by_app"});
  CHECK(standing_question_of(node_file{"/n"}) == question{watch{"/n"}});
  CHECK(standing_question_of(
            multicast{.group = "239.1.2.3", .port = 4, .secret = "s", .interface = "lo", .ttl = 2}) ==
        question{join_group{"239.1.2.3", 4, "lo", 2}});
  CHECK_FALSE(standing_question_of(custom{}));
}

TEST_CASE("discovery: what each kind of answer lists") {
  resolve const a{"all.example", record::a};
  CHECK(said(dns_name{"app", "all.example"}, a, addresses{{"10.0.0.1", "FD00::1"}}).nodes ==
        strings{"app@10.0.0.1", "app@fd00::1"});
  CHECK(said(dns_name{"", "all.example"}, a, addresses{{"10.0.0.1"}}).nodes == strings{"me@10.0.0.1"});
  auto const empty = said(dns_name{"app", "all.example"}, a, addresses{});
  CHECK(empty.nodes.empty());
  CHECK_FALSE(empty.trouble);

  resolve const srv{"_epmd._tcp.example", record::srv};
  CHECK(said(dns_service{"app", srv.name}, srv, targets{{{"a.example.", 1}, {"b.example", 2}, {".", 0}}})
            .nodes == strings{"app@a.example", "app@b.example"});
  auto const odd = said(dns_service{"app", srv.name}, srv, targets{{{"a b", 1}, {"b.example", 2}}});
  CHECK(odd.nodes == strings{"app@b.example"});
  CHECK(odd.trouble->why == cause::bad_answer);

  CHECK(said(epmd_hosts{{"h2"}}, epmd_names{"h2"}, names{{"x", "y"}}).nodes == strings{"x@h2", "y@h2"});
  CHECK(said(epmd_hosts{{"h2"}}, epmd_names{"h2"}, failed{cause::no_epmd, "refused"}).trouble ==
        failed{cause::no_epmd, "refused"});

  auto const hosts = said(hosts_file{"/h"}, read_file{"/h"}, text{"'h1'. 'h2'."});
  CHECK(hosts.nodes.empty());
  CHECK(hosts.more == std::vector<question>{epmd_names{"h1"}, epmd_names{"h2"}});
  CHECK(said(hosts_file{"/h"}, epmd_names{"h1"}, names{{"x"}}).nodes == strings{"x@h1"});
  CHECK(said(node_file{"/n"}, read_file{"/n"}, text{"a@h\nb@h"}).nodes == strings{"a@h", "b@h"});
  auto const custom_answer = said(custom{}, list_by_app{}, listed{{"a@h", "no", "b@h"}});
  CHECK(custom_answer.nodes == strings{"a@h", "b@h"});
  CHECK(custom_answer.trouble->text == "`no` is no node name (name@host)");
}

TEST_CASE(
    "discovery: an answer of another kind, and one that is too large, are failures and no empty lists") {
  resolve const a{"x", record::a};
  CHECK(said(dns_name{"app", "x"}, a, names{{"a"}}).trouble->why == cause::bad_answer);
  CHECK(said(custom{}, list_by_app{}, addresses{}).trouble->why == cause::bad_answer);
  limits small;
  small.file_bytes_max = 4;
  small.document_bytes_max = 4;
  CHECK_FALSE(said(node_file{"/n"}, read_file{"/n"}, text{"a@hh"}, small).trouble);
  CHECK(said(node_file{"/n"}, read_file{"/n"}, text{"a@hhh"}, small).trouble->why == cause::too_large);
  CHECK(said(hosts_file{"/n"}, read_file{"/n"}, text{"'aa'."}, small).trouble->why == cause::too_large);
  CHECK(said(cluster(), http_get{}, document{200, "12345"}, small).trouble->why == cause::too_large);
}

TEST_CASE("discovery: a name without records of one kind exists; without any it does not") {
  failed const no{cause::no_such_name, "x"};
  failed const servfail{cause::server_failure, "y"};
  dns_name const s{"app", "x"};
  CHECK_FALSE(trouble_of(s, {}));
  CHECK_FALSE(trouble_of(s, {no}));
  CHECK(trouble_of(s, {no, no}) == no);
  CHECK(trouble_of(s, {servfail}) == servfail);
  CHECK(trouble_of(s, {no, servfail})->text == "x (and 1 more)");
  CHECK(trouble_of(dns_service{"app", "x"}, {no}) == no);
  CHECK(trouble_of(epmd_hosts{{"a", "b", "c"}}, {servfail, servfail}) == servfail);
}
