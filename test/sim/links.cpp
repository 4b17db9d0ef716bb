// Connections, messages, links, monitors and calls among processes, as they see them themselves.
//
//   connections   after healing everybody is in everybody's peers(), by one connection each; none half open
//   nodeup        nodeup and nodedown alternate, and the last one is true
//   order         messages of one process to another arrive in order, at most once, and only while its node
//   is
//                 up; at rest all of them arrive
//   monitors      fire at most once, never for somebody who lives and was reachable all the time, and exactly
//                 once when what they watch has ended
//   links         likewise, on both sides; none after unlink
//   processes     nothing is left of those that ended
#include "sim/subject.hpp"

#include "etf/print.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::sim {

using namespace std::chrono_literals;

namespace {

constexpr std::ptrdiff_t workers_max = 6; // of one node

std::string key(etf::view v) { return std::string(base::as_text(v.bytes())); }
std::string key(etf::pid const& p) { return key(etf::make(p)); }
std::string text(etf::pid const& p) { return etf::print(etf::make(p)); }

struct worker {
  etf::pid pid;
  member* on = nullptr;
  unsigned incarnation = 0;
  bool ended = false;
  std::map<std::string, std::vector<std::string>> downs; // by reference: reasons
  std::map<std::string, std::vector<std::string>> exits; // by pid: reasons
  std::map<std::string, std::int64_t> last;              // message of each sender
  std::map<std::string, bool> nodes;                     // up or down, as told
  std::map<std::string, std::int64_t> sent;              // to each receiver
};
using worker_ptr = std::shared_ptr<worker>;

struct watch {
  worker_ptr by;
  worker_ptr of; // none: somebody who never was
  etf::reference ref;
  bool demonitored = false;
};

// Made by one side only, the one with the smaller number; made again only when it is over.
struct bond {
  worker_ptr a, b;
  bool on = false;
  std::size_t times = 0;   // linked
  std::size_t a_exits = 0; // when it was last made or undone
};

class links : public subject {
public:
  explicit links(cluster& c) : subject(c) {
    c.on_start.push_back([this](member& m) {
      for (std::size_t i = 0; i < 2; ++i) add(m);
      if (c_.mutated("leaked_process"))
        c_.spawn(m, [](node::self me) -> node::task<> { co_await me.receive(); });
    });
    for (auto& w : weights_) w = c.chance(30) ? 0 : 1 + c.below(8);
    weights_[0] += 1;
  }

  void act() override;
  void at_rest() override;
  void finale() override;
  void after_finale() override;

private:
  worker_ptr add(member& m);
  worker_ptr any(bool acting);
  void on_message(worker& me, etf::view m);
  bool lives(worker const& w) { return !w.ended && w.on->up && w.on->incarnation == w.incarnation; }
  bool acts(worker const& w) { return lives(w) && w.on->acts(); }
  void send(worker_ptr const& from, worker_ptr const& to);
  void link(worker_ptr const& from, worker_ptr const& to);
  void call(worker& from, etf::pid const& to);
  void end(worker_ptr const& w);
  void check_watches();
  void check_bonds();

  std::vector<worker_ptr> workers_;
  std::vector<watch> watches_;
  std::map<std::pair<std::string, std::string>, bond> bonds_;
  std::array<std::uint64_t, 8> weights_{};
  std::vector<std::shared_ptr<request>> last_calls_;
};

worker_ptr links::add(member& m) {
  auto w = std::make_shared<worker>();
  w->on = &m;
  w->incarnation = m.incarnation;
  ++m.processes_at_start;
  w->pid = c_.spawn(m, [this, w](node::self me) -> node::task<> {
    me.trap_exit(true);
    me.monitor_nodes(true);
    for (auto const& n : me.node().peers(true, false)) w->nodes[n] = true;
    while (true) {
      auto const message = co_await me.receive();
      if (message->is_atom("stop")) co_return;
      auto const call = message->tuple<3>();
      if (call && (*call)[0].is_atom("$gen_call")) {
        me.reply({etf::term((*call)[1])}, etf::term((*call)[2]));
        continue;
      }
      on_message(*w, message);
    }
  });
  workers_.push_back(w);
  return w;
}

worker_ptr links::any(bool acting) {
  std::vector<worker_ptr> can;
  for (auto const& w : workers_)
    if (!acting || acts(*w)) can.push_back(w);
  return can.empty() ? nullptr : can[c_.below(can.size())];
}

void links::on_message(worker& me, etf::view m) {
  auto const wrong = [&](std::string_view checker, std::string const& words) {
    c_.complain(checker, fmt::format("{}: {} ({})", text(me.pid), words, etf::print(m)));
  };
  if (auto const two = m.tuple<2>(); two && (*two)[1].is_atom()) {
    bool const up = (*two)[0].is_atom("nodeup");
    if (!up && c_.mutated("deaf_to_nodedown")) return;
    auto const [at, fresh] = me.nodes.try_emplace(std::string(*(*two)[1].atom_text()), !up);
    if (at->second == up) wrong("nodeup", "told twice");
    at->second = up;
  } else if (auto const three = m.tuple<3>(); three && (*three)[0].is_atom("seq")) {
    auto const from = (*three)[1];
    auto const n = *(*three)[2].integer();
    auto& last = me.last[key(from)];
    if (n <= last) wrong("order", fmt::format("after number {}", last));
    last = n;
    auto const node = std::string(*from.node_text());
    if (node != me.on->name && !me.nodes[node]) wrong("order", "from a node that is not up");
  } else if (three && (*three)[0].is_atom("EXIT")) {
    auto& all = me.exits[key((*three)[1])];
    all.push_back(etf::print((*three)[2]));
  } else if (auto const five = m.tuple<5>(); five && (*five)[0].is_atom("DOWN")) {
    auto& all = me.downs[key((*five)[1])];
    all.push_back(etf::print((*five)[4]));
    if (all.size() > 1) wrong("monitors", "fired twice");
  } else {
    wrong("strays", "an unknown message");
  }
}

void links::send(worker_ptr const& from, worker_ptr const& to) {
  auto& n = from->sent[key(to->pid)];
  ++n;
  c_.world().as(from->pid).send(to->pid, etf::make(etf::tup(etf::am("seq"), from->pid, n)));
}

void links::link(worker_ptr const& from, worker_ptr const& to) {
  if (key(from->pid) >= key(to->pid)) return;
  auto& b = bonds_[{key(from->pid), key(to->pid)}];
  b.a = from;
  b.b = to;
  auto const exits = from->exits[key(to->pid)].size();
  auto me = c_.world().as(from->pid);
  if (b.on && exits == b.a_exits) {
    me.unlink(to->pid);
    b.on = false;
    b.a_exits = from->exits[key(to->pid)].size();
  } else {
    b.on = true;
    b.a_exits = exits;
    ++b.times;
    me.link(to->pid);
  }
  c_.note(fmt::format("{} {} {}", text(from->pid), b.on ? "links" : "unlinks", text(to->pid)));
}

void links::call(worker& from, etf::pid const& to) {
  static constexpr std::array<base::duration, 3> timeouts = {50ms, 1s, 5s};
  auto const timeout = timeouts.at(c_.below(timeouts.size()));
  auto const done = [](request& r, node::call_result const& got, std::string const& expected) {
    r.answer = got ? etf::print(*got) : "failed: " + etf::print(got.error().reason);
    if (r.answer == expected) r.answer = "as expected";
  };
  if (c_.chance(50)) {
    last_calls_.push_back(c_.ask(*from.on, "calls " + text(to), timeout,
                                 [to, timeout, done](node::self me, request& r) -> node::task<> {
                                   auto const what = etf::make(etf::am("hello"));
                                   done(r, co_await me.call(to, what, timeout), "hello");
                                 }));
  } else {
    last_calls_.push_back(c_.ask(*from.on, "asks by rpc " + etf::print_atom(to.node.text()), timeout,
                                 [to, timeout, done](node::self me, request& r) -> node::task<> {
                                   auto const none = etf::make(std::vector<int>{});
                                   done(r, co_await me.rpc(to.node, "erlang", "node", none, timeout),
                                        etf::print(etf::make(to.node)));
                                 }));
  }
}

void links::end(worker_ptr const& w) {
  static constexpr std::array<std::string_view, 3> reasons = {"kill", "bye", "stop"};
  auto const how = reasons.at(c_.below(reasons.size()));
  w->ended = true;
  --w->on->processes_at_start;
  c_.note(fmt::format("{} ends by {}", text(w->pid), how));
  if (how == "kill") return c_.end(w->pid, how);
  w->on->core->wake(c_.now());
  w->on->core->send(w->pid, etf::make(etf::am("stop")));
}

void links::act() {
  auto const from = any(true);
  auto const to = any(c_.chance(70));
  if (from == nullptr || to == nullptr) return;
  std::uint64_t sum = 0;
  for (auto const w : weights_) sum += w;
  auto drawn = c_.below(sum);
  std::size_t what = 0;
  while (drawn >= weights_.at(what)) drawn -= weights_.at(what++);
  switch (what) {
  case 0:
    for (auto n = c_.below(5); n > 0 && from != to; --n) send(from, to);
    return;
  case 1: {
    if (from == to) return;
    auto const ref = c_.world().as(from->pid).monitor(to->pid);
    watches_.push_back({.by = from, .of = to, .ref = ref});
    return c_.note(fmt::format("{} monitors {}", text(from->pid), text(to->pid)));
  }
  case 2: {
    if (watches_.empty()) return;
    auto& w = watches_[c_.below(watches_.size())];
    if (!acts(*w.by) || w.demonitored) return;
    c_.world().as(w.by->pid).demonitor(w.ref);
    auto const told = w.by->downs.find(key(etf::make(w.ref)));
    if (told == w.by->downs.end()) w.demonitored = true;
    return;
  }
  case 3:
  case 4: return link(from, to);
  case 5: return call(*from, to->pid);
  case 6:
    if (auto* const m = c_.any();
        m != nullptr && std::count_if(workers_.begin(), workers_.end(),
                                      [&](auto const& w) { return w->on == m && lives(*w); }) < workers_max)
      add(*m);
    return;
  case 7: return end(from);
  default: return;
  }
}

void links::at_rest() {
  for (auto* const m : c_.running()) {
    auto const others = c_.others(*m);
    auto const peers = m->core->peers(true, false);
    if (peers != others)
      c_.complain("connections", fmt::format("{} is connected to {{{}}}, not to {{{}}}", m->name,
                                             fmt::join(peers, " "), fmt::join(others, " ")));
    for (auto const& n : others)
      if (auto const ends = c_.world().connections_between(m->name, n); ends != 2)
        c_.complain("connections", fmt::format("{} ends between {} and {}", ends, m->name, n));
    if (m->core->process_count() != m->processes_at_start)
      c_.complain("processes", fmt::format("{} of {} processes on {}", m->core->process_count(),
                                           m->processes_at_start, m->name));
    if (m->core->outbox_bytes() != 0)
      c_.complain("connections", "something waits to be written on " + m->name);
  }
  for (auto const& w : workers_) {
    if (!lives(*w)) continue;
    auto const peers = w->on->core->peers(true, false);
    for (auto const& [node, up] : w->nodes)
      if (up != (std::find(peers.begin(), peers.end(), node) != peers.end()))
        c_.complain("nodeup",
                    fmt::format("{} was last told that {} is {}", text(w->pid), node, up ? "up" : "down"));
  }
  check_watches();
  check_bonds();
}

void links::check_watches() {
  for (auto const& w : watches_) {
    if (!lives(*w.by)) continue;
    auto const words =
        fmt::format("{} of {} by {}", etf::print(etf::make(w.ref)), text(w.of->pid), text(w.by->pid));
    auto const told = w.by->downs.find(key(etf::make(w.ref)));
    bool const fired = told != w.by->downs.end();
    if (w.demonitored) {
      if (fired) c_.complain("monitors", words + " fired after it was taken back");
    } else if (!fired && !lives(*w.of)) {
      c_.complain("monitors", words + " never fired");
    } else if (fired && lives(*w.of) && told->second.front() != "noconnection") {
      c_.complain("monitors", words + " fired with " + told->second.front() + ", but it lives");
    }
  }
}

void links::check_bonds() {
  for (auto const& [names, b] : bonds_) {
    auto const words = fmt::format("between {} and {}", text(b.a->pid), text(b.b->pid));
    if (lives(*b.a)) {
      auto const& exits = b.a->exits[key(b.b->pid)];
      auto const since = exits.size() - b.a_exits;
      if (since > (b.on ? 1 : 0)) c_.complain("links", words + ": an exit signal too many");
      if (since == 0 && b.on && !lives(*b.b)) c_.complain("links", words + ": the first was never told");
      if (since == 1 && b.on && lives(*b.b) && exits.back() != "noconnection")
        c_.complain("links", words + ": the first was told " + exits.back() + ", but it lives");
    }
    if (lives(*b.b)) {
      auto const& exits = b.b->exits[key(b.a->pid)];
      if (exits.size() > b.times) c_.complain("links", words + ": the second got an exit signal too many");
    }
    if (lives(*b.a) && lives(*b.b)) {
      bool const there = b.on && b.a->exits[key(b.b->pid)].size() == b.a_exits;
      auto const& a_links = c_.world().as(b.a->pid).raw().links;
      auto const& b_links = c_.world().as(b.b->pid).raw().links;
      if (a_links.contains(b.b->pid) != there || b_links.contains(b.a->pid) != there)
        c_.complain("links", fmt::format("{}: the first {}, the second {}, both should {}", words,
                                         a_links.contains(b.b->pid) ? "has it" : "has it not",
                                         b_links.contains(b.a->pid) ? "has it" : "has it not",
                                         there ? "have it" : "not"));
    }
  }
}

void links::finale() {
  last_calls_.clear();
  for (auto const& a : workers_)
    for (auto const& b : workers_)
      if (a != b && acts(*a) && acts(*b)) send(a, b);
  for (auto* const m : c_.acting())
    if (auto const w = any(true)) {
      auto const asker = std::find_if(workers_.begin(), workers_.end(),
                                      [&](auto const& o) { return o->on == m && acts(*o); });
      if (asker != workers_.end()) call(**asker, w->pid);
    }
  c_.pass(20s);
  for (auto const& r : last_calls_)
    if (r->answer != "as expected" && r->bound > 4s) c_.complain("calls", r->what + " at rest: " + r->answer);
  for (auto const& a : workers_)
    for (auto const& b : workers_)
      if (a != b && acts(*a) && acts(*b) && b->last[key(a->pid)] != a->sent[key(b->pid)])
        c_.complain("order", fmt::format("{} has number {} of {}, which sent {}", text(b->pid),
                                         b->last[key(a->pid)], text(a->pid), a->sent[key(b->pid)]));
  for (auto const& w : workers_)
    if (acts(*w) && c_.chance(50)) end(w);
}

void links::after_finale() { at_rest(); }

} // namespace

std::unique_ptr<subject> make_links(cluster& c) { return std::make_unique<links>(c); }

} // namespace remora::sim
