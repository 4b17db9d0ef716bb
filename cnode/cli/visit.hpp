// One visit of a client command: joins a node as a short-lived hidden one, asks, leaves. And how commands say
// what came of it.
#pragma once

#include "cli/client.hpp"
#include "cli/exit_code.hpp"
#include "etf/term.hpp"
#include "io/event.hpp"
#include "node/process.hpp"

#include <functional>
#include <string>

namespace remora::cli {

void print_line(std::string const& text);
void print_term(client_options const& o, etf::view term); // as text or, with --json, as JSON
int refused(std::string const& why, exit_code code = exit_failed);
base::duration timeout_of(client_options const& o);
std::string why_failed(std::string const& what, etf::view reason);
bool is_undefined(etf::view reason); // of a failed rpc: there is no such function

class visit {
public:
  visit(client_options const& o, std::string node) : options_(o), node_(std::move(node)) {}

  // What `work` answers is the exit code; without a connection it is never asked, and why is said.
  int run(std::function<node::task<int>(node::self)> const& work, exit_code interrupted = exit_failed);

private:
  void hear(io::event const& e);
  std::string no_connection() const;

  client_options const& options_;
  std::string node_;
  std::string why_;
  bool handshake_ = false;
  bool connected_ = false;
};

} // namespace remora::cli
