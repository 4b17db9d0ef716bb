// A process that behaves as an OTP gen_server: calls, casts, other messages, sys:get_state/get_status and the
// rest of what tools send (gen_server.erl, sys.erl; protocol.md 5.1).
//
//   class counter : public server {
//     answer handle_call(self me, caller const&, etf::view request) override { return etf::make(++n_); }
//     etf::term state() const override { return etf::make(n_); }
//     int n_ = 0;
//   };
//   us.spawn(serve<counter>(), "counter");
//
// A handler runs to its end before the next message; it must not block. me.exit(reason) stops the server:
// terminate() runs, then its links and watchers are told.
#pragma once

#include "node/process.hpp"

#include <concepts>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace remora::node {

class server {
public:
  using answer = std::optional<etf::term>; // nullopt: me.reply(from, ..) comes later

  server() = default;
  server(server const&) = delete;
  server& operator=(server const&) = delete;
  virtual ~server() = default;

  // Before the first message. A server whose init exits is told of as one that ended.
  virtual void init(self /*me*/) {}
  // gen_server:call. What is returned is the answer; nullopt promises me.reply(from, ..) for later, for which
  // `from` is to be copied. The request is valid until the handler returns: keep an etf::term of what is to
  // stay.
  virtual answer handle_call(self me, caller const& from, etf::view request) = 0;
  // gen_server:cast. Without an override casts are dropped.
  virtual void handle_cast(self /*me*/, etf::view /*request*/) {}
  // Any other message: 'DOWN' of a monitor, 'EXIT' of a link where exits are trapped, what was sent with `!`.
  virtual void handle_info(self /*me*/, etf::view /*message*/) {}
  // After me.exit(reason) and sys:terminate. An exit signal, and the node's leaving, end the process where it
  // waits and destroy the behaviour: what must happen in any case belongs into the destructor.
  virtual void terminate(self /*me*/, etf::view /*reason*/) {}
  // What sys:get_state and sys:get_status show.
  virtual etf::term state() const { return etf::make(etf::am("undefined")); }
};

// The body of a process that serves: for runtime::spawn, core::spawn and self::spawn. The process shares the
// behaviour.
body serve(std::shared_ptr<server> behaviour);
// The same with a behaviour made of these arguments.
template <std::derived_from<server> Behaviour, class... Arguments>
body serve(Arguments&&... arguments) {
  return serve(std::make_shared<Behaviour>(std::forward<Arguments>(arguments)...));
}

} // namespace remora::node
