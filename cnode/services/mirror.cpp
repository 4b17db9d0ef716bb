#include "services/mirror.hpp"

#include <algorithm>
#include <utility>

namespace remora::services {

// ---- what changes

template <class Write>
void mirror_changes::add(Write write) {
  if (wanted()) {
    write(bytes_);
    ++count_;
  }
  added();
}

void mirror_changes::named(etf::view name, etf::pid const& pid) {
  add([&](etf::builder& b) { b.tuple(3).atom("name").copy(name).pid(pid); });
}
void mirror_changes::unnamed(etf::view name) {
  add([&](etf::builder& b) { b.tuple(2).atom("unname").copy(name); });
}
void mirror_changes::joined(std::string_view scope, etf::view group, std::span<etf::pid const> pids) {
  members("join", scope, group, pids);
}
void mirror_changes::left(std::string_view scope, etf::view group, std::span<etf::pid const> pids) {
  members("leave", scope, group, pids);
}
void mirror_changes::scope_started(std::string_view scope) {
  add([&](etf::builder& b) { b.tuple(2).atom("scope").atom(scope); });
}
void mirror_changes::scope_stopped(std::string_view scope) {
  add([&](etf::builder& b) { b.tuple(2).atom("unscope").atom(scope); });
}
void mirror_changes::node_up(std::string_view node, bool hidden) {
  add([&](etf::builder& b) { b.tuple(3).atom("up").atom(node).atom(hidden ? "hidden" : "visible"); });
}
void mirror_changes::node_down(std::string_view node, std::string_view reason) {
  add([&](etf::builder& b) { b.tuple(3).atom("down").atom(node).atom(reason); });
}

void mirror_changes::changed(etf::view change) {
  add([&](etf::builder& b) { b.copy(change); });
}

void mirror_changes::members(std::string_view what, std::string_view scope, etf::view group,
                             std::span<etf::pid const> pids) {
  while (!pids.empty()) {
    auto const some = pids.first(std::min(pids.size(), limits_.pids_max));
    pids = pids.subspan(some.size());
    add([&](etf::builder& b) {
      b.tuple(4).atom(what).atom(scope).copy(group).list(some.size());
      for (auto const& pid : some) b.pid(pid);
      b.nil();
    });
  }
}

void mirror_changes::add_synced() {
  bytes_.atom("synced");
  ++count_;
}

etf::term mirror_changes::message(etf::reference const& ref, std::uint64_t from, std::uint64_t to) const {
  etf::builder b;
  b.tuple(5).atom("remora_mirror").reference(ref).unsigned_integer(from).unsigned_integer(to).list(count_);
  b.raw().append(bytes_.bytes());
  b.nil();
  return b.take();
}

void mirror_changes::clear() {
  bytes_.clear();
  count_ = 0;
}

// ---- the stream

mirror::mirror(sender send, std::function<void()> wake, mirror_limits limits)
    : mirror_changes(limits), send_(std::move(send)), wake_(std::move(wake)) {}

void mirror::added() {
  ++version_;
  if (streams_.empty()) return;
  if (count() == 1) wake_();
  if (full()) flush();
}

void mirror::flush() {
  if (count() > 0)
    for (auto const& s : streams_) send_(s.to, message(s.ref, told_, version_));
  clear();
  told_ = version_;
}

// What there is at the beginning, in parts.
class mirror::snapshot final : public mirror_changes {
public:
  snapshot(mirror const& of, etf::reference const& ref, etf::pid const& to)
      : mirror_changes(of.limits()), of_(of), ref_(ref), to_(to) {}
  void finish() {
    add_synced();
    of_.send_(to_, message(ref_, 0, of_.version()));
  }

private:
  bool wanted() const override { return true; }
  void added() override {
    if (!full()) return;
    of_.send_(to_, message(ref_, 0, 0));
    clear();
  }

  mirror const& of_;
  etf::reference const& ref_;
  etf::pid const& to_;
};

bool mirror::begin(etf::reference const& ref, etf::pid const& to,
                   std::function<void(mirror_changes& now)> const& tell_all) {
  if (!has_room()) return false;
  flush(); // to the others: the new one has it in what there is
  snapshot now(*this, ref, to);
  tell_all(now);
  now.finish();
  streams_.push_back({ref, to});
  return true;
}

bool mirror::end(etf::reference const& ref) {
  if (std::erase_if(streams_, [&](stream const& s) { return s.ref == ref; }) == 0) return false;
  if (streams_.empty()) flush(); // nobody hears it; what was gathered goes
  return true;
}

} // namespace remora::services
