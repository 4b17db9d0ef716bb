#include "services/discovery.hpp"

#include "base/check.hpp"
#include "etf/reader.hpp"
#include "services/discovery_terms.hpp"
#include "services/host.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace remora::services {

using discovery::side;
using etf::am;
using etf::make;
using etf::tup;

// One core and what belongs to it.
struct discoverer::run {
  run(discovery::identity self, discovery_settings some, std::uint64_t seed, bool is_once)
      : settings(std::move(some)), once(is_once),
        core(std::move(self), settings.core, discovery::openssl_signer(), seed) {}

  discovery_settings settings;
  bool once;
  discovery::core core;
  discovery::effects out{};
  std::map<discovery::question_id, discovery::question_id> asked{}; // the core's id: ours
  std::map<discovery::request_id, done> requests{};
  bool stopped = false;
};

struct discoverer::shared : host {
  struct question {
    std::weak_ptr<run> of;
    discovery::question_id id; // the core's
    bool by_app = false;
  };
  struct front_process {
    etf::pid pid;
    etf::reference ref; // of our monitor, and what it knows us by
    discovery_settings settings;
  };

  explicit shared(node::core& a_node) : host(a_node, {}, "remora_discovery:init/1"), node(a_node) {}

  node::core& node;
  std::optional<services::names> names{};
  discovery_outside outside{};
  std::shared_ptr<run> main{};
  std::vector<std::shared_ptr<run>> once{};
  std::optional<discovery_settings> own{};
  std::optional<front_process> front{};
  bool lists_by_itself() const { return own && !own->core.sources.empty(); }
  bool configured() const { return main && (lists_by_itself() || front || main->stopped); }
  std::set<std::string> app_links{};
  std::map<discovery::question_id, question> questions{}; // by our id
  discovery::question_id last_question = 0;
  discovery::request_id last_request = 0;
  std::function<void(discovery::news const&)> observer{};
  std::map<std::string, discovery::cause> told_sources{}; // failures that are in the log
  struct told_link {
    std::string reason;
    bool again = false; // for the same reason as the time before
  };
  std::map<std::pair<side, std::string>, told_link> told_links{};

  // The process.
  void begin_process();
  void began() override;
  void hear(etf::term const& message) override;
  std::optional<base::time_point> next_deadline() const override;
  void tick() override;
  void ended() override;
  void front_ended();

  // The cores.
  std::vector<std::shared_ptr<run>> all() const;
  std::shared_ptr<run> start(discovery_settings s, bool once);
  std::optional<wrong> check(discovery_settings& s) const;
  std::optional<wrong> set(discovery_settings s);
  void handle(std::shared_ptr<run> const& r, discovery::event const& e);
  void handle_all(discovery::event const& e);
  void handle_later(std::weak_ptr<run> to, discovery::event e);
  void handle_all_later(discovery::event e);
  void end(std::shared_ptr<run> const& r);
  discovery::wall_clock wall() const;
  void on_peer(node::effect const& e);

  template <class Request>
  bool request(done told);

  void carry_out(std::shared_ptr<run> const& r);
  void perform(std::shared_ptr<run> const& r, discovery::ask const& e);
  void perform(std::shared_ptr<run> const& r, discovery::forget const& e);
  void perform(std::shared_ptr<run> const& r, discovery::send_packet const& e);
  void perform(std::shared_ptr<run> const& r, discovery::connect const& e);
  void perform(std::shared_ptr<run> const& r, discovery::disconnect const& e);
  void perform(std::shared_ptr<run> const& r, discovery::reply const& e);
  void perform(std::shared_ptr<run> const& r, discovery::tell const& e);
  void dial(std::shared_ptr<run> const& r, std::string const& peer);
  void tell_front(etf::term const& news) const;
  void log(discovery::news const& n);
};

// ---- the process

void discoverer::shared::begin_process() {
  if (has_process()) return;
  node.observe_peers([all = weak_from_this(), this](node::effect const& e) {
    if (auto const us = all.lock()) on_peer(e);
  });
  need_process();
}

void discoverer::shared::began() {
  if (lists_by_itself() && !main) (void)set(*own); // given before the node ran
}

void discoverer::shared::tick() {
  auto const now = node.now();
  for (auto const& r : all())
    if (auto const when = r->core.next_deadline(); when && *when <= now) handle(r, discovery::tick{wall()});
}

// Nobody dials or asks any more.
void discoverer::shared::ended() {
  for (auto const& r : all()) end(r);
  main.reset();
  once.clear();
}

void discoverer::shared::hear(etf::term const& message) {
  auto const down = message->tuple<5>();
  if (!down || !(*down)[0].is_atom("DOWN")) return;
  auto const ref = (*down)[1].as_reference();
  if (ref && front && front->ref == *ref) front_ended();
}

// Its sources go, its links are no concern of ours any more.
void discoverer::shared::front_ended() {
  front.reset();
  app_links.clear();
  for (auto const& [id, q] : questions)
    if (q.by_app)
      handle_later(q.of, discovery::answered{
                             q.id, discovery::failed{discovery::cause::by_app, "the application has ended"}});
  handle_all(discovery::app_gone{});
  if (main && !main->stopped) (void)set(own ? *own : discovery_settings{});
}

std::optional<base::time_point> discoverer::shared::next_deadline() const {
  std::optional<base::time_point> out;
  for (auto const& r : all()) out = base::earliest(out, r->core.next_deadline());
  return out;
}

// ---- the cores

std::vector<std::shared_ptr<discoverer::run>> discoverer::shared::all() const {
  auto out = once;
  if (main) out.push_back(main);
  return out;
}

discovery::wall_clock discoverer::shared::wall() const {
  return {.unix_ms = outside.unix_ms ? outside.unix_ms() : 0};
}

// Fills in what the environment says, and finds what is wrong.
std::optional<discoverer::wrong> discoverer::shared::check(discovery_settings& s) const {
  if (outside.fill_in) outside.fill_in(s.core);
  if (auto found = discovery::find_wrong(s.core)) return found;
  if (!outside.find_wrong) return std::nullopt;
  auto text = outside.find_wrong(s);
  if (text.empty()) return std::nullopt;
  return wrong{.key = "dns_servers", .text = std::move(text)};
}

std::shared_ptr<discoverer::run> discoverer::shared::start(discovery_settings s, bool is_once) {
  discovery::identity const us{.node = std::string(node.name().text()),
                               .boot_id = outside.boot_id ? outside.boot_id() : node.random().next()};
  auto const r = std::make_shared<run>(us, std::move(s), node.random().next(), is_once);
  if (is_once)
    once.push_back(r);
  else
    main = r;
  for (auto const& peer : node.peers(true, true)) handle(r, discovery::link_up{side::companion, peer});
  if (front) {
    handle(r, discovery::app_here{std::string(front->pid.node.text())});
    for (auto const& peer : app_links) handle(r, discovery::link_up{side::app, peer});
  }
  handle(r, discovery::start{wall()});
  return r;
}

// The settings of the main core; they are right.
std::optional<discoverer::wrong> discoverer::shared::set(discovery_settings s) {
  if (auto found = check(s)) return found;
  if (main && !main->stopped) {
    main->settings = s;
    handle(main, discovery::configure{s.core});
  } else {
    start(std::move(s), false);
  }
  return std::nullopt;
}

void discoverer::shared::handle(std::shared_ptr<run> const& r, discovery::event const& e) {
  r->core.handle(e, node.now(), r->out);
  carry_out(r);
  rearm();
}

void discoverer::shared::handle_all(discovery::event const& e) {
  for (auto const& r : all()) handle(r, e);
}

void discoverer::shared::handle_later(std::weak_ptr<run> to, discovery::event e) {
  later([this, to = std::move(to), e = std::move(e)] {
    if (auto const r = to.lock()) handle(r, e);
  });
}

void discoverer::shared::handle_all_later(discovery::event e) {
  later([this, e = std::move(e)] { handle_all(e); });
}

// Nothing of it is wanted any more.
void discoverer::shared::end(std::shared_ptr<run> const& r) {
  r->stopped = true;
  for (auto const& [id, ours] : r->asked) {
    questions.erase(ours);
    if (outside.forget) outside.forget(ours);
  }
  r->asked.clear();
  std::erase(once, r);
}

// In the middle of the step in which it happens: only noted here.
void discoverer::shared::on_peer(node::effect const& e) {
  if (!main && once.empty()) return;
  if (auto const* const up = std::get_if<node::peer_up>(&e)) {
    told_links.erase({side::companion, up->node});
    handle_all_later(discovery::link_up{side::companion, up->node, !up->incoming});
  }
  if (auto const* const down = std::get_if<node::peer_down>(&e))
    handle_all_later(
        discovery::link_down{side::companion, down->node, down->word.empty() ? down->reason : down->word});
}

// ---- effects

void discoverer::shared::carry_out(std::shared_ptr<run> const& r) {
  for (auto const& e : std::exchange(r->out, {})) {
    if (r->once && r->stopped) return; // its answer was the last
    std::visit([&](auto const& what) { perform(r, what); }, e);
  }
}

void discoverer::shared::perform(std::shared_ptr<run> const& r, discovery::ask const& e) {
  auto const ours = ++last_question;
  bool const by_app = std::holds_alternative<discovery::list_by_app>(e.question);
  r->asked.emplace(e.id, ours);
  questions.emplace(ours, question{.of = r, .id = e.id, .by_app = by_app});
  if (!by_app) {
    if (outside.ask) outside.ask(ours, e.question, r->settings.dns_servers);
  } else if (front) {
    tell_front(make(tup(am("list"), ours)));
  } else {
    handle_later(r, discovery::answered{e.id, discovery::failed{discovery::cause::by_app,
                                                                "there is no application that lists"}});
  }
}

void discoverer::shared::perform(std::shared_ptr<run> const& r, discovery::forget const& e) {
  auto const found = r->asked.find(e.id);
  if (found == r->asked.end()) return; // answered
  auto const ours = found->second;
  r->asked.erase(found);
  questions.erase(ours);
  if (outside.forget) outside.forget(ours);
}

void discoverer::shared::perform(std::shared_ptr<run> const& r, discovery::send_packet const& e) {
  auto const found = r->asked.find(e.group);
  if (found != r->asked.end() && outside.send) outside.send(found->second, e.bytes);
}

void discoverer::shared::perform(std::shared_ptr<run> const& r, discovery::connect const& e) {
  if (e.where == side::companion) return dial(r, e.node);
  if (front) return tell_front(make(tup(am("connect"), am(e.node))));
  handle_later(r, discovery::link_failed{e.where, e.node, "not_running"});
}

void discoverer::shared::dial(std::shared_ptr<run> const& r, std::string const& peer) {
  bool const name = etf::is_atom_text(base::as_bytes(peer)) && etf::is_node_name(peer);
  bool const room = node.process_count() < node.options().limits.processes_max;
  if (!running() || !name || !room)
    return handle_later(r,
                        discovery::link_failed{side::companion, peer, !name ? "bad_name" : "system_limit"});
  self().spawn([all = shared_from_this(), this, r, peer](node::self me) -> node::task<> {
    auto const reached = co_await me.reach(etf::atom(peer));
    if (!reached && !r->stopped) handle(r, discovery::link_failed{side::companion, peer, reached.error()});
  });
}

// In the order of cluster_door's disconnect: `global` first, so that nobody reports a lost connection.
void discoverer::shared::perform(std::shared_ptr<run> const& r, discovery::disconnect const& e) {
  if (e.where == side::app) {
    if (front) return tell_front(make(tup(am("disconnect"), am(e.node))));
    return handle_later(r, discovery::disconnected{e.where, e.node, "not_running"});
  }
  std::optional<std::string> failure;
  if (node.connected(e.node)) {
    if (names) names->part(etf::atom(e.node));
    node.disconnect(e.node, "discovery");
  } else {
    failure = "not_connected";
  }
  handle_later(r, discovery::disconnected{e.where, e.node, failure});
}

void discoverer::shared::perform(std::shared_ptr<run> const& r, discovery::reply const& e) {
  auto const found = r->requests.find(e.request);
  if (found == r->requests.end()) return;
  auto const told = std::move(found->second);
  r->requests.erase(found);
  if (told) told(e.result);
  if (r->once) end(r);
}

void discoverer::shared::perform(std::shared_ptr<run> const& r, discovery::tell const& e) {
  log(e.news);
  if (observer) observer(e.news);
  if (r->once) return;
  if (std::holds_alternative<discovery::stopped>(e.news)) r->stopped = true;
  if (front) tell_front(to_term(e.news));
}

void discoverer::shared::tell_front(etf::term const& news) const {
  self().send(front->pid, make(tup(am("remora_discovery"), front->ref, news)), false);
}

// What is wrong stays in the log once, until it is another thing or was right between.
void discoverer::shared::log(discovery::news const& n) {
  auto line = to_notice(n);
  if (auto const* const failed = std::get_if<discovery::source_failed>(&n)) {
    auto const [at, fresh] = told_sources.try_emplace(failed->failure.source, failed->failure.why);
    if (!fresh && std::exchange(at->second, failed->failure.why) == failed->failure.why) line.level = "debug";
  } else if (auto const* const unreached = std::get_if<discovery::connect_failed>(&n)) {
    auto& told = told_links[{unreached->where, unreached->node}];
    told.again = std::exchange(told.reason, unreached->reason) == unreached->reason;
    if (told.again) line.level = "debug";
  } else if (auto const* const round = std::get_if<discovery::refreshed>(&n)) {
    std::erase_if(told_sources, [&](auto const& told) {
      return std::none_of(round->result.sources.begin(), round->result.sources.end(),
                          [&](auto const& f) { return f.source == told.first; });
    });
    std::erase_if(told_links, [&](auto const& told) {
      return std::none_of(round->result.links.begin(), round->result.links.end(), [&](auto const& l) {
        return l.where == told.first.first && l.node == told.first.second;
      });
    });
  }
  node.tell(std::move(line));
}

// ---- the facade

discoverer::discoverer(node::core& node) : all_(std::make_shared<shared>(node)) {}

void discoverer::set_names(names n) { all_->names.emplace(std::move(n)); }

void discoverer::set_outside(discovery_outside outside) { all_->outside = std::move(outside); }

std::optional<discoverer::wrong> discoverer::begin(discovery_settings s) {
  auto checked = s;
  if (auto found = all_->check(checked)) return found;
  all_->own = std::move(checked);
  if (!all_->lists_by_itself() && !all_->main) return std::nullopt;
  bool const runs = all_->has_process();
  all_->begin_process();
  if (!runs && all_->node.creation() == 0) return std::nullopt; // the process starts it once the node runs
  return all_->set(*all_->own);
}

base::result<etf::reference, discoverer::wrong> discoverer::configure(etf::pid const& who,
                                                                      discovery_settings s) {
  auto& a = *all_;
  auto checked = s;
  if (auto found = a.check(checked)) return std::move(*found);
  a.begin_process();
  if (a.front && a.front->pid != who) {
    a.self().demonitor(a.front->ref);
    a.front.reset();
    a.app_links.clear();
    a.handle_all(discovery::app_gone{});
  }
  bool const fresh = !a.front;
  if (fresh) a.front = shared::front_process{.pid = who, .ref = a.self().monitor(who), .settings = checked};
  a.front->settings = checked;
  auto const ref = a.front->ref;
  if (fresh) a.handle_all(discovery::app_here{std::string(who.node.text())});
  a.set(std::move(checked));
  return ref;
}

discovery_settings const& discoverer::own() const {
  static discovery_settings const none;
  return all_->own ? *all_->own : none;
}

template <class Request>
bool discoverer::shared::request(done told) {
  if (!configured()) return false;
  auto const id = ++last_request;
  main->requests.emplace(id, std::move(told));
  handle(main, Request{id});
  return true;
}

bool discoverer::refresh(done told) { return all_->request<discovery::refresh>(std::move(told)); }
bool discoverer::pause(done told) { return all_->request<discovery::pause>(std::move(told)); }
bool discoverer::resume(done told) { return all_->request<discovery::resume>(std::move(told)); }
bool discoverer::shutdown(done told) { return all_->request<discovery::shutdown>(std::move(told)); }

base::result<std::function<void()>, discoverer::wrong> discoverer::run_once(discovery_settings s, done told) {
  using result = base::result<std::function<void()>, wrong>;
  s.core.poll_interval = {};
  if (auto found = all_->check(s)) return std::move(*found);
  if (all_->once.size() >= once_max) {
    discovery::result busy;
    busy.was = discovery::result::what::busy;
    told(busy);
    return result(boost::system::in_place_value, [] {});
  }
  all_->begin_process();
  auto const r = all_->start(std::move(s), true);
  auto const id = ++all_->last_request;
  r->requests.emplace(id, std::move(told));
  all_->handle(r, discovery::refresh{id});
  return result(boost::system::in_place_value, [all = std::weak_ptr(all_), of = std::weak_ptr(r)] {
    auto const us = all.lock();
    if (auto const it = of.lock(); us && it) us->end(it);
  });
}

bool discoverer::configured() const { return all_->configured(); }

discovery::status discoverer::status() const {
  return all_->main ? all_->main->core.status() : discovery::status{};
}

void discoverer::observe(std::function<void(discovery::news const&)> told) {
  all_->observer = std::move(told);
}

bool discoverer::tells_of(std::string_view node) const {
  return all_->told_links.contains({side::companion, std::string(node)});
}

bool discoverer::repeats(std::string_view node) const {
  auto const found = all_->told_links.find({side::companion, std::string(node)});
  return found != all_->told_links.end() && found->second.again;
}

// ---- from the front

bool discoverer::link_up(etf::reference const& front, std::string node) {
  if (!all_->front || all_->front->ref != front) return false;
  if (all_->app_links.size() >= app_links_max && !all_->app_links.contains(node)) return true;
  all_->app_links.insert(node);
  all_->told_links.erase({side::app, node});
  all_->handle_all(discovery::link_up{side::app, std::move(node)});
  return true;
}

bool discoverer::link_down(etf::reference const& front, std::string node, std::string reason) {
  if (!all_->front || all_->front->ref != front) return false;
  all_->app_links.erase(node);
  all_->handle_all(discovery::link_down{side::app, std::move(node), std::move(reason)});
  return true;
}

bool discoverer::link_failed(etf::reference const& front, std::string node, std::string reason) {
  if (!all_->front || all_->front->ref != front) return false;
  all_->handle_all(discovery::link_failed{side::app, std::move(node), std::move(reason)});
  return true;
}

bool discoverer::disconnected(etf::reference const& front, std::string node,
                              std::optional<std::string> failure) {
  if (!all_->front || all_->front->ref != front) return false;
  all_->handle_all(discovery::disconnected{side::app, std::move(node), std::move(failure)});
  return true;
}

bool discoverer::listed(etf::reference const& front, std::uint64_t id, discovery::answer answer) {
  if (!all_->front || all_->front->ref != front) return false;
  auto const found = all_->questions.find(id);
  if (found != all_->questions.end() && found->second.by_app) answered(id, std::move(answer));
  return true; // of another question: too late
}

// ---- from outside

void discoverer::answered(discovery::question_id id, discovery::answer answer) {
  auto const found = all_->questions.find(id);
  if (found == all_->questions.end()) return;
  auto const q = found->second;
  all_->questions.erase(found);
  auto const r = q.of.lock();
  if (!r) return;
  r->asked.erase(q.id);
  all_->handle(r, discovery::answered{q.id, std::move(answer)});
}

void discoverer::changed(discovery::question_id id) {
  auto const found = all_->questions.find(id);
  if (found == all_->questions.end()) return;
  if (auto const r = found->second.of.lock()) all_->handle(r, discovery::changed{found->second.id});
}

void discoverer::packet(discovery::question_id id, std::string bytes, std::string from) {
  auto const found = all_->questions.find(id);
  if (found == all_->questions.end()) return;
  if (auto const r = found->second.of.lock())
    all_->handle(r, discovery::packet{found->second.id, std::move(bytes), std::move(from), all_->wall()});
}

} // namespace remora::services
