// Looks things up for discovery: each question of the core becomes a look-up that runs beside all others, and
// ends early when it is forgotten. Files are read at once, they are small; the rest waits without a thread.
//
//   io::lookups ask(context, {.own_host = "10.0.0.7"}, {.answered = .., .changed = .., .packet = ..});
//   ask.begin(id, question, servers);
//   ask.forget(id);
//
// What is told comes later, never from within begin().
#pragma once

#include "discovery/types.hpp"
#include "io/asio.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace remora::io {

struct lookup_options {
  std::string own_host{};         // its epmd is asked on this machine, however it is called elsewhere
  std::uint16_t epmd_port = 4369; // on every host
  std::size_t document_bytes_max = discovery::limits{}.document_bytes_max;
  std::size_t file_bytes_max = discovery::limits{}.file_bytes_max;
};

class lookups {
public:
  struct listeners {
    std::function<void(discovery::question_id, discovery::answer)> answered;
    std::function<void(discovery::question_id)> changed;
    std::function<void(discovery::question_id, std::string bytes, std::string from)> packet;
  };

  lookups(asio::io_context& context, lookup_options options, listeners told);
  lookups(lookups const&) = delete;
  lookups& operator=(lookups const&) = delete;
  ~lookups();

  // `dns_servers` as dns_options has them. list_by_app is not for here.
  void begin(discovery::question_id id, discovery::question const& what,
             std::vector<std::string> dns_servers);
  void forget(discovery::question_id id); // nothing is told of it any more
  void send(discovery::question_id group, std::string const& bytes);
  std::size_t running() const { return running_.size(); } // and not yet ended ones that are forgotten

private:
  struct lookup;
  asio::awaitable<discovery::answer> find(discovery::question what,
                                          std::vector<std::string> dns_servers) const;
  void join(discovery::question_id id, discovery::join_group const& q);
  void ended(discovery::question_id id, std::exception_ptr const& problem, discovery::answer answer);
  void fail_later(discovery::question_id id, discovery::cause why, std::string text);

  asio::io_context& context_;
  lookup_options options_;
  listeners told_;
  std::map<discovery::question_id, std::shared_ptr<lookup>> running_;
};

// Where a Kubernetes source names no server: that of the pod's service account, with its token, authority
// and, where none is given, namespace. Does nothing outside of a pod.
void fill_in_service_account(discovery::options& o);

std::int64_t unix_ms(); // the wall clock

} // namespace remora::io
