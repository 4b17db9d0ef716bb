#include "cli/settings.hpp"

#include "etf/reader.hpp"
#include "io/cookie.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <array>
#include <unistd.h>
#include <variant>

namespace remora::cli {

namespace {

using member = std::variant<std::string settings::*, bool settings::*, std::int64_t settings::*,
                            double settings::*, std::vector<std::string> settings::*>;

struct setting {
  std::string_view key;
  member where;
};

constexpr std::array<setting, 24> table{{
    {"name", &settings::name},
    {"sname", &settings::sname},
    {"cookie-file", &settings::cookie_file},
    {"listen", &settings::listen},
    {"port", &settings::port},
    {"epmd-port", &settings::epmd_port},
    {"no-epmd", &settings::no_epmd},
    {"hidden", &settings::hidden},
    {"pg-scope", &settings::pg_scopes},
    {"prevent-overlapping-partitions", &settings::prevent_overlapping_partitions},
    {"global-call-timeout", &settings::global_call_timeout},
    {"global-drop-frozen", &settings::global_drop_frozen},
    {"lifeline", &settings::lifeline},
    {"net-ticktime", &settings::net_tick_time},
    {"net-setuptime", &settings::net_setup_time},
    {"log-level", &settings::log_level},
    {"log-format", &settings::log_format},
    {"outbox-high-mark", &settings::outbox_high_mark},
    {"outbox-low-mark", &settings::outbox_low_mark},
    {"outbox-bytes-max", &settings::outbox_bytes_max},
    {"message-bytes-max", &settings::message_bytes_max},
    {"mailbox-bytes-max", &settings::mailbox_bytes_max},
    {"processes-max", &settings::processes_max},
    {"busy-wait", &settings::busy_wait},
}};

std::string all_keys() {
  std::vector<std::string_view> keys;
  keys.reserve(table.size());
  for (auto const& s : table) keys.push_back(s.key);
  return fmt::format("{}", fmt::join(keys, ", "));
}

using done = base::result<void, std::string>;
done failed(std::string why) { return {boost::system::in_place_error, std::move(why)}; }

template <class T>
bool assign(toml::node const& value, T settings::*where, settings& into) {
  auto const v = value.value_exact<T>();
  if (v) into.*where = *v;
  return v.has_value();
}
bool assign(toml::node const& value, double settings::*where, settings& into) {
  auto const v = value.value<double>(); // also of a whole number
  if (v) into.*where = *v;
  return v.has_value();
}

bool assign(toml::node const& value, std::vector<std::string> settings::*where, settings& into) {
  std::vector<std::string> out;
  if (auto const one = value.value_exact<std::string>()) out.push_back(*one); // for a single one
  auto const* const list = value.as_array();
  if (out.empty() && list == nullptr) return false;
  if (list != nullptr)
    for (auto const& item : *list) {
      auto const text = item.value_exact<std::string>();
      if (!text) return false;
      out.push_back(*text);
    }
  into.*where = std::move(out);
  return true;
}

base::result<runtime_options, std::string> wrong(std::string why) {
  return {boost::system::in_place_error, std::move(why)};
}

// name@host of what --name or --sname say.
base::result<std::string, std::string> full_name(settings const& s) {
  auto const bad = [](std::string why) {
    return base::result<std::string, std::string>(boost::system::in_place_error, std::move(why));
  };
  if (s.name.empty() == s.sname.empty())
    return bad("give the node one name: --name NAME@HOST (long) or --sname NAME (short)");
  auto full = s.name.empty() ? s.sname : s.name;
  bool const has_host = full.find('@') != std::string::npos;
  if (!has_host && !s.name.empty())
    return bad(fmt::format("--name {} has no host; write {}@HOST as other nodes reach it, or use --sname",
                           full, full));
  if (!has_host) full = fmt::format("{}@{}", full, short_host());
  if (!etf::is_atom_text(base::as_bytes(full)) || !etf::is_node_name(full))
    return bad(fmt::format("{} is no node name; a node name is NAME@HOST, at most 255 characters, with one @",
                           full));
  bool const dotted = full.find('.', full.find('@')) != std::string::npos;
  if (!s.sname.empty() && dotted)
    return bad(fmt::format("--sname {} has a long host; use --name for it", full));
  return {boost::system::in_place_value, std::move(full)};
}

bool is_port(std::int64_t p) { return p >= 0 && p <= 65535; }

} // namespace

std::string short_host() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) return "localhost";
  std::string const name(host.data());
  return name.substr(0, name.find('.'));
}

done read_config(std::string const& path, settings& into) {
  auto parsed = toml::table();
  try {
    parsed = toml::parse_file(path);
  } catch (toml::parse_error const& e) {
    return failed(fmt::format("the configuration {} cannot be read: {} (line {})", path, e.description(),
                              e.source().begin.line));
  }
  for (auto const& pair : parsed) {
    std::string_view const key = pair.first.str();
    toml::node const& value = pair.second;
    auto const found = std::find_if(table.begin(), table.end(), [&](auto const& s) { return s.key == key; });
    auto const line = value.source().begin.line;
    if (found == table.end())
      return failed(
          fmt::format("{} line {}: there is no setting {}; there are: {}", path, line, key, all_keys()));
    bool const fits = std::visit([&](auto where) { return assign(value, where, into); }, found->where);
    if (!fits) {
      static constexpr std::array<std::string_view, 5> kinds{"a string", "true or false", "a whole number",
                                                             "a number", "a list of strings"};
      return failed(
          fmt::format("{} line {}: {} must be {}", path, line, key, kinds.at(found->where.index())));
    }
  }
  return {boost::system::in_place_value};
}

base::result<runtime_options, std::string> to_runtime_options(settings const& s) {
  auto const name = full_name(s);
  if (!name) return wrong(name.error());
  if (!is_port(s.port)) return wrong(fmt::format("--port {} is no port; 0 to 65535", s.port));
  if (!is_port(s.epmd_port)) return wrong(fmt::format("--epmd-port {} is no port; 1 to 65535", s.epmd_port));
  if (s.no_epmd && s.port == 0)
    return wrong("--no-epmd needs --port: without epmd every node listens on the same known port");
  if (s.net_tick_time < 4 || s.net_tick_time > 86'400)
    return wrong(fmt::format("--net-ticktime {} is out of range; 4 to 86400 s", s.net_tick_time));
  if (s.net_setup_time <= 0 || s.net_setup_time > 120)
    return wrong(fmt::format("net-setuptime {} is out of range; up to 120 s", s.net_setup_time));
  if (!s.lifeline.empty() && s.lifeline != "stdin")
    return wrong(fmt::format("--lifeline {} is unknown; there is: stdin", s.lifeline));
  if (s.log_format != "text" && s.log_format != "json")
    return wrong(fmt::format("--log-format {} is unknown; there are: text, json", s.log_format));
  static constexpr std::array<std::string_view, 6> levels{"debug",   "info",  "notice",
                                                          "warning", "error", "none"};
  if (std::find(levels.begin(), levels.end(), s.log_level) == levels.end())
    return wrong(
        fmt::format("--log-level {} is unknown; there are: {}", s.log_level, fmt::join(levels, ", ")));
  for (auto const& [value, key] : {std::pair{s.outbox_low_mark, "outbox-low-mark"},
                                   {s.outbox_high_mark, "outbox-high-mark"},
                                   {s.outbox_bytes_max, "outbox-bytes-max"},
                                   {s.message_bytes_max, "message-bytes-max"},
                                   {s.mailbox_bytes_max, "mailbox-bytes-max"},
                                   {s.processes_max, "processes-max"}})
    if (value < 1) return wrong(fmt::format("{} {} is out of range; at least 1", key, value));
  if (s.busy_wait < 0 || s.busy_wait > 1000)
    return wrong(fmt::format("busy-wait {} is out of range; 0 to 1000 us", s.busy_wait));
  if (s.global_call_timeout < 0.01 || s.global_call_timeout > 3600)
    return wrong(
        fmt::format("global-call-timeout {} is out of range; 0.01 to 3600 s", s.global_call_timeout));
  for (auto const& scope : s.pg_scopes)
    if (scope.empty() || scope == "undefined" || !etf::is_atom_text(base::as_bytes(scope)))
      return wrong(fmt::format("--pg-scope {} is no name of a scope; an atom of 1 to 255 characters", scope));
  if (s.outbox_low_mark > s.outbox_high_mark || s.outbox_high_mark > s.outbox_bytes_max)
    return wrong("outbox-low-mark, outbox-high-mark and outbox-bytes-max must not decrease");
  auto cookie = io::find_cookie(s.cookie_file);
  if (!cookie) return wrong(cookie.error());

  runtime_options out{.name = *name,
                      .cookie = *cookie,
                      .hidden = s.hidden,
                      .listen = s.listen,
                      .port = static_cast<std::uint16_t>(s.port),
                      .accept = true,
                      .epmd = !s.no_epmd,
                      .epmd_port = static_cast<std::uint16_t>(s.epmd_port),
                      .net_tick_time = s.net_tick_time,
                      .net_setup_time =
                          std::chrono::milliseconds(static_cast<std::int64_t>(s.net_setup_time * 1000)),
                      .lifeline_stdin = s.lifeline == "stdin",
                      .limits = {}};
  auto& wire = out.limits.connection;
  wire.out.low_mark = static_cast<std::size_t>(s.outbox_low_mark);
  wire.out.high_mark = static_cast<std::size_t>(s.outbox_high_mark);
  wire.out.bytes_max = static_cast<std::size_t>(s.outbox_bytes_max);
  wire.in.message_bytes_max = static_cast<std::size_t>(s.message_bytes_max);
  wire.in.frame_bytes_max = wire.in.message_bytes_max;
  wire.in.fragmented_bytes_max = std::max(wire.in.fragmented_bytes_max, wire.in.message_bytes_max);
  out.limits.mailbox_bytes_max = static_cast<std::size_t>(s.mailbox_bytes_max);
  for (auto const& scope : s.pg_scopes)
    if (std::find(out.pg_scopes.begin(), out.pg_scopes.end(), scope) == out.pg_scopes.end())
      out.pg_scopes.push_back(scope);
  out.registry->prevent_overlapping_partitions = s.prevent_overlapping_partitions;
  out.registry->call_timeout =
      std::chrono::milliseconds(static_cast<std::int64_t>(s.global_call_timeout * 1000));
  out.registry->drop_frozen = s.global_drop_frozen;
  out.busy_wait = std::chrono::microseconds(s.busy_wait);
  out.limits.processes_max = static_cast<std::size_t>(s.processes_max);
  return {boost::system::in_place_value, std::move(out)};
}

} // namespace remora::cli
