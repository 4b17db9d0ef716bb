// Runs the scripts test/spec/discovery*.txt (see script.hpp): stories of one core. Its commands:
//
//   source custom | nodes A@H.. | epmd HOST.. | dns BASE HOST | srv BASE SERVICE | file PATH |
//          hosts-file PATH
//   set grace N | poll TIME | who SIDE | keep | dial_limit N      both before start, or for `configure`
//   start      configure      refresh N      pause N      resume N      shutdown N
//   app A@H    app gone       changed ID     pass TIME    (ticks at each deadline until then)
//   answer ID listed A@H.. | names N.. | addresses A.. | targets H.. | text LINE/LINE.. |
//             failed CAUSE WORDS
//   up SIDE A@H [theirs]      lost SIDE A@H [REASON]      fails SIDE A@H [REASON]
//   disconnected SIDE A@H [FAILURE]
//
// What is shown: its effects; those that come at one moment and only differ in their node are sorted, because
// their order is drawn.
#include "unit/discovery_paper.hpp"
#include "unit/script.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>

using namespace remora;
using namespace std::chrono_literals;
namespace d = remora::discovery;

namespace {

class story {
public:
  std::string play(std::string const& command) {
    try {
      std::stringstream in(command);
      story::words all;
      for (std::string w; in >> w;) all.push_back(w);
      auto out = perform(all, command);
      for (auto from = out.begin(); from != out.end();) { // runs of connects
        auto const to =
            std::find_if(from, out.end(), [](auto const& l) { return !l.starts_with("connect "); });
        std::sort(from, to);
        from = to == out.end() ? to : to + 1;
      }
      std::string text;
      for (auto const& line : out) text += line + "\n";
      return text;
    } catch (std::exception const& e) {
      return fmt::format("error: {}\n", e.what());
    }
  }

private:
  using words = std::vector<std::string>;

  static base::duration time(std::string const& text) {
    std::size_t end = 0;
    auto const n = std::stod(text, &end);
    auto const unit = text.substr(end);
    auto const of = unit == "ms"  ? base::duration(1ms)
                    : unit == "s" ? base::duration(1s)
                                  : base::duration(1min);
    return std::chrono::duration_cast<base::duration>(n * of);
  }
  static d::side side_of(std::string const& word) {
    if (word == "companion") return d::side::companion;
    if (word == "app") return d::side::app;
    if (word == "both") return d::side::both;
    throw std::runtime_error("no side: " + word);
  }
  static words from(words const& all, std::size_t first) {
    return {all.begin() + static_cast<std::ptrdiff_t>(std::min(first, all.size())), all.end()};
  }
  static std::string joined(words const& all, std::size_t first, char const* between = " ") {
    return fmt::format("{}", fmt::join(from(all, first), between));
  }
  static d::request_id number(std::string const& word) { return std::stoull(word); }

  static d::source source_of(words const& w) {
    auto const& kind = w.at(1);
    if (kind == "custom") return d::custom{};
    if (kind == "nodes") return d::node_list{from(w, 2)};
    if (kind == "epmd") return d::epmd_hosts{from(w, 2)};
    if (kind == "dns") return d::dns_name{w.at(2), w.at(3)};
    if (kind == "srv") return d::dns_service{w.at(2), w.at(3)};
    if (kind == "file") return d::node_file{w.at(2)};
    if (kind == "hosts-file") return d::hosts_file{w.at(2)};
    throw std::runtime_error("no source: " + kind);
  }
  static d::answer answer_of(words const& w) {
    auto const& kind = w.at(2);
    if (kind == "listed") return d::listed{from(w, 3)};
    if (kind == "names") return d::names{from(w, 3)};
    if (kind == "addresses") return d::addresses{from(w, 3)};
    if (kind == "text") {
      auto lines = joined(w, 3);
      std::replace(lines.begin(), lines.end(), '/', '\n');
      return d::text{lines};
    }
    if (kind == "targets") {
      d::targets out;
      for (auto const& host : from(w, 3)) out.list.push_back({host, 0});
      return out;
    }
    if (kind == "failed")
      for (int c = 0; c <= static_cast<int>(d::cause::by_app); ++c)
        if (d::name_of(static_cast<d::cause>(c)) == w.at(3))
          return d::failed{static_cast<d::cause>(c), joined(w, 4)};
    throw std::runtime_error("no answer: " + kind);
  }
  void set(words const& w) {
    auto const& what = w.at(1);
    if (what == "grace")
      options_.grace = static_cast<unsigned>(std::stoul(w.at(2)));
    else if (what == "poll")
      options_.poll_interval = time(w.at(2));
    else if (what == "who")
      options_.who = side_of(w.at(2));
    else if (what == "keep")
      options_.keep_missing_nodes = true;
    else if (what == "dial_limit")
      options_.dial_limit = std::stoul(w.at(2));
    else
      throw std::runtime_error("nothing to set: " + what);
  }
  test::discovery_paper& core() {
    if (!paper_) paper_.emplace(options_);
    return *paper_;
  }

  test::lines perform(words const& w, std::string const& command) {
    auto const& verb = w.at(0);
    if (verb == "source" || verb == "set") {
      if (verb == "set") {
        set(w);
      } else {
        if (configured_) options_.sources.clear();
        configured_ = false;
        options_.sources.push_back(source_of(w));
      }
      auto const wrong = d::find_wrong(options_);
      if (wrong) throw std::runtime_error(wrong->text);
      return {};
    }
    auto& p = core();
    configured_ = true;
    if (verb == "start") return p.start();
    if (verb == "configure") return p.on(d::configure{options_});
    if (verb == "refresh") return p.on(d::refresh{number(w.at(1))});
    if (verb == "pause") return p.on(d::pause{number(w.at(1))});
    if (verb == "resume") return p.on(d::resume{number(w.at(1))});
    if (verb == "shutdown") return p.on(d::shutdown{number(w.at(1))});
    if (verb == "app") return w.at(1) == "gone" ? p.on(d::app_gone{}) : p.on(d::app_here{w.at(1)});
    if (verb == "answer") return p.answer(number(w.at(1)), answer_of(w));
    if (verb == "changed") return p.on(d::changed{number(w.at(1))});
    if (verb == "pass") return p.pass(time(w.at(1)));
    if (verb == "up") return p.on(d::link_up{side_of(w.at(1)), w.at(2), w.size() < 4 || w.at(3) != "theirs"});
    if (verb == "lost") return p.on(d::link_down{side_of(w.at(1)), w.at(2), joined(w, 3)});
    if (verb == "fails") return p.on(d::link_failed{side_of(w.at(1)), w.at(2), joined(w, 3)});
    if (verb == "disconnected")
      return p.on(d::disconnected{side_of(w.at(1)), w.at(2),
                                  w.size() > 3 ? std::optional(joined(w, 3)) : std::nullopt});
    throw std::runtime_error("unknown command: " + command);
  }

  d::options options_ = [] {
    d::options o;
    o.poll_jitter = 0;
    o.who = d::side::companion;
    return o;
  }();
  bool configured_ = false;
  std::optional<test::discovery_paper> paper_;
};

} // namespace

TEST_CASE("the stories of discovery") { test::play_all<story>({"discovery_"}, true); }
