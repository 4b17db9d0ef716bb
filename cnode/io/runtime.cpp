#include "io/runtime.hpp"

#include "base/check.hpp"

#include "etf/reader.hpp"
#include "io/clock.hpp"
#include "io/cookie.hpp"
#include "io/datagrams.hpp"
#include "io/discovery.hpp"
#include "io/dns.hpp"
#include "io/driver.hpp"
#include "io/epmd.hpp"
#include "io/state_file.hpp"
#include "io/watch.hpp"
#include "services/services.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>

#include <fmt/format.h>

#include <array>
#include <csignal>
#include <fstream>
#include <unistd.h>

namespace remora {

namespace {

constexpr std::uint32_t creation_min = 4;
constexpr auto leave_time =
    std::chrono::seconds(2); // after that the program ends with connections still open

std::uint32_t random_creation() {
  return static_cast<std::uint32_t>(creation_min + io::entropy() % (UINT32_MAX - creation_min));
}

node::core_options core_options_of(runtime_options const& o) {
  node::core_options out{.name = o.name,
                         .hidden = o.hidden,
                         .cookie = o.cookie,
                         .seed = io::entropy(),
                         .setup_time = o.net_setup_time,
                         .limits = o.limits};
  out.limits.connection.tick_time = std::chrono::seconds(o.net_tick_time);
  return out;
}

io::driver_options driver_options_of(runtime_options const& o) {
  return {.epmd_port = o.epmd_port,
          .peer_port = o.epmd ? std::nullopt : std::optional(o.port),
          .busy_wait = o.busy_wait,
          .setup_time = o.net_setup_time};
}

std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

runtime_options with_epmd_port(runtime_options o) {
  o.epmd_port = io::epmd_port_of(o.epmd_port);
  return o;
}

// Fills in the cookie where none was given; why there is none to be had.
std::string find_missing_cookie(runtime_options& o) {
  if (!o.cookie.empty()) return {};
  auto found = io::find_cookie();
  if (!found) return found.error();
  o.cookie = std::move(*found);
  return {};
}

// A node whose name nobody elsewhere could dial need not be open to elsewhere.
io::asio::ip::address listen_address(runtime_options const& o, boost::system::error_code& ec) {
  namespace ip = io::asio::ip;
  if (!o.listen.empty()) return ip::make_address(o.listen, ec);
  auto const host = o.name.substr(o.name.find('@') + 1);
  boost::system::error_code not_literal;
  auto const literal = ip::make_address(host, not_literal);
  if (!not_literal && literal.is_loopback()) return literal;
  if (!not_literal && literal.is_v6()) return ip::address_v6::any();
  if (host == "localhost") return ip::address_v4::loopback();
  return ip::address_v4::any(); // as OTP's inet_tcp_dist
}

} // namespace

std::string_view version() { return REMORA_VERSION; }

struct runtime::parts {
  explicit parts(runtime_options o)
      : options(with_epmd_port(std::move(o))), cookie_problem(find_missing_cookie(options)),
        core(core_options_of(options)),
        driver(context, core, driver_options_of(options), [this](node::effect const& e) { hear(e); }),
        signals(context), leave_timer(context), lifeline(context) {}

  void tell(io::event const& e) {
    if (event) event(e);
  }
  void hear(node::effect const& e) {
    auto line = io::to_event(e);
    if (is_told_by_discovery(e)) line.level = io::level::debug;
    tell(line);
    if (!std::holds_alternative<node::vital_ended>(e)) return;
    result = {.status = run_status::failed, .detail = node::describe(e)};
    leave();
  }
  void fail(run_status status, std::string detail) {
    result = {.status = status, .detail = std::move(detail)};
    context.stop();
  }
  // Discovery tells of what it tries, and when it tries again. What a handshake ended with is worth a line
  // once.
  bool is_told_by_discovery(node::effect const& e) const {
    if (!services) return false;
    if (auto const* const failed = std::get_if<node::dial_failed_notice>(&e))
      return services->discoverer.tells_of(failed->node);
    auto const* const refused = std::get_if<node::handshake_failed>(&e);
    return refused != nullptr && !refused->incoming && services->discoverer.repeats(refused->node);
  }
  bool check();
  void look_up_for_discovery();
  void serve_membership();
  void serve_election();
  bool start_services();
  base::result<swim::address, std::string> open_datagrams(services::membership_settings const& s);
  std::string host() const { return options.name.substr(options.name.find('@') + 1); }
  // What comes neither from a socket of the node nor from its clock.
  template <class Work>
  void enter(Work work) {
    if (!started) return;
    core.wake(io::now());
    work();
    core.wake(io::now());
    driver.settle();
  }
  bool listen();
  void start_registration();
  void on_registration(io::registration::news news, std::uint32_t creation, std::string const& detail);
  void begin(std::uint32_t creation);
  void watch_signals();
  bool watch_lifeline();
  io::asio::awaitable<void> read_lifeline();
  void leave();
  void wait_until_closed();

  runtime_options options;
  std::string cookie_problem;
  io::asio::io_context context{1};
  node::core core;
  io::driver driver;
  std::optional<services::installed> services;
  std::optional<io::lookups> lookups;
  std::shared_ptr<io::datagram_socket> datagrams;
  std::optional<io::file_watch> keys_watch;
  io::state_files state_files{context};
  std::shared_ptr<io::registration> registration;
  io::asio::signal_set signals;
  io::asio::steady_timer leave_timer;
  io::asio::posix::stream_descriptor lifeline;
  std::optional<io::tcp::acceptor> acceptor;
  std::uint16_t port = 0;
  bool started = false;
  bool leaving = false;
  base::time_point leave_until;
  std::function<void(ready_info const&)> ready;
  std::function<void(io::event const&)> event;
  run_result result;
};

runtime::runtime(runtime_options options) : parts_(std::make_unique<parts>(std::move(options))) {
  parts_->services.emplace(services::install(parts_->core, {.version = std::string(version()),
                                                            .net_tick_time = parts_->options.net_tick_time,
                                                            .resident_bytes = resident_bytes,
                                                            .os_pid = ::getpid(),
                                                            .pg_scopes = parts_->options.pg_scopes,
                                                            .registry = parts_->options.registry}));
  parts_->look_up_for_discovery();
  parts_->serve_membership();
  parts_->serve_election();
}

runtime::~runtime() {
  if (!parts_->services) return; // their end must not reach what is gone
  parts_->services->discoverer.set_outside({});
  parts_->services->election.stop();
  parts_->services->membership.stop();
}

node::core& runtime::node() { return parts_->core; }
services::groups& runtime::groups() { return parts_->services->groups; }
services::discoverer& runtime::discovery() { return parts_->services->discoverer; }
services::membership& runtime::membership() { return parts_->services->membership; }
services::election& runtime::election() { return parts_->services->election; }
services::names& runtime::names() {
  base::check(parts_->services->names.has_value(), "runtime: names() needs options.registry");
  return *parts_->services->names;
}
void runtime::on_ready(std::function<void(ready_info const&)> told) { parts_->ready = std::move(told); }
void runtime::on_event(std::function<void(io::event const&)> told) { parts_->event = std::move(told); }
void runtime::stop() { parts_->leave(); }

run_result runtime::run() {
  auto& p = *parts_;
  if (!p.check()) return p.result;
  p.watch_signals();
  if (p.options.lifeline_stdin && !p.watch_lifeline()) return p.result;
  if (p.options.accept && !p.listen()) return p.result;
  if (!p.start_services()) return p.result;
  if (!p.options.accept) {
    p.begin(random_creation());
  } else {
    if (p.options.epmd)
      p.start_registration();
    else
      p.begin(random_creation());
  }
  p.context.run();
  return p.result;
}

bool runtime::parts::check() {
  if (!etf::is_atom_text(base::as_bytes(options.name)) || !etf::is_node_name(options.name)) {
    fail(run_status::bad_name,
         fmt::format("{} is no node name; a node name is NAME@HOST, at most 255 characters, with one @",
                     options.name.empty() ? "the empty string" : options.name));
    return false;
  }
  if (!cookie_problem.empty()) {
    fail(run_status::no_cookie, cookie_problem);
    return false;
  }
  auto const wrong = options.discovery ? services->discoverer.begin(*options.discovery) : std::nullopt;
  if (wrong) fail(run_status::bad_discovery, fmt::format("discovery, {}: {}", wrong->key, wrong->text));
  return !wrong;
}

void runtime::parts::look_up_for_discovery() {
  auto const at = options.name.find('@');
  auto& d = services->discoverer;
  lookups.emplace(
      context,
      io::lookup_options{.own_host = at != std::string::npos ? options.name.substr(at + 1) : "",
                         .epmd_port = options.epmd_port},
      io::lookups::listeners{
          .answered = [this, &d](discovery::question_id id,
                                 discovery::answer a) { enter([&] { d.answered(id, std::move(a)); }); },
          .changed = [this, &d](discovery::question_id id) { enter([&] { d.changed(id); }); },
          .packet =
              [this, &d](discovery::question_id id, std::string bytes, std::string from) {
                enter([&] { d.packet(id, std::move(bytes), std::move(from)); });
              }});
  d.set_outside(
      {.ask = [this](discovery::question_id id, discovery::question const& q,
                     std::vector<std::string> const& servers) { lookups->begin(id, q, servers); },
       .forget = [this](discovery::question_id id) { lookups->forget(id); },
       .send = [this](discovery::question_id id, std::string const& bytes) { lookups->send(id, bytes); },
       .fill_in = io::fill_in_service_account,
       .unix_ms = io::unix_ms,
       .find_wrong =
           [](services::discovery_settings const& s) {
             for (auto const& server : s.dns_servers)
               if (auto const checked = io::read_dns_server(server); !checked) return checked.error();
             return std::string();
           },
       .boot_id = io::entropy});
}

void runtime::parts::serve_membership() {
  auto& m = services->membership;
  m.set_defaults(options.membership);
  m.set_outside({.open = [this](services::membership_settings const& s) { return open_datagrams(s); },
                 .close =
                     [this] {
                       if (auto const socket = std::exchange(datagrams, nullptr)) socket->close();
                       keys_watch.reset();
                     },
                 .send =
                     [this](swim::address const& to, std::string_view bytes) {
                       if (datagrams) datagrams->send(to, bytes);
                     },
                 .read_keys = io::read_keys,
                 .unix_ms = io::unix_ms,
                 .boot_id = io::entropy});
}

base::result<swim::address, std::string>
runtime::parts::open_datagrams(services::membership_settings const& s) {
  using opening = base::result<swim::address, std::string>;
  boost::system::error_code ec;
  auto const address = listen_address(options, ec);
  auto const own = io::own_address(s.address, address, host());
  if (!own) return opening(boost::system::in_place_error, own.error());
  auto& m = services->membership;
  auto opened = io::datagram_socket::open(context, {.listen = address, .port = s.port != 0 ? s.port : port},
                                          [this, &m](std::string_view bytes, swim::address const& from) {
                                            enter([&] { m.packet(bytes, from); });
                                          });
  if (!opened) return opening(boost::system::in_place_error, opened.error());
  datagrams = std::move(*opened);
  if (!s.key_file.empty())
    keys_watch.emplace(context.get_executor(), s.key_file,
                       [this, &m, path = s.key_file] { enter([&] { m.keys(io::read_keys(path)); }); });
  return opening(boost::system::in_place_value, io::to_swim(*own, datagrams->port()));
}

void runtime::parts::serve_election() {
  auto& e = services->election;
  auto const path = [this](std::string const& dir) { return io::state_files::path_of(dir, options.name); };
  e.set_defaults(options.election);
  e.set_outside({.read = [path](std::string const& dir) { return io::state_files::read(path(dir)); },
                 .set_aside = [path](std::string const& dir) { io::state_files::set_aside(path(dir)); },
                 .write =
                     [this, path](std::string const& dir, std::string bytes,
                                  std::function<void(std::optional<std::string>)> done) {
                       state_files.write(path(dir), std::move(bytes),
                                         [this, done = std::move(done)](std::optional<std::string> problem) {
                                           enter([&] { done(std::move(problem)); });
                                         });
                     },
                 .entropy = io::entropy});
}

bool runtime::parts::start_services() {
  if (options.start_membership)
    if (auto const wrong = services->membership.start(options.membership)) {
      bool const socket = wrong->key == "socket";
      fail(socket ? run_status::address_in_use : run_status::bad_membership,
           fmt::format("membership{}: {}", socket ? "" : ", " + wrong->key, wrong->text));
      return false;
    }
  if (options.start_election)
    if (auto const wrong = services->election.start(options.election)) {
      fail(run_status::bad_election, fmt::format("election, {}: {}", wrong->key, wrong->text));
      return false;
    }
  return true;
}

bool runtime::parts::listen() {
  boost::system::error_code ec;
  auto const address = listen_address(options, ec);
  if (ec) {
    fail(run_status::bad_address,
         fmt::format("--listen {} is no IP address; give one of this machine's", options.listen));
    return false;
  }
  io::tcp::endpoint const endpoint(address, options.port);
  io::tcp::acceptor a(context);
  a.open(endpoint.protocol(), ec);
  if (!ec) a.set_option(io::tcp::acceptor::reuse_address(true), ec);
  if (!ec) a.bind(endpoint, ec);
  if (!ec) a.listen(io::asio::socket_base::max_listen_connections, ec);
  if (ec) {
    bool const taken = ec == io::asio::error::address_in_use;
    fail(taken ? run_status::address_in_use : run_status::bad_address,
         fmt::format("cannot listen on {} port {}: {}; {}", address.to_string(), options.port, ec.message(),
                     taken ? "stop what listens there, or choose another --port"
                           : "choose another --listen address"));
    return false;
  }
  port = a.local_endpoint().port();
  acceptor.emplace(std::move(a));
  return true;
}

void runtime::parts::start_registration() {
  auto const name = options.name.substr(0, options.name.find('@'));
  registration = std::make_shared<io::registration>(
      context, name, port, options.epmd_port,
      [this](io::registration::news news, std::uint32_t creation, std::string const& detail) {
        on_registration(news, creation, detail);
      });
  registration->start();
}

void runtime::parts::on_registration(io::registration::news news, std::uint32_t creation,
                                     std::string const& detail) {
  using what = io::registration::news;
  switch (news) {
  case what::registered: return begin(creation);
  case what::refused:
    return fail(
        run_status::name_taken,
        fmt::format("epmd on port {} refused the name {}: {}; stop the other node, or choose another name",
                    options.epmd_port, options.name, detail));
  case what::unreachable:
    return fail(run_status::no_epmd,
                fmt::format("no epmd on this machine ({}); start it with `epmd -daemon`, give its "
                            "port with --epmd-port, or run with --no-epmd",
                            detail));
  case what::lost: return tell({io::level::warning, "epmd_lost", "epmd went away; registering again", {}});
  case what::registered_again:
    return tell({io::level::notice, "epmd_back", "registered with epmd again", {}});
  }
}

void runtime::parts::begin(std::uint32_t creation) {
  if (leaving) return;
  started = true;
  core.start(creation, io::now());
  if (acceptor) driver.serve(std::move(*acceptor));
  driver.settle();
  if (ready) ready({.port = port, .creation = creation});
}

void runtime::parts::watch_signals() {
  for (int const number : {SIGTERM, SIGINT}) signals.add(number);
  std::signal(SIGPIPE, SIG_IGN); // NOLINT(cert-err33-c): a closed socket or log pipe is an error value
  signals.async_wait([this](boost::system::error_code ec, int number) {
    if (ec) return;
    tell({io::level::notice, "leaving", number == SIGINT ? "interrupted" : "asked to stop", {}});
    leave();
    signals.async_wait([this](boost::system::error_code again, int) {
      if (!again) context.stop(); // asked twice: at once
    });
  });
}

bool runtime::parts::watch_lifeline() {
  boost::system::error_code ec;
  lifeline.assign(::dup(STDIN_FILENO), ec);
  if (ec) {
    fail(run_status::bad_lifeline, "--lifeline stdin: standard input is not a pipe, socket or terminal (" +
                                       ec.message() + "); start it with one that stays open");
    return false;
  }
  io::asio::co_spawn(context, read_lifeline(), io::rethrow);
  return true;
}

io::asio::awaitable<void> runtime::parts::read_lifeline() {
  std::array<char, 256> ignored;
  while (true) {
    auto [ec, count] = co_await lifeline.async_read_some(io::asio::buffer(ignored), io::as_result);
    if (ec == io::asio::error::operation_aborted) co_return;
    if (ec) break;
  }
  tell({io::level::notice, "leaving", "the lifeline ended", {}});
  leave();
}

void runtime::parts::leave() {
  if (std::exchange(leaving, true)) return;
  if (registration) registration->stop();
  driver.stop();
  if (started) {
    core.wake(io::now());
    services->election.stop(); // their last words, before their processes end
    services->membership.stop();
    core.leave(io::now());
  }
  driver.settle();
  leave_until = io::now() + leave_time;
  wait_until_closed();
}

// Last words are being written; they have their own, shorter, time.
void runtime::parts::wait_until_closed() {
  if (driver.idle() || io::now() >= leave_until) return context.stop();
  leave_timer.expires_after(std::chrono::milliseconds(1));
  leave_timer.async_wait([this](boost::system::error_code ec) {
    if (!ec) wait_until_closed();
  });
}

} // namespace remora
