// Arbitrary text as a term in Erlang's syntax: what is accepted prints, and the print parses to the same
// bytes.
#include "etf/parse.hpp"
#include "etf/print.hpp"
#include "etf/reader.hpp"
#include "fuzz/fuzz.hpp"

#include <string_view>

using namespace remora;
using fuzz::must;

namespace {

void check_term(etf::term const& t) {
  etf::reader reader;
  auto const used = reader.validate(t->bytes(), {});
  must(used && *used == t.size() && reader.canonical(), "the parser builds canonical terms");
  for (bool const strings : {true, false}) {
    auto const printed = etf::print(t, {.strings = strings, .bytes_max = SIZE_MAX});
    auto const back = etf::parse(printed, {.text_bytes_max = SIZE_MAX});
    must(back.has_value() && *back == t, "printed text parses to the same term");
  }
}

void check_error(etf::parse_error const& error, std::string_view text) {
  must(error.at <= text.size(), "an error is within the text");
  must(!error.expected.empty() && !describe(error).empty(), "an error says something");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::string_view const text(reinterpret_cast<char const*>(data), size);
  auto const one = etf::parse(text);
  one ? check_term(*one) : check_error(one.error(), text);
  auto const many = etf::parse_arguments(text);
  if (!many) check_error(many.error(), text);
  must(!one || (many && many->size() == 1 && (*many)[0] == *one), "one term is one argument");
  return 0;
}
