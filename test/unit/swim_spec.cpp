// Runs the scripts test/spec/swim_*.txt (see script.hpp): stories of membership. Its commands, of one core
// that is called me@h, whose effects are shown:
//
//   me with A@H..         a core that knows these members, and has nothing to say
//   next                  to its next deadline          pass TIME    ticks at each deadline until then
//   ack N by A@H          nack N by A@H
//   gossip alive|suspect|dead|left A@H INCARNATION [by B@H]
//
// and of a pond of cores that are all connected, whose news is shown, each with the node that says it:
//
//   pond A@H..            interval 200 ms
//   pass TIME             hang A@H     resume A@H     restart A@H     leave A@H     kill A@H
//   cut A@H.. | B@H..     heal         connect A@H B@H                disconnect A@H B@H
//   vm A@H of B@H         silent A@H   answers A@H
//   metadata A@H KEY VALUE             event A@H NAME PAYLOAD
//   members A@H           what it knows
#include "swim/metadata.hpp"
#include "unit/script.hpp"
#include "unit/swim_paper.hpp"

#include <fmt/format.h>

#include <optional>
#include <set>
#include <sstream>

using namespace remora;
using namespace std::chrono_literals;
using swim::message_kind;
using test::lines;

namespace {

class story {
public:
  std::string play(std::string const& command) {
    std::stringstream in(command);
    words all;
    for (std::string w; in >> w;) all.push_back(w);
    std::string text;
    try {
      for (auto const& line : pond_ ? in_pond(all) : on_paper(all)) text += line + "\n";
    } catch (std::exception const& e) {
      return fmt::format("error: {}\n", e.what());
    }
    return text;
  }

private:
  using words = std::vector<std::string>;

  static base::duration time(std::string const& text) {
    std::size_t end = 0;
    auto const n = std::stoll(text, &end);
    auto const unit = text.substr(end);
    return unit == "ms" ? base::duration(n * 1ms) : base::duration(n * 1s);
  }
  static std::uint32_t number(std::string const& text) {
    return static_cast<std::uint32_t>(std::stoul(text));
  }

  lines on_paper(words const& w) {
    auto const& verb = w.at(0);
    if (verb == "pond") {
      pond_.emplace(words(w.begin() + 1, w.end()));
      return news();
    }
    if (verb == "me") {
      paper_.emplace();
      std::vector<std::string_view> all;
      for (std::size_t i = 2; i < w.size(); ++i) all.emplace_back(w[i]);
      paper_->with(all);
      return {};
    }
    auto& p = *paper_;
    if (verb == "next") {
      auto const before = p.now;
      auto out = p.wake();
      out.insert(out.begin(), fmt::format("after {} ms", (p.now - before) / 1ms));
      return out;
    }
    if (verb == "pass") return p.pass(time(w.at(1)));
    if (verb == "ack" || verb == "nack")
      return p.hears(
          p.from(w.at(3), verb == "ack" ? message_kind::ack : message_kind::nack, number(w.at(1))));
    if (verb == "gossip") {
      auto const incarnation = number(w.at(3));
      auto const by = w.size() > 5 ? w.at(5) : "b@h";
      if (w.at(1) == "alive") return p.gossip({p.alive(w.at(2), incarnation)});
      if (w.at(1) == "suspect") return p.gossip({p.suspect(w.at(2), incarnation, by)});
      if (w.at(1) == "dead") return p.gossip({p.dead(w.at(2), incarnation, by)});
      if (w.at(1) == "left") return p.gossip({p.left(w.at(2), incarnation)});
    }
    throw std::runtime_error("unknown command: " + verb);
  }

  // What is said of one change is shown once, with all who say it.
  lines news() {
    std::map<std::string, std::set<std::string>> by;
    std::vector<std::string> in_order;
    for (auto& [node, i] : pond_->all) {
      for (auto const& line : i.news) {
        if (!by.contains(line)) in_order.push_back(line);
        by[line].insert(node);
      }
      i.news.clear();
    }
    lines out;
    for (auto const& line : in_order) {
      std::string who;
      for (auto const& node : by[line]) who += (who.empty() ? "" : " ") + node;
      out.push_back(who + ": " + line);
    }
    return out;
  }

  lines in_pond(words const& w) {
    auto const& verb = w.at(0);
    auto& p = *pond_;
    if (verb == "pass") {
      p.pass(time(w.at(1)));
      return news();
    }
    if (verb == "members") {
      lines out;
      for (auto const& m : p.all.at(w.at(1)).core->members()) {
        auto line =
            fmt::format("{} {} {} incarnation {}", m.node, name_of(m.kind), name_of(m.status), m.incarnation);
        if (!m.companion.empty()) line += " companion " + m.companion;
        if (auto const all = swim::read_metadata(m.metadata))
          for (auto const& [key, value] : *all) line += fmt::format(" {}={}", key, value);
        out.push_back(line);
      }
      return out;
    }
    if (verb == "hang")
      p.all.at(w.at(1)).hangs = true;
    else if (verb == "resume")
      p.all.at(w.at(1)).hangs = false;
    else if (verb == "kill")
      end(w.at(1));
    else if (verb == "leave") {
      p.handle(w.at(1), swim::leave{});
      end(w.at(1));
    } else if (verb == "restart") {
      auto const creation = p.all.at(w.at(1)).creation;
      end(w.at(1));
      p.now += 1ms;
      p.add(w.at(1), creation + 1);
      for (auto const& [other, i] : p.all)
        if (other != w.at(1) && i.up) p.connect(w.at(1), other);
    } else if (verb == "cut") {
      std::set<std::string> left(w.begin() + 1, std::find(w.begin(), w.end(), "|"));
      p.lost = [left](auto const& a, auto const& b) { return left.contains(a) != left.contains(b); };
      for (auto const& [a, i] : p.all)
        for (auto const& [b, j] : p.all)
          if (left.contains(a) && !left.contains(b)) p.disconnect(a, b);
    } else if (verb == "heal")
      p.lost = nullptr;
    else if (verb == "connect")
      p.connect(w.at(1), w.at(2));
    else if (verb == "disconnect")
      p.disconnect(w.at(1), w.at(2));
    else if (verb == "vm") {
      p.handle(w.at(3), swim::app_here{w.at(1)});
      p.connect(w.at(3), w.at(1));
    } else if (verb == "silent" || verb == "answers") {
      if (verb == "silent")
        silent_.insert(w.at(1));
      else
        silent_.erase(w.at(1));
      p.vm_answers = [this](auto const&, auto const& vm) { return !silent_.contains(vm); };
    } else if (verb == "metadata")
      p.handle(w.at(1), swim::set_metadata{swim::write_metadata({{w.at(2), w.at(3)}})});
    else if (verb == "event")
      p.handle(w.at(1), swim::user_event{w.at(2), w.at(3)});
    else
      throw std::runtime_error("unknown command: " + verb);
    return news();
  }
  void end(std::string const& node) {
    auto& p = *pond_;
    p.all.at(node).up = false;
    auto const connected = p.all.at(node).connected;
    for (auto const& other : connected) p.disconnect(node, other);
  }

  std::optional<test::swim_paper> paper_;
  std::optional<test::swim_pond> pond_;
  std::set<std::string> silent_;
};

} // namespace

TEST_CASE("the stories of membership") { test::play_all<story>({"swim_"}, true); }
