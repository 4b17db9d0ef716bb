#include "io/event.hpp"

#include "etf/print.hpp"

namespace remora::io {

namespace {

level level_of(std::string const& otp) {
  if (otp == "debug") return level::debug;
  if (otp == "info") return level::info;
  if (otp == "notice") return level::notice;
  if (otp == "warning") return level::warning;
  return level::error;
}

struct converter {
  std::string text;

  event operator()(node::dial const& e) const { return {level::debug, "dial", text, {{"peer", e.node}}}; }
  event operator()(node::hang_up const&) const { return {level::debug, "hang_up", text, {}}; }
  event operator()(node::resume_reading const&) const { return {level::debug, "resume_reading", text, {}}; }
  event operator()(node::peer_up const& e) const {
    return {level::info, "peer_up", text, {{"peer", e.node}, {"hidden", e.hidden ? "true" : "false"}}};
  }
  event operator()(node::peer_down const& e) const {
    return {level::info, "peer_down", text, {{"peer", e.node}, {"reason", e.reason}, {"detail", e.detail}}};
  }
  event operator()(node::handshake_failed const& e) const {
    return {level::warning,
            "handshake_failed",
            text,
            {{"peer", e.node}, {"reason", e.reason}, {"detail", e.detail}}};
  }
  event operator()(node::dial_failed_notice const& e) const {
    return {level::warning, "dial_failed", text, {{"peer", e.node}, {"reason", e.reason}}};
  }
  event operator()(node::process_crashed const& e) const {
    auto const reason = etf::print(e.reason);
    return {
        level::error, "process_crashed", text + ": " + reason, {{"process", e.process}, {"reason", reason}}};
  }
  event operator()(node::output const& e) const { return {level::info, "output", e.text, {}}; }
  event operator()(node::notice const& e) const { return {level_of(e.level), e.event, text, e.fields}; }
  event operator()(node::remote_log const& e) const {
    return {level_of(e.level), "remote_log", text, {{"peer", e.node}}};
  }
};

} // namespace

event to_event(node::effect const& e) { return std::visit(converter{node::describe(e)}, e); }

} // namespace remora::io
