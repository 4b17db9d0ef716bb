// The door: one table of requests.
#include "services/door.hpp"

#include "base/check.hpp"

#include <map>
#include <string>
#include <utility>

namespace remora::services {

class door::behaviour : public node::server {
public:
  using key = std::pair<std::string, std::size_t>;
  std::map<key, handler, std::less<>> handlers;

  answer handle_call(node::self me, node::caller const& from, etf::view request) override {
    auto const arity = request.arity();
    auto const tag = arity && *arity > 0 ? request.element(0)->atom_text() : request.atom_text();
    if (tag)
      if (auto const found = handlers.find(key(*tag, arity.value_or(0))); found != handlers.end())
        return found->second(me, from, request);
    return etf::make(etf::tup(etf::am("error"), etf::tup(etf::am("unknown_request"), request)));
  }
};

door::door(node::core& node) : behaviour_(std::make_shared<behaviour>()) {
  node.spawn(node::serve(behaviour_), "remora", "remora:init/1");
}

void door::on(std::string_view tag, std::size_t arity, handler answer) {
  bool const fresh = behaviour_->handlers.emplace(behaviour::key(tag, arity), std::move(answer)).second;
  base::check(fresh, "door: one handler for each request");
}

} // namespace remora::services
