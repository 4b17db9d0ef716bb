// The gen_server calls that our locker or registrar has under way to the name servers of members. A member is
// watched once for a whole round of calls, not once for each as gen:call does: that, and that calls to one
// member follow each other without waiting, is what makes a round of many names fast.
//
// From is {Pid, Tag} with an integer for the tag: OTP answers Pid ! {Tag, Reply} then (gen.erl, reply/2).
// What is only told has {Pid, [alias | Ref]} with a reference of the member's own that is nobody's alias: its
// answer goes there, and never onto the wire. The pid has to be ours, for it says whose the lock is.
#pragma once

#include "global/state.hpp"

#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace remora::global {

template <class Tag>
etf::term gen_call(etf::pid const& from, Tag const& tag, etf::view request) {
  return etf::make(etf::tup(etf::am("$gen_call"), etf::tup(from, tag), request));
}

class calls {
public:
  calls(state& s, role as) : s_(s), as_(as) {}

  void ask(etf::atom const& node, etf::view request);  // we wait for its answer
  void tell(etf::atom const& node, etf::view request); // we do not; what follows on the connection follows it

  bool heard(etf::view message);    // an answer that we waited for
  bool gone(etf::atom const& node); // the member will not answer; true if we waited for it
  bool waiting() const { return !open_.empty(); }
  std::vector<etf::atom> silent() const; // who has not answered
  std::vector<std::pair<etf::atom, etf::term>> take_replies() { return std::exchange(replies_, {}); }
  void abandon(); // answers that come later are not ours any more
  void end();     // of the round: nobody is watched any more
  // A watch has fired: the host has forgotten it.
  void forget(etf::atom const& node) { watched_.erase(node); }

private:
  state& s_;
  role as_;
  std::vector<std::pair<std::uint64_t, etf::atom>> open_; // few: one for each member
  std::vector<std::pair<etf::atom, etf::term>> replies_;
  std::set<etf::atom> watched_;
};

} // namespace remora::global
