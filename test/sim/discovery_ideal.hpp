// What a core of discovery may conclude from its answers, told as plainly as can be: the checkers hold its
// disconnects against this. It follows the questions and answers of one core.
#pragma once

#include "discovery/types.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace remora::sim {

class ideal_listing {
public:
  void reset(std::string own_node, discovery::options o);

  void asked(discovery::question_id id, discovery::question const& q);
  void answered(discovery::question_id id, discovery::answer const& a);
  void timed_out(discovery::question_id id);
  void abandoned(discovery::question_id id); // pause, shutdown, another configuration
  void configure(discovery::options o);

  // A source has said often enough that it is gone, and no other one lists it.
  bool may_drop(std::string const& node) const;
  bool lists(std::string const& node) const;

private:
  struct session {
    std::set<discovery::question_id> open;
    std::size_t more = 0; // questions that an answer leads to
    std::set<std::string> nodes;
    std::vector<discovery::failed> troubles;
  };
  std::size_t source_of(discovery::question const& q) const;
  void end(std::string const& source);

  std::string own_;
  discovery::options o_;
  std::map<discovery::question_id, std::pair<std::string, discovery::question>> open_;
  std::map<std::string, session> sessions_;                       // by describe(source)
  std::map<std::string, std::map<std::string, unsigned>> listed_; // source -> node -> missed
  std::set<std::string> gone_;
};

} // namespace remora::sim
