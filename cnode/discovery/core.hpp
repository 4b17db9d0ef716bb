// Discovery: reconciles what sources list with what is connected. Pure: answers, links that come and go, and
// requests go in; questions, attempts and news come out; the core says when it wants to be woken.
//
//   core d(identity{"remora_a@h", boot_id}, options, openssl_signer(), seed);
//   d.handle(link_up{..}, now, out)                       for each peer that is connected already
//   d.handle(app_here{"a@h"}, now, out)                   if there is one, and link_up for its peers
//   d.handle(start{wall}, now, out)                       carry out `out`
//   d.handle(tick{wall}, now, out)                        at d.next_deadline()
//   d.handle(answered{..} | link_up{..} | .., now, out)   as they come
//
// What it promises (test/sim/discovery.hpp checks each of these):
//
//  - A round asks all sources at once: at the start, each poll_interval with jitter, and when somebody
//  refreshes. Each
//    source counts by itself: what it lists is dialled when it has answered, however slow another one is.
//  - An answer that failed, that is a part, or that is empty only ever adds nodes. A complete one that lists
//  somebody
//    lets the source forget, after `grace` of them, whom it no longer lists. (A multicast group is never
//    complete: who falls silent there is not dialled any more, and not disconnected either.)
//  - Disconnected is who no source lists and one has so forgotten, and only if an attempt from here made the
//  link.
//    Never this node's own app. keep_missing_nodes: nobody.
//  - A lost peer that is listed is dialled at once and then by back-off, whether a round is due or not; a
//  request and a
//    first listing do not wait for back-off, a poll does.
//  - A round ends when all attempts that are under way have, at dial_timeout at the latest. A refresh shares
//  a round
//    that still asks, and else gets the next. Every request is answered.
//  - pause stops asking and dialling, shutdown ends them until the next start; links stay, and are followed.
//
// Where to look: lookup (what sources ask, and what answers say), asking (one source's questions), nodes (who
// lists whom), dialler (which link is made when), gossip (the multicast group), core.cpp (rounds and
// requests).
#pragma once

#include "base/time.hpp"
#include "discovery/seal.hpp"
#include "discovery/types.hpp"

#include <cstddef>
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
  std::size_t known_count() const; // nodes of which anything is kept

private:
  class machine;
  std::unique_ptr<machine> machine_;
};

} // namespace remora::discovery
