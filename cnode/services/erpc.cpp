// The entry points of erpc and rpc (lib/kernel/src/erpc.erl, execute_call/4 and execute_cast/3): a peer
// spawns them here, and the exit reason of the process is the answer.
#include "services/call.hpp"
#include "services/parts.hpp"

namespace remora::services {

using etf::am;
using etf::make;
using etf::tup;

namespace {

node::task<etf::term> execute_call(node::self me, etf::term arguments) {
  auto const [result, module, function, args] = node::detail::spread<4>(arguments);
  if (!module.is_atom() || !function.is_atom()) node::raise_error("badarg");
  auto const result_ref = etf::term(result);
  auto const o = co_await call_function(me, etf::atom(*module.atom_text()), etf::atom(*function.atom_text()),
                                        etf::term(args));
  switch (o.ended) {
  case outcome::how::returned: me.end_with(make(tup(result_ref, am("return"), o.value))); break;
  case outcome::how::threw: me.end_with(make(tup(result_ref, am("throw"), o.value))); break;
  case outcome::how::exit: me.end_with(make(tup(result_ref, am("exit"), o.value))); break;
  case outcome::how::error: me.end_with(make(tup(result_ref, am("error"), o.value, o.stack))); break;
  }
  co_return make(am("ok"));
}

node::task<etf::term> execute_cast(node::self me, etf::term arguments) {
  auto const [module, function, args] = node::detail::spread<3>(arguments);
  if (!module.is_atom() || !function.is_atom()) node::raise_error("badarg");
  auto const o = co_await call_function(me, etf::atom(*module.atom_text()), etf::atom(*function.atom_text()),
                                        etf::term(args));
  if (o.ended == outcome::how::error) me.end_with(make(tup(o.value, o.stack)));
  if (o.ended == outcome::how::exit) me.end_with(o.value);
  co_return make(am("ok"));
}

} // namespace

void install_erpc(node::core& node) {
  node.functions().add("erpc", "execute_call", 4, execute_call);
  node.functions().add("erpc", "execute_cast", 3, execute_cast);
}

} // namespace remora::services
