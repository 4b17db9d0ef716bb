// remora members, remora leader, remora election: what a remora node says of the members of its cluster and
// of who leads it. They ask its door, the process `remora` (services/membership_door.cpp,
// services/election_door.cpp).
#include "cli/visit.hpp"
#include "etf/builder.hpp"
#include "etf/print.hpp"

#include <fmt/format.h>

namespace remora::cli {

using etf::am;
using etf::make;
using etf::tup;

namespace {

node::task<node::call_result> ask(node::self me, client_options const& o, std::string const& node,
                                  etf::term request) {
  co_return co_await me.call(node::destination("remora", node), std::move(request), timeout_of(o));
}

// A sentence for what is no {ok, ..}.
std::string explain(std::string const& node, std::string_view service, node::call_result const& answer) {
  if (!answer) {
    if (answer.error().reason->is_atom("noproc"))
      return fmt::format("{} is no remora node; ask the companion of an application", node);
    return why_failed(fmt::format("asking {}", node), *answer.error().reason);
  }
  auto const pair = (*answer)->tuple<2>();
  if (pair && (*pair)[1].is_atom("not_started"))
    return fmt::format("{} does not run {} now; start it with `remora run --{}`, or from its application",
                       node, service, service);
  return fmt::format("{} answered {}", node, etf::print(pair ? (*pair)[1] : **answer));
}

// {ok, Value}
std::optional<etf::view> value_of(node::call_result const& answer) {
  if (!answer) return std::nullopt;
  auto const pair = (*answer)->tuple<2>();
  return pair && (*pair)[0].is_atom("ok") ? std::optional((*pair)[1]) : std::nullopt;
}

std::string text_of(etf::view v) {
  auto const atom = v.atom_text();
  if (atom) return std::string(*atom);
  auto const text = v.text(1'024);
  return text ? *text : etf::print(v);
}

std::string field(etf::view map, std::string_view key) {
  auto walk = map.map();
  while (walk) {
    auto const entry = walk->next();
    if (!entry) break;
    if (entry->key.is_atom(key)) return text_of(entry->value);
  }
  return {};
}

// Node, Status, Incarnation, Map as a line.
std::string line_of(etf::view node, etf::view status, etf::view map) {
  auto const companion = field(map, "companion");
  auto const address = field(map, "address");
  std::string more = field(map, "kind");
  if (address != "none") more += " at " + address;
  if (companion != "none") more += ", companion " + companion;
  return fmt::format("{:<32} {:<8} {}", text_of(node), text_of(status), more);
}

int print_members(client_options const& o, etf::view list) {
  if (o.json) {
    print_term(o, list);
    return exit_ok;
  }
  auto walk = list.list();
  while (walk) {
    auto const item = walk->next();
    if (!item) break;
    if (auto const four = item->tuple<4>()) print_line(line_of((*four)[0], (*four)[1], (*four)[3]));
  }
  return exit_ok;
}

void print_change(client_options const& o, etf::view change) {
  auto const arity = change.arity().value_or(0);
  auto const tag = arity > 0 ? change.element(0)->atom_text() : std::nullopt;
  if (!tag) return;
  bool const ours = *tag == "member" || *tag == "unmember" || *tag == "member_leader" ||
                    *tag == "member_event" || *tag == "membership";
  if (!ours) return;
  if (o.json) return print_term(o, change);
  if (*tag == "member" && arity == 5)
    print_line(line_of(*change.element(1), *change.element(2), *change.element(4)));
  else if (*tag == "unmember" && arity == 2)
    print_line(fmt::format("{:<32} forgotten", text_of(*change.element(1))));
  else if (*tag == "member_event" && arity == 4)
    print_line(fmt::format("{:<32} event    {}: {}", text_of(*change.element(1)), text_of(*change.element(2)),
                           etf::print(*change.element(3))));
  else if (*tag == "membership" && arity == 2 && change.element(1)->is_atom("stopped"))
    print_line("membership was stopped");
}

// The stream of changes, until the node is lost or we are told to stop.
node::task<int> watch(node::self me, client_options const& o, std::string const& node) {
  auto const stream = co_await ask(me, o, node, make(am("mirror")));
  if (!value_of(stream)) co_return refused(explain(node, "membership", stream));
  me.monitor(node::destination("remora", node));
  while (true) {
    auto const message = co_await me.receive();
    auto const five = message->tuple<5>();
    if (!five) continue;
    if ((*five)[0].is_atom("DOWN"))
      co_return refused(fmt::format("{} is gone: {}", node, etf::print((*five)[4])));
    if (!(*five)[0].is_atom("remora_mirror")) continue;
    auto changes = (*five)[4].list();
    while (changes) {
      auto const change = changes->next();
      if (!change) break;
      print_change(o, *change);
    }
  }
}

} // namespace

int members(client_options const& o, std::string const& node, bool watching) {
  return visit(o, node).run(
      [&](node::self me) -> node::task<int> {
        auto const request = make(tup(am("membership"), am("members")));
        auto const answer = co_await ask(me, o, node, request);
        auto const list = value_of(answer);
        if (!list) co_return refused(explain(node, "membership", answer));
        if (watching) co_return co_await watch(me, o, node);
        co_return print_members(o, *list);
      },
      watching ? exit_ok : exit_failed);
}

int leader(client_options const& o, std::string const& node) {
  return visit(o, node).run([&](node::self me) -> node::task<int> {
    auto const request = make(tup(am("election"), am("status")));
    auto const answer = co_await ask(me, o, node, request);
    auto const status = value_of(answer);
    if (!status) co_return refused(explain(node, "election", answer));
    auto const who = field(*status, "leader");
    if (o.json)
      print_term(o, *status);
    else if (who != "none")
      print_line(fmt::format("{} leads in term {}", who, field(*status, "term")));
    if (who != "none") co_return exit_ok;
    auto const why = field(*status, "abstains");
    co_return refused(
        field(*status, "role") == "unconfigured"
            ? fmt::format("{} has no configuration yet: give all voters --voters or --bootstrap-expect", node)
            : fmt::format("{} knows no leader in term {}{}{}", node, field(*status, "term"),
                          why == "none" ? "" : "; it does not vote: ", why == "none" ? "" : why));
  });
}

int change_voters(client_options const& o, std::string const& ask_node, bool add, std::string const& voter) {
  return visit(o, ask_node).run([&](node::self me) -> node::task<int> {
    auto const request = make(tup(am("election"), tup(am(add ? "add" : "remove"), voter)));
    auto const answer = co_await ask(me, o, ask_node, request);
    if (answer && (*answer)->is_atom("ok")) {
      print_line(fmt::format("{} {}", voter, add ? "votes" : "votes no more"));
      co_return exit_ok;
    }
    co_return refused(explain(ask_node, "election", answer));
  });
}

} // namespace remora::cli
