// Simulated discovery: hosts with a core each, in one thread and one virtual time, whose sources fail, stay
// silent, are slow, empty, partial or lie, while nodes die and return, links break and packets get lost. Then
// all is right, and all must find together.
//
// What is checked (each has a mutant below, by which it shows that it can find something):
//
//   disconnects  nobody is disconnected unless `grace` complete, non-empty answers say so
//   foreign      nobody is disconnected from whom the other side dialled
//   own          nobody dials itself
//   limit        never more attempts under way than dial_limit
//   quiet        a paused or ended core asks nothing and dials nobody
//   stuck        each request is answered in time, each round ends
//   converges    once answers are right: who is listed is connected, who is positively gone is not
//   rest         then nothing is dialled or disconnected any more, and each round is ok
//   left         and nothing is kept of who is neither listed nor connected
//   restart      a peer that returns is connected again within 500 ms
//   first        half of a crowd swallows packets, the others are connected a second after the start
#pragma once

#include "sim/cluster.hpp"
#include "sim/run.hpp"

#include <string>
#include <vector>

namespace remora::sim {

outcome run_discovery(settings const& s);

struct discovery_mutant {
  std::string name;
  std::string checker; // that must complain
};
std::vector<discovery_mutant> const& discovery_mutants();

} // namespace remora::sim
