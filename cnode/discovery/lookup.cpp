#include "discovery/lookup.hpp"

#include "base/overload.hpp"
#include "discovery/endpoints.hpp"
#include "discovery/files.hpp"
#include "discovery/node_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>

namespace remora::discovery {

namespace {

constexpr std::size_t quoted_max = 60; // bytes of a foreign name in a text

std::string_view name_or_own(std::string const& basename, std::string_view own_node) {
  return basename.empty() ? basename_of(own_node) : std::string_view(basename);
}
std::string host_or_own(std::string const& host, std::string_view own_node) {
  return host.empty() ? std::string(host_of(own_node)) : host;
}
std::string service_host(kubernetes_dns const& s) {
  return fmt::format("{}.{}.svc.{}", s.service, s.ns, s.domain);
}
std::vector<question> both_addresses(std::string const& name) {
  return {resolve{name, record::a}, resolve{name, record::aaaa}};
}
std::vector<question> names_of(std::vector<std::string> const& hosts, std::string_view own_node) {
  std::vector<question> out;
  out.reserve(hosts.size());
  for (auto const& host : hosts) out.emplace_back(epmd_names{host_or_own(host, own_node)});
  return out;
}

std::string quoted(std::string_view foreign) {
  std::string out = "`";
  for (char const c : foreign.substr(0, quoted_max)) out += c >= ' ' && c < 0x7f ? c : '?';
  return out + (foreign.size() > quoted_max ? "..`" : "`");
}

void complain(piece& p, cause why, std::string text) {
  if (!p.trouble) p.trouble = failed{why, std::move(text)};
}

void add(piece& p, std::string_view basename, std::string_view host) {
  if (auto name = make_node_name(basename, host))
    p.nodes.push_back(std::move(*name));
  else
    complain(p, cause::bad_answer, fmt::format("{}@{} is no node name", quoted(basename), quoted(host)));
}

void add(piece& p, std::string const& node) {
  if (is_node_name(node))
    p.nodes.push_back(node);
  else
    complain(p, cause::bad_answer, fmt::format("{} is no node name (name@host)", quoted(node)));
}

bool is_large(piece& p, std::size_t bytes, std::size_t bytes_max, std::string_view what) {
  if (bytes <= bytes_max) return false;
  complain(p, cause::too_large, fmt::format("{} has {} bytes, more than {}", what, bytes, bytes_max));
  return true;
}

struct reader {
  question const& asked;
  answer const& said;
  std::string_view own_node;
  limits const& limit;
  piece out{};

  // The answer as the kind that belongs to the question. A host that answers something else is wrong, and
  // must not pass for an answer without nodes.
  template <class T>
  T const* as() {
    auto const* const found = std::get_if<T>(&said);
    if (found != nullptr) return found;
    if (auto const* const f = std::get_if<failed>(&said))
      out.trouble = *f;
    else
      complain(out, cause::bad_answer, describe(asked) + " got an answer of another kind");
    return nullptr;
  }

  void names_at(epmd_names const& q) {
    if (auto const* const a = as<names>())
      for (auto const& name : a->list) add(out, name, q.host);
  }
  void addresses_of(std::string_view basename) {
    if (auto const* const a = as<addresses>())
      for (auto const& address : a->list) add(out, basename, address);
  }
  void entries(file_content const& content) {
    if (content.wrong) complain(out, cause::bad_file, *content.wrong);
  }

  void operator()(node_list const& s) {
    for (auto const& node : s.nodes) add(out, node);
  }
  void operator()(epmd_hosts const&) { names_at(std::get<epmd_names>(asked)); }
  void operator()(dns_name const& s) { addresses_of(name_or_own(s.basename, own_node)); }
  void operator()(dns_service const& s) {
    auto const* const a = as<targets>();
    if (a == nullptr) return;
    for (auto const& t : a->list)
      if (t.host != "." && !t.host.empty()) // RFC 2782: decidedly not available
        add(out, name_or_own(s.basename, own_node), t.host);
  }
  void operator()(kubernetes const& s) {
    auto const* const a = as<document>();
    if (a == nullptr || is_large(out, a->body.size(), limit.document_bytes_max, "the API server's document"))
      return;
    auto found = read_endpoints(s, name_or_own(s.basename, own_node), *a, limit.nodes_max);
    out.nodes = std::move(found.nodes);
    out.trouble = std::move(found.trouble);
  }
  void operator()(kubernetes_dns const& s) { addresses_of(name_or_own(s.basename, own_node)); }
  void operator()(multicast const&) {}
  void operator()(hosts_file const& s) {
    if (auto const* const q = std::get_if<epmd_names>(&asked)) return names_at(*q);
    auto const* const a = as<text>();
    if (a == nullptr || is_large(out, a->what.size(), limit.file_bytes_max, s.path)) return;
    auto const content = read_hosts_file(a->what, limit.hosts_max);
    entries(content);
    out.more = names_of(content.entries, own_node);
  }
  void operator()(node_file const& s) {
    auto const* const a = as<text>();
    if (a == nullptr || is_large(out, a->what.size(), limit.file_bytes_max, s.path)) return;
    auto content = read_node_file(a->what, limit.nodes_max);
    entries(content);
    out.nodes = std::move(content.entries);
  }
  void operator()(custom const&) {
    if (auto const* const a = as<listed>())
      for (auto const& node : a->nodes) add(out, node);
  }
};

bool asks_for_addresses(source const& s) {
  return std::holds_alternative<dns_name>(s) || std::holds_alternative<kubernetes_dns>(s);
}

} // namespace

std::vector<question> questions_of(source const& s, std::string_view own_node) {
  using questions = std::vector<question>;
  return std::visit(base::overload{
                        [](node_list const&) { return questions(); },
                        [&](epmd_hosts const& e) { return names_of(e.hosts, own_node); },
                        [](dns_name const& e) { return both_addresses(e.hostname); },
                        [](dns_service const& e) {
                          return questions{resolve{e.service, record::srv}};
                        },
                        [](kubernetes const& e) {
                          return questions{http_get{e.server, endpoints_target(e), e.token_file, e.ca_file}};
                        },
                        [](kubernetes_dns const& e) { return both_addresses(service_host(e)); },
                        [](multicast const&) { return questions(); },
                        [](hosts_file const& e) { return questions{read_file{e.path}}; },
                        [](node_file const& e) { return questions{read_file{e.path}}; },
                        [](custom const&) { return questions{list_by_app{}}; },
                    },
                    s);
}

std::optional<question> standing_question_of(source const& s) {
  if (auto const* const m = std::get_if<multicast>(&s))
    return join_group{m->group, m->port, m->interface, m->ttl};
  if (auto const* const f = std::get_if<node_file>(&s)) return watch{f->path};
  return std::nullopt;
}

piece read(source const& s, question const& asked, answer const& said, std::string_view own_node,
           limits const& limit) {
  reader r{asked, said, own_node, limit};
  std::visit(r, s);
  return std::move(r.out);
}

std::optional<failed> trouble_of(source const& s, std::vector<failed> troubles) {
  auto const missing = [](failed const& f) { return f.why == cause::no_such_name; };
  if (asks_for_addresses(s) && troubles.size() == 1) std::erase_if(troubles, missing);
  if (troubles.empty()) return std::nullopt;
  auto out = std::move(troubles.front());
  bool const same = std::all_of(troubles.begin() + 1, troubles.end(),
                                [&](auto const& f) { return f.why == out.why && f.text == out.text; });
  if (troubles.size() > 1 && !same) out.text += fmt::format(" (and {} more)", troubles.size() - 1);
  return out;
}

} // namespace remora::discovery
