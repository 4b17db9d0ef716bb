// What the parts of the registry share: who we are, whom we know, the names and the locks, and the rules for
// putting something into them (protocol.md 7.1 to 7.3). The parts decide; this keeps the tables true.
#pragma once

#include "base/random.hpp"
#include "base/time.hpp"
#include "global/effects.hpp"
#include "global/locks.hpp"
#include "global/names.hpp"
#include "global/options.hpp"

#include <boost/unordered/unordered_flat_set.hpp>

#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace remora::global {

inline constexpr int protocol_version = 8;       // of OTP 25 to 27
inline constexpr int verify_connect_version = 8; // init_connect_ack, cancel_connect, tagged lock_set
inline constexpr int pop_version = 7;            // lost_connection, remove_connection, nodes with versions
inline constexpr std::string_view server_name = "global_name_server";

// Who puts a name in: the process that called register, or the requester of the lock that a name server
// announces (7.3).
struct authority {
  etf::pid const* caller = nullptr;
  etf::view requester{};
};

class state {
public:
  state(std::array<etf::pid, roles> pids, std::uint32_t creation, options opts, std::uint64_t seed);

  options opts;
  etf::atom us;
  std::array<etf::pid, roles> pids;
  std::uint32_t creation;
  base::random random;
  base::time_point now{};
  effects* out = nullptr; // of the event that is handled
  bool unsettled = false; // since the last look, something happened after which nodes may differ

  std::map<etf::atom, int> known; // with their protocol versions
  std::map<etf::atom, int> pending;
  std::set<etf::atom> removing;
  std::set<etf::atom> synced;
  std::map<etf::atom, std::uint32_t> up; // visible peers, with their creations
  names_table names;
  locks_table locks;

  etf::pid const& pid(role r) const { return pids[static_cast<std::size_t>(r)]; }
  std::uint64_t next_id() { return ++last_id_; }
  etf::atom const& boss() const; // the greatest of us and the known
  bool potentially_known(etf::atom const& n) const { return known.contains(n) || pending.contains(n); }
  int version_of(etf::atom const& n) const;
  std::uint32_t creation_of(etf::atom const& n) const; // 0 when it is not up

  void emit(effect e) { out->push_back(std::move(e)); }
  void cast(role as, etf::atom const& node, etf::view message, bool dial = true); // {'$gen_cast', Message}
  void send_plain(etf::atom const& node, etf::term message);                      // noconnect
  void log(notice::level how, std::string text) { emit(notice{how, std::move(text)}); }
  void complain(std::string_view about, etf::view what); // of a malformed message, once of each kind

  // Calls to the name server: also those that our own locker and registrar make of it.
  bool set_lock(etf::view resource, etf::view requester, etf::pid const& holder);
  void del_lock(etf::view resource, etf::view requester, etf::pid const& holder);
  void insert(entry e, authority who);
  void erase(etf::view name);
  void ended(etf::pid const& p); // a watched process: its locks and names

private:
  bool lock_still_set(authority who) const;
  bool ours(etf::pid const& p) const;
  void watch_pid(etf::pid const& p);
  void unwatch_pid(etf::pid const& p);

  std::uint64_t last_id_;
  boost::unordered_flat_map<etf::pid, std::uint32_t> watched_; // how often
  std::set<std::string, std::less<>> complaints_;
};

// A lock id: {Resource, Requester}.
struct lock_id {
  etf::term resource;
  etf::term requester;
  etf::term whole() const { return etf::make(etf::tup(resource, requester)); }
};

} // namespace remora::global
