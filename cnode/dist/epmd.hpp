// The Erlang port mapper daemon's protocol (erts/epmd/src/epmd_srv.c; protocol.md 1): requests to write,
// answers to read, and the registration that lives as long as its connection. Pure: io/epmd carries it.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace remora::dist::epmd {

inline constexpr std::uint16_t default_port = 4369;
inline constexpr std::size_t name_chars_max = 255;
inline constexpr base::duration answer_time = std::chrono::seconds(10); // of a registration
inline constexpr std::size_t names_bytes_max = 1U << 20U;               // of one NAMES answer

enum class error : std::uint8_t {
  malformed,    // not an answer to what was asked
  name_taken,   // ALIVE2 refused; in practice the name is registered already
  unknown_name, // PORT_PLEASE2 found nothing
};
std::string_view describe(error e);

base::buffer alive_request(std::uint16_t port, std::string_view name);
base::buffer port_request(std::string_view name);
base::buffer names_request();

// Each reader answers nullopt while the answer is not whole yet.
using creation_answer = std::optional<base::result<std::uint32_t, error>>;
creation_answer read_alive_answer(base::bytes_view bytes);
std::optional<base::result<std::uint16_t, error>> read_port_answer(base::bytes_view bytes, bool at_end);

struct registered_name {
  std::string name;
  std::uint16_t port = 0;
  friend bool operator==(registered_name const&, registered_name const&) = default;
};
// The NAMES answer ends with the connection: hand in all of it.
base::result<std::vector<registered_name>, error> read_names_answer(base::bytes_view bytes);

// The ALIVE2 connection *is* the registration: nothing may be sent on it afterwards, and losing it (epmd
// restarted) means registering again. OTP tries every 2 s and keeps its first creation, because identifiers
// that are out there carry it. So do we. An epmd that says nothing for 10 s is as good as none
// (erl_epmd.erl, wait_for_reg_reply).
class registration {
public:
  registration(std::string name, std::uint16_t port, base::duration retry = std::chrono::seconds(2));

  struct connect {}; // open a connection to the local epmd
  struct write {
    base::buffer bytes;
  };               //
  struct close {}; // this attempt is over
  struct registered {
    std::uint32_t creation;
  };                          // the first time
  struct registered_again {}; //
  struct refused {
    error why;
  };                // the first attempt was refused: the name is taken
  struct silent {}; // the first attempt was not answered
  struct lost {};   // epmd went away; trying again
  using effect = std::variant<connect, write, close, registered, registered_again, refused, silent, lost>;

  void start(std::vector<effect>& out);
  void connected(base::time_point now, std::vector<effect>& out);
  void received(base::bytes_view bytes, base::time_point now, std::vector<effect>& out);
  void closed(base::time_point now, std::vector<effect>& out); // also when connecting failed
  void wake(base::time_point now, std::vector<effect>& out);
  std::optional<base::time_point> next_deadline() const { return deadline_; }
  bool alive() const { return state_ == state::alive; }

private:
  enum class state : std::uint8_t { idle, connecting, asking, alive };

  std::string name_;
  std::uint16_t port_;
  base::duration retry_;
  state state_ = state::idle;
  bool was_registered_ = false;
  base::buffer answer_;
  std::optional<base::time_point> deadline_; // of the answer, or of the next attempt
};

} // namespace remora::dist::epmd
