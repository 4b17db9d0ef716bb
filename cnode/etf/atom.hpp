// An Erlang atom: immutable UTF-8 text of at most 255 characters. Shared by reference and compared by text;
// there is no table that a peer could fill, an atom lives as long as somebody holds it. Not for other
// threads.
#pragma once

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace remora::etf {

inline constexpr std::size_t atom_chars_max = 255;
inline constexpr std::size_t atom_bytes_max = 4 * atom_chars_max;
inline constexpr std::size_t atoms_recent = 256;

// name@host, both parts non-empty, one @.
bool is_node_name(std::string_view text);

class atom {
public:
  atom() = default; // the empty atom ''
  explicit atom(std::string_view text) : rep_(text.empty() ? nullptr : new rep(text)) {}

  // The same, for names that come with every message: one that was asked for lately is shared, not made
  // again. How many are kept is fixed (atoms_recent).
  static atom recent(std::string_view text);

  std::string_view text() const { return rep_ ? rep_->text() : std::string_view(); }
  // As it stands in a canonical term: tag, length, text.
  std::string_view encoded() const {
    return rep_ ? std::string_view(rep_->encoded) : std::string_view("w\0", 2);
  }
  bool empty() const { return !rep_; }
  bool names_a_node() const { return rep_ && rep_->node; }
  std::size_t hash() const { return rep_ ? rep_->hash : hash_of({}); } // that of its text
  static std::size_t hash_of(std::string_view text) { return std::hash<std::string_view>{}(text); }

  friend bool operator==(atom const& a, atom const& b) { return a.rep_ == b.rep_ || a.text() == b.text(); }
  friend bool operator==(atom const& a, std::string_view b) { return a.text() == b; }
  // Bytewise, as OTP's.
  friend auto operator<=>(atom const& a, atom const& b) { return a.text() <=> b.text(); }

private:
  // What is asked for with every message is worked out once.
  struct rep : boost::intrusive_ref_counter<rep, boost::thread_unsafe_counter> {
    explicit rep(std::string_view text);
    std::string_view text() const { return std::string_view(encoded).substr(head); }
    std::string encoded;
    std::size_t head;
    std::size_t hash;
    bool node;
  };
  boost::intrusive_ptr<rep const> rep_;
};

inline std::size_t hash_value(atom const& a) { return a.hash(); }

} // namespace remora::etf

template <>
struct std::hash<remora::etf::atom> {
  std::size_t operator()(remora::etf::atom const& a) const noexcept { return hash_value(a); }
};
