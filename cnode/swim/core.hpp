// Membership: SWIM (Das, Gupta, Motivala 2002) with Lifeguard (Dadgar, Phillips, Currey 2018). Pure: packets,
// connections that come and go, and time go in; packets and verdicts come out; the core says when it wants to
// be woken.
//
//   core m(identity{"remora_a@h", creation, address}, options, directory, seed);
//   m.handle(peer_up{..}, now, out)          for each peer that is connected already
//   m.handle(start{wall}, now, out)          carry out `out`
//   m.handle(tick{}, now, out)               at m.next_deadline()
//   m.handle(packet{..} | peer_up{..} | .., now, out)   as they come
#pragma once

#include "base/time.hpp"
#include "swim/types.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace remora::swim {

// What is said of nodes, kept once however many cores of a process hold it (the simulator's ten thousand).
class directory;
std::shared_ptr<directory> make_directory();

struct identity {
  std::string node;
  std::uint32_t creation = 0;
  address at; // as others reach it
};

class core {
public:
  core(identity self, options o, std::shared_ptr<directory> shared, std::uint64_t seed, limits l = {});
  core(core const&) = delete;
  core& operator=(core const&) = delete;
  ~core();

  void handle(event const& e, base::time_point now, effects& out);
  std::optional<base::time_point> next_deadline() const;

  std::vector<member> members() const; // all, this node included, sorted by name
  std::optional<member> find(std::string_view node) const;
  void each(std::function<void(member const&)> const& visit) const; // in no order
  std::size_t count(status s) const;
  std::string leader() const;
  swim::metrics const& metrics() const;
  self_health health() const;
  std::uint64_t view() const; // a digest of who is there, as far as it knows: who has the same knows the same

  // For simulators of thousands, after start: takes over what another core of the same directory knows of
  // others, as a push-pull would, without a word about it.
  void know_the_same_as(core const& other);

private:
  class machine;
  std::unique_ptr<machine> machine_;
};

} // namespace remora::swim
