// The arrows between the rooms of cnode/: the linker cannot defend them, because Boost and every room lie on
// one include path. This reads the #include lines instead, and the few words that only the outer rooms may
// use.
//
//   base <- etf <- dist <- node <- services <- io <- cli, main
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

// What each room may include, itself apart; the rooms beside the chain know only what they are built on.
struct room {
  std::string_view name;
  std::vector<std::string_view> sees;
};
std::vector<room> const rooms = {
    {"base", {}},
    {"etf", {"base"}},
    {"dist", {"base", "etf"}},
    {"swim", {"base"}},
    {"raft", {"base"}},
    {"discovery", {"base"}},
    {"global", {"base", "etf"}},
    {"pg", {"base", "etf"}},
    {"node", {"base", "etf", "dist", "swim", "raft", "discovery", "global", "pg"}},
    {"services", {"base", "etf", "dist", "swim", "raft", "discovery", "global", "pg", "node"}},
    {"io", {"base", "etf", "dist", "swim", "raft", "discovery", "global", "pg", "node", "services"}},
    {"cli", {"base", "etf", "dist", "swim", "raft", "discovery", "global", "pg", "node", "services", "io"}},
};

struct source {
  std::string path; // below cnode/
  std::string room; // empty: a file of cnode/ itself, which may see all
  std::vector<std::string> lines;
  bool outer() const { return room.empty() || room == "io" || room == "cli"; }
};

std::vector<source> sources() {
  std::vector<source> out;
  fs::path const root = fs::path(REMORA_SOURCE_DIR) / "cnode";
  for (auto const& entry : fs::recursive_directory_iterator(root)) {
    auto const extension = entry.path().extension();
    if (extension != ".cpp" && extension != ".hpp") continue;
    source s{.path = fs::relative(entry.path(), root).generic_string(), .room = {}, .lines = {}};
    if (auto const slash = s.path.find('/'); slash != std::string::npos) s.room = s.path.substr(0, slash);
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) s.lines.push_back(line);
    out.push_back(std::move(s));
  }
  std::sort(out.begin(), out.end(), [](auto const& a, auto const& b) { return a.path < b.path; });
  return out;
}

std::vector<std::string> includes(source const& s, char open, char close) {
  std::vector<std::string> out;
  std::string const start = std::string("#include ") + open;
  for (auto const& line : s.lines)
    if (line.starts_with(start))
      out.push_back(line.substr(start.size(), line.find(close, start.size()) - start.size()));
  return out;
}

std::string without_comment(std::string const& line) { return line.substr(0, line.find("//")); }

} // namespace

TEST_CASE("every room includes only what its arrows allow") {
  std::set<std::string> seen;
  for (auto const& s : sources()) {
    if (s.room.empty()) continue;
    auto const known =
        std::find_if(rooms.begin(), rooms.end(), [&](room const& r) { return r.name == s.room; });
    REQUIRE_MESSAGE(known != rooms.end(), s.path, " is in a room that the picture does not have");
    seen.insert(s.room);
    for (auto const& file : includes(s, '"', '"')) {
      if (file == "remora.hpp" && s.outer()) continue; // the public face of all of it
      auto const from = file.substr(0, file.find('/'));
      bool const allowed =
          from == s.room || std::find(known->sees.begin(), known->sees.end(), from) != known->sees.end();
      CHECK_MESSAGE(allowed, s.path, " includes ", file);
    }
  }
  for (auto const* const name : {"base", "etf", "dist", "node", "services", "io", "cli"})
    CHECK_MESSAGE(seen.contains(name), "no files were found in ", name);
}

TEST_CASE("only io and cli see sockets, files, clocks and threads") {
  static constexpr std::array<std::string_view, 22> outside = {
      "fstream",    "thread",      "mutex",  "condition_variable", "future",       "atomic",      "iostream",
      "filesystem", "csignal",     "ctime",  "unistd.h",           "fcntl.h",      "signal.h",    "netdb.h",
      "sys/stat.h", "sys/types.h", "random", "sys/socket.h",       "sys/random.h", "arpa/inet.h", "time.h",
      "sys/time.h"};
  std::regex const words(
      "system_clock|steady_clock|high_resolution_clock|::now\\(\\)|getenv|\\bfopen\\b|random_device|"
      "std::cout|std::cerr|\\bFILE\\b");
  for (auto const& s : sources()) {
    if (s.outer()) continue;
    for (auto const& file : includes(s, '<', '>')) {
      CHECK_MESSAGE(!file.starts_with("boost/asio"), s.path, " includes ", file);
      CHECK_MESSAGE(std::find(outside.begin(), outside.end(), file) == outside.end(), s.path, " includes ",
                    file);
    }
    for (auto const& line : s.lines)
      CHECK_MESSAGE(!std::regex_search(without_comment(line), words), s.path, ": ", line);
  }
}

TEST_CASE("only etf includes ei.h") {
  for (auto const& s : sources())
    for (auto const& file : includes(s, '<', '>'))
      CHECK_MESSAGE((file != "ei.h" || s.room == "etf"), s.path, " includes ", file);
}

TEST_CASE("a source includes its own header first, and every header is included once") {
  for (auto const& s : sources()) {
    if (s.path.ends_with(".hpp")) {
      bool const once = std::find(s.lines.begin(), s.lines.end(), "#pragma once") != s.lines.end();
      CHECK_MESSAGE(once, s.path, " lacks #pragma once");
      continue;
    }
    auto const own = s.path.substr(0, s.path.size() - 4) + ".hpp";
    auto const files = includes(s, '"', '"');
    if (!fs::exists(fs::path(REMORA_SOURCE_DIR) / "cnode" / own)) continue;
    CHECK_MESSAGE((!files.empty() && files.front() == own), s.path, " does not begin with its own header");
  }
}
