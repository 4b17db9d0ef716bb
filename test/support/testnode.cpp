// testnode: `remora run` with the native processes and functions that the suites of test/beam talk to. What each of
// them does is said in test/beam/testnode.erl and calc.erl, which play the same parts on a BEAM node.
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

void prepare(runtime& node) {
  node.spawn(node::serve(std::make_shared<echo>()), "echo", "testnode:init/1");
  node.spawn(node::serve(std::make_shared<sink>()), "sink", "testnode:init/1");
  node.spawn(node::serve(std::make_shared<trapper>()), "trapper", "testnode:init/1");
  auto& f = node.functions();
  f.add("calc", "add", [](std::int64_t a, std::int64_t b) { return a + b; });
  f.add("calc", "crash", [](etf::term const& reason) -> etf::term { throw node::raised{node::raised::kind::error, reason}; });
  f.add("calc", "throw", [](etf::term const& term) -> etf::term { throw node::raised{node::raised::kind::throw_, term}; });
  f.add("calc", "exit", [](etf::term const& reason) -> etf::term { throw node::raised{node::raised::kind::exit, reason}; });
  f.add("calc", "print", 1, [](node::self me, etf::term arguments) -> node::task<etf::term> {
    co_await me.print(etf::print(*arguments->list()->next(), {.wide = false}) + "\n");
    co_return make(am("ok"));
  });
  f.add("calc", "spawn_echo", [&node] { return node.spawn(node::serve(std::make_shared<echo>()), {}, "testnode:init/1"); });
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
