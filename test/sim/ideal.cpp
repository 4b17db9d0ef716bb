// One table for all nodes, at once. No cluster can have it, which is why only tests do.
#include "sim/registry.hpp"

#include "etf/print.hpp"

#include <algorithm>

namespace remora::sim {

using namespace std::chrono_literals;

namespace {

class ideal : public registry {
public:
  explicit ideal(cluster& c) : c_(c) {}

  node::task<std::string> ask(member&, node::self me, change wanted, etf::term name, etf::pid pid) override {
    co_await me.sleep(c_.up_to(20ms));
    if (c_.mutated("stuck_registration")) co_await me.sleep(1000h);
    auto const key = etf::print(name);
    auto& e = names_[key];
    e.name = name;
    bool const taken = e.pid && c_.alive(*e.pid);
    bool const named =
        std::any_of(names_.begin(), names_.end(), [&](auto const& other) { return other.second.pid == pid; });
    if (wanted == change::unregisters) {
      e.pid.reset();
      co_return std::string("yes");
    }
    if (wanted == change::registers) {
      if (c_.mutated("needless_no") && c_.chance(5)) co_return std::string("no");
      if ((taken || named) && !c_.mutated("two_yes")) co_return std::string("no");
    }
    if (!c_.mutated("lost_name") || !c_.chance(10)) e.pid = pid;
    co_return std::string("yes");
  }

  std::optional<etf::pid> whereis(member& on, etf::view name) override {
    auto const found = names_.find(etf::print(name));
    if (found == names_.end() || !found->second.pid) return std::nullopt;
    auto const& e = found->second;
    if (c_.mutated("blind_node") && &on == &c_.members()[0] && e.pid->node != on.core->name())
      return std::nullopt;
    if (c_.mutated("ghost_name") || c_.alive(*e.pid)) return e.pid;
    return std::nullopt;
  }

  std::vector<etf::term> names(member& on) override {
    std::vector<etf::term> out;
    for (auto const& [key, e] : names_)
      if (whereis(on, *e.name)) out.push_back(e.name);
    return out;
  }

  node::task<bool> set_lock(member&, node::self me, etf::term resource) override {
    auto const key = etf::print(resource);
    while (true) {
      co_await me.sleep(c_.up_to(20ms));
      auto& holder = locks_[key];
      if (!holder || !c_.alive(*holder) || c_.mutated("shared_lock")) {
        holder = me.pid();
        co_return true;
      }
      if (c_.mutated("lost_lock")) co_return false;
    }
  }
  node::task<> del_lock(member&, node::self me, etf::term resource) override {
    auto& holder = locks_[etf::print(resource)];
    if (holder == me.pid() && !c_.mutated("lost_lock")) holder.reset();
    if (c_.mutated("lost_lock")) co_await me.sleep(1000h); // it lives on, and so does its lock
    co_return;
  }
  bool joined() override { return true; }

private:
  struct entry {
    etf::term name;
    std::optional<etf::pid> pid;
  };
  cluster& c_;
  std::map<std::string, entry> names_;
  std::map<std::string, std::optional<etf::pid>> locks_;
};

} // namespace

std::unique_ptr<registry> make_ideal(cluster& c) { return std::make_unique<ideal>(c); }

} // namespace remora::sim
