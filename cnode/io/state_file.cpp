#include "io/state_file.hpp"

#include "io/files.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace remora::io {

namespace {

constexpr std::size_t bytes_max = 1U << 20U;

std::string problem(char const* what, std::string const& path) {
  return fmt::format("cannot {} {}: {}", what, path, std::strerror(errno));
}

std::string folder_of(std::string const& path) { return path.substr(0, path.rfind('/')); }

std::optional<std::string> write_all(int fd, std::string const& bytes, std::string const& path) {
  std::size_t written = 0;
  while (written < bytes.size()) {
    auto const count = ::write(fd, bytes.data() + written, bytes.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return problem("write", path);
    written += static_cast<std::size_t>(count);
  }
  if (::fsync(fd) != 0) return problem("sync", path);
  return std::nullopt;
}

std::optional<std::string> sync_folder(std::string const& dir) {
  int const fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return problem("open", dir);
  std::optional<std::string> out;
  if (::fsync(fd) != 0) out = problem("sync", dir);
  ::close(fd);
  return out;
}

std::optional<std::string> replace(std::string const& path, std::string const& bytes) {
  auto const fresh = path + ".new";
  int const fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0) return problem("write", fresh);
  auto out = write_all(fd, bytes, fresh);
  if (::close(fd) != 0 && !out) out = problem("close", fresh);
  if (!out && std::rename(fresh.c_str(), path.c_str()) != 0) out = problem("rename to", path);
  if (!out) out = sync_folder(folder_of(path));
  return out;
}

} // namespace

state_files::~state_files() {
  if (writer_) writer_->join();
}

std::string state_files::path_of(std::string const& dir, std::string const& node) {
  return fmt::format("{}/{}.election", dir, node);
}

base::result<std::optional<std::string>, std::string> state_files::read(std::string const& path) {
  using result = base::result<std::optional<std::string>, std::string>;
  auto const refuse = [](std::string why) { return result(boost::system::in_place_error, std::move(why)); };
  auto const dir = folder_of(path);
  if (::mkdir(dir.c_str(), S_IRWXU) != 0 && errno != EEXIST) return refuse(problem("make the folder", dir));
  auto found = read_text_file(path, bytes_max);
  if (found) return result(boost::system::in_place_value, std::move(*found));
  if (found.error().what == file_problem::kind::missing)
    return result(boost::system::in_place_value, std::nullopt);
  // What is larger than any state is none: its checksum says so.
  if (found.error().what == file_problem::kind::too_large)
    return result(boost::system::in_place_value, std::string());
  return refuse(found.error().why);
}

void state_files::set_aside(std::string const& path) {
  (void)std::rename(path.c_str(), (path + ".broken").c_str()); // else it is written over
}

void state_files::write(std::string path, std::string bytes,
                        std::function<void(std::optional<std::string>)> done) {
  if (!writer_) writer_.emplace(1);
  auto const work = asio::make_work_guard(context_);
  asio::post(*writer_,
             [this, work, path = std::move(path), bytes = std::move(bytes), done = std::move(done)] {
               auto const problem = replace(path, bytes);
               asio::post(context_, [problem, done] { done(problem); });
             });
}

} // namespace remora::io
