#include "discovery/node_name.hpp"

#include "base/utf8.hpp"
#include "discovery/address.hpp"

#include <algorithm>

namespace remora::discovery {

namespace {

constexpr std::size_t atom_chars_max = 255;

bool is_plain(std::string_view text) { // printable, one word
  bool const printable = std::all_of(text.begin(), text.end(), [](char c) {
    auto const byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte != 0x7f;
  });
  return !text.empty() && printable && text.find('@') == std::string_view::npos && base::is_utf8(text);
}

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(
      utf8.begin(), utf8.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80; }));
}

} // namespace

bool is_basename(std::string_view text) { return is_plain(text) && characters(text) < atom_chars_max - 1; }

bool is_host(std::string_view text) {
  if (!is_plain(text) || characters(text) > atom_chars_max - 2) return false;
  if (text.front() == '.' || text.back() == '.' || text.find("..") != std::string_view::npos) return false;
  // DNS can answer with any bytes. What a host name can be, and nothing that a URL or a shell takes for more.
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_' || c == ':' || static_cast<unsigned char>(c) >= 0x80;
  });
}

bool is_node_name(std::string_view text) {
  auto const at = text.find('@');
  return at != std::string_view::npos && is_plain(text.substr(0, at)) && is_plain(text.substr(at + 1)) &&
         characters(text) <= atom_chars_max;
}

std::string_view basename_of(std::string_view node) { return node.substr(0, node.find('@')); }

std::string_view host_of(std::string_view node) {
  auto const at = node.find('@');
  return at == std::string_view::npos ? std::string_view() : node.substr(at + 1);
}

std::optional<std::string> make_node_name(std::string_view basename, std::string_view host) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  std::string literal;
  if (host.find(':') != std::string_view::npos) {
    auto const address = read_address(host);
    if (!address) return std::nullopt;
    literal = write(*address);
    host = literal;
  } else if (host.ends_with('.')) {
    host.remove_suffix(1);
  }
  if (!is_host(host)) return std::nullopt;
  std::string out(basename);
  out += '@';
  out += host;
  if (!is_node_name(out)) return std::nullopt;
  return out;
}

} // namespace remora::discovery
