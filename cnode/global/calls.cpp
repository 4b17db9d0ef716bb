#include "global/calls.hpp"

#include <algorithm>

namespace remora::global {

using etf::am;
using etf::imp;

void calls::ask(etf::atom const& node, etf::view request) {
  etf::destination const to(server_name, node.text());
  if (watched_.insert(node).second) s_.emit(watch{as_, to});
  auto const tag = s_.next_id();
  open_.emplace_back(tag, node);
  s_.emit(send{as_, to, gen_call(s_.pid(as_), tag, request), false}); // the watch dials
}

void calls::tell(etf::atom const& node, etf::view request) {
  etf::reference const nobody{.node = node, .creation = s_.creation_of(node), .count = 3, .words = {}};
  s_.emit(send{as_, etf::destination(server_name, node.text()),
               gen_call(s_.pid(as_), imp(am("alias"), nobody), request), false});
}

bool calls::heard(etf::view message) {
  auto const pair = message.tuple<2>();
  if (!pair) return false;
  auto const tag = (*pair)[0].unsigned_integer();
  if (!tag) return false;
  auto const found = std::find_if(open_.begin(), open_.end(), [&](auto const& o) { return o.first == *tag; });
  if (found == open_.end()) return false;
  replies_.emplace_back(found->second, etf::term((*pair)[1]));
  open_.erase(found);
  return true;
}

bool calls::gone(etf::atom const& node) {
  return std::erase_if(open_, [&](auto const& o) { return o.second == node; }) > 0;
}

std::vector<etf::atom> calls::silent() const {
  std::vector<etf::atom> out;
  for (auto const& [tag, node] : open_)
    if (std::find(out.begin(), out.end(), node) == out.end()) out.push_back(node);
  return out;
}

void calls::abandon() {
  open_.clear();
  replies_.clear();
}

void calls::end() {
  abandon();
  for (auto const& node : watched_) s_.emit(unwatch{as_, etf::destination(server_name, node.text())});
  watched_.clear();
}

} // namespace remora::global
