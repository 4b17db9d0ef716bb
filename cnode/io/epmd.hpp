// Carries dist/epmd.hpp: one-shot questions to the epmd of any host, and our own registration with the local
// one.
#pragma once

#include "base/result.hpp"
#include "discovery/types.hpp"
#include "dist/epmd.hpp"
#include "io/asio.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace remora::io {

std::uint16_t epmd_port_of(std::uint16_t given); // 0: ERL_EPMD_PORT, else 4369

struct lookup_result {
  std::uint16_t port = 0;
  std::vector<asio::ip::address> addresses; // of the host; the one that answered comes first
  std::string error;                        // when port is 0: what was tried and what was found
  std::string_view word;                    // the same in one word
};
// Asks the epmd of the node's host for its port.
asio::awaitable<lookup_result> lookup(std::string node, std::uint16_t epmd_port);

struct names_result {
  std::vector<dist::epmd::registered_name> names;
  std::string error;
};
asio::awaitable<names_result> names(std::string host, std::uint16_t epmd_port);

// The same of a host whose addresses are known, with the cause apart.
using names_answer = base::result<std::vector<std::string>, discovery::failed>;
asio::awaitable<names_answer> names_at(std::string host, std::vector<asio::ip::address> addresses,
                                       std::uint16_t epmd_port);
std::vector<asio::ip::address> local_addresses(); // where this machine's epmd listens

// Keeps the node registered. `told` hears registered (with the creation), refused, lost and registered_again;
// what cannot be reached at the start is unreachable with the reason.
class registration : public std::enable_shared_from_this<registration> {
public:
  enum class news : std::uint8_t { registered, refused, unreachable, lost, registered_again };
  using listener = std::function<void(news, std::uint32_t creation, std::string const& detail)>;

  registration(asio::io_context& context, std::string name, std::uint16_t port, std::uint16_t epmd_port,
               listener told);
  void start();
  void stop();

private:
  void carry_out(std::vector<dist::epmd::registration::effect>& effects);
  asio::awaitable<void> session(std::shared_ptr<registration> self);
  void arm();

  dist::epmd::registration machine_;
  std::uint16_t epmd_port_;
  listener told_;
  tcp::socket socket_;
  asio::steady_timer timer_;
  bool stopped_ = false;
  bool ever_registered_ = false;
};

} // namespace remora::io
