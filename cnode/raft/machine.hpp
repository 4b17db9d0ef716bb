// The inside of the core: its state, and who works on it.
//
//   core.cpp      the door, peers, what is on disk, deadlines
//   voting.cpp    campaigns and votes
//   following.cpp heartbeats as they are heard, and who leads
//   leading.cpp   heartbeats as they are sent: check-quorum, the lease, handing over
//   changes.cpp   the voters, one at a time
//   forming.cpp   the first configuration
//   requests.cpp  what callers ask, here and from other nodes
//
// The disk. `d_` is what the node has decided, `s_` what its disk has. A message that says a term, a vote or
// a promise of the bootstrap is held until that is saved; one persist is under way at a time, and the next
// takes all that has changed since. A configuration is in force when it is saved, not before: so it is always
// that of s_ which is spoken of and counted with.
#pragma once

#include "base/random.hpp"
#include "raft/bootstrap.hpp"
#include "raft/core.hpp"
#include "raft/messages.hpp"
#include "raft/names_client.hpp"
#include "raft/names_desk.hpp"
#include "raft/quorum.hpp"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace remora::raft {

class core::machine {
public:
  machine(identity self, options o, std::uint64_t seed, limits l);

  void handle(event const& e, base::time_point now, effects& out);
  std::optional<base::time_point> next_deadline() const;

  raft::status status(base::time_point now) const;
  base::duration lease_left(base::time_point now) const;
  std::optional<holder> leader_of(std::string const& name) const;
  base::duration name_lease_left(std::uint64_t owner, base::time_point now) const;
  std::uint64_t malformed_count() const { return malformed_; }

private:
  using deadline = std::optional<base::time_point>;

  struct peer {              // connected
    bool speaks = false;     // has said hello
    bool configured = false; // ..
    std::uint64_t instance = 0;
    std::uint32_t priority = 0;
    bool votes = false;
    std::uint32_t expect = 0;
    base::time_point since{};
    wire::stamp config{};    // that it has, as far as is known
    std::uint64_t table = 0; // what it has of the table of names, of this term
    std::uint64_t told = 0;  // .. and what was sent to it last, when
    base::time_point told_at{};
  };
  struct follower { // a voter, as the leader has heard of it in this term
    std::uint64_t instance = 0;
    base::time_point sent{};           // when the last round that it has answered was sent
    base::time_point promised_until{}; // counted from then
    base::time_point heard{};
    base::time_point since{}; // answers without a gap
    wire::stamp config{};
    std::uint32_t priority = 0;
  };
  struct known_leader {
    std::string node{}; // empty: none
    raft::term term = 0;
    std::uint64_t token = 0;
    std::uint64_t round = 0;
    base::time_point heard{};
  };
  struct campaigning {
    bool pre = false;
    raft::term term = 0;
    raft::term permit = 0;
    std::set<std::string> granted{};
    std::map<std::string, base::duration> waits{}; // of those who refused because they hear their leader
  };
  struct asker { // of a request: a caller here (empty node), or another node's
    std::string node{};
    std::uint64_t id = 0;
  };
  struct held_message {
    std::uint64_t needs = 0; // generation
    std::string node;
    wire::body body;
  };
  struct voter_change {
    bool add = false;
    std::string node;
    asker from;
    bool installed = false;
    base::time_point until{};
  };
  struct handover {
    std::string to; // empty: to whom it seems best
    asker from;
    bool asked = false; // somebody waits for its end
    base::time_point until{};
  };
  struct token_check {
    std::uint64_t token = 0;
    asker from;
    base::time_point until{};
  };
  struct waiting_request { // of a caller here
    bool elects = false;
    wire::request what{};
    base::time_point until{};
    raft::term sent_in = 0; // to the leader of that term; 0: not yet
    std::string sent_to{};
  };

  // ---- core.cpp
  void on(start const& e);
  void on(tick const&) {}
  void on(message const& e);
  void on(peer_up const& e);
  void on(peer_down const& e);
  void on(saved const& e);
  void on(save_failed const& e);
  void on(suspected_dead const& e);
  void on(seen const& e);
  void on(configure const& e);
  void on(stop const&);
  void run_deadlines();
  void dispatch(std::string const& from, wire::envelope const& e);
  void is_foreign(std::string const& node);
  bool may_speak(std::string const& from, wire::envelope const& e);
  void on_message(std::string const& from, wire::hello const& m);
  void on_message(std::string const& from, wire::leave const& m);
  wire::hello own_hello(bool answer) const;
  void greet_again();
  void post(std::string const& to, wire::body b); // held, if it says what is not saved yet
  void post_now(std::string const& to, wire::body b);
  void flush_held();
  void changed_vote(); // d_: a term, a vote, a promise
  void changed();      // d_: something else
  void save();
  void took_effect(configuration const& before);
  bool adopt(configuration const& c); // if it is newer
  bool may_adopt_cluster(configuration const& c) const;
  void say(news n);
  void say_all(std::vector<news>&& all);
  void abstain(std::string text);
  base::duration lease() const;
  base::duration random_timeout();
  base::duration step() const {
    return options_.election_min / 20;
  } // between two who stand one after another

  // ---- who this node is
  bool has_disk() const { return has_disk_; }
  bool configured_here() const { return s_.config.cluster != 0; }
  bool is_bound() const { return is_voter(s_.config, self_.node, s_.instance); }
  bool votes_at_all() const { return has_disk_ && !options_.observer && !failing_; }
  bool may_vote() const { return votes_at_all() && now_ >= vote_from_; }
  bool may_stand() const;

  // ---- voting.cpp
  void election_due();
  void set_election(base::time_point at);
  void hurry_election(); // the leader is dead, somebody says
  base::duration turn() const;
  void start_pre_vote();
  void start_vote(raft::term permit);
  void ask_all();
  void on_message(std::string const& from, wire::ask_vote const& m);
  void on_message(std::string const& from, wire::vote const& m);
  void count_votes();
  base::duration hears_leader(std::string const& candidate, raft::term permit) const;
  void see_term(raft::term t); // a newer one: it follows
  void follow();               // no candidate, no leader any more

  // ---- following.cpp
  void on_message(std::string const& from, wire::heartbeat const& m);
  void acknowledge();
  void led_by_now(known_leader l);
  void promise(base::time_point until);
  void lose_leader();
  void on_message(std::string const& from, wire::grants const& m);
  void on_message(std::string const& from, wire::claims_reply const& m);
  void on_message(std::string const& from, wire::table const& m);
  void on_message(std::string const& from, wire::timeout_now const& m);
  void send_claims();
  void forget_rows(raft::term before);

  // ---- leading.cpp
  bool leads() const { return role_ == role::leader; }
  void become_leader();
  void stop_leading(); // whatever comes then
  void stand_again(raft::term above);
  void beat();
  void beat_to(std::string const& node, peer& p);
  void on_message(std::string const& from, wire::heartbeat_reply const& m);
  void recount();
  void after_answer();
  bool sure() const { return leads() && now_ < lease_until_; }
  void on_message(std::string const& from, wire::claims const& m);
  void serve_names();
  void tell_table(std::string const& node, peer* p);
  void try_handover();
  void perhaps_prefer();
  bool can_take_over(std::string const& node) const;
  std::string best_successor() const;
  void ask_handover(std::string const& to, asker const& from, bool again);
  void handover_failed(failure why);
  void check_tokens();

  // ---- changes.cpp
  bool is_committed() const;
  void advance_changes();
  void mend_voters();
  std::optional<failure> find_wrong_change(bool add, std::string const& node, configuration& next) const;
  bool is_alive(voter const& v) const;
  bool can_install(configuration const& next) const;
  void install(configuration next);
  void change_ended(std::optional<failure> failed);
  void ask_change(bool add, std::string const& node, asker const& from, bool again);

  // ---- forming.cpp
  void form(); // if it is time
  std::vector<voter> first_voters() const;
  bool takes_part_in_forming(std::string const& from) const;
  void on_message(std::string const& from, wire::prepare const& m);
  void on_message(std::string const& from, wire::promise const& m);
  void on_message(std::string const& from, wire::refused const& m);
  void on_message(std::string const& from, wire::accept const& m);
  void on_message(std::string const& from, wire::accepted const& m);

  // ---- requests.cpp
  void on(elect const& e);
  void on(transfer const& e);
  void on(add_voter const& e);
  void on(remove_voter const& e);
  void on(check_token const& e);
  void on(campaign const& e);
  void on(withdraw const& e);
  bool refuse_request(request_id id);
  void ask(request_id id, wire::request what);
  void forward(request_id id, waiting_request& r);
  void forward_all();
  void perform(wire::request const& what, asker const& from);
  void on_message(std::string const& from, wire::request const& m);
  void on_message(std::string const& from, wire::request_reply const& m);
  void answer(asker const& to, std::optional<failure> failed);
  void finish(request_id id, result r);
  void requests_due();
  base::duration patience() const;

  identity self_;
  options options_;
  limits limits_;
  base::random random_;

  bool started_ = false;
  bool has_disk_ = false;
  bool failing_ = false; // the disk
  durable d_;
  durable s_;
  std::uint64_t generation_ = 0;      // of d_
  std::uint64_t vote_generation_ = 0; // when its term, vote or promises last changed
  std::uint64_t saved_generation_ = 0;
  struct writing {
    std::uint64_t id = 0;
    std::uint64_t generation = 0;
    durable state;
  };
  std::optional<writing> writing_;
  std::uint64_t last_persist_ = 0;
  deadline save_again_;
  base::duration save_pause_{};
  std::deque<held_message> held_;
  std::deque<wire::body> own_; // from this node to itself
  std::set<std::string> abstained_;
  std::set<std::string> foreign_;
  std::uint64_t malformed_ = 0;

  std::map<std::string, peer, std::less<>> peers_;
  raft::role role_ = raft::role::follower; // follower, candidate or leader; the others are found by asking
  known_leader leader_;
  known_leader promised_; // to whom this node has promised its vote
  base::time_point promised_until_{};
  base::time_point vote_from_{}; // since the start: what it promised before is over then
  bool suspects_ = false;        // its leader
  deadline election_;
  std::optional<campaigning> campaign_;
  unsigned hints_ = 0; // elections that were tried again early, since the leader was heard
  deadline greet_;
  base::duration greet_pause_{};

  // leader
  std::uint64_t token_ = 0;
  std::map<std::string, follower> followers_;
  std::deque<base::time_point> rounds_; // when the last ones were sent
  std::uint64_t last_round_ = 0;
  deadline next_beat_;
  base::time_point led_since_{};
  base::time_point lease_until_{};
  base::time_point quorum_sent_{}; // the last round that a majority has answered
  name_desk desk_;
  std::optional<voter_change> change_;
  std::optional<handover> handover_;
  std::map<std::string, std::pair<base::time_point, base::duration>> not_to_; // no preference for it until
  std::vector<token_check> checks_;
  std::uint64_t table_told_ = 0; // to all

  // named elections
  name_client client_;
  struct row {
    std::string node;
    std::uint64_t token = 0;
    raft::term term = 0;
  };
  std::map<std::string, row> rows_;
  raft::term table_term_ = 0;
  std::uint64_t table_ = 0;
  base::duration name_lease_heard_{};

  // forming
  std::vector<std::string> seen_;
  std::optional<proposal> proposal_;
  deadline form_at_;
  bool waits_for_all_ = false; // some voters are not here yet
  std::uint64_t highest_ballot_ = 0;

  std::map<request_id, waiting_request> requests_;
  std::set<std::pair<base::time_point, request_id>> due_; // these, by their ends

  base::time_point now_{};
  effects* out_ = nullptr; // during handle
};

} // namespace remora::raft
