#include "cli/settings.hpp"

#include "etf/reader.hpp"
#include "io/cookie.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <unistd.h>
#include <variant>

namespace remora::cli {

namespace {

template <class Into>
struct setting_of {
  std::string_view key;
  std::variant<std::string Into::*, bool Into::*, std::int64_t Into::*, double Into::*,
               std::vector<std::string> Into::*>
      where;
};

constexpr std::array<setting_of<settings>, 24> table{{
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

// The same of the table [discovery]; beside them it has [[discovery.source]].
constexpr std::array<setting_of<discovery_options>, 17> discovery_table{{
    {"discover", &discovery_options::sources},
    {"poll", &discovery_options::poll},
    {"poll-jitter", &discovery_options::poll_jitter},
    {"grace", &discovery_options::grace},
    {"keep-missing", &discovery_options::keep_missing},
    {"dial-limit", &discovery_options::dial_limit},
    {"backoff-min", &discovery_options::backoff_min},
    {"backoff-max", &discovery_options::backoff_max},
    {"ask-timeout", &discovery_options::ask_timeout},
    {"dns-server", &discovery_options::dns_servers},
    {"secret-file", &discovery_options::secret_file},
    {"interface", &discovery_options::interface},
    {"kubernetes-server", &discovery_options::kubernetes_server},
    {"kubernetes-token-file", &discovery_options::kubernetes_token_file},
    {"kubernetes-ca-file", &discovery_options::kubernetes_ca_file},
    {"kubernetes-addressing", &discovery_options::kubernetes_addressing},
    {"kubernetes-domain", &discovery_options::kubernetes_domain},
}};
constexpr std::string_view discovery_key = "discovery";
constexpr std::string_view source_key = "source";

constexpr std::array<setting_of<membership_options>, 11> membership_table{{
    {"start", &membership_options::start},
    {"interval", &membership_options::interval},
    {"probe-timeout", &membership_options::probe_timeout},
    {"indirect-probes", &membership_options::indirect_probes},
    {"suspicion-min", &membership_options::suspicion_min},
    {"suspicion-max-factor", &membership_options::suspicion_max_factor},
    {"sync-interval", &membership_options::sync_interval},
    {"expel", &membership_options::expel},
    {"port", &membership_options::port},
    {"address", &membership_options::address},
    {"key-file", &membership_options::key_file},
}};
constexpr std::string_view membership_key = "membership";

constexpr std::array<setting_of<election_options>, 11> election_table{{
    {"start", &election_options::start},
    {"state-dir", &election_options::state_dir},
    {"voters", &election_options::voters},
    {"bootstrap-expect", &election_options::bootstrap_expect},
    {"heartbeat", &election_options::heartbeat},
    {"timeout-min", &election_options::timeout_min},
    {"timeout-max", &election_options::timeout_max},
    {"lease", &election_options::lease},
    {"name-lease", &election_options::name_lease},
    {"priority", &election_options::priority},
    {"observer", &election_options::observer},
}};
constexpr std::string_view election_key = "election";

// And what is beside them in the same table.
using more_keys = std::initializer_list<std::string_view>;
template <class Table>
std::string keys_of(Table const& all, more_keys more) {
  std::vector<std::string_view> keys;
  keys.reserve(all.size() + more.size());
  for (auto const& s : all) keys.push_back(s.key);
  keys.insert(keys.end(), more.begin(), more.end());
  return fmt::format("{}", fmt::join(keys, ", "));
}

using done = base::result<void, std::string>;
done failed(std::string why) { return {boost::system::in_place_error, std::move(why)}; }

template <class T, class Into>
bool assign(toml::node const& value, T Into::*where, Into& into) {
  auto const v = value.value_exact<T>();
  if (v) into.*where = *v;
  return v.has_value();
}
template <class Into>
bool assign(toml::node const& value, double Into::*where, Into& into) {
  auto const v = value.value<double>(); // also of a whole number
  if (v) into.*where = *v;
  return v.has_value();
}

std::optional<std::vector<std::string>> texts_of(toml::node const& value) {
  std::vector<std::string> out;
  if (auto const one = value.value_exact<std::string>()) out.push_back(*one); // for a single one
  auto const* const list = value.as_array();
  if (out.empty() && list == nullptr) return std::nullopt;
  if (list != nullptr)
    for (auto const& item : *list) {
      auto const text = item.value_exact<std::string>();
      if (!text) return std::nullopt;
      out.push_back(*text);
    }
  return out;
}

template <class Into>
bool assign(toml::node const& value, std::vector<std::string> Into::*where, Into& into) {
  auto texts = texts_of(value);
  if (texts) into.*where = std::move(*texts);
  return texts.has_value();
}

// One key of a table of settings.
template <class Table, class Into>
done read_key(std::string const& path, Table const& all, more_keys more, std::string_view key,
              toml::node const& value, Into& into) {
  auto const found = std::find_if(all.begin(), all.end(), [&](auto const& s) { return s.key == key; });
  auto const line = value.source().begin.line;
  if (found == all.end())
    return failed(fmt::format("{} line {}: there is no setting {}; there are: {}", path, line, key,
                              keys_of(all, more)));
  bool const fits = std::visit([&](auto where) { return assign(value, where, into); }, found->where);
  static constexpr std::array<std::string_view, 5> kinds{"a string", "true or false", "a whole number",
                                                         "a number", "a list of strings"};
  if (fits) return {boost::system::in_place_value};
  return failed(fmt::format("{} line {}: {} must be {}", path, line, key, kinds.at(found->where.index())));
}

done read_sources(std::string const& path, toml::node const& value, discovery_options& into) {
  auto const* const list = value.as_array();
  if (list == nullptr || !list->is_array_of_tables())
    return failed(fmt::format("{} line {}: sources are written as [[discovery.source]]", path,
                              value.source().begin.line));
  for (auto const& item : *list) {
    source_table t;
    for (auto const& [key, part] : *item.as_table()) {
      if (auto const text = part.template value_exact<std::string>())
        t.texts.emplace_back(key.str(), *text);
      else if (auto const number = part.template value_exact<std::int64_t>())
        t.texts.emplace_back(key.str(), std::to_string(*number));
      else if (auto texts = texts_of(part))
        t.lists.emplace_back(key.str(), std::move(*texts));
      else
        return failed(fmt::format("{} line {}: {} must be a string, a number or a list of strings", path,
                                  part.source().begin.line, key.str()));
    }
    auto found = read_source(t);
    if (!found) return failed(fmt::format("{} line {}: {}", path, item.source().begin.line, found.error()));
    into.configured.push_back(std::move(*found));
  }
  return {boost::system::in_place_value};
}

done read_discovery(std::string const& path, toml::node const& value, discovery_options& into) {
  auto const* const all = value.as_table();
  if (all == nullptr)
    return failed(
        fmt::format("{} line {}: discovery is a table, [discovery]", path, value.source().begin.line));
  for (auto const& [key, part] : *all) {
    auto const read = key.str() == source_key
                          ? read_sources(path, part, into)
                          : read_key(path, discovery_table, {source_key}, key.str(), part, into);
    if (!read) return read;
  }
  return {boost::system::in_place_value};
}

// A table of a service that has nothing but keys.
template <class Table, class Into>
done read_table(std::string const& path, std::string_view name, Table const& keys, toml::node const& value,
                Into& into) {
  auto const* const all = value.as_table();
  if (all == nullptr)
    return failed(
        fmt::format("{} line {}: {} is a table, [{}]", path, value.source().begin.line, name, name));
  for (auto const& [key, part] : *all)
    if (auto const read = read_key(path, keys, {}, key.str(), part, into); !read) return read;
  return {boost::system::in_place_value};
}

base::duration seconds(double value) {
  return std::chrono::microseconds(static_cast<std::int64_t>(value * 1e6));
}

constexpr double seconds_max = 86'400;
constexpr std::int64_t count_max = 1'000'000;

// What the core itself would not see: a number that does not fit, or is none.
std::optional<std::string>
out_of_range(std::initializer_list<std::pair<double, std::string_view>> times,
             std::initializer_list<std::pair<std::int64_t, std::string_view>> counts) {
  for (auto const& [value, key] : times)
    if (!(value >= 0) || value > seconds_max)
      return fmt::format("--{} {} is out of range; 0 to {} s", key, value, seconds_max);
  for (auto const& [value, key] : counts)
    if (value < 0 || value > count_max)
      return fmt::format("--{} {} is out of range; 0 to {}", key, value, count_max);
  return std::nullopt;
}

// What the core finds wrong, by the name of the option.
std::string refusal(std::string_view prefix, base::wrong_option const& w) {
  auto key = w.key;
  std::replace(key.begin(), key.end(), '_', '-');
  return fmt::format("--{}-{}: {}", prefix, key, w.text);
}

base::result<services::membership_settings, std::string> to_membership(membership_options const& o) {
  using result = base::result<services::membership_settings, std::string>;
  auto const refuse = [](std::string why) { return result(boost::system::in_place_error, std::move(why)); };
  if (auto wrong = out_of_range({{o.interval, "membership-interval"},
                                 {o.probe_timeout, "membership-probe-timeout"},
                                 {o.suspicion_min, "membership-suspicion-min"},
                                 {o.sync_interval, "membership-sync-interval"}},
                                {{o.indirect_probes, "membership-indirect-probes"},
                                 {o.suspicion_max_factor, "membership-suspicion-max-factor"}}))
    return refuse(*wrong);
  if (o.port < 0 || o.port > 65'535)
    return refuse(fmt::format("--membership-port {} is no port; 0 to 65535", o.port));
  if (o.expel != "never" && o.expel != "dead")
    return refuse(fmt::format("--membership-expel {} is unknown; there are: never, dead", o.expel));
  services::membership_settings out{
      .port = static_cast<std::uint16_t>(o.port), .address = o.address, .key_file = o.key_file};
  out.core.interval = seconds(o.interval);
  out.core.probe_timeout = seconds(o.probe_timeout);
  out.core.indirect_probes = static_cast<std::uint32_t>(o.indirect_probes);
  out.core.suspicion_min = seconds(o.suspicion_min);
  out.core.suspicion_max_factor = static_cast<std::uint32_t>(o.suspicion_max_factor);
  out.core.sync_interval = seconds(o.sync_interval);
  out.core.expel = o.expel == "dead" ? swim::expelling::dead : swim::expelling::never;
  if (auto const wrong = swim::find_wrong(out.core)) return refuse(refusal("membership", *wrong));
  return result(boost::system::in_place_value, std::move(out));
}

base::result<services::election_settings, std::string> to_election(election_options const& o) {
  using result = base::result<services::election_settings, std::string>;
  auto const refuse = [](std::string why) { return result(boost::system::in_place_error, std::move(why)); };
  if (auto wrong =
          out_of_range({{o.heartbeat, "election-heartbeat"},
                        {o.timeout_min, "election-timeout-min"},
                        {o.timeout_max, "election-timeout-max"},
                        {o.lease, "election-lease"},
                        {o.name_lease, "election-name-lease"}},
                       {{o.priority, "election-priority"}, {o.bootstrap_expect, "bootstrap-expect"}}))
    return refuse(*wrong);
  services::election_settings out{.core = {}, .state_dir = o.state_dir};
  auto& core = out.core;
  core.heartbeat = seconds(o.heartbeat);
  core.election_min = seconds(o.timeout_min);
  core.election_max = seconds(o.timeout_max);
  core.lease = seconds(o.lease);
  core.name_lease = seconds(o.name_lease);
  core.priority = static_cast<std::uint32_t>(o.priority);
  core.bootstrap_expect = static_cast<std::uint32_t>(o.bootstrap_expect);
  core.observer = o.observer;
  for (auto const& some : o.voters)
    for (std::size_t from = 0; from <= some.size();) {
      auto const to = std::min(some.find(',', from), some.size());
      auto name = some.substr(from, to - from);
      from = to + 1;
      if (!etf::is_atom_text(base::as_bytes(name)) || !etf::is_node_name(name))
        return refuse(fmt::format("--voters: {} is no node name; a node name is NAME@HOST", name));
      core.voters.push_back(std::move(name));
    }
  if (auto const wrong = raft::find_wrong(core)) return refuse(refusal("election", *wrong));
  bool const bootstraps = !core.voters.empty() || core.bootstrap_expect > 0;
  if (bootstraps && o.state_dir.empty() && !o.observer)
    return refuse("--voters and --bootstrap-expect need --state-dir: a voter keeps its vote in a file there");
  return result(boost::system::in_place_value, std::move(out));
}

base::result<services::discovery_settings, std::string> to_discovery(settings const& s) {
  using result = base::result<services::discovery_settings, std::string>;
  auto const refuse = [](std::string why) { return result(boost::system::in_place_error, std::move(why)); };
  auto const& o = s.discovery;
  for (auto const& [value, key] : {std::pair{o.poll, "discover-poll"},
                                   {o.backoff_min, "discover-backoff-min"},
                                   {o.backoff_max, "discover-backoff-max"},
                                   {o.ask_timeout, "discover-ask-timeout"}})
    if (!(value >= 0) || value > 86'400)
      return refuse(fmt::format("--{} {} is out of range; 0 to 86400 s", key, value));
  if (o.grace < 1 || o.grace > 1'000) return refuse(fmt::format("--discover-grace {}: 1 to 1000", o.grace));
  if (o.dial_limit < 1 || o.dial_limit > 10'000)
    return refuse(fmt::format("--discover-dial-limit {}: 1 to 10000", o.dial_limit));
  services::discovery_settings out;
  auto& core = out.core;
  core.poll_interval = seconds(o.poll);
  core.poll_jitter = o.poll_jitter;
  core.grace = static_cast<unsigned>(o.grace);
  core.keep_missing_nodes = o.keep_missing;
  core.dial_limit = static_cast<std::size_t>(o.dial_limit);
  core.dial_timeout = seconds(s.net_setup_time);
  core.backoff_min = seconds(o.backoff_min);
  core.backoff_max = seconds(o.backoff_max);
  core.ask_timeout = seconds(o.ask_timeout);
  out.dns_servers = o.dns_servers;
  auto all = o.configured;
  for (auto const& spec : o.sources) {
    auto source = parse_source(spec);
    if (!source) return refuse(source.error());
    all.push_back({.source = std::move(*source)});
  }
  auto const or_else = [](std::string& into, std::string const& value) {
    if (into.empty()) into = value;
  };
  for (auto& [source, secret_file] : all) {
    if (auto* const m = std::get_if<discovery::multicast>(&source)) {
      or_else(m->interface, o.interface);
      or_else(secret_file, o.secret_file);
      char const* const given = std::getenv("REMORA_DISCOVERY_SECRET");
      if (secret_file.empty() && given == nullptr)
        return refuse("a multicast group needs a secret: give one with --discover-secret-file or "
                      "REMORA_DISCOVERY_SECRET, the same on all nodes");
      auto secret = secret_file.empty()
                        ? base::result<std::string, std::string>(boost::system::in_place_value, given)
                        : read_secret(secret_file);
      if (!secret) return refuse(secret.error());
      m->secret = std::move(*secret);
    }
    if (auto* const k = std::get_if<discovery::kubernetes>(&source)) {
      or_else(k->server, o.kubernetes_server);
      or_else(k->token_file, o.kubernetes_token_file);
      or_else(k->ca_file, o.kubernetes_ca_file);
      if (!o.kubernetes_domain.empty()) k->domain = o.kubernetes_domain;
      bool known = o.kubernetes_addressing.empty();
      for (auto const a :
           {discovery::addressing::ip, discovery::addressing::pod, discovery::addressing::hostname})
        if (o.kubernetes_addressing == discovery::name_of(a)) k->how = a, known = true;
      if (!known)
        return refuse(fmt::format("--kubernetes-addressing {} is unknown; there are: ip, pod, hostname",
                                  o.kubernetes_addressing));
    }
    if (auto* const k = std::get_if<discovery::kubernetes_dns>(&source);
        k != nullptr && !o.kubernetes_domain.empty())
      k->domain = o.kubernetes_domain;
    core.sources.push_back(std::move(source));
  }
  return result(boost::system::in_place_value, std::move(out));
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
    auto const& value = pair.second;
    auto const read =
        key == discovery_key    ? read_discovery(path, value, into.discovery)
        : key == membership_key ? read_table(path, key, membership_table, value, into.membership)
        : key == election_key
            ? read_table(path, key, election_table, value, into.election)
            : read_key(path, table, {discovery_key, membership_key, election_key}, key, value, into);
    if (!read) return read;
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
  auto discover = to_discovery(s);
  if (!discover) return wrong(discover.error());
  auto membership = to_membership(s.membership);
  if (!membership) return wrong(membership.error());
  auto election = to_election(s.election);
  if (!election) return wrong(election.error());
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
  // Without a source it is begun by the application, over what is set here.
  out.discovery = std::move(*discover);
  out.start_membership = s.membership.start;
  out.membership = std::move(*membership);
  out.start_election =
      s.election.start || !election->core.voters.empty() || election->core.bootstrap_expect > 0;
  out.election = std::move(*election);
  return {boost::system::in_place_value, std::move(out)};
}

} // namespace remora::cli
