// rex (lib/kernel/src/rpc.erl): what of rpc still goes through the server. rpc:call, cast and multicall of
// OTP 23 and later are spawn requests (services/erpc.cpp) and never come here.
#include "node/server.hpp"
#include "services/call.hpp"
#include "services/parts.hpp"

namespace remora::services {

using etf::am;
using etf::lst;
using etf::make;
using etf::tup;

namespace {

struct request {
  etf::atom module;
  etf::atom function;
  etf::term arguments;
  std::optional<etf::pid> leader; // what the function prints goes there
};

// {call | block_call | cast, M, F, A, GL}
std::optional<request> as_request(etf::view term, std::initializer_list<std::string_view> kinds) {
  auto const parts = term.tuple<5>();
  if (!parts) return std::nullopt;
  auto const kind = (*parts)[0].atom_text();
  if (!kind || std::find(kinds.begin(), kinds.end(), *kind) == kinds.end()) return std::nullopt;
  if (!(*parts)[1].is_atom() || !(*parts)[2].is_atom()) return std::nullopt;
  return request{etf::atom(*(*parts)[1].atom_text()), etf::atom(*(*parts)[2].atom_text()),
                 etf::term((*parts)[3]), (*parts)[4].as_pid()};
}

class rex : public node::server {
public:
  answer handle_call(node::self me, node::caller const& from, etf::view term) override {
    auto wanted = as_request(term, {"call", "block_call"});
    if (!wanted) return std::nullopt;
    me.spawn([from, w = std::move(*wanted)](node::self worker) -> node::task<> {
      if (w.leader) worker.set_leader(*w.leader);
      worker.reply(from, rpc_result(co_await call_function(worker, w.module, w.function, w.arguments)));
    });
    return std::nullopt;
  }

  void handle_cast(node::self me, etf::view term) override {
    auto wanted = as_request(term, {"cast"});
    if (!wanted) return;
    me.spawn([w = std::move(*wanted)](node::self worker) -> node::task<> {
      if (w.leader) worker.set_leader(*w.leader);
      co_await call_function(worker, w.module, w.function, w.arguments);
    });
  }

  void handle_info(node::self me, etf::view message) override {
    auto const pair = message.tuple<2>();
    if (!pair) return;
    auto const from = (*pair)[0].as_pid();
    if (!from) return;
    if ((*pair)[1].is_atom("features_request")) {
      me.send(*from, make(tup(am("features_reply"), me.node().name(), lst(am("erpc")))));
      return;
    }
    if (auto const send = (*pair)[1].tuple<3>()) return on_send(me, *from, *send);
    if (auto wanted = as_request((*pair)[1], {"call"})) { // C nodes
      me.spawn([from = *from, w = std::move(*wanted)](node::self worker) -> node::task<> {
        if (w.leader) worker.set_leader(*w.leader);
        auto const o = co_await call_function(worker, w.module, w.function, w.arguments);
        worker.send(from, make(tup(am("rex"), rpc_result(o))));
      });
    }
  }

private:
  // {sbcast, Name, Msg} and {send, Name, Msg}
  static void on_send(node::self me, etf::pid const& from, std::array<etf::view, 3> const& parts) {
    auto const name = parts[1].atom_text();
    if (!name) return;
    bool const sbcast = parts[0].is_atom("sbcast");
    if (!sbcast && !parts[0].is_atom("send")) return;
    auto const our_name = me.node().name();
    if (me.node().find_registered(*name) == nullptr) {
      me.send(from, make(tup(am("rex"), our_name, tup(am("nonexisting_name"), parts[1]))));
      return;
    }
    if (sbcast) {
      me.send(*name, etf::term(parts[2]));
      me.send(from, make(tup(am("rex"), our_name, our_name)));
    } else {
      me.send(*name, make(tup(from, parts[2])));
    }
  }
};

} // namespace

void install_rex(node::core& node) { node.spawn(node::serve(std::make_shared<rex>()), "rex", "rpc:init/1"); }

} // namespace remora::services
