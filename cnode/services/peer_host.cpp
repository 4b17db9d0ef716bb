#include "services/peer_host.hpp"

#include "etf/builder.hpp"
#include "etf/reader.hpp"

#include <utility>

namespace remora::services {

void peer_host::need_peers() {
  if (has_process()) return;
  node().observe_peers([all = weak_from_this(), this](node::effect const& e) {
    if (auto const us = all.lock()) on_peer(e);
  });
  need_process();
}

void peer_host::send_peer(std::string const& node, std::string const& bytes) {
  if (!running() || !this->node().connected(node)) return;
  self().send(node::destination(name_, node), etf::make(etf::tup(etf::am(tag_), self().pid(), bytes)), false);
}

void peer_host::hear(etf::term const& message) {
  auto const three = message->tuple<3>();
  if (!three || !(*three)[0].is_atom(tag_)) return hear_other(message);
  auto const from = (*three)[1].as_pid();
  auto const bytes = (*three)[2].binary();
  if (wants_peers() && from && bytes)
    peer_said(std::string(from->node.text()), std::string(base::as_text(*bytes)));
}

void peer_host::on_peer(node::effect const& e) {
  if (!wants_peers()) return;
  if (auto const* const up = std::get_if<node::peer_up>(&e); up != nullptr && !up->hidden)
    later([this, peer = up->node] { peer_came(peer); });
  if (auto const* const down = std::get_if<node::peer_down>(&e))
    later([this, peer = down->node, why = down->word.empty() ? down->reason : down->word] {
      peer_went(peer, why);
    });
}

} // namespace remora::services
