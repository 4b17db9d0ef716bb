#include "services/answers.hpp"

#include "etf/reader.hpp"

namespace remora::services {

etf::term option_error(base::wrong_option const& w) {
  etf::builder b;
  b.tuple(2).atom("error").tuple(3).atom("option");
  if (etf::is_atom_text(base::as_bytes(w.key)))
    b.atom(w.key);
  else
    b.binary(w.key);
  b.binary(w.text);
  return b.take();
}

} // namespace remora::services
