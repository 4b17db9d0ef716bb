// How a call over erpc ended, as the door tells it: every cause apart.
//
//   {ok, Result}
//   {error, timeout}
//   {error, {nodedown, Node}}             no connection, or it was lost before the answer came
//   {error, {undef, {M, F, Arity}}}       the called function itself is not there; undef from deeper is
//   raised {error, {raised, Class, Reason}}      error | exit | throw {error, {badrpc, Term}} {signal,
//   Reason}: the process that ran it was killed from outside;
//                                         or what erpc itself refused (system_limit, notsup, ..)
//
// The failures that come in are those of node::self::rpc, which are what erpc:call/5 raises (erpc.erl,
// call_result/4 and result/4).
#pragma once

#include "node/process.hpp"

#include <string_view>

namespace remora::services {

struct rpc_target {
  etf::atom node;
  etf::atom module;
  etf::atom function;
  std::size_t arity = 0;
};

etf::term rpc_answer(rpc_target const& asked, node::call_result const& ended);

} // namespace remora::services
