#include "cli/visit.hpp"

#include "cli/log.hpp"
#include "etf/json.hpp"
#include "etf/print.hpp"
#include "etf/reader.hpp"
#include "io/clock.hpp"
#include "io/cookie.hpp"
#include "io/runtime.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <unistd.h>

namespace remora::cli {

void print_line(std::string const& text) {
  std::printf("%s\n", text.c_str());
  std::fflush(stdout); // a line that is waited for, in a pipe too
}

void print_term(client_options const& o, etf::view term) {
  print_line(o.json ? etf::to_json(term) : etf::print(term, {.bytes_max = etf::json_bytes_max}));
}

int refused(std::string const& why, exit_code code) {
  complain(why);
  return code;
}

base::duration timeout_of(client_options const& o) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(o.timeout * 1000));
}

// {error, {exception, undef, [{M,F,A,[]}]}} and its kin as a sentence.
std::string why_failed(std::string const& what, etf::view reason) {
  return fmt::format("{} failed: {}", what, etf::print(reason));
}

bool is_undefined(etf::view reason) {
  auto const outer = reason.tuple<2>();
  if (!outer) return false;
  auto const inner = (*outer)[1].tuple<3>();
  return inner && (*inner)[1].is_atom("undef");
}

int visit::run(std::function<node::task<int>(node::self)> const& work, exit_code interrupted) {
  if (!etf::is_node_name(node_) || !etf::is_atom_text(base::as_bytes(node_)))
    return refused(fmt::format("{} is no node name; a node name is NAME@HOST", node_), exit_usage);
  auto cookie = io::find_cookie(options_.cookie_file);
  if (!cookie) return refused(cookie.error(), exit_usage);
  runtime us({.name = fmt::format("remora-{}-{:08x}@{}", getpid(), static_cast<std::uint32_t>(io::entropy()),
                                  node_.substr(node_.find('@') + 1)),
              .cookie = *cookie,
              .hidden = true,
              .port = options_.port,
              .accept = false,
              .epmd = options_.port == 0,
              .epmd_port = options_.epmd_port,
              .net_setup_time = timeout_of(options_),
              .pg_scopes = {},
              .registry = {}});
  us.on_event([this](io::event const& e) { hear(e); });
  int code = interrupted;
  us.spawn([&](node::self me) -> node::task<> {
    connected_ = co_await me.connect(etf::atom(node_));
    if (connected_) code = co_await work(me);
    us.stop();
  });
  us.run();
  return connected_ ? code : refused(no_connection());
}

void visit::hear(io::event const& e) {
  if (e.name == "output") {
    std::fputs(e.text.c_str(), stderr); // what a called function prints is not its result
    return;
  }
  if (e.name != "handshake_failed" && e.name != "dial_failed") return;
  if (!why_.empty()) return; // the first cause
  for (auto const& [key, value] : e.fields)
    if ((key == "reason" || key == "detail") && !value.empty()) why_ += (why_.empty() ? "" : ": ") + value;
  handshake_ = e.name == "handshake_failed";
}

std::string visit::no_connection() const {
  auto text =
      fmt::format("cannot connect to {}: {}", node_, why_.empty() ? "it did not answer in time" : why_);
  if (handshake_ && why_.starts_with("connection_closed"))
    text = fmt::format("{} closed the connection during the handshake; most likely its cookie differs from "
                       "this one: check --cookie-file, REMORA_COOKIE or ~/.erlang.cookie",
                       node_);
  return text;
}

} // namespace remora::cli
