#include "cli/discover.hpp"

#include "io/files.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <sys/stat.h>

namespace remora::cli {

namespace {

using discovery::source;
using parsed = base::result<source, std::string>;

parsed wrong(std::string why) { return {boost::system::in_place_error, std::move(why)}; }
parsed right(source s) { return {boost::system::in_place_value, std::move(s)}; }

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> out;
  while (!text.empty()) {
    auto const end = text.find(at);
    out.emplace_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return out;
}

// BASE@REST, or REST alone.
std::pair<std::string, std::string> split_base(std::string_view text) {
  auto const at = text.find('@');
  if (at == std::string_view::npos) return {"", std::string(text)};
  return {std::string(text.substr(0, at)), std::string(text.substr(at + 1))};
}

std::optional<std::uint16_t> read_port(std::string_view text) {
  bool const digits = !text.empty() && text.size() <= 5 &&
                      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  int const port = digits ? std::atoi(std::string(text).c_str()) : 0;
  return port >= 1 && port <= 65'535 ? std::optional(static_cast<std::uint16_t>(port)) : std::nullopt;
}

source nodes_of(std::string_view rest) { return discovery::node_list{split(rest, ',')}; }
source hosts_of(std::string_view rest) { return discovery::epmd_hosts{split(rest, ',')}; }

source dns_of(std::string_view rest) {
  auto [base, host] = split_base(rest);
  return discovery::dns_name{std::move(base), std::move(host)};
}

source srv_of(std::string_view rest) {
  auto [base, service] = split_base(rest);
  return discovery::dns_service{std::move(base), std::move(service)};
}

// BASE@NAMESPACE[/SERVICE][?SELECTOR]; what stands behind ? may have an @ of its own.
source kubernetes_of(std::string_view rest) {
  auto const question = rest.find('?');
  auto [base, where] = split_base(rest.substr(0, question));
  discovery::kubernetes k;
  k.basename = std::move(base);
  if (question != std::string_view::npos) k.selector = rest.substr(question + 1);
  auto const slash = where.find('/');
  k.ns = where.substr(0, slash);
  if (slash != std::string::npos) k.service = where.substr(slash + 1);
  return k;
}

source kubernetes_dns_of(std::string_view rest) {
  auto [base, where] = split_base(rest);
  auto const dot = where.find('.');
  discovery::kubernetes_dns k;
  k.basename = std::move(base);
  k.service = where.substr(0, dot);
  if (dot != std::string::npos) k.ns = where.substr(dot + 1);
  return k;
}

source group_of(std::string_view rest) {
  auto const colon = rest.rfind(':');
  discovery::multicast m;
  m.group = rest.substr(0, colon);
  if (m.group.starts_with('[') && m.group.ends_with(']')) m.group = m.group.substr(1, m.group.size() - 2);
  m.port = colon == std::string_view::npos ? std::uint16_t{0} : read_port(rest.substr(colon + 1)).value_or(0);
  return m;
}

struct kind {
  std::string_view name;
  std::string_view form; // of what stands behind name:
  std::string_view keys; // of a table
  source (*read)(std::string_view rest);
};

constexpr std::array<kind, 10> kinds{{
    {"local-epmd", "", "", [](std::string_view) -> source { return discovery::epmd_hosts{{""}}; }},
    {"nodes", "NAME@HOST,..", "nodes", nodes_of},
    {"epmd", "HOST,..", "hosts", hosts_of},
    {"dns", "[BASE@]HOSTNAME", "basename, hostname", dns_of},
    {"srv", "[BASE@]SERVICE", "basename, service", srv_of},
    {"hosts-file", "PATH", "path",
     [](std::string_view rest) -> source { return discovery::hosts_file{std::string(rest)}; }},
    {"file", "PATH", "path",
     [](std::string_view rest) -> source { return discovery::node_file{std::string(rest)}; }},
    {"kubernetes", "[BASE@]NAMESPACE[/SERVICE][?SELECTOR]",
     "basename, namespace, service, selector, addressing, domain, server, token-file, ca-file",
     kubernetes_of},
    {"kubernetes-dns", "[BASE@]SERVICE.NAMESPACE", "basename, service, namespace, domain", kubernetes_dns_of},
    {"multicast", "GROUP:PORT", "group, port, interface, ttl, secret-file", group_of},
}};

std::string forms() {
  std::vector<std::string> out;
  out.reserve(kinds.size());
  for (auto const& k : kinds)
    out.push_back(k.form.empty() ? std::string(k.name) : fmt::format("{}:{}", k.name, k.form));
  return fmt::format("{}", fmt::join(out, ", "));
}

kind const* find_kind(std::string_view name) {
  auto const* const found =
      std::find_if(kinds.begin(), kinds.end(), [&](auto const& k) { return k.name == name; });
  return found != kinds.end() ? found : nullptr;
}

// Where the value of a key goes; nullptr: this source has none of that name.
std::string* text_at(source& s, std::string_view key) {
  if (auto* const d = std::get_if<discovery::dns_name>(&s))
    return key == "basename" ? &d->basename : key == "hostname" ? &d->hostname : nullptr;
  if (auto* const d = std::get_if<discovery::dns_service>(&s))
    return key == "basename" ? &d->basename : key == "service" ? &d->service : nullptr;
  if (auto* const f = std::get_if<discovery::hosts_file>(&s)) return key == "path" ? &f->path : nullptr;
  if (auto* const f = std::get_if<discovery::node_file>(&s)) return key == "path" ? &f->path : nullptr;
  if (auto* const m = std::get_if<discovery::multicast>(&s))
    return key == "group" ? &m->group : key == "interface" ? &m->interface : nullptr;
  if (auto* const k = std::get_if<discovery::kubernetes_dns>(&s))
    return key == "basename"    ? &k->basename
           : key == "service"   ? &k->service
           : key == "namespace" ? &k->ns
           : key == "domain"    ? &k->domain
                                : nullptr;
  auto* const k = std::get_if<discovery::kubernetes>(&s);
  if (k == nullptr) return nullptr;
  return key == "basename"     ? &k->basename
         : key == "namespace"  ? &k->ns
         : key == "service"    ? &k->service
         : key == "selector"   ? &k->selector
         : key == "domain"     ? &k->domain
         : key == "server"     ? &k->server
         : key == "token-file" ? &k->token_file
         : key == "ca-file"    ? &k->ca_file
                               : nullptr;
}

std::vector<std::string>* list_at(source& s, std::string_view key) {
  if (auto* const n = std::get_if<discovery::node_list>(&s)) return key == "nodes" ? &n->nodes : nullptr;
  if (auto* const e = std::get_if<discovery::epmd_hosts>(&s)) return key == "hosts" ? &e->hosts : nullptr;
  return nullptr;
}

// Values that are no texts of the source itself. False: no such key, or not such a value.
bool take_special(configured_source& into, std::string_view key, std::string const& value) {
  if (auto* const m = std::get_if<discovery::multicast>(&into.source)) {
    if (key == "secret-file") return into.secret_file = value, true;
    auto const number = read_port(value);
    if (key == "port" && number) return m->port = *number, true;
    if (key == "ttl" && number && *number <= 255) return m->ttl = static_cast<std::uint8_t>(*number), true;
  }
  if (auto* const k = std::get_if<discovery::kubernetes>(&into.source); k != nullptr && key == "addressing")
    for (auto const a :
         {discovery::addressing::ip, discovery::addressing::pod, discovery::addressing::hostname})
      if (value == discovery::name_of(a)) return k->how = a, true;
  return false;
}

} // namespace

parsed parse_source(std::string const& spec) {
  auto const colon = spec.find(':');
  auto const* const found = find_kind(std::string_view(spec).substr(0, colon));
  auto const rest =
      colon == std::string::npos ? std::string_view() : std::string_view(spec).substr(colon + 1);
  if (found == nullptr || (rest.empty() != found->form.empty()) ||
      (found->form.empty() && colon != std::string::npos))
    return wrong(fmt::format("--discover {} is no source; there are: {}", spec, forms()));
  return right(found->read(rest));
}

base::result<configured_source, std::string> read_source(source_table const& table) {
  using result = base::result<configured_source, std::string>;
  auto const refuse = [](std::string why) { return result(boost::system::in_place_error, std::move(why)); };
  std::string type;
  for (auto const& [key, value] : table.texts)
    if (key == "type") type = value;
  auto const* const found = find_kind(type);
  if (found == nullptr) {
    std::vector<std::string_view> names;
    names.reserve(kinds.size());
    for (auto const& k : kinds) names.push_back(k.name);
    return refuse(fmt::format("there is no type of source {}; there are: {}", type.empty() ? "\"\"" : type,
                              fmt::join(names, ", ")));
  }
  configured_source out{.source = found->read("")};
  auto const unknown = [&](std::string const& key) {
    return refuse(fmt::format("{} is no key of a source of type {}, or not such a value; there are: type{}{}",
                              key, type, found->keys.empty() ? "" : ", ", found->keys));
  };
  for (auto const& [key, value] : table.texts) {
    if (key == "type") continue;
    if (auto* const at = text_at(out.source, key))
      *at = value;
    else if (!take_special(out, key, value))
      return unknown(key);
  }
  for (auto const& [key, value] : table.lists) {
    auto* const at = list_at(out.source, key);
    if (at == nullptr) return unknown(key);
    *at = value;
  }
  return result(boost::system::in_place_value, std::move(out));
}

base::result<std::string, std::string> read_secret(std::string const& path) {
  using result = base::result<std::string, std::string>;
  constexpr std::size_t secret_bytes_max = 4'096;
  constexpr ::mode_t forbidden = 077;
  auto const refuse = [](std::string why) { return result(boost::system::in_place_error, std::move(why)); };
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & forbidden) != 0)
    return refuse(
        fmt::format("the secret file {} can be read by others than its owner; `chmod 400 {}`", path, path));
  auto text = io::read_text_file(path, secret_bytes_max);
  if (!text) return refuse(fmt::format("the secret: {}", text.error().why));
  while (text->ends_with('\n') || text->ends_with('\r')) text->pop_back();
  if (text->empty()) return refuse(fmt::format("the secret file {} is empty; write one into it", path));
  return result(boost::system::in_place_value, std::move(*text));
}

} // namespace remora::cli
