// A process that behaves as an OTP gen_server: calls, casts, other messages, sys:get_state/get_status and the rest of
// what tools send (gen_server.erl, sys.erl; protocol.md 5.1).
//
//   class counter : public server {
//     answer handle_call(self me, caller const&, etf::view request) override { return etf::make(++n_); }
//     etf::term state() const override { return etf::make(n_); }
//     int n_ = 0;
//   };
//   node.spawn(serve(std::make_shared<counter>()), "counter", "counter");
//
// A handler runs to its end before the next message; it must not block. me.exit(reason) stops the server: terminate()
// runs, then its links and watchers are told.
#pragma once

#include "node/process.hpp"

#include <memory>
#include <optional>
#include <string_view>

namespace remora::node {

class server {
public:
  using answer = std::optional<etf::term>; // nullopt: me.reply(from, ..) comes later

  server() = default;
  server(server const&) = delete;
  server& operator=(server const&) = delete;
  virtual ~server() = default;

  virtual void init(self /*me*/) {}
  virtual answer handle_call(self me, caller const& from, etf::view request) = 0;
  virtual void handle_cast(self /*me*/, etf::view /*request*/) {}
  virtual void handle_info(self /*me*/, etf::view /*message*/) {}
  virtual void terminate(self /*me*/, etf::view /*reason*/) {}
  // What sys:get_state and sys:get_status show.
  virtual etf::term state() const { return etf::make(etf::am("undefined")); }
};

body serve(std::shared_ptr<server> behaviour);

} // namespace remora::node
