#include "io/files.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace remora::io {

namespace {

using found = base::result<std::string, file_problem>;

found failed(file_problem::kind what, std::string why) {
  return {boost::system::in_place_error, file_problem{.what = what, .why = std::move(why)}};
}

struct descriptor {
  explicit descriptor(int a_number) : number(a_number) {}
  descriptor(descriptor const&) = delete;
  descriptor& operator=(descriptor const&) = delete;
  ~descriptor() {
    if (number >= 0) ::close(number);
  }
  int number;
};

} // namespace

found read_text_file(std::string const& path, std::size_t bytes_max) {
  using kind = file_problem::kind;
  descriptor const file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)); // a pipe does not wait
  if (file.number < 0) {
    bool const missing = errno == ENOENT || errno == ENOTDIR;
    return failed(missing ? kind::missing : kind::unreadable,
                  fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  }
  struct stat info {};
  if (::fstat(file.number, &info) != 0 || !S_ISREG(info.st_mode))
    return failed(kind::unreadable, fmt::format("cannot read {}: it is no regular file", path));
  std::string text;
  while (text.size() <= bytes_max) {
    constexpr std::size_t step = 64U << 10U;
    auto const had = text.size();
    text.resize(had + step);
    auto const count = ::read(file.number, text.data() + had, step);
    if (count < 0)
      return failed(kind::unreadable, fmt::format("cannot read {}: {}", path, std::strerror(errno)));
    text.resize(had + static_cast<std::size_t>(count));
    if (count == 0) return {boost::system::in_place_value, std::move(text)};
  }
  return failed(kind::too_large, fmt::format("{} is larger than {} bytes", path, bytes_max));
}

} // namespace remora::io
