// A host whose process talks with those of the same name on other nodes: {Tag, Pid, Bytes}, over the
// connections. Hidden peers take no part. What happens in the middle of a step is heard after it.
#pragma once

#include "services/host.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace remora::services {

class peer_host : public host {
public:
  void need_peers(); // starts the process, and hears of peers from now on

protected:
  // `name` and `tag` outlive it.
  peer_host(node::core& node, std::string_view name, std::string_view tag, std::string_view initial_call)
      : host(node, name, initial_call), name_(name), tag_(tag) {}

  std::vector<std::string> peers() const { return node().peers(true, false); }
  void send_peer(std::string const& node, std::string const& bytes); // dropped when it is not connected

  virtual bool wants_peers() const = 0; // else none of what follows is heard
  virtual void peer_came(std::string const& node) = 0;
  virtual void peer_went(std::string const& node, std::string const& reason) = 0;
  virtual void peer_said(std::string node, std::string bytes) = 0;
  virtual void hear_other(etf::term const&) {}

private:
  void hear(etf::term const& message) final;
  void on_peer(node::effect const& e);

  std::string_view name_;
  std::string_view tag_;
};

} // namespace remora::services
