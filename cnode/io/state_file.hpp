// The one file of election. It is written anew, synced, and renamed over the old one, and then its folder is
// synced: after a crash there is the old file or the new one, whole. A thread of its own does that, because a
// disk may take its time and the node's connections must not wait for it; writes are done in their order.
#pragma once

#include "base/result.hpp"
#include "io/asio.hpp"

#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <optional>
#include <string>

namespace remora::io {

class state_files {
public:
  explicit state_files(asio::io_context& context) : context_(context) {}
  state_files(state_files const&) = delete;
  state_files& operator=(state_files const&) = delete;
  ~state_files(); // waits for what is being written

  static std::string path_of(std::string const& dir, std::string const& node);
  // At the start. No file is nothing; the error is a sentence. The folder is made if its parent is there.
  static base::result<std::optional<std::string>, std::string> read(std::string const& path);
  static void set_aside(std::string const& path);
  // `done` runs in the context's thread: nothing, or a sentence.
  void write(std::string path, std::string bytes, std::function<void(std::optional<std::string>)> done);

private:
  asio::io_context& context_;
  std::optional<asio::thread_pool> writer_; // from the first write on
};

} // namespace remora::io
