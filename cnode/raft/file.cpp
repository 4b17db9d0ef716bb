// | "remora-election" | 1 | length 4 | fields | SHA-256 32 |     big-endian, as in messages.hpp
#include "raft/file.hpp"

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "raft/messages.hpp"

#include <openssl/evp.h>

#include <algorithm>

namespace remora::raft {

namespace {

constexpr std::string_view magic = "remora-election";
constexpr std::uint8_t version = 1;
constexpr std::size_t head_size = magic.size() + 1 + 4;
constexpr std::size_t hash_size = 32;

std::string sha256(std::string_view bytes) {
  std::string out(hash_size, '\0');
  unsigned size = 0;
  auto const done = EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(out.data()),
                               &size, EVP_sha256(), nullptr);
  base::check(done == 1 && size == hash_size, "OpenSSL computes SHA-256");
  return out;
}

} // namespace

std::string write_state(durable const& d) {
  base::check(d.instance != 0, "election: a state has an instance");
  wire::writer fields;
  fields.u64(d.instance);
  fields.u64(d.term);
  fields.text(d.voted_for);
  fields.put(d.config);
  fields.put(d.promised);
  fields.put(d.accepted);
  fields.put(d.accepted_config);
  fields.time(d.promise);
  wire::writer w;
  w.bytes() += magic;
  w.u8(version);
  w.u32(static_cast<std::uint32_t>(fields.bytes().size()));
  w.bytes() += fields.bytes();
  w.bytes() += sha256(w.bytes());
  return std::move(w.bytes());
}

base::result<durable, std::string> read_state(std::string_view bytes) {
  auto const wrong = [](char const* text) { return base::result<durable, std::string>(std::string(text)); };
  if (bytes.empty()) return wrong("the state file is empty");
  if (!bytes.starts_with(magic.substr(0, std::min(magic.size(), bytes.size()))))
    return wrong("the state file is not one of remora's elections");
  if (bytes.size() < head_size + hash_size) return wrong("the state file ends too early");
  if (static_cast<std::uint8_t>(bytes[magic.size()]) != version)
    return wrong("the state file is of another version of remora");
  auto const length = base::load_be<std::uint32_t>(base::as_bytes(bytes).data() + magic.size() + 1);
  auto const size = head_size + std::size_t{length} + hash_size;
  if (bytes.size() < size) return wrong("the state file ends too early");
  if (bytes.size() > size) return wrong("the state file has something behind its end");
  if (sha256(bytes.substr(0, head_size + length)) != bytes.substr(head_size + length))
    return wrong("the state file is damaged: its checksum is wrong");
  limits const l;
  wire::reader r(bytes.substr(head_size, length), l);
  durable d;
  d.instance = r.u64();
  d.term = r.term();
  d.voted_for = r.node(true);
  d.config = r.config(true);
  d.promised = r.ballot();
  d.accepted = r.ballot();
  d.accepted_config = r.config(true);
  d.promise = r.time();
  if (!r.done() || d.instance == 0) return wrong("the state file has a right checksum and wrong fields");
  return d;
}

} // namespace remora::raft
