// One visitor made of several lambdas, for std::visit.
#pragma once

namespace remora::base {

template <class... Cases>
struct overload : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
overload(Cases...) -> overload<Cases...>;

} // namespace remora::base
