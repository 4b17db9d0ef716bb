// Simulated membership: small clusters of cores, one for each seed, in one thread and one virtual time. First
// a storm: datagrams are lost, doubled and overtaken, links are cut both ways or one way, nodes hang, are
// paused, starved of CPU, killed, restarted and leave, VMs come and go; then all is well, and all must agree.
//
// What is checked (each has a mutant below, by which it shows that it can find something):
//
//   window      nobody is declared dead who was not suspected for as long as it takes to object
//   objects     nobody is seen in an incarnation or epoch that it has not had: only the subject objects
//   mistake     who was well, and whom nothing kept from being heard, is never declared dead
//   healthy     starved members, however many verdicts they pass, do not declare the healthy dead
//   detects     who hangs for good is dead for everybody in time
//   converges   when all is well, everybody sees all that are there, in their last start, and nobody else
//   joins       who comes in by a single connection knows all at once
//   rest        then no more is sent than probes
//   size        no datagram is larger than may be, and none is without end: each update so many times at most
//   events      a user event is heard once by each at most, and by all when nothing is lost on the way
//   metadata    what a member says of itself last is what all have
//   vm          a VM that answers somebody is not declared dead; one that hangs or has gone is, in time
//   wakes       a deadline that has come brings something, or the next is later
//
// The large clusters are in membership_table.hpp.
#pragma once

#include "sim/cluster.hpp"
#include "sim/run.hpp"

#include <string>
#include <vector>

namespace remora::sim {

outcome run_membership(settings const& s);

struct membership_mutant {
  std::string name;
  std::string checker; // that must complain
};
std::vector<membership_mutant> const& membership_mutants();

} // namespace remora::sim
