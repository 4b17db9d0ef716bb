// Membership from outside: what an application's shim asks the door.
//
//   {membership, {start, Options}}    ok | {error, {option, Key, Text}} | {error, {no_socket, Text}}: over
//   the
//                                     options of the command line; while it runs, changes how
//   {membership, stop}                ok: says to the others that it leaves
//   {membership, members}             {ok, [{Node, Status, Incarnation, Map}]}
//   {membership, {set_metadata, #{Text => Text}}}    ok | {error, too_large}
//   {membership, {event, Name, Payload}}             ok | {error, too_large}: to all members, this one
//   included {membership, {merge, [{Node, Status, Incarnation}]}}         ok: what the application believes
//   {membership, {tell, Node, [{Node, Status, Incarnation}]}}    ok | {error, unknown_node}: to be merged
//   there {membership, metrics}             {ok, #{..}} {membership, health}              {ok, #{multiplier,
//   lag, full_queues}}: this node's own
//
// All but start answer {error, not_started} while it is not, and {error, badarg} to terms of another kind.
//
// Options: a map, all keys optional: interval, probe_timeout, suspicion_min, sync_interval => ms,
// indirect_probes, suspicion_max_factor => N, expel => never | dead, port => N, address => IP, key_file =>
// Path, metadata => #{Text => Text}.
//
// In the stream (services/mirror.hpp):
//
//   {membership, started | stopped}                   with stopped go all members
//   {member, Node, Status, Incarnation, Map}          new, or changed. Status: alive | suspect | dead | left.
//       Map: #{kind => remora | beam, creation => N, companion => Node | none, address => Text | none,
//              metadata => #{Text => Text}}
//   {unmember, Node}   {member_leader, Node}   {member_event, From, Name, Payload}
//
// Names of nodes are binaries: they come from the network, and are not to become atoms.
#include "services/answers.hpp"
#include "services/option_terms.hpp"
#include "services/parts.hpp"

#include "base/overload.hpp"

namespace remora::services {

using etf::am;
using etf::make;
using etf::tup;

namespace {

constexpr std::size_t entries_max = 16'384; // of one merge or tell
constexpr std::size_t pairs_max = 256;      // of metadata, before its size is looked at

// ---- in

std::optional<swim::metadata> read_pairs(etf::view v) {
  auto map = v.map();
  if (!map) return std::nullopt;
  swim::metadata out;
  while (auto const entry = map->next()) {
    auto key = read_text(entry->key);
    auto value = read_text(entry->value);
    if (!key || !value || out.size() >= pairs_max) return std::nullopt;
    out.insert_or_assign(std::move(*key), std::move(*value));
  }
  return out;
}

base::result<membership_settings, base::wrong_option> read_settings(etf::view given,
                                                                    membership_settings out) {
  auto& o = out.core;
  auto const expel = [&o](etf::view v) {
    if (v.is_atom("never")) return o.expel = swim::expelling::never, true;
    if (v.is_atom("dead")) return o.expel = swim::expelling::dead, true;
    return false;
  };
  auto const pairs = [&out](etf::view v) {
    auto read = read_pairs(v);
    if (read) out.metadata = std::move(*read);
    return read.has_value();
  };
  auto wrong = read_options(given, {ms_option("interval", o.interval),
                                    ms_option("probe_timeout", o.probe_timeout),
                                    ms_option("suspicion_min", o.suspicion_min),
                                    ms_option("sync_interval", o.sync_interval),
                                    count_option("indirect_probes", o.indirect_probes),
                                    count_option("suspicion_max_factor", o.suspicion_max_factor),
                                    {"expel", "never or dead is expected", expel},
                                    count_option("port", out.port),
                                    text_option("address", out.address),
                                    text_option("key_file", out.key_file),
                                    {"metadata", "a map of texts is expected", pairs}});
  if (wrong) return {boost::system::in_place_error, std::move(*wrong)};
  return {boost::system::in_place_value, std::move(out)};
}

std::optional<swim::status> read_status(etf::view v) {
  for (auto const s : {swim::status::alive, swim::status::suspect, swim::status::dead, swim::status::left})
    if (v.is_atom(swim::name_of(s))) return s;
  return std::nullopt;
}

std::optional<std::vector<swim::hearsay>> read_entries(etf::view v) {
  auto list = v.list();
  if (!list || list->left() > entries_max) return std::nullopt;
  std::vector<swim::hearsay> out;
  while (auto const item = list->next()) {
    auto const three = item->tuple<3>();
    if (!three) return std::nullopt;
    auto node = read_text((*three)[0]);
    auto const status = read_status((*three)[1]);
    auto const incarnation = (*three)[2].unsigned_integer();
    if (!node || !status || !incarnation || *incarnation > UINT32_MAX) return std::nullopt;
    out.push_back({.node = std::move(*node),
                   .status = *status,
                   .incarnation = static_cast<std::uint32_t>(*incarnation)});
  }
  return list->tail().what() == etf::kind::nil ? std::optional(std::move(out)) : std::nullopt;
}

// ---- out

void put_pairs(etf::builder& b, std::string_view bytes) {
  auto const pairs = swim::read_metadata(bytes).value_or(swim::metadata());
  b.map(pairs.size());
  for (auto const& [key, value] : pairs) b.binary(key).binary(value);
}

// Node, Status, Incarnation, Map
void put_member(etf::builder& b, swim::member const& m) {
  b.binary(m.node).atom(swim::name_of(m.status)).unsigned_integer(m.incarnation).map(5);
  b.atom("kind").atom(swim::name_of(m.kind)).atom("creation").unsigned_integer(m.creation);
  b.atom("companion");
  put_text_or_none(b, m.companion);
  b.atom("address");
  put_text_or_none(b, m.at.port == 0 ? std::string() : swim::describe(m.at));
  b.atom("metadata");
  put_pairs(b, m.metadata);
}

etf::term member_change(swim::member const& m) {
  etf::builder b;
  b.tuple(5).atom("member");
  put_member(b, m);
  return b.take();
}

etf::term members_of(membership const& m) {
  auto const all = m.members();
  etf::builder b;
  b.tuple(2).atom("ok").list(all.size());
  for (auto const& one : all) {
    b.tuple(4);
    put_member(b, one);
  }
  b.nil();
  return b.take();
}

etf::term metrics_of(membership const& m) {
  auto const n = m.metrics();
  auto const r = m.refusals();
  std::pair<std::string_view, std::uint64_t> const all[] = {{"probes", n.probes},
                                                            {"probes_failed", n.probes_failed},
                                                            {"indirect_probes", n.indirect_probes},
                                                            {"fallback_probes", n.fallback_probes},
                                                            {"suspicions", n.suspicions},
                                                            {"refutations", n.refutations},
                                                            {"deaths", n.deaths},
                                                            {"packets_out", n.packets_out},
                                                            {"packets_in", n.packets_in},
                                                            {"bytes_out", n.bytes_out},
                                                            {"bytes_in", n.bytes_in},
                                                            {"malformed", n.malformed},
                                                            {"syncs", n.syncs},
                                                            {"refused_malformed", r.malformed},
                                                            {"refused_unknown_key", r.unknown_key},
                                                            {"refused_not_authentic", r.not_authentic},
                                                            {"refused_replayed", r.replayed}};
  etf::builder b;
  b.tuple(2).atom("ok").map(std::size(all));
  for (auto const& [key, count] : all) b.atom(key).unsigned_integer(count);
  return b.take();
}

etf::term health_of(membership const& m) {
  auto const h = m.health();
  etf::builder b;
  b.tuple(2).atom("ok").map(3).atom("multiplier").unsigned_integer(h.self.multiplier).atom("lag");
  b.integer(std::chrono::ceil<std::chrono::milliseconds>(h.self.lag).count());
  b.atom("full_queues").list(h.full_queues.size());
  for (auto const& n : h.full_queues) b.binary(n);
  b.nil();
  return b.take();
}

// ---- requests

door::answer start(membership& m, etf::view options) {
  auto settings = read_settings(options, m.defaults());
  auto wrong = settings ? m.start(std::move(*settings)) : std::optional(settings.error());
  if (!wrong) return ok();
  if (wrong->key == "socket") return make(tup(am("error"), tup(am("no_socket"), wrong->text)));
  return option_error(*wrong);
}

door::answer plain(membership& m, std::string_view what) {
  if (what == "members") return members_of(m);
  if (what == "metrics") return metrics_of(m);
  if (what == "health") return health_of(m);
  if (what != "stop") return error("badarg");
  m.stop();
  return ok();
}

door::answer tuple(membership& m, etf::view request) {
  auto const two = request.tuple<2>();
  auto const three = request.tuple<3>();
  if (two && (*two)[0].is_atom("set_metadata")) {
    auto const pairs = read_pairs((*two)[1]);
    if (!pairs) return error("badarg");
    return m.set_metadata(*pairs) ? ok() : error("too_large");
  }
  if (two && (*two)[0].is_atom("merge")) {
    auto entries = read_entries((*two)[1]);
    if (!entries) return error("badarg");
    m.merge(std::move(*entries));
    return ok();
  }
  if (three && (*three)[0].is_atom("event")) {
    auto const name = (*three)[1].binary();
    auto const payload = (*three)[2].binary();
    if (!name || !payload) return error("badarg");
    bool const fits = m.spread(std::string(base::as_text(*name)), std::string(base::as_text(*payload)));
    return fits ? ok() : error("too_large");
  }
  if (three && (*three)[0].is_atom("tell")) {
    auto const node = read_text((*three)[1]);
    auto entries = read_entries((*three)[2]);
    if (!node || !entries) return error("badarg");
    return m.tell(*node, std::move(*entries)) ? ok() : error("unknown_node");
  }
  return error("badarg");
}

void tell_stream(mirror_changes& to, swim::news const& n) {
  std::visit(base::overload{
                 [&](swim::member_changed const& c) {
                   if (c.what == swim::change::forgotten)
                     to.changed(*make(tup(am("unmember"), c.member.node)));
                   else
                     to.changed(*member_change(c.member));
                 },
                 [&](swim::event_heard const& e) {
                   to.changed(*make(tup(am("member_event"), e.from, e.name, e.payload)));
                 },
                 [&](swim::leader_changed const& l) { to.changed(*make(tup(am("member_leader"), l.node))); },
                 [](swim::limit_reached const&) {}},
             n);
}

} // namespace

void install_membership(door& requests, membership const& m) {
  requests.on("membership", 2,
              [m = membership(m)](node::self, ticket const&, etf::view request) mutable -> door::answer {
                auto const what = *request.element(1);
                if (auto const two = what.tuple<2>(); two && (*two)[0].is_atom("start"))
                  return start(m, (*two)[1]);
                if (!m.started()) return error("not_started");
                if (auto const word = what.atom_text()) return plain(m, *word);
                return tuple(m, what);
              });
  auto& to = requests.mirror();
  auto all = m;
  all.observe([&to](swim::news const& n) { tell_stream(to, n); });
  all.observe_running(
      [&to](bool on) { to.changed(*make(tup(am("membership"), am(on ? "started" : "stopped")))); });
  requests.on_snapshot([m](mirror_changes& now) {
    if (!m.started()) return;
    now.changed(*make(tup(am("membership"), am("started"))));
    for (auto const& one : m.members()) now.changed(*member_change(one));
    if (auto const leader = m.leader(); !leader.empty()) now.changed(*make(tup(am("member_leader"), leader)));
  });
}

} // namespace remora::services
