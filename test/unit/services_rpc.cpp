// How the end of a call is told, each cause apart; and the gate of the log.
#include "etf/print.hpp"
#include "services/log_gate.hpp"
#include "services/rpc_outcome.hpp"
#include "support/frames.hpp"

#include <doctest/doctest.h>

using namespace remora;
using namespace remora::test;
using namespace std::chrono_literals;

namespace {

// The call was m:f(1, 2) on b@h.
std::string told(std::string_view failure) {
  services::rpc_target const asked{
      .node = etf::atom("b@h"), .module = etf::atom("m"), .function = etf::atom("f"), .arity = 2};
  return etf::print(services::rpc_answer(asked, node::call_failure::because(t(failure))));
}

} // namespace

TEST_CASE("rpc: what erpc says of a call, told apart") {
  services::rpc_target const asked{};
  CHECK(etf::print(services::rpc_answer(asked, node::call_result(t("{a,result}")))) == "{ok,{a,result}}");
  CHECK(told("{error,{erpc,timeout}}") == "{error,timeout}");
  CHECK(told("{error,{erpc,noconnection}}") == "{error,{nodedown,b@h}}");
  CHECK(told("{error,{erpc,system_limit}}") == "{error,{badrpc,system_limit}}");
  CHECK(told("{error,{erpc,notsup}}") == "{error,{badrpc,notsup}}");
  CHECK(told("{throw,x}") == "{error,{raised,throw,x}}");
  CHECK(told("{exit,{exception,x}}") == "{error,{raised,exit,x}}");
  CHECK(told("{exit,{signal,killed}}") == "{error,{badrpc,{signal,killed}}}");
  CHECK(told("{error,{exception,badarg,[{erlang,hd,[[]],[]}]}}") == "{error,{raised,error,badarg}}");
  CHECK(told("{error,{exception,{erpc,timeout},[]}}") == "{error,{raised,error,{erpc,timeout}}}");
  CHECK(told("{error,badarg}") == "{error,{badrpc,badarg}}");
  CHECK(told("what") == "{error,{badrpc,what}}");
}

TEST_CASE("rpc: undef is the called function's own, or raised by it") {
  CHECK(told("{error,{exception,undef,[{m,f,[1,2],[]}]}}") == "{error,{undef,{m,f,2}}}");
  CHECK(told("{error,{exception,undef,[{m,f,\"ab\",[]},{x,y,1,[]}]}}") == "{error,{undef,{m,f,2}}}");
  auto const raised = "{error,{raised,error,undef}}";
  CHECK(told("{error,{exception,undef,[{m,g,[1,2],[]},{m,f,2,[]}]}}") == raised); // deeper
  CHECK(told("{error,{exception,undef,[{m,f,[1],[]},{m,f,2,[]}]}}") == raised);   // of another arity
  CHECK(told("{error,{exception,undef,[{m,f,2,[{file,\"m.erl\"},{line,3}]}]}}") == raised); // error(undef)
  CHECK(told("{error,{exception,undef,[{m,f,[1,2],[{file,\"m.erl\"},{line,3}]}]}}") == raised);
  CHECK(told("{error,{exception,undef,[]}}") == raised);
  CHECK(told("{error,{exception,undef,nonsense}}") == raised);
}

TEST_CASE("log: so many lines at once, so many a second, and the rest is counted") {
  services::log_gate gate;
  base::time_point const start{};
  for (std::uint64_t i = 0; i < services::log_gate::burst; ++i) CHECK(gate.pass(start) == 0U);
  for (int i = 0; i < 10; ++i) CHECK_FALSE(gate.pass(start).has_value());
  CHECK_FALSE(gate.pass(start + 999us).has_value());
  CHECK(gate.pass(start + 1ms) == 11U); // one has been earned
  CHECK_FALSE(gate.pass(start + 1ms).has_value());
  std::uint64_t passed = 0;
  for (int i = 0; i < 40'000; ++i) passed += gate.pass(start + 1ms + i * 100us).has_value() ? 1U : 0U;
  CHECK(passed >= 3'999); // 4 s at the rate, and no more
  CHECK(passed <= 4'001);
  passed = 0;
  for (int i = 0; i < 10'000; ++i) passed += gate.pass(start + 100s).has_value() ? 1U : 0U;
  CHECK(passed == services::log_gate::burst); // what is not used is not saved up
}
