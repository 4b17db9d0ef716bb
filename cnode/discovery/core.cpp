// The rounds, and what ties sources, nodes and links together.
//
// A round asks all sources at once; what one of them lists is dialled as soon as it has answered. When all
// have, it waits for the attempts that are under way, not longer than one may take, and says what came of it.
// Links that are lost, files that change and members of a group that are new do not wait for rounds.
#include "discovery/core.hpp"

#include "base/check.hpp"
#include "base/overload.hpp"
#include "base/random.hpp"
#include "discovery/asking.hpp"
#include "discovery/dialler.hpp"
#include "discovery/nodes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace remora::discovery {

namespace {
using namespace std::chrono_literals;
constexpr base::duration complaint_pause = 60s; // between two that one group's packets are refused
} // namespace

class core::machine {
public:
  machine(identity self, options o, signer crypto, std::uint64_t seed)
      : self_(std::move(self)), o_(std::move(o)), crypto_(std::move(crypto)), random_(seed),
        dialler_(nodes_, self_.node, random_.next()) {
    base::check(!find_wrong(o_), "discovery: options are looked at before they are used");
    dialler_.use(o_);
    for (auto const& s : o_.sources) add_source(s);
  }

  void handle(event const& e, base::time_point now, effects& out) {
    now_ = now;
    out_ = &out;
    std::visit([&](auto const& what) { on(what); }, e);
    go_on();
    for (auto const& name : std::exchange(perhaps_idle_, {}))
      if (auto* const n = nodes_.find(name)) nodes_.drop_if_idle(*n);
    out_ = nullptr;
  }

  std::optional<base::time_point> next_deadline() const {
    if (state_ == state::idle || state_ == state::stopped) return std::nullopt;
    auto out = dialler_.next_deadline();
    for (auto const& s : sources_) out = base::earliest(out, s->next_deadline());
    if (round_.at == stage::dialling) out = base::earliest(out, round_.until);
    if (state_ == state::running && round_.at == stage::none) out = base::earliest(out, next_poll_);
    return out;
  }

  discovery::status status() const;
  std::size_t known_count() const { return nodes_.all().size(); }

private:
  using state = discovery::status::state;
  enum class stage : std::uint8_t { none, asking, dialling };
  struct round {
    stage at = stage::none;
    std::vector<request_id> requests{};
    base::time_point until{};
  };

  void on(start const& e);
  void on(tick const& e);
  void on(configure const& e);
  void on(refresh const& e);
  void on(pause const& e);
  void on(resume const& e);
  void on(shutdown const& e);
  void on(answered const& e);
  void on(changed const& e);
  void on(packet const& e);
  void on(link_up const& e);
  void on(link_down const& e);
  void on(link_failed const& e);
  void on(app_here const& e);
  void on(app_gone const& e);
  void on(disconnected const& e);

  void begin_round(bool hurried);
  void go_on(); // as far as the round can
  void begin_dialling();
  void end_round();
  void abandon_round(result::what why);
  result round_result();
  base::duration interval();

  void add_source(source const& s);
  void remove_source(asking& s);
  void begin_asking(asking& s); // and what stands
  void ask_source(asking& s);
  void take_listing(asking& s);
  std::optional<failed> list(asking& s, std::vector<std::string> const& nodes);
  void unlisted(known_node& n);
  void set_trouble(asking& s, std::optional<failed> const& trouble);
  void standing_failed(asking& s, answer const& said);
  void announce(asking& s);
  void expire(asking& s);
  void complain(asking& s, std::string const& from, cause kind, std::string const& why);
  asking* find_source(question_id id, bool standing);
  known_node& node_of(std::string const& name);

  void set_wall(wall_clock const& w) { wall_offset_ms_ = w.unix_ms - now_.time_since_epoch() / 1ms; }
  void say(news n) { out_->emplace_back(tell{std::move(n)}); }
  void reply_to(request_id request, result r) { out_->emplace_back(reply{request, std::move(r)}); }
  std::int64_t unix_ms() const { return wall_offset_ms_ + now_.time_since_epoch() / 1ms; }

  identity self_;
  options o_;
  signer crypto_;
  base::random random_;
  known_nodes nodes_;
  dialler dialler_;
  std::vector<std::unique_ptr<asking>> sources_;

  state state_ = state::idle;
  round round_;
  std::vector<request_id> waiting_; // for the next round
  bool next_round_ = false;         // as soon as this one has ended
  std::optional<base::time_point> next_poll_;
  question_id last_id_ = 0;
  std::int64_t wall_offset_ms_ = 0;
  std::optional<base::time_point> complained_;
  std::uint64_t refused_ = 0;             // packets, since then
  std::vector<std::string> perhaps_idle_; // looked at when the event is handled

  base::time_point now_{};
  effects* out_ = nullptr; // during handle
};

// ---- what is asked of discovery

void core::machine::on(start const& e) {
  set_wall(e.wall);
  if (state_ != state::idle && state_ != state::stopped) return;
  state_ = state::running;
  dialler_.allow(true);
  begin_round(true);
}

void core::machine::on(configure const& e) {
  base::check(!find_wrong(e.what), "discovery: options are looked at before they are used");
  bool const groups_change = o_.announce_interval != e.what.announce_interval || o_.limit != e.what.limit;
  o_ = e.what;
  auto const stays = [&](asking const& s) {
    return !(groups_change && std::holds_alternative<multicast>(s.what())) &&
           std::find(o_.sources.begin(), o_.sources.end(), s.what()) != o_.sources.end();
  };
  // First what is new, then without what goes: a node that both list is never unlisted in between.
  auto const before = sources_.size();
  for (auto const& wanted : o_.sources)
    if (std::none_of(sources_.begin(), sources_.end(),
                     [&](auto const& s) { return s->what() == wanted && stays(*s); }))
      add_source(wanted);
  auto const begin = [&](bool groups) {
    for (auto i = before; i < sources_.size() && state_ == state::running; ++i)
      if (std::holds_alternative<multicast>(sources_[i]->what()) == groups) begin_asking(*sources_[i]);
  };
  begin(false);
  for (std::size_t i = 0; i < before; ++i)
    if (!stays(*sources_[i])) remove_source(*std::exchange(sources_[i], nullptr));
  begin(true); // a group is joined anew when it has been left
  std::erase(sources_, nullptr);
  dialler_.reconsider_all();
  if (state_ != state::running) return;
  if (round_.at == stage::none) return begin_round(true);
  if (round_.at == stage::dialling) next_round_ = true; // one that asks takes what is new into itself
}

void core::machine::on(refresh const& e) {
  if (state_ == state::stopped) return reply_to(e.request, {result::what::shut_down});
  if (state_ == state::paused) return reply_to(e.request, {result::what::paused});
  if (round_.requests.size() + waiting_.size() >= o_.limit.requests_max)
    return reply_to(e.request, {result::what::busy});
  if (round_.at == stage::asking) { // what it is told is as new as it would be in a round of its own
    round_.requests.push_back(e.request);
    return dialler_.hurry();
  }
  waiting_.push_back(e.request);
  if (state_ == state::idle) return;
  if (round_.at == stage::none)
    begin_round(true);
  else
    next_round_ = true;
}

void core::machine::on(pause const& e) {
  if (state_ == state::stopped) return reply_to(e.request, {result::what::shut_down});
  if (state_ != state::paused) {
    abandon_round(result::what::paused);
    state_ = state::paused;
    dialler_.allow(false);
    say(paused{});
  }
  reply_to(e.request, {});
}

void core::machine::on(resume const& e) {
  if (state_ == state::stopped) return reply_to(e.request, {result::what::shut_down});
  reply_to(e.request, {});
  if (state_ != state::paused) return;
  state_ = state::running;
  dialler_.allow(true);
  say(resumed{});
  begin_round(true);
}

void core::machine::on(shutdown const& e) {
  if (state_ == state::stopped) return reply_to(e.request, {result::what::shut_down});
  abandon_round(result::what::shut_down);
  for (auto const& s : sources_) s->close(*out_);
  state_ = state::stopped;
  dialler_.allow(false);
  reply_to(e.request, {});
  say(stopped{});
}

// ---- rounds

base::duration core::machine::interval() {
  auto const span = static_cast<double>(o_.poll_interval.count()) * o_.poll_jitter;
  auto const spread = static_cast<std::uint64_t>(2 * span);
  return o_.poll_interval - base::duration(static_cast<std::int64_t>(span)) +
         base::duration(static_cast<std::int64_t>(random_.below(spread + 1)));
}

void core::machine::begin_round(bool hurried) {
  round_ = {.at = stage::asking, .requests = std::exchange(waiting_, {})};
  next_round_ = false;
  next_poll_.reset();
  if (o_.poll_interval > 0ns) next_poll_ = now_ + interval();
  if (hurried) dialler_.hurry();
  for (auto const& s : sources_) begin_asking(*s);
}

void core::machine::begin_asking(asking& s) {
  s.stand(last_id_, *out_);
  if (s.group() != nullptr) announce(s);
  if (!s.open()) ask_source(s);
}

void core::machine::go_on() {
  while (true) {
    if (round_.at == stage::asking &&
        std::none_of(sources_.begin(), sources_.end(), [](auto const& s) { return s->open(); }))
      begin_dialling();
    if (round_.at == stage::dialling && (dialler_.awaited() == 0 || now_ >= round_.until)) end_round();
    if (round_.at != stage::none || !next_round_ || state_ != state::running) break;
    begin_round(true);
  }
  dialler_.fill(now_, *out_);
}

void core::machine::begin_dialling() {
  for (auto& [name, n] : nodes_.all()) dialler_.drop_if_missing(n, now_, *out_); // what failed is tried again
  dialler_.begin_waiting();
  round_.at = stage::dialling;
  round_.until = now_ + o_.dial_timeout + dialler::outcome_slack;
}

void core::machine::end_round() {
  dialler_.end_waiting();
  auto const r = round_result();
  for (auto const request : std::exchange(round_, {}).requests) reply_to(request, r);
  say(refreshed{r});
}

void core::machine::abandon_round(result::what why) {
  for (auto const& s : sources_) s->forget_questions(*out_);
  dialler_.end_waiting();
  auto requests = std::exchange(round_, {}).requests;
  requests.insert(requests.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
  next_round_ = false;
  for (auto const request : requests) reply_to(request, {why});
}

result core::machine::round_result() {
  result r;
  for (auto const& s : sources_)
    if (s->trouble) r.sources.push_back(*s->trouble);
  for (auto const& [name, n] : nodes_.all()) {
    bool wanted = false;
    bool connected = true;
    for (auto const s : each_side) {
      if (!dialler_.wanted(n, s)) continue;
      auto const& l = n.of(s);
      wanted = true;
      if (l.at == phase::up) continue;
      connected = false;
      r.links.push_back({s, name,
                         !l.reason.empty() ? l.reason
                         : l.at == phase::dialling
                             ? "it is still being dialled"
                             : "not dialled yet: others are, as many as may be at once"});
    }
    if (wanted && connected && name != dialler_.app()) r.nodes.push_back(name);
  }
  auto drops = dialler_.take_drop_failures();
  r.was = !r.sources.empty() ? result::what::discovery_failed
          : !r.links.empty() ? result::what::connect_failed
          : !drops.empty()   ? result::what::disconnect_failed
                             : result::what::ok;
  r.links.insert(r.links.end(), drops.begin(), drops.end());
  return r;
}

// ---- sources

void core::machine::add_source(source const& s) {
  std::size_t slot = 0;
  while (std::any_of(sources_.begin(), sources_.end(), [&](auto const& o) { return o->slot() == slot; }))
    ++slot;
  asking::context about{
      .own_node = self_.node, .boot_id = self_.boot_id, .crypto = crypto_, .seed = random_.next()};
  sources_.push_back(std::make_unique<asking>(s, slot, std::move(about), o_));
}

// It says nothing any more, which is no word against the nodes that it listed: their links stay.
void core::machine::remove_source(asking& s) {
  s.close(*out_);
  for (auto& [name, n] : nodes_.all()) {
    if (!nodes_.withdraw(s.slot(), n)) continue;
    n.gone = false;
    unlisted(n);
  }
}

void core::machine::ask_source(asking& s) {
  if (std::holds_alternative<multicast>(s.what())) { // what it lists comes by itself
    s.has_answered = true;
    return set_trouble(s, s.standing_trouble());
  }
  s.begin(last_id_, now_, o_, *out_);
  if (!s.open()) take_listing(s);
}

// Only an answer that is complete and lists somebody says anything about who is missing.
void core::machine::take_listing(asking& s) {
  auto l = s.take();
  ++s.answers;
  auto too_many = list(s, l.nodes);
  if (!l.trouble) l.trouble = std::move(too_many);
  if (!l.trouble) {
    s.has_answered = true;
    if (!l.nodes.empty())
      for (auto* const n : nodes_.miss(s.slot(), s.answers, o_.grace)) unlisted(*n);
  }
  set_trouble(s, l.trouble);
  if (s.wants_again()) ask_source(s);
}

std::optional<failed> core::machine::list(asking& s, std::vector<std::string> const& nodes) {
  std::optional<failed> trouble;
  for (auto const& name : nodes) {
    auto const [n, fresh] = nodes_.mention_by(s.slot(), name, s.answers, o_.limit.nodes_max);
    if (n == nullptr)
      trouble = failed{cause::too_large, fmt::format("more than {} nodes are listed", o_.limit.nodes_max)};
    else if (fresh)
      dialler_.reconsider(*n);
  }
  return trouble;
}

void core::machine::unlisted(known_node& n) {
  dialler_.reconsider(n);
  dialler_.drop_if_missing(n, now_, *out_);
  perhaps_idle_.push_back(n.name);
}

// Told when it begins or changes; each round says it again in its result.
void core::machine::set_trouble(asking& s, std::optional<failed> const& trouble) {
  std::optional<failure> fresh;
  if (trouble) fresh = failure{s.label(), trouble->why, trouble->text};
  if (fresh == s.trouble) return;
  s.trouble = std::move(fresh);
  if (s.trouble) say(source_failed{*s.trouble});
}

void core::machine::on(answered const& e) {
  if (auto* const s = find_source(e.id, false)) {
    if (s->answered(e.id, e.what, last_id_, now_, o_, *out_)) take_listing(*s);
  } else if (auto* const standing = find_source(e.id, true)) {
    standing_failed(*standing, e.what);
  }
}

// Without a group there are no members to hear of; without a watch a file is still read at each round.
void core::machine::standing_failed(asking& s, answer const& said) {
  auto const* const f = std::get_if<failed>(&said);
  s.standing_failed(f != nullptr ? *f : failed{cause::bad_answer, "it has ended"});
  if (s.standing_trouble() && std::holds_alternative<multicast>(s.what()))
    set_trouble(s, s.standing_trouble());
}

void core::machine::on(changed const& e) {
  auto* const s = find_source(e.watch, true);
  if (s == nullptr || state_ != state::running) return;
  if (s->open()) return s->begin_again_after(); // it may have been read before it changed
  if (round_.at == stage::none) return begin_round(false);
  ask_source(*s);
  if (round_.at == stage::dialling) next_round_ = true; // which says what came of it
}

asking* core::machine::find_source(question_id id, bool standing) {
  for (auto const& s : sources_)
    if (standing ? s->stands(id) : s->asks(id)) return s.get();
  return nullptr;
}

// ---- groups

void core::machine::announce(asking& s) {
  if (auto bytes = s.group()->tick(now_, unix_ms()))
    out_->emplace_back(send_packet{s.standing(), std::move(*bytes)});
}

void core::machine::expire(asking& s) {
  for (auto const& name : s.group()->expired(now_))
    if (auto* const n = nodes_.find(name); n != nullptr && nodes_.withdraw(s.slot(), *n)) unlisted(*n);
}

void core::machine::on(packet const& e) {
  set_wall(e.wall);
  auto* const s = find_source(e.group, true);
  if (s == nullptr || s->group() == nullptr) return;
  auto const heard = s->group()->receive(e.bytes, now_, e.wall.unix_ms);
  switch (heard.what) {
  case gossip::outcome::joined:
    if (auto const trouble = list(*s, {heard.node})) complain(*s, e.from, trouble->why, trouble->text);
    return announce(*s);
  case gossip::outcome::known:
  case gossip::outcome::own:
  case gossip::outcome::repeated: return; // networks copy datagrams
  case gossip::outcome::unproven: return complain(*s, e.from, cause::unauthorized, heard.why);
  case gossip::outcome::full: return complain(*s, e.from, cause::too_large, heard.why);
  case gossip::outcome::malformed:
  case gossip::outcome::clock: return complain(*s, e.from, cause::bad_answer, heard.why);
  }
}

// Anybody can send anything: that is news from time to time, and never the failure of a round.
void core::machine::complain(asking& s, std::string const& from, cause kind, std::string const& why) {
  ++refused_;
  if (complained_ && now_ - *complained_ < complaint_pause) return;
  complained_ = now_;
  auto text = fmt::format("a packet from {}: {}", from, why);
  if (auto const before = std::exchange(refused_, 0) - 1; before > 0)
    text += fmt::format(" ({} more before)", before);
  say(source_failed{{s.label(), kind, std::move(text)}});
}

// ---- time and links

void core::machine::on(tick const& e) {
  set_wall(e.wall);
  if (state_ == state::idle || state_ == state::stopped) return;
  dialler_.tick(now_, *out_);
  for (auto const& s : sources_) {
    if (s->tick(last_id_, now_, o_, *out_)) take_listing(*s);
    if (s->group() == nullptr) continue;
    expire(*s);
    announce(*s);
  }
  if (state_ == state::running && round_.at == stage::none && next_poll_ && now_ >= *next_poll_)
    begin_round(false);
}

known_node& core::machine::node_of(std::string const& name) {
  perhaps_idle_.push_back(name);
  return nodes_.find_or_add(name);
}

void core::machine::on(link_up const& e) {
  base::check(e.where != side::both, "discovery: a link has one side");
  if (e.where == side::app && !dialler_.app()) return; // a word that comes after its VM has gone
  dialler_.up(node_of(e.node), e.where, e.dialled_here, now_, *out_);
}

void core::machine::on(link_down const& e) {
  base::check(e.where != side::both, "discovery: a link has one side");
  dialler_.down(node_of(e.node), e.where, e.reason, now_, *out_);
}

void core::machine::on(link_failed const& e) {
  base::check(e.where != side::both, "discovery: a link has one side");
  dialler_.failed(node_of(e.node), e.where, e.reason, now_, *out_);
}

void core::machine::on(disconnected const& e) {
  base::check(e.where != side::both, "discovery: a link has one side");
  dialler_.dropped(node_of(e.node), e.where, e.failure, *out_);
}

void core::machine::on(app_here const& e) {
  on(app_gone{});
  dialler_.app_here(e.node);
}

void core::machine::on(app_gone const&) {
  dialler_.app_gone();
  for (auto const& [name, n] : nodes_.all())
    if (!n.listed()) perhaps_idle_.push_back(name);
}

// ---- status

discovery::status core::machine::status() const {
  discovery::status out{.now = state_};
  if (state_ == state::running) out.next_round = next_poll_;
  for (auto const& s : sources_)
    out.sources.push_back({.source = s->label(),
                           .nodes = nodes_.count_of(s->slot()),
                           .answered = s->has_answered,
                           .trouble = s->trouble});
  for (auto const& [name, n] : nodes_.all()) {
    if (!n.listed()) continue;
    node_status one{.node = name};
    for (auto const s : each_side) {
      if (!dialler_.wanted(n, s)) continue;
      auto const& l = n.of(s);
      link_status told{.up = l.at == phase::up || l.at == phase::dropping,
                       .ours = l.ours,
                       .dialling = l.at == phase::dialling,
                       .failures = l.failures,
                       .reason = l.reason};
      if (l.at == phase::waiting) told.next = l.timer;
      (s == side::companion ? one.companion : one.app) = std::move(told);
    }
    out.nodes.push_back(std::move(one));
  }
  return out;
}

core::core(identity self, options o, signer crypto, std::uint64_t seed)
    : machine_(std::make_unique<machine>(std::move(self), std::move(o), std::move(crypto), seed)) {}

core::~core() = default;

void core::handle(event const& e, base::time_point now, effects& out) { machine_->handle(e, now, out); }

std::optional<base::time_point> core::next_deadline() const { return machine_->next_deadline(); }

discovery::status core::status() const { return machine_->status(); }

std::size_t core::known_count() const { return machine_->known_count(); }

} // namespace remora::discovery
