#include "io/cookie.hpp"

#include "io/clock.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <optional>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace remora::io {

namespace {

using found = base::result<std::string, std::string>;

constexpr std::size_t cookie_bytes_max = 255; // OTP makes an atom of it
constexpr std::size_t created_chars = 20;

found failed(std::string why) { return {boost::system::in_place_error, std::move(why)}; }

found check_text(std::string text, std::string const& source) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  if (text.empty()) return failed(fmt::format("the cookie in {} is empty; write one into it", source));
  if (text.size() > cookie_bytes_max)
    return failed(fmt::format("the cookie in {} has {} characters; at most {} are allowed", source,
                              text.size(), cookie_bytes_max));
  if (text.find('\n') != std::string::npos)
    return failed(fmt::format("the cookie in {} has more than one line; leave only the cookie", source));
  return {boost::system::in_place_value, std::move(text)};
}

// systemd hands out credentials readable by the service's user alone, but by an access control list, which
// stat() shows as the group's permission.
::mode_t forbidden_mode(std::string const& path) {
  char const* const credentials = std::getenv("CREDENTIALS_DIRECTORY");
  bool const ours =
      credentials != nullptr && *credentials == '/' && path.starts_with(std::string(credentials) + "/");
  return ours ? 07 : 077;
}

found read_file(std::string const& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0)
    return failed(fmt::format("cannot read the cookie file {}: {}", path, std::strerror(errno)));
  if (!S_ISREG(info.st_mode)) return failed(fmt::format("the cookie file {} is no regular file", path));
  if ((info.st_mode & forbidden_mode(path)) != 0)
    return failed(
        fmt::format("the cookie file {} can be read by others than its owner; `chmod 400 {}`", path, path));
  std::ifstream in(path, std::ios::binary);
  std::string text(cookie_bytes_max + 3, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || !in.is_open())
    return failed(fmt::format("cannot read the cookie file {}: {}", path, std::strerror(errno)));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return check_text(std::move(text), path);
}

bool exists(std::string const& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0;
}

std::string random_cookie() {
  std::string out;
  for (std::size_t i = 0; i < created_chars; ++i) out.push_back(static_cast<char>('A' + io::entropy() % 26));
  return out;
}

// Exclusive and 0400 from the first moment on: two programs that start at once end with one cookie.
found create_file(std::string const& path) {
  int const fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, S_IRUSR);
  if (fd < 0 && errno == EEXIST) return read_file(path);
  if (fd < 0)
    return failed(fmt::format(
        "there is no cookie and {} cannot be created: {}; give one with --cookie-file or REMORA_COOKIE", path,
        std::strerror(errno)));
  auto const cookie = random_cookie();
  auto const written = ::write(fd, cookie.data(), cookie.size());
  int const problem = errno;
  ::close(fd);
  if (written != static_cast<ssize_t>(cookie.size())) {
    ::unlink(path.c_str());
    return failed(fmt::format("cannot write the new cookie file {}: {}", path, std::strerror(problem)));
  }
  return {boost::system::in_place_value, cookie};
}

} // namespace

namespace {

constexpr std::string_view line_source = "the first line of standard input";

found line_failed(std::string_view what) {
  return failed(
      fmt::format("the cookie is to be {}, but {}; write the cookie and a newline", line_source, what));
}

} // namespace

// Byte by byte: what is read beyond the line could not be given back.
found read_cookie_line(int descriptor, std::chrono::milliseconds limit) {
  auto const until = now() + limit;
  std::string text;
  while (true) {
    auto const left = std::chrono::ceil<std::chrono::milliseconds>(until - now());
    if (left.count() <= 0)
      return line_failed(
          fmt::format("no whole line came within {:g} s", std::chrono::duration<double>(limit).count()));
    pollfd wanted{.fd = descriptor, .events = POLLIN, .revents = 0};
    int const ready = ::poll(&wanted, 1, static_cast<int>(left.count()));
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    char c = 0;
    auto const count = ready < 0 ? ready : ::read(descriptor, &c, 1);
    if (count < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) continue;
    if (count < 0) return line_failed(fmt::format("it cannot be read ({})", std::strerror(errno)));
    if (count == 0 && text.empty()) return line_failed("it ended without one");
    if (count == 0) return line_failed("it ended before the end of that line");
    if (c == '\n') return check_text(std::move(text), std::string(line_source));
    text.push_back(c);
    if (text.size() > cookie_bytes_max + 1) // one more than allowed: a carriage return may stand there
      return failed(fmt::format("the cookie in {} has more than {} characters; at most {} are allowed",
                                line_source, cookie_bytes_max, cookie_bytes_max));
  }
}

found find_cookie(std::string const& cookie_file) {
  if (cookie_file == cookie_from_stdin) return read_cookie_line(STDIN_FILENO);
  if (!cookie_file.empty()) return read_file(cookie_file);
  if (char const* const value = std::getenv("REMORA_COOKIE")) return check_text(value, "REMORA_COOKIE");
  char const* const home = std::getenv("HOME");
  char const* const xdg = std::getenv("XDG_CONFIG_HOME");
  std::string const in_home = home != nullptr ? fmt::format("{}/.erlang.cookie", home) : "";
  std::string const in_xdg = xdg != nullptr && *xdg != '\0' ? fmt::format("{}/erlang/.erlang.cookie", xdg)
                             : home != nullptr ? fmt::format("{}/.config/erlang/.erlang.cookie", home)
                                               : "";
  for (auto const& path : {in_home, in_xdg})
    if (!path.empty() && exists(path)) return read_file(path);
  if (!in_home.empty()) return create_file(in_home);
  if (!in_xdg.empty()) return create_file(in_xdg);
  return failed("there is no cookie: neither HOME nor XDG_CONFIG_HOME is set; give one with --cookie-file or "
                "REMORA_COOKIE");
}

} // namespace remora::io
