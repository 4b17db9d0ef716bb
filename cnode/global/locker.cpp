#include "global/locker.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::global {

using etf::am;
using etf::make;
using etf::tup;

namespace {
std::string_view host_of(etf::atom const& node) {
  auto const text = node.text();
  return text.substr(text.find('@') + 1);
}
} // namespace

locker::locker(state& s) : s_(s), calls_(s, role::locker), locking_(s, calls_, role::locker) {}

void locker::add(candidate him) {
  auto const node = him.node;
  candidates_.insert_or_assign(node, std::move(him));
  if (phase_ == phase::idle && !deadline_) set_timer();
}

// What global.erl waits, and up to half of it less: two nodes that collided do not collide for ever.
void locker::set_timer() {
  deadline_.reset();
  if (candidates_.empty()) return;
  auto const known = static_cast<std::int64_t>(s_.known.size());
  auto const most = just_synced_ ? 0 : known == 0 ? 200 : std::min<std::int64_t>(1000 + 100 * known, 3000);
  just_synced_ = false;
  auto const half = static_cast<std::uint64_t>(most / 2);
  deadline_ = s_.now + std::chrono::milliseconds(half + s_.random.below(half + 1));
}

void locker::wake() {
  if (!deadline_ || *deadline_ > s_.now) return;
  deadline_.reset();
  if (phase_ == phase::idle) {
    if (s_.locks.global() != nullptr || !choose()) set_timer();
    return;
  }
  if (!locking_now()) return;
  std::string names;
  for (auto const& node : calls_.silent())
    names += fmt::format("{}{}", names.empty() ? "" : ", ", node.text());
  s_.log(notice::level::warning, fmt::format("global: {} did not answer the locker in time", names));
  locking_.give_up();
  if (phase_ != phase::first) locking_.release(id_, {boss_});
  if (phase_ == phase::third) {
    std::vector<etf::atom> second{s_.us};
    if (ours_) second.push_back(him_.node);
    locking_.release(id_, second);
  }
  failed();
}

// One at random, of our own host first.
bool locker::choose() {
  std::erase_if(candidates_, [&](auto const& c) { return s_.known.contains(c.first); });
  if (candidates_.empty()) return false;
  std::vector<candidate const*> near;
  std::vector<candidate const*> all;
  for (auto const& [node, c] : candidates_) {
    all.push_back(&c);
    if (host_of(node) == host_of(s_.us)) near.push_back(&c);
  }
  auto const& from = near.empty() ? all : near;
  attempt(*from[s_.random.below(from.size())], true);
  return true;
}

void locker::attempt(candidate him, bool ours) {
  him_ = std::move(him);
  ours_ = ours;
  cancelled_ = false;
  deadline_ = s_.now + s_.opts.call_timeout;
  auto const& mine = s_.pid(role::locker);
  std::vector<etf::pid> both{mine, him_.locker};
  std::sort(both.begin(), both.end());
  id_ = {make(am("global")), make(both)};
  boss_ = s_.boss();
  phase_ = phase::first;
  // Locking ourselves now could stop a node that has the boss already: only look.
  if (boss_ != s_.us && !s_.locks.free_for(*id_.resource, *id_.requester)) return failed();
  on_step(locking_.begin(id_, {boss_}));
}

void locker::on_step(locking::result r) {
  if (r == locking::result::waiting) return;
  std::vector<etf::atom> second;
  if (boss_ != s_.us) second.push_back(s_.us);
  if (ours_ && him_.node != boss_) second.push_back(him_.node);
  if (r == locking::result::refused) {
    if (phase_ == phase::third) locking_.release(id_, second);
    if (phase_ != phase::first) locking_.release(id_, {boss_});
    return failed();
  }
  if (phase_ == phase::first) {
    phase_ = phase::second;
    return on_step(locking_.begin(id_, second));
  }
  if (phase_ == phase::second) {
    phase_ = phase::third;
    third_.clear();
    for (auto const& [node, version] : s_.known)
      if (node != boss_) third_.push_back(node);
    return on_step(locking_.begin(id_, third_));
  }
  locked();
}

void locker::locked() {
  deadline_.reset();
  if (cancelled_) {
    free_all();
    return failed();
  }
  answer(him_, true);
  if (!ours_) return enter_have_lock();
  phase_ = phase::wait_his;
  if (auto const found = words_.find(him_.node); found != words_.end()) {
    auto const w = found->second;
    words_.erase(found);
    lock_set(w.his_locker, w.set, w.my_tag);
  }
}

void locker::enter_have_lock() {
  phase_ = phase::have_lock;
  on_locked(him_.node, him_.my_tag, id_);
}

void locker::failed() {
  if (!ours_) answer(him_, false);
  to_idle();
}

void locker::to_idle() {
  calls_.end();
  phase_ = phase::idle;
  deadline_.reset();
  take_words();
  if (phase_ == phase::idle) set_timer();
}

void locker::take_words() {
  while (phase_ == phase::idle && !words_.empty()) {
    auto const w = words_.begin()->second;
    words_.erase(words_.begin());
    lock_set(w.his_locker, w.set, w.my_tag);
  }
}

void locker::free_all() {
  std::vector<etf::atom> nodes = third_;
  if (boss_ != s_.us) nodes.push_back(s_.us);
  if (ours_ && him_.node != boss_) nodes.push_back(him_.node);
  locking_.release(id_, nodes);
  locking_.release(id_, {boss_});
}

// Tells him whether our side is locked. Known: plain names (protocol.md 7.6).
void locker::answer(candidate const& him, bool set) {
  etf::builder b;
  bool const tagged = him.version >= verify_connect_version;
  b.tuple(tagged ? 5 : 4).atom("lock_set").pid(s_.pid(role::locker)).boolean(set);
  b.list(s_.known.size());
  for (auto const& [node, version] : s_.known) b.atom(node);
  b.nil();
  if (tagged) b.copy(*him.his_tag);
  s_.cast(role::locker, him.node, *b.take());
}

void locker::lock_set(etf::pid const& his_locker, bool set, std::uint64_t my_tag) {
  auto const& node = his_locker.node;
  if (phase_ == phase::idle) {
    if (!set) return;
    auto const found = candidates_.find(node);
    if (found == candidates_.end() || found->second.my_tag != my_tag) return;
    return attempt(found->second, false);
  }
  if (phase_ == phase::wait_his && node == him_.node && my_tag == him_.my_tag) {
    if (set) return enter_have_lock();
    free_all();
    return to_idle();
  }
  if (phase_ == phase::have_lock && node == him_.node) return;
  if (words_.size() < s_.opts.limit.nodes_max) words_.insert_or_assign(node, word{his_locker, set, my_tag});
}

void locker::cancel(etf::atom const& node, std::uint64_t my_tag, announcement const* last_words) {
  if (auto const c = candidates_.find(node); c != candidates_.end() && c->second.my_tag == my_tag)
    candidates_.erase(c);
  if (auto const w = words_.find(node); w != words_.end() && w->second.my_tag == my_tag) words_.erase(w);
  if (phase_ == phase::idle && candidates_.empty()) deadline_.reset();
  if (phase_ == phase::idle || him_.node != node || him_.my_tag != my_tag) return;
  if (locking_now()) {
    cancelled_ = true;
    return;
  }
  // new_nodes before del_lock, from one process on each connection: receivers check the lock (7.3).
  if (last_words != nullptr && !last_words->to.empty()) {
    auto const message = make(tup(am("$gen_cast"), last_words->message));
    for (auto const& to : last_words->to)
      s_.emit(send{role::locker, etf::destination(server_name, to.text()), message, true});
  }
  just_synced_ = last_words != nullptr;
  free_all();
  to_idle();
}

void locker::heard(etf::view message) {
  if (calls_.heard(message) && locking_now()) on_step(locking_.look());
}

void locker::gone(etf::atom const& node, bool watch_fired) {
  if (watch_fired) calls_.forget(node);
  if (calls_.gone(node) && locking_now()) on_step(locking_.look());
}

} // namespace remora::global
