// What OTP's `global` leaves out: nodes that know each other never compare their names again. A cut beside a
// registration, or beside an introduction, can leave a name that some have and others have not, or two nodes
// of which one alone counts the other in; on OTP that stays until the connection is lost once more. Native
// nodes look, once the trouble is over:
//
//   us -> him   {compare, 1, Us, Digest}                  after a node came or went, or a name was refused
//   him -> us   {compared, 1, Him, Us is known, Digest}
//   us -> him   {rejoin, 1, Us}                           the same difference twice: both forget each other,
//                                                         and join anew by the ordinary protocol (7.7)
//
// The messages go to a name that only native nodes have: an OTP node drops them unseen. No connection is
// closed, no name is taken back; what both have meets in the exchange, and a policy decides as ever.
#pragma once

#include "global/state.hpp"

#include <functional>
#include <map>
#include <optional>

namespace remora::global {

inline constexpr std::string_view comparing_name = "remora_names"; // the registrar's, on native nodes
inline constexpr unsigned rejoins_max = 8; // with one node that is never found alike: then it is let be

class comparing {
public:
  explicit comparing(state& s) : s_(s) {}
  std::function<bool()> busy;                            // a registration is under way here
  std::function<void(etf::atom const&, bool ours)> anew; // forget him and open a session; ours: we began

  void unsettled(); // something happened after which nodes may differ
  bool heard(etf::view message);
  void lost(etf::atom const& node); // its connection
  void wake();
  std::optional<base::time_point> next_deadline() const { return deadline_; }

private:
  struct difference {
    bool knows_us;
    std::uint64_t his, ours;
    friend bool operator==(difference const&, difference const&) = default;
  };

  void compare(etf::atom const& node);
  void on_compared(etf::atom const& node, bool knows_us, std::uint64_t his);

  state& s_;
  std::optional<base::time_point> deadline_;
  std::map<etf::atom, difference> differences_; // seen once
  std::map<etf::atom, unsigned> rejoins_;       // since both were alike
};

} // namespace remora::global
