#include "node/server.hpp"

#include "node/core.hpp"

namespace remora::node {

namespace {

using etf::am;
using etf::lst;
using etf::make;
using etf::tup;

// While it lives, self::keep() knows which message is being handled.
struct handling {
  handling(process& a_process, etf::term const& message) : p(a_process) { p.current = &message; }
  handling(handling const&) = delete;
  handling& operator=(handling const&) = delete;
  ~handling() { p.current = nullptr; }
  process& p;
};

// One server's loop state: whether sys:suspend holds its messages back.
class loop {
public:
  loop(self me, server& behaviour) : me_(me), behaviour_(behaviour) {}

  void handle(etf::term const& message) {
    handling const now(me_.raw(), message);
    if (auto const triple = message->tuple<3>()) {
      auto const& [tag, from, request] = *triple;
      if (tag.is_atom("$gen_call") && from.arity() == 2U) return on_call({etf::term(from)}, request);
      if (tag.is_atom("system") && from.arity() == 2U) return on_system({etf::term(from)}, request);
    }
    if (auto const pair = message->tuple<2>(); pair && (*pair)[0].is_atom("$gen_cast"))
      return behaviour_.handle_cast(me_, (*pair)[1]);
    behaviour_.handle_info(me_, message);
  }

  // While suspended only system messages are looked at.
  self::pattern wanted() const {
    if (!suspended_) return {};
    return [](etf::view m) { return m.arity() == 3U && (*m.tuple<3>())[0].is_atom("system"); };
  }

private:
  void on_call(caller const& from, etf::view request) {
    if (auto const answer = behaviour_.handle_call(me_, from, request)) me_.reply(from, *answer);
  }

  void on_system(caller const& from, etf::view request) {
    auto const ok = make(am("ok"));
    if (request.is_atom("get_state")) return me_.reply(from, state_for(from));
    if (request.is_atom("get_status")) return me_.reply(from, status());
    if (request.is_atom("suspend") || request.is_atom("resume")) {
      suspended_ = request.is_atom("suspend");
      me_.raw().suspended = suspended_;
      return me_.reply(from, ok);
    }
    if (auto const pair = request.tuple<2>()) {
      if ((*pair)[0].is_atom("terminate")) {
        me_.reply(from, ok);
        me_.exit(etf::term((*pair)[1]));
      }
      if ((*pair)[0].is_atom("debug")) return me_.reply(from, ok); // nothing to trace with
      if ((*pair)[0].is_atom("replace_state"))
        return me_.reply(from, make(tup(am("error"), am("not_supported"))));
    }
    me_.reply(from, make(tup(am("error"), tup(am("unknown_system_msg"), request))));
  }

  // sys:get_state/1: OTP 27 wants {ok, State}; OTP 25 shows whatever comes, and its own servers answer the
  // bare State. Their requests differ only in the length of the alias in the tag [alias|Ref]: 3 words from
  // 25, 5 from 27.
  etf::term state_for(caller const& from) const {
    auto list = (*from.from->tuple<2>())[1].list();
    if (list && list->next() && list->left() == 0)
      if (auto const alias = list->tail().as_reference(); alias && alias->count <= 3)
        return behaviour_.state();
    return make(tup(am("ok"), behaviour_.state()));
  }

  // {status, Pid, {module, Mod}, [PDict, SysState, Parent, Debug, Misc]}, Misc as gen_server shows it.
  etf::term status() const {
    auto const& p = me_.raw();
    auto const name = p.name.empty() ? etf::atom(p.initial_call) : p.name;
    auto const title = "Status for generic server " + std::string(name.text());
    auto const data = make(tup(am("data"), lst(tup(etf::str("State"), behaviour_.state()))));
    auto const header = make(tup(am("header"), etf::str(title)));
    return make(tup(am("status"), me_.pid(), tup(am("module"), am("gen_server")),
                    lst(std::vector<int>{}, am(suspended_ ? "suspended" : "running"), me_.pid(),
                        std::vector<int>{}, lst(header, tup(am("data"), std::vector<int>{}), data))));
  }

  self me_;
  server& behaviour_;
  bool suspended_ = false;
};

bool abnormal(etf::view reason) {
  if (reason.is_atom("normal") || reason.is_atom("shutdown")) return false;
  auto const pair = reason.tuple<2>();
  return !pair || !(*pair)[0].is_atom("shutdown");
}

void stopped(self me, server& behaviour, etf::term const& reason) {
  behaviour.terminate(me, reason);
  if (!abnormal(reason)) return;
  auto const& p = me.raw();
  me.node().tell(process_crashed{.process = p.name.empty() ? p.initial_call : std::string(p.name.text()),
                                 .reason = reason});
}

} // namespace

body serve(std::shared_ptr<server> behaviour) {
  return [behaviour = std::move(behaviour)](self me) -> task<> {
    try {
      behaviour->init(me);
      loop messages(me, *behaviour);
      while (true) messages.handle(co_await me.receive(messages.wanted()));
    } catch (exit_process const& e) {
      stopped(me, *behaviour, e.reason);
      throw;
    }
  };
}

} // namespace remora::node
