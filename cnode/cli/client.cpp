#include "cli/client.hpp"

#include "cli/exit_code.hpp"
#include "cli/log.hpp"
#include "cli/visit.hpp"
#include "etf/json.hpp"
#include "etf/parse.hpp"
#include "etf/reader.hpp"
#include "io/clock.hpp"
#include "io/cookie.hpp"
#include "io/epmd.hpp"
#include "remora.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::cli {

namespace {

using etf::am;
using etf::make;
using etf::tup;

// nodes(Kind) of a peer, without us.
node::task<node::call_result> peers_of(node::self me, etf::atom peer, std::string_view kind,
                                       base::duration timeout) {
  auto const arguments = make(etf::lst(am(kind)));
  co_return co_await me.rpc(peer, "erlang", "nodes", arguments, timeout);
}

std::vector<std::string> atom_names(etf::view list, std::string_view except) {
  std::vector<std::string> out;
  auto walk = list.list();
  while (walk) {
    auto const item = walk->next();
    if (!item) break;
    if (auto const text = item->atom_text(); text && *text != except) out.emplace_back(*text);
  }
  return out;
}

etf::term to_atoms(std::vector<std::string> const& names) {
  etf::builder b;
  b.list(names.size());
  for (auto const& n : names) b.atom(n);
  return b.nil().take();
}

} // namespace

int ping(client_options const& o, std::string const& node) {
  auto const started = io::now();
  return visit(o, node).run([&](node::self me) -> node::task<int> {
    auto const request = make(tup(am("is_auth"), me.node().name()));
    auto const answer = co_await me.call(node::destination("net_kernel", node), request, timeout_of(o));
    if (!answer) co_return refused(why_failed(fmt::format("pinging {}", node), answer.error().reason));
    if (!(*answer)->is_atom("yes"))
      co_return refused(fmt::format("{} answered {} instead of yes", node, etf::print(*answer)));
    double const ms = std::chrono::duration<double, std::milli>(io::now() - started).count();
    if (o.json) {
      etf::builder b;
      b.map(3).atom("node").binary(node).atom("answer").binary("pong").atom("ms").floating(ms);
      print_term(o, b.take());
    } else {
      print_line(fmt::format("pong from {} in {:.1f} ms", node, ms));
    }
    co_return exit_ok;
  });
}

int names(client_options const& o, std::string const& host) {
  auto const epmd_port = io::epmd_port_of(o.epmd_port);
  io::asio::io_context context;
  io::names_result found;
  bool done = false;
  io::asio::co_spawn(
      context,
      [&]() -> io::asio::awaitable<void> {
        found = co_await io::names(host, epmd_port);
        done = true;
      },
      io::rethrow);
  context.run_for(std::chrono::duration_cast<std::chrono::milliseconds>(timeout_of(o)));
  if (!done)
    return refused(fmt::format("epmd on {} port {} did not answer within {} s", host, epmd_port, o.timeout));
  if (!found.error.empty())
    return refused(found.error + "; start it with `epmd -daemon`, or give its port with --epmd-port");
  if (!o.json) {
    for (auto const& n : found.names) print_line(fmt::format("{} at port {}", n.name, n.port));
    return exit_ok;
  }
  etf::builder b;
  b.list(found.names.size());
  for (auto const& n : found.names) b.map(2).atom("name").binary(n.name).atom("port").integer(n.port);
  b.nil();
  print_term(o, b.take());
  return exit_ok;
}

int nodes(client_options const& o, std::string const& node) {
  return visit(o, node).run([&](node::self me) -> node::task<int> {
    auto const peer = etf::atom(node);
    auto const visible = co_await peers_of(me, peer, "visible", timeout_of(o));
    if (!visible)
      co_return refused(why_failed(fmt::format("asking {} for its nodes", node), visible.error().reason));
    auto const hidden = co_await peers_of(me, peer, "hidden", timeout_of(o));
    if (!hidden)
      co_return refused(
          why_failed(fmt::format("asking {} for its hidden nodes", node), hidden.error().reason));
    auto const seen = atom_names(*visible, {});
    auto const unseen = atom_names(*hidden, me.node().name().text());
    if (o.json) {
      etf::builder b;
      b.map(3).atom("node").binary(node);
      b.atom("visible").copy(to_atoms(seen)).atom("hidden").copy(to_atoms(unseen));
      print_term(o, b.take());
    } else {
      for (auto const& n : seen) print_line(n);
      for (auto const& n : unseen) print_line(n + " (hidden)");
    }
    co_return exit_ok;
  });
}

namespace {

// What a plain OTP node can say of itself.
node::task<int> otp_status(node::self me, client_options const& o, std::string const& node) {
  auto const peer = etf::atom(node);
  auto const ask = [&](std::string function, etf::term arguments) {
    return me.rpc(peer, "erlang", std::move(function), std::move(arguments), timeout_of(o));
  };
  auto const release = co_await ask("system_info", make(etf::lst(am("otp_release"))));
  auto const count = co_await ask("system_info", make(etf::lst(am("process_count"))));
  auto const peers = co_await ask("nodes", make(std::vector<int>{}));
  if (!release || !count || !peers)
    co_return refused(fmt::format("{} has no remora:status/0 and is no OTP node that answers either", node));
  etf::builder b;
  b.map(4).atom("node").atom(node).atom("otp_release").copy(*release);
  b.atom("processes").copy(*count).atom("visible").copy(*peers);
  print_term(o, b.take());
  co_return exit_ok;
}

} // namespace

int status(client_options const& o, std::string const& node) {
  return visit(o, node).run([&](node::self me) -> node::task<int> {
    auto const answer =
        co_await me.rpc(etf::atom(node), "remora", "status", make(std::vector<int>{}), timeout_of(o));
    if (answer) {
      print_term(o, *answer);
      co_return exit_ok;
    }
    if (is_undefined(answer.error().reason)) co_return co_await otp_status(me, o, node);
    co_return refused(why_failed(fmt::format("asking {} for its status", node), answer.error().reason));
  });
}

int call(client_options const& o, std::string const& node, std::string const& module,
         std::string const& function, std::vector<std::string> const& arguments) {
  std::vector<etf::term> terms;
  for (auto const& text : arguments) {
    auto parsed = etf::parse_arguments(text);
    if (!parsed)
      return refused(
          fmt::format("the argument {} is no Erlang term: {}", text, etf::describe(parsed.error())),
          exit_usage);
    for (auto& t : *parsed) terms.push_back(std::move(t));
  }
  if (terms.size() > 255) return refused("a function has at most 255 arguments", exit_usage);
  return visit(o, node).run([&](node::self me) -> node::task<int> {
    auto const answer = co_await me.rpc(etf::atom(node), module, function, make(terms), timeout_of(o));
    if (!answer)
      co_return refused(why_failed(fmt::format("{}:{}/{} on {}", module, function, terms.size(), node),
                                   answer.error().reason));
    print_term(o, *answer);
    co_return exit_ok;
  });
}

namespace {

// A term on the command line; nullopt when it was refused.
std::optional<etf::term> one_term(std::string_view what, std::string const& text) {
  auto parsed = etf::parse_arguments(text);
  if (parsed && parsed->size() == 1) return std::move(parsed->front());
  refused(
      fmt::format("the {} {} is no Erlang term: {}; a {} is written as foo, 'Foo', <<\"foo\">> or {{foo,1}}",
                  what, text, parsed ? "there is more than one" : etf::describe(parsed.error()), what),
      exit_usage);
  return std::nullopt;
}

} // namespace

int whereis(client_options const& o, std::string const& ask, std::string const& name) {
  auto const wanted = one_term("name", name);
  if (!wanted) return exit_usage;
  return visit(o, ask).run([&](node::self me) -> node::task<int> {
    auto const arguments = make(etf::lst(*wanted));
    auto const found = co_await me.rpc(etf::atom(ask), "global", "whereis_name", arguments, timeout_of(o));
    if (!found)
      co_return refused(why_failed(fmt::format("asking {} for {}", ask, name), found.error().reason));
    if (!(*found)->as_pid())
      co_return refused(fmt::format("{} knows no {}: nobody in its cluster is registered so", ask, name));
    print_term(o, *found);
    co_return exit_ok;
  });
}

int registered(client_options const& o, std::string const& node) {
  return visit(o, node).run([&](node::self me) -> node::task<int> {
    auto const names = co_await me.rpc(etf::atom(node), "global", "registered_names",
                                       make(std::vector<int>{}), timeout_of(o));
    if (!names)
      co_return refused(why_failed(fmt::format("asking {} for its names", node), names.error().reason));
    if (o.json) {
      print_term(o, *names);
      co_return exit_ok;
    }
    auto list = (*names)->list();
    while (list) {
      auto const name = list->next();
      if (!name) break;
      print_term(o, *name);
    }
    co_return exit_ok;
  });
}

namespace {

// What pg:Function(Scope, ...) answers, one term a line.
node::task<int> ask_pg(node::self me, client_options const& o, std::string const& node,
                       std::string const& function, etf::term arguments, std::string const& scope) {
  auto const answer = co_await me.rpc(etf::atom(node), "pg", function, arguments, timeout_of(o));
  if (!answer)
    co_return refused(fmt::format(
        "{}; does the scope {} run there? --scope names another",
        why_failed(fmt::format("asking {} for pg:{}", node, function), answer.error().reason), scope));
  if (o.json) {
    print_term(o, *answer);
    co_return exit_ok;
  }
  std::vector<std::string> lines;
  auto list = (*answer)->list();
  while (list) {
    auto const item = list->next();
    if (!item) break;
    lines.push_back(etf::print(*item));
  }
  std::sort(lines.begin(), lines.end());
  for (auto const& line : lines) print_line(line);
  co_return exit_ok;
}

bool is_scope(std::string const& scope) {
  if (!scope.empty() && etf::is_atom_text(base::as_bytes(scope))) return true;
  refused(fmt::format("--scope {} is no name of a scope; an atom of 1 to 255 characters", scope), exit_usage);
  return false;
}

} // namespace

int groups(client_options const& o, std::string const& node, std::string const& scope,
           std::string const& group) {
  auto const wanted = group.empty() ? std::nullopt : one_term("group", group);
  if ((!group.empty() && !wanted) || !is_scope(scope)) return exit_usage;
  return visit(o, node).run([&](node::self me) -> node::task<int> {
    if (!wanted) co_return co_await ask_pg(me, o, node, "which_groups", make(etf::lst(am(scope))), scope);
    co_return co_await ask_pg(me, o, node, "get_members", make(etf::lst(am(scope), *wanted)), scope);
  });
}

} // namespace remora::cli
