// What is said of nodes, kept once for all cores of a process: names, and what a start of a node says of
// itself. A core's own entry is then a small number of bytes, and ten thousand cores that know ten thousand
// nodes each fit into one simulator. The program has one core, and nothing to share; it costs nothing there.
//
// Names and facts are counted: take() adds a use, drop() ends one, what nobody uses is forgotten.
#pragma once

#include "swim/types.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace remora::swim {

// The same in every process, and on every machine: members that share no memory order themselves by it.
std::uint64_t hash_of(std::string_view text);
std::uint64_t mixed(std::uint64_t a, std::uint64_t b);

struct facts {
  std::uint32_t node = 0;
  std::uint64_t epoch = 0;
  std::uint32_t incarnation = 0;
  std::uint32_t creation = 0;
  address at{};
  std::string metadata{};
  bool assumed = false; // of an incarnation that others spoke of; the rest is of the one before
  friend bool operator==(facts const&, facts const&) = default;
};

class directory {
public:
  using id = std::uint32_t;
  static constexpr id none = 0xffffffff;

  id find(std::string_view name) const; // none: nobody uses it
  id take(std::string_view name);
  void take_again(id n) { ++nodes_[n].uses; }
  void drop(id n);
  std::string const& name(id n) const { return nodes_[n].name; }
  std::uint64_t hash(id n) const { return nodes_[n].hash; }

  std::uint32_t take(facts const& f);
  void take_facts_again(std::uint32_t f) { ++facts_[f].uses; }
  void drop_facts(std::uint32_t f);
  facts const& at(std::uint32_t f) const { return facts_[f].what; }

  std::size_t nodes_used() const { return index_.size(); }
  std::size_t facts_used() const { return facts_.size() - facts_free_.size(); }

private:
  struct node {
    std::string name;
    std::uint64_t hash = 0;
    std::uint32_t uses = 0;
    std::uint32_t newest = none; // of its facts; each knows the one before
  };
  struct counted {
    facts what;
    std::uint32_t uses = 0;
    std::uint32_t before = none;
  };

  std::deque<node> nodes_; // they stay where they are: the index looks at their names
  std::vector<id> nodes_free_;
  boost::unordered_flat_map<std::string_view, id> index_;
  std::deque<counted> facts_;
  std::vector<std::uint32_t> facts_free_;
};

} // namespace remora::swim
