// Calls on other nodes for the application beside us:
//
//   {rpc, Node, M, F, Args, Timeout, Meta}     as services/rpc_outcome.hpp says; Timeout in ms, or infinity
//   {rpc_cast, Node, M, F, Args, Meta}         ok, at once; the node is dialled if need be
//
// Node may be this node. Meta is a map; under `correlation` it may have a text of at most 256 bytes, which
// stands in the log line about this call, of a failed one always, else where there is such a text. Terms of
// another kind: {error, badarg}.
//
// Each call is a process of ours, so the door never waits, and whatever ends it leaves nothing behind. It
// ends with its caller: one that is gone, or has stopped waiting, needs no answer. What the function prints
// goes to this node's log, as with every process that this node spawns elsewhere.
//
// A gen_server:call is three signals for an OTP node, each a system call, which together cost as much as all
// the rest of a short call. Who calls often sends one, and hears of the companion's end all the same:
//
//   Alias = erlang:alias([reply]), erlang:monitor_node(Companion, true),
//   {remora, Companion} ! {'$gen_call', {self(), [alias | Alias]}, {rpc, ..}},
//   receive {[alias | Alias], Answer} -> ..; {nodedown, Companion} -> .. after .. end
//
// A caller that has set no monitor on the door is not watched where the timeout is short: its call ends with
// that.
#include "services/answers.hpp"
#include "services/parts.hpp"
#include "services/rpc_outcome.hpp"

#include "etf/print.hpp"

#include <fmt/format.h>

#include <memory>

namespace remora::services {

using etf::am;
using etf::make;
using etf::tup;

namespace {

constexpr std::size_t correlation_bytes_max = 256;
constexpr std::int64_t timeout_max = 0xFFFFFFFF;        // ms, as OTP's timers
constexpr auto unwatched_max = std::chrono::minutes(1); // with its timeout a call ends anyway
constexpr std::size_t arguments_max = 255;              // of any function

struct asked {
  rpc_target target;
  etf::term arguments;
  std::optional<base::duration> timeout;
  std::string correlation;
};

std::optional<std::size_t> proper_length(etf::view term) {
  auto list = term.list();
  if (!list) return std::nullopt;
  auto const length = list->left();
  while (list->next()) {
  }
  if (list->tail().what() != etf::kind::nil) return std::nullopt;
  return length;
}

// What both requests have; nullopt: a badarg.
std::optional<asked> read(node::self me, std::span<etf::view const> parts, etf::view meta) {
  auto const arguments = proper_length(parts[3]);
  auto const map = meta.map();
  for (auto const part : parts.first(3))
    if (!part.is_atom()) return std::nullopt;
  if (!arguments || *arguments > arguments_max || !map) return std::nullopt;
  asked out{.target = {.node = etf::atom::recent(*parts[0].atom_text()),
                       .module = etf::atom::recent(*parts[1].atom_text()),
                       .function = etf::atom::recent(*parts[2].atom_text()),
                       .arity = *arguments},
            .arguments = me.keep(parts[3]),
            .timeout = {},
            .correlation = {}};
  if (auto const correlation = map->find("correlation")) {
    auto text = correlation->text(correlation_bytes_max);
    if (!text) return std::nullopt;
    out.correlation = std::move(*text);
  }
  return out;
}

void tell(node::core& node, asked const& a, etf::view answer) {
  auto const result = answer.tuple<2>();
  bool const ok = result && (*result)[0].is_atom("ok");
  if (ok && a.correlation.empty()) return;
  auto const reason = ok ? "ok" : etf::print((*result)[1], {.depth = 8, .bytes_max = 400});
  auto const mfa = fmt::format("{}:{}/{}", a.target.module.text(), a.target.function.text(), a.target.arity);
  node.tell(node::notice{.level = "debug",
                         .text = fmt::format("rpc {} on {}: {}", mfa, a.target.node.text(), reason),
                         .event = ok ? "rpc" : "rpc_failed",
                         .fields = {{"peer", std::string(a.target.node.text())},
                                    {"mfa", mfa},
                                    {"reason", reason},
                                    {"correlation", a.correlation}}});
}

etf::term finish(node::core& node, asked const& a, node::call_result const& ended) {
  auto answer = rpc_answer(a.target, ended);
  tell(node, a, answer);
  return answer;
}

// One call, in a process of its own.
node::task<> run(node::self me, ticket to, std::shared_ptr<asked const> a) {
  auto const ended = co_await me.rpc(a->target.node, std::string(a->target.module.text()),
                                     std::string(a->target.function.text()), a->arguments, a->timeout);
  to.reply(finish(me.node(), *a, ended));
}

door::answer no_room() { return make(tup(am("error"), tup(am("badrpc"), am("system_limit")))); }

// [Node, M, F, Args, Timeout, Meta]
std::shared_ptr<asked const> read_rpc(node::self me, std::span<etf::view const> parts) {
  auto read_parts = read(me, parts.first(4), parts[5]);
  if (!read_parts) return nullptr;
  auto out = std::make_shared<asked>(std::move(*read_parts));
  if (parts[4].is_atom("infinity")) return out;
  auto const ms = parts[4].integer();
  if (!ms || *ms < 0 || *ms > timeout_max) return nullptr;
  out->timeout = std::chrono::milliseconds(*ms);
  return out;
}

door::answer rpc(node::self me, ticket const& to, etf::view request) {
  auto const all = *request.tuple<7>();
  auto const a = read_rpc(me, std::span(all).subspan(1));
  if (!a) return error("badarg");
  bool const ends_soon = a->timeout && *a->timeout <= unwatched_max;
  auto work = [to, a](node::self worker) { return run(worker, to, a); };
  bool const room = spawn_for(me, to, std::move(work), !ends_soon);
  return room ? std::nullopt : no_room();
}

door::answer rpc_cast(node::self me, ticket const&, etf::view request) {
  auto const all = *request.tuple<6>();
  auto const a = read(me, std::span(all).subspan(1, 4), all[5]);
  if (!a) return error("badarg");
  // The process ends with its request on the way: what the request is answered is nobody's.
  bool const room = spawn_for(me, {}, [a = *a](node::self worker) -> node::task<> {
    auto const list = make(etf::lst(a.target.module, a.target.function, *a.arguments));
    worker.spawn_request(a.target.node, "erpc", "execute_cast", list, {});
    co_return;
  });
  return room ? make(am("ok")) : no_room();
}

} // namespace

bool spawn_for(node::self me, ticket const& to, node::body work, bool at_any_price) {
  auto& node = me.node();
  if (node.process_count() >= node.options().limits.processes_max) return false;
  auto const worker = me.spawn(std::move(work));
  to.on_abandoned([me, worker]() mutable { me.exit_other(worker, make(am("kill"))); }, at_any_price);
  return true;
}

void install_rpc(door& requests) {
  requests.on("rpc", 7, rpc);
  requests.on("rpc_cast", 6, rpc_cast);
}

} // namespace remora::services
