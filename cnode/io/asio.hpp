// Asio as io/ uses it: one thread, coroutines, errors as values.
#pragma once

#define BOOST_ASIO_DISABLE_BOOST_COROUTINE 1
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace remora::io {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using boost::system::error_code;
inline constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

// A coroutine that nobody waits for: what escapes from it is our bug, and ends the program loudly.
inline constexpr auto rethrow = [](std::exception_ptr error) {
  if (error) std::rethrow_exception(error);
};

} // namespace remora::io
