// Runs scripts of test/spec: stories in the style of etcd's datadriven tests. A command, `----`, and what
// came of it; REMORA_REWRITE=1 writes the outcomes anew, to be reviewed like code. Comments and blank lines
// stay where they are; a command is one line, its outcome ends at a blank line.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace remora::test {

template <class Story>
std::string played(std::istream& in) {
  Story s;
  std::string out;
  bool outcome = false;
  for (std::string line; std::getline(in, line);) {
    if (outcome && !line.empty()) continue;
    outcome = false;
    if (line == "----") {
      outcome = true;
      continue;
    }
    if (line.empty() || line.starts_with('#')) {
      out += line + "\n";
      continue;
    }
    out += line + "\n----\n" + s.play(line);
  }
  return out;
}

// All scripts whose name begins with one of `prefixes`, or with none of them.
template <class Story>
void play_all(std::vector<std::string> const& prefixes, bool begins) {
  namespace fs = std::filesystem;
  std::size_t count = 0;
  for (auto const& entry : fs::directory_iterator(fs::path(REMORA_SOURCE_DIR) / "test" / "spec")) {
    auto const name = entry.path().filename().string();
    bool const found = std::any_of(prefixes.begin(), prefixes.end(),
                                   [&](std::string const& prefix) { return name.starts_with(prefix); });
    if (entry.path().extension() != ".txt" || found != begins) continue;
    CAPTURE(name);
    std::ifstream in(entry.path());
    std::stringstream text;
    text << in.rdbuf();
    auto const now = played<Story>(text);
    if (std::getenv("REMORA_REWRITE") != nullptr) // NOLINT(concurrency-mt-unsafe)
      std::ofstream(entry.path()) << now;
    else
      CHECK(now == text.str());
    ++count;
  }
  CHECK(count > 0);
}

} // namespace remora::test
