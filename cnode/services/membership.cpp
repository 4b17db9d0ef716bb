#include "services/membership.hpp"

#include "etf/builder.hpp"
#include "services/peer_host.hpp"

#include <fmt/format.h>

#include <utility>

namespace remora::services {

using etf::am;
using etf::make;
using etf::tup;

namespace {
constexpr std::string_view process_name = "remora_membership";
} // namespace

struct membership::shared : peer_host {
  explicit shared(node::core& node)
      : peer_host(node, process_name, "remora_swim", "remora_membership:init/1") {}

  // While it is started.
  struct run {
    run(swim::identity self, membership_settings const& s, std::vector<std::string> keys,
        std::uint64_t boot_id, std::uint64_t seed)
        : core(std::move(self), s.core, swim::make_directory(), seed), envelope(std::move(keys), boot_id) {}
    swim::core core;
    swim::envelope envelope;
    swim::effects out{};
    std::string datagram{};
    bool told_refused = false; // that somebody has another key
  };

  std::optional<services::names> names{};
  membership_outside outside{};
  membership_settings defaults{};
  membership_settings settings{};
  std::optional<swim::address> at{}; // the socket is open
  std::vector<std::string> keys{};   // to begin with
  std::unique_ptr<run> now{};
  std::optional<std::string> vm{};
  swim::limits limits{};
  std::vector<std::function<void(swim::news const&)>> observers{};
  std::vector<std::function<void(bool)>> running_observers{};

  // The process.
  void began() override;
  bool wants_peers() const override { return now != nullptr; }
  void peer_came(std::string const& peer) override;
  void peer_went(std::string const& peer, std::string const& reason) override;
  void peer_said(std::string peer, std::string bytes) override;
  std::optional<base::time_point> next_deadline() const override {
    return now ? now->core.next_deadline() : std::nullopt;
  }
  void tick() override { handle(swim::tick{}); }
  void ended() override { stop(); }

  std::optional<wrong> check(membership_settings const& s) const;
  std::optional<wrong> open(membership_settings const& s);
  void run_core();
  void change(membership_settings s);
  void stop();
  void handle(swim::event const& e);

  void perform(swim::send_packet const& e);
  void perform(swim::send_peer const& e);
  void perform(swim::probe_beam const& e);
  void perform(swim::expel const& e);
  void perform(swim::tell const& e);
};

// ---- the process

// It was started before the node ran.
void membership::shared::began() {
  if (at && !now) run_core();
}

void membership::shared::peer_came(std::string const& peer) {
  handle(swim::peer_up{.node = peer, .creation = node().creation_of(peer)});
}
void membership::shared::peer_went(std::string const& peer, std::string const& reason) {
  handle(swim::peer_down{.node = peer, .reason = reason});
}
void membership::shared::peer_said(std::string peer, std::string bytes) {
  handle(swim::peer_message{.node = std::move(peer), .bytes = std::move(bytes)});
}

// ---- starting and stopping

std::optional<membership::wrong> membership::shared::check(membership_settings const& s) const {
  if (auto found = swim::find_wrong(s.core)) return found;
  if (swim::write_metadata(s.metadata).size() > limits.metadata_bytes_max)
    return wrong{.key = "metadata",
                 .text = fmt::format("is larger than {} bytes as it is sent", limits.metadata_bytes_max)};
  return std::nullopt;
}

std::optional<membership::wrong> membership::shared::open(membership_settings const& s) {
  auto found = base::result<std::vector<std::string>, std::string>(
      boost::system::in_place_value, std::vector{swim::key_of_cookie(node().options().cookie)});
  if (!s.key_file.empty()) {
    if (!outside.read_keys) return wrong{.key = "key_file", .text = "files cannot be read here"};
    found = outside.read_keys(s.key_file);
  }
  if (!found) return wrong{.key = "key_file", .text = found.error()};
  if (!outside.open) return wrong{.key = "socket", .text = "there are no sockets here"};
  auto opened = outside.open(s);
  if (!opened) return wrong{.key = "socket", .text = opened.error()};
  at = *opened;
  keys = std::move(*found);
  settings = s;
  return std::nullopt;
}

void membership::shared::run_core() {
  swim::identity us{.node = std::string(node().name().text()), .creation = node().creation(), .at = *at};
  now = std::make_unique<run>(std::move(us), settings, keys, outside.boot_id(), node().random().next());
  for (auto const& told : running_observers) told(true);
  for (auto const& peer : peers()) peer_came(peer);
  if (vm) handle(swim::app_here{*vm});
  if (!settings.metadata.empty()) handle(swim::set_metadata{swim::write_metadata(settings.metadata)});
  handle(swim::start{.wall = {.unix_ms = outside.unix_ms()}});
}

// While it runs.
void membership::shared::change(membership_settings s) {
  if (s.core != settings.core) handle(swim::configure{s.core});
  if (s.metadata != settings.metadata) handle(swim::set_metadata{swim::write_metadata(s.metadata)});
  settings = std::move(s);
}

void membership::shared::stop() {
  bool const ran = now != nullptr;
  if (ran) handle(swim::leave{});
  now.reset();
  if (std::exchange(at, std::nullopt) && outside.close) outside.close();
  if (!ran) return;
  rearm();
  for (auto const& told : running_observers) told(false);
}

// ---- the core

void membership::shared::handle(swim::event const& e) {
  if (!now) return;
  now->core.handle(e, node().now(), now->out);
  for (auto const& what : std::exchange(now->out, {})) {
    std::visit([&](auto const& one) { perform(one); }, what);
    if (!now) return; // somebody who heard the news has stopped it
  }
  rearm();
}

void membership::shared::perform(swim::send_packet const& e) {
  now->datagram.clear();
  now->envelope.seal(e.bytes, now->datagram);
  outside.send(e.to, now->datagram);
}

void membership::shared::perform(swim::send_peer const& e) { send_peer(e.node, e.bytes); }

// What net_adm:ping asks, but of connected nodes only.
void membership::shared::perform(swim::probe_beam const& e) {
  if (!running() || !node().connected(e.node)) return;
  if (node().process_count() >= node().options().limits.processes_max) return;
  self().spawn([all = shared_from_this(), this, e](node::self me) -> node::task<> {
    auto const request = make(tup(am("is_auth"), me.node().name()));
    auto const answer =
        co_await me.call(node::destination("net_kernel", e.node), request, settings.core.interval * 2);
    if (answer.has_value()) handle(swim::beam_answered{.node = e.node, .id = e.id});
  });
}

void membership::shared::perform(swim::expel const& e) {
  if (!node().connected(e.node)) return;
  if (names) names->part(etf::atom(e.node));
  node().disconnect(e.node, "expelled");
}

node::notice line_of(swim::news const& n) {
  node::notice out{.level = "debug", .text = swim::describe(n), .event = "membership"};
  if (auto const* const c = std::get_if<swim::member_changed>(&n)) {
    bool const bad = c->what == swim::change::died;
    bool const quiet = c->what == swim::change::updated || c->what == swim::change::forgotten;
    out.level = bad ? "warning" : quiet ? "debug" : "info";
    out.event = fmt::format("member_{}", swim::name_of(c->what));
    out.fields = {{"peer", c->member.node}};
    if (!c->by.empty()) out.fields.emplace_back("by", c->by);
  }
  if (std::holds_alternative<swim::limit_reached>(n)) out.level = "warning";
  return out;
}

void membership::shared::perform(swim::tell const& e) {
  node().tell(line_of(e.news));
  for (auto const& told : observers) told(e.news);
}

// ---- the facade

membership::membership(node::core& node) : all_(std::make_shared<shared>(node)) {}
void membership::set_names(names n) { all_->names.emplace(std::move(n)); }
void membership::set_outside(membership_outside outside) { all_->outside = std::move(outside); }
void membership::set_defaults(membership_settings s) { all_->defaults = std::move(s); }
membership_settings const& membership::defaults() const { return all_->defaults; }

std::optional<membership::wrong> membership::start(membership_settings s) {
  auto& a = *all_;
  if (auto found = a.check(s)) return found;
  bool const same_socket = a.at && s.port == a.settings.port && s.address == a.settings.address &&
                           s.key_file == a.settings.key_file;
  if (same_socket && a.now) return a.change(std::move(s)), std::nullopt;
  a.stop();
  if (auto found = a.open(s)) return found;
  a.need_peers();
  if (a.node().creation() != 0) a.run_core(); // else when the node runs
  return std::nullopt;
}

void membership::stop() { all_->stop(); }
bool membership::started() const { return all_->now != nullptr; }

std::vector<swim::member> membership::members() const {
  return all_->now ? all_->now->core.members() : std::vector<swim::member>();
}
std::optional<swim::member> membership::find(std::string_view node) const {
  return all_->now ? all_->now->core.find(node) : std::nullopt;
}
std::size_t membership::count(swim::status s) const { return all_->now ? all_->now->core.count(s) : 0; }
std::string membership::leader() const { return all_->now ? all_->now->core.leader() : std::string(); }
swim::metrics membership::metrics() const { return all_->now ? all_->now->core.metrics() : swim::metrics(); }
swim::refusals membership::refusals() const {
  return all_->now ? all_->now->envelope.refused_so_far() : swim::refusals();
}
membership_health membership::health() const {
  return {.self = all_->now ? all_->now->core.health() : swim::self_health(),
          .full_queues = all_->node().busy_peers()};
}

bool membership::set_metadata(swim::metadata const& m) {
  auto bytes = swim::write_metadata(m);
  if (!all_->now || bytes.size() > all_->limits.metadata_bytes_max) return false;
  all_->settings.metadata = m;
  all_->handle(swim::set_metadata{std::move(bytes)});
  return true;
}

bool membership::spread(std::string name, std::string payload) {
  if (!all_->now || name.size() + payload.size() > all_->limits.event_bytes_max ||
      name.size() > all_->limits.name_bytes_max)
    return false;
  all_->handle(swim::user_event{.name = std::move(name), .payload = std::move(payload)});
  return true;
}

bool membership::merge(std::vector<swim::hearsay> entries) {
  for (auto& e : entries) all_->handle(std::move(e));
  return all_->now != nullptr;
}

bool membership::tell(std::string const& node, std::vector<swim::hearsay> entries) {
  if (!all_->now || !all_->node().connected(node)) return false;
  all_->handle(swim::tell_hearsay{.to = node, .entries = std::move(entries)});
  return true;
}

void membership::observe(std::function<void(swim::news const&)> told) {
  all_->observers.push_back(std::move(told));
}
void membership::observe_running(std::function<void(bool on)> told) {
  all_->running_observers.push_back(std::move(told));
}

void membership::app_here(std::string vm) {
  all_->vm = vm;
  all_->handle(swim::app_here{std::move(vm)});
}
void membership::app_gone() {
  all_->vm.reset();
  all_->handle(swim::app_gone{});
}

// One that is not authentic is worth a line once: most likely somebody's cookie or key differs.
void membership::packet(std::string_view datagram, swim::address const& from) {
  auto& a = *all_;
  if (!a.now) return;
  auto opened = a.now->envelope.open(datagram, a.node().now());
  if (opened) return a.handle(swim::packet{.bytes = std::move(*opened), .from = from});
  bool const key =
      opened.error() == swim::refused::not_authentic || opened.error() == swim::refused::unknown_key;
  if (!key || std::exchange(a.now->told_refused, true)) return;
  a.node().tell(
      node::notice{.level = "warning",
                   .text = fmt::format("a datagram from {} is refused ({}): its cookie or membership key is "
                                       "most likely another one; this is said once",
                                       swim::describe(from), swim::name_of(opened.error())),
                   .event = "membership_refused",
                   .fields = {{"from", swim::describe(from)}}});
}

void membership::keys(base::result<std::vector<std::string>, std::string> found) {
  auto& a = *all_;
  if (!a.now) return;
  if (!found) {
    a.node().tell(node::notice{.level = "warning",
                               .text = fmt::format("the membership keys stay as they are: {}", found.error()),
                               .event = "membership_keys"});
    return;
  }
  a.now->told_refused = false;
  a.now->envelope.set_keys(std::move(*found));
  a.node().tell(node::notice{
      .level = "notice", .text = "the membership keys have changed", .event = "membership_keys"});
}

} // namespace remora::services
