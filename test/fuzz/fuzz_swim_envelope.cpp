// Arbitrary datagrams, and one that was sealed and changed by what comes: nothing opens but what was sealed,
// and that once.
#include "fuzz/fuzz.hpp"
#include "swim/envelope.hpp"

#include "base/bytes.hpp"

#include <string>

using namespace remora;
using fuzz::must;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  static swim::envelope sender({"a key of sixteen"}, 1);
  static swim::envelope reader({"a key of sixteen", "another one of.."}, 2);
  std::string const bytes(base::as_text({data, size}));
  must(!reader.open(bytes, {}), "nobody has sealed that");
  std::string sealed;
  sender.seal(bytes.substr(0, 100), sealed);
  auto changed = sealed;
  bool differs = false;
  for (std::size_t i = 0; i + 1 < size; i += 2) {
    auto& at = changed[data[i] % changed.size()];
    at = static_cast<char>(static_cast<std::uint8_t>(at) ^ data[i + 1]);
  }
  differs = changed != sealed;
  if (differs) must(!reader.open(changed, {}), "what was changed does not open");
  auto const opened = reader.open(sealed, {});
  must(opened.has_value() && *opened == bytes.substr(0, 100), "what was sealed opens");
  must(!reader.open(sealed, {}), "and once only");
  return 0;
}
