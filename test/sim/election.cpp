#include "sim/election.hpp"

#include "base/overload.hpp"
#include "raft/quorum.hpp"
#include "sim/election_world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace remora::sim {

using namespace std::chrono_literals;

namespace {

using host = election_world::host;
using fate = election_world::fate;

constexpr auto election_max = 300ms;
constexpr auto name_lease = 400ms;
constexpr auto progress_within = 8s; // with the longest pause between two attempts to save
constexpr auto answered_within = 8 * election_max + 400ms;

class election_run {
public:
  explicit election_run(settings const& s) : world_(s, s.seed % 2 == 0), settings_(s) {}

  outcome run() {
    world_.after_step = [this](host& h) { check(h); };
    world_.on_effect = [this](host& h, raft::effect const& e) { see(h, e); };
    world_.on_reply = [this](host& h, raft::request_id id, raft::result const& r) { judge(h, id, r); };
    build();
    storm();
    heal();
    if (!world_.failed()) serve();
    if (!world_.failed() && !preferences_) disturb();
    if (!world_.failed() && !preferences_) deafen_leader();
    return world_.result();
  }

private:
  using candidate = election_world::candidate;

  // ---- the cluster

  void build() {
    static constexpr std::array<std::size_t, 3> sizes = {3, 5, 7};
    auto const voters = settings_.nodes.value_or(sizes.at(world_.below(sizes.size())));
    bool const expects = world_.chance(40);
    auto const extra = expects ? world_.below(2) : world_.below(3);
    preferences_ = world_.chance(15);
    raft::options o;
    o.heartbeat = world_.chance(50) ? 30ms : 45ms;
    o.election_min = 150ms;
    o.election_max = election_max;
    o.name_lease = name_lease;
    if (world_.chance(40)) o.lease = o.election_min;
    if (expects)
      o.bootstrap_expect = static_cast<std::uint32_t>(voters);
    else
      for (std::size_t i = 0; i < voters; ++i)
        o.voters.push_back(fmt::format("{}@h", static_cast<char>('a' + static_cast<char>(i))));
    for (std::size_t i = 0; i < voters + extra; ++i) {
      auto own = o;
      if (preferences_) own.priority = i == 1 ? 0 : static_cast<std::uint32_t>(1 + world_.below(3));
      if (i == 0) own.priority = 1;
      if (i >= voters && !expects) own.voters.clear();
      if (world_.mutated("eager_names")) own.name_lease = world_.chance(50) ? 180ms : 1s;
      auto const drift = world_.mutated("wild_clocks") ? 0.4 : raft::drift_max;
      auto const part = world_.chance(50)
                            ? static_cast<double>(world_.below(2'001)) / 1'000 - 1
                            : static_cast<double>(world_.below(2)) * 2 - 1; // as wrong as may be
      auto const rate = 1 + drift * part;
      world_.add(own, i < voters || expects || world_.chance(70), rate);
    }
    for (auto& h : world_.hosts())
      if (world_.chance(85)) world_.start(*h);
    see_all();
    if (!world_.chance(20)) return;
    // Whoever proposes the first configuration falls silent in the middle of it, or when it is chosen, and
    // the others are started anew.
    auto& first = *world_.hosts().front();
    bool const chosen = world_.chance(50);
    for (int i = 0; chosen && i < 2'000 && !first.configured; ++i) world_.pass(100us);
    if (!chosen) world_.pass(world_.between(5ms, 80ms));
    for (auto& h : world_.hosts())
      if (h.get() != &first) {
        world_.cut(first, *h, world_.chance(50));
        if (world_.chance(70)) world_.crash(*h, fate::lost, true);
        world_.start(*h);
      }
    see_all();
    world_.pass(1s);
  }

  void see_all() {
    raft::seen all;
    for (auto& h : world_.hosts())
      if (h->up()) all.nodes.push_back(h->name);
    for (auto& h : world_.hosts())
      if (h->up() && !h->paused) world_.feed(*h, all);
  }

  host& any() { return *world_.hosts().at(world_.below(world_.hosts().size())); }
  host* leading() {
    for (auto& h : world_.hosts())
      if (h->up() && h->core->lease_left(world_.local(*h)) > 0ns) return h.get();
    return nullptr;
  }

  // May this node lose its state? Each configuration that is somewhere keeps a majority that knows it.
  bool may_lose(host& h) {
    if (!h.disk || preferences_) return false;
    bool all_configured = true;
    std::vector<raft::configuration> seen;
    for (auto& other : world_.hosts()) {
      if (!other->keeps_state) continue;
      auto const* const d = other->disk ? &*other->disk : nullptr;
      all_configured = all_configured && d != nullptr && d->config.cluster != 0;
      if (d != nullptr) seen.push_back(d->config);
      for (auto const& [id, w] : other->writing) seen.push_back(w.second.config);
    }
    if (!all_configured) return false;
    auto const intact = [&](raft::voter const& v) {
      auto const* const of = world_.find(v.node);
      return of != nullptr && of != &h && of->disk && of->disk->instance == v.instance;
    };
    return std::all_of(seen.begin(), seen.end(), [&](auto const& c) { return raft::is_quorum(c, intact); });
  }

  // ---- the storm

  void storm() {
    if (world_.chance(75)) {
      for (int i = 0; i < 40 && leading() == nullptr; ++i) world_.pass(50ms);
      for (auto& h : world_.hosts())
        if (h->up() && world_.chance(50)) campaign(*h);
      world_.pass(world_.between(0ms, 2 * name_lease));
    }
    auto const acts = 10 + world_.below(40);
    static constexpr std::array<base::duration, 4> gaps = {5ms, 50ms, 200ms, 800ms};
    for (std::uint64_t i = 0; i < acts && !world_.failed(); ++i) {
      act();
      world_.pass(world_.between(0ms, gaps.at(world_.below(gaps.size()))));
      check_answers();
    }
  }

  void act() {
    auto& h = world_.chance(30) && leading() != nullptr ? *leading() : any();
    auto& other = any();
    auto const id_of = [&](auto make) {
      return [make](raft::request_id id) -> raft::event { return make(id); };
    };
    auto const acts = h.up() && !h.paused;
    switch (world_.below(26)) {
    case 0:
    case 1:
    case 2:
      if (!h.up()) return world_.start(h);
      {
        bool const torn = world_.chance(30) && may_lose(h);
        world_.crash(h, torn ? fate::torn : world_.chance(50) ? fate::lost : fate::kept, world_.chance(70));
      }
      if (world_.chance(60)) world_.start(h);
      return see_all();
    case 3:
    case 4:
      for (auto& one : world_.hosts())
        if (!one->up()) world_.start(*one);
      return see_all();
    case 5: return h.paused ? world_.resume(h) : world_.pause(h);
    case 6: return world_.resume(h);
    case 7:
    case 8:
      if (&h != &other) world_.cut(h, other, world_.chance(60));
      return;
    case 9: { // one is parted from all others
      for (auto& one : world_.hosts())
        if (one.get() != &h) world_.cut(h, *one, world_.chance(60));
      return;
    }
    case 10: { // two sides
      for (auto& a : world_.hosts())
        for (auto& b : world_.hosts())
          if (a->index < b->index && (a->index % 2 == 0) != (b->index % 2 == 0))
            world_.cut(*a, *b, world_.chance(60));
      return;
    }
    case 11:
    case 12:
      for (auto& a : world_.hosts())
        for (auto& b : world_.hosts())
          if (a->index < b->index) world_.heal(*a, *b);
      return;
    case 13:
      if (&h != &other) world_.deafen(h, other, true);
      return;
    case 14:
      h.disk_fails = !h.disk_fails && world_.chance(50);
      h.disk_spread = world_.chance(20) ? 150ms : 5ms;
      return;
    case 15:
      if (acts)
        world_.ask(h, id_of([&](auto id) {
                     return raft::transfer{id, world_.chance(30) ? "" : other.name};
                   }),
                   "transfer", slack(answered_within));
      return;
    case 16:
      if (acts)
        world_.ask(h, id_of([](auto id) { return raft::elect{id}; }), "elect", slack(3 * election_max));
      return;
    case 17:
      if (acts && world_.chance(50))
        world_.ask(h, id_of([&](auto id) {
                     return raft::add_voter{id, other.name};
                   }),
                   "add_voter", slack(answered_within));
      else if (acts && may_remove(other))
        world_.ask(h, id_of([&](auto id) {
                     return raft::remove_voter{id, other.name};
                   }),
                   "remove_voter", slack(answered_within));
      return;
    case 18:
      if (acts) check_some_token(h);
      return;
    case 19:
      if (acts) world_.feed(h, raft::suspected_dead{other.name});
      return;
    case 20:
    case 21: return plot();
    case 22: { // the power fails
      for (auto& one : world_.hosts()) world_.crash(*one, world_.chance(50) ? fate::lost : fate::kept, true);
      for (auto& one : world_.hosts())
        if (world_.chance(90)) world_.start(*one);
      return see_all();
    }
    default: {
      if (!acts) return;
      if (h.candidates.size() >= 2) {
        auto const owner = h.candidates.begin()->first;
        h.candidates.erase(h.candidates.begin());
        return world_.feed(h, raft::withdraw{owner});
      }
      return campaign(h);
    }
    }
  }

  void campaign(host& h) {
    auto const owner = ++last_owner_;
    auto const* const name = world_.chance(50) ? "scheduler" : "billing";
    h.candidates[owner] = {name};
    world_.feed(h, raft::campaign{owner, name});
  }

  // What a lease has to stand: the leader is parted from those who are to vote against it, and they hear that
  // it is dead, or forget what they have promised.
  void plot() {
    auto* const l = leading();
    if (l == nullptr) return;
    std::vector<host*> others;
    for (auto& h : world_.hosts())
      if (h.get() != l && h->up() && !h->paused) others.push_back(h.get());
    if (others.size() < 2) return;
    auto& rival = *others.at(world_.below(others.size()));
    if (world_.chance(30)) {
      world_.slow_down(*l, world_.between(20ms, 100ms));
      world_.pass(300ms);
    }
    bool const forget = world_.chance(50);
    if (forget) {
      world_.cut(*l, rival, false);
      world_.pass(world_.between(200ms, 500ms));
    }
    for (auto* const h : others) {
      if (world_.failed()) return;
      if (forget && h != &rival) {
        world_.cut(*l, *h, false);
        world_.crash(*h, fate::kept, true);
        world_.start(*h);
      } else if (!forget) {
        world_.cut(*l, *h, false);
        world_.feed(*h, raft::suspected_dead{l->name});
      }
    }
    world_.pass(world_.between(20ms, 200ms));
  }

  // Not down to so few that one who has lost its state later leaves none.
  bool may_remove(host const& h) {
    auto* const l = leading();
    if (l == nullptr) return false;
    auto const config = l->core->status(world_.local(*l)).config;
    return config.voters.size() > 3 && raft::find_voter(config, h.name) != nullptr;
  }

  static base::duration slack(base::duration d) { return d + d / 50 + 20ms; }

  void check_some_token(host& h) {
    auto const pick = world_.below(3);
    std::uint64_t token = 0;
    std::uint64_t surpassed = 0;
    if (pick < 2 && !sure_tokens_.empty()) {
      auto const back = world_.below(std::min<std::size_t>(sure_tokens_.size(), 3));
      token = sure_tokens_.at(sure_tokens_.size() - 1 - back);
      if (token < sure_tokens_.back()) surpassed = sure_tokens_.back();
    } else if (!held_.empty()) {
      auto const& [name, all] = *held_.begin();
      token = all.at(world_.below(all.size()));
      if (token < all.back()) surpassed = all.back();
    }
    if (token == 0) return;
    auto const id = world_.ask(
        h,
        [&](raft::request_id r) -> raft::event {
          return raft::check_token{r, token};
        },
        "check_token", slack(answered_within), token);
    if (auto const at = h.requests.find(id); at != h.requests.end()) at->second.surpassed_by = surpassed;
  }

  // ---- then all is well

  void heal() {
    if (world_.mutated("never_healed"))
      return wait_for(progress_within, "progress", [&] { return lacking(); });
    world_.note("the storm is over");
    world_.calm();
    for (auto& h : world_.hosts()) {
      h->disk_fails = false;
      world_.resume(*h);
    }
    for (auto& a : world_.hosts())
      for (auto& b : world_.hosts())
        if (a->index < b->index) world_.heal(*a, *b);
    for (auto& h : world_.hosts()) world_.start(*h);
    see_all();
    wait_for(progress_within, "progress", [&] { return lacking(); });
  }

  void wait_for(base::duration time, std::string const& checker, auto what) {
    auto const until = world_.now() + time;
    while (!world_.failed()) {
      auto const words = what();
      if (words.empty()) return;
      if (world_.now() >= until) return world_.complain(checker, words);
      world_.pass(10ms);
    }
  }

  std::string lacking() {
    auto* const l = leading();
    if (l == nullptr) return "nobody leads";
    auto const s = l->core->status(world_.local(*l));
    for (auto& h : world_.hosts()) {
      auto const own = h->core ? h->core->status(world_.local(*h)) : raft::status{};
      if (h->up() && own.leader != l->name) return h->name + " does not know who leads";
      if (h->up() && own.config != s.config) return h->name + " has another configuration";
    }
    for (auto const& v : s.config.voters) {
      auto const* const of = world_.find(v.node);
      if (of->disk && of->disk->instance != v.instance) return v.node + " is not taken in again";
    }
    return {};
  }

  void serve() {
    for (auto& h : world_.hosts())
      if (h->candidates.empty() && world_.chance(50)) {
        auto const owner = ++last_owner_;
        h->candidates[owner] = {"scheduler"};
        world_.feed(*h, raft::campaign{owner, "scheduler"});
      }
    wait_for(5s, "served", [&]() -> std::string {
      for (auto& h : world_.hosts())
        for (auto const& [owner, c] : h->candidates)
          if (!is_held(c.name)) return "nobody holds " + c.name;
      return {};
    });
    world_.pass(300ms);
    if (!preferences_) change();
    world_.pass(300ms);
    check_answers();
  }

  bool is_held(std::string const& name) {
    for (auto& h : world_.hosts())
      for (auto const& [owner, c] : h->candidates)
        if (c.name == name && h->core->name_lease_left(owner, world_.local(*h)) > 0ns) return true;
    return false;
  }

  // Each voter is removed and taken in again, or another one is added.
  void change() {
    auto* const l = leading();
    if (l == nullptr || world_.failed()) return;
    auto const voters = l->core->status(world_.local(*l)).config.voters;
    auto const votes = [&](host const& h) {
      return std::any_of(voters.begin(), voters.end(), [&](auto const& v) { return v.node == h.name; });
    };
    for (auto& h : world_.hosts()) {
      if (!h->keeps_state || (votes(*h) && voters.size() < 3)) continue;
      if (world_.chance(60)) continue;
      auto& at = any();
      bool const add = !votes(*h);
      auto const id = world_.ask(
          at,
          [&](raft::request_id r) -> raft::event {
            if (add) return raft::add_voter{r, h->name};
            return raft::remove_voter{r, h->name};
          },
          "a change", slack(answered_within));
      wait_for(2s, "served", [&]() -> std::string {
        return at.requests.contains(id) ? at.name + " waits for a change" : std::string{};
      });
      auto const now_voters = last_config().voters;
      bool const there =
          std::any_of(now_voters.begin(), now_voters.end(), [&](auto const& v) { return v.node == h->name; });
      if (!world_.failed() && there != add)
        world_.complain("served", h->name + (add ? " is no voter" : " is a voter"));
      return;
    }
  }

  raft::configuration last_config() {
    raft::configuration out;
    for (auto& h : world_.hosts())
      if (h->disk && (out.cluster == 0 || h->disk->config.newer_than(out))) out = h->disk->config;
    return out;
  }

  // One who does not hear the leader, and one who is removed and does not hear of it, change nothing.
  void disturb() {
    wait_for(progress_within, "progress", [&] { return lacking(); });
    auto* const l = leading();
    if (l == nullptr || world_.failed()) return;
    auto const before = l->core->status(world_.local(*l));
    if (before.config.voters.size() < 3) return;
    host* deaf = nullptr;
    for (auto& h : world_.hosts())
      if (h.get() != l && raft::find_voter(before.config, h->name) != nullptr) deaf = h.get();
    world_.note(deaf->name + " does not hear the leader");
    world_.deafen(*l, *deaf, true);
    world_.pass(1'500ms);
    world_.deafen(*l, *deaf, false);
    world_.pass(600ms);
    still_leads(*l, before, "who does not hear it");
    for (auto& h : world_.hosts())
      if (h.get() != deaf) world_.cut(*deaf, *h, true);
    bool const removes = before.config.voters.size() > 3;
    if (removes && !world_.failed())
      world_.ask(
          *l,
          [&](raft::request_id r) -> raft::event {
            return raft::remove_voter{r, deaf->name};
          },
          "remove_voter", slack(answered_within));
    world_.pass(1'200ms);
    for (auto& h : world_.hosts())
      if (h.get() != deaf) world_.heal(*deaf, *h);
    world_.pass(1s);
    still_leads(*l, before, "who returns");
    wait_for(progress_within, "progress", [&] { return lacking(); });
  }

  void still_leads(host& l, raft::status const& before, std::string const& whom) {
    if (world_.failed()) return;
    auto const s = l.core->status(world_.local(l));
    if (s.term != before.term || s.role != raft::role::leader)
      world_.complain("disturbed",
                      fmt::format("{} disturbs {}: term {} is {}", whom, l.name, before.term, s.term));
  }

  // A leader that can send but not receive.
  void deafen_leader() {
    auto* const l = leading();
    if (l == nullptr || world_.failed()) return;
    if (l->core->status(world_.local(*l)).config.voters.size() < 3) return;
    world_.note(l->name + " hears nobody");
    for (auto& h : world_.hosts())
      if (h.get() != l && !world_.mutated("half_cut")) world_.deafen(*h, *l, true);
    wait_for(2s, "deaf", [&]() -> std::string {
      auto* const next = leading();
      return next == nullptr || next == l ? "nobody leads instead of " + l->name : std::string{};
    });
  }

  // ---- what is checked

  void see(host& h, raft::effect const& e) {
    if (auto const* const s = std::get_if<raft::send>(&e)) return see_message(h, *s);
    auto const* const t = std::get_if<raft::tell>(&e);
    if (t == nullptr) return;
    std::visit(base::overload{
                   [&](raft::leader_elected const& n) {
                     if (n.node != h.name) return;
                     auto const [at, fresh] = leaders_.try_emplace(n.term, h.name);
                     if (!fresh && at->second != h.name)
                       world_.complain("leaders",
                                       fmt::format("term {} has {} and {}", n.term, at->second, h.name));
                   },
                   [&](raft::name_won const& n) {
                     if (auto const c = h.candidates.find(n.owner); c != h.candidates.end())
                       c->second.token = n.token;
                   },
                   [&](raft::configured const& n) {
                     h.configured = true;
                     if (cluster_ == 0) cluster_ = n.config.cluster;
                     if (n.config.cluster != cluster_)
                       world_.complain("cluster", h.name + " is configured into another cluster");
                   },
                   [](auto const&) {},
               },
               t->news);
  }

  void see_message(host& h, raft::send const& s) {
    auto const kind = s.bytes.size() > 3 ? s.bytes[3] : 0;
    if (kind != 1 && kind != 2 && kind != 5 && kind != 6) return; // the four below
    auto const e = raft::wire::read(s.bytes, {});
    if (!e) return world_.complain("world", h.name + " sends what cannot be read");
    if (auto const* const v = std::get_if<raft::wire::vote>(&e->body); v != nullptr && v->granted && !v->pre)
      voted(h, v->asked, s.node);
    if (auto const* const a = std::get_if<raft::wire::ask_vote>(&e->body); a != nullptr && !a->pre)
      voted(h, a->term, h.name);
    if (std::holds_alternative<raft::wire::timeout_now>(e->body) ||
        std::holds_alternative<raft::wire::leave>(e->body))
      said_until_.erase(h.name); // it hands over
  }

  void voted(host& h, raft::term t, std::string const& whom) {
    if (!h.disk) return world_.complain("unsaved", h.name + " votes, and has no disk");
    if (h.disk->term < t || (h.disk->term == t && h.disk->voted_for != whom))
      world_.complain("unsaved",
                      fmt::format("{} votes for {} in term {}, which it has not saved", h.name, whom, t));
    auto const [at, fresh] = votes_.try_emplace({h.disk->instance, t}, whom);
    if (!fresh && at->second != whom)
      world_.complain("votes", fmt::format("{} votes for {} and {} in term {}", h.name, at->second, whom, t));
  }

  void check(host& h) {
    if (!h.up()) return;
    if (auto const left = h.core->lease_left(world_.local(h)); left > 0ns) {
      for (auto const& [name, until] : said_until_)
        if (name != h.name && until > world_.now())
          world_.complain("lease",
                          fmt::format("{} surely leads, and {} has said that it does", h.name, name));
      auto& said = said_until_[h.name];
      said = std::max(said, world_.true_time(h, world_.local(h) + left));
      for (auto& other : world_.hosts())
        if (other.get() != &h && other->up() && other->core->lease_left(world_.local(*other)) > 0ns)
          world_.complain("lease", fmt::format("{} and {} both surely lead", h.name, other->name));
      auto const token = h.core->status(world_.local(h)).token;
      if (sure_tokens_.empty() || token > sure_tokens_.back()) {
        sure_tokens_.push_back(token);
        sure_of_ = h.name;
      } else if (token < sure_tokens_.back() || sure_of_ != h.name) {
        world_.complain("tokens",
                        fmt::format("{} leads with {} after {}", h.name, token, sure_tokens_.back()));
      }
    }
    for (auto const& [owner, c] : h.candidates)
      if (h.core->name_lease_left(owner, world_.local(h)) > 0ns) check_holder(h, owner, c);
  }

  void check_holder(host& h, std::uint64_t owner, candidate const& c) {
    for (auto& other : world_.hosts())
      for (auto const& [o, theirs] : other->candidates)
        if (theirs.name == c.name && o != owner && other->up() &&
            other->core->name_lease_left(o, world_.local(*other)) > 0ns)
          world_.complain("names", fmt::format("{} and {} both hold {}", h.name, other->name, c.name));
    auto& all = held_[c.name];
    if (all.empty() || c.token > all.back()) {
      all.push_back(c.token);
      holder_[c.name] = owner;
    } else if (c.token < all.back() || holder_[c.name] != owner) {
      world_.complain("name_token",
                      fmt::format("{} holds {} with {} after {}", h.name, c.name, c.token, all.back()));
    }
  }

  void judge(host& h, raft::request_id id, raft::result const& r) {
    auto const at = h.requests.find(id);
    if (at == h.requests.end()) return world_.complain("answered", h.name + " answers what was not asked");
    if (r == raft::result(raft::done{}) && at->second.surpassed_by != 0)
      world_.complain("fence", fmt::format("{} is called good, and {} was given", at->second.token,
                                           at->second.surpassed_by));
  }

  void check_answers() {
    for (auto& h : world_.hosts())
      for (auto const& [id, r] : h->requests)
        if (h->up() && !h->paused && world_.now() > r.until)
          world_.complain("answered", fmt::format("{}: {} was never answered", h->name, r.what));
  }

  election_world world_;
  settings settings_;
  bool preferences_ = false;
  std::uint64_t last_owner_ = 0;
  std::map<raft::term, std::string> leaders_;
  std::map<std::pair<std::uint64_t, raft::term>, std::string> votes_;
  std::vector<std::uint64_t> sure_tokens_;
  std::string sure_of_;
  std::map<std::string, base::time_point> said_until_; // by true time: what was left when anybody could ask
  std::map<std::string, std::vector<std::uint64_t>> held_;
  std::map<std::string, std::uint64_t> holder_;
  std::uint64_t cluster_ = 0;
};

} // namespace

outcome run_election(settings const& s) { return election_run(s).run(); }

std::vector<election_mutant> const& election_mutants() {
  static std::vector<election_mutant> const all = {
      {"unsynced", "votes"},        {"shrunk", "leaders"},         {"forgets_terms", "tokens"},
      {"old_names", "name_token"},  {"says_too_early", "unsaved"}, {"no_wait", "lease"},
      {"late_lease", "lease"},      {"wild_clocks", "lease"},      {"shrunk", "lease"},
      {"no_pre_vote", "disturbed"}, {"eager_names", "names"},      {"good_for_all", "fence"},
      {"lost_reply", "answered"},   {"lost_acceptor", "cluster"},  {"early_tick", "spins"},
      {"never_healed", "progress"}, {"lost_grant", "served"},      {"half_cut", "deaf"},
  };
  return all;
}

} // namespace remora::sim
