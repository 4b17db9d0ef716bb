// One source while it is asked: its open questions, what their answers said so far, and what stands (a watch,
// a group). A question without an answer in time is answered here: it timed out.
#pragma once

#include "base/time.hpp"
#include "discovery/gossip.hpp"
#include "discovery/types.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace remora::discovery {

class asking {
public:
  struct context {
    std::string own_node;
    std::uint64_t boot_id = 0;
    signer crypto;
    std::uint64_t seed = 0;
  };
  asking(source what, std::size_t slot, context about, options const& o);

  source const& what() const { return what_; }
  std::string const& label() const { return label_; }
  std::size_t slot() const { return slot_; }

  // Asks everything that the source asks. While it is being asked already: once more, when that is done.
  void begin(question_id& last_id, base::time_point now, options const& o, effects& out);
  void begin_again_after() { again_ = open_.empty() ? again_ : true; }
  bool open() const { return !open_.empty(); }
  bool wants_again() const { return again_; }

  bool asks(question_id id) const { return open_.contains(id); }
  bool stands(question_id id) const { return standing_ == id; }
  // True: that was the last open question, take() has what they said.
  bool answered(question_id id, answer const& said, question_id& last_id, base::time_point now,
                options const& o, effects& out);
  bool tick(question_id& last_id, base::time_point now, options const& o, effects& out);
  std::optional<base::time_point> next_deadline() const;

  struct listing {
    std::vector<std::string> nodes; // sorted, each once
    std::optional<failed> trouble;  // none: the listing is complete
  };
  listing take();

  // What stands: set up if it is not, at each round, until it works.
  void stand(question_id& last_id, effects& out);
  void standing_failed(failed why);
  std::optional<failed> const& standing_trouble() const { return standing_trouble_; }
  question_id standing() const { return standing_; }
  gossip* group() { return standing_ != 0 ? gossip_.get() : nullptr; }
  gossip const* group() const { return standing_ != 0 ? gossip_.get() : nullptr; }

  void forget_questions(effects& out);
  void close(effects& out); // these and what stands

  // For the status and the news, kept by the core.
  bool has_answered = false;
  std::optional<failure> trouble{};
  std::uint64_t answers = 0; // complete or not

private:
  struct open_question {
    question asked;
    base::time_point until;
  };
  void ask_all(std::vector<question> questions, question_id& last_id, base::time_point now, options const& o,
               effects& out);

  source what_;
  std::string label_;
  std::size_t slot_;
  context about_;
  std::map<question_id, open_question> open_; // asked later: has more time
  bool again_ = false;
  std::vector<std::string> nodes_;
  std::vector<failed> troubles_;

  question_id standing_ = 0; // none
  std::optional<failed> standing_trouble_;
  std::unique_ptr<gossip> gossip_;
};

} // namespace remora::discovery
