// The inside of swim::core: what it knows, and its parts, one file each.
//
//   core.cpp      events, time, and what it says when asked
//   probing.cpp   probes: direct, indirect, over the distribution; helping others; the health multiplier
//   merging.cpp   what is said of members: which of two sayings wins, suspicion, refutation, verdicts
//   syncing.cpp   connections: greetings, push-pull, hearsay
//   spreading.cpp packets and what rides on them; user events
//   beams.cpp     members that are BEAM nodes
#pragma once

#include "base/random.hpp"
#include "swim/core.hpp"
#include "swim/directory.hpp"
#include "swim/envelope.hpp"
#include "swim/messages.hpp"
#include "swim/order.hpp"
#include "swim/queue.hpp"
#include "swim/suspicion.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace remora::swim {

class core::machine {
public:
  using id = directory::id;
  static constexpr id none = directory::none;

  machine(identity self, options o, std::shared_ptr<directory> shared, std::uint64_t seed, limits l);
  machine(machine const&) = delete;
  machine& operator=(machine const&) = delete;
  ~machine();

  void handle(event const& e, base::time_point now, effects& out);
  std::optional<base::time_point> next_deadline() const { return due_; }
  void know_the_same_as(machine const& other);

  swim::member member_of(id n) const;
  template <class Visit>
  void each(Visit&& visit) const {
    for (id n = 0; n < entries_.size(); ++n)
      if (entries_[n].present) visit(member_of(n));
  }
  std::optional<member> find(std::string_view node) const;
  std::size_t count(status s) const { return counts_.at(static_cast<std::size_t>(s)); }
  std::string leader() const { return leader_ == none ? std::string() : names_.name(leader_); }
  swim::metrics const& metrics() const { return metrics_; }
  self_health health() const;
  std::uint64_t view() const { return view_; }

private:
  // Sixteen bytes; what is the same in all cores is in the directory.
  struct entry {
    base::time_point since{};
    std::uint32_t facts = none;
    status at = status::dead;
    bool present : 1 = false;
    bool beam : 1 = false;
    bool among_gone : 1 = false; // listed in gone_
    bool live() const { return present && (at == status::alive || at == status::suspect); }
  };
  static_assert(sizeof(entry) == 16); // ten thousand cores know ten thousand members each

  struct probe {
    id target = none;
    std::uint32_t sequence = 0;
    bool direct = true; // no helpers are asked yet
    bool answered = false;
    bool excused = false; // this node was late itself
    base::time_point direct_until{};
    std::uint32_t helpers = 0;
    std::array<id, 16> asked{}; // of which `helpers` are; one that has sent its nack is none here
    std::uint32_t nacks = 0;
  };
  struct relay { // a probe on behalf of somebody
    std::uint32_t sequence = 0, theirs = 0;
    address asker{};
    base::time_point nack_at{}, until{};
    bool nacked = false;
  };

  enum class talks : std::uint8_t { unknown, remora, beam };
  struct peer { // a distribution connection
    std::uint32_t creation = 0;
    talks as = talks::unknown;
    base::time_point greeted{};
    std::uint64_t probe = 0; // of a VM, unanswered; 0: none
    base::time_point probed{};
    unsigned strikes = 0;
  };

  struct report { // what a remora member says of its connection to a VM
    id reporter = none;
    std::uint64_t epoch = 0;
    std::uint32_t version = 0;
    reach state = reach::lost;
    bool companion = false;
    base::time_point heard{};
  };
  struct beam {
    std::uint32_t creation = 0;
    std::vector<report> reports{};
    id companion = none;                             // as it was last told
    bool said = false;                               // this node's own report is spread
    base::time_point say_from{};                     // unless others have by then
    std::optional<base::time_point> unheard_until{}; // nobody reports it any more
  };

  struct origin { // of user events: which of them have come
    std::uint64_t epoch = 0;
    std::uint32_t greatest = 0;
    std::uint64_t window = 0;
  };
  struct spread_event {
    id from = none;
    std::uint64_t epoch = 0;
    std::uint32_t number = 0;
    std::string name{}, payload{};
  };

  // core.cpp
  void on(start const& e);
  void on(tick const&);
  void on(packet const& e);
  void on(peer_message const& e);
  void on(peer_up const& e);
  void on(peer_down const& e);
  void on(beam_answered const& e);
  void on(app_here const& e);
  void on(app_gone const&);
  void on(configure const& e);
  void on(set_metadata const& e);
  void on(user_event const& e);
  void on(hearsay const& e);
  void on(tell_hearsay const& e);
  void on(leave const&);
  void note_lateness();
  void say(news n) { out_->emplace_back(tell{std::move(n)}); }
  void say(change what, id n, std::string by = {});
  void tell_leader();
  std::optional<base::time_point> earliest_timer() const;
  void forget_old();
  base::time_point next_on_grid(base::time_point from) const;
  std::uint64_t period_number() const;
  std::size_t live_remora() const { return walked_; } // this node included
  base::duration probe_timeout() const;
  base::duration suspicion_min();
  base::duration patience() const;

  // probing.cpp
  void period();
  void begin_probe();
  void end_probe();
  void ask_helpers();
  void worsen(int by);
  void ping(id n, std::uint32_t sequence);
  void revive();
  void revive_timer();
  void revive_more();
  void relay_timers();
  void got_ping(message const& m, address const& from);
  void got_ping_req(message const& m, address const& from);
  void got_ack(message const& m, address const& from);
  void got_nack(message const& m);
  void probe_soon(id n);
  id random_live();

  // merging.cpp
  void believe(update const& u, std::string_view told_by);
  void believe_alive(update const& u, std::string_view told_by);
  void believe_suspect(std::string_view node, std::uint64_t epoch, std::uint32_t incarnation,
                       std::string_view by);
  void believe_dead(update const& u);
  void believe_left(update const& u);
  void believe_held(update const& u, std::string_view told_by);
  void suspect(id n, std::string_view by, std::uint32_t confirmations);
  void confirm(id n, std::string_view by);
  void die(id n, std::string_view by);
  void suspicion_timers();
  void end_suspicion(id n);
  void set_until(id n, suspicion& s, base::time_point until);
  void refute(std::uint64_t epoch, std::uint32_t incarnation, bool accused);
  void set_self(std::uint64_t epoch, std::uint32_t incarnation);
  void put(id n, std::uint32_t facts, status s, bool is_beam);
  void forget(id n);
  bool make_room(std::string_view node);
  void blame(id n, std::string_view by);
  std::string blamed(id n) const;
  std::uint64_t view_of(entry const& e) const;
  int compare(entry const& e, std::uint64_t epoch, std::uint32_t incarnation) const;
  facts const& facts_of(entry const& e) const { return names_.at(e.facts); }
  entry* entry_of(id n) { return n < entries_.size() && entries_[n].present ? &entries_[n] : nullptr; }
  entry const* entry_of(id n) const {
    return n < entries_.size() && entries_[n].present ? &entries_[n] : nullptr;
  }

  // syncing.cpp
  void greet(id n, peer& p);
  void is_remora(id n);
  void forget_peer(id n);
  void greeting_timers();
  void sync_timers();
  void sync_with(id n, message_kind kind, bool whole);
  void note_view(std::uint64_t theirs);
  void tell_peer(std::string_view node, std::string bytes);
  std::optional<id> random_remora_peer();
  std::size_t sync_scale();
  void take_hearsay(std::string_view node, status held, std::uint32_t incarnation);

  // spreading.cpp
  message head(message_kind kind, std::uint32_t sequence = 0) const;
  void send(address const& to, message const& m, id about = none);
  void ride(std::string& packet, id about);
  bool write_update(std::string& out, spread_queue::key k);
  void spread(id n) { queue_.put(n); }
  void spread_further(spread_queue::key k);
  base::duration gossip_pause() const;
  void gossip();
  void got_event(update const& u);
  bool is_new_event(id from, std::uint64_t epoch, std::uint32_t number);
  std::size_t transmissions();

  // beams.cpp
  void beam_here(id n, peer& p);
  void beam_lost(id n);
  void beam_period();
  void probe_vm(id n, peer& p);
  void got_report(update const& u);
  void own_report(id n, reach state);
  void spread_report(id n);
  void judge(id n);
  bool judge_status(id n);
  void reporters_changed(id reporter);
  void drop_beam(id n);
  report* report_of(beam& b, id reporter);
  bool counts(report const& r) const;
  void beam_verdict(id n);
  id companion_id(id n) const;
  std::string companion_of(id n) const;
  update as_update(id n, report const& r) const;

  // ---- what is given
  identity self_;
  options o_;
  limits l_;
  std::shared_ptr<directory> shared_;
  directory& names_;
  base::random random_;
  id me_ = none;

  // ---- members
  std::vector<entry> entries_; // by the directory's id
  std::array<std::size_t, 4> counts_{};
  std::size_t present_ = 0;
  std::size_t walked_ = 0; // as many as stand in the order
  probe_order order_;      // remora, alive or suspect
  std::uint64_t view_ = 0; // digest of the same
  boost::unordered_flat_map<id, suspicion> suspicions_;
  std::set<std::pair<base::time_point, id>> suspicion_ends_;
  boost::unordered_flat_map<id, id> blame_; // who said first that it is suspect or dead
  std::vector<id> gone_;                    // dead or left; some that are not any more
  std::optional<base::time_point> forget_at_;
  id leader_ = none;
  bool leader_unsure_ = false;
  std::string leader_told_;
  bool said_full_ = false;

  // ---- this node
  std::uint64_t epoch_ = 0;
  std::uint32_t incarnation_ = 0;
  std::string metadata_;
  std::string app_;
  bool running_ = false;
  bool refuted_ = false; // in this event
  int ill_ = 0;          // Lifeguard's local health multiplier less one
  std::array<base::duration, 10> lags_{};
  std::size_t lags_seen_ = 0;
  std::optional<base::time_point> due_; // when the next tick was asked for

  // ---- probing
  base::time_point started_{};
  std::int64_t wall_at_start_ns_ = 0;
  base::duration phase_{};
  base::time_point next_period_{};
  std::optional<probe> probe_;
  std::uint32_t last_sequence_ = 0;
  std::vector<relay> relays_;
  std::deque<id> soon_; // to be probed first
  std::optional<base::time_point> revive_at_;
  base::time_point reviving_until_{};
  std::size_t revived_last_ = 0; // place in gone_

  // ---- spreading
  spread_queue queue_;
  bool by_sync_ = false; // what is being read came so
  std::optional<base::time_point> gossip_at_;
  base::time_point last_gossip_{};
  std::map<std::uint64_t, spread_event> events_; // by a number of our own
  std::uint64_t last_event_ = 0;
  std::uint32_t last_event_number_ = 0;
  boost::unordered_flat_map<id, origin> origins_;

  // ---- the distribution
  std::map<id, peer> peers_;
  std::set<id> beam_peers_; // those of them that are VMs: none, as a rule, of many
  std::optional<base::time_point> greeting_ends_;
  base::time_point next_sync_{};
  std::optional<base::time_point> differs_since_; // other members' views
  base::time_point last_sync_{};
  unsigned joins_ = 0; // peers that were asked for all they know when this node was new
  std::map<id, beam> beams_;
  std::uint64_t last_beam_probe_ = 0;
  id last_beam_probed_ = none;
  std::uint32_t last_version_ = 0;

  swim::metrics metrics_;
  base::time_point now_{};
  effects* out_ = nullptr;      // during handle
  std::vector<update> updates_; // of the message that is read
  std::string scratch_;
};

} // namespace remora::swim
