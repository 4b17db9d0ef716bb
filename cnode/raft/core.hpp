// Election: Raft's (Ongaro's thesis, 2014: chapters 3, 4.2.3, 6.4 and 9.6) without its log, with the logless
// reconfiguration of Schultz, Dardik and Tripakis (2021), leases, and a token that fences. Pure: messages,
// what is on disk, and time go in; messages, what is to be on disk, and news come out.
//
//   core e(identity{"remora_a@h"}, options, seed);
//   e.handle(start{state_of_the_file}, now, out)    carry out `out`
//   e.handle(peer_up{..}, now, out)                 for each peer that is connected
//   e.handle(message{..} | saved{..} | .., now, out)
//   e.handle(tick{}, now, out)                      at e.next_deadline()
#pragma once

#include "base/time.hpp"
#include "raft/types.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace remora::raft {

struct identity {
  std::string node;
};

class core {
public:
  core(identity self, options o, std::uint64_t seed, limits l = {});
  core(core const&) = delete;
  core& operator=(core const&) = delete;
  ~core();

  void handle(event const& e, base::time_point now, effects& out);
  std::optional<base::time_point> next_deadline() const;

  raft::status status(base::time_point now) const;
  // Does this node lead, and surely so at `now`? The time for which it surely goes on.
  base::duration lease_left(base::time_point now) const;
  struct holder {
    std::string node;
    std::uint64_t token = 0;
  };
  std::optional<holder> leader_of(std::string const& name) const; // a named election, as it was last told
  base::duration name_lease_left(std::uint64_t owner, base::time_point now) const;

  std::uint64_t malformed_count() const; // messages that were none, or that nobody may send

private:
  class machine;
  std::unique_ptr<machine> machine_;
};

} // namespace remora::raft
