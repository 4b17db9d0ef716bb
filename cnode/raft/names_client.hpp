// Named elections at a node that has candidates: what it claims from the leader, what it holds, and until
// when, by its own clock. It has lost a name before the leader gives it to anybody else (names_desk.hpp).
//
// A name is held under the leader that has taken the claim (`term`), as long as the session with that leader
// lasts. When another leader comes, what is held lasts as long as the session before had, unless the new one
// takes the claim over in time.
//
// Claims go out in batches, one at a time, each answered; what is not answered is sent again.
#pragma once

#include "base/time.hpp"
#include "raft/messages.hpp"
#include "raft/types.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace remora::raft {

class name_client {
public:
  // The first session: drawn, as the leader may remember one of an earlier life of the node.
  name_client(limits const& l, std::uint64_t session) : limits_(l), session_(session) {}

  bool campaign(std::uint64_t owner, std::string const& name); // false: it cannot be
  void withdraw(std::uint64_t owner, std::vector<news>& out);

  void led(raft::term t, base::time_point now); // there is a new leader
  wire::session renew(base::time_point now);    // sent now
  void confirmed(raft::term t, wire::session const& s, bool over, base::duration lease, base::time_point now,
                 std::vector<news>& out);
  std::optional<wire::claims> next_batch(base::time_point now, base::duration pause);
  void answered(wire::claims_reply const& r, base::time_point now, std::vector<news>& out);
  void granted(wire::grants const& g, base::time_point now, std::vector<news>& out);

  // What is over by `now`. To be called before anything else happens.
  void lapse(base::time_point now, std::vector<news>& out);
  void give_up(std::vector<news>& out); // all of it: the node stops
  void forget_leader();                 // until led()

  base::duration left(std::uint64_t owner, base::time_point now) const;
  std::optional<base::time_point> next_deadline() const;
  std::size_t size() const { return owners_.size(); }
  bool idle() const { return owners_.empty() && gone_.empty(); }

private:
  struct owner_state {
    std::string name;
    std::uint64_t token = 0;       // that it holds; 0: it waits
    std::uint64_t lost = 0;        // tokens up to here are not taken
    raft::term term = 0;           // of the leader under which it holds
    base::time_point until{};      // if that is not the leader of now
    base::time_point again_from{}; // the leader had no room
  };
  struct sent_batch {
    wire::claims what;
    base::time_point at;
  };

  void end_session(std::vector<news>& out);
  void lose(std::uint64_t owner, owner_state& o, std::vector<news>& out);
  void find_next_lapse();

  limits limits_;
  std::map<std::uint64_t, owner_state> owners_;
  std::map<std::uint64_t, std::string> gone_; // withdrawn, and the leader does not know
  std::set<std::uint64_t> dirty_;             // the leader does not know how they are
  std::set<std::uint64_t> holding_;
  raft::term term_ = 0; // of the leader; 0: none yet
  std::uint64_t session_;
  std::uint64_t sequence_ = 0;
  std::optional<base::time_point> until_; // of the session, once it is confirmed
  std::deque<std::pair<std::uint64_t, base::time_point>> renewals_;
  std::uint64_t last_batch_ = 0;
  std::optional<sent_batch> batch_;
  std::optional<base::time_point> next_lapse_;
};

} // namespace remora::raft
