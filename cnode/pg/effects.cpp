#include "pg/effects.hpp"

#include "etf/print.hpp"

#include <fmt/format.h>

namespace remora::pg {

namespace {
struct line {
  static std::string text(etf::pid const& p) { return etf::print(etf::make(p)); }

  std::string operator()(send const& e) const {
    return fmt::format("send {} {}{}", etf::print(etf::make(e.to)), etf::print(e.message),
                       e.dial ? " (dials)" : "");
  }
  std::string operator()(watch const& e) const { return "watch " + text(e.who); }
  std::string operator()(unwatch const& e) const { return "unwatch " + text(e.who); }
  std::string operator()(notify const& e) const {
    return fmt::format("notify {} {}", text(e.subscriber), etf::print(e.event));
  }
  std::string operator()(refused const& e) const { return "refused: " + e.why; }
};
} // namespace

std::string describe(effect const& e) { return std::visit(line{}, e); }

} // namespace remora::pg
