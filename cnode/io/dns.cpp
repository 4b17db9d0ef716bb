#include "io/dns.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <ares.h>
#include <arpa/nameser.h>
#include <functional>
#include <map>
#include <memory>
#include <netdb.h>
#include <optional>
#include <sys/socket.h>
#include <utility>

namespace remora::io {

namespace {

using discovery::cause;
using discovery::record;

constexpr std::uint16_t dns_port = 53;

cause cause_of(int status) {
  switch (status) {
  case ARES_EFORMERR: return cause::format_error;
  case ARES_ESERVFAIL: return cause::server_failure;
  case ARES_ENOTFOUND: return cause::no_such_name;
  case ARES_ENOTIMP: return cause::not_implemented;
  case ARES_EREFUSED: return cause::refused;
  case ARES_EBADQUERY:
  case ARES_EBADNAME: return cause::query_error;
  case ARES_EBADRESP: return cause::bad_answer;
  case ARES_ETIMEOUT: return cause::timeout;
  case ARES_ECONNREFUSED: return cause::network;
  default: return cause::unknown;
  }
}

// Another server may do better: this one's answer, if it gave one, does not say what there is.
bool worth_another(dns_answer const& a) {
  return a.problem && a.problem->why != cause::no_such_name && a.problem->why != cause::query_error;
}

dns_answer failed(cause why, std::string text) {
  dns_answer out;
  out.problem = discovery::failed{.why = why, .text = std::move(text)};
  return out;
}

// One channel of c-ares: its sockets watched, its timer kept. close() ends the question that runs.
class channel : public std::enable_shared_from_this<channel> {
public:
  explicit channel(asio::any_io_executor executor)
      : executor_(std::move(executor)), timer_(executor_), done_(executor_) {}
  channel(channel const&) = delete;
  channel& operator=(channel const&) = delete;
  ~channel() { close(); }

  // What is wrong with it, or nothing. Without servers: the system's.
  std::optional<std::string> open(dns_options const& o, std::string const& server) {
    static int const ready = ares_library_init(ARES_LIB_INIT_ALL);
    ares_options set{};
    set.flags = ARES_FLAG_NOCHECKRESP; // SERVFAIL and its kin are answers
    set.timeout = static_cast<int>(o.wait.count());
    set.tries = o.tries;
    set.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
      static_cast<channel*>(self)->watch(fd, readable != 0, writable != 0);
    };
    set.sock_state_cb_data = this;
    constexpr int given = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    int status = ready == ARES_SUCCESS ? ares_init_options(&ares_, &set, given) : ready;
    if (status == ARES_SUCCESS && !server.empty()) status = ares_set_servers_ports_csv(ares_, server.c_str());
    if (status == ARES_SUCCESS) return std::nullopt;
    return fmt::format("the resolver cannot be set up{}{}: {}", server.empty() ? "" : " for the server ",
                       server, ares_strerror(status));
  }

  // The servers of resolv.conf, each as open() takes it.
  std::vector<std::string> servers() {
    std::vector<std::string> out;
    ares_addr_port_node* list = nullptr;
    if (ares_ == nullptr || ares_get_servers_ports(ares_, &list) != ARES_SUCCESS) return out;
    for (auto const* s = list; s != nullptr; s = s->next) {
      auto const port = s->udp_port != 0 ? s->udp_port : int{dns_port};
      if (s->family == AF_INET) {
        asio::ip::address_v4::bytes_type bytes;
        std::copy_n(reinterpret_cast<unsigned char const*>(&s->addr.addr4), bytes.size(), bytes.begin());
        out.push_back(fmt::format("{}:{}", asio::ip::address_v4(bytes).to_string(), port));
      } else {
        asio::ip::address_v6::bytes_type bytes;
        std::copy_n(reinterpret_cast<unsigned char const*>(&s->addr.addr6), bytes.size(), bytes.begin());
        out.push_back(fmt::format("[{}]:{}", asio::ip::address_v6(bytes).to_string(), port));
      }
    }
    ares_free_data(list);
    return out;
  }

  ares_channel get() const { return ares_; }

  // Behind ares_search() and the like: until finish() was called from its callback.
  asio::awaitable<void> wait(std::shared_ptr<channel> /*keeps this alive*/) {
    arm_timer();
    while (!finished_) {
      done_.expires_at(asio::steady_timer::time_point::max());
      co_await done_.async_wait(as_result); // throws when the coroutine is cancelled
    }
  }
  void finish() {
    finished_ = true;
    done_.cancel();
  }

  void close() {
    if (auto* const ares = std::exchange(ares_, nullptr)) ares_destroy(ares);
    timer_.cancel();
  }

private:
  struct socket {
    socket(asio::any_io_executor const& executor, int fd) : descriptor(executor, fd) {}
    asio::posix::stream_descriptor descriptor;
    bool wants_read = false;
    bool wants_write = false;
    bool reading = false;
    bool writing = false;
  };
  using socket_ptr = std::shared_ptr<socket>;

  // c-ares says what it wants to hear of, and closes its sockets itself.
  void watch(int fd, bool readable, bool writable) {
    auto found = sockets_.find(fd);
    if (!readable && !writable) {
      if (found == sockets_.end()) return;
      found->second->descriptor.release();
      sockets_.erase(found);
      return;
    }
    if (found == sockets_.end()) found = sockets_.emplace(fd, std::make_shared<socket>(executor_, fd)).first;
    found->second->wants_read = readable;
    found->second->wants_write = writable;
    arm(fd, found->second);
  }

  void arm(int fd, socket_ptr const& s) {
    using wait = asio::posix::stream_descriptor;
    if (s->wants_read && !std::exchange(s->reading, true))
      s->descriptor.async_wait(wait::wait_read, [self = weak_from_this(), fd, s](error_code ec) {
        s->reading = false;
        if (auto const us = self.lock(); us && !ec) us->ready(fd, s, fd, ARES_SOCKET_BAD);
      });
    if (s->wants_write && !std::exchange(s->writing, true))
      s->descriptor.async_wait(wait::wait_write, [self = weak_from_this(), fd, s](error_code ec) {
        s->writing = false;
        if (auto const us = self.lock(); us && !ec) us->ready(fd, s, ARES_SOCKET_BAD, fd);
      });
  }

  void ready(int fd, socket_ptr const& s, int read, int write) {
    if (ares_ == nullptr) return;
    ares_process_fd(ares_, read, write);
    arm_timer();
    auto const found = sockets_.find(fd);
    if (found != sockets_.end() && found->second == s) arm(fd, s);
  }

  void arm_timer() {
    timeval left{};
    if (ares_ == nullptr || finished_ || ares_timeout(ares_, nullptr, &left) == nullptr) return;
    timer_.expires_after(std::chrono::seconds(left.tv_sec) + std::chrono::microseconds(left.tv_usec));
    timer_.async_wait([self = weak_from_this()](error_code ec) {
      auto const us = self.lock();
      if (ec || !us || us->ares_ == nullptr) return;
      ares_process_fd(us->ares_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
      us->arm_timer();
    });
  }

  asio::any_io_executor executor_;
  asio::steady_timer timer_;
  asio::steady_timer done_;
  ares_channel ares_ = nullptr;
  std::map<int, socket_ptr> sockets_;
  bool finished_ = false;
};

// The channel is closed however the coroutine ends: what c-ares still calls back meanwhile finds all in
// place.
struct closing {
  explicit closing(std::shared_ptr<channel> c) : it(std::move(c)) {}
  closing(closing const&) = delete;
  closing& operator=(closing const&) = delete;
  ~closing() { it->close(); }
  std::shared_ptr<channel> it;
};

template <class Address>
void add_addresses(hostent const& host, std::vector<asio::ip::address>& out) {
  for (char** at = host.h_addr_list; *at != nullptr; ++at) {
    typename Address::bytes_type bytes;
    std::copy_n(reinterpret_cast<unsigned char const*>(*at), bytes.size(), bytes.begin());
    out.emplace_back(Address(bytes));
  }
}

int read_addresses(record kind, unsigned char const* bytes, int size, std::vector<asio::ip::address>& out) {
  hostent* host = nullptr;
  int const status = kind == record::a ? ares_parse_a_reply(bytes, size, &host, nullptr, nullptr)
                                       : ares_parse_aaaa_reply(bytes, size, &host, nullptr, nullptr);
  if (status != ARES_SUCCESS) return status;
  if (kind == record::a)
    add_addresses<asio::ip::address_v4>(*host, out);
  else
    add_addresses<asio::ip::address_v6>(*host, out);
  ares_free_hostent(host);
  return status;
}

int read_targets(unsigned char const* bytes, int size, std::vector<discovery::target>& out) {
  ares_srv_reply* list = nullptr;
  int const status = ares_parse_srv_reply(bytes, size, &list);
  if (status != ARES_SUCCESS) return status;
  for (auto const* s = list; s != nullptr; s = s->next) {
    std::string host = s->host != nullptr ? s->host : "";
    if (host.ends_with('.')) host.pop_back();
    if (!host.empty())
      out.push_back({.host = std::move(host), .port = s->port}); // ".": no such service (RFC 2782)
  }
  ares_free_data(list);
  return status;
}

// What a callback of c-ares fills. It runs at most once, and no later than close().
struct question {
  channel* at;
  record kind;
  int status = ARES_ETIMEOUT;
  dns_answer answer;
};

void on_records(void* data, int status, int /*timeouts*/, unsigned char* bytes, int size) {
  auto& q = *static_cast<question*>(data);
  q.status = status;
  if (status == ARES_SUCCESS)
    q.status = q.kind == record::srv ? read_targets(bytes, size, q.answer.targets)
                                     : read_addresses(q.kind, bytes, size, q.answer.addresses);
  q.at->finish();
}

void on_host(void* data, int status, int /*timeouts*/, ares_addrinfo* found) {
  auto& q = *static_cast<question*>(data);
  q.status = status;
  if (status == ARES_SUCCESS)
    for (auto const* n = found->nodes; n != nullptr; n = n->ai_next) {
      tcp::endpoint endpoint; // an address and a port in the system's form
      if (n->ai_addrlen > endpoint.capacity()) continue;
      std::copy_n(reinterpret_cast<unsigned char const*>(n->ai_addr), n->ai_addrlen,
                  reinterpret_cast<unsigned char*>(endpoint.data()));
      endpoint.resize(n->ai_addrlen);
      q.answer.addresses.push_back(endpoint.address());
    }
  if (found != nullptr) ares_freeaddrinfo(found);
  q.at->finish();
}

using starter = std::function<void(ares_channel, question&)>;

// One server; without one, all of the system's.
asio::awaitable<dns_answer> ask_at(std::string server, starter start, record kind, std::string what,
                                   dns_options options) {
  auto const executor = co_await asio::this_coro::executor;
  question q{
      .at = nullptr, .kind = kind, .answer = {}}; // outlives the channel, which may call back as it closes
  closing const at(std::make_shared<channel>(executor));
  q.at = at.it.get();
  if (auto problem = at.it->open(options, server)) co_return failed(cause::unknown, std::move(*problem));
  start(at.it->get(), q);
  co_await at.it->wait(at.it);
  bool const found = q.status == ARES_SUCCESS || q.status == ARES_ENODATA; // ENODATA: none of that kind
  if (found) co_return std::move(q.answer);
  co_return failed(cause_of(q.status),
                   fmt::format("asked {} for {}: {}", server, what, ares_strerror(q.status)));
}

asio::awaitable<dns_answer> ask_servers(starter start, record kind, std::string what, dns_options options) {
  auto servers = options.servers;
  for (auto& s : servers) {
    auto checked = read_dns_server(s);
    if (!checked) co_return failed(cause::query_error, checked.error());
    s = std::move(*checked);
  }
  if (servers.empty()) {
    auto const system = std::make_shared<channel>(co_await asio::this_coro::executor);
    if (!system->open(options, {})) servers = system->servers();
  }
  auto out = failed(cause::network,
                    fmt::format("asked for {}: there is no name server in resolv.conf; give one with "
                                "--dns-server",
                                what));
  for (auto const& server : servers) {
    out = co_await ask_at(server, start, kind, what, options);
    if (!worth_another(out)) break;
  }
  co_return out;
}

} // namespace

base::result<std::string, std::string> read_dns_server(std::string const& text) {
  using result = base::result<std::string, std::string>;
  auto const bad = [&] {
    return result(boost::system::in_place_error,
                  fmt::format("{} is no DNS server; write IP, IP:PORT or [IPv6]:PORT", text));
  };
  error_code ec;
  auto host = text;
  std::string port = std::to_string(dns_port);
  auto const whole = asio::ip::make_address(text, ec);
  if (ec) {
    auto const colon = text.rfind(':');
    if (colon == std::string::npos) return bad();
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    bool const bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    auto const address = asio::ip::make_address(host, ec);
    if (ec || bracketed != address.is_v6()) return bad();
    bool const digits = !port.empty() && port.size() <= 5 &&
                        std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits || std::stoi(port) < 1 || std::stoi(port) > 65'535) return bad();
    return result(boost::system::in_place_value,
                  address.is_v6() ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port));
  }
  return result(boost::system::in_place_value,
                whole.is_v6() ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port));
}

asio::awaitable<dns_answer> ask_dns(std::string name, discovery::record kind, dns_options options) {
  using discovery::record;
  int const type = kind == record::a ? ns_t_a : kind == record::aaaa ? ns_t_aaaa : ns_t_srv;
  starter const start = [name, type](ares_channel at, question& q) {
    ares_search(at, name.c_str(), ns_c_in, type, on_records, &q);
  };
  auto const what = fmt::format("the records {} of {}", discovery::name_of(kind), name);
  co_return co_await ask_servers(start, kind, what, options);
}

asio::awaitable<dns_answer> look_up(std::string host, dns_options options) {
  error_code ec;
  auto const literal = asio::ip::make_address(host, ec);
  if (!ec) {
    dns_answer out;
    out.addresses.push_back(literal);
    co_return out;
  }
  starter const start = [host](ares_channel at, question& q) {
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    ares_getaddrinfo(at, host.c_str(), nullptr, &hints, on_host, &q);
  };
  auto const what = fmt::format("the addresses of {}", host);
  co_return co_await ask_servers(start, discovery::record::a, what, options);
}

} // namespace remora::io
