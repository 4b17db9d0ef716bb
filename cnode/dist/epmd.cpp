#include "dist/epmd.hpp"

#include "base/check.hpp"

#include <charconv>

namespace remora::dist::epmd {

namespace {

constexpr std::uint8_t names_tag = 110;
constexpr std::uint8_t alive2_x_resp = 118;
constexpr std::uint8_t port2_resp = 119;
constexpr std::uint8_t alive2_req = 120;
constexpr std::uint8_t alive2_resp = 121;
constexpr std::uint8_t port_please2_req = 122;

constexpr std::uint8_t visible_node = 77; // OTP registers 'M' even when hidden; nobody reads it
constexpr std::uint8_t protocol_tcp = 0;
constexpr std::uint16_t highest_version = 6;
constexpr std::uint16_t lowest_version = 5;

void put_length(base::buffer& out) { base::store_be(out.data(), static_cast<std::uint16_t>(out.size() - 2)); }

} // namespace

std::string_view describe(error e) {
  switch (e) {
  case error::malformed: return "the answer of epmd is malformed";
  case error::name_taken: return "the name is already registered with epmd";
  case error::unknown_name: return "epmd does not know the name";
  }
  return "epmd failed";
}

base::buffer alive_request(std::uint16_t port, std::string_view name) {
  base::check(name.size() <= name_chars_max, "epmd: a name has at most 255 bytes");
  base::buffer out;
  out.put(std::uint16_t{0});
  out.put(alive2_req);
  out.put(port);
  out.put(visible_node);
  out.put(protocol_tcp);
  out.put(highest_version);
  out.put(lowest_version);
  out.put(static_cast<std::uint16_t>(name.size()));
  out.append(name);
  out.put(std::uint16_t{0});
  put_length(out);
  return out;
}

base::buffer port_request(std::string_view name) {
  base::buffer out;
  out.put(std::uint16_t{0});
  out.put(port_please2_req);
  out.append(name.substr(0, name_chars_max));
  put_length(out);
  return out;
}

base::buffer names_request() {
  base::buffer out;
  out.put(std::uint16_t{1});
  out.put(names_tag);
  return out;
}

creation_answer read_alive_answer(base::bytes_view bytes) {
  if (bytes.empty()) return std::nullopt;
  bool const wide = bytes[0] == alive2_x_resp;
  if (!wide && bytes[0] != alive2_resp) return error::malformed;
  if (bytes.size() < (wide ? 6U : 4U)) return std::nullopt;
  base::cursor in(bytes.subspan(1));
  if (in.u8() != 0) return error::name_taken;
  std::uint32_t const creation = wide ? in.u32() : in.u16();
  if (creation == 0) return error::malformed;
  return creation;
}

std::optional<base::result<std::uint16_t, error>> read_port_answer(base::bytes_view bytes, bool at_end) {
  using answer = base::result<std::uint16_t, error>;
  auto const cut = [&]() -> std::optional<answer> {
    if (at_end) return answer(error::malformed);
    return std::nullopt;
  };
  if (bytes.size() < 2) return cut();
  if (bytes[0] != port2_resp) return answer(error::malformed);
  if (bytes[1] != 0) return answer(error::unknown_name);
  if (bytes.size() < 4) return cut();
  auto const port = base::load_be<std::uint16_t>(bytes.data() + 2); // all that OTP reads of it, too
  if (port == 0) return answer(error::malformed);
  return answer(port);
}

base::result<std::vector<registered_name>, error> read_names_answer(base::bytes_view bytes) {
  if (bytes.size() < 4 || bytes.size() > names_bytes_max) return error::malformed;
  std::vector<registered_name> names;
  auto text = base::as_text(bytes.subspan(4));
  while (!text.empty()) {
    auto const line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    auto const at = line.rfind(" at port ");
    if (!line.starts_with("name ") || at == std::string_view::npos || at < 6) return error::malformed;
    auto const digits = line.substr(at + 9);
    std::uint16_t port = 0;
    auto const [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (problem != std::errc() || end != digits.data() + digits.size()) return error::malformed;
    names.push_back({.name = std::string(line.substr(5, at - 5)), .port = port});
  }
  return names;
}

registration::registration(std::string name, std::uint16_t port, base::duration retry)
    : name_(std::move(name)), port_(port), retry_(retry) {}

void registration::start(std::vector<effect>& out) {
  state_ = state::connecting;
  deadline_.reset();
  answer_.clear();
  out.emplace_back(connect{});
}

void registration::connected(base::time_point now, std::vector<effect>& out) {
  state_ = state::asking;
  deadline_ = now + answer_time;
  out.emplace_back(write{alive_request(port_, name_)});
}

void registration::received(base::bytes_view bytes, base::time_point now, std::vector<effect>& out) {
  if (state_ != state::asking) return; // epmd says nothing after its answer
  answer_.append(bytes);
  auto const answer = read_alive_answer(answer_.view());
  if (!answer) return;
  deadline_.reset();
  if (!*answer) {
    out.emplace_back(close{});
    state_ = state::idle;
    if (was_registered_)
      deadline_ = now + retry_; // a new epmd, and somebody was faster: keep trying, as OTP does
    else
      out.emplace_back(refused{answer->error()});
    return;
  }
  state_ = state::alive;
  if (was_registered_)
    out.emplace_back(registered_again{});
  else
    out.emplace_back(registered{**answer});
  was_registered_ = true;
}

void registration::closed(base::time_point now, std::vector<effect>& out) {
  if (state_ == state::alive) out.emplace_back(lost{});
  if (state_ == state::idle) return;
  state_ = state::idle;
  deadline_ = now + retry_;
}

void registration::wake(base::time_point now, std::vector<effect>& out) {
  if (!deadline_ || now < *deadline_) return;
  if (state_ != state::asking) return start(out);
  out.emplace_back(close{});
  state_ = state::idle;
  deadline_.reset();
  if (was_registered_)
    deadline_ = now + retry_;
  else
    out.emplace_back(silent{});
}

} // namespace remora::dist::epmd
