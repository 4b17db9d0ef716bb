// The JSON of terms: the documented mapping, and that a cut text is still JSON.
#include "etf/json.hpp"

#include "base/utf8.hpp"
#include "etf/builder.hpp"
#include "etf/parse.hpp"
#include "unit/terms.hpp"

#include <doctest/doctest.h>

#include <cctype>

using namespace remora;

namespace {

std::string json(std::string_view term) { return etf::to_json(*etf::parse(term)); }

// A JSON text or not, by the grammar of RFC 8259 and nothing else.
class json_checker {
public:
  explicit json_checker(std::string_view text) : text_(text) {}
  bool whole() { return value() && at_ == text_.size() && base::is_utf8(text_); }

private:
  bool accept(std::string_view token) {
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    return true;
  }
  bool digits() {
    std::size_t const start = at_;
    while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
    return at_ > start;
  }
  bool number() {
    accept("-");
    if (!accept("0") && !digits()) return false;
    if (accept(".") && !digits()) return false;
    if (accept("e") && !((accept("-") || accept("+") || true) && digits())) return false;
    return true;
  }
  bool string() {
    if (!accept("\"")) return false;
    while (!accept("\"")) {
      if (at_ >= text_.size() || static_cast<unsigned char>(text_[at_]) < 0x20) return false;
      if (accept("\\u")) {
        for (int i = 0; i < 4; ++i, ++at_)
          if (std::isxdigit(static_cast<unsigned char>(text_[at_])) == 0) return false;
      } else if (!accept("\\\"") && !accept("\\\\")) {
        if (text_[at_] == '\\') return false;
        ++at_;
      }
    }
    return true;
  }
  bool array() {
    if (accept("]")) return true;
    do {
      if (!value()) return false;
    } while (accept(","));
    return accept("]");
  }
  bool object() {
    if (accept("}")) return true;
    do {
      if (!string() || !accept(":") || !value()) return false;
    } while (accept(","));
    return accept("}");
  }
  bool value() {
    if (accept("[")) return array();
    if (accept("{")) return object();
    if (accept("true") || accept("false") || accept("null")) return true;
    return text_.substr(at_).starts_with("\"") ? string() : number();
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

} // namespace

TEST_CASE("every kind of term has its JSON") {
  CHECK(json("[true, false, null, undefined, 'a\"b\\\\c\\n']") ==
        R"([true,false,null,"undefined","a\"b\\c\u000a"])");
  CHECK(json("{0, -1, 9007199254740992, 9007199254740993, -9007199254740993}") ==
        R"({"t":[0,-1,9007199254740992,"9007199254740993","-9007199254740993"]})");
  CHECK(json("[1.5, 1.0e22, -0.0]") == "[1.5,1.0e22,-0.0]");
  CHECK(json("[[], \"abc\", \"дом\", [1,2], [$a, b]]") == R"([[],"abc","дом",[1,2],[97,"b"]])");
  CHECK(json("[a, b | c]") == R"({"l":["a","b"],"tail":"c"})");
  CHECK(
      json("[<<\"text\">>, <<>>, <<255>>, <<255,254>>, <<1,2,255>>, <<1:1>>, <<1,1:1>>]") ==
      R"(["text","",{"b64":"/w=="},{"b64":"//4="},{"b64":"AQL/"},{"b64":"gA==","bits":1},{"b64":"AYA=","bits":9}])");
  CHECK(json("{#Pid<a@h.1.2.3>, fun m:f/1}") == R"({"t":["#Pid<a@h.1.2.3>","fun m:f/1"]})");
}

TEST_CASE("a map is an object when its keys are of one kind of text") {
  CHECK(json("#{a => 1, b => #{}}") == R"({"a":1,"b":{}})");
  CHECK(json("#{<<\"a\">> => 1}") == R"({"a":1})");
  CHECK(json("#{\"a\" => 1, \"b\" => 2}") == R"({"a":1,"b":2})");
  CHECK(json("#{a => 1, <<\"a\">> => 2}") == R"({"m":[["a",1],["a",2]]})");
  CHECK(json("#{1 => 2}") == R"({"m":[[1,2]]})");
  CHECK(json("#{a => #{1 => b}, #{c => d} => e}") == R"({"m":[["a",{"m":[[1,"b"]]}],[{"c":"d"},"e"]]})");
  CHECK(json("#{<<255>> => 1}") == R"({"m":[[{"b64":"/w=="},1]]})");
}

TEST_CASE("whatever is printed, and wherever it is cut, is JSON") {
  base::random random(11);
  for (int i = 0; i < 5000; ++i) {
    auto const t = test::random_term(random);
    auto const whole = etf::to_json(t);
    CHECK_MESSAGE(json_checker(whole).whole(), whole);
    std::size_t const limit = random.below(whole.size() + 1);
    auto const cut = etf::to_json(t, limit);
    CHECK_MESSAGE(json_checker(cut).whole(), cut);
    CHECK(cut.size() <= limit + 1000);
  }
}

TEST_CASE("depth ends in an ellipsis") {
  etf::builder b;
  for (int i = 0; i < 100'000; ++i) b.tuple(1);
  auto const text = etf::to_json(b.nil().take());
  CHECK(json_checker(text).whole());
  CHECK(text.find("\"...\"") != std::string::npos);
}
