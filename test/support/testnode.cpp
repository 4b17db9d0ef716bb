// testnode: `remora run` with the native processes and functions that the suites of test/beam talk to. What
// each of them does is said in test/beam/testnode.erl and calc.erl, which play the same parts on a BEAM node.
#include "cli/run.hpp"
#include "remora.hpp"

#include <CLI/CLI.hpp>

#include <memory>
#include <vector>

namespace {

using namespace remora;
using etf::am;
using etf::make;
using etf::tup;

class echo : public node::server {
public:
  answer handle_call(node::self me, node::caller const& from, etf::view request) override {
    if (request.is_atom("stop")) {
      me.reply(from, make(am("ok")));
      me.exit("normal");
    }
    if (request.is_atom("crash")) me.exit(make(tup(am("crashed"), am("x"))));
    if (request.is_atom("state")) return make(sum_);
    if (auto const pair = request.tuple<2>(); pair && (*pair)[0].is_atom("echo")) return me.keep((*pair)[1]);
    if (auto const one = request.tuple<1>(); one && (*one)[0].is_atom("get")) return make(sum_);
    return make(am("unknown"));
  }
  void handle_cast(node::self /*me*/, etf::view request) override {
    auto const pair = request.tuple<2>();
    if (!pair || !(*pair)[0].is_atom("add")) return;
    sum_ += (*pair)[1].integer().value_or(0);
  }
  void handle_info(node::self me, etf::view message) override {
    auto const pair = message.tuple<2>();
    if (!pair) return;
    if (auto const from = (*pair)[0].as_pid()) me.send(*from, make(tup(am("echo"), (*pair)[1])));
  }
  etf::term state() const override { return make(sum_); }

private:
  std::int64_t sum_ = 0;
};

class sink : public node::server {
public:
  answer handle_call(node::self /*me*/, node::caller const& /*from*/, etf::view request) override {
    return request.is_atom("count") ? make(count_) : make(am("unknown"));
  }
  void handle_cast(node::self /*me*/, etf::view /*request*/) override { ++count_; }
  void handle_info(node::self /*me*/, etf::view /*message*/) override { ++count_; }
  etf::term state() const override { return make(tup(am("sink"), count_)); }

private:
  std::uint64_t count_ = 0;
};

class trapper : public node::server {
public:
  void init(node::self me) override { me.trap_exit(true); }
  answer handle_call(node::self me, node::caller const& /*from*/, etf::view request) override {
    if (request.is_atom("log")) return make(std::exchange(log_, {}));
    auto const ok = make(am("ok"));
    if (auto const pair = request.tuple<2>()) {
      auto const [what, argument] = *pair;
      auto const pid = argument.as_pid();
      if (what.is_atom("link") && pid) return me.link(*pid), ok;
      if (what.is_atom("unlink") && pid) return me.unlink(*pid), ok;
      if (what.is_atom("monitor"))
        if (auto const to = node::as_destination(argument)) return make(me.monitor(*to));
      if (what.is_atom("demonitor"))
        if (auto const ref = argument.as_reference()) return me.demonitor(*ref, false), ok;
    }
    if (auto const triple = request.tuple<3>()) {
      auto const [what, to, argument] = *triple;
      if (what.is_atom("send"))
        if (auto const where = node::as_destination(to)) return me.send(*where, etf::term(argument)), ok;
      if (what.is_atom("exit"))
        if (auto const pid = to.as_pid()) return me.exit_other(*pid, argument), ok;
    }
    return make(am("unknown"));
  }
  void handle_info(node::self /*me*/, etf::view message) override { log_.emplace_back(message); }

private:
  std::vector<etf::term> log_;
};

// client:*: the node as a client of others, driven by rpc. Answers are {ok, Value} or {error, Reason}.

base::duration milliseconds(std::int64_t ms) { return std::chrono::milliseconds(ms); }

etf::term answer_of(node::call_result const& r) {
  if (r) return make(tup(am("ok"), *r));
  return make(tup(am("error"), r.error().reason));
}

node::destination to_destination(etf::view term) {
  auto found = node::as_destination(term);
  if (!found) node::raise_error("badarg");
  return *found;
}

etf::atom to_atom(etf::view term) {
  if (!term.is_atom()) node::raise_error("badarg");
  return etf::atom(*term.atom_text());
}

std::string to_name(etf::view term) { return std::string(to_atom(term).text()); }

node::task<etf::term> client_call(node::self me, etf::term arguments) { // [Dest, Request, Ms]
  auto const [to, request, ms] = node::detail::spread<3>(arguments);
  auto const answer =
      co_await me.call(to_destination(to), etf::term(request), milliseconds(ms.integer().value_or(0)));
  co_return answer_of(answer);
}

node::task<etf::term> client_rpc(node::self me, etf::term arguments) { // [Node, M, F, A, Ms]
  auto const [node, module, function, args, ms] = node::detail::spread<5>(arguments);
  auto const answer = co_await me.rpc(to_atom(node), to_name(module), to_name(function), etf::term(args),
                                      milliseconds(ms.integer().value_or(0)));
  co_return answer_of(answer);
}

node::task<etf::term> client_spawn(node::self me,
                                   etf::term arguments) { // [Node, M, F, A, link | monitor | none]
  auto const [node, module, function, args, how] = node::detail::spread<5>(arguments);
  node::spawn_options const options{.link = how.is_atom("link"), .monitor = how.is_atom("monitor")};
  if (options.link) me.trap_exit(true);
  auto const child = co_await me.spawn_at(to_atom(node), to_name(module), to_name(function), etf::term(args),
                                          options, milliseconds(5000));
  if (!child) co_return make(tup(am("error"), child.error().reason));
  if (!options.link && !options.monitor) co_return make(tup(am("ok"), *child));
  auto const end = co_await me.receive_within(milliseconds(5000)); // its EXIT or DOWN
  if (!end) co_return make(tup(am("error"), am("timeout")));
  co_return make(tup(am("ok"), *child, *end));
}

node::task<etf::term> client_connect(node::self me, etf::term arguments) {
  bool const up = co_await me.connect(to_atom(*arguments->list()->next()));
  co_return make(up);
}

// [Dest, Bytes, Count, wait | push]: sends Count binaries; `wait` waits while the peer is busy, `push` does
// not. Answers {Sent, Busy, Dropped}.
node::task<etf::term> client_flood(node::self me, etf::term arguments) {
  auto const [to, size, number, how] = node::detail::spread<4>(arguments);
  auto const destination = to_destination(to);
  auto const peer = destination.pid ? destination.pid->node : destination.node;
  auto const message = make(std::string(static_cast<std::size_t>(size.integer().value_or(0)), 'x'));
  bool const wait = how.is_atom("wait");
  std::int64_t sent = 0;
  std::int64_t busy = 0;
  std::int64_t dropped = 0;
  for (auto left = number.integer().value_or(0); left > 0; --left) {
    auto const status = me.send(destination, message);
    ++(status == node::send_status::sent ? sent : status == node::send_status::busy ? busy : dropped);
    if (wait && status == node::send_status::busy) co_await me.writable(peer);
  }
  co_return make(tup(sent, busy, dropped));
}

// [Dest, Message size, Outstanding, Count]: {Self, Binary} to an echo process, Outstanding of them under way.
// Answers how many nanoseconds all of them took: a load that costs its sender little, for the benchmark.
node::task<etf::term> client_pipelined(node::self me, etf::term arguments) {
  auto const [to, size, outstanding, count] = node::detail::spread<4>(arguments);
  auto const destination = to_destination(to);
  auto const message =
      make(tup(me.pid(), std::string(static_cast<std::size_t>(size.integer().value_or(0)), 'x')));
  auto left = count.integer().value_or(0);
  auto const started = me.node().now();
  for (auto n = outstanding.integer().value_or(1); n > 0; --n) me.send(destination, message);
  for (left -= outstanding.integer().value_or(1); left > 0; --left) {
    co_await me.receive();
    me.send(destination, message);
  }
  for (auto n = outstanding.integer().value_or(1); n > 0; --n) co_await me.receive();
  co_return make(std::int64_t{(me.node().now() - started).count()});
}

void prepare(runtime& node) {
  node.spawn(node::serve(std::make_shared<echo>()), "echo", "testnode:init/1");
  node.spawn(node::serve(std::make_shared<sink>()), "sink", "testnode:init/1");
  node.spawn(node::serve(std::make_shared<trapper>()), "trapper", "testnode:init/1");
  auto& f = node.functions();
  f.add("calc", "add", [](std::int64_t a, std::int64_t b) { return a + b; });
  f.add("calc", "crash", [](etf::term const& reason) -> etf::term {
    throw node::raised{node::raised::kind::error, reason};
  });
  f.add("calc", "throw", [](etf::term const& term) -> etf::term {
    throw node::raised{node::raised::kind::throw_, term};
  });
  f.add("calc", "exit", [](etf::term const& reason) -> etf::term {
    throw node::raised{node::raised::kind::exit, reason};
  });
  f.add("calc", "print", 1, [](node::self me, etf::term arguments) -> node::task<etf::term> {
    co_await me.print(etf::print(*arguments->list()->next(), {.wide = false}) + "\n");
    co_return make(am("ok"));
  });
  f.add("client", "call", 3, client_call);
  f.add("client", "rpc", 5, client_rpc);
  f.add("client", "spawn", 5, client_spawn);
  f.add("client", "connect", 1, client_connect);
  f.add("client", "flood", 4, client_flood);
  f.add("client", "pipelined", 4, client_pipelined);
  f.add("calc", "spawn_echo",
        [&node] { return node.spawn(node::serve(std::make_shared<echo>()), {}, "testnode:init/1"); });
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app("testnode: a remora node for the tests");
  app.require_subcommand(1);
  cli::settings settings;
  std::string config;
  cli::add_run_options(*app.add_subcommand("run", "Serve"), settings, config);
  if (auto const code = cli::parse_command_line(app, argc, argv, settings, config)) return *code;
  return cli::run(settings, prepare);
}
