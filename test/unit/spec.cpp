// Runs the scripts of test/spec (see script.hpp), except discovery's: stories of whole nodes.
//
//   node a@h [hidden] [cookie=C] [pg=S,..] [global]   a node of ours, with these scopes of process groups, in
//   `global` p register N [Policy]  p unregister N  p whereis N     global names, asked by p for itself raw
//   r@h [cookie=C] [creation=N] [answer=nok|alive|..]   a peer that does as it is told; again: other settings
//   process a p [mortal]                     a process p of a: it traps exits, and its mailbox is shown
//   function b m:f/N answer T | exit T | throw T | error T | send ARG1 T     what may be called on b p
//   link|unlink q     p exit q REASON      p send q TERM   p monitor q | {name,node@h}   p demonitor p call
//   {name,node@h} TERM [SECONDS]      p rpc node@h m f ARGS [SECONDS] p spawn node@h m f ARGS [link]
//   [monitor] r dial a     r send CONTROL [| PAYLOAD]  r hang_up       a dial b@h     a leave hold | release
//   dials wait | go on cut a b      restart b      pass 7s      tap on|off
//
// After each command everything runs until nothing moves. In terms $p is the pid of p. What is shown: frames
// when tapped, what nodes tell, what processes got; pids by their names, references R1, R2.. in order of
// appearance.
#include "etf/parse.hpp"
#include "etf/print.hpp"
#include "services/services.hpp"
#include "support/world.hpp"
#include "unit/script.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <regex>
#include <sstream>

using namespace remora;
using namespace remora::test;
using namespace std::chrono_literals;

namespace {

class story {
public:
  // Everything that came of one command.
  std::string play(std::string const& command) {
    try {
      perform(command);
      w_.run();
    } catch (std::exception const& e) {
      return fmt::format("error: {}\n", e.what());
    }
    std::string out;
    for (auto line : w_.take_trace()) {
      for (auto at = line.find('\n'); at != std::string::npos; at = line.find('\n'))
        line.replace(at, 1, "~n");
      out += line + "\n";
    }
    for (auto const& [name, pid] : processes_) {
      for (auto const& line : w_.log(pid)) out += fmt::format("{} got {}\n", name, line);
      w_.log(pid).clear();
    }
    for (auto& line : std::exchange(answers_, {})) out += line + "\n";
    return with_named_pids(out);
  }

private:
  using words = std::vector<std::string>;

  static words split(std::string const& text) { // at spaces outside of brackets and quotes
    words out;
    std::string word;
    int depth = 0;
    bool quoted = false;
    for (char const c : text) {
      if (c == '\'') quoted = !quoted;
      if (!quoted && (c == '{' || c == '[' || c == '<')) ++depth;
      if (!quoted && (c == '}' || c == ']' || c == '>')) --depth;
      if (c == ' ' && depth == 0 && !quoted) {
        if (!word.empty()) out.push_back(std::exchange(word, {}));
      } else {
        word += c;
      }
    }
    if (!word.empty()) out.push_back(word);
    return out;
  }

  static std::string full(std::string const& node) {
    return node.find('@') == std::string::npos ? node + "@h" : node;
  }
  static std::string short_name(std::string const& node) { return node.substr(0, node.find('@')); }
  static std::string option(words const& all, std::string const& name) {
    for (auto const& word : all)
      if (word.starts_with(name + "=")) return word.substr(name.size() + 1);
    return {};
  }
  static bool has(words const& all, std::string_view word) {
    return std::find(all.begin(), all.end(), word) != all.end();
  }
  static base::duration seconds(std::string const& text) {
    return std::chrono::duration_cast<base::duration>(std::chrono::duration<double>(std::stod(text)));
  }

  static void replace_all(std::string& text, std::string const& word, std::string const& by) {
    for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + by.size()))
      text.replace(at, word.size(), by);
  }

  // P1, P2.. in the order in which they appear: a story is not about how many processes a node starts with.
  std::string with_named_pids(std::string out) {
    static std::regex const any("#Pid<[^>]*>");
    for (std::smatch found; std::regex_search(out, found, any);) {
      auto const text = found.str();
      auto const seen = std::find(pids_.begin(), pids_.end(), text);
      auto const number = seen - pids_.begin() + 1;
      if (seen == pids_.end()) pids_.push_back(text);
      replace_all(out, text, fmt::format("P{}", number));
    }
    return out;
  }

  etf::term term(std::string text) const {
    for (auto const& [name, pid] : processes_) replace_all(text, "$" + name, etf::print(etf::make(pid)));
    for (auto n = pids_.size(); n > 0; --n) replace_all(text, fmt::format("$P{}", n), pids_[n - 1]);
    auto t = etf::parse(text);
    if (!t) throw std::runtime_error(text + ": " + etf::describe(t.error()));
    return *t;
  }
  node::destination to(std::string const& word) const {
    if (auto const p = processes_.find(word); p != processes_.end()) return p->second;
    auto d = node::as_destination(term(word));
    if (!d) throw std::runtime_error("no destination: " + word);
    return *d;
  }
  etf::pid pid(std::string const& word) const {
    auto const d = to(word);
    if (!d.pid) throw std::runtime_error("no pid: " + word);
    return *d.pid;
  }
  node::core& core(std::string const& name) { return w_.at(full(name)); }

  void perform(std::string const& command) {
    auto const all = split(command);
    auto const& verb = all.at(0);
    if (verb == "node") return add_node(all);
    if (verb == "raw") return add_raw(all);
    if (verb == "process") {
      auto const p = w_.probe(core(all.at(1)), all.at(2), !has(all, "mortal"));
      processes_[all.at(2)] = p;
      return;
    }
    if (verb == "pid") { // of a raw peer: pid q r@h 1
      etf::pid const p{.node = etf::atom(full(all.at(2))),
                       .id = static_cast<std::uint32_t>(std::stoul(all.at(3))),
                       .serial = 0,
                       .creation = raws_.at(full(all.at(2)))->creation};
      processes_[all.at(1)] = p;
      return w_.label(p, all.at(1));
    }
    if (verb == "function") return add_function(all);
    if (verb == "hold" || verb == "release") return w_.hold_dials(verb == "hold");
    if (verb == "cut") return w_.cut(full(all.at(1)), full(all.at(2)));
    if (verb == "restart") {
      w_.restart(full(all.at(1)));
      return;
    }
    if (verb == "pass") return w_.pass(seconds(all.at(1)));
    if (verb == "tap") return w_.tap(all.at(1) == "on");
    if (auto const r = raws_.find(full(verb)); r != raws_.end()) return act(*r->second, all, command);
    if (auto const p = processes_.find(verb); p != processes_.end()) return act(p->second, all);
    if (all.at(1) == "dial") return core(verb).connect(etf::atom(full(all.at(2))));
    if (all.at(1) == "leave") return core(verb).leave(w_.now());
    if (all.at(1) == "pg") return act_on_groups(groups_.at(full(verb)), all);
    throw std::runtime_error("unknown command");
  }

  void add_node(words const& all) {
    node::core_options options;
    options.hidden = has(all, "hidden");
    options.cookie = option(all, "cookie");
    services::about about{.version = "spec"};
    std::stringstream scopes(option(all, "pg"));
    for (std::string scope; std::getline(scopes, scope, ',');) about.pg_scopes.push_back(scope);
    auto& n = w_.add(full(all.at(1)), options);
    if (has(all, "global")) about.registry.emplace();
    auto const installed = services::install(n, about);
    groups_.insert_or_assign(full(all.at(1)), installed.groups);
    if (installed.names) {
      names_.insert_or_assign(full(all.at(1)), *installed.names);
      auto const gns = n.find_registered("global_name_server")->pid;
      for (std::uint32_t i = 0; i < 3; ++i) { // spawned one behind the other
        auto pid = gns;
        pid.id += i;
        static constexpr std::array<std::string_view, 3> roles = {"gns", "lock", "reg"};
        w_.label(pid, std::string(roles.at(i)) + short_name(all.at(1)));
      }
    }
    for (auto const& scope : about.pg_scopes)
      w_.label(n.find_registered(scope)->pid, scope + short_name(all.at(1)));
  }

  void add_raw(words const& all) {
    auto const name = full(all.at(1));
    if (!raws_.contains(name)) raws_[name] = &w_.raw(name);
    auto& r = *raws_[name];
    if (auto const cookie = option(all, "cookie"); !cookie.empty()) r.cookie = cookie;
    if (auto const creation = option(all, "creation"); !creation.empty())
      r.creation = static_cast<std::uint32_t>(std::stoul(creation));
    if (has(all, "mute")) r.mute = true;
    auto const answer = option(all, "answer");
    if (answer == "ok") r.answer = dist::status::ok;
    if (answer == "nok") r.answer = dist::status::nok;
    if (answer == "alive") r.answer = dist::status::alive;
    if (answer == "not_allowed") r.answer = dist::status::not_allowed;
  }

  // function b m:f/N how T
  void add_function(words const& all) {
    auto const& mfa = all.at(2);
    auto const colon = mfa.find(':');
    auto const slash = mfa.find('/');
    auto const how = all.at(3);
    auto const value = term(all.at(4));
    core(all.at(1)).functions().add(
        mfa.substr(0, colon), mfa.substr(colon + 1, slash - colon - 1), std::stoul(mfa.substr(slash + 1)),
        [how, value](node::self me, etf::term arguments) -> node::task<etf::term> {
          if (how == "exit") me.exit(value);
          if (how == "throw") throw node::raised{node::raised::kind::throw_, value};
          if (how == "error") throw node::raised{node::raised::kind::error, value};
          if (how == "send") me.send(*(*arguments->list()->next()).as_pid(), value);
          if (how == "wait") co_await me.receive();
          co_return value;
        });
  }

  // a pg join | leave SCOPE GROUP PIDS      a pg members SCOPE GROUP
  void act_on_groups(services::groups& g, words const& all) {
    auto const group = term(all.at(4));
    if (all.at(2) == "members") {
      auto const members = g.members(all.at(3), group);
      auto sorted = std::vector(members.begin(), members.end());
      std::sort(sorted.begin(), sorted.end());
      answers_.push_back("members: " + w_.text(etf::make(sorted)));
      return;
    }
    auto const who = term(all.at(5));
    auto const one = who->as_pid();
    auto const several = *pg::read_pids(who);
    bool const join = all.at(2) == "join";
    auto const done = join ? (one ? g.join(all.at(3), group, *one) : g.join(all.at(3), group, several))
                           : (one ? g.leave(all.at(3), group, *one) : g.leave(all.at(3), group, several));
    if (done == services::groups::outcome::not_joined) answers_.push_back("not_joined");
  }

  void act(raw_peer& r, words const& all, std::string const& command) {
    if (all.at(1) == "dial") return r.dial(full(all.at(2)));
    if (all.at(1) == "hang_up") return r.hang_up();
    if (all.at(1) == "tick") return r.tick();
    if (all.at(1) != "send") throw std::runtime_error("unknown command of a raw peer");
    auto const rest = command.substr(command.find(" send ") + 6);
    auto const bar = rest.find(" | ");
    r.send_term(term(rest.substr(0, bar)),
                bar == std::string::npos ? etf::term() : term(rest.substr(bar + 3)));
  }

  void act(etf::pid const& p, words const& all) {
    auto me = w_.as(p);
    auto const& verb = all.at(1);
    if (verb == "link") return me.link(pid(all.at(2)));
    if (verb == "unlink") return me.unlink(pid(all.at(2)));
    if (verb == "exit") return me.exit_other(pid(all.at(2)), term(all.at(3)));
    if (verb == "send") {
      me.send(to(all.at(2)), term(all.at(3)));
      return;
    }
    if (verb == "monitor") {
      monitors_[p.id] = me.monitor(to(all.at(2)));
      return;
    }
    if (verb == "demonitor") return me.demonitor(monitors_.at(p.id));
    if (verb == "monitor_nodes") return me.monitor_nodes(true);
    if (verb == "leader") return me.set_leader(pid(all.at(2)));
    if (verb == "call")
      return call(p, to(all.at(2)), term(all.at(3)), all.size() > 4 ? seconds(all.at(4)) : 5s);
    if (verb == "rpc") return rpc(p, all);
    if (verb == "register" || verb == "unregister") return change_name(p, all);
    if (verb == "whereis") {
      auto const* const found = names_.at(std::string(p.node.text())).whereis(*term(all.at(2)));
      return answers_.push_back("whereis: " + (found != nullptr ? w_.text(*etf::make(*found)) : "undefined"));
    }
    if (verb == "spawn") {
      me.spawn_request(etf::atom(full(all.at(2))), all.at(3), all.at(4), term(all.at(5)),
                       {.link = has(all, "link"), .monitor = has(all, "monitor")});
      return;
    }
    throw std::runtime_error("unknown command of a process");
  }

  std::string told(node::call_result const& r) const {
    return r ? w_.text(*r) : fmt::format("failed: {}", w_.text(r.error().reason));
  }
  // In a process of its own beside p, which is only a name in the story.
  void call(etf::pid const& p, node::destination const& server, etf::term const& request,
            base::duration timeout) {
    auto const child = w_.spawn(w_.at(std::string(p.node.text())), [=, this](node::self me) -> node::task<> {
      auto const r = co_await me.call(server, request, timeout);
      answers_.push_back("call: " + told(r));
    });
    w_.label(child, "caller");
  }
  void change_name(etf::pid const& p, words const& all) {
    auto const name = term(all.at(2));
    auto const policy = all.size() > 3 ? global::policy_of(*term(all.at(3))) : global::policy{};
    bool const add = all.at(1) == "register";
    auto const child = w_.spawn(w_.at(std::string(p.node.text())), [=, this](node::self me) -> node::task<> {
      auto const& names = names_.at(std::string(p.node.text()));
      global::outcome said;
      if (add)
        said = co_await names.register_name(me, name, p, *policy);
      else
        said = co_await names.unregister_name(me, name);
      answers_.push_back(all.at(1) + ": " + w_.text(*services::to_term(said)));
    });
    w_.label(child, "caller");
  }
  void rpc(etf::pid const& p, words const& all) {
    auto const arguments = term(all.at(5));
    auto const timeout = all.size() > 6 ? seconds(all.at(6)) : base::duration(5s);
    auto const child = w_.spawn(w_.at(std::string(p.node.text())), [=, this](node::self me) -> node::task<> {
      auto const r = co_await me.rpc(etf::atom(full(all.at(2))), all.at(3), all.at(4), arguments, timeout);
      answers_.push_back("rpc: " + told(r));
    });
    w_.label(child, "caller");
  }

  world w_{1};
  std::map<std::string, raw_peer*> raws_;
  std::map<std::string, etf::pid> processes_;
  std::map<std::string, services::groups> groups_;
  std::map<std::string, services::names> names_;
  std::map<std::uint32_t, etf::reference> monitors_;
  lines answers_;
  std::vector<std::string> pids_; // that appeared without a name
};

} // namespace

TEST_CASE("the stories of test/spec") { play_all<story>({"discovery_", "raft_", "swim_"}, false); }
