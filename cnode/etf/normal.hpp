// One encoding for one value. A canonical term (etf/term.hpp) leaves two freedoms: a list of bytes may be 107
// or 108, and a list's tail a list; and a map has its keys in the sender's order, which differs between OTP
// 25 (term order) and 26 and later (by atom index). Where terms are keys - the groups of pg, the names of
// global - equal values must be equal bytes: here they become so.
//
// 1 and 1.0 stay two terms, as for =:=. Funs are opaque.
#pragma once

#include "etf/term.hpp"

namespace remora::etf {

// Is it in normal form as it stands? A walk without an allocation, which is all that most keys need.
bool is_normal(view canonical);
// Lists of bytes as 107 where it can be, lists flat, the keys of maps in the order of their bytes.
term normalised(view canonical);

} // namespace remora::etf
