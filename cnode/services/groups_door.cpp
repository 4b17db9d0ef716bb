// Groups from outside: what an application's shim asks the door, and the functions pg:* that tools call by
// rpc on any node, this one included.
//
//   {join, Scope, Group, PidOrPids}       ok | {error, system_limit}
//   {leave, Scope, Group, PidOrPids}      ok | not_joined
//   {get_members, Scope, Group}           [Pid]       {get_local_members, Scope, Group}
//   {which_groups, Scope}                 [Group]     {which_local_groups, Scope}
//   {start_scope, Scope}                  ok | {error, name_taken | system_limit}       {stop_scope, Scope}
//   ok {broadcast, Scope, Group, Msg}        {ok, Count} {monitor_scope, Scope}                {Ref, #{Group
//   => [Pid]}} {monitor, Scope, Group}               {Ref, [Pid]}         the events go to the calling pid
//   {demonitor, Scope, Ref}               ok | false
//
// All but start_scope answer {error, {no_scope, Scope}} where it does not run, and {error, badarg} to terms
// of another kind.
#include "services/answers.hpp"
#include "services/groups.hpp"

namespace remora::services {

namespace {

using etf::am;
using etf::make;
using etf::tup;
using answer = node::server::answer;
using outcome = groups::outcome;

etf::term told(outcome o, etf::view scope) {
  switch (o) {
  case outcome::ok: return make(am("ok"));
  case outcome::no_scope: return make(tup(am("error"), tup(am("no_scope"), scope)));
  case outcome::not_joined: return make(am("not_joined"));
  case outcome::limit: return error("system_limit");
  case outcome::name_taken: return error("name_taken");
  }
  return error("badarg");
}

etf::term pids_of(std::span<etf::pid const> pids) {
  etf::builder b;
  pg::put_pids(b, pids);
  return b.take();
}

// The scope is an atom: its name; nullopt otherwise.
using parts = std::span<etf::view const>;
template <std::size_t N, class Handle>
void on(door& requests, std::string_view tag, Handle handle) {
  requests.on(tag, N, [handle](node::self me, ticket const& from, etf::view request) mutable -> answer {
    auto const all = *request.tuple<N>();
    auto const scope = all[1].atom_text();
    if (!scope) return error("badarg");
    return handle(me, from, *scope, all);
  });
}

// As the call that it stands for: a pid, or a list of them.
template <class One, class Many>
etf::term with_pids(etf::view pid_or_pids, etf::view scope, One one, Many many) {
  if (auto const pid = pid_or_pids.as_pid()) return told(one(*pid), scope);
  auto const pids = pg::read_pids(pid_or_pids);
  return pids ? told(many(std::span<etf::pid const>(*pids)), scope) : error("badarg");
}

answer subscribed(groups g, std::string_view scope, etf::view scope_term, ticket const& from,
                  base::result<groups::subscribed, outcome> const& result) {
  if (!result) return told(result.error(), scope_term);
  g.reply_from(scope, from, make(tup(result->ref, result->now)));
  return std::nullopt;
}

void add_requests(door& requests, groups g) {
  // Answered before other nodes are told: the caller need not wait while that is written.
  on<4>(requests, "join",
        [g](auto, ticket const& from, std::string_view scope, auto const& all) mutable -> answer {
          auto const one = all[3].as_pid();
          auto const pids = pg::read_pids(all[3]);
          if (!pids) return error("badarg");
          auto const ok = [&] { from.reply(make(am("ok"))); };
          auto const done = g.join(scope, all[2], *pids, ok, !one);
          return done == outcome::ok ? std::nullopt : answer(told(done, all[1]));
        });
  on<4>(requests, "leave", [g](auto, auto&, std::string_view scope, auto const& all) mutable -> answer {
    return with_pids(
        all[3], all[1], [&](auto const& pid) { return g.leave(scope, all[2], pid); },
        [&](auto const& pids) { return g.leave(scope, all[2], pids); });
  });
  on<3>(requests, "get_members", [g](auto, auto&, std::string_view scope, auto const& all) -> answer {
    auto const* const s = g.find(scope);
    return s != nullptr ? pids_of(s->members(all[2])) : told(outcome::no_scope, all[1]);
  });
  on<3>(requests, "get_local_members", [g](auto, auto&, std::string_view scope, auto const& all) -> answer {
    auto const* const s = g.find(scope);
    return s != nullptr ? pids_of(s->local_members(all[2])) : told(outcome::no_scope, all[1]);
  });
  on<2>(requests, "which_groups", [g](auto, auto&, std::string_view scope, auto const& all) -> answer {
    auto const* const s = g.find(scope);
    return s != nullptr ? make(s->groups()) : told(outcome::no_scope, all[1]);
  });
  on<2>(requests, "which_local_groups", [g](auto, auto&, std::string_view scope, auto const& all) -> answer {
    auto const* const s = g.find(scope);
    return s != nullptr ? make(s->local_groups()) : told(outcome::no_scope, all[1]);
  });
  on<2>(requests, "start_scope", [g](auto, auto&, std::string_view scope, auto const& all) mutable -> answer {
    return told(g.start_scope(scope), all[1]);
  });
  on<2>(requests, "stop_scope", [g](auto, auto&, std::string_view scope, auto const& all) mutable -> answer {
    return told(g.stop_scope(scope), all[1]);
  });
  on<4>(requests, "broadcast",
        [g](node::self me, auto&, std::string_view scope, auto const& all) mutable -> answer {
          auto const count = g.broadcast(me, scope, all[2], me.keep(all[3]));
          return count ? make(tup(am("ok"), *count)) : told(outcome::no_scope, all[1]);
        });
  on<2>(requests, "monitor_scope",
        [g](auto, ticket const& from, std::string_view scope, auto const& all) mutable -> answer {
          auto const who = from.caller();
          if (!who) return error("badarg");
          return subscribed(g, scope, all[1], from, g.monitor_scope(scope, *who));
        });
  on<3>(requests, "monitor",
        [g](auto, ticket const& from, std::string_view scope, auto const& all) mutable -> answer {
          auto const who = from.caller();
          if (!who) return error("badarg");
          return subscribed(g, scope, all[1], from, g.monitor(scope, all[2], *who));
        });
  on<3>(requests, "demonitor", [g](auto, auto&, std::string_view scope, auto const& all) mutable -> answer {
    if (g.find(scope) == nullptr) return told(outcome::no_scope, all[1]);
    auto const ref = all[2].as_reference();
    if (!ref) return error("badarg");
    return make(am(g.demonitor(scope, *ref) ? "ok" : "false"));
  });
}

// As on OTP: members of a group or scope that is not there are none, its groups are a badarg.
void add_functions(node::core& node, groups const& g) {
  auto const name_of = [](etf::view scope) {
    auto const name = scope.atom_text();
    if (!name) node::raise_error("badarg");
    return *name;
  };
  auto const of = [g, name_of](etf::view scope) -> pg::scope const& {
    auto const* const s = g.find(name_of(scope));
    if (s == nullptr) node::raise_error("badarg");
    return *s;
  };
  auto const standard = make(am("pg"));
  auto& f = node.functions();
  f.add("pg", "which_groups", [of, standard] { return make(of(standard).groups()); });
  f.add("pg", "which_groups", [of](etf::view scope) { return make(of(scope).groups()); });
  f.add("pg", "which_local_groups", [of, standard] { return make(of(standard).local_groups()); });
  f.add("pg", "which_local_groups", [of](etf::view scope) { return make(of(scope).local_groups()); });
  f.add("pg", "get_members", [g](etf::view group) { return pids_of(g.members("pg", group)); });
  f.add("pg", "get_members",
        [g, name_of](etf::view scope, etf::view group) { return pids_of(g.members(name_of(scope), group)); });
  f.add("pg", "get_local_members", [g](etf::view group) { return pids_of(g.local_members("pg", group)); });
  f.add("pg", "get_local_members", [g, name_of](etf::view scope, etf::view group) {
    return pids_of(g.local_members(name_of(scope), group));
  });
}

} // namespace

void install_groups(node::core& node, door& requests, groups const& g) {
  add_requests(requests, g);
  add_functions(node, g);
}

} // namespace remora::services
