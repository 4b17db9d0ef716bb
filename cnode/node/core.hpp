// The node: its processes and names, its peers, and the way of every signal between them. Pure: bytes,
// results and time in; effects and bytes to write out. io/driver carries it, the tests and the simulator step
// it.
//
//   core.accepted(challenge, now) -> id      a peer connected to us
//   core.dialled(id, challenge, now)         a dial effect succeeded;  dial_failed(id, why, now) otherwise
//   core.input_room(id), core.received(id, n, now), core.closed(id, why, now)
//   core.connection(id)->out().gather(), core.written(id, n, now)
//   core.wake(now) at core.next_deadline()
//   after each: core.take_effects(), core.take_writable()
//
// Signals follow OTP's dist.c and erl_proc_sig_queue.c as protocol.md 3 states them; where a rule is not
// obvious the line that keeps it says so.
#pragma once

#include "node/functions.hpp"
#include "node/state.hpp"

#include "base/random.hpp"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace remora::node {

struct core_options {
  std::string name; // name@host
  bool hidden = false;
  std::string cookie;
  std::uint64_t seed = 0; // for identifiers that must differ between runs, not for secrets
  base::duration setup_time = std::chrono::seconds(7);
  node_limits limits;
};

// What the metrics show; all since the start.
struct counters {
  std::uint64_t signals_in = 0;
  std::uint64_t signals_out = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t connections = 0;
  std::uint64_t handshakes_failed = 0;
  std::uint64_t dials_failed = 0;
  std::uint64_t frames_refused = 0;
  std::uint64_t spawned = 0;
};

class core {
public:
  explicit core(core_options options);
  core(core const&) = delete;
  core& operator=(core const&) = delete;
  ~core();

  void start(std::uint32_t creation, base::time_point now); // from epmd, or random; identifiers carry it

  // The driver's doors.
  connection_id accepted(std::uint32_t challenge, base::time_point now); // 0: too many handshakes, close it
  void dialled(connection_id id, std::uint32_t challenge, base::time_point now);
  // `why` is a sentence, `word` the same in one: who waits for the connection hears it (self::reach).
  void dial_failed(connection_id id, std::string why, base::time_point now,
                   std::string_view word = "unreachable");
  std::span<std::uint8_t> input_room(connection_id id);
  void received(connection_id id, std::size_t count, base::time_point now);
  void read_buffered(connection_id id, base::time_point now); // after resume_reading
  bool reading_wanted(connection_id id) const;
  // More follows within microseconds: the last signal was a monitor, behind which gen:call writes its
  // request.
  bool more_expected(connection_id id) const;
  void closed(connection_id id, std::string why, base::time_point now);
  dist::connection* connection(connection_id id); // nullptr when the node has given it up
  void written(connection_id id, std::size_t count, base::time_point now);
  void wake(base::time_point now);
  std::optional<base::time_point> next_deadline() const;
  std::vector<effect> take_effects() { return std::exchange(effects_, {}); }
  std::vector<connection_id> take_writable();
  void leave(base::time_point now); // ends all processes (shutdown), then all connections

  // For native services, before and while it runs.
  etf::pid spawn(body run, std::string_view name = {}, std::string_view initial_call = "native");
  node::functions& functions() { return functions_; }
  void send(destination const& to, etf::term const& message); // from nobody
  // When it ends the node leaves, as OTP's does without one of the kernel's processes: vital_ended.
  void set_vital(etf::pid const& who);
  void set_default_leader(etf::pid leader) { default_leader_ = std::move(leader); }
  void tell(effect e) { effects_.push_back(std::move(e)); }
  // Starts connecting if there is no connection yet.
  void connect(etf::atom const& peer);
  void disconnect(std::string_view peer, std::string reason);
  // Hears peer_up and peer_down of every peer, hidden ones too, in the step in which they happen. For as long
  // as the node; several may.
  void observe_peers(std::function<void(effect const&)> told) { peers_observers_.push_back(std::move(told)); }

  // What there is.
  etf::atom const& name() const { return name_; }
  std::uint32_t creation() const { return creation_; }
  core_options const& options() const { return options_; }
  base::time_point now() const { return now_; }
  base::time_point started_at() const { return started_; }
  std::vector<std::string> peers(bool visible, bool hidden) const; // sorted
  bool connected(std::string_view peer) const;
  std::uint32_t creation_of(std::string_view peer) const; // of a connected one, else 0
  std::vector<std::string> busy_peers() const;            // whose outbox is above its high mark
  std::vector<std::string> registered() const;            // sorted
  process* find_process(local_id id);
  process* find_process(etf::pid const& p); // nullptr also for pids of others and of earlier incarnations
  process* find_registered(std::string_view name);
  std::vector<etf::pid> processes() const;
  std::size_t process_count() const { return processes_.size(); }
  node::counters const& counts() const { return counts_; }
  std::size_t outbox_bytes() const;
  base::random& random() { return random_; }

private:
  friend class self;

  // Connections (peers.cpp).
  carrier* find_connection(connection_id id);
  dist::handshake_config handshake_config(std::uint32_t challenge) const;
  void pump(connection_id id);
  void handle(connection_id id, dist::connection::event& e);
  void on_named(connection_id id, dist::handshake::named const& n);
  void on_lost_race(connection_id id);
  void on_authenticated(connection_id id);
  void on_up(connection_id id, dist::handshake::up const& up);
  void on_closed(connection_id id, std::string reason, std::string detail, bool socket_lives,
                 std::string_view word = {});
  void drop_connection(connection_id id, bool flush);
  void peer_lost(etf::atom name, std::string reason, std::string detail, std::string_view word = {});
  void peer_failed(etf::atom name, std::string reason, std::string_view word = {}); // never came up
  void dial_over(etf::atom const& name, std::string_view word);                     // the same, told already
  void tell_peer(effect e); // to the driver and the observers
  bool drop_stale(peer& p, etf::view control);
  std::unique_ptr<peer> take_peer(etf::atom const& name);
  void tell_noconnection(peer const& gone, std::string_view word);
  void break_links(process& p, etf::atom const& node, etf::term const& reason);
  void fire_monitors(process& p, etf::atom const& node, etf::term const& reason);
  void watch_deadline(std::optional<base::time_point> when);
  peer* find_peer(std::string_view name);
  peer& new_peer(etf::atom const& name);
  void dial(peer& p);
  void await(peer& p, connection_id incoming);
  void awaited_in_vain(peer& p);
  peer* want_peer(etf::atom const& name); // dials if it is not there; nullptr when it may not
  void refuse(connection_id id, std::string reason, std::string detail);
  void wake_connections();
  void mark_writable(carrier& c);
  void close_overflown();
  void hang_up_all();
  void run_all();

  // Signals out: `sender` keeps the order of one process's signals (signals.cpp).
  template <class Write>
  send_status signal_to(std::string_view node, std::uint64_t sender, bool dial, Write write_control,
                        dist::payload const& payload = {});
  send_status queue_signal(peer& p, std::uint64_t sender, etf::view control, dist::payload const& payload);

  // Signals in (signals.cpp).
  void on_signal(peer& from, dist::signal& s, connection_id via);
  void on(peer& from, dist::link const& m, etf::term const& payload, connection_id via);
  void on(peer& from, dist::send const& m, etf::term const& payload, connection_id via);
  void on(peer& from, dist::exit const& m, etf::term const& payload, connection_id via);
  void on(peer& from, dist::unlink const& m, etf::term const& payload, connection_id via);
  void on(peer& from, dist::reg_send const& m, etf::term const& payload, connection_id via);
  void on(peer& from, dist::group_leader const& m, etf::term const& payload, connection_id via);
  void on(peer& from, dist::exit2 const& m, etf::term const& payload, connection_id via);
  void on(peer& from, dist::monitor_p const& m, etf::term const& payload, connection_id via);
  void on(peer& from, dist::demonitor_p const& m, etf::term const& payload, connection_id via);
  void on(peer& from, dist::monitor_p_exit const& m, etf::term const& payload, connection_id via);
  void on(peer& from, dist::spawn_request const& m, etf::term const& payload, connection_id via);
  void on(peer& from, dist::spawn_reply const& m, etf::term const& payload, connection_id via);
  void on(peer& from, dist::alias_send const& m, etf::term const& payload, connection_id via);
  void on(peer& from, dist::unlink_id const& m, etf::term const& payload, connection_id via);
  void on(peer& from, dist::unlink_id_ack const& m, etf::term const& payload, connection_id via);
  void fan_out(peer& from, etf::term const& payload, connection_id via);
  process* local(etf::view pid); // of this incarnation and alive
  bool sent_by(peer const& from, etf::view pid) const;
  void violation(connection_id id, std::string_view what);

  // Processes (processes.cpp).
  process& new_process(body run, etf::pid leader, std::string initial_call);
  void deliver(process& p, etf::term message, connection_id via = 0);
  void schedule(process& p);
  void run_ready();
  void resume(process& p);
  void finish(process& p, etf::term reason);
  void tell_links(process& p, etf::term const& reason);
  void tell_watchers(process& p, etf::term const& reason);
  void drop_monitors(process& p);
  static void drop_watcher(process& p, watch_key const& key);
  void kill_or_deliver_exit(process& p, etf::pid const& from, etf::term const& reason, bool by_link);
  void terminate(process& p, etf::term reason);
  etf::term crash_reason(process const& p);
  void report_crash(process const& p, etf::term const& reason);
  void send_demonitor(process const& p, etf::reference const& ref, destination const& target,
                      etf::atom const& node);
  void set_deadline(process& p, std::optional<base::time_point> when);
  void release_mailbox(process& p);
  bool mailbox_full(process const& p) const;
  std::optional<etf::term> take_message(process& p, self::pattern const& wanted);
  etf::reference new_reference();
  void fire_down(process& to, etf::reference const& ref, destination const& target, etf::view reason);
  void monitor(process& p, destination const& other, etf::reference const& ref);
  void demonitor(process& p, etf::reference const& ref);
  void link(process& p, etf::pid const& other);
  void unlink(process& p, etf::pid const& other);
  void exit_signal(process* from, etf::pid const& from_pid, etf::pid const& to, etf::view reason);
  void spawn_here(process& by, etf::reference const& ref, std::string_view module, std::string_view function,
                  etf::term const& arguments, spawn_options options);
  body spawned_body(std::string_view module, std::string_view name, etf::term const& arguments);
  void node_event(std::string_view what, etf::atom const& node);

  core_options options_;
  etf::atom name_;
  std::uint32_t creation_ = 0;
  base::time_point now_;
  base::time_point started_;
  base::random random_;
  bool leaving_ = false;

  std::vector<effect> effects_;
  std::vector<connection_id> writable_;
  std::vector<connection_id> overflown_;
  std::vector<etf::atom> overflown_peers_; // by what waits for their connection

  connection_id last_connection_ = 0;
  boost::unordered_flat_map<connection_id, std::unique_ptr<carrier>> connections_;
  boost::unordered_flat_map<etf::atom, std::unique_ptr<peer>, text_hash, text_equal> peers_;
  std::uint64_t connections_changed_ = 0; // counts what came and went
  std::size_t handshakes_ = 0;            // incoming ones
  std::optional<base::time_point>
      connections_deadline_; // no later than the earliest one of connections and peers

  local_id last_process_ = 0;
  std::uint64_t last_reference_ = 0;
  std::uint64_t last_unlink_ = 0;
  boost::unordered_flat_map<local_id, std::unique_ptr<process>> processes_;
  boost::unordered_flat_map<etf::atom, local_id, text_hash, text_equal> names_;
  boost::unordered_flat_map<etf::reference, local_id> aliases_;
  std::deque<local_id> ready_;
  process* running_ = nullptr;
  std::set<std::pair<base::time_point, local_id>> deadlines_;
  etf::pid default_leader_;
  std::vector<std::function<void(effect const&)>> peers_observers_;
  etf::builder scratch_; // control messages on their way out
  node::functions functions_;
  node::counters counts_;
};

} // namespace remora::node
