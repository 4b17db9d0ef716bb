// A native service for a BEAM cluster: the function calc:add/2, a gen_server, and a watch on a process.
//   calc NAME@HOST [REGISTERED_NAME NODE]
#include <remora.hpp>

#include <cstdio>

using namespace remora;

class counter : public node::server {
  answer handle_call(node::self me, node::caller const&, etf::view request) override {
    if (request.is_atom("crash")) me.exit("crashed");
    return etf::make(++calls_);
  }
  etf::term state() const override { return etf::make(calls_); } // for sys:get_state
  std::int64_t calls_ = 0;
};

node::task<> watch(node::self me, node::destination other) {
  me.monitor(other);
  auto const answer = co_await me.call(other, etf::make(etf::am("hello")), std::chrono::seconds(5));
  std::printf("it answered %s\n", etf::print(answer ? *answer : answer.error().reason).c_str());
  auto const down = co_await me.receive(); // {'DOWN', Ref, process, {Name, Node}, Reason}
  std::printf("it ended: %s\n", etf::print(*down->element(4)).c_str());
}

int main(int argc, char** argv) {
  if (argc != 2 && argc != 4) return std::fputs("usage: calc NAME@HOST [REGISTERED_NAME NODE]\n", stderr), 2;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  runtime service({.name = argv[1]}); // the cookie and epmd's port as OTP finds them
  service.functions().add("calc", "add", [](std::int64_t a, std::int64_t b) { return a + b; });
  service.spawn(node::serve<counter>(), "counter");
  if (argc == 4) service.spawn([=](node::self me) { return watch(me, {argv[2], argv[3]}); });
  service.on_ready([](auto const& at) { std::printf("ready on port %d\n", at.port); });
  auto const ended = service.run(); // until SIGTERM
  if (ended.status == run_status::left) return 0;
  return std::fprintf(stderr, "calc: %s\n", ended.detail.c_str()), 1;
}
