// Registers, re-registers and unregisters names on all known nodes, many in one lock round: *group commit*.
//
//   idle -> boss -> all -> commit -> release -> idle          back_off -> boss when a lock was refused
//
// global.erl's registrar does one operation at a time (trans_all_known/1): lock the boss, lock all, call
// {register, ..} on all, unlock. Here everything that waits when the locks are held goes through that round,
// and its calls follow each other on each connection without waiting. What a caller may rely on is unchanged:
// `yes` only when every member that lives has the name; `no` when the name is taken, in our table or earlier
// in the batch, or when the process has a name already; the end of a member hurts nobody.
//
// A member that does not answer within call_timeout ends the round: what was inserted is taken back
// everywhere, at the silent member too - it reads our calls in order when it wakes, and they leave nothing
// behind - the locks are freed, and the callers hear whose fault it was.
#pragma once

#include "global/locking.hpp"

#include <deque>
#include <optional>
#include <set>
#include <vector>

namespace remora::global {

class registrar {
public:
  explicit registrar(state& s);

  void submit(request r);
  void heard(etf::view message); // at the registrar's pid
  void gone(etf::atom const& node, bool watch_fired);
  void forget(etf::atom const& node); // no member any more: what is left of the round does without it
  void wake();
  std::optional<base::time_point> next_deadline() const;
  bool idle() const { return phase_ == phase::idle; }

private:
  enum class phase : std::uint8_t { idle, boss, all, commit, release, back_off };
  struct done { // of the batch, in order
    std::uint64_t id;
    outcome::what said;
    etf::term name;              // empty: nothing was changed
    std::optional<entry> before; // what the table had
  };

  void attempt();
  void on_boss(locking::result r);
  void on_all(locking::result r);
  void on_commit();
  void commit();
  done apply(request const& r, std::vector<etf::term>& calls_out);
  void refused();
  void finish();
  void free_locks();
  void next();
  void timed_out();
  void roll_back();
  void answer_all(outcome::what said, etf::atom const& node);
  void wait_for_answers() { deadline_ = s_.now + s_.opts.call_timeout; }

  state& s_;
  calls calls_;
  locking locking_;
  lock_id id_;

  phase phase_ = phase::idle;
  std::deque<request> queue_;
  std::size_t joined_ = 0; // of the queue: they were there when the round began
  std::vector<done> batch_;
  int attempt_ = 0;
  std::vector<etf::atom> members_; // without us
  std::set<etf::atom> gone_;       // of them, in this round
  etf::atom boss_;
  std::optional<base::time_point> deadline_;
};

} // namespace remora::global
