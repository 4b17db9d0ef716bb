// A native process: a pid, a mailbox, links, monitors, perhaps a registered name, and a coroutine.
//
//   node.spawn([](self me) -> task<> {
//     while (true) {
//       etf::term const message = co_await me.receive();
//       ...
//     }
//   });
//
// The body runs when a message that it waits for has come, one process at a time, until it waits again: it
// must not block. It ends by returning (reason normal), by me.exit(reason), or when an exit signal kills it,
// and then its links and watchers are told, on this node and on others, as OTP tells them.
#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "etf/builder.hpp"
#include "etf/destination.hpp"
#include "etf/term.hpp"
#include "node/task.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace remora::node {

class core;
class process;
class self;

using body = std::function<task<>(self)>;

// Ends the process that throws it. me.exit(reason) does.
struct exit_process {
  etf::term reason;
};

using etf::as_destination;
using etf::destination;

// Between remora nodes a message to this name is not for a process: `here` says that its sender takes {Pids,
// Message} by it, and that is a message for each of the pids. To an OTP node the name is nobody, and `here`
// is dropped; it is never sent more.
inline constexpr std::string_view fan_out_name = "remora_fan_out";

enum class send_status : std::uint8_t {
  sent,
  busy,    // sent, but the peer is behind: wait for writable() before sending more
  dropped, // no connection, and none may be opened; or the peer's outbox is full and its connection is given
           // up
};

// Why a call has no answer. The reasons are OTP's: timeout, noproc, {nodedown, Node}, or what the server died
// of.
class call_failure {
public:
  call_failure() = default; // declared, so that a term alone does not make one
  static call_failure because(etf::term reason) {
    call_failure f;
    f.reason = std::move(reason);
    return f;
  }
  etf::term reason;
};
using call_result = base::result<etf::term, call_failure>;

// Who called: {Pid, Tag} as it came.
struct caller {
  etf::term from;
};

struct spawn_options {
  bool link = false;
  bool monitor = false;
};

// What a running process may do. Cheap to copy, valid as long as the process lives: keep it inside the
// process. Whatever takes a timeout counts from the call, on the node's clock. The names and reasons are
// OTP's.
class self {
public:
  self(core& node, process& p) : node_(&node), process_(&p) {}

  etf::pid const& pid() const; // valid as long as the process
  core& node() const { return *node_; }

  // The next message, or the first that `wanted` accepts; the others stay in order. With a timeout: nullopt
  // after it. `wanted` sees each message at most once per wait, and must not keep the view.
  using pattern = std::function<bool(etf::view)>;
  class receive_awaiter;
  class timed_receive_awaiter;
  receive_awaiter receive(pattern wanted = {});
  timed_receive_awaiter receive_within(base::duration timeout, pattern wanted = {});
  timed_receive_awaiter receive_until(std::optional<base::time_point> deadline,
                                      pattern wanted = {}); // none: never
  task<> sleep(base::duration time);                        // messages stay in the mailbox meanwhile
  // Changes, from outside of its coroutine, until when this process waits in receive_until or receive_within.
  void wait_until(std::optional<base::time_point> deadline);

  // `!`: dials the destination's node if need be and comes back at once. What cannot be delivered is dropped
  // without a word, as on OTP: a process or name that is not there is no error.
  // Without `dial` (OTP's noconnect) it is dropped where there is no connection.
  send_status send(destination const& to, etf::term const& message, bool dial = true);
  // The same message to several processes of one node: in one frame where that node is a remora that has said
  // it takes them so (fan_out_name), else one by one. In order with all else that this process sends to each
  // of them.
  send_status send_each(std::span<etf::pid const> to, etf::term const& message);
  class writable_awaiter;
  writable_awaiter writable(etf::atom const& peer); // until it is not busy, or not connected
  task<bool> connect(etf::atom peer);               // dials if need be; false when there is no connection
  // The same, and why there is none, in one word: what the dial or the handshake ended with (not_registered,
  // unreachable, handshake_closed, timeout, ..).
  task<base::result<void, std::string>> reach(etf::atom peer);

  // gen_server:call/3 and cast/2 towards any process of the cluster. Failures: timeout, noproc, {nodedown,
  // Node}, or what the server died of before it answered. An answer that comes later than `timeout` is never
  // seen.
  task<call_result> call(destination to, etf::term request, base::duration timeout);
  send_status cast(destination const& to, etf::view request);
  void reply(caller const& to, etf::term const& answer);
  // A term of the message that a server handles, to be kept beyond the handler: shared if it is large, else
  // copied.
  etf::term keep(etf::view part) const;

  // erpc:call/5: runs a function over there. `arguments` is a proper list. The failure's reason is the class
  // and reason that erpc:call/5 raises: {throw, T}, {exit, {exception, R}}, {error, {exception, R, Stack}},
  // {error, {erpc, noconnection | timeout | ..}}.
  task<call_result> rpc(etf::atom peer, std::string module, std::string function, etf::term arguments,
                        std::optional<base::duration> timeout); // none: as long as it takes
  // spawn/4 over there: its pid, or why there is none (noconnection, badopt, timeout, ..).
  task<base::result<etf::pid, call_failure>> spawn_at(etf::atom peer, std::string module,
                                                      std::string function, etf::term arguments,
                                                      spawn_options options, base::duration timeout);
  // spawn_request/5: the answer comes as {spawn_reply, Ref, ok, Pid} or {spawn_reply, Ref, error, Reason}.
  etf::reference spawn_request(etf::atom const& peer, std::string_view module, std::string_view function,
                               etf::view arguments, spawn_options options);

  // A process of this node, of the same group leader. With options.monitor and `monitor` given, its reference
  // is there.
  etf::pid spawn(node::body run, spawn_options options = {}, etf::reference* monitor = nullptr);
  void link(etf::pid const& other);
  void unlink(etf::pid const& other);
  // {'DOWN', Ref, process, Object, Reason} arrives once: when it ends, with noproc when it is not there, or
  // with noconnection when its node is lost or cannot be reached. Object is the pid, or {Name, Node}. With
  // `alias` the reference is also an address, valid until the 'DOWN' or demonitor.
  etf::reference monitor(destination const& other, bool alias = false);
  etf::reference make_ref(); // unique in the cluster, as long as this incarnation of the node counts
  void demonitor(etf::reference const& ref,
                 bool flush = true);                        // flush: also forgets a 'DOWN' that has arrived
  void exit_other(etf::pid const& other, etf::view reason); // exit/2
  [[noreturn]] void exit(etf::term reason);                 // exit/1, by an exception: pass it on
  [[noreturn]] void exit(std::string_view reason);          // with an atom
  void end_with(etf::term reason);           // of its end when the body returns; `normal` without it
  void trap_exit(bool on);                   // exit signals become {'EXIT', Pid, Reason} messages
  bool register_name(std::string_view name); // false: taken, or this process has one
  void unregister_name();
  etf::pid const& leader() const; // the group leader
  void set_leader(etf::pid leader);
  void monitor_nodes(bool on); // {nodeup, Node} and {nodedown, Node} messages from now on

  // io:put_chars to the group leader: waits for its answer, as OTP does. False when it is gone.
  task<bool> print(std::string utf8);

  process& raw() const { return *process_; }

private:
  friend class core;
  struct open_rpc;
  open_rpc begin_rpc(etf::atom const& peer, std::string_view module, std::string_view function,
                     etf::view arguments);
  call_result end_rpc(open_rpc const& open, std::optional<etf::term> const& said);

  core* node_;
  process* process_;
};

// What a process waits for while it is suspended.
struct waiting {
  enum class what : std::uint8_t { nothing, message, time, writable, connected };
  what for_what = what::nothing;
  self::pattern const* pattern = nullptr; // of messages
  std::optional<etf::term>* message = nullptr;
  etf::atom peer;
  std::coroutine_handle<> resume;
};

class self::receive_awaiter {
public:
  receive_awaiter(self me, pattern wanted) : me_(me), pattern_(std::move(wanted)) {}
  bool await_ready();
  void await_suspend(std::coroutine_handle<> caller);
  etf::term await_resume() { return std::move(*message_); }

private:
  self me_;
  pattern pattern_;
  std::optional<etf::term> message_;
};

class self::timed_receive_awaiter {
public:
  timed_receive_awaiter(self me, pattern wanted, std::optional<base::time_point> deadline)
      : me_(me), pattern_(std::move(wanted)), deadline_(deadline) {}
  bool await_ready();
  void await_suspend(std::coroutine_handle<> caller);
  std::optional<etf::term> await_resume() { return std::move(message_); }

private:
  self me_;
  pattern pattern_;
  std::optional<base::time_point> deadline_;
  std::optional<etf::term> message_;
};

class self::writable_awaiter {
public:
  writable_awaiter(self me, etf::atom peer) : me_(me), peer_(std::move(peer)) {}
  bool await_ready();
  void await_suspend(std::coroutine_handle<> caller);
  void await_resume() {}

private:
  self me_;
  etf::atom peer_;
};

} // namespace remora::node
