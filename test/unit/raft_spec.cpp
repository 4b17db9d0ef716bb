// Runs the scripts test/spec/raft*.txt (see script.hpp): stories of a cluster that elects (raft_cluster.hpp;
// election timeouts of 150 to 300 ms, heartbeats each 30, a lease of 90). Its commands:
//
//   set priority N | lease TIME | name_lease TIME | expect N | observer | voters A B..   of nodes that come
//   then node A.. [nodisk]       start A..      form A.. (these are the voters, b leads) kill A..
//   restart A    wipe A (its disk)   disk A fails | works | slow    freeze A   thaw A cut A B [silently] deaf
//   A B (B does not hear A)      heal A B suspect A B (A is told that B is dead)      seen A.. elect A N
//   transfer A N [B]   add A N B   remove A N B   check A N TOKEN   resign A N   stop A campaign A OWNER NAME
//   withdraw A OWNER messages on | off       what is said besides heartbeats is shown term A N (its disk has
//   that term; before start) pass TIME      until leader (at most 5 s)      status A..      holders A.. OWNER
//
// What is shown: what the nodes say, in the order in which they do.
#include "unit/raft_cluster.hpp"
#include "unit/script.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

using namespace remora;
using namespace std::chrono_literals;

namespace {

class story {
public:
  std::string play(std::string const& command) {
    try {
      std::stringstream in(command);
      words all;
      for (std::string w; in >> w;) all.push_back(w);
      c_.lines.clear();
      auto out = perform(all);
      std::string text;
      for (auto const& line : c_.lines)
        if (!line.ends_with("bytes") && line.find(": heartbeat") == std::string::npos &&
            line.find(": persist") == std::string::npos)
          text += line + "\n";
      return text + out;
    } catch (std::exception const& e) {
      return fmt::format("error: {}\n", e.what());
    }
  }

private:
  using words = std::vector<std::string>;

  static base::duration time(std::string const& text) {
    std::size_t end = 0;
    auto const n = std::stod(text, &end);
    auto const of = text.substr(end) == "ms" ? base::duration(1ms) : base::duration(1s);
    return std::chrono::duration_cast<base::duration>(n * of);
  }

  std::string perform(words const& w) {
    auto const& verb = w.at(0);
    auto const rest = words(w.begin() + 1, w.end());
    auto const id = [&] { return std::stoull(w.at(2)); };
    auto const node = [&](std::size_t i) { return w.size() > i ? test::raft_cluster::full(w.at(i)) : ""; };
    if (verb == "set") return set(rest);
    if (verb == "node") {
      bool const disk = rest.back() != "nodisk";
      for (auto const& l : rest)
        if (l != "nodisk") c_.add(l, disk);
    } else if (verb == "start") {
      for (auto const& l : rest) c_.start(l);
    } else if (verb == "form") {
      c_.form(rest);
      if (c_.leader() != "b@h") c_.on(c_.leader(), raft::transfer{999, "b@h"});
      c_.pass(1s);
      c_.lines.clear();
      return "leader " + c_.leader() + "\n";
    } else if (verb == "kill") {
      for (auto const& l : rest) c_.kill(l);
    } else if (verb == "restart") {
      c_.kill(w.at(1));
      c_.start(w.at(1));
    } else if (verb == "wipe") {
      c_.at(w.at(1)).disk = c_.fresh();
    } else if (verb == "term") {
      c_.at(w.at(1)).disk->term = id();
    } else if (verb == "disk") {
      c_.at(w.at(1)).broken = w.at(2) == "fails";
      c_.at(w.at(1)).disk_time = w.at(2) == "slow" ? 30ms : 1ms;
    } else if (verb == "freeze" || verb == "thaw") {
      c_.at(w.at(1)).paused = verb == "freeze";
    } else if (verb == "cut") {
      c_.cut(w.at(1), w.at(2), w.size() < 4);
    } else if (verb == "deaf") {
      c_.cut_one_way(w.at(1), w.at(2));
    } else if (verb == "heal") {
      c_.heal(w.at(1), w.at(2));
    } else if (verb == "suspect") {
      c_.on(w.at(1), raft::suspected_dead{node(2)});
    } else if (verb == "seen") {
      raft::seen s;
      for (auto const& l : rest) s.nodes.push_back(test::raft_cluster::full(l));
      for (auto const& l : rest) c_.on(l, s);
    } else if (verb == "elect") {
      c_.on(w.at(1), raft::elect{id()});
    } else if (verb == "transfer") {
      c_.on(w.at(1), raft::transfer{id(), node(3)});
    } else if (verb == "resign") {
      c_.on(w.at(1), raft::transfer{id(), {}});
    } else if (verb == "add") {
      c_.on(w.at(1), raft::add_voter{id(), node(3)});
    } else if (verb == "remove") {
      c_.on(w.at(1), raft::remove_voter{id(), node(3)});
    } else if (verb == "check") {
      c_.on(w.at(1), raft::check_token{id(), std::stoull(w.at(3))});
    } else if (verb == "stop") {
      c_.on(w.at(1), raft::stop{});
    } else if (verb == "campaign") {
      c_.on(w.at(1), raft::campaign{id(), w.at(3)});
    } else if (verb == "withdraw") {
      c_.on(w.at(1), raft::withdraw{id()});
    } else if (verb == "messages") {
      c_.show_messages = w.at(1) == "on";
    } else if (verb == "pass") {
      c_.pass(time(w.at(1)));
    } else if (verb == "until") {
      auto const began = c_.now;
      auto const before = c_.leader();
      while (c_.now < began + 5s && (c_.leader().empty() || c_.leader() == before)) c_.pass(1ms);
      return fmt::format("after {} ms {} surely leads\n", (c_.now - began) / 1ms,
                         c_.leader().empty() ? "nobody" : c_.leader());
    } else if (verb == "status") {
      std::string out;
      for (auto const& l : rest) out += status_of(l);
      return out;
    } else if (verb == "holders") {
      std::string out;
      for (std::size_t i = 1; i + 1 < w.size(); ++i) {
        auto const left = c_.at(w[i]).core->name_lease_left(std::stoull(w.back()), c_.now);
        out += fmt::format("{}: {}\n", w[i], left > 0ms ? "holds" : "does not hold");
      }
      return out;
    } else {
      throw std::runtime_error("unknown command: " + verb);
    }
    return {};
  }

  std::string set(words const& w) {
    auto& o = c_.o;
    auto const& what = w.at(0);
    if (what == "priority")
      o.priority = static_cast<std::uint32_t>(std::stoul(w.at(1)));
    else if (what == "lease")
      o.lease = time(w.at(1));
    else if (what == "name_lease")
      o.name_lease = time(w.at(1));
    else if (what == "expect")
      o.bootstrap_expect = static_cast<std::uint32_t>(std::stoul(w.at(1)));
    else if (what == "observer")
      o.observer = true;
    else if (what == "voters") {
      o.voters.clear();
      for (std::size_t i = 1; i < w.size(); ++i) o.voters.push_back(test::raft_cluster::full(w[i]));
    } else
      throw std::runtime_error("nothing to set: " + what);
    return {};
  }

  std::string status_of(std::string const& letter) {
    if (!c_.at(letter).core) return letter + ": down\n";
    auto const s = c_.status(letter);
    std::vector<std::string> voters;
    for (auto const& v : s.config.voters)
      voters.push_back(v.node.substr(0, 1) + (v.instance == 0 ? "?" : ""));
    return fmt::format("{}: {} term {} leader {} config {}.{} [{}]{}\n", letter, raft::name_of(s.role),
                       s.term, s.leader.empty() ? "-" : s.leader, s.config.term, s.config.version,
                       fmt::join(voters, " "), s.lease_left > 0ms ? " surely" : "");
  }

  test::raft_cluster c_;
};

} // namespace

TEST_CASE("the stories of election") { test::play_all<story>({"raft_"}, true); }
