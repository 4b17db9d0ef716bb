// The table of global names, and which names a process has. Lookups go by the bytes of the name as they stand
// in a message: no term is made for them.
//
// Names are canonical terms (etf/term.hpp): equal bytes are equal names. That a name may also be a map whose
// keys come in another order, or a list in the other of its two encodings, is left aside: 25 and 27 write
// both of one value alike.
#pragma once

#include "etf/term.hpp"
#include "global/policy.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace remora::global {

struct term_hash {
  using is_transparent = void;
  std::size_t operator()(etf::view v) const {
    return std::hash<std::string_view>{}(base::as_text(v.bytes()));
  }
  std::size_t operator()(etf::term const& t) const { return (*this)(*t); }
};
struct term_equal {
  using is_transparent = void;
  static etf::view seen(etf::view v) { return v; }
  static etf::view seen(etf::term const& t) { return *t; }
  bool operator()(auto const& a, auto const& b) const { return seen(a) == seen(b); }
};

struct entry {
  etf::term name;
  etf::pid pid;
  etf::term method;
  std::shared_ptr<policy const> own{}; // of a name registered here, where the method does not say all of it
  etf::atom registrar_node{};          // of an external name (register_ext), else empty
};

// What became of a name.
struct name_change {
  etf::term name;
  std::optional<etf::pid> pid; // none: nobody has it any more
  friend bool operator==(name_change const&, name_change const&) = default;
};

class names_table {
public:
  entry const* find(etf::view name) const {
    auto const found = entries_.find(name);
    return found != entries_.end() ? &found->second : nullptr;
  }
  // Replaces what there was.
  void put(entry e);
  bool erase(etf::view name);
  // The names of a process, in the order in which it got them.
  std::span<etf::term const> of(etf::pid const& p) const;

  // From now on all changes are kept, for whoever takes them after each event.
  void keep_changes() { keeps_changes_ = true; }
  std::vector<name_change> take_changes() { return std::exchange(changes_, {}); }

  std::size_t size() const { return entries_.size(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

private:
  void forget(etf::pid const& p, etf::view name);
  void changed(etf::term const& name, std::optional<etf::pid> pid) {
    if (keeps_changes_) changes_.push_back({name, std::move(pid)});
  }

  boost::unordered_flat_map<etf::term, entry, term_hash, term_equal> entries_;
  boost::unordered_flat_map<etf::pid, std::vector<etf::term>> by_pid_;
  bool keeps_changes_ = false;
  std::vector<name_change> changes_;
};

} // namespace remora::global
