// user: the group leader of what we spawn on peers, hence an I/O server (the "Erlang I/O protocol";
// protocol.md 5.5). What it is given to print becomes an output effect. An unanswered request would hang the
// process that prints. logger_proxy: log events of such processes.
#include "node/server.hpp"
#include "services/io_format.hpp"
#include "services/parts.hpp"

#include "etf/print.hpp"

namespace remora::services {

using etf::am;
using etf::make;
using etf::tup;

namespace {

// The text of put_chars in any of its forms; nullopt: not put_chars, or its characters are none.
std::optional<std::string> put_chars_text(etf::view request) {
  auto const arity = request.arity();
  if (!arity || !request.element(0)->is_atom("put_chars")) return std::nullopt;
  if (arity == 2U) return io_characters(*request.element(1), encoding::latin1); // the form before Unicode
  bool const latin1 = request.element(1)->is_atom("latin1");
  if (arity == 3U) return io_characters(*request.element(2), latin1 ? encoding::latin1 : encoding::unicode);
  if (arity != 5U) return std::nullopt;
  auto const [tag, given_encoding, module, function, arguments] = *request.tuple<5>();
  auto list = arguments.list();
  if (!module.is_atom("io_lib") || !function.is_atom("format") || !list || list->left() != 2)
    return std::nullopt;
  auto const format = *list->next();
  return io_format(format, *list->next());
}

etf::term error(std::string_view why) { return make(tup(am("error"), am(why))); }

etf::term answer_io(node::self me, etf::view request, std::string& printed) {
  if (auto text = put_chars_text(request)) {
    printed += *text;
    return make(am("ok"));
  }
  if (auto const requests = request.tuple<2>(); requests && (*requests)[0].is_atom("requests")) {
    auto list = (*requests)[1].list();
    if (!list) return error("request");
    etf::term last = make(am("ok"));
    while (auto const next = list->next()) {
      last = answer_io(me, *next, printed);
      if (auto const pair = last->tuple<2>(); pair && (*pair)[0].is_atom("error")) break;
    }
    return last;
  }
  static constexpr std::string_view unsupported[] = {"getopts",   "setopts",   "get_geometry", "get_line",
                                                     "get_chars", "get_until", "get_password"};
  auto const name =
      request.atom_text().value_or(request.arity() ? request.element(0)->atom_text().value_or("") : "");
  auto const known = std::find(std::begin(unsupported), std::end(unsupported), name);
  return error(known != std::end(unsupported) ? "enotsup" : "request");
}

node::task<> run_user(node::self me) {
  while (true) {
    auto const message = co_await me.receive();
    auto const request = message->tuple<4>();
    if (!request || !(*request)[0].is_atom("io_request")) continue;
    auto const from = (*request)[1].as_pid();
    if (!from) continue;
    std::string printed;
    auto const answer = answer_io(me, (*request)[3], printed);
    me.send(*from, make(tup(am("io_reply"), (*request)[2], answer)));
    if (!printed.empty()) me.node().tell(node::output{std::move(printed)});
  }
}

// {log, Level, Fmt, Args, Meta} or {log, Level, Msg, Meta}
node::task<> run_logger_proxy(node::self me) {
  while (true) {
    auto const message = co_await me.receive();
    auto const arity = message->arity();
    if (!arity || *arity < 4 || !message->element(0)->is_atom("log")) continue;
    auto const level = message->element(1)->atom_text();
    if (!level) continue;
    auto const what = *message->element(2);
    std::string text = arity == 5U ? io_format(what, *message->element(3)) : etf::print(what);
    std::string node;
    if (auto const meta = message->element(*arity - 1)->map())
      if (auto const pid = meta->find("pid")) node = pid->node_text().value_or("");
    me.node().tell(
        node::remote_log{.level = std::string(*level), .text = std::move(text), .node = std::move(node)});
  }
}

} // namespace

etf::pid install_user(node::core& node) { return node.spawn(run_user, "user", "user:server/2"); }

void install_logger_proxy(node::core& node) {
  node.spawn(run_logger_proxy, "logger_proxy", "logger_olp:init/1");
}

} // namespace remora::services
