// Whole nodes in one thread, joined by pipes, in virtual time: node::core as it is, with this in the place of
// io/. What happens next (which pipe delivers, how many bytes, which dial completes) is drawn from a seed.
//
//   world w(seed);
//   auto& a = w.add("a@h");
//   auto& b = w.add("b@h");
//   auto const p = w.probe(a);                       a process that keeps what it gets
//   w.as(p).send(...);                               does what a process does, from outside
//   w.run();                                         until nothing moves; w.pass(7s) also lets time go by
//   CHECK(w.log(p) == lines{"hello"});
//
// raw() adds a peer that speaks the protocol but has no processes: it sends what a test tells it to.
//
// Without weather all that is written arrives at once, in any order between pipes. The simulator (test/sim)
// sets one: then bytes take their time, dials fail, and pairs of nodes cannot hear each other.
#pragma once

#include "base/random.hpp"
#include "dist/connection.hpp"
#include "dist/flags.hpp"
#include "node/core.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace remora::test {

// Compares and prints as a whole, one text per line.
struct lines : std::vector<std::string> {
  using std::vector<std::string>::vector;
  friend std::ostream& operator<<(std::ostream& out, lines const& l) {
    for (auto const& line : l) out << "\n    " << line;
    return out;
  }
};

// Who speaks: the doors of node::core, which a raw peer has too.
class host {
public:
  virtual ~host() = default;
  virtual node::connection_id accepted(std::uint32_t challenge, base::time_point now) = 0;
  virtual void dialled(node::connection_id id, std::uint32_t challenge, base::time_point now) = 0;
  virtual void dial_failed(node::connection_id id, std::string why, base::time_point now) = 0;
  virtual bool reading_wanted(node::connection_id id) const = 0;
  virtual std::span<std::uint8_t> input_room(node::connection_id id) = 0;
  virtual void received(node::connection_id id, std::size_t count, base::time_point now) = 0;
  virtual void read_buffered(node::connection_id id, base::time_point now) = 0;
  virtual void closed(node::connection_id id, std::string why, base::time_point now) = 0;
  virtual dist::connection* connection(node::connection_id id) = 0;
  virtual void written(node::connection_id id, std::size_t count, base::time_point now) = 0;
  virtual void wake(base::time_point now) = 0;
  virtual std::optional<base::time_point> next_deadline() const = 0;
  virtual std::vector<node::effect> take_effects() = 0;
  virtual std::vector<node::connection_id> take_writable() = 0;
};

// A peer without processes. Handshakes it does by itself; what it receives is kept as text.
class raw_peer : public host {
public:
  raw_peer(std::string name, std::uint64_t flags, std::string cookie);

  std::string name; // in its handshakes
  std::uint64_t flags;
  std::string cookie;
  std::uint32_t creation = 50;
  dist::status answer = dist::status::ok; // to whoever dials it
  bool mute = false;                      // accepts, reads, and never says a word
  bool deaf = false;                      // does not even read
  lines log;                              // "up", what came, "closed: .."

  void dial(std::string const& to);
  void send(std::string_view control, std::string_view payload = {});
  void send_term(etf::term const& control, etf::term const& payload = {});
  void send_bytes(std::string_view bytes); // behind the handshake: with the length of the frame
  void tick();
  void hang_up(); // all its connections
  std::size_t connections() const { return wires_.size(); }

  node::connection_id accepted(std::uint32_t challenge, base::time_point now) override;
  void dialled(node::connection_id id, std::uint32_t challenge, base::time_point now) override;
  void dial_failed(node::connection_id id, std::string why, base::time_point now) override;
  bool reading_wanted(node::connection_id id) const override;
  std::span<std::uint8_t> input_room(node::connection_id id) override;
  void received(node::connection_id id, std::size_t count, base::time_point now) override;
  void read_buffered(node::connection_id id, base::time_point now) override;
  void closed(node::connection_id id, std::string why, base::time_point now) override;
  dist::connection* connection(node::connection_id id) override;
  void written(node::connection_id id, std::size_t count, base::time_point now) override;
  void wake(base::time_point) override {}
  std::optional<base::time_point> next_deadline() const override { return std::nullopt; }
  std::vector<node::effect> take_effects() override { return std::exchange(effects_, {}); }
  std::vector<node::connection_id> take_writable() override;

private:
  dist::handshake_config config(std::uint32_t challenge) const;
  void pump(node::connection_id id, base::time_point now);
  dist::connection* up();

  std::map<node::connection_id, dist::connection> wires_;
  std::map<node::connection_id, std::string> dialling_;
  node::connection_id last_ = 0;
  std::vector<node::effect> effects_;
};

// What the network is like, drawn by whoever owns it.
class weather {
public:
  virtual ~weather() = default;
  // Of the next piece of bytes; within a pipe nothing overtakes.
  virtual base::duration latency(std::string const& from, std::string const& to) = 0;
  struct dial_fate {
    base::duration after{};
    bool fails = false;
  };
  virtual dial_fate dial(std::string const& from, std::string const& to) = 0;
};

class world {
public:
  explicit world(std::uint64_t seed = 1);
  world(world const&) = delete;
  world& operator=(world const&) = delete;
  ~world();

  // Options that are not set here are the node's own; name, cookie, seed and creation are filled in.
  node::core& add(std::string const& name, node::core_options options = {}, std::uint32_t creation = 0);
  node::core& restart(std::string const& name); // killed without a word, and there again with a new creation
  // Its connections end; dark: nobody is told, as when a machine loses its power.
  void kill(std::string const& name, bool dark = false);
  raw_peer& raw(std::string const& name, std::uint64_t flags = dist::flag::ours);
  node::core& at(std::string const& name);
  bool exists(std::string const& name) const { return members_.contains(name); }

  // A process that keeps the text of all it gets. It traps exits if told to.
  etf::pid probe(node::core& n, std::string_view name = {}, bool trap_exit = true);
  lines& log(etf::pid const& p);
  node::self as(etf::pid const& p); // the process must be alive
  bool alive(etf::pid const& p);
  // Runs `body` as a process of n.
  etf::pid spawn(node::core& n, node::body body, std::string_view name = {});

  bool step(); // one thing; false when nothing can move
  std::uint64_t steps() const { return steps_; }
  void run();
  void pass(base::duration time); // with all that happens meanwhile
  base::time_point now() const { return now_; }
  std::vector<base::time_point> const& losses() const { return losses_; } // when a node lost a peer, in order

  // The network.
  void cut(std::string const& a,
           std::string const& b); // every connection between them ends, at once and for both
  void unreachable(std::string const& name, bool on = true); // nobody can dial it
  void hold_dials(bool on) { hold_dials_ = on; }             // what is dialled neither succeeds nor fails
  void set_weather(weather* w) { weather_ = w; }
  void stall(std::string const& from, std::string const& to,
             bool on);                           // nothing gets through in this direction
  void freeze(std::string const& name, bool on); // neither reads, writes nor sees time
  std::size_t connections_between(std::string const& a, std::string const& b) const; // open ends
  // Sees each signal before it is on its way: how many copies of it arrive. Set it before there are nodes.
  std::function<std::size_t(std::string const& from, std::string const& to, etf::view control,
                            etf::view payload)>
      filter;
  std::size_t socket_bytes = 1U << 20U;    // what a pipe takes before its reader reads
  std::size_t chunk_bytes_max = 1U << 16U; // of one read or write

  // What happened, as text: effects that tell ("a: up b@h"), and with tap(true) all frames ("a->b {1,..}").
  lines take_trace() { return std::exchange(trace_, {}); }
  void tap(bool on) { tap_ = on; }
  void quiet(bool on) {
    quiet_ = on;
  } // frames that nobody looks at are not printed, nor their references named
  void stamp(bool on) { stamp_ = on; }             // each line begins with the time
  void note(std::string line);                     // into the trace
  void label(etf::pid const& p, std::string name); // how it is called in traces and logs
  std::string text(etf::view v) const;

private:
  struct session;
  struct member {
    std::string name;
    node::core_options options;
    std::unique_ptr<host> who;
    node::core* core = nullptr;
    raw_peer* raw = nullptr;
    std::uint32_t creation = 0;
    bool frozen = false;
  };
  struct pending_dial {
    member* from;
    node::connection_id id;
    std::string to;
    base::time_point due;
    bool fails = false;
  };
  struct choice { // what can happen next
    enum class what : std::uint8_t { connect, last_words, unblock, deliver };
    what kind;
    std::size_t index;
  };
  using session_ptr = std::shared_ptr<session>;

  void start(member& m);
  void settle(member& m);
  void carry_out(member& m, node::effect& e);
  void flush(session& s);
  void finish(session& s, bool tell = true);
  void deliver(session& s);
  void connect(pending_dial d);
  session_ptr find(member const& m, node::connection_id id);
  bool can_connect(pending_dial const& d) const;
  bool stalled(std::string const& from, std::string const& to) const;
  void arrive(session& at, std::string_view bytes);
  void watch(session& from, std::string_view bytes);
  void trace_frame(session& from, std::string_view body);
  std::size_t copies_of(session const& from, std::string_view body) const;
  std::string tell(std::string line) const;
  static std::string short_name(std::string const& name) { return name.substr(0, name.find('@')); }

  base::random random_;
  base::time_point now_;
  std::uint64_t steps_ = 0;
  std::map<std::string, std::unique_ptr<member>> members_;
  std::vector<std::unique_ptr<member>> buried_;
  std::vector<session_ptr> sessions_;
  std::vector<pending_dial> dials_;
  std::set<std::string> unreachable_;
  bool hold_dials_ = false;
  weather* weather_ = nullptr;
  std::set<std::pair<std::string, std::string>> stalled_;
  std::vector<choice> choices_;
  bool tap_ = false;
  bool stamp_ = false;
  bool quiet_ = false;
  std::vector<base::time_point> losses_;
  lines trace_;
  std::map<std::string, lines> logs_;
  std::vector<std::pair<std::string, std::string>> labels_;
  mutable std::map<std::string, std::size_t> references_; // in the order of their appearance: R1, R2..
};

} // namespace remora::test
