// Answers that many requests of the door have.
#pragma once

#include "base/wrong_option.hpp"
#include "etf/builder.hpp"

#include <string_view>

namespace remora::services {

inline etf::term ok() { return etf::make(etf::am("ok")); }
inline etf::term error(std::string_view why) { return etf::make(etf::tup(etf::am("error"), etf::am(why))); }
etf::term option_error(base::wrong_option const& w); // {error, {option, Key, Text}}

inline void put_text_or_none(etf::builder& b, std::string_view text) {
  if (text.empty())
    b.atom("none");
  else
    b.binary(text);
}

} // namespace remora::services
