#include "sim/discovery.hpp"

#include "base/check.hpp"
#include "discovery/core.hpp"
#include "discovery/lookup.hpp"
#include "discovery/node_name.hpp"
#include "sim/discovery_ideal.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <queue>

namespace remora::sim {

using namespace std::chrono_literals;
namespace d = remora::discovery;

namespace {

constexpr std::array<d::side, 2> sides = {d::side::companion, d::side::app};
constexpr auto converged_within = 300s;
constexpr auto redial_slack = 100ms; // what the simulated network itself may take
constexpr std::string_view hosts_path = "/hosts";
constexpr std::string_view nodes_path = "/nodes";

// How a source of one host answers for a while.
enum class mood : std::uint8_t { right, fails, silent, slow, empty, partial, lies, count };

// A signature is what matters here, not that it is hard to make.
d::signer quick_signer() {
  auto const sign = [](std::string_view secret, base::bytes_view bytes) {
    std::uint64_t sum = 1469598103934665603U;
    for (auto const part : {base::as_bytes(secret), bytes})
      for (auto const b : part) sum = (sum ^ b) * 1099511628211U;
    d::signature out{};
    base::store_be(out.data(), sum);
    return out;
  };
  return {sign, [sign](std::string_view secret, base::bytes_view bytes, base::bytes_view proof) {
            auto const right = sign(secret, bytes);
            return std::equal(right.begin(), right.end(), proof.begin(), proof.end());
          }};
}

struct request {
  std::string what;
  base::time_point asked;
};

struct host {
  std::size_t index = 0;
  std::string address, companion, app;
  bool up = false;
  bool dark = false; // swallows packets
  bool app_up = false;
  unsigned incarnation = 0;
  unsigned app_incarnation = 0;
  bool paused = false;
  bool ended = false;
  d::options o;
  std::unique_ptr<d::core> core;
  ideal_listing ideal;
  std::map<std::size_t, mood> moods; // by the source's kind
  std::map<d::question_id, d::question> standing;
  std::map<d::request_id, request> requests;
  std::map<std::pair<d::side, std::string>, base::time_point> attempts; // until when at most
  base::time_point delivered{};
  base::time_point round_ended{};
  std::uint64_t wakes = 0;
  bool abandons = false; // what is forgotten now is not wanted any more

  std::string const& own(d::side s) const { return s == d::side::companion ? companion : app; }
};

// A node that only is there.
struct passive {
  std::string name;
  bool up = true;
  bool dark = false;
};

struct connection {
  std::string dialled_by;
  base::time_point since;
};

class simulation {
public:
  explicit simulation(settings const& s) : settings_(s), random_(s.seed) {}

  outcome run() {
    build();
    if (crowd_) {
      first_second();
    } else {
      storm();
      heal();
    }
    if (complaints_.empty()) at_rest();
    if (complaints_.empty()) restarts();
    return {complaints_, trace_, steps_};
  }

private:
  // ---- drawing

  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
  bool chance(std::uint64_t per_cent) { return below(100) < per_cent; }
  base::duration between(base::duration from, base::duration to) {
    return from + base::duration(
                      static_cast<std::int64_t>(below(static_cast<std::uint64_t>((to - from).count()) + 1)));
  }
  bool mutated(std::string_view name) const { return settings_.mutant == name; }

  // ---- words

  void note(std::string const& line) {
    if (settings_.trace)
      trace_.push_back(
          fmt::format("{:9.3f} {}", std::chrono::duration<double>(now_.time_since_epoch()).count(), line));
  }
  void complain(std::string_view checker, std::string const& words) {
    note(fmt::format("COMPLAINT {}: {}", checker, words));
    if (complaints_.size() < 10) complaints_.push_back(fmt::format("{}: {}", checker, words));
  }

  // ---- time

  struct happening {
    base::time_point at;
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(happening const& o) const { return std::tie(o.at, o.order) < std::tie(at, order); }
  };
  void at(base::time_point when, std::function<void()> what) {
    queue_.push({when, ++order_, std::move(what)});
  }
  void after(base::duration time, std::function<void()> what) { at(now_ + time, std::move(what)); }
  void pass(base::duration time) {
    auto const until = now_ + time;
    while (!queue_.empty() && queue_.top().at <= until && complaints_.empty()) {
      auto next = queue_.top();
      queue_.pop();
      now_ = next.at;
      ++steps_;
      next.what();
    }
    now_ = until;
  }
  d::wall_clock wall() const { return {1'700'000'000'000 + now_.time_since_epoch() / 1ms}; }

  // ---- the cores

  void build();
  void make_options(host& h);
  void start(host& h);
  void start_app(host& h);
  void stop_app(host& h);
  void crash(host& h);
  void handle(host& h, d::event const& e);
  void obey(host& h, d::effect const& e);
  void wake(host& h);
  void deliver(host& h, base::duration time, d::event e, std::optional<d::side> of = {}) {
    after(time, [this, &h, n = h.incarnation, a = h.app_incarnation, e = std::move(e), of] {
      if (h.up && h.incarnation == n && (of != d::side::app || h.app_incarnation == a)) handle(h, e);
    });
  }
  // What is said of links comes in order, as one loop tells it.
  void deliver_in_order(host& h, base::duration time, d::event e, d::side of) {
    h.delivered = std::max(h.delivered, now_ + time);
    deliver(h, h.delivered - now_, std::move(e), of);
  }

  // ---- the network

  host* host_of(std::string const& node) {
    for (auto& h : hosts_)
      if (node == h.companion || node == h.app) return &h;
    return nullptr;
  }
  passive* passive_of(std::string const& node) {
    for (auto& p : passives_)
      if (node == p.name) return &p;
    return nullptr;
  }
  bool alive(std::string const& node) {
    if (auto const* const h = host_of(node)) return h->up && (node == h->companion || h->app_up);
    auto const* const p = passive_of(node);
    return p != nullptr && p->up;
  }
  bool dark(std::string const& node) {
    if (auto const* const h = host_of(node)) return h->dark;
    auto const* const p = passive_of(node);
    return p != nullptr ? p->dark : false;
  }
  static std::pair<std::string, std::string> pair_of(std::string const& a, std::string const& b) {
    return a < b ? std::pair(a, b) : std::pair(b, a);
  }
  void tell_both(std::string const& a, std::string const& b, auto make) {
    for (auto const& [own, other] : {std::pair(a, b), std::pair(b, a)}) {
      auto* const h = host_of(own);
      if (h == nullptr || !h->up) continue;
      auto const s = own == h->companion ? d::side::companion : d::side::app;
      deliver_in_order(*h, between(0ms, 10ms), make(s, own, other), s);
    }
  }
  void link(std::string const& dialler, std::string const& to) {
    connections_[pair_of(dialler, to)] = {dialler, now_};
    note(fmt::format("link {} -> {}", dialler, to));
    tell_both(dialler, to, [&](d::side s, std::string const& own, std::string const& other) {
      return d::event(d::link_up{s, other, own == dialler});
    });
  }
  void cut(std::string const& a, std::string const& b, std::string const& why) {
    if (connections_.erase(pair_of(a, b)) == 0) return;
    note(fmt::format("cut {} {}: {}", a, b, why));
    tell_both(a, b, [&](d::side s, std::string const&, std::string const& other) {
      return d::event(d::link_down{s, other, why});
    });
  }
  void cut_all(std::string const& node, std::string const& why) {
    std::vector<std::pair<std::string, std::string>> of;
    for (auto const& [pair, c] : connections_)
      if (pair.first == node || pair.second == node) of.push_back(pair);
    for (auto const& [a, b] : of) cut(a, b, why);
  }
  void connect(host& h, d::connect const& e);
  void attempt(host& h, d::connect const& e);
  void disconnect(host& h, d::disconnect const& e);
  void send(host& h, std::string const& bytes);

  // ---- the sources

  std::set<std::string> right_list(host& h, d::source const& s);
  std::set<std::string> said_list(host& h, d::source const& s, mood m);
  void answer(host& h, d::question_id id, d::question const& q);
  d::answer answer_of(host& h, d::source const& s, d::question const& q, std::set<std::string> const& list,
                      mood m);
  d::source const* source_of(host& h, d::question const& q);

  // ---- what happens

  void storm();
  void act();
  void heal();
  void at_rest();
  void restarts();
  void first_second();
  void ask(host& h, d::event const& e, d::request_id id, std::string what);
  void check(host& h);
  void check_left(host& h);
  std::string lacking(); // who is not connected that should be, or is that should not
  void wait_for(base::duration time, std::string_view checker, auto what);

  settings settings_;
  base::random random_;
  base::time_point now_{};
  std::priority_queue<happening> queue_;
  std::uint64_t order_ = 0;
  std::uint64_t steps_ = 0;
  std::vector<std::string> complaints_;
  test::lines trace_;

  bool crowd_ = false;
  bool calm_ = true;     // no faults now
  bool resting_ = false; // nothing has to change
  bool right_ = true;
  std::vector<host> hosts_;
  std::vector<passive> passives_;
  std::set<std::string> registered_;
  std::map<std::pair<std::string, std::string>, connection> connections_;
  d::request_id last_request_ = 0;
};

// ---- the cores

void simulation::build() {
  crowd_ = chance(10);
  auto const hosts = crowd_ ? 1 : settings_.nodes.value_or(1 + below(4));
  auto const others = crowd_ ? 100 : below(6);
  for (std::size_t i = 0; i < hosts; ++i) {
    host h;
    h.index = i;
    h.address = fmt::format("10.0.0.{}", i + 1);
    h.companion = "c@" + h.address;
    h.app = "v@" + h.address;
    hosts_.push_back(std::move(h));
  }
  for (std::size_t i = 0; i < others; ++i) {
    passives_.push_back({fmt::format("v@10.0.1.{}", i + 1)});
    passives_.back().dark = crowd_ && i % 2 == 0;
    registered_.insert(passives_.back().name);
  }
  for (auto& h : hosts_) {
    registered_.insert(h.app);
    if (chance(50)) registered_.insert(h.companion);
    make_options(h);
    start(h);
  }
  note(fmt::format("{} hosts, {} others{}", hosts, others, crowd_ ? ", a crowd" : ""));
}

void simulation::make_options(host& h) {
  d::options o;
  if (!crowd_) {
    o.poll_interval = between(500ms, 5s);
    o.grace = 1 + static_cast<unsigned>(below(3));
    o.keep_missing_nodes = chance(10);
    o.dial_limit = chance(30) ? 1 + below(3) : 64;
    o.dial_timeout = between(500ms, 7s);
    o.backoff_max = between(1s, 10s);
    o.ask_timeout = between(200ms, 5s);
    o.who = std::array{d::side::both, d::side::both, d::side::companion, d::side::app}.at(below(4));
  }
  std::vector<d::source> all = {
      d::custom{},
      d::dns_name{"v", "all.sim"},
      d::dns_service{"v", "srv.sim"},
      d::kubernetes{.basename = "v", .ns = "sim", .server = "https://k", .token_file = "/t", .ca_file = "/c"},
      d::node_file{std::string(nodes_path)},
      d::multicast{.group = "239.0.0.1", .port = 1, .secret = "s"},
      d::node_list{{hosts_.front().app, hosts_.back().companion}}};
  d::epmd_hosts epmd;
  for (auto const& other : hosts_) epmd.hosts.push_back(other.address);
  all.push_back(chance(50) ? d::source(epmd) : d::source(d::hosts_file{std::string(hosts_path)}));
  if (crowd_) {
    o.sources = {all.at(below(5))};
  } else {
    for (auto n = 1 + below(3); n > 0; --n) {
      auto const i = below(all.size());
      o.sources.push_back(all.at(i));
      all.erase(all.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  auto const wrong = d::find_wrong(o);
  base::check(!wrong, "sim: options are right");
  h.o = std::move(o);
}

void simulation::start(host& h) {
  h.up = true;
  h.paused = h.ended = false;
  ++h.incarnation;
  h.requests.clear();
  h.attempts.clear();
  h.standing.clear();
  h.delivered = h.round_ended = now_;
  h.ideal.reset(h.companion, h.o);
  h.core = std::make_unique<d::core>(d::identity{h.companion, random_.next()}, h.o, quick_signer(),
                                     random_.next());
  note(h.companion + " starts");
  if (chance(80) || crowd_) start_app(h);
  handle(h, d::start{wall()});
}

void simulation::start_app(host& h) {
  if (h.app_up) return;
  h.app_up = true;
  ++h.app_incarnation;
  handle(h, d::app_here{h.app});
}

void simulation::stop_app(host& h) {
  if (!h.app_up) return;
  h.app_up = false;
  ++h.app_incarnation;
  std::erase_if(h.attempts, [](auto const& a) { return a.first.first == d::side::app; });
  cut_all(h.app, "its VM is gone");
  handle(h, d::app_gone{});
}

void simulation::crash(host& h) {
  stop_app(h);
  note(h.companion + " is gone");
  h.up = false;
  ++h.incarnation;
  cut_all(h.companion, "connection lost");
  h.core.reset();
}

void simulation::handle(host& h, d::event const& e) {
  note(fmt::format("{} <- {}", h.companion, d::describe(e)));
  if (auto const* const a = std::get_if<d::answered>(&e)) h.ideal.answered(a->id, a->what);
  if (std::holds_alternative<d::start>(e)) {
    h.paused = h.ended = false;
    h.round_ended = now_;
  }
  if (auto const* const f = std::get_if<d::link_failed>(&e)) h.attempts.erase({f->where, f->node});
  if (auto const* const u = std::get_if<d::link_up>(&e)) h.attempts.erase({u->where, u->node});
  h.abandons = std::holds_alternative<d::pause>(e) || std::holds_alternative<d::shutdown>(e) ||
               std::holds_alternative<d::configure>(e);
  d::effects out;
  auto& core = *h.core;
  core.handle(e, now_, out);
  if (auto const* const c = std::get_if<d::configure>(&e)) {
    for (auto const& x : out) // before the others: they are of the new sources
      if (auto const* const f = std::get_if<d::forget>(&x)) h.ideal.abandoned(f->id);
    h.ideal.configure(c->what);
  }
  for (auto const& x : out) obey(h, x);
  h.abandons = false;
  if (mutated("asks_while_paused") && h.paused && chance(20)) obey(h, d::ask{999, d::list_by_app{}});
  if (mutated("dials_itself") && chance(1)) obey(h, d::connect{d::side::companion, h.companion});
  if (mutated("foreign_disconnect") && chance(5))
    for (auto const& [pair, c] : connections_)
      if (c.dialled_by != h.companion && (pair.first == h.companion || pair.second == h.companion)) {
        obey(h, d::disconnect{d::side::companion, c.dialled_by});
        break;
      }
  if (mutated("over_limit") && h.attempts.size() == h.o.dial_limit)
    obey(h, d::connect{d::side::companion, "v@10.9.9.9"});
  if (mutated("chatter") && resting_) obey(h, d::connect{d::side::companion, "v@10.9.9.9"});
  check(h);
  wake(h);
}

void simulation::wake(host& h) {
  auto const next = h.core->next_deadline();
  auto const number = ++h.wakes;
  if (!next) return;
  at(std::max(*next, now_), [this, &h, number, n = h.incarnation] {
    if (h.up && h.incarnation == n && h.wakes == number) handle(h, d::tick{wall()});
  });
}

void simulation::obey(host& h, d::effect const& e) {
  note(fmt::format("{} -> {}", h.companion, d::describe(e)));
  bool const quiet = h.paused || h.ended;
  if (auto const* const x = std::get_if<d::ask>(&e)) {
    if (quiet) return complain("quiet", fmt::format("{} {}", h.companion, d::describe(e)));
    h.ideal.asked(x->id, x->question);
    answer(h, x->id, x->question);
  } else if (auto const* const f = std::get_if<d::forget>(&e)) {
    h.standing.erase(f->id);
    h.abandons ? h.ideal.abandoned(f->id) : h.ideal.timed_out(f->id);
  } else if (auto const* const p = std::get_if<d::send_packet>(&e)) {
    send(h, p->bytes);
  } else if (auto const* const c = std::get_if<d::connect>(&e)) {
    if (quiet) complain("quiet", fmt::format("{} {}", h.companion, d::describe(e)));
    if (c->node == h.own(c->where) || c->node == h.companion)
      complain("own", fmt::format("{} {}", h.companion, d::describe(e)));
    if (resting_) complain("rest", fmt::format("{} {}", h.companion, d::describe(e)));
    connect(h, *c);
  } else if (auto const* const x2 = std::get_if<d::disconnect>(&e)) {
    auto const link = connections_.find(pair_of(h.own(x2->where), x2->node));
    if (!h.ideal.may_drop(x2->node))
      complain("disconnects",
               fmt::format("{} {}: no source says that it is gone", h.companion, d::describe(e)));
    if (link != connections_.end() && link->second.dialled_by != h.own(x2->where))
      complain("foreign",
               fmt::format("{} {}: {} dialled", h.companion, d::describe(e), link->second.dialled_by));
    if (resting_) complain("rest", fmt::format("{} {}", h.companion, d::describe(e)));
    if (!mutated("keeps_who_is_gone")) disconnect(h, *x2);
  } else if (auto const* const r = std::get_if<d::reply>(&e)) {
    if (mutated("lost_reply") && chance(30)) return;
    h.requests.erase(r->request);
  } else if (auto const* const t = std::get_if<d::tell>(&e)) {
    if (std::holds_alternative<d::paused>(t->news)) h.paused = true;
    if (std::holds_alternative<d::resumed>(t->news)) h.paused = false;
    if (std::holds_alternative<d::stopped>(t->news)) h.ended = true;
    if (std::holds_alternative<d::resumed>(t->news)) h.round_ended = now_;
    if (auto const* const round = std::get_if<d::refreshed>(&t->news)) {
      h.round_ended = now_;
      if (resting_ && round->result.was != d::result::what::ok)
        complain("rest", fmt::format("{}: {}", h.companion, d::describe(round->result)));
    }
    if (mutated("eager_disconnect") && std::holds_alternative<d::refreshed>(t->news))
      for (auto const& [pair, c2] : connections_)
        if (c2.dialled_by == h.companion && chance(20)) {
          obey(h, d::disconnect{d::side::companion, pair.first == h.companion ? pair.second : pair.first});
          break;
        }
  }
}

// ---- the network

void simulation::connect(host& h, d::connect const& e) {
  std::erase_if(h.attempts, [&](auto const& a) {
    return a.second <= now_ || connections_.contains(pair_of(h.own(a.first.first), a.first.second));
  });
  h.attempts[{e.where, e.node}] = now_ + h.o.dial_timeout + 250ms;
  if (h.attempts.size() > h.o.dial_limit)
    complain("limit", fmt::format("{}: {} attempts at once, at most {}", h.companion, h.attempts.size(),
                                  h.o.dial_limit));
  auto const slow = mutated("slow_dialler") ? 700ms : 0ms;
  after(slow + between(1ms, 30ms), [this, &h, e, n = h.incarnation, a = h.app_incarnation] {
    if (h.up && h.incarnation == n && (e.where != d::side::app || h.app_incarnation == a)) attempt(h, e);
  });
}

void simulation::attempt(host& h, d::connect const& e) {
  auto const& own = h.own(e.where);
  auto const fails = [&](base::duration time, std::string why) {
    deliver(h, time, d::link_failed{e.where, e.node, std::move(why)}, e.where);
  };
  if (connections_.contains(pair_of(own, e.node))) return; // by the other one: link_up is on its way
  if (mutated("deaf_dialler") && h.index == 0) return fails(0ms, "deaf");
  if (h.dark || dark(e.node)) {
    if (!calm_ && chance(5)) return; // and nobody says so
    return fails(h.o.dial_timeout, "timeout");
  }
  if (!alive(e.node)) return fails(0ms, "refused");
  if (!calm_ && chance(10)) return fails(between(0ms, 1s), "handshake");
  link(own, e.node);
}

void simulation::disconnect(host& h, d::disconnect const& e) {
  if (!calm_ && chance(5)) return; // never answered
  if (!calm_ && chance(5))
    return deliver_in_order(h, 10ms, d::disconnected{e.where, e.node, "it hangs"}, e.where);
  bool const early = chance(50);
  if (early) deliver_in_order(h, 0ms, d::disconnected{e.where, e.node}, e.where);
  cut(h.own(e.where), e.node, "disconnect");
  if (!early) deliver_in_order(h, 10ms, d::disconnected{e.where, e.node}, e.where);
}

void simulation::send(host& from, std::string const& bytes) {
  for (auto& h : hosts_) {
    if (!h.up || h.dark || from.dark) continue;
    for (auto const& [id, q] : h.standing) {
      if (!std::holds_alternative<d::join_group>(q)) continue;
      if (!calm_ && chance(30)) continue; // lost
      for (auto copies = !calm_ && chance(10) ? 2 : 1; copies > 0; --copies)
        after(between(0ms, 5ms), [this, &h, id = id, bytes, address = from.address, n = h.incarnation] {
          if (h.up && h.incarnation == n) handle(h, d::packet{id, bytes, address, wall()});
        });
    }
  }
}

// ---- the sources

// What it lists when all is right.
std::set<std::string> simulation::right_list(host& h, d::source const& s) {
  std::set<std::string> out;
  if (auto const* const list = std::get_if<d::node_list>(&s)) return {list->nodes.begin(), list->nodes.end()};
  for (auto const& node : registered_) {
    auto const* const of = host_of(node);
    bool const there = of == nullptr || alive(node);
    bool const by_epmd = std::holds_alternative<d::epmd_hosts>(s) || std::holds_alternative<d::hosts_file>(s);
    bool const named = std::holds_alternative<d::custom>(s) || std::holds_alternative<d::node_file>(s);
    if (by_epmd ? of != nullptr && there : named || d::basename_of(node) == "v") out.insert(node);
  }
  if (std::holds_alternative<d::multicast>(s)) {
    out.clear();
    for (auto const& other : hosts_) {
      bool const speaks = std::any_of(other.o.sources.begin(), other.o.sources.end(),
                                      [](auto const& o) { return std::holds_alternative<d::multicast>(o); });
      if (other.up && !other.dark && !other.ended && speaks && other.index != h.index)
        out.insert(other.companion);
    }
  }
  return out;
}

std::set<std::string> simulation::said_list(host& h, d::source const& s, mood m) {
  auto out = right_list(h, s);
  if (m == mood::empty) return {};
  if (m == mood::partial || m == mood::lies) std::erase_if(out, [&](auto const&) { return chance(40); });
  if (m == mood::lies && chance(50)) out.insert(fmt::format("v@10.0.9.{}", 1 + below(5))); // a ghost
  return out;
}

d::source const* simulation::source_of(host& h, d::question const& q) {
  for (auto const& s : h.o.sources) {
    auto const all = d::questions_of(s, h.companion);
    if (std::find(all.begin(), all.end(), q) != all.end()) return &s;
  }
  for (auto const& s : h.o.sources)
    if (std::holds_alternative<d::hosts_file>(s)) return &s;
  return nullptr;
}

void simulation::answer(host& h, d::question_id id, d::question const& q) {
  if (std::holds_alternative<d::watch>(q) || std::holds_alternative<d::join_group>(q)) {
    if (!calm_ && chance(20)) return deliver(h, 1ms, d::answered{id, d::failed{d::cause::network, "sim"}});
    h.standing.emplace(id, q);
    return;
  }
  auto const* const s = source_of(h, q);
  if (s == nullptr) return; // of a source that a configuration just took
  auto const m = right_ ? mood::right : h.moods[s->index()];
  if (m == mood::silent) return;
  auto time = between(1ms, 20ms);
  if (m == mood::slow) time = between(0ms, 2 * h.o.ask_timeout);
  bool const fails = m == mood::fails || (m == mood::partial && chance(30));
  auto said = fails ? d::answer(d::failed{d::cause::server_failure, "sim"})
                    : answer_of(h, *s, q, said_list(h, *s, m), m);
  deliver(h, time, d::answered{id, std::move(said)});
}

d::answer simulation::answer_of(host& h, d::source const& s, d::question const& q,
                                std::set<std::string> const& list, mood m) {
  auto const hosts = [&] {
    std::vector<std::string> out;
    for (auto const& node : list) out.emplace_back(d::host_of(node));
    return out;
  };
  std::vector<std::string> const nodes(list.begin(), list.end());
  if (auto const* const e = std::get_if<d::epmd_names>(&q)) {
    d::names out;
    bool up = false;
    for (auto const& other : hosts_) up = up || (other.address == e->host && other.up);
    if (!up) return d::failed{d::cause::no_epmd, e->host};
    for (auto const& node : nodes)
      if (d::host_of(node) == e->host) out.list.emplace_back(d::basename_of(node));
    return out;
  }
  if (auto const* const r = std::get_if<d::resolve>(&q)) {
    if (r->kind == d::record::aaaa && m == mood::partial) return d::failed{d::cause::timeout, "sim"};
    if (r->kind == d::record::aaaa)
      return chance(20) ? d::answer(d::failed{d::cause::no_such_name, ""}) : d::addresses{};
    if (r->kind == d::record::a) return d::addresses{hosts()};
    d::targets out;
    for (auto const& one : hosts()) out.list.push_back({one + ".", 4369});
    return out;
  }
  if (std::holds_alternative<d::http_get>(q)) {
    auto body =
        std::string(R"({"kind":"EndpointsList","items":[{"metadata":{"name":"s"},"subsets":[{"addresses":[)");
    for (auto const& one : hosts())
      body += fmt::format(R"({}{{"ip":"{}"}})", body.ends_with('[') ? "" : ",", one);
    body += "]}]}]}";
    if (m == mood::partial) body.resize(below(body.size()));
    return d::document{m == mood::partial && chance(50) ? 503U : 200U, body};
  }
  if (auto const* const f = std::get_if<d::read_file>(&q)) {
    std::string out;
    if (f->path == hosts_path)
      for (auto const& other : hosts_) out += fmt::format("'{}'.\n", other.address);
    else
      out = fmt::format("{}\n", fmt::join(nodes, "\n"));
    if (m == mood::partial) out += "what is this\n";
    return d::text{out};
  }
  static_cast<void>(h);
  static_cast<void>(s);
  d::listed out{nodes};
  if (m == mood::partial) out.nodes.emplace_back("no name");
  return out;
}

// ---- what happens

void simulation::ask(host& h, d::event const& e, d::request_id id, std::string what) {
  h.requests[id] = {std::move(what), now_};
  handle(h, e);
}

void simulation::act() {
  auto& h = hosts_.at(below(hosts_.size()));
  auto const registered = [&](std::string const& node) {
    note("registry: " + node);
    if (registered_.erase(node) == 0) registered_.insert(node);
  };
  switch (below(16)) {
  case 0:
  case 1:
    if (h.up && chance(50)) return crash(h);
    if (!h.up) start(h);
    return;
  case 2:
    if (h.up) h.app_up ? stop_app(h) : start_app(h);
    return;
  case 3:
    h.dark = !h.dark;
    return note(fmt::format("{} {}", h.companion, h.dark ? "swallows packets" : "is back"));
  case 4:
  case 5: {
    if (passives_.empty()) return;
    auto& p = passives_.at(below(passives_.size()));
    if (chance(30)) p.dark = !p.dark;
    p.up = !p.up;
    note(fmt::format("{} is {}{}", p.name, p.up ? "up" : "down", p.dark ? ", and swallows packets" : ""));
    if (!p.up) cut_all(p.name, "it died");
    return;
  }
  case 6: return registered(h.app);
  case 7: return registered(h.companion);
  case 8: {
    if (passives_.empty()) return;
    return registered(passives_.at(below(passives_.size())).name);
  }
  case 9:
  case 10: { // the network breaks
    if (connections_.empty()) return;
    auto const broken =
        std::next(connections_.begin(), static_cast<std::ptrdiff_t>(below(connections_.size())))->first;
    return cut(broken.first, broken.second, "reset");
  }
  case 11: { // somebody else dials
    if (passives_.empty() || !h.up) return;
    auto const& p = passives_.at(below(passives_.size()));
    if (p.up && !p.dark && !h.dark && !connections_.contains(pair_of(p.name, h.companion)))
      link(p.name, h.companion);
    return;
  }
  case 12:
    for (auto& [kind, m] : h.moods) m = static_cast<mood>(below(static_cast<std::uint64_t>(mood::count)));
    return;
  case 13:
    if (!h.up) return;
    for (auto const& [id, q] : std::map(h.standing))
      if (std::holds_alternative<d::watch>(q)) deliver(h, 0ms, d::changed{id});
    return;
  case 14: {
    if (!h.up) return;
    auto const id = ++last_request_;
    switch (below(8)) {
    case 0: return ask(h, d::pause{id}, id, "pause");
    case 1:
    case 2: return ask(h, d::resume{id}, id, "resume");
    case 3:
      if (!chance(30)) return;
      return ask(h, d::shutdown{id}, id, "shutdown");
    case 4:
      if (h.ended) handle(h, d::start{wall()});
      return;
    default: return ask(h, d::refresh{id}, id, "refresh");
    }
  }
  default:
    if (!h.up || !chance(30)) return;
    make_options(h);
    return handle(h, d::configure{h.o});
  }
}

void simulation::check(host& h) {
  if (!h.up || !h.core) return;
  auto const status = h.core->status();
  // A refresh may wait for a round's end, and has one of its own then; each asks twice at most, and dials.
  static constexpr auto longest = 2 * (2 * 5s + 7s + 500ms) + 1s; // with the longest times that are drawn
  for (auto const& [id, r] : h.requests)
    if (now_ - r.asked > longest)
      complain("stuck", fmt::format("{}: {} was never answered", h.companion, r.what));
  if (!h.paused && !h.ended && status.now == d::status::state::running && now_ - h.round_ended > longest + 6s)
    complain("stuck", h.companion + ": no round ends");
}

void simulation::check_left(host& h) {
  if (mutated("forgotten_loss")) handle(h, d::link_up{d::side::companion, "v@10.9.9.9"});
  std::set<std::string> known;
  for (auto const& n : h.core->status().nodes) known.insert(n.node);
  for (auto const& [pair, c] : connections_)
    for (auto const side : sides)
      if (pair.first == h.own(side) || pair.second == h.own(side))
        known.insert(pair.first == h.own(side) ? pair.second : pair.first);
  if (h.core->known_count() > known.size())
    complain("left", fmt::format("{} keeps {} nodes, of which {} matter", h.companion, h.core->known_count(),
                                 known.size()));
}

void simulation::storm() {
  right_ = false;
  calm_ = false;
  for (auto& h : hosts_)
    for (std::size_t kind = 0; kind < std::variant_size_v<d::source>; ++kind)
      h.moods[kind] =
          chance(50) ? mood::right : static_cast<mood>(below(static_cast<std::uint64_t>(mood::count)));
  auto const acts = 5 + below(chance(70) ? 40 : 150);
  static constexpr std::array<base::duration, 4> gaps = {5ms, 100ms, 1s, 6s};
  for (std::uint64_t i = 0; i < acts && complaints_.empty(); ++i) {
    act();
    pass(between(0ms, gaps.at(below(gaps.size()))));
    for (auto& h : hosts_)
      if (h.up) check(h);
  }
}

void simulation::wait_for(base::duration time, std::string_view checker, auto what) {
  auto const until = now_ + time;
  std::string words;
  while (complaints_.empty()) {
    words = what();
    if (words.empty()) return;
    if (now_ >= until) return complain(checker, words);
    pass(100ms);
  }
}

std::string simulation::lacking() {
  std::string out;
  for (auto& h : hosts_) {
    std::set<std::string> listed;
    for (auto const& s : h.o.sources) listed.merge(right_list(h, s));
    for (auto const side : sides) {
      if (h.o.who != d::side::both && h.o.who != side) continue;
      if (side == d::side::app && !h.app_up) continue;
      for (auto const& node : listed) {
        bool const own = node == h.companion || (side == d::side::app && node == h.app);
        if (!own && alive(node) && !connections_.contains(pair_of(h.own(side), node)))
          out += fmt::format(" {} lacks {}", h.own(side), node);
      }
      if (h.o.keep_missing_nodes) continue;
      for (auto const& [pair, c] : connections_) {
        auto const& other = pair.first == h.own(side) ? pair.second : pair.first;
        if (c.dialled_by == h.own(side) && other != h.app && !listed.contains(other) &&
            h.ideal.may_drop(other))
          out += fmt::format(" {} still has {}", h.own(side), other);
      }
    }
  }
  return out;
}

// All answers are right, nobody swallows packets, all that are registered are there.
void simulation::heal() {
  note("the storm is over");
  calm_ = true;
  right_ = !mutated("never_right");
  for (auto& p : passives_) p.dark = false;
  for (auto& p : passives_) p.up = true;
  for (auto& h : hosts_) {
    h.dark = false;
    if (!h.up) start(h);
    if (h.ended) handle(h, d::start{wall()});
    start_app(h);
    auto const id = ++last_request_;
    if (h.paused) ask(h, d::resume{id}, id, "resume");
  }
  registered_.insert(hosts_.front().app); // an empty answer would say nothing
  // A watch whose setting up failed in the storm comes with the next round; what is registered stays.
  wait_for(converged_within, "converges", [&] { return lacking(); });
  pass(60s); // who lied is found out, who fell silent is forgotten
  wait_for(converged_within, "converges", [&] { return lacking(); });
}

void simulation::at_rest() {
  if (crowd_) return;
  resting_ = true;
  pass(20s);
  resting_ = false;
  for (auto& h : hosts_) check_left(h);
  for (auto& h : hosts_) {
    if (!complaints_.empty()) return;
    auto const id = ++last_request_;
    ask(h, d::refresh{id}, id, "refresh");
    pass(1s);
    if (h.requests.contains(id))
      complain("stuck", h.companion + ": a refresh at rest takes more than a second");
  }
}

// A node dies, is refused for a while and returns.
void simulation::restarts() {
  if (crowd_ || passives_.empty()) return;
  auto& p = passives_.at(below(passives_.size()));
  std::vector<std::pair<host*, d::side>> had;
  for (auto& h : hosts_) {
    std::set<std::string> listed;
    for (auto const& s : h.o.sources) listed.merge(right_list(h, s));
    for (auto const side : sides) {
      bool const wanted = h.o.who == d::side::both || h.o.who == side;
      auto const link = connections_.find(pair_of(h.own(side), p.name));
      if (wanted && listed.contains(p.name) && link != connections_.end() && now_ - link->second.since > 6s)
        had.emplace_back(&h, side);
    }
  }
  p.up = false;
  note(p.name + " dies");
  cut_all(p.name, "it died");
  pass(between(1ms, 50s));
  p.up = true;
  note(p.name + " is back");
  pass(500ms + redial_slack);
  for (auto const& [h, side] : had)
    if (!connections_.contains(pair_of(h->own(side), p.name)))
      complain("restart", fmt::format("{} has not found {} again", h->own(side), p.name));
}

// 100 seeds, 50 of them black holes, right answers (one source, one host).
void simulation::first_second() {
  pass(1s);
  auto& h = hosts_.front();
  for (auto const& p : passives_)
    for (auto const side : sides)
      if (!p.dark && !connections_.contains(pair_of(h.own(side), p.name)))
        complain("first", fmt::format("{} does not have {} a second after the start", h.own(side), p.name));
}

} // namespace

outcome run_discovery(settings const& s) { return simulation(s).run(); }

std::vector<discovery_mutant> const& discovery_mutants() {
  static std::vector<discovery_mutant> const all = {
      {"eager_disconnect", "disconnects"},
      {"foreign_disconnect", "foreign"},
      {"dials_itself", "own"},
      {"over_limit", "limit"},
      {"asks_while_paused", "quiet"},
      {"lost_reply", "stuck"},
      {"deaf_dialler", "converges"},
      {"keeps_who_is_gone", "converges"},
      {"never_right", "converges"},
      {"chatter", "rest"},
      {"forgotten_loss", "left"},
      {"slow_dialler", "restart"},
      {"slow_dialler", "first"},
  };
  return all;
}

} // namespace remora::sim
