#include "discovery/files.hpp"

#include "discovery/node_name.hpp"

#include <boost/unordered/unordered_flat_set.hpp>

#include <fmt/format.h>

namespace remora::discovery {

namespace {

constexpr std::size_t shown_max = 60; // characters of a wrong line

// Foreign text in a message: one line, printable, short.
std::string shown(std::string_view text) {
  std::string out;
  for (char const c : text.substr(0, shown_max)) out += c >= ' ' && c < 0x7f ? c : '?';
  if (text.size() > shown_max) out += "..";
  return out;
}

class collector {
public:
  explicit collector(std::size_t entries_max) : max_(entries_max) {}

  void wrong(std::size_t line, std::string_view what) {
    if (!out_.wrong) out_.wrong = fmt::format("line {}: {}", line, what);
  }
  void add(std::string entry, std::size_t line) {
    if (seen_.contains(entry)) return;
    if (out_.entries.size() >= max_) return wrong(line, fmt::format("more than {} entries", max_));
    seen_.insert(entry);
    out_.entries.push_back(std::move(entry));
  }
  file_content take() { return std::move(out_); }

private:
  std::size_t max_;
  file_content out_;
  boost::unordered_flat_set<std::string> seen_;
};

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v'; }

std::string_view without_mark(std::string_view text) { // editors of Windows begin a file with U+FEFF
  return text.starts_with("\xef\xbb\xbf") ? text.substr(3) : text;
}

// The terms of .hosts.erlang, as far as hosts need Erlang's syntax.
class hosts_reader {
public:
  hosts_reader(std::string_view text, std::size_t entries_max) : left_(text), found_(entries_max) {}

  file_content read() {
    for (skip(); !left_.empty(); skip()) {
      auto const line = line_;
      auto host = word();
      if (host && ends()) {
        if (is_host(*host))
          found_.add(std::move(*host), line);
        else
          found_.wrong(line, fmt::format("`{}` cannot be a host", shown(*host)));
        continue;
      }
      found_.wrong(line, fmt::format("expected 'host'. with its dot, found `{}`", shown(rest_of_line())));
      to_next_line();
    }
    return found_.take();
  }

private:
  char take() {
    char const c = left_.front();
    left_.remove_prefix(1);
    if (c == '\n') ++line_;
    return c;
  }
  void to_next_line() {
    while (!left_.empty() && take() != '\n') {
    }
  }
  std::string_view rest_of_line() const { return left_.substr(0, left_.find('\n')); }
  void skip() { // spaces and comments
    while (!left_.empty() && (is_space(left_.front()) || left_.front() == '%'))
      left_.front() == '%' ? to_next_line() : static_cast<void>(take());
  }
  // An atom or a string; nothing is taken of what is neither.
  std::optional<std::string> word() {
    char const first = left_.front();
    if (first == '\'' || first == '"') return quoted(first);
    if (first < 'a' || first > 'z') return std::nullopt;
    std::string out;
    auto const belongs = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
             c == '@';
    };
    while (!left_.empty() && belongs(left_.front())) out += take();
    return out;
  }
  std::optional<std::string> quoted(char quote) {
    auto const before = left_; // on one line: the number of the line stays
    take();
    std::string out;
    while (!left_.empty() && left_.front() != '\n') {
      char c = take();
      if (c == quote) return out;
      if (c == '\\' && !left_.empty() && left_.front() != '\n') c = take(); // \' and \\: hosts have no others
      out += c;
    }
    left_ = before;
    return std::nullopt;
  }
  // A dot ends a term when something empty follows (erl_scan).
  bool ends() {
    skip();
    if (left_.empty() || left_.front() != '.') return false;
    if (left_.size() > 1 && !is_space(left_[1]) && left_[1] != '%') return false;
    take();
    return true;
  }

  std::string_view left_;
  std::size_t line_ = 1;
  collector found_;
};

} // namespace

file_content read_hosts_file(std::string_view text, std::size_t entries_max) {
  return hosts_reader(without_mark(text), entries_max).read();
}

file_content read_node_file(std::string_view text, std::size_t entries_max) {
  collector found(entries_max);
  text = without_mark(text);
  for (std::size_t number = 1; !text.empty(); ++number) {
    auto const end = text.find('\n');
    auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    for (std::size_t i = 0; i < line.size(); ++i)
      if (line[i] == '#' && (i == 0 || is_space(line[i - 1]))) line = line.substr(0, i);
    while (!line.empty() && is_space(line.front())) line.remove_prefix(1);
    while (!line.empty() && is_space(line.back())) line.remove_suffix(1);
    if (line.empty()) continue;
    if (is_node_name(line))
      found.add(std::string(line), number);
    else
      found.wrong(number, fmt::format("`{}` is no node name (name@host)", shown(line)));
  }
  return found.take();
}

} // namespace remora::discovery
