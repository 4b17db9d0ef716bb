// net_kernel (lib/kernel/src/net_kernel.erl): answers net_adm:ping, which asks is_auth with an infinite
// timeout.
#include "node/server.hpp"
#include "services/parts.hpp"

namespace remora::services {

namespace {

class net_kernel : public node::server {
public:
  net_kernel(node::core& node, about const& program) : node_(node), tick_ms_(program.net_tick_time * 1000) {}

  answer handle_call(node::self /*me*/, node::caller const& /*from*/, etf::view request) override {
    if (auto const pair = request.tuple<2>(); pair && (*pair)[0].is_atom("is_auth"))
      return etf::make(etf::am("yes"));
    if (request.is_atom("nodename")) return etf::make(node_.name());
    if (request.is_atom("longnames"))
      return etf::make(node_.name().text().find('.') != std::string_view::npos);
    if (request.is_atom("ticktime")) return etf::make(tick_ms_);
    return std::nullopt; // as OTP: unknown requests are ignored
  }
  etf::term state() const override { return etf::make(etf::tup(etf::am("state"), node_.name())); }

private:
  node::core& node_;
  std::int64_t tick_ms_;
};

} // namespace

void install_net_kernel(node::core& node, about const& program) {
  node.spawn(node::serve(std::make_shared<net_kernel>(node, program)), "net_kernel", "net_kernel:init/1");
}

} // namespace remora::services
