// The registry of the node itself, services::names: what is really tested.
#include "sim/registry.hpp"

#if __has_include("services/names.hpp")

#include "etf/print.hpp"
#include "services/names.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::sim {

namespace {

class global_names : public registry {
public:
  explicit global_names(cluster& c) : c_(c) {}

  node::task<std::string> ask(member& on, node::self me, change wanted, etf::term name,
                              etf::pid pid) override {
    auto names = *on.services->names; // shared: it outlives the member
    services::names::outcome got;
    if (wanted == change::registers)
      got = co_await names.register_name(me, name, pid);
    else if (wanted == change::re_registers)
      got = co_await names.re_register_name(me, name, pid);
    else
      got = co_await names.unregister_name(me, name);
    co_return etf::print(services::to_term(got));
  }
  std::optional<etf::pid> whereis(member& on, etf::view name) override {
    auto const* const pid = on.services->names->whereis(name);
    return pid != nullptr ? std::optional(*pid) : std::nullopt;
  }
  std::vector<etf::term> names(member& on) override { return on.services->names->registered_names(); }

  node::task<bool> set_lock(member& on, node::self me, etf::term resource) override {
    auto names = *on.services->names;
    services::names::lock id;
    id.resource = resource;
    id.requester = etf::make(me.pid());
    bool const got = co_await names.set_lock(me, id);
    co_return got;
  }
  node::task<> del_lock(member& on, node::self me, etf::term resource) override {
    auto names = *on.services->names;
    services::names::lock id;
    id.resource = resource;
    id.requester = etf::make(me.pid());
    co_await names.del_lock(me, id);
  }

  bool joined() override {
    auto const all = c_.running();
    return std::all_of(all.begin(), all.end(), [&](auto* m) {
      std::vector<std::string> known;
      for (auto const& n : m->services->names->known()) known.emplace_back(n.text());
      std::sort(known.begin(), known.end());
      return known == c_.others(*m);
    });
  }

private:
  cluster& c_;
};

} // namespace

std::unique_ptr<registry> make_global(cluster& c) { return std::make_unique<global_names>(c); }

} // namespace remora::sim

#else

namespace remora::sim {
std::unique_ptr<registry> make_global(cluster&) { return nullptr; }
} // namespace remora::sim

#endif
