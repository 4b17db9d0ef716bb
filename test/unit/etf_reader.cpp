// The one bounded walk: what it accepts becomes canonical, what it refuses it names.
#include "etf/builder.hpp"
#include "etf/reader.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace remora;
using etf::am, etf::tup, etf::make;

namespace {

std::vector<std::uint8_t> bytes(std::initializer_list<int> values) {
  std::vector<std::uint8_t> out;
  for (int const v : values) out.push_back(static_cast<std::uint8_t>(v));
  return out;
}

base::result<etf::term, etf::term_error> read(std::vector<std::uint8_t> const& in,
                                              std::vector<etf::atom> const& cached = {}) {
  etf::reader reader;
  base::buffer out;
  auto const used = reader.read(in, cached, out);
  if (!used) return used.error();
  CHECK(*used == in.size());
  return etf::term(std::move(out));
}

} // namespace

TEST_CASE("what the builder writes the reader accepts as it is") {
  etf::pid const p{.node = etf::atom("a@h"), .id = 1, .serial = 2, .creation = 3};
  etf::reference const r{.node = etf::atom("a@h"), .creation = 4, .count = 5, .words = {1, 2, 3, 4, 5}};
  auto const t = make(tup(am("ok"), 1, -1, 70000, -5'000'000'000, 1.5, "text", etf::str("abc"), p, r,
                          etf::lst(1, am("x")), etf::imp(am("alias"), r), std::vector<int>{}));
  etf::reader reader;
  auto const size = reader.validate(t->bytes(), {});
  REQUIRE(size.has_value());
  CHECK(*size == t.size());
  CHECK(reader.canonical());
  CHECK(t->element(4)->integer() == -5'000'000'000);
  CHECK(t->element(5)->floating() == 1.5);
  CHECK(t->element(8)->as_pid() == p);
  CHECK(t->element(9)->as_reference() == r);
  CHECK(t->element(7)->text() == "abc");
}

TEST_CASE("an atom cache reference becomes its atom, also as the node of a pid") {
  auto const t = read(bytes({104, 2, 82, 1, 88, 82, 0, 0, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0, 9}),
                      {etf::atom("a@h"), etf::atom("hi")});
  REQUIRE(t.has_value());
  CHECK(*t == make(tup(am("hi"), etf::pid{.node = etf::atom("a@h"), .id = 7, .serial = 8, .creation = 9})));
  CHECK(read(bytes({82, 2}), {etf::atom("a@h"), etf::atom("hi")}).error() ==
        etf::term_error::cache_reference);
}

TEST_CASE("old tags become their successors") {
  CHECK(*read(bytes({100, 0, 2, 'h', 0xe9})) == make(am("h\xc3\xa9")));
  CHECK(*read(bytes({115, 1, 'x'})) == make(am("x")));
  CHECK(*read(bytes({103, 100, 0, 3, 'a', '@', 'h', 0, 0, 0, 1, 0, 0, 0, 2, 3})) ==
        make(etf::pid{.node = etf::atom("a@h"), .id = 1, .serial = 2, .creation = 3}));
  CHECK(*read(bytes({103, 119, 3, 'a', '@', 'h', 0, 0, 0, 1, 0, 0, 0, 2, 3})) ==
        make(etf::pid{.node = etf::atom("a@h"), .id = 1, .serial = 2, .creation = 3}));
  CHECK(*read(bytes({101, 100, 0, 3, 'a', '@', 'h', 0, 0, 0, 5, 2})) ==
        make(etf::reference{.node = etf::atom("a@h"), .creation = 2, .count = 1, .words = {5}}));
  CHECK(*read(bytes({114, 0, 2, 100, 0, 3, 'a', '@', 'h', 2, 0, 0, 0, 5, 0, 0, 0, 6})) ==
        make(etf::reference{.node = etf::atom("a@h"), .creation = 2, .count = 2, .words = {5, 6}}));
  CHECK(*read(bytes({102, 100, 0, 3, 'a', '@', 'h', 0, 0, 0, 5, 2})) ==
        make(etf::port{.node = etf::atom("a@h"), .id = 5, .creation = 2}));
  auto text = bytes({99});
  for (char const c : std::string("1.50000000000000000000e+00")) text.push_back(static_cast<std::uint8_t>(c));
  text.resize(32);
  CHECK(*read(text) == make(1.5));
}

TEST_CASE("the size of a fun is written anew when its atoms grow") {
  auto fun = bytes({112, 0, 0, 0, 99, 2});
  fun.insert(fun.end(), 16, 0xaa);
  for (int const v :
       {0, 0, 0, 1, 0, 0, 0, 1, 82, 0, 97, 1, 97, 2, 88, 82, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 82, 0})
    fun.push_back(static_cast<std::uint8_t>(v));
  auto const t = read(fun, {etf::atom("global"), etf::atom("a@h")});
  REQUIRE(t.has_value());
  CHECK((*t)->what() == etf::kind::fun);
  CHECK(etf::term_size((*t)->bytes().data()) == t->size());
}

TEST_CASE("what is wrong is named") {
  using e = etf::term_error;
  CHECK(read(bytes({})).error() == e::truncated);
  CHECK(read(bytes({104, 2, 97, 1})).error() == e::truncated);
  CHECK(read(bytes({105, 255, 255, 255, 255})).error() == e::too_many_items);
  CHECK(read(bytes({109, 255, 255, 255, 255, 1})).error() == e::truncated);
  CHECK(read(bytes({80, 0, 0, 0, 1, 1})).error() == e::unknown_tag);
  CHECK(read(bytes({119, 2, 0xc3, 0x28})).error() == e::atom_not_utf8);
  CHECK(read(bytes({90, 0, 6, 119, 3, 'a', '@', 'h'})).error() == e::reference_words);
  CHECK(read(bytes({88, 119, 2, 'a', '@', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})).error() == e::node_name);
  CHECK(read(bytes({77, 0, 0, 0, 1, 9, 0})).error() == e::bits);
  CHECK(read(bytes({113, 119, 1, 'm', 119, 1, 'f', 98, 0, 0, 0, 1})).error() == e::fun);
  auto atom = bytes({118, 1, 0});
  atom.insert(atom.end(), 256, 'x');
  CHECK(read(atom).error() == e::atom_too_long);
}

TEST_CASE("depth has a limit, long tails do not count") {
  std::vector<std::uint8_t> deep;
  for (int i = 0; i < 1024; ++i) deep.insert(deep.end(), {104, 1});
  deep.push_back(106);
  CHECK(read(deep).has_value());
  // a second element at each level keeps the level open
  std::vector<std::uint8_t> open;
  for (int i = 0; i < 1025; ++i) open.insert(open.end(), {104, 2});
  open.resize(open.size() + 1026, 106);
  CHECK(read(open).error() == etf::term_error::too_deep);
  std::vector<std::uint8_t> tails;
  for (int i = 0; i < 100000; ++i) tails.insert(tails.end(), {108, 0, 0, 0, 1, 106});
  tails.push_back(106);
  CHECK(read(tails).has_value());
}
