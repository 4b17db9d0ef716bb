// Discovery for native code and for the application beside us: one process that hosts the core
// (discovery/core) and carries out what it decides. It starts with the first that asks for it.
//
//   discoverer.begin({.core = {.sources = {..}}});      from the command line, before the node runs, or later
//   discoverer.refresh([](auto const& result) { .. });
//
// Links of this node are made here: an attempt is a process that reaches the peer. Links of the application's
// VM are made by its front, a process over there that has called configure() and is told what to do; while
// there is none, that side rests. Look-ups are made by whoever has set_outside(): its answers come back
// through answered(), changed() and packet(), from outside of any process of the node.
//
// A run_once() has a core of its own, which ends with its first round.
#pragma once

#include "base/result.hpp"
#include "discovery/core.hpp"
#include "node/core.hpp"
#include "services/names.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace remora::services {

struct discovery_settings {
  discovery::options core{};
  std::vector<std::string> dns_servers{}; // IP[:PORT]; empty: the system's
};

// Who looks things up. The ids are of this node, never used twice.
struct discovery_outside {
  std::function<void(discovery::question_id, discovery::question const&,
                     std::vector<std::string> const& dns_servers)>
      ask;
  std::function<void(discovery::question_id)> forget;
  std::function<void(discovery::question_id group, std::string const& bytes)> send;
  std::function<void(discovery::options&)> fill_in; // what stands in the environment
  std::function<std::int64_t()> unix_ms;            // the wall clock
  std::function<std::string(discovery_settings const&)>
      find_wrong;                         // beyond the core's: a sentence, or nothing
  std::function<std::uint64_t()> boot_id; // another for each core: drawn by the operating system
};

class discoverer {
public:
  static constexpr std::size_t once_max = 16;           // run_once() under way
  static constexpr std::size_t app_links_max = 100'000; // that a front can report; further ones are not kept
  using done = std::function<void(discovery::result const&)>;
  using wrong = discovery::wrong_option;

  explicit discoverer(node::core& node);
  void set_names(names n); // they hear before a link is ended on purpose
  void set_outside(discovery_outside outside);

  // The settings of the program itself, from now on; they stay whatever the application does. Without a
  // source they only wait for it.
  std::optional<wrong> begin(discovery_settings s);
  // The application's: added to the program's own sources. The front hears {remora_discovery, Ref, News}
  // until it ends or another takes its place; with it its sources go, links stay.
  base::result<etf::reference, wrong> configure(etf::pid const& front, discovery_settings s);
  discovery_settings const& own() const; // what configure() is to begin with

  // Each is answered once. Without settings: false, and no answer.
  bool refresh(done told);
  bool pause(done told);
  bool resume(done told);
  bool shutdown(done told); // for good; a later begin() or configure() starts anew
  // A round of its own. What it returns ends it early, without an answer.
  base::result<std::function<void()>, wrong> run_once(discovery_settings s, done told);

  bool configured() const;
  discovery::status status() const;
  // Every piece of news, of run_once() too. One observer.
  void observe(std::function<void(discovery::news const&)> told);
  // That this node does not reach it was news (connect_failed); and for that reason not for the first time.
  bool tells_of(std::string_view node) const;
  bool repeats(std::string_view node) const;

  // From the front. False: of another than the present one.
  bool link_up(etf::reference const& front, std::string node);
  bool link_down(etf::reference const& front, std::string node, std::string reason);
  bool link_failed(etf::reference const& front, std::string node, std::string reason);
  bool disconnected(etf::reference const& front, std::string node, std::optional<std::string> failure);
  bool listed(etf::reference const& front, std::uint64_t id, discovery::answer answer);

  // From outside.
  void answered(discovery::question_id id, discovery::answer answer);
  void changed(discovery::question_id id);
  void packet(discovery::question_id id, std::string bytes, std::string from);

private:
  struct shared;
  struct run;
  std::shared_ptr<shared> all_;
};

} // namespace remora::services
