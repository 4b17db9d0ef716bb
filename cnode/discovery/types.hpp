// What discovery is told, asks and says. Values: they compare, and print the same in a log, a test and the
// simulator. No secret is in anything that describe() prints.
//
//   sources   where nodes are listed      question, answer   what the host looks up for the core
//   options   what is set                 event, effect      what goes into the core and what comes out
#pragma once

#include "base/time.hpp"
#include "base/wrong_option.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace remora::discovery {

// Who is to be connected: this node (the companion), the VM beside it (the app), or both. A link has one
// side.
enum class side : std::uint8_t { companion, app, both };
std::string_view name_of(side s);

// ---- sources. An empty basename is that of this node: what stands before the @ of its name.

struct node_list { // these
  std::vector<std::string> nodes;
  friend bool operator==(node_list const&, node_list const&) = default;
};
struct epmd_hosts { // all that these hosts' epmds list; an empty host is this node's own
  std::vector<std::string> hosts;
  friend bool operator==(epmd_hosts const&, epmd_hosts const&) = default;
};
struct dns_name { // A and AAAA: basename@address
  std::string basename;
  std::string hostname;
  friend bool operator==(dns_name const&, dns_name const&) = default;
};
struct dns_service { // SRV: basename@target; priority, weight and port do not matter
  std::string basename;
  std::string service;
  friend bool operator==(dns_service const&, dns_service const&) = default;
};
enum class addressing : std::uint8_t { ip, pod, hostname };
std::string_view name_of(addressing a);
struct kubernetes { // the endpoints that the API server lists as ready
  std::string basename;
  std::string ns;
  std::string selector{}; // of labels, as kubectl's -l takes it
  std::string service{};  // of this one only
  addressing how = addressing::ip;
  std::string domain = "cluster.local";
  std::string server{};     // https://host[:port]
  std::string token_file{}; // read anew for each question: the token changes
  std::string ca_file{};
  friend bool operator==(kubernetes const&, kubernetes const&) = default;
};
struct kubernetes_dns { // A and AAAA of a headless service: basename@address
  std::string basename;
  std::string ns;
  std::string service;
  std::string domain = "cluster.local";
  friend bool operator==(kubernetes_dns const&, kubernetes_dns const&) = default;
};
struct multicast { // who says its name to a group, signed with the secret
  std::string group;
  std::uint16_t port = 0;
  std::string secret{};     // never printed
  std::string interface {}; // a name or an address; empty: the system's choice
  std::uint8_t ttl = 1;
  friend bool operator==(multicast const&, multicast const&) = default;
};
struct hosts_file { // .hosts.erlang: each host's epmd is asked
  std::string path;
  friend bool operator==(hosts_file const&, hosts_file const&) = default;
};
struct node_file { // a node a line; watched, a change is taken at once
  std::string path;
  friend bool operator==(node_file const&, node_file const&) = default;
};
struct custom { // a function of the app
  friend bool operator==(custom const&, custom const&) = default;
};
using source = std::variant<node_list, epmd_hosts, dns_name, dns_service, kubernetes, kubernetes_dns,
                            multicast, hosts_file, node_file, custom>;
std::string describe(source const& s); // short, for people: `dns app@nodes.example.org`

// ---- options

struct limits {
  std::size_t sources_max = 16;
  std::size_t nodes_max = 10'000; // listed by all sources together
  std::size_t document_bytes_max = std::size_t{4} << 20U;
  std::size_t file_bytes_max = std::size_t{1} << 20U; // of .hosts.erlang and node files
  std::size_t hosts_max = 1'024;                      // whose epmd one source asks
  std::size_t packet_bytes_max = 1'400;
  std::size_t members_max = 1'024;  // of a multicast group
  std::size_t requests_max = 1'024; // refreshes that wait
  friend bool operator==(limits const&, limits const&) = default;
};

struct options {
  std::vector<source> sources;
  base::duration poll_interval = std::chrono::seconds(5); // 0: only when asked
  double poll_jitter = 0.1;                               // of it, both ways
  unsigned grace = 2; // complete answers without a node before it is missing
  bool keep_missing_nodes = false;
  side who = side::both;
  std::size_t dial_limit = 64; // attempts at once, of both sides together
  base::duration dial_timeout = std::chrono::seconds(7);
  base::duration backoff_min = std::chrono::milliseconds(100);
  base::duration backoff_max = std::chrono::seconds(30);
  base::duration fast_time = std::chrono::seconds(60); // after a loss the delays stay below fast_max so long
  base::duration fast_max = std::chrono::milliseconds(400);
  base::duration ask_timeout = std::chrono::seconds(5);       // of one question
  base::duration announce_interval = std::chrono::seconds(1); // to a multicast group
  limits limit{};
  friend bool operator==(options const&, options const&) = default;
};

using base::wrong_option;
std::optional<wrong_option> find_wrong(options const& o); // the first; none: they can be used

// ---- what goes wrong with a source

enum class cause : std::uint8_t {
  // DNS
  format_error,
  query_error,
  server_failure,
  no_such_name,
  not_implemented,
  refused,
  bad_version,
  // any
  timeout,
  network,
  unknown,
  // epmd
  unknown_host,
  no_epmd,
  not_epmd,
  // HTTP
  unauthorized, // 401
  forbidden,    // 403
  server_error, // 5xx, 429
  bad_answer,
  too_large,
  // files
  no_file,
  bad_file,
  // custom
  by_app,
};
std::string_view name_of(cause c);

struct failure {
  std::string source; // describe(source)
  cause why = cause::unknown;
  std::string text;
  friend bool operator==(failure const&, failure const&) = default;
};

// ---- questions: each is answered once, unless it is forgotten; watch and join_group stand until then, and
// are answered (by failed) only if they could not be set up or have ended.

struct epmd_names {
  std::string host;
  friend bool operator==(epmd_names const&, epmd_names const&) = default;
};
enum class record : std::uint8_t { a, aaaa, srv };
std::string_view name_of(record r);
struct resolve {
  std::string name;
  record kind = record::a;
  friend bool operator==(resolve const&, resolve const&) = default;
};
struct http_get { // an HTTPS request with the token as bearer
  std::string server;
  std::string target; // path and query, percent-encoded
  std::string token_file;
  std::string ca_file;
  friend bool operator==(http_get const&, http_get const&) = default;
};
struct read_file {
  std::string path;
  friend bool operator==(read_file const&, read_file const&) = default;
};
struct list_by_app {
  friend bool operator==(list_by_app const&, list_by_app const&) = default;
};
struct watch { // a file that may come and go: changed{id} at each change
  std::string path;
  friend bool operator==(watch const&, watch const&) = default;
};
struct join_group { // packet{id, ..} for each datagram; send_packet{id, ..} sends one
  std::string group;
  std::uint16_t port = 0;
  std::string interface;
  std::uint8_t ttl = 1;
  friend bool operator==(join_group const&, join_group const&) = default;
};
using question = std::variant<epmd_names, resolve, http_get, read_file, list_by_app, watch, join_group>;
std::string describe(question const& q);

// ---- answers

struct names { // to epmd_names: as epmd has them, without host
  std::vector<std::string> list;
  friend bool operator==(names const&, names const&) = default;
};
struct addresses { // to resolve a, aaaa; empty when the name has no such record
  std::vector<std::string> list;
  friend bool operator==(addresses const&, addresses const&) = default;
};
struct target {
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(target const&, target const&) = default;
};
struct targets { // to resolve srv
  std::vector<target> list;
  friend bool operator==(targets const&, targets const&) = default;
};
struct document { // to http_get, whatever the status
  unsigned status = 0;
  std::string body;
  friend bool operator==(document const&, document const&) = default;
};
struct text { // to read_file
  std::string what;
  friend bool operator==(text const&, text const&) = default;
};
struct listed { // to list_by_app
  std::vector<std::string> nodes;
  friend bool operator==(listed const&, listed const&) = default;
};
struct failed {
  cause why = cause::unknown;
  std::string text; // what was tried, what was found
  friend bool operator==(failed const&, failed const&) = default;
};
using answer = std::variant<names, addresses, targets, document, text, listed, failed>;
std::string describe(answer const& a);

// ---- events

using question_id = std::uint64_t; // never used twice by one core
using request_id = std::uint64_t;  // the host's

// The wall clock, for the time in multicast packets: others have to understand it. Milliseconds since 1970.
struct wall_clock {
  std::int64_t unix_ms = 0;
  friend bool operator==(wall_clock const&, wall_clock const&) = default;
};

struct start { // the first round begins
  wall_clock wall{};
};
struct tick { // the deadline has come
  wall_clock wall{};
};
struct configure { // other options from now on: links, and sources that stay, keep their state
  options what;
};
struct refresh {
  request_id request;
};
struct pause { // no asking, no dialling; links stay, and others still hear of us
  request_id request;
};
struct resume {
  request_id request;
};
struct shutdown { // for good; links stay
  request_id request;
};
struct answered {
  question_id id;
  answer what;
};
struct changed { // the file of a watch
  question_id watch;
};
struct packet { // of a group
  question_id group;
  std::string bytes;
  std::string from; // for people
  wall_clock wall{};
};
struct link_up { // any link, also one that nobody here asked for
  side where;
  std::string node;
  bool dialled_here = true; // false: the host knows that the other one dialled
};
struct link_down { // any link
  side where;
  std::string node;
  std::string reason;
};
struct link_failed { // an attempt that connect asked for
  side where;
  std::string node;
  std::string reason;
};
struct app_here { // the VM beside us: from now on its side can dial. Its links follow, as link_up
  std::string node;
};
struct app_gone {};   // and all links of its side with it
struct disconnected { // the outcome of a disconnect
  side where;
  std::string node;
  std::optional<std::string> failure{}; // none: it is done
};
using event = std::variant<start, tick, configure, refresh, pause, resume, shutdown, answered, changed,
                           packet, link_up, link_down, link_failed, app_here, app_gone, disconnected>;
std::string describe(event const& e);

// ---- effects

struct unreached {
  side where;
  std::string node;
  std::string reason;
  friend bool operator==(unreached const&, unreached const&) = default;
};

// What became of a request or a round. connect_failed and discovery_failed do not mean that nothing worked:
// `nodes` are those that are connected all the same.
struct result {
  enum class what : std::uint8_t {
    ok,
    discovery_failed,  // sources: failed or incomplete
    connect_failed,    // links
    disconnect_failed, // links
    paused,            // not done: discovery is paused
    shut_down,         // not done: it has ended
    busy,              // not done: requests_max wait already
  };
  what was = what::ok;
  std::vector<std::string> nodes{}; // of a round: listed and connected, sorted, without this node and its app
  std::vector<failure> sources{};
  std::vector<unreached> links{};
  friend bool operator==(result const&, result const&) = default;
};
std::string_view name_of(result::what w);
std::string describe(result const& r);

// News, for the log and whoever listens.
struct refreshed {
  discovery::result result;
  friend bool operator==(refreshed const&, refreshed const&) = default;
};
struct paused {
  friend bool operator==(paused const&, paused const&) = default;
};
struct resumed {
  friend bool operator==(resumed const&, resumed const&) = default;
};
struct stopped {
  friend bool operator==(stopped const&, stopped const&) = default;
};
struct connect_failed {
  side where;
  std::string node;
  std::string reason;
  base::duration next; // until the next attempt
  friend bool operator==(connect_failed const&, connect_failed const&) = default;
};
struct dropped { // disconnected because it is missing
  side where;
  std::string node;
  friend bool operator==(dropped const&, dropped const&) = default;
};
struct source_failed {
  discovery::failure failure;
  friend bool operator==(source_failed const&, source_failed const&) = default;
};
using news = std::variant<refreshed, paused, resumed, stopped, connect_failed, dropped, source_failed>;

struct ask {
  question_id id;
  discovery::question question;
  friend bool operator==(ask const&, ask const&) = default;
};
struct forget { // no answer is wanted any more; a watch or a group ends
  question_id id;
  friend bool operator==(forget const&, forget const&) = default;
};
struct send_packet {
  question_id group;
  std::string bytes;
  friend bool operator==(send_packet const&, send_packet const&) = default;
};
struct connect { // link_up or link_failed comes back, within dial_timeout
  side where;
  std::string node;
  friend bool operator==(connect const&, connect const&) = default;
};
struct disconnect { // disconnected comes back
  side where;
  std::string node;
  friend bool operator==(disconnect const&, disconnect const&) = default;
};
struct reply {
  request_id request;
  discovery::result result;
  friend bool operator==(reply const&, reply const&) = default;
};
struct tell {
  discovery::news news;
  friend bool operator==(tell const&, tell const&) = default;
};
using effect = std::variant<ask, forget, send_packet, connect, disconnect, reply, tell>;
using effects = std::vector<effect>;
std::string describe(effect const& e); // one line

// ---- status, at any time

struct source_status {
  std::string source;
  std::size_t nodes = 0;
  bool answered = false;                       // at least once, since it is configured
  std::optional<discovery::failure> trouble{}; // of the last answer
};
struct link_status {
  bool up = false;
  bool ours = false; // made by an attempt of discovery
  bool dialling = false;
  unsigned failures = 0;
  std::string reason{};                   // of the last one, or of the loss
  std::optional<base::time_point> next{}; // attempt
};
struct node_status {
  std::string node;
  std::optional<link_status> companion{}; // none: that side is not asked for
  std::optional<link_status> app{};
};
struct status {
  enum class state : std::uint8_t { idle, running, paused, stopped };
  state now = state::idle;
  std::vector<source_status> sources{};
  std::vector<node_status> nodes{}; // listed, sorted
  std::optional<base::time_point> next_round{};
};
std::string_view name_of(status::state s);

} // namespace remora::discovery
