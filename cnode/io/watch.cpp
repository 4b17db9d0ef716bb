#include "io/watch.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>

#include <array>
#include <cstring>
#include <string_view>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <utility>

namespace remora::io {

namespace {
constexpr auto gather = std::chrono::milliseconds(20); // a change is often several events
constexpr auto look_again = std::chrono::seconds(1);   // for a folder that is not there
constexpr std::uint32_t wanted = IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr std::string_view exchanged_link = "..data";
} // namespace

class file_watch::state : public std::enable_shared_from_this<state> {
public:
  state(asio::any_io_executor const& executor, std::string const& path, std::function<void()> changed)
      : inotify_(executor), pause_(executor), changed_(std::move(changed)) {
    auto const slash = path.rfind('/');
    folder_ = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    name_ = slash == std::string::npos ? path : path.substr(slash + 1);
  }

  void start() { asio::co_spawn(inotify_.get_executor(), run(shared_from_this()), rethrow); }
  void stop() {
    changed_ = {};
    pause_.cancel();
    error_code ignored;
    inotify_.close(ignored);
  }

private:
  asio::awaitable<void> run(std::shared_ptr<state> /*keeps this alive*/) {
    bool missed = false; // what happened while nobody looked is unknown
    while (changed_) {
      if (!open()) {
        missed = true;
        co_await sleep(look_again);
        continue;
      }
      if (std::exchange(missed, false)) tell();
      co_await follow();
      missed = true;
      error_code ignored;
      inotify_.close(ignored);
    }
  }

  bool open() {
    int const fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) return false;
    error_code ec;
    inotify_.assign(fd, ec);
    if (!ec && ::inotify_add_watch(fd, folder_.c_str(), wanted) >= 0) return true;
    inotify_.close(ec);
    return false;
  }

  // Until the folder goes.
  asio::awaitable<void> follow() {
    while (changed_) {
      auto [ec, count] = co_await inotify_.async_read_some(asio::buffer(room_), as_result);
      if (ec || !changed_) co_return;
      auto const [ours, gone] = read(count);
      if (ours) {
        co_await sleep(gather);
        auto const more = rest();
        tell();
        if (more) co_return;
      }
      if (gone) co_return;
    }
  }

  struct seen {
    bool ours = false;
    bool gone = false;
  };
  seen read(std::size_t count) const {
    seen out;
    for (std::size_t at = 0; at + sizeof(inotify_event) <= count;) {
      inotify_event e{};
      std::memcpy(&e, room_.data() + at, sizeof e);
      char const* const name = room_.data() + at + sizeof e;
      std::string_view const text(name, e.len > 0 ? ::strnlen(name, e.len) : 0);
      bool const named = text == name_ || text == exchanged_link;
      bool const half = (e.mask & IN_CREATE) != 0 && is_being_written(std::string(text));
      out.ours = out.ours || (named && !half) || (e.mask & IN_Q_OVERFLOW) != 0;
      out.gone = out.gone || (e.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0;
      at += sizeof e + e.len;
    }
    return out;
  }

  // A new file is not read before its writer has closed it, which is another event. A link has no such.
  bool is_being_written(std::string const& name) const {
    struct stat info {};
    return ::lstat((folder_ + "/" + name).c_str(), &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1;
  }

  void tell() const {
    auto const told = changed_; // it may end this watch
    if (told) told();
  }

  // What came meanwhile belongs to the same change; true when the folder went.
  bool rest() {
    bool gone = false;
    error_code ec;
    while (inotify_.is_open()) {
      inotify_.non_blocking(true, ec);
      auto const count = inotify_.read_some(asio::buffer(room_), ec);
      if (ec) break;
      gone = gone || read(count).gone;
    }
    return gone;
  }

  asio::awaitable<void> sleep(std::chrono::milliseconds time) {
    pause_.expires_after(time);
    co_await pause_.async_wait(as_result);
  }

  asio::posix::stream_descriptor inotify_;
  asio::steady_timer pause_;
  std::function<void()> changed_;
  std::string folder_;
  std::string name_;
  alignas(inotify_event) std::array<char, 16U << 10U> room_{};
};

file_watch::file_watch(asio::any_io_executor executor, std::string const& path, std::function<void()> changed)
    : state_(std::make_shared<state>(executor, path, std::move(changed))) {
  state_->start();
}

file_watch::~file_watch() { state_->stop(); }

} // namespace remora::io
