// Discovery from outside: what an application's shim asks the door.
//
//   {discovery, {configure, Options}}     {ok, Ref}: the calling process is the application's front from now
//   on, and
//                                         gets {remora_discovery, Ref, News}; it keeps its Ref when it calls
//                                         again, and is replaced by another that calls. At its end its
//                                         sources go; links stay
//   {discovery, {once, Options}}          Result: a round of its own, no polling
//   {discovery, refresh}                  Result: {ok, [Node]}
//                                                 | {error, {discovery_failed, [{Source, Cause, Text}]}}
//                                                 | {error, {connect_failed | disconnect_failed, [{Node,
//                                                 Reason}]}} | {error, paused | shut_down | busy}
//   {discovery, pause | resume | shutdown}     ok | {error, ..}
//   {discovery, status}                   {ok, Map}
//   {discovery, {report, Ref, Report}}    ok | {error, unknown_front}; a cast will do
//
// All but configure, once, report and status answer {error, not_configured} while nobody has given settings,
// and {error, badarg} to terms of another kind.
//
// Options: a map, all keys optional, over those of the program's command line, whose sources are kept beside
// the given ones: sources => [Source], poll_interval, dial_timeout, backoff_min, backoff_max, ask_timeout =>
// ms, poll_jitter => 0.0 .. 1.0, grace, dial_limit => N, keep_missing_nodes => Boolean, side => app |
// companion | both, dns_servers => [<<"IP[:PORT]">>]. A wrong one is {error, {option, Key, Text}}. Nothing of
// a secret is in a Text.
//
// Source: local_epmd | {nodes, [Node]} | {epmd, [Host]} | {dns, Basename, Host} | {dns_srv, Basename,
// Service}
//   | {kubernetes, #{basename, namespace, selector, service, addressing => ip | pod | hostname, domain,
//   server,
//     token_file, ca_file}} | {kubernetes_dns, #{basename, namespace, service, domain}}
//   | {multicast, #{group, port, secret, interface, ttl}} | {hosts_file, Path} | {file, Path} | custom
//   with texts as binaries, strings or atoms.
//
// News: {refreshed, Result} | paused | resumed | stopped | {connect_failed, Side, Node, Reason, NextMs}
//   | {dropped, Side, Node} | {source_failed, Source, Cause, Text}; and what the front is to do, and report:
//   {connect, Node}      {up, Node} | {connect_failed, Node, Reason}
//   {disconnect, Node}   {disconnected, Node} | {disconnect_failed, Node, Reason}
//   {list, Id}           {listed, Id, {ok, [Node]} | {error, Text}}
//   Reports {up, Node} and {down, Node, Reason} are wanted of every visible node of the application, also of
//   those that are there at the beginning.
#include "services/answers.hpp"
#include "services/discovery_terms.hpp"
#include "services/parts.hpp"

#include "etf/print.hpp"

namespace remora::services {

using etf::am;
using etf::make;
using etf::tup;

namespace {

constexpr std::size_t reason_bytes_max = 1'024;

std::string text_of(etf::view v) {
  if (auto const atom = v.atom_text()) return std::string(*atom);
  if (auto text = v.text(reason_bytes_max)) return std::move(*text);
  return etf::print(v, {.depth = 10, .bytes_max = reason_bytes_max});
}

std::optional<std::string> node_of(etf::view v) {
  auto const name = v.atom_text();
  return name ? std::optional(std::string(*name)) : std::nullopt;
}

discovery::answer listing(etf::view outcome) {
  auto const pair = outcome.tuple<2>();
  auto const failed = [](std::string text) {
    return discovery::failed{.why = discovery::cause::by_app, .text = std::move(text)};
  };
  if (!pair) return failed("the application's function answered neither {ok, Nodes} nor {error, Text}");
  if (!(*pair)[0].is_atom("ok")) return failed(text_of((*pair)[1]));
  auto list = (*pair)[1].list();
  discovery::listed out;
  while (list) {
    auto const item = list->next();
    if (!item) break;
    auto const atom = item->atom_text();
    auto text = atom ? std::optional(std::string(*atom)) : item->text(reason_bytes_max);
    if (!text) return failed("the application's function listed what is no node name");
    out.nodes.push_back(std::move(*text));
  }
  if (!list || list->tail().what() != etf::kind::nil)
    return failed("the application's function answered no list");
  return out;
}

// False: no report at all; nullopt: not from this front.
std::optional<bool> report(discoverer& d, etf::reference const& ref, etf::view what) {
  auto const known = [](bool it_is) { return it_is ? std::optional(true) : std::nullopt; };
  auto const arity = what.arity();
  auto const tag = arity && *arity > 1 ? what.element(0)->atom_text() : std::nullopt;
  if (!tag) return false;
  auto const node = node_of(*what.element(1));
  if (*arity == 2 && node) {
    if (*tag == "up") return known(d.link_up(ref, *node));
    if (*tag == "disconnected") return known(d.disconnected(ref, *node, std::nullopt));
  }
  if (*arity == 3 && node) {
    auto reason = text_of(*what.element(2));
    if (*tag == "down") return known(d.link_down(ref, *node, std::move(reason)));
    if (*tag == "connect_failed") return known(d.link_failed(ref, *node, std::move(reason)));
    if (*tag == "disconnect_failed") return known(d.disconnected(ref, *node, std::move(reason)));
  }
  auto const id = *arity == 3 ? what.element(1)->unsigned_integer() : std::nullopt;
  if (id && *tag == "listed") return known(d.listed(ref, *id, listing(*what.element(2))));
  return false;
}

door::answer configure(discoverer& d, ticket const& to, etf::view options) {
  auto const who = to.caller();
  if (!who) return error("badarg");
  auto settings = read_settings(options, d.own());
  if (!settings) return wrong_term(settings.error());
  auto const ref = d.configure(*who, std::move(*settings));
  return ref ? make(tup(am("ok"), *ref)) : wrong_term(ref.error());
}

door::answer once(discoverer& d, ticket const& to, etf::view options) {
  auto settings = read_settings(options, {});
  if (!settings) return wrong_term(settings.error());
  settings->dns_servers = settings->dns_servers.empty() ? d.own().dns_servers : settings->dns_servers;
  auto const begun =
      d.run_once(std::move(*settings), [to](discovery::result const& r) { to.reply(to_term(r)); });
  if (!begun) return wrong_term(begun.error());
  to.on_abandoned(*begun, false);
  return std::nullopt;
}

door::answer plain(discoverer& d, node::core const& node, ticket const& to, std::string_view what) {
  auto const with_nodes = [to](discovery::result const& r) { to.reply(to_term(r)); };
  auto const without = [to](discovery::result const& r) {
    to.reply(r.was == discovery::result::what::ok ? make(am("ok")) : to_term(r));
  };
  if (what == "status") return make(tup(am("ok"), to_term(d.status(), d.configured(), node.now())));
  bool known = true;
  if (what == "refresh")
    known = d.refresh(with_nodes);
  else if (what == "pause")
    known = d.pause(without);
  else if (what == "resume")
    known = d.resume(without);
  else if (what == "shutdown")
    known = d.shutdown(without);
  else
    return error("badarg");
  return known ? std::nullopt : door::answer(error("not_configured"));
}

door::answer answer_to(discoverer& d, node::core const& node, ticket const& to, etf::view request) {
  if (auto const word = request.atom_text()) return plain(d, node, to, *word);
  if (auto const two = request.tuple<2>()) {
    if ((*two)[0].is_atom("configure")) return configure(d, to, (*two)[1]);
    if ((*two)[0].is_atom("once")) return once(d, to, (*two)[1]);
  }
  auto const three = request.tuple<3>();
  auto const ref = three && (*three)[0].is_atom("report") ? (*three)[1].as_reference() : std::nullopt;
  if (!ref) return error("badarg");
  auto const done = report(d, *ref, (*three)[2]);
  if (!done) return error("unknown_front");
  return *done ? make(am("ok")) : error("badarg");
}

} // namespace

void install_discovery(node::core& node, door& requests, discoverer const& d) {
  requests.on("discovery", 2,
              [&node, d = discoverer(d)](node::self, ticket const& to, etf::view request) mutable {
                return answer_to(d, node, to, *request.element(1));
              });
}

} // namespace remora::services
