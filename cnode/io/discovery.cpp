#include "io/discovery.hpp"

#include "base/check.hpp"
#include "io/dns.hpp"
#include "io/epmd.hpp"
#include "io/files.hpp"
#include "io/https.hpp"
#include "io/multicast.hpp"
#include "io/watch.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <utility>

namespace remora::io {

using discovery::cause;

namespace {

discovery::failed failed(cause why, std::string text) { return {.why = why, .text = std::move(text)}; }

asio::awaitable<discovery::answer> names_of(std::string host, lookup_options options, dns_options dns) {
  std::vector<asio::ip::address> addresses;
  error_code ec;
  (void)asio::ip::make_address(host, ec);
  bool const name = static_cast<bool>(ec);
  if (host.empty() || (name && host == options.own_host)) {
    addresses = local_addresses();
  } else {
    auto found = co_await look_up(host, std::move(dns));
    if (found.problem) {
      auto problem = std::move(*found.problem);
      if (problem.why == cause::no_such_name) problem.why = cause::unknown_host;
      co_return problem;
    }
    addresses = std::move(found.addresses);
  }
  if (addresses.empty())
    co_return failed(cause::unknown_host, fmt::format("the host {} has no address", host));
  if (host.empty()) host = "this machine";
  auto said = co_await names_at(host, addresses, options.epmd_port);
  if (!said) co_return said.error();
  co_return discovery::names{.list = std::move(*said)};
}

asio::awaitable<discovery::answer> records_of(discovery::resolve q, dns_options dns) {
  auto found = co_await ask_dns(q.name, q.kind, std::move(dns));
  if (found.problem) co_return std::move(*found.problem);
  if (q.kind == discovery::record::srv) co_return discovery::targets{.list = std::move(found.targets)};
  discovery::addresses out;
  out.list.reserve(found.addresses.size());
  for (auto const& a : found.addresses) out.list.push_back(a.to_string());
  co_return out;
}

asio::awaitable<discovery::answer> document_of(discovery::http_get q, std::size_t bytes_max,
                                               dns_options dns) {
  // A name of its own: g++ 12 destroys what is made of braces within a co_await twice.
  https_request const request{.server = std::move(q.server),
                              .target = std::move(q.target),
                              .token_file = std::move(q.token_file),
                              .ca_file = std::move(q.ca_file),
                              .body_bytes_max = bytes_max,
                              .dns = std::move(dns)};
  auto said = co_await get_https(request);
  if (!said) co_return said.error();
  co_return std::move(*said);
}

discovery::answer text_of(discovery::read_file const& q, std::size_t bytes_max) {
  auto found = read_text_file(q.path, bytes_max);
  if (found) return discovery::text{.what = std::move(*found)};
  using kind = file_problem::kind;
  auto const& problem = found.error();
  return failed(problem.what == kind::missing      ? cause::no_file
                : problem.what == kind::unreadable ? cause::bad_file
                                                   : cause::too_large,
                problem.why);
}

} // namespace

// One of them. The signal must stay where it is until the coroutine has ended.
struct lookups::lookup {
  asio::cancellation_signal stop;
  bool forgotten = false;
  bool stands = false; // until it is forgotten: a watch, or a group
  std::shared_ptr<group_socket> group{};
  std::unique_ptr<file_watch> watch{};
};

lookups::lookups(asio::io_context& context, lookup_options options, listeners told)
    : context_(context), options_(std::move(options)), told_(std::move(told)) {}

lookups::~lookups() {
  for (auto const& [id, l] : running_)
    if (l->group) l->group->leave();
}

void lookups::begin(discovery::question_id id, discovery::question const& what,
                    std::vector<std::string> dns_servers) {
  auto const l = std::make_shared<lookup>();
  bool const fresh = running_.emplace(id, l).second;
  base::check(fresh, "lookups: a question is asked once");
  l->stands =
      std::holds_alternative<discovery::join_group>(what) || std::holds_alternative<discovery::watch>(what);
  if (auto const* const q = std::get_if<discovery::join_group>(&what)) return join(id, *q);
  if (auto const* const q = std::get_if<discovery::watch>(&what)) {
    l->watch =
        std::make_unique<file_watch>(context_.get_executor(), q->path, [this, id] { told_.changed(id); });
    return;
  }
  asio::co_spawn(context_, find(what, std::move(dns_servers)),
                 asio::bind_cancellation_slot(
                     l->stop.slot(), [this, id, l](std::exception_ptr problem, discovery::answer answer) {
                       ended(id, problem, std::move(answer));
                     }));
}

void lookups::forget(discovery::question_id id) {
  auto const found = running_.find(id);
  if (found == running_.end()) return;
  auto const l = found->second;
  if (l->stands) {
    if (l->group) l->group->leave();
    running_.erase(found);
    return;
  }
  if (std::exchange(l->forgotten, true)) return;
  l->stop.emit(asio::cancellation_type::terminal);
}

// A group that cannot be sent to is of no use: it ends, and is joined anew when it is asked for again.
void lookups::send(discovery::question_id group, std::string const& bytes) {
  auto const found = running_.find(group);
  if (found == running_.end() || !found->second->group) return;
  if (auto problem = found->second->group->send(bytes); !problem.empty()) {
    std::exchange(found->second->group, {})->leave();
    fail_later(group, cause::network, std::move(problem));
  }
}

asio::awaitable<discovery::answer> lookups::find(discovery::question what,
                                                 std::vector<std::string> dns_servers) const {
  co_await asio::post(context_, asio::use_awaitable); // not before begin() is over
  dns_options dns;
  dns.servers = std::move(dns_servers);
  if (auto* const q = std::get_if<discovery::epmd_names>(&what))
    co_return co_await names_of(std::move(q->host), options_, std::move(dns));
  if (auto* const q = std::get_if<discovery::resolve>(&what))
    co_return co_await records_of(std::move(*q), std::move(dns));
  if (auto* const q = std::get_if<discovery::http_get>(&what))
    co_return co_await document_of(std::move(*q), options_.document_bytes_max, std::move(dns));
  if (auto const* const q = std::get_if<discovery::read_file>(&what))
    co_return text_of(*q, options_.file_bytes_max);
  co_return failed(cause::unknown, fmt::format("{} is not for here", discovery::describe(what)));
}

void lookups::join(discovery::question_id id, discovery::join_group const& q) {
  auto joined = group_socket::join(
      context_, {.group = q.group, .port = q.port, .interface = q.interface, .ttl = q.ttl},
      [this, id](std::string_view bytes, std::string const& from) {
        told_.packet(id, std::string(bytes), from);
      },
      [this, id](std::string const& why) { fail_later(id, cause::network, why); });
  if (joined)
    running_.at(id)->group = std::move(*joined);
  else
    fail_later(id, cause::network, joined.error());
}

void lookups::fail_later(discovery::question_id id, cause why, std::string text) {
  asio::post(context_, [this, id, a = failed(why, std::move(text))] { ended(id, {}, a); });
}

void lookups::ended(discovery::question_id id, std::exception_ptr const& problem, discovery::answer answer) {
  auto const found = running_.find(id);
  if (found == running_.end()) return; // a group that was left
  bool const forgotten = found->second->forgotten;
  if (found->second->group) found->second->group->leave();
  running_.erase(found);
  try {
    if (problem) std::rethrow_exception(problem);
  } catch (boost::system::system_error const& e) {
    if (!forgotten || e.code() != asio::error::operation_aborted) throw;
  }
  if (!forgotten) told_.answered(id, std::move(answer));
}

void fill_in_service_account(discovery::options& o) {
  static constexpr std::size_t namespace_bytes_max = 1'024;
  std::string const folder = "/var/run/secrets/kubernetes.io/serviceaccount/";
  char const* const host = std::getenv("KUBERNETES_SERVICE_HOST");
  char const* const port = std::getenv("KUBERNETES_SERVICE_PORT");
  for (auto& source : o.sources) {
    auto* const k = std::get_if<discovery::kubernetes>(&source);
    if (k == nullptr || !k->server.empty() || host == nullptr || *host == '\0') continue;
    std::string const where = host;
    bool const v6 = where.find(':') != std::string::npos;
    k->server = fmt::format("https://{}{}{}:{}", v6 ? "[" : "", where, v6 ? "]" : "",
                            port != nullptr && *port != '\0' ? port : "443");
    if (k->token_file.empty()) k->token_file = folder + "token";
    if (k->ca_file.empty()) k->ca_file = folder + "ca.crt";
    if (!k->ns.empty()) continue;
    if (auto ns = read_text_file(folder + "namespace", namespace_bytes_max)) {
      while (ns->ends_with('\n')) ns->pop_back();
      k->ns = std::move(*ns);
    }
  }
}

std::int64_t unix_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

} // namespace remora::io
