// Simulated election: clusters of 3, 5 or 7 voters and some more nodes, a core each, in one thread and one
// true time. Each node has a clock of its own that runs wrong by up to drift_max, and a disk that is slow,
// fails, and at a crash loses what was not synced, keeps it, or is torn. Links delay, break with and without
// notice, one way too; in half of the runs they lose, double and reorder besides, which the distribution does
// not do. Nodes crash, hang and return; voters are added, removed, and taken in again; names are campaigned
// for. Then all is right, and there must be one leader.
//
// What is checked, after every step (each has a mutant below, by which it shows that it can find something):
//
//   leaders    a term has one leader
//   votes      an instance of a state votes once in a term, whatever happens to the node
//   unsaved    a vote is on disk before it is said
//   lease      two nodes never are sure to lead at the same true time, nor while another one's word holds:
//   what
//              it had said was left, unless it has handed over since
//   tokens     who is sure to lead has a greater token than whoever was sure before
//   names      two candidates never hold a name at the same true time
//   name_token who holds a name has a greater token than whoever held it before
//   fence      a token that is called good was not surpassed when it was asked about
//   cluster    one configuration is chosen
//   answered   every request is answered in time
//   spins      a tick at the deadline moves the deadline
//   progress   a healed cluster has one leader, whom all know, within progress_within
//   served     .. each name that has candidates is held, a change of the voters is made
//   disturbed  then nobody changes the leader: not who hears it not, not who is removed
//   deaf       but a leader that is not heard, or cannot hear, is replaced
#pragma once

#include "sim/run.hpp"
#include "support/world.hpp"

#include <string>
#include <vector>

namespace remora::sim {

outcome run_election(settings const& s);
// How long it takes to have a leader again, against what is wanted of it.
outcome run_election_times(settings const& s);

struct election_mutant {
  std::string name;
  std::string checker; // that must complain
};
std::vector<election_mutant> const& election_mutants();

} // namespace remora::sim
