#include "sim/cluster.hpp"

#include "base/check.hpp"
#include "etf/print.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace remora::sim {

using namespace std::chrono_literals;

namespace {
constexpr auto leaving_time = 3s;
constexpr auto slack = 1s; // for an answer that is due: time to run the asker

// Where the build has a registry.
void set_pop(auto& about, bool on) {
  if constexpr (requires { about.registry; }) {
    about.registry.emplace();
    about.registry->prevent_overlapping_partitions = on;
  }
}
} // namespace

cluster::cluster(settings const& s)
    : settings_(s), random_(s.seed), sky_(random_.next()), world_(random_.next()),
      pop_(random_.below(2) == 0), calm_(random_.below(6) == 0) {
  static constexpr std::array<base::duration, 4> tick_times = {4s, 8s, 20s, 60s};
  tick_time_ = tick_times.at(below(tick_times.size()));
  world_.set_weather(&sky_);
  world_.quiet(true);
  world_.stamp(true);
  world_.tap(s.trace);
  static constexpr std::array<std::size_t, 4> chunks = {7, 100, 4096, 1U << 16U};
  world_.chunk_bytes_max = chunks.at(below(chunks.size()));
  if (chance(20)) world_.socket_bytes = 500 + below(5000);
  install_mutant();
  std::size_t const drawn = 2 + below(5) * (chance(70) ? 3 : 5) / 5;
  std::size_t const count = s.nodes.value_or(drawn);
  for (std::size_t i = 0; i < count; ++i)
    members_.push_back({.name = fmt::format("{}@h{}", static_cast<char>('a' + i), below(2))});
}

cluster::~cluster() = default;

base::duration cluster::up_to(base::duration bound) {
  return base::duration(static_cast<std::int64_t>(below(static_cast<std::uint64_t>(bound.count()) + 1)));
}

// ---- nodes

std::vector<member*> cluster::running() {
  std::vector<member*> out;
  for (auto& m : members_)
    if (m.up) out.push_back(&m);
  return out;
}

std::vector<member*> cluster::acting() {
  auto out = running();
  std::erase_if(out, [](auto const* m) { return !m->acts(); });
  return out;
}

member* cluster::any() {
  auto const all = acting();
  return all.empty() ? nullptr : all[below(all.size())];
}

member* cluster::find(std::string_view name) {
  auto const found =
      std::find_if(members_.begin(), members_.end(), [&](auto const& m) { return m.name == name; });
  return found != members_.end() ? &*found : nullptr;
}

void cluster::start(member& m) {
  base::check(!m.up, "sim: it is down");
  ++m.incarnation;
  note(fmt::format("start {} for the {}. time", m.name, m.incarnation));
  node::core_options options;
  options.limits.connection.tick_time = tick_time_;
  auto const creation = static_cast<std::uint32_t>(1000 * (&m - members_.data() + 1) + m.incarnation);
  m.core = &world_.add(m.name, options, creation);
  m.core->wake(now()); // processes are spawned at this time
  services::about about;
  about.version = "sim";
  about.net_tick_time = std::chrono::duration_cast<std::chrono::seconds>(tick_time_).count();
  set_pop(about, pop_);
  m.services.emplace(services::install(*m.core, about));
  m.core->wake(now());
  m.up = true;
  m.frozen = m.leaving = false;
  m.frozen_for = {};
  m.up_since = now();
  m.processes_at_start = m.core->process_count();
  for (auto const& told : on_start) told(m);
}

void cluster::crash(member& m, bool dark) {
  note(fmt::format("crash {}{}", m.name, dark ? ", without a word" : ""));
  buried_signals_ += m.core->counts().signals_out;
  world_.kill(m.name, dark);
  m.up = m.frozen = m.leaving = false;
  m.core = nullptr;
}

void cluster::leave(member& m) {
  note("leave " + m.name);
  m.leaving = true;
  m.core->leave(now());
  later(leaving_time, [this, &m, life = m.incarnation] {
    if (m.up && m.incarnation == life) crash(m, false);
  });
}

void cluster::freeze(member& m) {
  note("freeze " + m.name);
  m.frozen = true;
  m.frozen_at = now();
  world_.freeze(m.name, true);
}

void cluster::thaw(member& m) {
  note("thaw " + m.name);
  m.frozen = false;
  m.frozen_for += now() - m.frozen_at;
  world_.freeze(m.name, false);
}

void cluster::connect_all() {
  for (auto* const a : acting())
    for (auto* const b : running())
      if (a != b && !b->leaving && !a->core->connected(b->name)) {
        a->core->wake(now());
        a->core->connect(etf::atom(b->name));
      }
}

bool cluster::all_connected() {
  auto const all = running();
  return std::all_of(all.begin(), all.end(),
                     [&](auto const* m) { return m->core->peers(true, false) == others(*m); });
}

std::vector<std::string> cluster::others(member const& m) {
  std::vector<std::string> out;
  for (auto const* const n : running())
    if (n != &m) out.push_back(n->name);
  return out;
}

// ---- processes and requests

etf::pid cluster::spawn(member& m, node::body body, std::string_view name) {
  m.core->wake(now());
  return world_.spawn(*m.core, std::move(body), name);
}

void cluster::end(etf::pid const& p, std::string_view reason) {
  auto* const m = find(p.node.text());
  if (m == nullptr || !m->acts() || !alive(p)) return;
  note(fmt::format("end {} with {}", etf::print(etf::make(p)), reason));
  spawn(*m, [p, why = std::string(reason)](node::self me) -> node::task<> {
    me.exit_other(p, etf::make(etf::am(why)));
    co_return;
  });
}

std::shared_ptr<request> cluster::ask(member& m, std::string what, base::duration bound, asking body) {
  auto r = std::make_shared<request>();
  r->what = m.name + " " + std::move(what);
  r->on = &m;
  r->incarnation = m.incarnation;
  r->asked = now();
  r->frozen_before = m.frozen_for;
  r->bound = bound;
  requests_.push_back(r);
  note("ask " + r->what);
  spawn(m, [this, r, body = std::move(body)](node::self me) -> node::task<> {
    co_await body(me, *r);
    if (mutated("no_answer")) co_await me.receive();
    r->done = true;
    note("answer " + r->what + ": " + r->answer);
    if (counts(*r) && overdue(*r)) complain("late", r->what + " was answered beyond its time");
  });
  return r;
}

bool cluster::counts(request const& r) const {
  return r.on->up && r.on->incarnation == r.incarnation && !r.on->leaving;
}

bool cluster::overdue(request const& r) const {
  auto frozen = r.on->frozen_for - r.frozen_before;
  if (r.on->frozen) frozen += now() - r.on->frozen_at;
  return now() > r.asked + r.bound + frozen + slack;
}

// ---- time

void cluster::later(base::duration after, std::function<void()> what) {
  later_.emplace(now() + after, std::move(what));
}

void cluster::pass(base::duration time) {
  auto const end = now() + time;
  while (!later_.empty() && later_.begin()->first <= end) {
    if (later_.begin()->first > now()) world_.pass(later_.begin()->first - now());
    auto const what = std::move(later_.extract(later_.begin()).mapped());
    what();
  }
  world_.pass(end - now());
}

void cluster::do_all_later() {
  while (!later_.empty()) {
    auto const what = std::move(later_.extract(later_.begin()).mapped());
    what();
  }
}

std::uint64_t cluster::signals() const {
  auto sum = buried_signals_;
  for (auto const& m : members_)
    if (m.up) sum += m.core->counts().signals_out;
  return sum;
}

void cluster::complain(std::string_view checker, std::string const& words) {
  auto line = fmt::format("{}: {}", checker, words);
  world_.note("checker " + line);
  complaints_.push_back(std::move(line));
}

} // namespace remora::sim
