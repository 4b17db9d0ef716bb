#include "global/state.hpp"

#include "etf/print.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::global {

using etf::am;
using etf::make;
using etf::tup;

state::state(std::array<etf::pid, roles> all_pids, std::uint32_t our_creation, options o, std::uint64_t seed)
    : opts(o), us(all_pids[0].node), pids(std::move(all_pids)), creation(our_creation), random(seed),
      last_id_(random.below(std::uint64_t{1} << 40U)) {}

etf::atom const& state::boss() const {
  return known.empty() || known.rbegin()->first < us ? us : known.rbegin()->first;
}

int state::version_of(etf::atom const& n) const {
  if (n == us) return protocol_version;
  if (auto const k = known.find(n); k != known.end()) return k->second;
  if (auto const p = pending.find(n); p != pending.end()) return p->second;
  return 0;
}

std::uint32_t state::creation_of(etf::atom const& n) const {
  auto const found = n == us ? up.end() : up.find(n);
  return n == us ? creation : found != up.end() ? found->second : 0;
}

void state::cast(role as, etf::atom const& node, etf::view message, bool dial) {
  emit(send{as, etf::destination(server_name, node.text()), make(tup(am("$gen_cast"), message)), dial});
}

void state::send_plain(etf::atom const& node, etf::term message) {
  emit(send{role::name_server, etf::destination(server_name, node.text()), std::move(message), false});
}

void state::complain(std::string_view about, etf::view what) {
  if (complaints_.contains(about) || complaints_.size() >= opts.limit.complaints_max) return;
  complaints_.emplace(about);
  log(notice::level::warning,
      fmt::format("global: {}: {}", about, etf::print(what, {.depth = 20, .bytes_max = 400})));
}

bool state::set_lock(etf::view resource, etf::view requester, etf::pid const& holder) {
  if (!locks.free_for(resource, requester)) return false;
  if (locks.holds(resource, holder)) return true;
  auto const* const lock = locks.find(resource);
  bool const full =
      lock != nullptr ? lock->holders.size() >= opts.limit.holders_max : locks.size() >= opts.limit.locks_max;
  if (full) {
    complain("no room for one more lock or holder", resource);
    return false;
  }
  locks.add(resource, requester, holder);
  watch_pid(holder);
  return true;
}

void state::del_lock(etf::view resource, etf::view requester, etf::pid const& holder) {
  if (locks.remove(resource, requester, holder, false)) unwatch_pid(holder);
}

// global.erl, lock_still_set/3.
bool state::lock_still_set(authority who) const {
  auto const* const lock = locks.global();
  if (lock == nullptr) return !locks.global_lock_down();
  if (who.caller != nullptr)
    return std::find(lock->holders.begin(), lock->holders.end(), *who.caller) != lock->holders.end();
  return *lock->requester == who.requester;
}

// global.erl, insert_global_name/6: what was there is replaced, and gone too when the lock is.
void state::insert(entry e, authority who) {
  if (!lock_still_set(who)) {
    unsettled = true; // others may have let it in
    return erase(*e.name);
  }
  if (auto const* const old = names.find(*e.name)) {
    if (old->pid == e.pid && !e.own && *old->method == *e.method) e.own = old->own;
    if (old->pid != e.pid) {
      unwatch_pid(old->pid);
      watch_pid(e.pid);
    }
  } else {
    if (names.size() >= opts.limit.names_max) return complain("no room for one more name", *e.name);
    watch_pid(e.pid);
  }
  names.put(std::move(e));
}

void state::erase(etf::view name) {
  auto const* const old = names.find(name);
  if (old == nullptr) return;
  auto const pid = old->pid;
  names.erase(name);
  unwatch_pid(pid);
}

void state::ended(etf::pid const& p) {
  watched_.erase(p); // its watch has fired
  for (auto const& resource : locks.of(p)) {
    auto const requester = locks.find(*resource)->requester;
    locks.remove(*resource, *requester, p, true);
  }
  auto const mine = names.of(p);
  for (auto const& name : std::vector(mine.begin(), mine.end())) names.erase(*name);
}

bool state::ours(etf::pid const& p) const { return std::find(pids.begin(), pids.end(), p) != pids.end(); }

void state::watch_pid(etf::pid const& p) {
  if (ours(p)) return; // they live as long as this does
  if (++watched_[p] == 1) emit(watch{role::name_server, p});
}

void state::unwatch_pid(etf::pid const& p) {
  auto const found = watched_.find(p);
  if (found == watched_.end() || --found->second > 0) return;
  watched_.erase(found);
  emit(unwatch{role::name_server, p});
}

} // namespace remora::global
