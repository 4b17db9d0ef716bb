// A full participant of OTP's `global` (lib/kernel/src/global.erl, protocol version 8; protocol.md 7). Pure:
// what arrives is handled, what should happen comes out as effects, and the core says when it wants to be
// woken.
//
//   core registry(pids, creation, options, seed);
//   registry.handle(node_up{peer}, now, out);           carry out `out`
//   registry.handle(tick{}, now, out)                   at registry.next_deadline()
//   registry.find(name)                                 whereis, at any time
//
// The parts: names and locks are tables (state), the locker and joining bring partitions together, the
// registrar puts names in, partitions drops whom others lost, comparing and mutual find what a cut has torn.
// Calls to the name server are answered at once, whatever the locker and the registrar wait for: two joining
// nodes would wait for each other otherwise.
#pragma once

#include "global/comparing.hpp"
#include "global/joining.hpp"
#include "global/locker.hpp"
#include "global/mutual.hpp"
#include "global/partitions.hpp"
#include "global/registrar.hpp"
#include "global/state.hpp"

namespace remora::global {

class core {
public:
  core(std::array<etf::pid, roles> pids, std::uint32_t creation, options opts, std::uint64_t seed);
  core(core const&) = delete;
  core& operator=(core const&) = delete;

  void handle(event const& e, base::time_point now, effects& out);
  std::optional<base::time_point> next_deadline() const;

  entry const* find(etf::view name) const { return state_.names.find(name); }
  state const& tables() const { return state_; }
  // What became of names: kept from now on, to be taken after each event.
  void keep_changes() { state_.names.keep_changes(); }
  std::vector<name_change> take_changes() { return state_.names.take_changes(); }
  std::size_t sessions() const { return joining_.sessions(); }
  std::size_t remembered_losses() const { return partitions_.remembered(); }

private:
  void on(node_up const& e);
  void on(node_down const& e);
  void on(connect_result const& e);
  void on(message const& e);
  void on(watched_ended const& e);
  void on(request const& e);
  void on(resolve_request const& e);
  void on(resolved_there const& e);
  void on(callback_answer const& e);
  void on(part const& e);
  void on(tick const& e);

  void at_name_server(etf::view message);
  void call(etf::view from, etf::view request);
  std::optional<etf::term> answer(etf::pid const& caller, etf::view request);
  std::optional<etf::term> register_call(etf::pid const& caller, etf::view request);

  state state_;
  locker locker_;
  registrar registrar_;
  partitions partitions_;
  joining joining_;
  comparing comparing_;
  mutual mutual_;
};

} // namespace remora::global
