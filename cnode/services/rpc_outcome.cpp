#include "services/rpc_outcome.hpp"

namespace remora::services {

using etf::am;
using etf::make;
using etf::tup;

namespace {

template <class Why>
etf::term error(Why const& why) {
  return make(tup(am("error"), why));
}

// The stack of an undefined function begins with its own call, {M, F, Args, []}: arguments instead of an
// arity, because no such function was entered, and no place in a file. erpc cuts its own frames off
// (erpc.erl, trim_stack/4), so it is the first of what we get.
bool is_its_own(rpc_target const& asked, etf::view stack) {
  auto frames = stack.list();
  auto const first = frames ? frames->next() : std::nullopt;
  auto const frame = first ? first->tuple<4>() : std::nullopt;
  if (!frame) return false;
  auto const [module, function, arguments, place] = *frame;
  if (!module.is_atom(asked.module.text()) || !function.is_atom(asked.function.text())) return false;
  auto list = arguments.list();
  return list && list->left() == asked.arity && place.what() == etf::kind::nil;
}

// {exception, Reason, Stack}
etf::term raised_error(rpc_target const& asked, etf::view reason, etf::view stack) {
  if (reason.is_atom("undef") && is_its_own(asked, stack))
    return error(tup(am("undef"), tup(asked.module, asked.function, asked.arity)));
  return error(tup(am("raised"), am("error"), reason));
}

// {erpc, Why}
etf::term refused(rpc_target const& asked, etf::view why) {
  if (why.is_atom("timeout")) return error(am("timeout"));
  if (why.is_atom("noconnection")) return error(tup(am("nodedown"), asked.node));
  return error(tup(am("badrpc"), why));
}

etf::term failed(rpc_target const& asked, etf::view failure) {
  auto const pair = failure.tuple<2>();
  if (!pair) return error(tup(am("badrpc"), failure));
  auto const [kind, what] = *pair;
  if (kind.is_atom("throw")) return error(tup(am("raised"), am("throw"), what));
  if (auto const three = what.tuple<3>(); three && (*three)[0].is_atom("exception") && kind.is_atom("error"))
    return raised_error(asked, (*three)[1], (*three)[2]);
  auto const two = what.tuple<2>();
  if (two && kind.is_atom("exit") && (*two)[0].is_atom("exception"))
    return error(tup(am("raised"), am("exit"), (*two)[1]));
  if (two && kind.is_atom("error") && (*two)[0].is_atom("erpc")) return refused(asked, (*two)[1]);
  return error(tup(am("badrpc"), what));
}

} // namespace

etf::term rpc_answer(rpc_target const& asked, node::call_result const& ended) {
  return ended ? make(tup(am("ok"), *ended)) : failed(asked, ended.error().reason);
}

} // namespace remora::services
