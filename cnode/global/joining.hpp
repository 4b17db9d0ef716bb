// The sessions in which two partitions become one (global.erl; protocol.md 7.7): init_connect and its ack,
// the exchange of names, the resolution of clashes, and the news for all others. And the restart of sessions
// that are out of step (7.8), by our own rule: silence for a random while, then one fresh attempt.
#pragma once

#include "global/locker.hpp"
#include "global/partitions.hpp"

#include <map>
#include <optional>
#include <set>
#include <vector>

namespace remora::global {

struct operation { // {insert, {Name, Pid, Method}} or {delete, Name}
  bool insert;
  etf::term what;
};

class joining {
public:
  joining(state& s, locker& l, partitions& p);

  void node_up(etf::atom const& node, std::uint32_t creation);
  void connected(etf::atom const& node, bool up);
  void forget(etf::atom const& node);           // its session, and all that is known of it
  void open_anew(etf::atom const& node);        // with a node that is up and forgotten on both sides
  bool begun_anew(etf::atom const& node) const; // and he has not answered yet
  // Connected nodes that may know us when we do not know them, or the other way round (mutual.hpp).
  std::vector<etf::atom> doubted() const;
  bool doubts(etf::atom const& node) const;
  void trust(etf::atom const& node) { begun_.erase(node); }
  bool has_session(etf::atom const& node) const { return sessions_.contains(node); }
  void cast(etf::view message); // of another name server
  void init_connect_ack(etf::view message);
  void cancel_connect(etf::view message);
  void locked(etf::atom const& node, std::uint64_t my_tag, lock_id const& id);

  void resolve(resolve_request const& r);
  void resolved_there(global::resolved_there const& r);
  void callback_answer(global::callback_answer const& a);

  void wake();
  std::optional<base::time_point> next_deadline() const;
  std::size_t sessions() const { return sessions_.size(); }

private:
  struct news { // of his resolved message
    etf::term resolved;
    etf::term known;
    etf::term names_ext;
  };
  struct session {
    std::uint64_t my_tag = 0;
    bool anew = false;                           // by open_anew
    std::optional<base::time_point> quiet_until; // restarting: nothing is said or heard but init_connect
    etf::term his_tag;                           // empty until his init_connect
    etf::pid his_locker;
    int version = 0;
    std::optional<lock_id> lock;
    std::optional<etf::term> exchange; // his names, while we have no lock
    bool exchanged = false;            // resolving, or done with it
    std::size_t undecided = 0;         // clashes that others decide
    std::vector<operation> ops, resolved;
    bool ready = false; // ops are complete
    std::optional<global::joining::news> his;
  };
  struct clash { // one that is decided elsewhere
    etf::atom node;
    std::uint64_t my_tag = 0;
    etf::term theirs; // {Name, Pid, Method}
    entry ours;
    std::uint64_t resolution = 0; // not ours: an answer to resolve_request
    base::time_point deadline{};  // of a callback
    bool callback = false;
  };

  void open(etf::atom const& node);
  void init_connect(etf::view message);
  void accept(etf::atom const& node, etf::view init);
  void drop(etf::atom const& node, bool tell_him, announcement const* last_words = nullptr);
  void restart(etf::atom const& node);
  void send_cancel(etf::atom const& node, etf::view tag);
  session* with_tag(etf::view node, etf::view tag);
  void on_lock_set(etf::view message, bool tagged);
  void on_exchange(etf::view message);
  void on_resolved(etf::view message);
  void on_new_nodes(etf::view message);
  void on_in_sync(etf::view message);
  void start_resolving(etf::atom const& node, session& s);
  void meet(etf::atom const& node, session& s, etf::term const& theirs);
  void decided(clash const& c, std::optional<etf::term> answer);
  void settle(clash const& c, verdict const& v);
  void carry_out(verdict const& v);
  void send_resolved(etf::atom const& node, session& s);
  void finish(etf::atom const& node);
  void apply(std::vector<operation> const& ops, etf::view names_ext, etf::view requester);
  std::vector<operation> operations(etf::term const& list) const;
  std::vector<std::pair<etf::atom, int>> nodes_of(etf::view list) const;
  std::vector<etf::atom> add_known(std::vector<std::pair<etf::atom, int>> const& nodes);
  void introduce(etf::atom const& node);
  etf::term names_ext() const;

  state& s_;
  locker& locker_;
  partitions& partitions_;
  std::map<etf::atom, session> sessions_;
  std::map<etf::atom, etf::term> early_; // init_connects without a session, and the latest one while quiet
  std::set<etf::atom> introducing_;
  std::set<etf::atom> begun_; // known, and began a session with this connection all the same
  std::map<std::uint64_t, clash> clashes_;
};

} // namespace remora::global
