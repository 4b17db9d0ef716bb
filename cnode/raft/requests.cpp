// What callers ask. The leader decides; another node forwards, and asks again when the leader has changed.
// Every request is answered, in the end by a timeout.
#include "raft/machine.hpp"

#include "base/check.hpp"

#include <algorithm>

namespace remora::raft {

base::duration core::machine::patience() const {
  return std::max(8 * options_.election_max, options_.name_lease + 2 * options_.election_max);
}

bool core::machine::refuse_request(request_id id) {
  std::optional<failure> f;
  if (!started_)
    f = failure::stopped;
  else if (!configured_here())
    f = failure::not_configured;
  else if (requests_.size() >= limits_.requests_max || requests_.contains(id))
    f = failure::too_many;
  if (f) out_->emplace_back(reply{id, *f});
  return f.has_value();
}

void core::machine::on(elect const& e) {
  if (refuse_request(e.id)) return;
  waiting_request r;
  r.elects = true;
  r.until = now_ + 3 * options_.election_max;
  due_.emplace(r.until, e.id);
  requests_.emplace(e.id, r);
  if (!leader_.node.empty() && !suspects_) finish(e.id, led_by{leader_.node, leader_.token});
}

void core::machine::on(transfer const& e) {
  if (refuse_request(e.id)) return;
  if (e.to.empty() && !leads()) {
    out_->emplace_back(reply{e.id, failure::not_leader});
    return;
  }
  ask(e.id, {0, wire::asked::transfer, false, e.to, 0});
}
void core::machine::on(add_voter const& e) {
  if (!refuse_request(e.id)) ask(e.id, {0, wire::asked::add_voter, false, e.node, 0});
}
void core::machine::on(remove_voter const& e) {
  if (!refuse_request(e.id)) ask(e.id, {0, wire::asked::remove_voter, false, e.node, 0});
}
void core::machine::on(check_token const& e) {
  if (!refuse_request(e.id)) ask(e.id, {0, wire::asked::check_token, false, {}, e.token});
}

void core::machine::ask(request_id id, wire::request what) {
  bool const nameless = what.node.find('@') == std::string::npos || what.node.size() > 255;
  if (nameless && !what.node.empty()) {
    out_->emplace_back(reply{id, failure::unknown_node});
    return;
  }
  what.id = id;
  waiting_request r;
  r.what = std::move(what);
  r.until = now_ + patience();
  due_.emplace(r.until, id);
  auto const at = requests_.emplace(id, std::move(r)).first;
  forward(id, at->second);
}

void core::machine::forward(request_id id, waiting_request& r) {
  if (leader_.node.empty() || r.sent_in == leader_.term) return;
  if (!leads() && !peers_.contains(leader_.node)) return;
  r.what.again = r.what.again || r.sent_in != 0;
  r.sent_in = leader_.term;
  r.sent_to = leader_.node;
  auto const what = r.what;
  if (leads())
    perform(what, {{}, id}); // may end it
  else
    post_now(leader_.node, what);
}

// There is a leader, another one perhaps.
void core::machine::forward_all() {
  std::vector<request_id> ids;
  for (auto const& [id, r] : requests_) ids.push_back(id);
  for (auto const id : ids) {
    auto const at = requests_.find(id);
    if (at == requests_.end()) continue;
    auto& r = at->second;
    bool const handed_over = !r.elects && r.what.what == wire::asked::transfer && r.sent_in != 0 &&
                             r.sent_in != leader_.term &&
                             leader_.node != (r.what.node.empty() ? self_.node : std::string{}) &&
                             (r.what.node.empty() || r.what.node == leader_.node);
    if (r.elects)
      finish(id, led_by{leader_.node, leader_.token});
    else if (handed_over)
      finish(id, done{});
    else
      forward(id, r);
  }
}

void core::machine::perform(wire::request const& what, asker const& from) {
  switch (what.what) {
  case wire::asked::transfer: return ask_handover(what.node, from, what.again);
  case wire::asked::add_voter: return ask_change(true, what.node, from, what.again);
  case wire::asked::remove_voter: return ask_change(false, what.node, from, what.again);
  case wire::asked::check_token:
    if (checks_.size() >= limits_.requests_max) return answer(from, failure::too_many);
    checks_.push_back({what.token, from, now_ + patience()});
    return check_tokens();
  }
}

void core::machine::on_message(std::string const& from, wire::request const& m) {
  if (leads()) perform(m, {from, m.id}); // else it asks whom it hears to lead
}

void core::machine::on_message(std::string const& from, wire::request_reply const& m) {
  auto const at = requests_.find(m.id);
  if (at == requests_.end() || at->second.sent_to != from || at->second.elects) return;
  finish(m.id, m.failed ? result(*m.failed) : result(done{}));
}

void core::machine::answer(asker const& to, std::optional<failure> failed) {
  if (!to.node.empty()) return post_now(to.node, wire::request_reply{to.id, failed});
  if (requests_.contains(to.id)) finish(to.id, failed ? result(*failed) : result(done{}));
}

void core::machine::finish(request_id id, result r) {
  auto const at = requests_.find(id);
  base::check(at != requests_.end(), "election: who is answered has asked");
  due_.erase({at->second.until, id});
  requests_.erase(at);
  out_->emplace_back(reply{id, std::move(r)});
}

void core::machine::requests_due() {
  for (auto const& c : checks_)
    if (now_ >= c.until) answer(c.from, failure::timeout);
  std::erase_if(checks_, [&](auto const& c) { return now_ >= c.until; });
  while (!due_.empty() && due_.begin()->first <= now_)
    finish(due_.begin()->second, leader_.node.empty() ? failure::no_leader : failure::timeout);
}

// ---- candidates of this node for names

void core::machine::on(campaign const& e) {
  if (!started_ || !client_.campaign(e.owner, e.name)) {
    say(name_lost{e.owner, e.name}); // it takes no part
    return;
  }
  send_claims();
}

void core::machine::on(withdraw const& e) {
  std::vector<news> told;
  client_.withdraw(e.owner, told);
  say_all(std::move(told));
  if (started_) send_claims();
}

} // namespace remora::raft
