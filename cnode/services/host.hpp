// A process that hosts a core: it sleeps until the core's next deadline, hears messages, and does what came
// in the middle of something else once that is over (later()). What is derived from it owns the core and
// carries its effects out; it may be entered from outside of the process too, between two steps of the node.
#pragma once

#include "node/core.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace remora::services {

class host : public std::enable_shared_from_this<host> {
public:
  host(host const&) = delete;
  host& operator=(host const&) = delete;
  virtual ~host() = default;

  node::core& node() const { return node_; }
  void need_process(); // starts it, once
  bool has_process() const { return spawned_; }
  bool running() const { return self_.has_value(); } // the process has begun, and has not ended
  node::self self() const { return *self_; }         // only while it runs
  void later(std::function<void()> what);
  void rearm(); // after the core was touched: the process wakes at its next deadline

protected:
  // `name`: registered, so that others can send to it; empty: none.
  host(node::core& node, std::string_view name, std::string_view initial_call)
      : node_(node), name_(name), initial_call_(initial_call) {}

  virtual void began() {} // in the process, before all else
  virtual void hear(etf::term const& message) = 0;
  virtual std::optional<base::time_point> next_deadline() const = 0;
  virtual void tick() = 0; // a deadline has come
  virtual void ended() {}  // whatever ended the process

private:
  node::task<> serve(node::self me);
  void drain();

  node::core& node_;
  std::string name_;
  std::string initial_call_;
  std::optional<node::self> self_;
  bool spawned_ = false;
  bool woken_ = false;
  std::deque<std::function<void()>> queue_;
};

} // namespace remora::services
