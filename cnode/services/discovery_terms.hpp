// Discovery in Erlang terms, as the door speaks of it (services/discovery_door.cpp has the shapes), and its
// news as lines of the log.
#pragma once

#include "discovery/types.hpp"
#include "etf/term.hpp"
#include "node/effects.hpp"
#include "services/discovery.hpp"

namespace remora::services {

// Options over what is set already; the sources are added to those of `base`.
base::result<discovery_settings, discovery::wrong_option> read_settings(etf::view options,
                                                                        discovery_settings const& base);
etf::term wrong_term(discovery::wrong_option const& w); // {error, {option, Key, Text}}

etf::term to_term(discovery::result const& r);
etf::term to_term(discovery::news const& n);
etf::term to_term(discovery::status const& s, bool configured, base::time_point now);
node::notice to_notice(discovery::news const& n);

} // namespace remora::services
