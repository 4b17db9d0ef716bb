#include "global/locking.hpp"

#include <algorithm>

namespace remora::global {

using etf::am;
using etf::make;
using etf::tup;

locking::result locking::begin(lock_id const& id, std::vector<etf::atom> const& nodes) {
  id_ = id;
  asked_ = nodes;
  calls_.abandon();
  bool const here = std::find(nodes.begin(), nodes.end(), s_.us) != nodes.end();
  if (here) {
    if (!s_.set_lock(*id.resource, *id.requester, s_.pid(as_))) {
      // Alone or not: refused. Of several nodes ours is looked at first, and the others are not asked.
      asked_.clear();
      return result::refused;
    }
  }
  auto const request = make(tup(am("set_lock"), id.whole()));
  for (auto const& node : nodes)
    if (node != s_.us) calls_.ask(node, *request);
  return look();
}

locking::result locking::look() {
  if (calls_.waiting()) return result::waiting;
  auto const replies = calls_.take_replies();
  bool const refused =
      std::any_of(replies.begin(), replies.end(), [](auto const& r) { return !r.second->is_atom("true"); });
  if (!refused) return result::held;
  auto const request = make(tup(am("del_lock"), id_.whole()));
  for (auto const& [node, said] : replies)
    if (said->is_atom("true")) free(node, *request);
  if (std::find(asked_.begin(), asked_.end(), s_.us) != asked_.end()) free(s_.us, *request);
  return result::refused;
}

void locking::give_up() {
  calls_.abandon();
  release(id_, asked_);
}

void locking::release(lock_id const& id, std::vector<etf::atom> const& nodes) {
  id_ = id;
  auto const request = make(tup(am("del_lock"), id.whole()));
  for (auto const& node : nodes) free(node, *request);
}

void locking::free(etf::atom const& node, etf::view request) {
  if (node == s_.us)
    s_.del_lock(*id_.resource, *id_.requester, s_.pid(as_));
  else
    calls_.tell(node, request);
}

} // namespace remora::global
