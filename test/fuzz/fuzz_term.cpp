// Arbitrary bytes as a term from a peer: the reader accepts or refuses, and what it accepts is safe and
// canonical for all that comes after it, ei's decoders included, which do not know where the bytes end.
//
// The first byte of the input says how many atoms the header's table has (there are 16 to choose from); the
// rest is the term and what follows it.
#include "etf/chardata.hpp"
#include "etf/json.hpp"
#include "etf/parse.hpp"
#include "etf/print.hpp"
#include "etf/reader.hpp"
#include "fuzz/fuzz.hpp"

#include <ei.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

using namespace remora;
using fuzz::must;

namespace {

std::vector<etf::atom> cached_atoms(std::size_t count) {
  std::vector<etf::atom> out;
  for (std::size_t i = 0; i < count; ++i) {
    switch (i % 4) {
    case 0: out.emplace_back("node" + std::to_string(i) + "@host"); break;
    case 1: out.emplace_back("atom " + std::to_string(i)); break;
    case 2: out.emplace_back(std::string(255, static_cast<char>('a' + i))); break;
    default: out.emplace_back("дом"); break;
    }
  }
  return out;
}

// Every accessor on every part.
void visit(etf::view v) {
  auto const small = v.integer();
  auto const natural = v.unsigned_integer();
  must(!small || v.what() == etf::kind::integer, "an integer is an integer");
  must(!small || *small < 0 || natural == static_cast<std::uint64_t>(*small), "both integers agree");
  must(v.is_atom() == (v.what() == etf::kind::atom), "an atom is an atom");
  must(v.floating().has_value() == (v.what() == etf::kind::floating), "a float is a float");
  must(v.binary().has_value() == (v.what() == etf::kind::binary), "a binary is a binary");
  must(v.as_pid().has_value() == (v.what() == etf::kind::pid), "a pid is a pid");
  must(v.as_port().has_value() == (v.what() == etf::kind::port), "a port is a port");
  must(v.as_reference().has_value() == (v.what() == etf::kind::reference), "a reference is one");
  if (auto const node = v.node_text()) must(etf::is_node_name(*node), "a node is name@host");
  if (auto const name = v.atom_text())
    must(etf::is_atom_text(base::as_bytes(*name)), "an atom's text is one's");
  static_cast<void>(v.boolean());
  static_cast<void>(v.text(1000));
  static_cast<void>(v.tuple<3>());
  if (auto const arity = v.arity(); arity && *arity > 0) {
    visit(*v.element(0));
    if (*arity > 1) visit(*v.element(*arity - 1));
  }
  for (auto list = v.list(); list; list = list->tail().list()) {
    while (auto const item = list->next()) visit(*item);
    if (list->tail().what() == etf::kind::nil) break;
    if (!list->tail().list()) visit(list->tail());
  }
  if (auto map = v.map()) {
    static_cast<void>(map->find("key"));
    while (auto const pair = map->next()) {
      visit(pair->key);
      visit(pair->value);
    }
  }
}

// What is printed parses again, and prints the same, but for local funs, which have no text form.
void check_text(etf::view v) {
  auto const text = etf::print(v, {.bytes_max = SIZE_MAX});
  static_cast<void>(etf::print(v, {.strings = false, .unicode = false, .depth = 5, .bytes_max = 100}));
  static_cast<void>(etf::to_json(v));
  static_cast<void>(etf::to_json(v, 20));
  auto const back = etf::parse(text, {.text_bytes_max = SIZE_MAX});
  if (back)
    must(etf::print(*back, {.bytes_max = SIZE_MAX}) == text, "parsed text prints the same");
  else
    must(back.error().expected == "a local fun has no text form", "printed text parses");
}

// Memory that ends where the next page may not be touched. libei is not built with sanitizers: this is what
// makes its reading, or writing, of one byte too many a crash.
class guarded {
public:
  explicit guarded(std::size_t size) {
    auto const page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    mapped_ = (size + page - 1) / page * page + page;
    void* const memory = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(memory != MAP_FAILED, "memory");
    begin_ = static_cast<char*>(memory);
    must(mprotect(begin_ + mapped_ - page, page, PROT_NONE) == 0, "a page to run into");
    data_ = begin_ + mapped_ - page - size;
  }
  guarded(guarded const&) = delete;
  guarded& operator=(guarded const&) = delete;
  ~guarded() { munmap(begin_, mapped_); }

  char* data() const { return data_; }

private:
  char* begin_ = nullptr;
  char* data_ = nullptr;
  std::size_t mapped_ = 0;
};

// ei's own decoders on the same bytes.
class ei_walk {
public:
  explicit ei_walk(base::bytes_view canonical) : size_(canonical.size()), bytes_(canonical.size()) {
    std::memcpy(bytes_.data(), canonical.data(), canonical.size());
  }

  void run() {
    int end = 0;
    if (ei_skip_term(data(), &end) == 0)
      must(static_cast<std::size_t>(end) == size_, "ei skips the term and no more");
    print();
    std::size_t steps = 0;
    for (int index = 0; static_cast<std::size_t>(index) < size_ && steps < 100'000; ++steps) decode(index);
  }

private:
  char const* data() const { return bytes_.data(); }

  void print() {
    int index = 0;
    char* text = nullptr;
    ei_s_print_term(&text, data(), &index);
    std::free(text); // NOLINT: ei allocates with malloc
  }

  // One head, by the decoder of its type; those that refuse leave the index, and the term is skipped.
  void decode(int& index) {
    int type = 0;
    int size = 0;
    if (ei_get_type(data(), &index, &type, &size) != 0) return stop(index);
    int const before = index;
    switch (type) {
    case ERL_SMALL_TUPLE_EXT:
    case ERL_LARGE_TUPLE_EXT: ei_decode_tuple_header(data(), &index, &size); break;
    case ERL_MAP_EXT: ei_decode_map_header(data(), &index, &size); break;
    case ERL_LIST_EXT:
    case ERL_NIL_EXT: ei_decode_list_header(data(), &index, &size); break;
    default: leaf(index, type, size); break;
    }
    if (index == before && ei_skip_term(data(), &index) != 0) stop(index);
  }
  void stop(int& index) const { index = static_cast<int>(size_); }

  void leaf(int& index, int type, int size) {
    long length = 0;
    switch (type) {
    case ERL_STRING_EXT: { // ei ends it with a zero byte
      guarded const room(static_cast<std::size_t>(size) + 1);
      ei_decode_string(data(), &index, room.data());
      break;
    }
    case ERL_BINARY_EXT: {
      guarded const room(static_cast<std::size_t>(size));
      ei_decode_binary(data(), &index, room.data(), &length);
      break;
    }
    case ERL_BIT_BINARY_EXT: bits(index); break;
    case ERL_SMALL_INTEGER_EXT:
    case ERL_INTEGER_EXT:
    case ERL_SMALL_BIG_EXT:
    case ERL_LARGE_BIG_EXT: number(index); break;
    case NEW_FLOAT_EXT:
    case ERL_FLOAT_EXT: floating(index); break;
    case ERL_NEW_FUN_EXT:
    case ERL_EXPORT_EXT:
    case ERL_FUN_EXT: fun(index); break;
    default: identifier(index); break;
    }
  }

  void bits(int& index) {
    char const* at = nullptr;
    unsigned offset = 0;
    std::size_t count = 0;
    ei_decode_bitstring(data(), &index, &at, &offset, &count);
  }
  void number(int& index) {
    int other = index;
    EI_LONGLONG value = 0;
    ei_decode_longlong(data(), &other, &value);
    other = index;
    EI_ULONGLONG natural = 0;
    ei_decode_ulonglong(data(), &other, &natural);
    other = index;
    long small = 0;
    ei_decode_long(data(), &other, &small);
  }
  void floating(int& index) {
    double value = 0;
    ei_decode_double(data(), &index, &value);
  }
  void fun(int& index) {
    erlang_fun f{};
    if (ei_decode_fun(data(), &index, &f) == 0) free_fun(&f);
  }
  void identifier(int& index) {
    std::array<char, MAXATOMLEN_UTF8> name{};
    erlang_pid p{};
    erlang_port o{};
    erlang_ref r{};
    if (ei_decode_atom_as(data(), &index, name.data(), name.size(), ERLANG_UTF8, nullptr, nullptr) == 0)
      return;
    if (ei_decode_pid(data(), &index, &p) == 0) return;
    if (ei_decode_port(data(), &index, &o) == 0) return;
    ei_decode_ref(data(), &index, &r);
  }

  std::size_t size_;
  guarded bytes_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  if (size == 0) return 0;
  auto const cached = cached_atoms(data[0] % 17);
  base::bytes_view const in(data + 1, size - 1);
  etf::reader reader({.depth_max = 256, .bytes_max = std::size_t{1} << 20U});
  base::buffer once;
  auto const used = reader.read(in, cached, once);
  must(used.has_value() || once.empty(), "an error appends nothing");
  if (!used) return 0;
  must(*used <= in.size() && once.size() <= std::size_t{1} << 20U, "as much as there is");
  must(!reader.canonical() || base::as_text(in.first(*used)) == base::as_text(once.view()),
       "canonical is as is");
  must(etf::term_size(once.data()) == once.size() && etf::is_one_term(once.view()), "exactly one term");

  base::buffer twice;
  auto const again = reader.read(once.view(), {}, twice);
  must(again && *again == once.size() && reader.canonical(), "what is canonical is read as it is");
  must(base::as_text(once.view()) == base::as_text(twice.view()), "and not changed");

  etf::view const v(once.view());
  visit(v);
  check_text(v);
  ei_walk(once.view()).run();
  return 0;
}
