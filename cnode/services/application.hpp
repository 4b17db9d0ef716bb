// The application beside this node: its VM, as long as a process over there stands for it. It says each half
// second that it is there; one that did and does not any more counts as hanging, which its connection would
// tell after a minute only.
#pragma once

#include "node/core.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace remora::services {

class application {
public:
  enum class change : std::uint8_t { here, gone, silent, heard_again };

  explicit application(node::core& node);
  void here(etf::pid const& who); // until it ends, or another takes its place
  void beat(etf::pid const& who);
  void set_silence_max(base::duration silence); // 2 s until it is set

  std::optional<std::string> vm() const; // its node's name
  bool silent() const;
  void observe(std::function<void(change, std::string const& vm)> told); // several may

private:
  struct shared;
  std::shared_ptr<shared> all_;
};

} // namespace remora::services
