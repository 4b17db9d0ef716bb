#include "services/call.hpp"

namespace remora::services {

using etf::am;
using etf::lst;
using etf::make;
using etf::tup;

namespace {

bool proper_list(etf::view term, std::size_t& length) {
  auto list = term.list();
  if (!list) return false;
  length = list->left();
  while (list->next()) {
  }
  return list->tail().what() == etf::kind::nil;
}

// [{Module, Function, ArgsOrArity, []}]
etf::term stack_of(etf::atom const& module, etf::atom const& function, etf::view arguments) {
  return make(lst(tup(module, function, arguments, std::vector<int>{})));
}

// Made by functions, not in braces within the coroutine: GCC 12 destroys the parts of such an aggregate
// twice.
outcome error_of(etf::term reason, etf::term stack) {
  return {.ended = outcome::how::error, .value = std::move(reason), .stack = std::move(stack)};
}
outcome returned(etf::term value) {
  return {.ended = outcome::how::returned, .value = std::move(value), .stack = {}};
}
outcome exited(etf::term reason) {
  return {.ended = outcome::how::exit, .value = std::move(reason), .stack = {}};
}

outcome raised_outcome(node::raised const& r, etf::term stack) {
  switch (r.how) {
  case node::raised::kind::error: return error_of(r.reason, std::move(stack));
  case node::raised::kind::exit: return exited(r.reason);
  case node::raised::kind::throw_: return {.ended = outcome::how::threw, .value = r.reason, .stack = {}};
  }
  return {};
}

} // namespace

node::task<outcome> call_function(node::self me, etf::atom module, etf::atom function, etf::term arguments) {
  std::size_t count = 0;
  if (!proper_list(arguments, count)) co_return error_of(make(am("badarg")), make(std::vector<int>{}));
  auto const* const f = me.node().functions().find(module.text(), function.text(), count);
  if (f == nullptr) co_return error_of(make(am("undef")), stack_of(module, function, arguments));
  try {
    auto value = co_await (*f)(me, arguments);
    co_return returned(std::move(value));
  } catch (node::raised const& r) {
    co_return raised_outcome(r, stack_of(module, function, arguments));
  } catch (node::exit_process const& e) {
    co_return exited(e.reason);
  } catch (std::exception const& e) { // a bug of that function; the caller hears of it as of any error
    co_return error_of(make(tup(am("cpp_exception"), e.what())), stack_of(module, function, arguments));
  }
}

etf::term rpc_result(outcome const& o) {
  auto const badrpc = [](etf::view reason) { return make(tup(am("badrpc"), tup(am("EXIT"), reason))); };
  switch (o.ended) {
  case outcome::how::error: return badrpc(make(tup(o.value, o.stack)));
  case outcome::how::exit: return badrpc(o.value);
  case outcome::how::returned:
  case outcome::how::threw: return o.value;
  }
  return o.value;
}

} // namespace remora::services
