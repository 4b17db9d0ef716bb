#include "node/effects.hpp"

#include "etf/print.hpp"

#include <fmt/format.h>

namespace remora::node {

namespace {
struct line {
  std::string operator()(dial const& e) const { return fmt::format("dial {} ({})", e.node, e.connection); }
  std::string operator()(hang_up const& e) const { return fmt::format("hang up {}", e.connection); }
  std::string operator()(resume_reading const& e) const {
    return fmt::format("resume reading {}", e.connection);
  }
  std::string operator()(peer_up const& e) const {
    return fmt::format("{} up{}{}", e.node, e.hidden ? " (hidden)" : "", e.incoming ? ", it connected" : "");
  }
  std::string operator()(peer_down const& e) const {
    return fmt::format("{} down: {}{}{}", e.node, e.reason, e.detail.empty() ? "" : ": ", e.detail);
  }
  std::string operator()(handshake_failed const& e) const {
    return fmt::format("handshake with {} failed: {}{}{}", e.node.empty() ? "an unnamed peer" : e.node,
                       e.reason, e.detail.empty() ? "" : ": ", e.detail);
  }
  std::string operator()(dial_failed_notice const& e) const {
    return fmt::format("no connection to {}: {}", e.node, e.reason);
  }
  std::string operator()(process_crashed const& e) const {
    return fmt::format("process {} crashed", e.process);
  }
  std::string operator()(vital_ended const& e) const {
    return fmt::format("{} ended: {}; the node is nothing without it, and leaves", e.process,
                       etf::print(e.reason));
  }
  std::string operator()(output const& e) const { return e.text; }
  std::string operator()(notice const& e) const { return e.text; }
  std::string operator()(remote_log const& e) const {
    return fmt::format("{} from {}: {}", e.level, e.node, e.text);
  }
};
} // namespace

std::string describe(effect const& e) { return std::visit(line{}, e); }

} // namespace remora::node
