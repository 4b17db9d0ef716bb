// Takes the locks under which two partitions join (global.erl, loop_the_locker; protocol.md 7.7). One
// candidate at a time:
//
//   idle -> first -> second -> third -> wait_his -> have_lock -> idle     we chose him
//   idle -> first -> second -> third -> have_lock -> idle                 he asked: lock_set(true) of him
//
// First is the boss alone, second we (and he, when we chose him: that prevents a deadlock), third the rest of
// our partition. While locks are asked for, what arrives waits; the latest word of each node is kept.
#pragma once

#include "global/locking.hpp"

#include <functional>
#include <map>
#include <optional>
#include <vector>

namespace remora::global {

struct candidate {
  etf::atom node;
  etf::pid locker;
  std::uint64_t my_tag = 0;
  etf::term his_tag;
  int version = protocol_version;
};

// Sent by the locker before it frees its locks: new_nodes, to these nodes.
struct announcement {
  std::vector<etf::atom> to;
  etf::term message;
};

class locker {
public:
  explicit locker(state& s);
  // Called when both partitions are locked: lock_is_set(node, tag, lock).
  std::function<void(etf::atom const&, std::uint64_t, lock_id const&)> on_locked;

  void add(candidate him);
  void cancel(etf::atom const& node, std::uint64_t my_tag, announcement const* last_words = nullptr);
  void lock_set(etf::pid const& his_locker, bool set, std::uint64_t my_tag);
  void heard(etf::view message);
  void gone(etf::atom const& node, bool watch_fired);
  void wake();
  std::optional<base::time_point> next_deadline() const { return deadline_; }

private:
  enum class phase : std::uint8_t { idle, first, second, third, wait_his, have_lock };
  struct word {
    etf::pid his_locker;
    bool set;
    std::uint64_t my_tag;
  };

  bool locking_now() const {
    return phase_ == phase::first || phase_ == phase::second || phase_ == phase::third;
  }
  void attempt(candidate him, bool ours);
  void on_step(locking::result r);
  void locked();
  void failed();
  void to_idle();
  void enter_have_lock();
  void free_all();
  void answer(candidate const& him, bool set);
  void take_words();
  void set_timer();
  bool choose();

  state& s_;
  calls calls_;
  locking locking_;
  std::map<etf::atom, candidate> candidates_;
  std::map<etf::atom, word> words_; // that wait

  phase phase_ = phase::idle;
  candidate him_;
  bool ours_ = false; // we chose him
  bool cancelled_ = false;
  lock_id id_;
  etf::atom boss_;
  std::vector<etf::atom> third_;
  bool just_synced_ = false;
  std::optional<base::time_point> deadline_;
};

} // namespace remora::global
