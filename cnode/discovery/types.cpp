#include "discovery/types.hpp"

#include "base/overload.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

namespace remora::discovery {

namespace {

template <class Enum, std::size_t N>
std::string_view word(std::array<std::string_view, N> const& words, Enum e) {
  return words.at(static_cast<std::size_t>(e));
}

// The first, and how many more.
std::string some(std::vector<std::string> const& all) {
  if (all.empty()) return "none";
  auto const& first = all.front().empty() ? "this host" : all.front();
  return all.size() == 1 ? first : fmt::format("{} and {} more", first, all.size() - 1);
}

std::string base_at(std::string const& basename, std::string const& rest) {
  return basename.empty() ? rest : basename + "@" + rest;
}

std::string milliseconds(base::duration d) {
  return fmt::format("{} ms", std::chrono::duration_cast<std::chrono::milliseconds>(d).count());
}

std::string listing(std::vector<std::string> const& all) { return fmt::format("[{}]", fmt::join(all, " ")); }

std::string link_text(std::string_view verb, side where, std::string const& node) {
  return fmt::format("{} {} {}", verb, name_of(where), node);
}

} // namespace

std::string_view name_of(side s) {
  return word(std::array<std::string_view, 3>{"companion", "app", "both"}, s);
}
std::string_view name_of(addressing a) {
  return word(std::array<std::string_view, 3>{"ip", "pod", "hostname"}, a);
}
std::string_view name_of(record r) { return word(std::array<std::string_view, 3>{"a", "aaaa", "srv"}, r); }
std::string_view name_of(status::state s) {
  return word(std::array<std::string_view, 4>{"idle", "running", "paused", "stopped"}, s);
}
std::string_view name_of(result::what w) {
  return word(std::array<std::string_view, 7>{"ok", "discovery_failed", "connect_failed", "disconnect_failed",
                                              "paused", "shut_down", "busy"},
              w);
}
std::string_view name_of(cause c) {
  return word(
      std::array<std::string_view, 21>{
          "format_error", "query_error",  "server_failure", "no_such_name", "not_implemented", "refused",
          "bad_version",  "timeout",      "network",        "unknown",      "unknown_host",    "no_epmd",
          "not_epmd",     "unauthorized", "forbidden",      "server_error", "bad_answer",      "too_large",
          "no_file",      "bad_file",     "by_app"},
      c);
}

std::string describe(source const& s) {
  return std::visit(base::overload{
                        [](node_list const& e) { return "nodes " + some(e.nodes); },
                        [](epmd_hosts const& e) { return "epmd " + some(e.hosts); },
                        [](dns_name const& e) { return "dns " + base_at(e.basename, e.hostname); },
                        [](dns_service const& e) { return "srv " + base_at(e.basename, e.service); },
                        [](kubernetes const& e) {
                          auto out = "kubernetes " + base_at(e.basename, e.ns);
                          if (!e.service.empty()) out += "/" + e.service;
                          if (!e.selector.empty()) out += "?" + e.selector;
                          return out;
                        },
                        [](kubernetes_dns const& e) {
                          return "kubernetes-dns " +
                                 base_at(e.basename, fmt::format("{}.{}", e.service, e.ns));
                        },
                        [](multicast const& e) { return fmt::format("multicast {}:{}", e.group, e.port); },
                        [](hosts_file const& e) { return "hosts-file " + e.path; },
                        [](node_file const& e) { return "file " + e.path; },
                        [](custom const&) { return std::string("custom"); },
                    },
                    s);
}

std::string describe(question const& q) {
  return std::visit(
      base::overload{
          [](epmd_names const& e) { return "epmd_names " + e.host; },
          [](resolve const& e) { return fmt::format("resolve {} {}", name_of(e.kind), e.name); },
          [](http_get const& e) { return fmt::format("http_get {}{}", e.server, e.target); },
          [](read_file const& e) { return "read_file " + e.path; },
          [](list_by_app const&) { return std::string("list_by_app"); },
          [](watch const& e) { return "watch " + e.path; },
          [](join_group const& e) { return fmt::format("join_group {}:{}", e.group, e.port); },
      },
      q);
}

std::string describe(answer const& a) {
  return std::visit(
      base::overload{
          [](names const& e) { return "names " + listing(e.list); },
          [](addresses const& e) { return "addresses " + listing(e.list); },
          [](targets const& e) {
            std::vector<std::string> hosts;
            for (auto const& t : e.list) hosts.push_back(t.host);
            return "targets " + listing(hosts);
          },
          [](document const& e) { return fmt::format("document {}, {} bytes", e.status, e.body.size()); },
          [](text const& e) { return fmt::format("text, {} bytes", e.what.size()); },
          [](listed const& e) { return "listed " + listing(e.nodes); },
          [](failed const& e) { return fmt::format("failed {}: {}", name_of(e.why), e.text); },
      },
      a);
}

std::string describe(event const& e) {
  return std::visit(
      base::overload{
          [](start const&) { return std::string("start"); },
          [](tick const&) { return std::string("tick"); },
          [](configure const& x) { return fmt::format("configure, {} sources", x.what.sources.size()); },
          [](refresh const& x) { return fmt::format("refresh {}", x.request); },
          [](pause const& x) { return fmt::format("pause {}", x.request); },
          [](resume const& x) { return fmt::format("resume {}", x.request); },
          [](shutdown const& x) { return fmt::format("shutdown {}", x.request); },
          [](answered const& x) { return fmt::format("answered {} {}", x.id, describe(x.what)); },
          [](changed const& x) { return fmt::format("changed {}", x.watch); },
          [](packet const& x) {
            return fmt::format("packet {} of {} bytes from {}", x.group, x.bytes.size(), x.from);
          },
          [](link_up const& x) {
            return link_text("link_up", x.where, x.node) + (x.dialled_here ? "" : ", dialled there");
          },
          [](link_down const& x) { return link_text("link_down", x.where, x.node) + ": " + x.reason; },
          [](link_failed const& x) { return link_text("link_failed", x.where, x.node) + ": " + x.reason; },
          [](app_here const& x) { return "app_here " + x.node; },
          [](app_gone const&) { return std::string("app_gone"); },
          [](disconnected const& x) {
            return link_text("disconnected", x.where, x.node) + ": " + x.failure.value_or("ok");
          },
      },
      e);
}

std::string describe(result const& r) {
  auto out = fmt::format("{} {}", name_of(r.was), listing(r.nodes));
  for (auto const& f : r.sources) out += fmt::format("; {}: {}: {}", f.source, name_of(f.why), f.text);
  for (auto const& u : r.links) out += fmt::format("; {} {}: {}", name_of(u.where), u.node, u.reason);
  return out;
}

namespace {
std::string describe_news(news const& n) {
  return std::visit(base::overload{
                        [](refreshed const& e) { return "refreshed " + describe(e.result); },
                        [](paused const&) { return std::string("paused"); },
                        [](resumed const&) { return std::string("resumed"); },
                        [](stopped const&) { return std::string("stopped"); },
                        [](connect_failed const& e) {
                          return fmt::format("{}: {}, next in {}",
                                             link_text("connect_failed", e.where, e.node), e.reason,
                                             milliseconds(e.next));
                        },
                        [](dropped const& e) { return link_text("dropped", e.where, e.node); },
                        [](source_failed const& e) {
                          return fmt::format("source_failed {}: {}: {}", e.failure.source,
                                             name_of(e.failure.why), e.failure.text);
                        },
                    },
                    n);
}
} // namespace

std::string describe(effect const& e) {
  return std::visit(
      base::overload{
          [](ask const& x) { return fmt::format("ask {} {}", x.id, describe(x.question)); },
          [](forget const& x) { return fmt::format("forget {}", x.id); },
          [](send_packet const& x) {
            return fmt::format("send_packet {} of {} bytes", x.group, x.bytes.size());
          },
          [](connect const& x) { return link_text("connect", x.where, x.node); },
          [](disconnect const& x) { return link_text("disconnect", x.where, x.node); },
          [](reply const& x) { return fmt::format("reply {} {}", x.request, describe(x.result)); },
          [](tell const& x) { return "tell " + describe_news(x.news); },
      },
      e);
}

} // namespace remora::discovery
