// Tells when a file changes, comes or goes, by inotify on its folder: editors and configuration tools write a
// new file and rename it, so a watch on the file itself would look at the old one. Where the path is a link
// that such a tool exchanges (Kubernetes: ..data), that counts as a change too. Changes behind a link into
// another folder are not seen.
//
//   io::file_watch const w(executor, "/etc/remora/nodes", [] { .. });
//
// A folder that is not there, or goes, is looked for every second. What comes together is told together.
#pragma once

#include "io/asio.hpp"

#include <functional>
#include <memory>
#include <string>

namespace remora::io {

class file_watch {
public:
  // `changed` runs at most once every `gather`, and not after the end of this object.
  file_watch(asio::any_io_executor executor, std::string const& path, std::function<void()> changed);
  file_watch(file_watch const&) = delete;
  file_watch& operator=(file_watch const&) = delete;
  ~file_watch();

private:
  class state;
  std::shared_ptr<state> state_;
};

} // namespace remora::io
