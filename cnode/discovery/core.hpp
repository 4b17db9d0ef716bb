// Discovery: reconciles what sources list with what is connected. Pure: answers, links that come and go, and
// requests go in; questions, attempts and news come out; the core says when it wants to be woken.
//
//   core d(identity{"remora_a@h", ..}, options, openssl_signer(), seed);
//   d.handle(link_up{..}, now, out)                       for each peer that is connected already
//   d.handle(start{wall}, now, out)                       carry out `out`
//   d.handle(tick{wall}, now, out)                        at d.next_deadline()
//   d.handle(answered{..} | link_up{..} | .., now, out)   as they come
#pragma once

#include "base/time.hpp"
#include "discovery/seal.hpp"
#include "discovery/types.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace remora::discovery {

struct identity {
  std::string node;          // this node's name
  std::uint64_t boot_id = 0; // of this start of the program, drawn by the operating system
};

class core {
public:
  core(identity self, options o, signer crypto, std::uint64_t seed); // the options are right: find_wrong
  core(core const&) = delete;
  core& operator=(core const&) = delete;
  ~core();

  void handle(event const& e, base::time_point now, effects& out);
  std::optional<base::time_point> next_deadline() const;

  discovery::status status() const;

private:
  class machine;
  std::unique_ptr<machine> machine_;
};

} // namespace remora::discovery
