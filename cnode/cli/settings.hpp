// What `remora run` can be told, on the command line and in a TOML file: one table of settings for both, so
// that a wrong one is refused with the list of right ones. The command line wins.
#pragma once

#include "base/result.hpp"
#include "cli/discover.hpp"
#include "cli/log.hpp"
#include "io/runtime.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace remora::cli {

// In TOML the table [discovery]; the sources of both kinds are added up.
struct discovery_options {
  std::vector<std::string> sources;          // as --discover has them
  std::vector<configured_source> configured; // [[discovery.source]]
  double poll = 5;                           // s
  double poll_jitter = 0.1;
  std::int64_t grace = 2;
  bool keep_missing = false;
  std::int64_t dial_limit = 64;
  double backoff_min = 0.1; // s
  double backoff_max = 30;  // s
  double ask_timeout = 5;   // s
  std::vector<std::string> dns_servers;
  std::string secret_file;
  std::string interface {};
  std::string kubernetes_server;
  std::string kubernetes_token_file;
  std::string kubernetes_ca_file;
  std::string kubernetes_addressing;
  std::string kubernetes_domain;
};

// In TOML the table [membership]. Times in s.
struct membership_options {
  bool start = false;
  double interval = 1;
  double probe_timeout = 0; // 0: two fifths of the interval
  std::int64_t indirect_probes = 3;
  double suspicion_min = 0; // 0: as the interval and the number of members say
  std::int64_t suspicion_max_factor = 6;
  double sync_interval = 30;
  std::string expel = "never";
  std::int64_t port = 0; // 0: that of the distribution
  std::string address;
  std::string key_file;
};

// In TOML the table [election]. Times in s.
struct election_options {
  bool start = false; // also where voters or bootstrap_expect are given
  std::string state_dir;
  std::vector<std::string> voters; // each may be several, with commas between
  std::int64_t bootstrap_expect = 0;
  double heartbeat = 0.1;
  double timeout_min = 0.5;
  double timeout_max = 1;
  double lease = 0; // 0: three fifths of timeout_min
  double name_lease = 2;
  std::int64_t priority = 1;
  bool observer = false;
};

struct settings {
  std::string name;
  std::string sname;
  std::string cookie_file;
  std::string listen;
  std::string lifeline; // "stdin" or empty
  std::string log_level = "info";
  std::string log_format = "text";
  std::vector<std::string> pg_scopes; // beside `pg`
  bool prevent_overlapping_partitions = true;
  double global_call_timeout = 5; // s
  bool global_drop_frozen = false;
  bool hidden = false;
  bool no_epmd = false;
  std::int64_t port = 0;
  std::int64_t epmd_port = 0; // 0: ERL_EPMD_PORT, else 4369
  std::int64_t net_tick_time = 60;
  double net_setup_time = 7; // s
  std::int64_t outbox_high_mark = 1U << 20U;
  std::int64_t outbox_low_mark = 256U << 10U;
  std::int64_t outbox_bytes_max = 192U << 20U;
  std::int64_t message_bytes_max = 192U << 20U;
  std::int64_t mailbox_bytes_max = 8U << 20U;
  std::int64_t processes_max = 262'144;
  std::int64_t busy_wait = 8; // us
  discovery_options discovery;
  membership_options membership;
  election_options election;
};

// Reads the file over `into`; the error is a sentence with the line.
base::result<void, std::string> read_config(std::string const& path, settings& into);

// Checks them and makes the runtime's options of them; reads the cookie.
base::result<runtime_options, std::string> to_runtime_options(settings const& s);

std::string short_host(); // of this machine

} // namespace remora::cli
