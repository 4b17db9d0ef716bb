// The door that an application's shim talks to: the gen_server `remora`. A request is an atom or a tuple
// whose first element is one; each service adds the requests that it answers, and anything else is answered
// {error, {unknown_request, Request}}, so that a newer shim learns it instead of waiting.
#pragma once

#include "node/core.hpp"
#include "node/server.hpp"

#include <functional>
#include <memory>
#include <string_view>

namespace remora::services {

class door {
public:
  // As server::handle_call: what it returns is the answer; nullopt promises me.reply(from, ..) for later.
  using handler =
      std::function<node::server::answer(node::self me, node::caller const& from, etf::view request)>;

  explicit door(node::core& node); // spawns it
  // Requests {tag, ...} of this arity; 0 is the atom alone. One handler each.
  void on(std::string_view tag, std::size_t arity, handler answer);

private:
  class behaviour;
  std::shared_ptr<behaviour> behaviour_;
};

} // namespace remora::services
