// The list of them: `sim --self-test` runs each until the checker that must find it does.
#pragma once

#include "etf/term.hpp"

#include <functional>
#include <string>
#include <vector>

namespace remora::sim {

struct mutant {
  std::string name;
  std::string subject;                                                // that is run
  std::string checker;                                                // that must complain
  std::function<unsigned(std::int64_t op, etf::view payload)> copies; // of a signal that arrive
};
std::vector<mutant> const& mutants();

} // namespace remora::sim
