// Which options can be used, and what a wrong one is told. The command line, the TOML file and the app come
// here with what they were given, so that all three refuse the same.
#include "discovery/types.hpp"

#include "base/overload.hpp"
#include "discovery/address.hpp"
#include "discovery/node_name.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::discovery {

namespace {

using namespace std::chrono_literals;
using wrong = std::optional<wrong_option>;

wrong in_source(std::string text) { return wrong_option{"sources", std::move(text)}; }

wrong check_basename(std::string const& name, std::string_view of) {
  if (name.empty() || is_basename(name)) return {};
  return in_source(fmt::format("{}: `{}` cannot stand before the @ of a node name", of, name));
}
wrong check_host(std::string const& host, std::string_view of, std::string_view what) {
  if (is_host(host.ends_with('.') ? std::string_view(host).substr(0, host.size() - 1) : host)) return {};
  return in_source(host.empty() ? fmt::format("{} needs a {}", of, what)
                                : fmt::format("{}: `{}` is no {}", of, host, what));
}
// A name of Kubernetes (RFC 1123): it becomes a part of a path and of host names.
wrong check_label(std::string const& name, std::string_view of, std::string_view what) {
  bool const right = !name.empty() && name.size() <= 253 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
  if (right) return {};
  return in_source(
      name.empty() ? fmt::format("{} needs a {}", of, what)
                   : fmt::format("{}: `{}` is no {}: lower-case letters, digits, - and .", of, name, what));
}
wrong check_path(std::string const& path, std::string_view of) {
  if (!path.empty() && path.find('\0') == std::string::npos) return {};
  return in_source(fmt::format("{} needs a path", of));
}
wrong first(std::initializer_list<wrong> all) {
  for (auto const& w : all)
    if (w) return w;
  return {};
}

// https://HOST[:PORT], the host perhaps an IPv6 literal in brackets.
bool is_server(std::string_view url) {
  constexpr std::string_view scheme = "https://";
  if (!url.starts_with(scheme)) return false;
  url.remove_prefix(scheme.size());
  auto const end = url.starts_with('[') ? url.find(']') : std::string_view::npos;
  if (url.starts_with('[')) {
    if (end == std::string_view::npos || !read_address(url.substr(1, end - 1))) return false;
    url = url.substr(end + 1);
    return url.empty() || (url.starts_with(':') && is_host(url));
  }
  return is_host(url) && std::count(url.begin(), url.end(), ':') <= 1;
}

struct source_check {
  limits const& limit;

  wrong operator()(node_list const& s) const {
    if (s.nodes.size() > limit.nodes_max)
      return in_source(
          fmt::format("nodes: {} of them, at most {} can be listed", s.nodes.size(), limit.nodes_max));
    for (auto const& node : s.nodes)
      if (!is_node_name(node)) return in_source(fmt::format("nodes: `{}` is no node name (name@host)", node));
    return {};
  }
  wrong operator()(epmd_hosts const& s) const {
    if (s.hosts.empty()) return in_source("epmd needs a host");
    if (s.hosts.size() > limit.hosts_max)
      return in_source(
          fmt::format("epmd: {} hosts, at most {} can be asked", s.hosts.size(), limit.hosts_max));
    for (auto const& host : s.hosts)
      if (!host.empty())
        if (auto w = check_host(host, "epmd", "host")) return w;
    return {};
  }
  wrong operator()(dns_name const& s) const {
    return first({check_basename(s.basename, "dns"), check_host(s.hostname, "dns", "host name")});
  }
  wrong operator()(dns_service const& s) const {
    return first({check_basename(s.basename, "srv"), check_host(s.service, "srv", "service name")});
  }
  wrong operator()(kubernetes const& s) const {
    constexpr std::string_view of = "kubernetes";
    if (auto w = first({check_basename(s.basename, of), check_label(s.ns, of, "namespace"),
                        check_label(s.domain, of, "cluster domain")}))
      return w;
    if (!s.service.empty())
      if (auto w = check_label(s.service, of, "service")) return w;
    if (!is_server(s.server))
      return in_source(
          "kubernetes needs the API server's address, https://HOST[:PORT]: give it, or run in a pod, where "
          "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT name it");
    if (s.token_file.empty()) return in_source("kubernetes needs a file with the token");
    if (s.ca_file.empty()) return in_source("kubernetes needs a file with the certificates to trust");
    return {};
  }
  wrong operator()(kubernetes_dns const& s) const {
    constexpr std::string_view of = "kubernetes-dns";
    return first({check_basename(s.basename, of), check_label(s.ns, of, "namespace"),
                  check_label(s.service, of, "service"), check_label(s.domain, of, "cluster domain")});
  }
  wrong operator()(multicast const& s) const {
    auto const group = read_address(s.group);
    if (!group || !group->is_multicast())
      return in_source(
          fmt::format("multicast: `{}` is no group: 224.0.0.0 to 239.255.255.255, or ff00::/8", s.group));
    if (s.port == 0) return in_source("multicast needs a port");
    if (s.secret.empty()) return in_source("multicast needs a secret, the same on all nodes");
    return {};
  }
  wrong operator()(hosts_file const& s) const { return check_path(s.path, "hosts-file"); }
  wrong operator()(node_file const& s) const { return check_path(s.path, "file"); }
  wrong operator()(custom const&) const { return {}; }
};

wrong check_time(char const* key, base::duration value, base::duration from, base::duration to) {
  if (value >= from && value <= to) return {};
  auto const ms = [](base::duration d) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
  };
  return wrong_option{key, fmt::format("{} ms is not between {} and {}", ms(value), ms(from), ms(to))};
}

wrong check_sources(options const& o) {
  if (o.sources.size() > o.limit.sources_max)
    return in_source(
        fmt::format("{} sources, at most {} can be combined", o.sources.size(), o.limit.sources_max));
  for (auto const& s : o.sources)
    if (auto w = std::visit(source_check{o.limit}, s)) return w;
  for (auto at = o.sources.begin(); at != o.sources.end(); ++at)
    if (std::find(at + 1, o.sources.end(), *at) != o.sources.end())
      return in_source(fmt::format("{} is there twice", describe(*at)));
  return {};
}

} // namespace

std::optional<wrong_option> find_wrong(options const& o) {
  if (auto w = check_sources(o)) return w;
  if (o.poll_interval != 0ms)
    if (auto w = check_time("poll_interval", o.poll_interval, 100ms, 24h)) return w;
  if (!(o.poll_jitter >= 0 && o.poll_jitter <= 0.9))
    return wrong_option{"poll_jitter", fmt::format("{} is not between 0 and 0.9", o.poll_jitter)};
  if (o.grace < 1 || o.grace > 1000)
    return wrong_option{"grace", fmt::format("{} is not between 1 and 1000", o.grace)};
  if (o.dial_limit < 1 || o.dial_limit > 10'000)
    return wrong_option{"dial_limit", fmt::format("{} is not between 1 and 10000", o.dial_limit)};
  return first({
      check_time("dial_timeout", o.dial_timeout, 100ms, 120s),
      check_time("backoff_min", o.backoff_min, 1ms, 1h),
      check_time("backoff_max", o.backoff_max, o.backoff_min, 1h),
      check_time("fast_time", o.fast_time, 0ms, 1h),
      check_time("fast_max", o.fast_max, 1ms, 1h),
      check_time("ask_timeout", o.ask_timeout, 10ms, 120s),
      check_time("announce_interval", o.announce_interval, 50ms, 60s),
  });
}

} // namespace remora::discovery
