// remora as a library: a native node of a BEAM cluster in a C++ program. This header is all that a service
// needs.
//
//   runtime          a whole node: registers, listens, serves until told to stop       io/runtime.hpp
//   node::functions  what others may call by rpc, erpc and spawn                        node/functions.hpp
//   node::self       what a process does: receive, send, call, link, monitor, spawn     node/process.hpp
//   node::server     a process that behaves as an OTP gen_server                        node/server.hpp
//   etf::term, view  Erlang terms, owned and borrowed; etf::make builds them            etf/term.hpp,
//   etf/builder.hpp etf::print       terms as text etf/print.hpp
#pragma once

#include "etf/builder.hpp"
#include "etf/print.hpp"
#include "etf/term.hpp"
#include "io/runtime.hpp"
#include "node/core.hpp"
#include "node/functions.hpp"
#include "node/process.hpp"
#include "node/server.hpp"
