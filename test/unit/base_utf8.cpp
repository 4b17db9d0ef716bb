// UTF-8 as RFC 3629 has it, and what becomes of text that is none.
#include "base/utf8.hpp"

#include <doctest/doctest.h>

using remora::base::to_valid_utf8;

TEST_CASE("utf8: valid text stays, each byte of no sequence becomes U+FFFD") {
  CHECK(to_valid_utf8("") == "");
  CHECK(to_valid_utf8("a\u00e9\u20ac\U0001f41f") == "a\u00e9\u20ac\U0001f41f");
  CHECK(to_valid_utf8("a\xff"
                      "b") == "a\ufffd"
                              "b");
  CHECK(to_valid_utf8("\xe2\x82") == "\ufffd\ufffd");             // cut short
  CHECK(to_valid_utf8("\xc0\xaf") == "\ufffd\ufffd");             // overlong
  CHECK(to_valid_utf8("\xed\xa0\x80x") == "\ufffd\ufffd\ufffdx"); // a surrogate
}
