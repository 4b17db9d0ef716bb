// How a signal of ours reaches a peer: straight into its outbox, or into its queue while it is being dialled.
#pragma once

#include "node/core.hpp"

namespace remora::node {

// `write_control` gets a builder and the peer, whose flags decide between old and new forms.
template <class Write>
send_status core::signal_to(std::string_view node, std::uint64_t sender, bool dial, Write write_control,
                            dist::payload const& payload) {
  auto* p = find_peer(node);
  if (p == nullptr && dial) p = want_peer(etf::atom(node));
  if (p == nullptr) return send_status::dropped;
  scratch_.clear();
  write_control(scratch_, *p);
  if (p->where != peer::state::up) return queue_signal(*p, sender, etf::view(scratch_.bytes()), payload);
  auto& out = p->wire->wire->out();
  if (out.overflown()) return send_status::dropped; // it is given up at the end of this step
  out.push(sender, scratch_.bytes(), payload);
  ++counts_.signals_out;
  mark_writable(*p->wire);
  if (out.overflown()) {
    overflown_.push_back(p->connection);
    return send_status::dropped;
  }
  return out.busy() ? send_status::busy : send_status::sent;
}

} // namespace remora::node
