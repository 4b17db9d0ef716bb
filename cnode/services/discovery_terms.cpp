#include "services/discovery_terms.hpp"

#include "services/answers.hpp"
#include "services/option_terms.hpp"

#include "base/overload.hpp"
#include "etf/builder.hpp"
#include "etf/print.hpp"
#include "etf/reader.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <utility>

namespace remora::services {

using discovery::wrong_option;
using etf::am;
using etf::builder;
using etf::make;
using etf::tup;

// ---- options in

namespace {

constexpr std::string_view source_forms =
    "local_epmd, {nodes, [Node]}, {epmd, [Host]}, {dns, Basename, Host}, {dns_srv, Basename, Service}, "
    "{kubernetes, Map}, {kubernetes_dns, Map}, {multicast, Map}, {hosts_file, Path}, {file, Path}, custom";

problem read_kubernetes(etf::view v, std::vector<discovery::source>& into) {
  discovery::kubernetes k;
  auto const how = [&k](etf::view value) {
    for (auto const a :
         {discovery::addressing::ip, discovery::addressing::pod, discovery::addressing::hostname})
      if (value.is_atom(discovery::name_of(a))) return k.how = a, true;
    return false;
  };
  auto wrong = read_fields(v, {text_option("basename", k.basename),
                               text_option("namespace", k.ns),
                               text_option("selector", k.selector),
                               text_option("service", k.service),
                               {"addressing", "ip, pod or hostname is expected", how},
                               text_option("domain", k.domain),
                               text_option("server", k.server),
                               text_option("token_file", k.token_file),
                               text_option("ca_file", k.ca_file)});
  if (!wrong) into.emplace_back(std::move(k));
  return wrong;
}

problem read_kubernetes_dns(etf::view v, std::vector<discovery::source>& into) {
  discovery::kubernetes_dns k;
  auto wrong = read_fields(v, {text_option("basename", k.basename), text_option("namespace", k.ns),
                               text_option("service", k.service), text_option("domain", k.domain)});
  if (!wrong) into.emplace_back(std::move(k));
  return wrong;
}

problem read_multicast(etf::view v, std::vector<discovery::source>& into) {
  discovery::multicast m;
  auto wrong = read_fields(v, {text_option("group", m.group), count_option("port", m.port),
                               text_option("secret", m.secret), text_option("interface", m.interface),
                               count_option("ttl", m.ttl)});
  if (!wrong) into.emplace_back(std::move(m));
  return wrong;
}

// A tag and texts: {epmd, [Host]}, {dns, Base, Host}, ..
bool read_plain(std::string_view tag, etf::view v, std::vector<discovery::source>& into) {
  constexpr std::size_t items_max = 100'000; // the core has limits of its own
  auto const arity = *v.arity();
  auto const first = arity > 1 ? *v.element(1) : etf::view();
  if (arity == 2 && (tag == "nodes" || tag == "epmd")) {
    auto texts = read_texts(first, items_max);
    if (!texts) return false;
    if (tag == "nodes")
      into.emplace_back(discovery::node_list{std::move(*texts)});
    else
      into.emplace_back(discovery::epmd_hosts{std::move(*texts)});
    return true;
  }
  auto one = arity > 1 ? read_text(first) : std::nullopt;
  auto two = arity == 3 ? read_text(*v.element(2)) : std::nullopt;
  if (arity == 2 && one && tag == "hosts_file") return into.emplace_back(discovery::hosts_file{*one}), true;
  if (arity == 2 && one && tag == "file") return into.emplace_back(discovery::node_file{*one}), true;
  if (arity == 3 && one && two && tag == "dns")
    return into.emplace_back(discovery::dns_name{*one, *two}), true;
  if (arity == 3 && one && two && tag == "dns_srv")
    return into.emplace_back(discovery::dns_service{*one, *two}), true;
  return false;
}

// What a source is called in a complaint: never its text, which may hold a secret.
std::string tag_of(etf::view v) {
  if (auto const atom = v.atom_text()) return std::string(*atom);
  auto const arity = v.arity();
  auto const tag = arity && *arity > 0 ? v.element(0)->atom_text() : std::nullopt;
  return tag ? fmt::format("{{{}, ..}}", *tag) : "what is no atom and no tagged tuple";
}

problem read_source(etf::view v, std::vector<discovery::source>& into) {
  auto const unknown = [&] { return fmt::format("{} is no source; there are: {}", tag_of(v), source_forms); };
  if (v.is_atom("local_epmd")) return into.emplace_back(discovery::epmd_hosts{{""}}), std::nullopt;
  if (v.is_atom("custom")) return into.emplace_back(discovery::custom{}), std::nullopt;
  auto const arity = v.arity();
  auto const tag = arity && *arity > 1 ? v.element(0)->atom_text() : std::nullopt;
  if (!tag) return unknown();
  auto const map = *arity == 2 ? *v.element(1) : etf::view();
  auto const within = [&](problem p) { return p ? problem(fmt::format("{}: {}", *tag, *p)) : std::nullopt; };
  if (*arity == 2 && *tag == "kubernetes") return within(read_kubernetes(map, into));
  if (*arity == 2 && *tag == "kubernetes_dns") return within(read_kubernetes_dns(map, into));
  if (*arity == 2 && *tag == "multicast") return within(read_multicast(map, into));
  return read_plain(*tag, v, into) ? std::nullopt : problem(unknown());
}

// Added to those that are there; one that the program has by itself counts once.
problem read_sources(etf::view v, std::vector<discovery::source>& into) {
  auto list = v.list();
  if (!list) return fmt::format("a list is expected, of: {}", source_forms);
  auto const own = into.size();
  while (auto const item = list->next()) {
    if (auto wrong = read_source(*item, into)) return wrong;
    auto const end_of_own = into.begin() + static_cast<std::ptrdiff_t>(own);
    if (std::find(into.begin(), end_of_own, into.back()) != end_of_own) into.pop_back();
  }
  if (list->tail().what() != etf::kind::nil) return "a proper list is expected";
  return std::nullopt;
}

bool read_side(etf::view v, discovery::side& into) {
  for (auto const s : {discovery::side::app, discovery::side::companion, discovery::side::both})
    if (v.is_atom(discovery::name_of(s))) return into = s, true;
  return false;
}

std::vector<option> options_of(discovery_settings& s) {
  auto& o = s.core;
  return {ms_option("poll_interval", o.poll_interval),
          fraction_option("poll_jitter", o.poll_jitter),
          count_option("grace", o.grace),
          flag_option("keep_missing_nodes", o.keep_missing_nodes),
          {"side", "app, companion or both is expected", [&o](etf::view v) { return read_side(v, o.who); }},
          count_option("dial_limit", o.dial_limit),
          ms_option("dial_timeout", o.dial_timeout),
          ms_option("backoff_min", o.backoff_min),
          ms_option("backoff_max", o.backoff_max),
          ms_option("ask_timeout", o.ask_timeout),
          {"dns_servers", "a list is expected, of <<\"IP[:PORT]\">>", [&s](etf::view v) {
             auto texts = read_texts(v, 16);
             if (texts) s.dns_servers = std::move(*texts);
             return texts.has_value();
           }}};
}

// The core's names of what is called otherwise here.
std::string_view door_key(std::string_view key) { return key == "who" ? "side" : key; }

} // namespace

base::result<discovery_settings, wrong_option> read_settings(etf::view given,
                                                             discovery_settings const& base) {
  auto out = base;
  auto options = options_of(out);
  options.push_back({"sources", [&out](etf::view v) { return read_sources(v, out.core.sources); }});
  if (auto wrong = read_options(given, options)) return {boost::system::in_place_error, std::move(*wrong)};
  return {boost::system::in_place_value, std::move(out)};
}

// ---- results, news and status out

namespace {

// Reasons are words, and as such atoms; whatever else one may be is a binary.
void put_reason(builder& b, std::string_view reason) {
  constexpr std::size_t word_max = 64;
  bool const word =
      !reason.empty() && reason.size() <= word_max && std::all_of(reason.begin(), reason.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
      });
  if (word)
    b.atom(reason);
  else
    b.binary(reason);
}

void put_node(builder& b, std::string_view node) {
  if (etf::is_atom_text(base::as_bytes(node)))
    b.atom(node);
  else
    b.binary(node);
}

void put_nodes(builder& b, std::vector<std::string> const& nodes) {
  b.list(nodes.size());
  for (auto const& n : nodes) put_node(b, n);
  b.nil();
}

void put_links(builder& b, std::vector<discovery::unreached> const& links) {
  b.list(links.size());
  for (auto const& l : links) {
    b.tuple(2);
    put_node(b, l.node);
    put_reason(b, l.reason);
  }
  b.nil();
}

void put_failures(builder& b, std::vector<discovery::failure> const& failures) {
  b.list(failures.size());
  for (auto const& f : failures) b.tuple(3).binary(f.source).atom(discovery::name_of(f.why)).binary(f.text);
  b.nil();
}

std::int64_t ms_of(base::duration d) { return std::chrono::ceil<std::chrono::milliseconds>(d).count(); }

// Until then; the atom undefined for never.
void put_ms_until(builder& b, std::optional<base::time_point> when, base::time_point now) {
  if (when)
    b.integer(std::max<std::int64_t>(ms_of(*when - now), 0));
  else
    b.atom("undefined");
}

void put_link(builder& b, std::optional<discovery::link_status> const& l, base::time_point now) {
  if (!l) {
    b.atom("undefined");
    return;
  }
  b.map(6).atom("up").boolean(l->up).atom("ours").boolean(l->ours).atom("dialling").boolean(l->dialling);
  b.atom("failures").unsigned_integer(l->failures).atom("reason");
  put_reason(b, l->reason);
  b.atom("next_ms");
  put_ms_until(b, l->next, now);
}

} // namespace

etf::term wrong_term(wrong_option const& w) { return option_error({std::string(door_key(w.key)), w.text}); }

etf::term to_term(discovery::result const& r) {
  using what = discovery::result::what;
  builder b;
  b.tuple(2);
  switch (r.was) {
  case what::ok:
    b.atom("ok");
    put_nodes(b, r.nodes);
    break;
  case what::discovery_failed:
    b.atom("error").tuple(2).atom("discovery_failed");
    put_failures(b, r.sources);
    break;
  case what::connect_failed:
  case what::disconnect_failed:
    b.atom("error").tuple(2).atom(discovery::name_of(r.was));
    put_links(b, r.links);
    break;
  case what::paused:
  case what::shut_down:
  case what::busy: b.atom("error").atom(discovery::name_of(r.was)); break;
  }
  return b.take();
}

etf::term to_term(discovery::news const& n) {
  return std::visit(base::overload{[](discovery::refreshed const& e) {
                                     return make(tup(am("refreshed"), to_term(e.result)));
                                   },
                                   [](discovery::paused const&) { return make(am("paused")); },
                                   [](discovery::resumed const&) { return make(am("resumed")); },
                                   [](discovery::stopped const&) { return make(am("stopped")); },
                                   [](discovery::connect_failed const& e) {
                                     builder b;
                                     b.tuple(5).atom("connect_failed").atom(discovery::name_of(e.where));
                                     put_node(b, e.node);
                                     put_reason(b, e.reason);
                                     return b.integer(ms_of(e.next)).take();
                                   },
                                   [](discovery::dropped const& e) {
                                     builder b;
                                     b.tuple(3).atom("dropped").atom(discovery::name_of(e.where));
                                     put_node(b, e.node);
                                     return b.take();
                                   },
                                   [](discovery::source_failed const& e) {
                                     return make(tup(am("source_failed"), e.failure.source,
                                                     am(discovery::name_of(e.failure.why)), e.failure.text));
                                   }},
                    n);
}

etf::term to_term(discovery::status const& s, bool configured, base::time_point now) {
  builder b;
  b.map(4).atom("state").atom(configured ? discovery::name_of(s.now) : "not_configured");
  b.atom("next_round_ms");
  put_ms_until(b, s.next_round, now);
  b.atom("sources").list(s.sources.size());
  for (auto const& source : s.sources) {
    b.map(4).atom("source").binary(source.source).atom("nodes").unsigned_integer(source.nodes);
    b.atom("answered").boolean(source.answered).atom("trouble");
    if (source.trouble)
      b.tuple(2).atom(discovery::name_of(source.trouble->why)).binary(source.trouble->text);
    else
      b.atom("undefined");
  }
  b.nil().atom("nodes").list(s.nodes.size());
  for (auto const& node : s.nodes) {
    b.map(3).atom("node");
    put_node(b, node.node);
    b.atom("companion");
    put_link(b, node.companion, now);
    b.atom("app");
    put_link(b, node.app, now);
  }
  return b.nil().take();
}

// ---- the log

namespace {

std::string_view whose(discovery::side s) { return s == discovery::side::app ? "of the application " : ""; }

node::notice line(std::string_view level, std::string_view event, std::string text,
                  std::vector<std::pair<std::string, std::string>> fields = {}) {
  return {.level = std::string(level),
          .text = std::move(text),
          .event = std::string(event),
          .fields = std::move(fields)};
}

} // namespace

node::notice to_notice(discovery::news const& n) {
  return std::visit(
      base::overload{
          [](discovery::refreshed const& e) {
            return line("debug", "discovery_refreshed", "discovery: " + discovery::describe(e.result),
                        {{"result", std::string(discovery::name_of(e.result.was))},
                         {"nodes", fmt::format("{}", fmt::join(e.result.nodes, " "))}});
          },
          [](discovery::paused const&) { return line("notice", "discovery_paused", "discovery is paused"); },
          [](discovery::resumed const&) { return line("notice", "discovery_resumed", "discovery goes on"); },
          [](discovery::stopped const&) {
            return line("notice", "discovery_stopped", "discovery has ended");
          },
          [](discovery::connect_failed const& e) {
            return line("info", "connect_failed",
                        fmt::format("discovery: the connection {}to {} failed: {}; again in {} ms",
                                    whose(e.where), e.node, e.reason, ms_of(e.next)),
                        {{"peer", e.node},
                         {"side", std::string(discovery::name_of(e.where))},
                         {"reason", e.reason},
                         {"next_ms", std::to_string(ms_of(e.next))}});
          },
          [](discovery::dropped const& e) {
            return line("notice", "discovery_dropped",
                        fmt::format("discovery: {} is listed no longer: its connection {}is closed", e.node,
                                    whose(e.where)),
                        {{"peer", e.node}, {"side", std::string(discovery::name_of(e.where))}});
          },
          [](discovery::source_failed const& e) {
            auto const& f = e.failure;
            return line(
                "warning", "discovery_failed",
                fmt::format("discovery: {} failed: {}: {}", f.source, discovery::name_of(f.why), f.text),
                {{"source", f.source},
                 {"cause", std::string(discovery::name_of(f.why))},
                 {"detail", f.text}});
          }},
      n);
}

} // namespace remora::services
