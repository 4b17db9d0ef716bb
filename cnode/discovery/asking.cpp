#include "discovery/asking.hpp"

#include "discovery/lookup.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace remora::discovery {

asking::asking(source what, std::size_t slot, context about, options const& o)
    : what_(std::move(what)), label_(describe(what_)), slot_(slot), about_(std::move(about)) {
  if (auto const* const m = std::get_if<multicast>(&what_))
    gossip_ = std::make_unique<gossip>(gossip::settings{.node = about_.own_node,
                                                        .boot_id = about_.boot_id,
                                                        .secret = m->secret,
                                                        .interval = o.announce_interval,
                                                        .members_max = o.limit.members_max,
                                                        .packet_bytes_max = o.limit.packet_bytes_max},
                                       about_.crypto, about_.seed);
}

void asking::begin(question_id& last_id, base::time_point now, options const& o, effects& out) {
  again_ = false;
  nodes_.clear();
  troubles_.clear();
  if (auto const* const list = std::get_if<node_list>(&what_)) nodes_ = list->nodes;
  ask_all(questions_of(what_, about_.own_node), last_id, now, o, out);
}

void asking::ask_all(std::vector<question> questions, question_id& last_id, base::time_point now,
                     options const& o, effects& out) {
  for (auto& q : questions) {
    auto const id = ++last_id;
    out.emplace_back(ask{id, q});
    open_.emplace(id, open_question{std::move(q), now + o.ask_timeout});
  }
}

bool asking::answered(question_id id, answer const& said, question_id& last_id, base::time_point now,
                      options const& o, effects& out) {
  auto const found = open_.find(id);
  if (found == open_.end()) return false;
  auto const asked = std::move(found->second.asked);
  open_.erase(found);
  auto p = read(what_, asked, said, about_.own_node, o.limit);
  nodes_.insert(nodes_.end(), std::make_move_iterator(p.nodes.begin()),
                std::make_move_iterator(p.nodes.end()));
  if (p.trouble) troubles_.push_back(std::move(*p.trouble));
  ask_all(std::move(p.more), last_id, now, o, out);
  return open_.empty();
}

bool asking::tick(question_id& last_id, base::time_point now, options const& o, effects& out) {
  bool done = false;
  while (!open_.empty() && open_.begin()->second.until <= now) {
    auto const id = open_.begin()->first;
    out.emplace_back(forget{id});
    auto const ms = std::chrono::duration_cast<std::chrono::milliseconds>(o.ask_timeout).count();
    failed const late{cause::timeout,
                      fmt::format("{}: no answer within {} ms", describe(open_.begin()->second.asked), ms)};
    done = answered(id, late, last_id, now, o, out);
  }
  return done;
}

std::optional<base::time_point> asking::next_deadline() const {
  std::optional<base::time_point> out;
  if (!open_.empty()) out = open_.begin()->second.until;
  if (auto const* const g = group()) out = base::earliest(out, g->next_deadline());
  return out;
}

asking::listing asking::take() {
  listing out{.nodes = std::exchange(nodes_, {}), .trouble = trouble_of(what_, std::exchange(troubles_, {}))};
  std::sort(out.nodes.begin(), out.nodes.end());
  out.nodes.erase(std::unique(out.nodes.begin(), out.nodes.end()), out.nodes.end());
  return out;
}

void asking::stand(question_id& last_id, effects& out) {
  if (standing_ != 0) {
    standing_trouble_.reset(); // it has lasted since the last round
    return;
  }
  auto q = standing_question_of(what_);
  if (!q) return;
  standing_ = ++last_id;
  out.emplace_back(ask{standing_, std::move(*q)});
}

void asking::standing_failed(failed why) {
  standing_ = 0;
  standing_trouble_ = std::move(why);
}

void asking::forget_questions(effects& out) {
  for (auto const& [id, q] : open_) out.emplace_back(forget{id});
  open_.clear();
  again_ = false;
}

void asking::close(effects& out) {
  forget_questions(out);
  if (standing_ != 0) out.emplace_back(forget{standing_});
  standing_ = 0;
  standing_trouble_.reset();
}

} // namespace remora::discovery
