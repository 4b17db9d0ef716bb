#include "global/registrar.hpp"

#include "etf/print.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::global {

using etf::am;
using etf::make;
using etf::tup;

namespace {

etf::term register_call(etf::view name, etf::pid const& pid, etf::view method) {
  return make(tup(am("register"), name, pid, method));
}
etf::term unregister_call(etf::view name) { return make(tup(am("unregister"), name)); }

// What undoes it.
etf::term undo_call(etf::view name, std::optional<entry> const& before) {
  return before ? register_call(name, before->pid, *before->method) : unregister_call(name);
}

// Before the attempt after the given one (global.erl, random_sleep/1).
base::duration back_off(int attempt, base::random& random) {
  auto const most = attempt > 5 ? 8000U : 125U << static_cast<unsigned>(attempt);
  return std::chrono::milliseconds(1 + random.below(most));
}

} // namespace

registrar::registrar(state& s)
    : s_(s), calls_(s, role::registrar),
      locking_(s, calls_, role::registrar), id_{make(am("global")), make(s.pid(role::registrar))} {}

void registrar::submit(request r) {
  if (queue_.size() >= s_.opts.limit.requests_max) return s_.emit(answer{r.id, {outcome::what::busy, {}}});
  queue_.push_back(std::move(r));
  if (phase_ == phase::idle) next();
}

void registrar::next() {
  calls_.end();
  phase_ = phase::idle;
  deadline_.reset();
  if (queue_.empty()) return;
  attempt_ = 0;
  attempt();
}

void registrar::attempt() {
  joined_ = queue_.size();
  gone_.clear();
  members_.clear();
  for (auto const& [node, version] : s_.known) members_.push_back(node);
  boss_ = s_.boss();
  phase_ = phase::boss;
  wait_for_answers();
  on_boss(locking_.begin(id_, {boss_}));
}

void registrar::on_boss(locking::result r) {
  if (r == locking::result::waiting) return;
  if (r == locking::result::refused) return refused();
  auto all = members_;
  all.push_back(s_.us);
  phase_ = phase::all;
  wait_for_answers();
  on_all(locking_.begin(id_, all));
}

void registrar::on_all(locking::result r) {
  if (r == locking::result::waiting) return;
  if (r == locking::result::refused) {
    locking_.release(id_, {boss_});
    return refused();
  }
  // As long as we asked, others may have joined: they would miss the names. global.erl sleeps before it tries
  // again; the locks are free for whoever joins them meanwhile.
  bool const grown = std::any_of(s_.known.begin(), s_.known.end(), [&](auto const& k) {
    return !std::binary_search(members_.begin(), members_.end(), k.first);
  });
  if (grown) {
    free_locks();
    return refused();
  }
  commit();
}

void registrar::refused() {
  calls_.end();
  phase_ = phase::back_off;
  deadline_ = s_.now + back_off(attempt_, s_.random);
  ++attempt_;
}

registrar::done registrar::apply(request const& r, std::vector<etf::term>& out) {
  done d{r.id, outcome::what::yes, {}, {}};
  auto const* const old = s_.names.find(*r.name);
  if (r.wanted == request::what::register_name && (old != nullptr || !s_.names.of(r.pid).empty())) {
    d.said = outcome::what::no;
    return d;
  }
  if (r.wanted == request::what::unregister_name && old == nullptr) return d;
  d.name = r.name;
  if (old != nullptr) d.before = *old;
  if (r.wanted == request::what::unregister_name) {
    s_.erase(*r.name);
    out.push_back(unregister_call(*r.name));
    return d;
  }
  entry e{.name = r.name, .pid = r.pid, .method = method_of(r.method.how)};
  if (r.method.how == policy::kind::node_priority || r.method.how == policy::kind::callback)
    e.own = std::make_shared<policy const>(r.method);
  out.push_back(register_call(*r.name, r.pid, *e.method));
  s_.insert(std::move(e), {.caller = &s_.pid(role::registrar)});
  return d;
}

void registrar::commit() {
  phase_ = phase::commit;
  wait_for_answers();
  std::vector<etf::term> out;
  auto const size = std::min(queue_.size(), s_.opts.limit.round_requests_max);
  batch_.reserve(size);
  for (std::size_t i = 0; i < size; ++i) {
    batch_.push_back(apply(queue_.front(), out));
    queue_.pop_front();
  }
  if (out.empty() || members_.empty()) return finish();
  // A member answers in order: its answer to the last call says that it has done them all.
  auto const last = std::move(out.back());
  out.pop_back();
  for (auto const& node : members_) {
    // Who left meanwhile is not asked: that would dial it, and it would hear this when it is long not true.
    if (gone_.contains(node) || !s_.known.contains(node)) continue;
    for (auto const& request : out) calls_.tell(node, *request);
    calls_.ask(node, *last);
  }
  on_commit();
}

void registrar::on_commit() {
  if (calls_.waiting()) return;
  calls_.take_replies();
  finish();
}

// Every member has the names: the callers need not wait for the locks to be freed.
void registrar::finish() {
  for (auto const& d : batch_) s_.emit(answer{d.id, {d.said, {}}});
  batch_.clear();
  phase_ = phase::release;
  wait_for_answers();
  free_locks();
  // The next round waits for the boss, as on OTP: whoever else wants the lock has a chance in between.
  if (queue_.empty() || boss_ == s_.us) return next();
  if (!calls_.waiting()) return next();
}

// The boss last: it is what others ask first.
void registrar::free_locks() {
  auto nodes = members_;
  std::erase(nodes, boss_);
  if (boss_ != s_.us) nodes.push_back(s_.us);
  locking_.release(id_, nodes);
  if (phase_ == phase::release && boss_ != s_.us && !queue_.empty() && s_.known.contains(boss_))
    calls_.ask(boss_, *make(tup(am("del_lock"), id_.whole())));
  else
    locking_.release(id_, {boss_});
}

void registrar::heard(etf::view message) {
  if (!calls_.heard(message)) return; // of a call that nobody waits for
  switch (phase_) {
  case phase::boss: return on_boss(locking_.look());
  case phase::all: return on_all(locking_.look());
  case phase::commit: return on_commit();
  case phase::release:
    if (!calls_.waiting()) next();
    return;
  case phase::idle:
  case phase::back_off: return;
  }
}

// Its locks on us and ours on it are lost with the connection. To ask it again would dial a node that the
// cluster has just dropped (global.erl does), and put names into a partition that is not ours.
void registrar::forget(etf::atom const& node) {
  // When the connection stays, because that node does not know us, so would our lock.
  if (std::erase(members_, node) > 0 && phase_ != phase::idle && phase_ != phase::back_off)
    calls_.tell(node, *make(tup(am("del_lock"), id_.whole())));
  gone(node, false);
}

void registrar::gone(etf::atom const& node, bool watch_fired) {
  gone_.insert(node); // known may still have it: the name server's word comes later
  if (watch_fired) calls_.forget(node);
  if (!calls_.gone(node)) return;
  switch (phase_) {
  case phase::boss: return on_boss(locking_.look());
  case phase::all: return on_all(locking_.look());
  case phase::commit: return on_commit();
  case phase::release:
    if (!calls_.waiting()) next();
    return;
  case phase::idle:
  case phase::back_off: return;
  }
}

std::optional<base::time_point> registrar::next_deadline() const { return deadline_; }

void registrar::wake() {
  if (!deadline_ || *deadline_ > s_.now) return;
  deadline_.reset();
  if (phase_ == phase::back_off) return attempt();
  if (phase_ == phase::release) return next(); // the calls that follow will tell
  if (phase_ != phase::idle) timed_out();
}

void registrar::timed_out() {
  auto const silent = calls_.silent();
  auto const culprit = silent.empty() ? boss_ : silent.front();
  bool const committed = phase_ == phase::commit;
  if (committed) {
    calls_.abandon();
    roll_back();
  } else {
    locking_.give_up();
    if (phase_ == phase::all) locking_.release(id_, {boss_});
  }
  std::string names;
  for (auto const& node : silent) names += fmt::format("{}{}", names.empty() ? "" : ", ", node.text());
  s_.log(notice::level::warning,
         fmt::format("global: {} did not answer within {} ms; {} requests are rolled back", names,
                     std::chrono::duration_cast<std::chrono::milliseconds>(s_.opts.call_timeout).count(),
                     committed ? batch_.size() : joined_));
  answer_all(outcome::what::timeout, culprit);
  if (s_.opts.drop_frozen)
    for (auto const& node : silent) s_.emit(disconnect{node});
  next();
}

void registrar::roll_back() {
  s_.unsettled = true; // a member that wakes up later may have done the one and not the other
  std::vector<etf::term> out;
  for (auto d = batch_.rbegin(); d != batch_.rend(); ++d) {
    if (d->name.empty()) continue;
    out.push_back(undo_call(*d->name, d->before));
    if (d->before)
      s_.insert(*d->before, {.caller = &s_.pid(role::registrar)});
    else
      s_.erase(*d->name);
  }
  for (auto const& node : members_)
    for (auto const& request : out) calls_.tell(node, *request);
  free_locks();
}

void registrar::answer_all(outcome::what said, etf::atom const& node) {
  for (auto const& d : batch_) // what was refused stays refused
    s_.emit(answer{d.id, d.said == outcome::what::no ? outcome{d.said, {}} : outcome{said, node}});
  if (batch_.empty())
    for (std::size_t i = 0; i < joined_ && !queue_.empty(); ++i) {
      s_.emit(answer{queue_.front().id, {said, node}});
      queue_.pop_front();
    }
  batch_.clear();
  joined_ = 0;
}

} // namespace remora::global
