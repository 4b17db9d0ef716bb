#include "services/host.hpp"

#include <utility>

namespace remora::services {

namespace {
constexpr std::string_view wake_message = "remora_wake"; // to itself
}

void host::need_process() {
  if (std::exchange(spawned_, true)) return;
  auto const pid =
      node_.spawn([us = shared_from_this()](node::self me) { return us->serve(me); }, name_, initial_call_);
  node_.set_vital(pid);
  self_.emplace(node_, *node_.find_process(pid));
}

node::task<> host::serve(node::self me) {
  self_.emplace(me);
  struct guard {
    explicit guard(std::shared_ptr<host> a) : us(std::move(a)) {}
    guard(guard const&) = delete;
    guard& operator=(guard const&) = delete;
    ~guard() {
      us->ended();
      us->self_.reset();
    }
    std::shared_ptr<host> us;
  };
  [[maybe_unused]] guard const ends(shared_from_this());
  began();
  drain();
  while (true) {
    auto const message = co_await me.receive_until(next_deadline());
    if (message && !(*message)->is_atom(wake_message)) hear(*message);
    drain();
    if (auto const when = next_deadline(); when && *when <= me.node().now()) tick();
  }
}

void host::later(std::function<void()> what) {
  queue_.push_back(std::move(what));
  if (self_ && !std::exchange(woken_, true))
    self_->send(self_->pid(), etf::make(etf::am(wake_message)), false);
}

void host::drain() {
  woken_ = false;
  while (!queue_.empty()) {
    auto const next = std::move(queue_.front());
    queue_.pop_front();
    next();
  }
}

void host::rearm() {
  if (self_) self_->wait_until(next_deadline());
}

} // namespace remora::services
