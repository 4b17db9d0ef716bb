#include "io/driver.hpp"

#include "io/clock.hpp"
#include "io/epmd.hpp"
#include "io/resolve.hpp"

#include <boost/asio/socket_base.hpp>

#include <algorithm>
#include <array>

namespace remora::io {

namespace {
constexpr auto last_words_time =
    std::chrono::seconds(1);         // how long a hung-up connection may take to write what waits
constexpr int read_soon_rounds = 16; // then the other connections have their turn
// A peer that streams small messages and asks for nothing back wakes us for each of them, which costs more
// than the message. So after this many reads that came small, soon after the other and made us write to
// nobody, bytes may gather for a moment before the next read.
constexpr int stream_reads_min = 8;
constexpr std::size_t stream_bytes_max = 16U << 10U; // of one read: above it, waiting saves nothing
constexpr auto stream_gap_max = std::chrono::microseconds(200);
constexpr auto gather_time = std::chrono::microseconds(400);
constexpr auto accept_pause = std::chrono::milliseconds(100); // when the system has no more file descriptors
} // namespace

// One socket. Operations in flight outlive whoever started them, hence the shared pointer.
struct driver::session : std::enable_shared_from_this<session> {
  session(node::connection_id an_id, tcp::socket a_socket)
      : id(an_id), socket(std::move(a_socket)), wake_reader(socket.get_executor()),
        last_words(socket.get_executor()) {}

  node::connection_id id;
  tcp::socket socket;
  asio::steady_timer wake_reader; // sleeps while the core does not want to read
  asio::steady_timer last_words;  // running once it is hung up
  bool waiting_to_write = false;
  bool hung_up = false;
  base::time_point last_read;
  int stream_reads = 0;      // in a row
  std::uint64_t written = 0; // by all sessions, at the last read

  // After a read of this size: may the next one wait?
  bool streams(std::size_t count, base::time_point at, std::uint64_t written_now) {
    bool const goes_on =
        count <= stream_bytes_max && at - last_read <= stream_gap_max && written == written_now;
    stream_reads = goes_on ? std::min(stream_reads + 1, stream_reads_min) : 0;
    last_read = at;
    written = written_now;
    return stream_reads == stream_reads_min;
  }
};

driver::driver(asio::io_context& context, node::core& core, driver_options options,
               std::function<void(node::effect const&)> told)
    : context_(context), core_(core), options_(options), told_(std::move(told)), timer_(context) {}

void driver::serve(tcp::acceptor acceptor) {
  acceptor_.emplace(std::move(acceptor));
  asio::co_spawn(context_, accept_loop(), rethrow);
}

void driver::stop() {
  error_code ignored;
  if (acceptor_) acceptor_->close(ignored);
}

asio::awaitable<void> driver::accept_loop() {
  while (acceptor_->is_open()) {
    auto [ec, socket] = co_await acceptor_->async_accept(as_result);
    if (ec == asio::error::operation_aborted) co_return;
    if (ec) { // out of descriptors, or the peer was gone already
      asio::steady_timer pause(context_, accept_pause);
      co_await pause.async_wait(as_result);
      continue;
    }
    auto const id = core_.accepted(static_cast<std::uint32_t>(entropy()), now());
    if (id == 0) continue; // too many at once: closed as the socket leaves scope
    open(id, std::move(socket));
    settle();
  }
}

// The core gives an attempt up after setup_time; what it waits for ends with it.
asio::awaitable<void> driver::dial(node::connection_id id, std::string node) {
  using namespace asio::experimental::awaitable_operators;
  asio::steady_timer limit(context_, options_.setup_time);
  co_await (reach(id, std::move(node)) || limit.async_wait(asio::use_awaitable));
}

asio::awaitable<void> driver::reach(node::connection_id id, std::string node) {
  lookup_result found;
  if (options_.peer_port) {
    auto host = co_await resolve(node.substr(node.find('@') + 1));
    found.port = *options_.peer_port;
    found.addresses = std::move(host.addresses);
    found.error = std::move(host.error);
    found.word = "host_unknown";
  } else {
    found = co_await lookup(node, options_.epmd_port);
  }
  std::string error = found.error;
  if (error.empty()) {
    auto c = co_await connect_any(found.addresses, found.port);
    if (c.socket.is_open()) {
      core_.dialled(id, static_cast<std::uint32_t>(entropy()), now());
      if (core_.connection(id) != nullptr) open(id, std::move(c.socket));
      settle();
      co_return;
    }
    error = "it is registered but does not accept: " + c.error;
    found.word = "unreachable";
  }
  core_.dial_failed(id, std::move(error), now(), found.word);
  settle();
}

driver::session_ptr driver::open(node::connection_id id, tcp::socket socket) {
  error_code ignored;
  socket.non_blocking(true, ignored);
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  auto s = std::make_shared<session>(id, std::move(socket));
  sessions_.emplace(id, s);
  asio::co_spawn(context_, read_loop(s), rethrow);
  return s;
}

asio::awaitable<void> driver::read_loop(session_ptr s) {
  bool gathers = false;
  while (!s->hung_up) {
    if (!core_.reading_wanted(s->id)) {
      s->wake_reader.expires_at(asio::steady_timer::time_point::max());
      co_await s->wake_reader.async_wait(as_result);
      continue;
    }
    if (gathers) {
      s->wake_reader.expires_after(gather_time);
      co_await s->wake_reader.async_wait(as_result);
      s->last_read = now(); // the pause is ours
      gathers = false;
      continue;
    }
    auto const room = core_.input_room(s->id);
    auto [ec, count] = co_await s->socket.async_read_some(asio::buffer(room.data(), room.size()), as_result);
    if (s->hung_up) co_return;
    if (ec) {
      core_.closed(s->id, ec == asio::error::eof ? "the peer closed the connection" : ec.message(), now());
      finish(*s);
    } else {
      core_.received(s->id, count, now());
    }
    settle();
    for (int round = 0; round < read_soon_rounds && read_soon(*s); ++round) settle();
    gathers = s->streams(count, now(), writes_);
  }
}

// Looks for more for a few microseconds before it sleeps: to be woken costs more than that. Answers whether
// there was something.
bool driver::read_soon(session& s) {
  if (s.hung_up || !core_.more_expected(s.id)) return false;
  auto const until = now() + options_.busy_wait;
  while (now() < until && core_.reading_wanted(s.id)) {
    auto const room = core_.input_room(s.id);
    error_code ec;
    std::size_t const count = s.socket.read_some(asio::buffer(room.data(), room.size()), ec);
    if (count > 0) {
      core_.received(s.id, count, now());
      return true;
    }
    if (ec != asio::error::would_block && ec != asio::error::try_again)
      return false; // the read loop hears of it
  }
  return false;
}

// Carries out until nothing is left: what is written can wake a process that asks for more.
void driver::settle() {
  if (settling_) return;
  settling_ = true;
  while (true) {
    auto effects = core_.take_effects();
    auto const writable = core_.take_writable();
    if (effects.empty() && writable.empty()) break;
    // Before a hang_up may end it; the last one first: a call's answer follows what it made us tell others,
    // and somebody waits for it.
    for (auto i = writable.rbegin(); i != writable.rend(); ++i) flush_id(*i);
    for (auto& e : effects) carry_out(e);
  }
  settling_ = false;
  arm();
}

void driver::carry_out(node::effect& e) {
  if (auto* const d = std::get_if<node::dial>(&e)) {
    asio::co_spawn(context_, dial(d->connection, std::move(d->node)), rethrow);
  } else if (auto const* const h = std::get_if<node::hang_up>(&e)) {
    hang_up(h->connection);
  } else if (auto const* const r = std::get_if<node::resume_reading>(&e)) {
    core_.read_buffered(r->connection, now());
    auto const found = sessions_.find(r->connection);
    if (found != sessions_.end()) found->second->wake_reader.cancel();
  } else {
    told_(e);
  }
}

void driver::flush_id(node::connection_id id) {
  auto const found = sessions_.find(id);
  if (found == sessions_.end()) return;
  auto const s = found->second;
  flush(*s);
}

// Writes at once what the socket takes; only when it takes no more does anybody wait for it.
void driver::flush(session& s) {
  while (!s.waiting_to_write) {
    auto* const wire = core_.connection(s.id);
    if (wire == nullptr) break;
    auto const parts = wire->out().gather();
    if (parts.empty()) break;
    std::array<asio::const_buffer, dist::outbox::parts_max> buffers;
    for (std::size_t i = 0; i < parts.size(); ++i)
      buffers[i] = asio::buffer(parts[i].data(), parts[i].size());
    error_code ec;
    std::size_t const count = s.socket.write_some(std::span(buffers.data(), parts.size()), ec);
    if (count > 0) {
      ++writes_;
      core_.written(s.id, count, now());
    }
    if (ec == asio::error::would_block || ec == asio::error::try_again) {
      s.waiting_to_write = true;
      asio::co_spawn(context_, write_when_ready(s.shared_from_this()), rethrow);
      return;
    }
    if (ec) { // the read loop hears of the same error; a hung-up one ends here
      if (s.hung_up) finish(s);
      return;
    }
  }
  if (s.hung_up) finish(s);
}

asio::awaitable<void> driver::write_when_ready(session_ptr s) {
  auto [ec] = co_await s->socket.async_wait(tcp::socket::wait_write, as_result);
  s->waiting_to_write = false;
  if (ec || !s->socket.is_open()) co_return;
  flush(*s);
  settle();
}

void driver::hang_up(node::connection_id id) {
  auto const found = sessions_.find(id);
  if (found == sessions_.end()) return;
  auto const s = found->second;
  s->hung_up = true;
  s->wake_reader.cancel();
  auto* const wire = core_.connection(id);
  if (wire == nullptr || wire->out().empty()) return finish(*s);
  s->last_words.expires_after(last_words_time);
  s->last_words.async_wait([this, s](error_code ec) {
    if (!ec) finish(*s);
  });
  flush(*s);
}

void driver::finish(session& s) {
  auto const found = sessions_.find(s.id);
  if (found == sessions_.end()) return;
  auto const keep = found->second;
  sessions_.erase(found);
  keep->hung_up = true;
  keep->last_words.cancel();
  keep->wake_reader.cancel();
  error_code ignored;
  keep->socket.shutdown(tcp::socket::shutdown_both, ignored);
  keep->socket.close(ignored);
  core_.closed(keep->id, {}, now());
}

// The timer is only ever moved to earlier: a wake that finds nothing due is cheaper than a system call per
// event.
void driver::arm() {
  auto const next = core_.next_deadline();
  if (!next || (armed_ && *armed_ <= *next)) return;
  armed_ = next;
  timer_.expires_at(to_steady(*next));
  timer_.async_wait([this](error_code ec) {
    if (ec) return;
    armed_.reset();
    core_.wake(now());
    settle();
  });
}

} // namespace remora::io
