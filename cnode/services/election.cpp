#include "services/election.hpp"

#include "etf/reader.hpp"
#include "services/peer_host.hpp"

#include <boost/unordered/unordered_flat_map.hpp>
#include <fmt/format.h>

#include <map>
#include <utility>

namespace remora::services {

namespace {
constexpr std::string_view process_name = "remora_election";
} // namespace

struct election::shared : peer_host {
  explicit shared(node::core& node)
      : peer_host(node, process_name, "remora_raft", "remora_election:init/1") {}

  struct candidate {
    std::string name;
    etf::pid pid;
    etf::reference ref;
    std::uint64_t token = 0; // while it holds
    bool standing = false;   // not while its VM hangs
  };
  struct run {
    run(raft::identity self, election_settings const& s, std::uint64_t seed)
        : core(std::move(self), s.core, seed) {}
    raft::core core;
    raft::effects out{};
    std::map<raft::request_id, done> requests{};
    std::map<std::uint64_t, candidate> candidates{}; // by owner
    boost::unordered_flat_map<std::pair<std::string, etf::pid>, std::uint64_t> by_name{};
    boost::unordered_flat_map<etf::reference, std::uint64_t> by_monitor{};
    std::map<std::string, raft::core::holder> led{};
    std::string abstains{};
  };

  election_outside outside{};
  election_settings defaults{};
  election_settings settings{};
  bool wanted = false; // also before the node runs
  std::optional<raft::durable> state{};
  std::shared_ptr<run> now{};
  raft::request_id last_request = 0;
  std::uint64_t last_owner = 0;
  std::string silent_vm{};
  raft::limits limits{};
  std::vector<std::function<void(raft::news const&)>> observers{};
  std::vector<std::function<void(holding const&)>> held_observers{};
  std::vector<std::function<void(bool)>> running_observers{};

  void began() override;
  bool wants_peers() const override { return now != nullptr; }
  void peer_came(std::string const& peer) override { handle(raft::peer_up{peer}); }
  void peer_went(std::string const& peer, std::string const&) override { handle(raft::peer_down{peer}); }
  void peer_said(std::string peer, std::string bytes) override {
    handle(raft::message{.node = std::move(peer), .bytes = std::move(bytes)});
  }
  void hear_other(etf::term const& message) override; // that a candidate has ended
  std::optional<base::time_point> next_deadline() const override {
    return now ? now->core.next_deadline() : std::nullopt;
  }
  void tick() override { handle(raft::tick{}); }
  void ended() override { stop(); }

  raft::options options_now() const;
  std::optional<wrong> read_state(election_settings const& s);
  void run_core();
  void stop();
  void handle(raft::event const& e);
  void hear_role();
  template <class Request>
  void request(Request r, done told);

  void perform(raft::send const& e);
  void perform(raft::persist const& e);
  void perform(raft::reply const& e);
  void perform(raft::tell const& e);
  void hear_news(raft::news const& n);
  void set_token(std::uint64_t owner, std::uint64_t token);

  std::map<std::uint64_t, candidate>::iterator find(std::string const& name, etf::pid const& who);
  void find_by(std::uint64_t owner, candidate const& c);
  void drop(std::map<std::uint64_t, candidate>::iterator c);
  void stand(std::uint64_t owner, candidate& c);
};

// ---- the process

void election::shared::began() {
  if (wanted && !now) run_core();
}

void election::shared::hear_other(etf::term const& message) {
  auto const down = message->tuple<5>();
  if (!down || !(*down)[0].is_atom("DOWN") || !now) return;
  auto const ref = (*down)[1].as_reference();
  auto const found = ref ? now->by_monitor.find(*ref) : now->by_monitor.end();
  if (found != now->by_monitor.end()) drop(now->candidates.find(found->second));
}

// ---- starting and stopping

// While its VM hangs it does not stand.
raft::options election::shared::options_now() const {
  auto out = settings.core;
  if (!silent_vm.empty()) out.priority = 0;
  return out;
}

// What is on the disk, or a new state, which is another voter than the one that may be in a configuration.
std::optional<election::wrong> election::shared::read_state(election_settings const& s) {
  state.reset();
  if (s.state_dir.empty()) return std::nullopt;
  if (!outside.read) return wrong{.key = "state_dir", .text = "files cannot be read here"};
  auto found = outside.read(s.state_dir);
  if (!found) return wrong{.key = "state_dir", .text = found.error()};
  state = raft::durable{.instance = outside.entropy()};
  if (!*found) return std::nullopt;
  auto read = raft::read_state(**found);
  if (read) {
    state = std::move(*read);
    return std::nullopt;
  }
  if (outside.set_aside) outside.set_aside(s.state_dir);
  node().tell(
      node::notice{.level = "error",
                   .text = fmt::format("the election's state in {} cannot be used: {}. It was set aside, and "
                                       "this node does not vote until the leader has taken it in again",
                                       s.state_dir, read.error()),
                   .event = "election_state"});
  return std::nullopt;
}

void election::shared::run_core() {
  raft::identity us{.node = std::string(node().name().text())};
  now =
      std::make_shared<run>(std::move(us), election_settings{.core = options_now()}, node().random().next());
  for (auto const& told : running_observers) told(true);
  for (auto const& peer : peers()) peer_came(peer);
  handle(raft::start{.state = std::exchange(state, std::nullopt)});
}

void election::shared::stop() {
  wanted = false;
  if (!now) return;
  handle(raft::stop{});
  auto const was = std::exchange(now, nullptr);
  for (auto const& [id, told] : was->requests) told(raft::failure::stopped);
  for (auto const& [owner, c] : was->candidates) {
    if (running()) self().demonitor(c.ref);
    if (c.token == 0) continue;
    for (auto const& told : held_observers) told({.name = c.name, .pid = c.pid, .token = 0});
  }
  rearm();
  for (auto const& told : running_observers) told(false);
}

// ---- the core

void election::shared::handle(raft::event const& e) {
  auto const r = now; // somebody who hears the news may stop it
  if (!r) return;
  r->core.handle(e, node().now(), r->out);
  for (auto const& what : std::exchange(r->out, {})) {
    std::visit([&](auto const& one) { perform(one); }, what);
    if (now != r) return;
  }
  hear_role();
  rearm();
}

// That it votes again is no news of the core's.
void election::shared::hear_role() {
  if (now->abstains.empty() || now->core.status(node().now()).role == raft::role::abstaining) return;
  now->abstains.clear();
  for (auto const& told : observers) told(raft::abstains{});
}

template <class Request>
void election::shared::request(Request r, done told) {
  if (!now) return told(raft::failure::stopped);
  r.id = ++last_request;
  now->requests.emplace(r.id, std::move(told));
  handle(std::move(r));
}

void election::shared::perform(raft::send const& e) { send_peer(e.node, e.bytes); }

void election::shared::perform(raft::persist const& e) {
  outside.write(
      settings.state_dir, raft::write_state(e.state),
      [all = weak_from_this(), this, of = std::weak_ptr(now), id = e.id](std::optional<std::string> problem) {
        auto const us = all.lock();
        if (!us || of.lock() != now || !now) return;
        if (problem)
          handle(raft::save_failed{.id = id, .text = *problem});
        else
          handle(raft::saved{id});
      });
}

void election::shared::perform(raft::reply const& e) {
  auto const found = now->requests.find(e.id);
  if (found == now->requests.end()) return;
  auto const told = std::move(found->second);
  now->requests.erase(found);
  told(e.result);
}

void election::shared::perform(raft::tell const& e) {
  hear_news(e.news);
  if (!now) return;
  bool const bad =
      std::holds_alternative<raft::abstains>(e.news) || std::holds_alternative<raft::foreign_cluster>(e.news);
  bool const quiet = std::holds_alternative<raft::name_led>(e.news);
  node().tell(node::notice{.level = bad     ? "warning"
                                    : quiet ? "debug"
                                            : "info",
                           .text = raft::describe(e.news),
                           .event = "election"});
  for (auto const& told : observers) told(e.news);
}

void election::shared::hear_news(raft::news const& n) {
  if (auto const* const a = std::get_if<raft::abstains>(&n)) now->abstains = a->text;
  if (auto const* const led = std::get_if<raft::name_led>(&n)) {
    if (led->node.empty())
      now->led.erase(led->name);
    else
      now->led.insert_or_assign(led->name, raft::core::holder{.node = led->node, .token = led->token});
  }
  if (auto const* const won = std::get_if<raft::name_won>(&n)) set_token(won->owner, won->token);
  if (auto const* const lost = std::get_if<raft::name_lost>(&n)) set_token(lost->owner, 0);
}

void election::shared::set_token(std::uint64_t owner, std::uint64_t token) {
  auto const found = now->candidates.find(owner);
  if (found == now->candidates.end() || std::exchange(found->second.token, token) == token) return;
  holding const change{.name = found->second.name, .pid = found->second.pid, .token = token};
  for (auto const& told : held_observers) told(change);
}

// ---- candidates

std::map<std::uint64_t, election::shared::candidate>::iterator election::shared::find(std::string const& name,
                                                                                      etf::pid const& who) {
  auto const found = now->by_name.find({name, who});
  return found == now->by_name.end() ? now->candidates.end() : now->candidates.find(found->second);
}

void election::shared::find_by(std::uint64_t owner, candidate const& c) {
  now->by_name.insert_or_assign({c.name, c.pid}, owner);
  now->by_monitor.insert_or_assign(c.ref, owner);
}

void election::shared::stand(std::uint64_t owner, candidate& c) {
  if (std::exchange(c.standing, true)) return;
  handle(raft::campaign{.owner = owner, .name = c.name});
}

void election::shared::drop(std::map<std::uint64_t, candidate>::iterator c) {
  auto const owner = c->first;
  if (running()) self().demonitor(c->second.ref);
  set_token(owner, 0);
  now->by_name.erase({c->second.name, c->second.pid});
  now->by_monitor.erase(c->second.ref);
  now->candidates.erase(c);
  handle(raft::withdraw{owner});
}

// ---- the facade

election::election(node::core& node) : all_(std::make_shared<shared>(node)) {}
void election::set_outside(election_outside outside) { all_->outside = std::move(outside); }
void election::set_defaults(election_settings s) { all_->defaults = std::move(s); }
election_settings const& election::defaults() const { return all_->defaults; }

std::optional<election::wrong> election::start(election_settings s) {
  auto& a = *all_;
  if (auto found = raft::find_wrong(s.core)) return found;
  if (a.now && s.state_dir == a.settings.state_dir) {
    a.settings = std::move(s);
    a.handle(raft::configure{a.options_now()});
    return std::nullopt;
  }
  a.stop();
  if (auto found = a.read_state(s)) return found;
  a.settings = std::move(s);
  a.wanted = true;
  a.need_peers();
  if (a.node().creation() != 0) a.run_core(); // else when the node runs
  return std::nullopt;
}

void election::stop() { all_->stop(); }
bool election::started() const { return all_->now != nullptr; }

raft::status election::status() const {
  return all_->now ? all_->now->core.status(all_->node().now()) : raft::status();
}
std::string election::why_abstaining() const {
  return all_->now && status().role == raft::role::abstaining ? all_->now->abstains : std::string();
}
base::duration election::lease_left() const {
  return all_->now ? all_->now->core.lease_left(all_->node().now()) : base::duration();
}
base::duration election::name_lease() const { return all_->settings.core.name_lease; }

void election::elect(done told) { all_->request(raft::elect{}, std::move(told)); }
void election::transfer(std::string to, done told) {
  all_->request(raft::transfer{.to = std::move(to)}, std::move(told));
}
void election::add_voter(std::string node, done told) {
  all_->request(raft::add_voter{.node = std::move(node)}, std::move(told));
}
void election::remove_voter(std::string node, done told) {
  all_->request(raft::remove_voter{.node = std::move(node)}, std::move(told));
}
void election::check_token(std::uint64_t token, done told) {
  all_->request(raft::check_token{.token = token}, std::move(told));
}

election::campaigning election::campaign(std::string const& name, etf::pid const& who) {
  auto& a = *all_;
  if (!a.now) return campaigning::not_started;
  if (name.empty() || name.size() > a.limits.name_bytes_max) return campaigning::bad_name;
  if (a.find(name, who) != a.now->candidates.end()) return campaigning::ok;
  if (a.now->candidates.size() >= a.limits.campaigns_max) return campaigning::too_many;
  auto const owner = ++a.last_owner;
  auto& c = a.now->candidates[owner];
  c = {.name = name, .pid = who, .ref = a.self().monitor(who)};
  a.find_by(owner, c);
  if (who.node.text() != a.silent_vm) a.stand(owner, c);
  return campaigning::ok;
}

bool election::withdraw(std::string const& name, etf::pid const& who) {
  if (!all_->now) return false;
  auto const found = all_->find(name, who);
  if (found == all_->now->candidates.end()) return false;
  all_->drop(found);
  return true;
}

std::optional<election::hold> election::holds(std::string const& name, etf::pid const& who) const {
  auto& a = *all_;
  if (!a.now) return std::nullopt;
  auto const found = a.find(name, who);
  if (found == a.now->candidates.end() || found->second.token == 0) return std::nullopt;
  auto const left = a.now->core.name_lease_left(found->first, a.node().now());
  if (left <= base::duration()) return std::nullopt;
  return hold{.token = found->second.token, .lease_left = left};
}

std::optional<raft::core::holder> election::leader_of(std::string const& name) const {
  return all_->now ? all_->now->core.leader_of(name) : std::nullopt;
}

std::vector<election::holding> election::held() const {
  std::vector<holding> out;
  if (all_->now)
    for (auto const& [owner, c] : all_->now->candidates)
      if (c.token != 0) out.push_back({.name = c.name, .pid = c.pid, .token = c.token});
  return out;
}

std::vector<std::pair<std::string, raft::core::holder>> election::led() const {
  if (!all_->now) return {};
  return {all_->now->led.begin(), all_->now->led.end()};
}

void election::observe(std::function<void(raft::news const&)> told) {
  all_->observers.push_back(std::move(told));
}
void election::observe_held(std::function<void(holding const&)> told) {
  all_->held_observers.push_back(std::move(told));
}
void election::observe_running(std::function<void(bool on)> told) {
  all_->running_observers.push_back(std::move(told));
}

void election::app_silent(std::string const& vm) {
  auto& a = *all_;
  a.silent_vm = vm;
  if (!a.now) return;
  a.handle(raft::configure{a.options_now()});
  a.request(raft::transfer{}, [](raft::result const&) {});
  std::vector<std::uint64_t> theirs;
  for (auto& [owner, c] : a.now->candidates)
    if (c.pid.node.text() == vm && std::exchange(c.standing, false)) theirs.push_back(owner);
  for (auto const owner : theirs) {
    a.set_token(owner, 0);
    a.handle(raft::withdraw{owner});
  }
}

// A withdrawn candidate stands again as another: an owner is never used twice.
void election::app_heard(std::string const& vm) {
  auto& a = *all_;
  if (std::exchange(a.silent_vm, std::string()).empty() || !a.now) return;
  a.handle(raft::configure{a.options_now()});
  std::vector<std::uint64_t> theirs;
  for (auto const& [owner, c] : a.now->candidates)
    if (c.pid.node.text() == vm && !c.standing) theirs.push_back(owner);
  for (auto const owner : theirs) {
    auto moved = a.now->candidates.extract(owner);
    moved.key() = ++a.last_owner;
    auto const at = a.now->candidates.insert(std::move(moved)).position;
    a.find_by(at->first, at->second);
    a.stand(at->first, at->second);
  }
}

void election::suspected_dead(std::string const& node) {
  if (all_->now) all_->later([all = all_.get(), node] { all->handle(raft::suspected_dead{node}); });
}
void election::seen(std::vector<std::string> nodes) {
  if (all_->now)
    all_->later([all = all_.get(), n = std::move(nodes)] { all->handle(raft::seen{.nodes = n}); });
}

} // namespace remora::services
