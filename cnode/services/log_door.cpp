// The application's own lines in this node's log:
//
//   {log, Level, Text, Meta}     ok | {error, badarg}
//
// Level as OTP names it, Text is chardata of at most 64 KiB, Meta a map: its first 32 entries whose keys are
// atoms become fields of the line. More lines than log_gate lets pass are left out, and counted.
#include "services/log_gate.hpp"
#include "services/parts.hpp"

#include "etf/print.hpp"

#include <algorithm>
#include <array>
#include <memory>

namespace remora::services {

using etf::am;
using etf::make;
using etf::tup;

namespace {

constexpr std::size_t text_bytes_max = 64U << 10U;
constexpr std::size_t value_bytes_max = 1U << 10U;
constexpr std::size_t fields_max = 32;
constexpr std::array<std::string_view, 8> levels = {"emergency", "alert",  "critical", "error",
                                                    "warning",   "notice", "info",     "debug"};
constexpr std::array<std::string_view, 4> own_fields = {"time", "level", "event", "text"}; // of every line

bool one_of(auto const& all, std::string_view what) {
  return std::find(all.begin(), all.end(), what) != all.end();
}

using fields = std::vector<std::pair<std::string, std::string>>;

std::string value_text(etf::view value) {
  if (auto const atom = value.atom_text()) return std::string(*atom);
  if (value.what() != etf::kind::nil)
    if (auto text = value.text(value_bytes_max)) return std::move(*text);
  return etf::print(value, {.depth = 20, .bytes_max = value_bytes_max});
}

fields fields_of(etf::map_view meta) {
  fields out;
  while (auto const entry = meta.next()) {
    auto const key = entry->key.atom_text();
    if (!key || one_of(own_fields, *key)) continue;
    if (out.size() == fields_max) break;
    out.emplace_back(std::string(*key), value_text(entry->value));
  }
  return out;
}

door::answer log(node::self me, log_gate& gate, etf::view request) {
  auto const [tag, level, text, meta] = *request.tuple<4>();
  auto const name = level.atom_text();
  auto const map = meta.map();
  auto line = text.text(text_bytes_max);
  if (!name || !one_of(levels, *name) || !map || !line) return make(tup(am("error"), am("badarg")));
  if (auto const dropped = gate.pass(me.node().now())) {
    auto more = fields_of(*map);
    if (*dropped > 0) more.emplace_back("left_out", std::to_string(*dropped));
    me.node().tell(node::notice{.level = std::string(*name),
                                .text = std::move(*line),
                                .event = "application",
                                .fields = std::move(more)});
  }
  return make(am("ok"));
}

} // namespace

void install_log(door& requests) {
  requests.on("log", 4,
              [gate = std::make_shared<log_gate>()](node::self me, ticket const&, etf::view request) {
                return log(me, *gate, request);
              });
}

} // namespace remora::services
