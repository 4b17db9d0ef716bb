// Election from outside: what an application's shim asks the door.
//
//   {election, {start, Options}}     ok | {error, {option, Key, Text}}: over the options of the command line;
//   while it
//                                    runs, changes how
//   {election, stop}                 ok: a leader hands over, holders give back
//   {election, status}               {ok, #{role, term, leader => Node | none, token, lease_left => ms,
//   voters, version,
//                                           unbound => [Node], abstains => Text | none}}: voters that do not
//                                           count yet
//   {election, elect}                {ok, Node, Token} | {error, Failure}: waits for an election
//   {election, {transfer, Node}}     ok | {error, Failure}       {election, resign}
//   {election, {add | remove, Node}}     ok | {error, Failure}
//   {election, {check_token, Token}}     ok | {error, Failure}
//   {election, {campaign, Name, Pid}}    ok | {error, too_many}: until Pid ends or resigns, or the election
//   is stopped {election, {resign, Name, Pid}}      ok | {error, not_campaigning} {election, {holds, Name,
//   Pid}}       {ok, Token, LeaseLeftMs} | {error, not_held} {election, {leader, Name}}           {ok, Node,
//   Token} | {error, no_leader}
//
// Failure: as raft::failure. All but start answer {error, not_started} while it is not, and {error, badarg}
// to terms of another kind. Names of elections and of nodes are binaries.
//
// Options: a map, all keys optional: heartbeat, election_min, election_max, lease, name_lease => ms, priority
// => N, voters => [Node], bootstrap_expect => N, observer => Boolean, state_dir => Path.
//
// In the stream (services/mirror.hpp):
//
//   {election, started | stopped}                       with stopped goes all of it
//   {leader, Node, Term, Token}   {no_leader, Term}
//   {led, Name, Node, Token}      {unled, Name}         named elections, as their leader tells everybody
//   {held, Name, Pid, Token}      {unheld, Name, Pid}   by a candidate of this node
//   {abstains, Text | none}                             why this node does not vote now
#include "services/answers.hpp"
#include "services/option_terms.hpp"
#include "services/parts.hpp"

#include "base/overload.hpp"

namespace remora::services {

using etf::am;
using etf::make;
using etf::tup;

namespace {

constexpr std::size_t voters_max = 1'024; // of a list; the core has a limit of its own

base::result<election_settings, base::wrong_option> read_settings(etf::view given, election_settings out) {
  auto& o = out.core;
  auto const voters = [&o](etf::view v) {
    auto read = read_texts(v, voters_max);
    if (read) o.voters = std::move(*read);
    return read.has_value();
  };
  auto wrong = read_options(given, {ms_option("heartbeat", o.heartbeat),
                                    ms_option("election_min", o.election_min),
                                    ms_option("election_max", o.election_max),
                                    ms_option("lease", o.lease),
                                    ms_option("name_lease", o.name_lease),
                                    count_option("priority", o.priority),
                                    {"voters", "a list of node names is expected", voters},
                                    count_option("bootstrap_expect", o.bootstrap_expect),
                                    flag_option("observer", o.observer),
                                    text_option("state_dir", out.state_dir)});
  if (wrong) return {boost::system::in_place_error, std::move(*wrong)};
  return {boost::system::in_place_value, std::move(out)};
}

std::int64_t ms_of(base::duration d) { return std::chrono::floor<std::chrono::milliseconds>(d).count(); }

etf::term led_by(std::string const& node, std::uint64_t token) { return make(tup(am("ok"), node, token)); }

etf::term to_term(raft::result const& r) {
  return std::visit(base::overload{[](raft::done const&) { return ok(); },
                                   [](raft::led_by const& l) { return led_by(l.node, l.token); },
                                   [](raft::failure f) { return error(raft::name_of(f)); }},
                    r);
}

etf::term status_of(election const& e) {
  auto const s = e.status();
  std::vector<std::string> unbound;
  for (auto const& v : s.config.voters)
    if (v.instance == 0) unbound.push_back(v.node);
  etf::builder b;
  b.tuple(2).atom("ok").map(9).atom("role").atom(raft::name_of(s.role)).atom("term").unsigned_integer(s.term);
  b.atom("leader");
  put_text_or_none(b, s.leader);
  b.atom("token").unsigned_integer(s.token).atom("lease_left").integer(ms_of(s.lease_left));
  b.atom("version").unsigned_integer(s.config.version).atom("voters").list(s.config.voters.size());
  for (auto const& v : s.config.voters) b.binary(v.node);
  b.nil().atom("unbound").list(unbound.size());
  for (auto const& n : unbound) b.binary(n);
  b.nil().atom("abstains");
  put_text_or_none(b, e.why_abstaining());
  return b.take();
}

etf::term holder_of(std::optional<raft::core::holder> const& h) {
  return h && !h->node.empty() ? led_by(h->node, h->token) : error("no_leader");
}

door::answer start(election& e, etf::view options) {
  auto settings = read_settings(options, e.defaults());
  auto const wrong = settings ? e.start(std::move(*settings)) : std::optional(settings.error());
  return wrong ? option_error(*wrong) : ok();
}

election::done answering(ticket const& whom) {
  return [whom](raft::result const& r) { whom.reply(to_term(r)); };
}

door::answer plain(election& e, ticket const& whom, std::string_view what) {
  if (what == "status") return status_of(e);
  if (what == "stop") return e.stop(), ok();
  if (what == "elect")
    e.elect(answering(whom));
  else if (what == "resign")
    e.transfer({}, answering(whom));
  else
    return error("badarg");
  return std::nullopt;
}

door::answer two(election& e, ticket const& whom, etf::view what, etf::view argument) {
  if (what.is_atom("check_token")) {
    auto const token = argument.unsigned_integer();
    if (!token) return error("badarg");
    e.check_token(*token, answering(whom));
    return std::nullopt;
  }
  auto text = read_text(argument);
  if (!text) return error("badarg");
  if (what.is_atom("leader")) return holder_of(e.leader_of(*text));
  if (what.is_atom("transfer") && !text->empty())
    e.transfer(std::move(*text), answering(whom));
  else if (what.is_atom("add"))
    e.add_voter(std::move(*text), answering(whom));
  else if (what.is_atom("remove"))
    e.remove_voter(std::move(*text), answering(whom));
  else
    return error("badarg");
  return std::nullopt;
}

door::answer of_candidate(election& e, etf::view what, etf::view name, etf::view who) {
  using campaigning = election::campaigning;
  auto const text = read_text(name);
  auto const pid = who.as_pid();
  if (!text || !pid) return error("badarg");
  if (what.is_atom("campaign")) {
    auto const done = e.campaign(*text, *pid);
    if (done == campaigning::too_many) return error("too_many");
    return done == campaigning::ok ? ok() : error("badarg");
  }
  if (what.is_atom("resign")) return e.withdraw(*text, *pid) ? ok() : error("not_campaigning");
  if (!what.is_atom("holds")) return error("badarg");
  auto const held = e.holds(*text, *pid);
  return held ? make(tup(am("ok"), held->token, ms_of(held->lease_left))) : error("not_held");
}

void tell_stream(mirror_changes& to, raft::news const& n) {
  std::visit(
      base::overload{[&](raft::leader_elected const& l) {
                       to.changed(*make(tup(am("leader"), l.node, l.term, l.token)));
                     },
                     [&](raft::leader_lost const& l) { to.changed(*make(tup(am("no_leader"), l.term))); },
                     [&](raft::name_led const& l) {
                       if (l.node.empty())
                         to.changed(*make(tup(am("unled"), l.name)));
                       else
                         to.changed(*make(tup(am("led"), l.name, l.node, l.token)));
                     },
                     [&](raft::abstains const& a) {
                       to.changed(*(a.text.empty() ? make(tup(am("abstains"), am("none")))
                                                   : make(tup(am("abstains"), a.text))));
                     },
                     [](auto const&) {}},
      n);
}

void tell_held(mirror_changes& to, election::holding const& h) {
  if (h.token == 0)
    to.changed(*make(tup(am("unheld"), h.name, h.pid)));
  else
    to.changed(*make(tup(am("held"), h.name, h.pid, h.token)));
}

void tell_all(mirror_changes& now, election const& e) {
  if (!e.started()) return;
  now.changed(*make(tup(am("election"), am("started"))));
  auto const s = e.status();
  if (!s.leader.empty()) now.changed(*make(tup(am("leader"), s.leader, s.term, s.token)));
  for (auto const& [name, h] : e.led()) now.changed(*make(tup(am("led"), name, h.node, h.token)));
  for (auto const& h : e.held()) tell_held(now, h);
  if (auto const why = e.why_abstaining(); !why.empty()) now.changed(*make(tup(am("abstains"), why)));
}

} // namespace

void install_election(door& requests, election const& e) {
  requests.on("election", 2,
              [e = election(e)](node::self, ticket const& whom, etf::view request) mutable -> door::answer {
                auto const what = *request.element(1);
                auto const pair = what.tuple<2>();
                if (pair && (*pair)[0].is_atom("start")) return start(e, (*pair)[1]);
                if (!e.started()) return error("not_started");
                if (auto const word = what.atom_text()) return plain(e, whom, *word);
                if (pair) return two(e, whom, (*pair)[0], (*pair)[1]);
                auto const three = what.tuple<3>();
                return three ? of_candidate(e, (*three)[0], (*three)[1], (*three)[2]) : error("badarg");
              });
  auto& to = requests.mirror();
  auto all = e;
  all.observe([&to](raft::news const& n) { tell_stream(to, n); });
  all.observe_held([&to](election::holding const& h) { tell_held(to, h); });
  all.observe_running(
      [&to](bool on) { to.changed(*make(tup(am("election"), am(on ? "started" : "stopped")))); });
  requests.on_snapshot([e](mirror_changes& now) { tell_all(now, e); });
}

} // namespace remora::services
