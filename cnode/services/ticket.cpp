#include "services/ticket.hpp"

#include "base/check.hpp"
#include "etf/builder.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <map>
#include <utility>

namespace remora::services {

using etf::am;
using etf::make;
using etf::tup;

struct ticket::state {
  std::function<std::uint64_t()> version;
  std::optional<node::self> door;
  // Whose end is waited for: by the monitor that the caller has on the door, or by ours on it.
  boost::unordered_flat_map<node::watch_key, std::weak_ptr<origin>> by_watch;
  boost::unordered_flat_map<etf::reference, std::weak_ptr<origin>> by_monitor;

  // A door that is being ended says nothing: its watchers hear why.
  bool speaks() const { return door && !door->raw().dying; }
};

// One message to the door, which gets one answer.
struct ticket::origin : std::enable_shared_from_this<origin> {
  enum class kind : std::uint8_t { plain, write, batch };

  std::shared_ptr<state> of;
  node::caller from;
  kind how = kind::plain;
  bool over = false; // answered, or abandoned
  std::vector<etf::term> answers{};
  std::size_t left = 1;
  std::size_t bytes = 0;
  std::map<std::size_t, std::function<void()>> abandoned{}; // by the place in the batch
  std::optional<node::watch_key> watch{};
  std::optional<etf::reference> monitor{};

  void answered(std::size_t index, etf::term const& answer, node::self const& by);
  void collect(std::size_t index, etf::term const& answer);
  void finish(etf::term const& answer, node::self by);
  void track(bool at_any_price);
  void untrack();
  void abandon();
};

struct ticket::slot {
  std::shared_ptr<origin> of;
  std::size_t index = 0;
  bool answered = false;

  slot(std::shared_ptr<origin> o, std::size_t i) : of(std::move(o)), index(i) {}
  slot(slot const&) = delete;
  slot& operator=(slot const&) = delete;
  ~slot() {
    if (!answered && of->of->speaks())
      of->answered(index, make(tup(am("error"), am("aborted"))), *of->of->door);
  }
};

void ticket::reply(etf::term const& answer) const {
  if (!slot_ || std::exchange(slot_->answered, true)) return;
  if (slot_->of->of->speaks()) slot_->of->answered(slot_->index, answer, *slot_->of->of->door);
}

void ticket::reply_as(node::self by, etf::term const& answer) const {
  if (!slot_ || std::exchange(slot_->answered, true)) return;
  if (slot_->of->of->speaks()) slot_->of->answered(slot_->index, answer, by);
}

std::optional<etf::pid> ticket::caller() const {
  auto const pair = slot_ ? slot_->of->from.from->tuple<2>() : std::nullopt;
  return pair ? (*pair)[0].as_pid() : std::nullopt;
}

bool ticket::waited_for() const { return slot_ && !slot_->answered && !slot_->of->over; }

void ticket::on_abandoned(std::function<void()> told, bool at_any_price) const {
  if (!slot_ || slot_->answered) return;
  if (slot_->of->over) return told();
  slot_->of->abandoned.insert_or_assign(slot_->index, std::move(told));
  slot_->of->track(at_any_price);
}

void ticket::origin::answered(std::size_t index, etf::term const& answer, node::self const& by) {
  if (over) return;
  abandoned.erase(index);
  switch (how) {
  case kind::plain: return finish(answer, by);
  case kind::write: return finish(make(tup(of->version(), answer)), *of->door);
  case kind::batch: return collect(index, answer);
  }
}

void ticket::origin::collect(std::size_t index, etf::term const& answer) {
  bytes += answer.size();
  answers[index] = bytes <= tickets::batch_bytes_max ? answer : make(tup(am("error"), am("system_limit")));
  if (--left == 0) finish(make(tup(of->version(), answers)), *of->door);
}

void ticket::origin::finish(etf::term const& answer, node::self by) {
  over = true;
  untrack();
  by.reply(from, answer);
}

namespace {

// [alias|Ref] or [[alias|Ref]|_], the tags of gen:call and its kin; Ref is that of its monitor too.
std::optional<etf::reference> alias_of(etf::view tag) {
  auto list = tag.list();
  auto const head = list ? list->next() : std::nullopt;
  if (!head) return std::nullopt;
  if (!head->is_atom("alias")) return alias_of(*head);
  return list->left() == 0 ? list->tail().as_reference() : std::nullopt;
}

} // namespace

void ticket::origin::track(bool at_any_price) {
  if (watch || monitor || !of->door) return;
  auto const pair = from.from->tuple<2>();
  auto const pid = pair ? (*pair)[0].as_pid() : std::nullopt;
  if (!pid) return;
  auto& door = *of->door;
  if (auto const alias = alias_of((*pair)[1])) {
    node::watch_key key{*alias, pid->node};
    // A caller that uses one alias twice is watched for the second.
    if (door.raw().watchers.contains(key) && of->by_watch.try_emplace(key, weak_from_this()).second) {
      watch = std::move(key);
      return;
    }
  }
  if (!at_any_price) return;
  monitor = door.monitor(*pid);
  of->by_monitor.emplace(*monitor, weak_from_this());
}

void ticket::origin::untrack() {
  if (watch) of->by_watch.erase(*watch);
  if (monitor && of->by_monitor.erase(*monitor) > 0 && of->door) of->door->demonitor(*monitor);
  watch.reset();
  monitor.reset();
}

void ticket::origin::abandon() {
  if (std::exchange(over, true)) return;
  untrack();
  answers.clear();
  for (auto& [index, told] : std::exchange(abandoned, {})) told();
}

// ---- the door's side

tickets::tickets(std::function<std::uint64_t()> version) : state_(std::make_shared<ticket::state>()) {
  state_->version = std::move(version);
}

void tickets::open(node::self door) { state_->door.emplace(door); }

void tickets::close() {
  state_->door.reset();
  state_->by_watch.clear();
  state_->by_monitor.clear();
}

std::optional<node::self> const& tickets::door() const { return state_->door; }

ticket tickets::plain(node::caller const& from) const {
  auto origin = std::make_shared<ticket::origin>();
  origin->of = state_;
  origin->from = from;
  return ticket(std::make_shared<ticket::slot>(std::move(origin), 0));
}

ticket tickets::write(node::caller const& from) const {
  auto out = plain(from);
  out.slot_->of->how = ticket::origin::kind::write;
  return out;
}

std::vector<ticket> tickets::batch(node::caller const& from, std::size_t count) const {
  base::check(count > 0, "tickets: a batch of some");
  auto origin = std::make_shared<ticket::origin>();
  origin->of = state_;
  origin->from = from;
  origin->how = ticket::origin::kind::batch;
  origin->answers.resize(count);
  origin->left = count;
  std::vector<ticket> out;
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i) out.push_back(ticket(std::make_shared<ticket::slot>(origin, i)));
  return out;
}

void tickets::unwatched(node::watch_key const& key) const {
  auto const found = state_->by_watch.find(key);
  if (found == state_->by_watch.end()) return;
  if (auto const origin = found->second.lock())
    origin->abandon();
  else
    state_->by_watch.erase(key);
}

bool tickets::down(etf::reference const& ref) const {
  auto const found = state_->by_monitor.find(ref);
  if (found == state_->by_monitor.end()) return false;
  auto const origin = found->second.lock();
  state_->by_monitor.erase(found);
  if (origin) origin->abandon();
  return true;
}

std::size_t tickets::tracked() const { return state_->by_watch.size() + state_->by_monitor.size(); }

} // namespace remora::services
