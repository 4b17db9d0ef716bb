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
#pragma once

#include "base/random.hpp"
#include "dist/connection.hpp"
#include "dist/flags.hpp"
#include "node/core.hpp"

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

class world {
public:
  explicit world(std::uint64_t seed = 1);
  world(world const&) = delete;
  world& operator=(world const&) = delete;
  ~world();

  // Options that are not set here are the node's own; name, cookie, seed and creation are filled in.
  node::core& add(std::string const& name, node::core_options options = {});
  node::core& restart(std::string const& name); // killed without a word, and there again with a new creation
  void kill(std::string const& name);
  raw_peer& raw(std::string const& name, std::uint64_t flags = dist::flag::ours);
  node::core& at(std::string const& name);

  // A process that keeps the text of all it gets. It traps exits if told to.
  etf::pid probe(node::core& n, std::string_view name = {}, bool trap_exit = true);
  lines& log(etf::pid const& p);
  node::self as(etf::pid const& p); // the process must be alive
  bool alive(etf::pid const& p);
  // Runs `body` as a process of n.
  etf::pid spawn(node::core& n, node::body body, std::string_view name = {});

  bool step(); // one thing; false when nothing can move
  void run();
  void pass(base::duration time); // with all that happens meanwhile
  base::time_point now() const { return now_; }

  // The network.
  void cut(std::string const& a,
           std::string const& b); // every connection between them ends, at once and for both
  void unreachable(std::string const& name, bool on = true); // nobody can dial it
  void hold_dials(bool on) { hold_dials_ = on; }             // what is dialled neither succeeds nor fails
  std::size_t socket_bytes = 1U << 20U;                      // what a pipe takes before its reader reads
  std::size_t chunk_bytes_max = 1U << 16U;                   // of one read or write

  // What happened, as text: effects that tell ("a: up b@h"), and with tap(true) all frames ("a->b {1,..}").
  lines take_trace() { return std::exchange(trace_, {}); }
  void tap(bool on) { tap_ = on; }
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
  };
  struct pending_dial {
    member* from;
    node::connection_id id;
    std::string to;
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
  void watch(session& from, std::string_view bytes);
  void trace_frame(session& from, std::string_view body);
  std::string tell(std::string line) const;
  static std::string short_name(std::string const& name) { return name.substr(0, name.find('@')); }

  base::random random_;
  base::time_point now_;
  std::map<std::string, std::unique_ptr<member>> members_;
  std::vector<std::unique_ptr<member>> buried_;
  std::vector<session_ptr> sessions_;
  std::vector<pending_dial> dials_;
  std::set<std::string> unreachable_;
  bool hold_dials_ = false;
  bool tap_ = false;
  lines trace_;
  std::map<std::string, lines> logs_;
  std::vector<std::pair<std::string, std::string>> labels_;
  mutable std::vector<std::string> references_; // in the order of their appearance: R1, R2..
};

} // namespace remora::test
