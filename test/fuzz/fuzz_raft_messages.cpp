// Arbitrary bytes as a message of election, and as its state file: what is read is written as the same bytes.
#include "fuzz/fuzz.hpp"
#include "raft/file.hpp"
#include "raft/messages.hpp"

#include <string_view>

using namespace remora;
using fuzz::must;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::string_view const bytes(reinterpret_cast<char const*>(data), size);
  raft::limits const l;
  if (auto const e = raft::wire::read(bytes, l)) {
    must(raft::wire::write(*e) == bytes, "a message has one form");
    must(!raft::wire::describe(e->body).empty(), "a message prints");
  }
  auto const state = raft::read_state(bytes);
  if (state)
    must(raft::write_state(*state) == bytes, "a state has one form");
  else
    must(state.error().starts_with("the state file "), "what is wrong is a sentence");
  return 0;
}
