#include "services/application.hpp"

#include "services/host.hpp"

#include <chrono>
#include <utility>
#include <vector>

namespace remora::services {

namespace {
// Who was not run itself does not know how long the others were silent: after such a gap they have some time.
constexpr auto late = std::chrono::milliseconds(100);
} // namespace

struct application::shared : host {
  explicit shared(node::core& node) : host(node, {}, "remora_application:init/1") {}

  struct front {
    etf::pid pid;
    etf::reference ref;
    std::string vm;
    bool silent = false;
  };
  std::optional<front> who{};
  std::optional<base::time_point> silent_at{}; // once it has beaten
  base::duration silence = std::chrono::seconds(2);
  std::vector<std::function<void(change, std::string const&)>> observers{};

  void tell(change what, std::string const& vm) const {
    for (auto const& told : observers) told(what, vm);
  }
  void leave() {
    auto const vm = who->vm;
    who.reset();
    silent_at.reset();
    tell(change::gone, vm);
  }
  void hear(etf::term const& message) override {
    auto const down = message->tuple<5>();
    auto const ref = down && (*down)[0].is_atom("DOWN") ? (*down)[1].as_reference() : std::nullopt;
    if (ref && who && who->ref == *ref) leave();
  }
  std::optional<base::time_point> next_deadline() const override { return silent_at; }
  void tick() override {
    auto const now = node().now();
    if (now - *silent_at > late) { // we are late ourselves
      silent_at = now + silence;
      return;
    }
    silent_at.reset();
    who->silent = true;
    tell(change::silent, who->vm);
  }
};

application::application(node::core& node) : all_(std::make_shared<shared>(node)) {}

void application::here(etf::pid const& who) {
  auto& a = *all_;
  a.need_process();
  if (a.who && a.who->pid == who) return;
  if (a.who) {
    a.self().demonitor(a.who->ref);
    a.leave();
  }
  a.who = shared::front{.pid = who, .ref = a.self().monitor(who), .vm = std::string(who.node.text())};
  a.tell(change::here, a.who->vm);
}

void application::beat(etf::pid const& who) {
  auto& a = *all_;
  if (!a.who || a.who->pid != who) return;
  a.silent_at = a.node().now() + a.silence;
  a.rearm();
  if (std::exchange(a.who->silent, false)) a.tell(change::heard_again, a.who->vm);
}

void application::set_silence_max(base::duration silence) { all_->silence = silence; }

std::optional<std::string> application::vm() const {
  return all_->who ? std::optional(all_->who->vm) : std::nullopt;
}
bool application::silent() const { return all_->who && all_->who->silent; }
void application::observe(std::function<void(change, std::string const& vm)> told) {
  all_->observers.push_back(std::move(told));
}

} // namespace remora::services
