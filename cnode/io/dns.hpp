// Questions to the domain name system by c-ares, carried by Asio: one question, one answer, no thread. The
// system's resolver (getaddrinfo) is not used, because it can neither ask for SRV records nor tell an empty
// answer from a name that does not exist, and a slow server would hold up whoever asks behind it.
//
//   auto const said = co_await io::ask_dns("db.example.org", discovery::record::a, {});
//
// Each question reads resolv.conf anew, so that a changed one counts. Servers are asked one after the other:
// the next one when a server does not answer, or says that it cannot (SERVFAIL, REFUSED, NOTIMP), as glibc
// does. c-ares would do the same by itself, but then says ECONNREFUSED whatever the servers said (1.18,
// ares_process.c, process_answer), so each of them gets a channel of its own. An answer that was cut off is
// asked for again by TCP.
//
// The cancellation of the awaiting coroutine ends the question.
#pragma once

#include "base/result.hpp"
#include "discovery/types.hpp"
#include "io/asio.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace remora::io {

struct dns_options {
  std::vector<std::string> servers{}; // IP[:PORT], [IPv6]:PORT; empty: the system's
  std::chrono::milliseconds wait = std::chrono::milliseconds(800); // for the first try, double for the next
  int tries = 2;                                                   // at each server
};

// IP, IP:PORT, [IPv6]:PORT as c-ares takes it; the error is a sentence.
base::result<std::string, std::string> read_dns_server(std::string const& text);

struct dns_answer {
  std::optional<discovery::failed> problem{}; // none: found, also when the name has no records of that kind
  std::vector<asio::ip::address> addresses{};
  std::vector<discovery::target> targets{}; // hosts without the dot at their end
};

// The records of one kind. A name without a dot at its end is looked for in the system's search list as well.
asio::awaitable<dns_answer> ask_dns(std::string name, discovery::record kind, dns_options options);

// The addresses of a host, of both families: literals as they are, then the hosts file, then A and AAAA.
asio::awaitable<dns_answer> look_up(std::string host, dns_options options);

} // namespace remora::io
