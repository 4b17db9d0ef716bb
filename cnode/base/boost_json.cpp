// Boost.JSON, compiled once for the whole program: its library is used the header-only way.
#include <boost/json/src.hpp>
