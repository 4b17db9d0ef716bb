// The envelope: what opens, what does not, and that nothing opens twice. Sealed with OpenSSL, as in the
// program.
#include "base/bytes.hpp"
#include "swim/envelope.hpp"

#include <doctest/doctest.h>

#include <fmt/format.h>

#include <set>
#include <string>
#include <vector>

using namespace remora;
using swim::envelope;
using swim::refused;

namespace {

std::string const key_a = "a key of sixteen";
std::string const key_b = "another one of..";
base::time_point const now{};

std::string hex(std::string_view bytes) {
  std::string out;
  for (auto const b : base::as_bytes(bytes)) out += fmt::format("{:02x}", b);
  return out;
}
std::string sealed(envelope& e, std::string_view plain) {
  std::string out;
  e.seal(plain, out);
  return out;
}
bool opens(envelope& e, std::string_view datagram) { return e.open(datagram, now).has_value(); }
std::string text(envelope& e, std::string_view datagram) {
  auto const opened = e.open(datagram, now);
  return opened ? *opened : "refused: " + std::string(swim::name_of(opened.error()));
}
refused why(envelope& e, std::string_view datagram) {
  auto const opened = e.open(datagram, now);
  REQUIRE_FALSE(opened.has_value());
  return opened.error();
}

} // namespace

TEST_CASE("envelope: what is sealed opens with the same key, whoever sealed it") {
  envelope a({key_a}, 1);
  envelope b({key_a}, 2);
  auto const packet = sealed(a, "hello");
  CHECK(packet.size() == 5 + envelope::overhead);
  CHECK(packet.find("hello") == std::string::npos);
  auto const opened = b.open(packet, now);
  REQUIRE(opened.has_value());
  CHECK(*opened == "hello");
  CHECK(text(b, sealed(a, "")) == "");
  CHECK(b.refused_so_far() == swim::refusals{});
}

TEST_CASE("envelope: the layout of a datagram, byte by byte") {
  envelope a({key_a}, 0x0102030405060708);
  auto const packet = sealed(a, "hello");
  CHECK(hex(packet.substr(0, 1)) == "01");
  CHECK(hex(packet.substr(2, 16)) == "01020304050607080000000000000001");
  // All that follows from key, boot id and sequence is fixed: HKDF-SHA256 (RFC 5869) and AES-256-GCM with the
  // sequence as nonce, computed once more by other means.
  CHECK(hex(packet) == "0115010203040506070800000000000000019b883f317ef397c51fc04432ca63717063841bac26");
}

TEST_CASE("envelope: another key does not open") {
  envelope a({key_a}, 1);
  envelope b({key_b}, 2);
  auto const packet = sealed(a, "hello");
  CHECK(why(b, packet) == refused::unknown_key);
  auto forged = packet;
  forged[1] = sealed(b, "x")[1]; // its key id is changed
  CHECK(why(b, forged) == refused::not_authentic);
  CHECK(b.refused_so_far() == swim::refusals{.unknown_key = 1, .not_authentic = 1});
}

TEST_CASE("envelope: no bit may change") {
  envelope a({key_a}, 1);
  envelope b({key_a}, 2);
  auto const packet = sealed(a, "hello");
  for (std::size_t i = 0; i < packet.size(); ++i)
    for (unsigned bit = 0; bit < 8; ++bit) {
      auto changed = packet;
      changed[i] = static_cast<char>(static_cast<unsigned char>(changed[i]) ^ (1U << bit));
      CHECK_FALSE(opens(b, changed));
    }
  CHECK(opens(b, packet)); // and none of those has spoilt it
}

TEST_CASE("envelope: truncated, oversized and of another version") {
  envelope a({key_a}, 1);
  envelope b({key_a}, 2);
  auto const packet = sealed(a, "hello");
  for (std::size_t size = 0; size < packet.size(); ++size)
    CHECK(why(b, packet.substr(0, size)) ==
          (size < envelope::overhead ? refused::too_short : refused::not_authentic));
  CHECK(why(b, std::string(65'508, 'x')) == refused::too_long);
  auto other = packet;
  other[0] = 2;
  CHECK(why(b, other) == refused::wrong_version);
  CHECK(b.refused_so_far().malformed == envelope::overhead + 2);
}

TEST_CASE("envelope: nothing opens twice, in whatever order it comes") {
  envelope a({key_a}, 1);
  envelope b({key_a}, 2);
  std::vector<std::string> packets;
  for (int i = 0; i < 3000; ++i) packets.push_back(sealed(a, std::to_string(i)));
  CHECK(opens(b, packets[10]));
  CHECK(opens(b, packets[5]));
  CHECK(why(b, packets[10]) == refused::replayed);
  CHECK(why(b, packets[5]) == refused::replayed);
  CHECK(opens(b, packets[2000]));
  CHECK(opens(b, packets[977]));                    // 1023 behind: within the window
  CHECK(why(b, packets[976]) == refused::replayed); // 1024 behind
  CHECK(why(b, packets[6]) == refused::replayed);
  for (std::size_t i = 978; i < 2000; ++i) CHECK(opens(b, packets[i]));
  for (std::size_t i = 0; i <= 2000; ++i) CHECK_FALSE(opens(b, packets[i]));
}

TEST_CASE("envelope: keys are rotated in three steps, and nothing is lost or played again") {
  envelope a({key_a}, 1);
  envelope b({key_a}, 2);
  auto const first = sealed(a, "first");
  CHECK(opens(b, first));
  b.set_keys({key_a, key_b}); // everybody opens both
  a.set_keys({key_b, key_a}); // some seal with the new one
  CHECK(text(b, sealed(a, "second")) == "second");
  CHECK(text(a, sealed(b, "third")) == "third");
  auto const late = sealed(b, "late");
  b.set_keys({key_b});
  CHECK(text(a, sealed(b, "fourth")) == "fourth");
  CHECK(text(a, late) == "late");
  CHECK(why(b, first) != refused::too_short);
  a.set_keys({key_b}); // the old one is gone
  CHECK(why(b, first) == refused::unknown_key);
  CHECK(why(a, late) == refused::unknown_key);
}

TEST_CASE("envelope: who has no key gets no window, and the longest silent gives way") {
  envelope a({key_a}, 1);
  envelope stranger({key_b}, 3);
  envelope reader({key_a}, 2);
  for (int i = 0; i < 100; ++i) CHECK_FALSE(opens(reader, sealed(stranger, "x")));
  auto const first = sealed(a, "first");
  CHECK(opens(reader, first));
  CHECK(why(reader, first) == refused::replayed);
  for (std::uint64_t boot = 10; boot < 10 + envelope::senders_max; ++boot) {
    envelope other({key_a}, boot);
    if (boot % 1024 == 0) CHECK(opens(reader, sealed(a, "still here")));
    REQUIRE(opens(reader, sealed(other, "x")));
  }
  CHECK(why(reader, first) == refused::replayed); // it was heard in between, and keeps its window
}

TEST_CASE("envelope: two starts of a node do not share a key") {
  envelope one({key_a}, 1);
  envelope two({key_a}, 2);
  auto a = sealed(one, "hello");
  auto const b = sealed(two, "hello");
  CHECK(a.substr(18) != b.substr(18)); // same sequence, same words
  a.replace(2, 8, b.substr(2, 8));     // and one cannot be passed off as the other's
  envelope reader({key_a}, 3);
  CHECK(why(reader, a) == refused::not_authentic);
}

TEST_CASE("envelope: the key of a cookie is derived, and not the cookie") {
  auto const key = swim::key_of_cookie("monster");
  CHECK(key.size() == 32);
  CHECK(key.find("monster") == std::string::npos);
  CHECK(key == swim::key_of_cookie("monster"));
  CHECK(key != swim::key_of_cookie("Monster"));
  CHECK(hex(key) == "31ca85acd0cfb3adbdac6545f6a7442f1635734f38198e01cdad63a8ea89c629");
}

TEST_CASE("envelope: each cause of refusal has a name") {
  std::set<std::string_view> names;
  for (auto const r : {refused::too_short, refused::too_long, refused::wrong_version, refused::unknown_key,
                       refused::not_authentic, refused::replayed})
    names.insert(swim::name_of(r));
  CHECK(names.size() == 6);
}
