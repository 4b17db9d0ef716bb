// Floats as Erlang writes them: the shortest digits that read back as the same float, laid out as OTP's
// float_to_list(F, [short]) does (erts/emulator/ryu/d2s.c and its Erlang ancestor in io_lib_format).
#pragma once

#include <string>

namespace remora::etf {

std::string float_text(double finite); // also valid JSON

} // namespace remora::etf
