#include "global/effects.hpp"

#include "etf/print.hpp"

#include <fmt/format.h>

namespace remora::global {

std::string_view name_of(role r) {
  switch (r) {
  case role::name_server: return "name_server";
  case role::locker: return "locker";
  case role::registrar: return "registrar";
  }
  return {};
}

namespace {

std::string text(etf::destination const& to) { return etf::print(etf::make(to)); }
std::string text(etf::pid const& p) { return etf::print(etf::make(p)); }

std::string_view word(outcome::what said) {
  switch (said) {
  case outcome::what::yes: return "yes";
  case outcome::what::no: return "no";
  case outcome::what::timeout: return "timeout";
  case outcome::what::busy: return "busy";
  }
  return {};
}

struct line {
  std::string operator()(send const& e) const {
    return fmt::format("{}{} -> {} | {}", name_of(e.as), e.dial ? "" : " (noconnect)", text(e.to),
                       etf::print(e.message));
  }
  std::string operator()(reply const& e) const {
    return fmt::format("reply {} | {}", etf::print(e.from), etf::print(e.answer));
  }
  std::string operator()(watch const& e) const {
    return fmt::format("{} watches {}", name_of(e.as), text(e.whom));
  }
  std::string operator()(unwatch const& e) const {
    return fmt::format("{} unwatches {}", name_of(e.as), text(e.whom));
  }
  std::string operator()(connect const& e) const { return fmt::format("connect {}", e.node.text()); }
  std::string operator()(disconnect const& e) const { return fmt::format("disconnect {}", e.node.text()); }
  std::string operator()(kill const& e) const { return fmt::format("kill {}", text(e.whom)); }
  std::string operator()(resolve_there const& e) const {
    return fmt::format("resolve at {} | {}", e.node.text(), etf::print(e.arguments));
  }
  std::string operator()(ask_callback const& e) const {
    return fmt::format("ask callback {} about {}: {} {}", e.callback, etf::print(e.name), text(e.theirs),
                       text(e.ours));
  }
  std::string operator()(resolution const& e) const {
    return fmt::format("resolution {} | {}", e.id, etf::print(e.answer));
  }
  std::string operator()(answer const& e) const {
    return fmt::format("answer {} {}{}{}", e.id, word(e.result.said), e.result.node.empty() ? "" : " ",
                       e.result.node.text());
  }
  std::string operator()(notice const& e) const { return e.text; }
};

} // namespace

std::string describe(effect const& e) { return std::visit(line{}, e); }

} // namespace remora::global
