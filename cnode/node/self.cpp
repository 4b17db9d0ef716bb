// What a running process does, in terms of the node: messages, calls, links, monitors.
#include "node/signals.hpp"

#include "base/check.hpp"
#include "dist/flags.hpp"
#include "etf/reader.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace remora::node {

etf::pid const& self::pid() const { return process_->pid; }
etf::pid const& self::leader() const { return process_->leader; }

// Waiting.

self::receive_awaiter self::receive(pattern wanted) { return {*this, std::move(wanted)}; }

self::timed_receive_awaiter self::receive_within(base::duration timeout, pattern wanted) {
  return {*this, std::move(wanted), node_->now() + timeout};
}

self::timed_receive_awaiter self::receive_until(std::optional<base::time_point> deadline, pattern wanted) {
  return {*this, std::move(wanted), deadline};
}

bool self::receive_awaiter::await_ready() {
  message_ = me_.node().take_message(me_.raw(), pattern_);
  return message_.has_value();
}

void self::receive_awaiter::await_suspend(std::coroutine_handle<> caller) {
  me_.raw().waiting = {.for_what = waiting::what::message,
                       .pattern = &pattern_,
                       .message = &message_,
                       .peer = {},
                       .resume = caller};
  me_.node().release_mailbox(me_.raw());
}

bool self::timed_receive_awaiter::await_ready() {
  message_ = me_.node().take_message(me_.raw(), pattern_);
  return message_.has_value();
}

void self::timed_receive_awaiter::await_suspend(std::coroutine_handle<> caller) {
  me_.raw().waiting = {.for_what = waiting::what::message,
                       .pattern = &pattern_,
                       .message = &message_,
                       .peer = {},
                       .resume = caller};
  me_.node().set_deadline(me_.raw(), deadline_);
  me_.node().release_mailbox(me_.raw());
}

namespace {

// Not a receive: what fills the mailbox meanwhile is no reason to read on.
struct sleep_awaiter {
  self me;
  std::function<void()> set_alarm;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> caller) {
    me.raw().waiting = {.for_what = waiting::what::time,
                        .pattern = nullptr,
                        .message = nullptr,
                        .peer = {},
                        .resume = caller};
    set_alarm();
  }
  void await_resume() const {}
};

} // namespace

void self::wait_until(std::optional<base::time_point> deadline) {
  if (process_->waiting.for_what == waiting::what::message && !process_->scheduled)
    node_->set_deadline(*process_, deadline);
}

task<> self::sleep(base::duration time) {
  auto const until = node_->now() + time;
  sleep_awaiter asleep{*this, [this, until] { node_->set_deadline(*process_, until); }};
  co_await asleep;
}

self::writable_awaiter self::writable(etf::atom const& peer) { return {*this, peer}; }

bool self::writable_awaiter::await_ready() {
  auto* const p = me_.node().find_peer(peer_.text());
  if (p == nullptr || p->where != peer::state::up) return true;
  auto const* const wire = me_.node().connection(p->connection);
  return wire == nullptr || !wire->out().busy();
}

void self::writable_awaiter::await_suspend(std::coroutine_handle<> caller) {
  me_.raw().waiting = {.for_what = waiting::what::writable,
                       .pattern = nullptr,
                       .message = nullptr,
                       .peer = peer_,
                       .resume = caller};
  me_.node().find_peer(peer_.text())->waiting_writable.push_back(me_.raw().id);
}

namespace {

// Suspends once; whoever knows that the peer came up or failed schedules the process.
struct connected_awaiter {
  process& p;
  std::vector<local_id>& waiters;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> caller) {
    p.waiting = {.for_what = waiting::what::connected,
                 .pattern = nullptr,
                 .message = nullptr,
                 .peer = {},
                 .resume = caller};
    waiters.push_back(p.id);
  }
  void await_resume() const {}
};

} // namespace

task<bool> self::connect(etf::atom peer_name) {
  auto const reached = co_await reach(std::move(peer_name));
  co_return reached.has_value();
}

namespace {

using reached = base::result<void, std::string>;
reached no_connection(std::string why) { return {boost::system::in_place_error, std::move(why)}; }

} // namespace

task<base::result<void, std::string>> self::reach(etf::atom peer_name) {
  if (peer_name == node_->name()) co_return reached(boost::system::in_place_value);
  auto* const p = node_->want_peer(peer_name);
  if (p == nullptr && node_->leaving_) co_return no_connection("leaving");
  if (p == nullptr)
    co_return no_connection(etf::is_node_name(peer_name.text()) ? "system_limit" : "bad_name");
  process_->connect_failure.clear();
  if (p->where != peer::state::up) co_await connected_awaiter{*process_, p->waiting_connected};
  if (node_->connected(peer_name.text())) co_return reached(boost::system::in_place_value);
  co_return no_connection(process_->connect_failure.empty() ? "connection_closed"
                                                            : process_->connect_failure);
}

// Sending.

namespace {

constexpr std::size_t shared_bytes_min =
    16U << 10U; // smaller terms are copied: sharing would keep the rest alive

void send_control(etf::builder& b, peer const& p, etf::pid const& from, etf::pid const& to) {
  bool const sender = p.where != peer::state::up || (p.flags & dist::flag::send_sender) != 0;
  if (sender)
    dist::write::send_sender(b, from, to);
  else
    dist::write::send(b, to);
}

} // namespace

send_status self::send(destination const& to, etf::term const& message, bool dial) {
  auto const& node = to.where();
  if (node.empty() || node == node_->name_) {
    auto* const p = to.pid ? node_->find_process(*to.pid) : node_->find_registered(to.name.text());
    if (p != nullptr) node_->deliver(*p, message);
    return send_status::sent;
  }
  return node_->signal_to(
      node.text(), process_->id, dial,
      [&](etf::builder& b, peer const& p) {
        if (!to.pid) return dist::write::reg_send(b, process_->pid, to.name.text());
        send_control(b, p, process_->pid, *to.pid);
      },
      message);
}

send_status self::send_each(std::span<etf::pid const> to, etf::term const& message) {
  auto const* const p = to.size() > 1 ? node_->find_peer(to[0].node.text()) : nullptr;
  if (p == nullptr || !p->fans_out) {
    auto out = send_status::sent;
    for (auto const& pid : to) out = std::max(out, send(pid, message));
    return out;
  }
  etf::builder head;
  head.tuple(2).list(to.size());
  for (auto const& pid : to) head.pid(pid);
  head.nil();
  return node_->signal_to(
      p->name.text(), process_->id, false,
      [&](etf::builder& b, peer const&) { dist::write::reg_send(b, process_->pid, fan_out_name); },
      dist::payload{base::blob(std::move(head.raw())), message.bytes()});
}

send_status self::cast(destination const& to, etf::view request) {
  return send(to, etf::make(etf::tup(etf::am("$gen_cast"), request)));
}

etf::term self::keep(etf::view part) const {
  auto const* const message = process_->current;
  bool const share = message != nullptr && part.bytes().size() >= shared_bytes_min && message->contains(part);
  return share ? message->part(part) : etf::term(part);
}

namespace {

std::optional<etf::reference> alias_of(etf::view tag) {
  auto list = tag.list();
  auto const head = list ? list->next() : std::nullopt;
  if (!head) return std::nullopt;
  if (!head->is_atom("alias")) return alias_of(*head); // [[alias|Ref]|_]
  return list->left() == 0 ? list->tail().as_reference() : std::nullopt;
}

// {Tag, Reply}
dist::payload reply_message(etf::view tag, etf::term const& answer) {
  if (answer.size() < shared_bytes_min) return etf::make(etf::tup(tag, answer));
  etf::builder head;
  head.tuple(2).copy(tag);
  return {base::blob(std::move(head.raw())), answer.bytes()};
}

} // namespace

// gen:reply/2. Tag [alias|Ref] or [[alias|Ref]|_]: to the alias; any other tag: to the caller. Always {Tag,
// Reply}.
void self::reply(caller const& to, etf::term const& answer) {
  auto const from = to.from->tuple<2>();
  if (!from) return;
  auto const [pid, tag] = *from;
  auto const receiver = pid.as_pid();
  if (!receiver) return;
  auto const alias = alias_of(tag);
  auto const& node = alias ? alias->node : receiver->node;
  if (node == node_->name_) {
    auto const owner = alias ? node_->aliases_.find(*alias) : node_->aliases_.end();
    if (alias && owner == node_->aliases_.end()) return;
    auto* const p = alias ? node_->find_process(owner->second) : node_->find_process(*receiver);
    if (p != nullptr) node_->deliver(*p, etf::make(etf::tup(tag, answer)));
    return;
  }
  node_->signal_to(
      node.text(), process_->id, false,
      [&](etf::builder& b, peer const& p) {
        if (alias) return dist::write::alias_send(b, process_->pid, *alias);
        send_control(b, p, process_->pid, *receiver);
      },
      reply_message(tag, answer));
}

// Calls.

namespace {

bool is_down(etf::view message, etf::view ref) {
  if (message.arity() != 5U) return false;
  auto const down = *message.tuple<5>();
  return down[0].is_atom("DOWN") && down[1] == ref;
}

// {Tag, Reply} with Tag = [alias|Ref], or the DOWN of the call's monitor.
bool answers(etf::view message, etf::view tag, etf::view ref) {
  if (auto const reply = message.tuple<2>()) return (*reply)[0] == tag;
  return is_down(message, ref);
}

} // namespace

task<call_result> self::call(destination to, etf::term request, base::duration timeout) {
  auto const ref = monitor(to, true);
  auto const ref_term = etf::make(ref);
  auto const tag = etf::make(etf::imp(etf::am("alias"), ref));
  send(to, etf::make(etf::tup(etf::am("$gen_call"), etf::tup(process_->pid, *tag), request)));
  auto const answer =
      co_await receive_within(timeout, [&](etf::view message) { return answers(message, *tag, *ref_term); });
  demonitor(ref);
  if (!answer) co_return call_failure::because(etf::make(etf::am("timeout")));
  if ((*answer)->arity() == 2U) co_return etf::term((*(*answer)->tuple<2>())[1]);
  auto const reason = (*(*answer)->tuple<5>())[4];
  if (!reason.is_atom("noconnection")) co_return call_failure::because(etf::term(reason));
  auto const& node = to.where();
  co_return call_failure::because(etf::make(etf::tup(etf::am("nodedown"), node)));
}

etf::reference self::spawn_request(etf::atom const& peer_name, std::string_view module,
                                   std::string_view function, etf::view arguments, spawn_options options) {
  auto const ref = node_->new_reference();
  std::vector<etf::term> flags;
  if (options.monitor) flags.push_back(etf::make(etf::am("monitor")));
  if (options.link) flags.push_back(etf::make(etf::am("link")));
  auto const option_list = etf::make(flags);
  auto const count = arguments.list()->left();
  base::check(count <= 255, "spawn_request: at most 255 arguments");
  if (peer_name == node_->name()) {
    node_->spawn_here(*process_, ref, module, function, etf::term(arguments), options);
    return ref;
  }
  process_->spawns.emplace(ref, pending_spawn{.peer = peer_name, .options = options});
  auto const status = node_->signal_to(
      peer_name.text(), process_->id, true,
      [&](etf::builder& b, peer const&) {
        dist::write::spawn_request(b, ref, process_->pid, process_->leader, module, function,
                                   static_cast<std::uint8_t>(count), *option_list);
      },
      etf::term(arguments));
  if (status == send_status::dropped && node_->find_peer(peer_name.text()) == nullptr) {
    process_->spawns.erase(ref);
    node_->deliver(*process_, etf::make(etf::tup(etf::am("spawn_reply"), ref, etf::am("error"),
                                                 etf::am("noconnection"))));
  }
  return ref;
}

// A spawn request to the own node, without the wire.
void core::spawn_here(process& by, etf::reference const& ref, std::string_view module,
                      std::string_view function, etf::term const& arguments, spawn_options options) {
  auto const answer = [&](std::string_view how, auto const& what) {
    deliver(by, etf::make(etf::tup(etf::am("spawn_reply"), ref, etf::am(how), what)));
  };
  if (processes_.size() >= options_.limits.processes_max) return answer("error", etf::am("system_limit"));
  auto& child = new_process(spawned_body(module, function, arguments), by.leader,
                            fmt::format("{}:{}/{}", module, function, arguments->list()->left()));
  auto const pid = child.pid;
  if (options.link) link(by, pid);
  if (options.monitor) monitor(by, pid, ref);
  answer("ok", pid);
}

namespace {

bool is_spawn_reply(etf::view message, etf::view ref) {
  if (message.arity() != 4U) return false;
  auto const reply = *message.tuple<4>();
  return reply[0].is_atom("spawn_reply") && reply[1] == ref;
}

etf::term erpc_error(etf::view what) { return etf::make(etf::tup(etf::am("erpc"), what)); }

// erpc:result/4: the exit reason of the process that ran the call.
call_result erpc_outcome(etf::view reason, etf::view result_ref) {
  auto const arity = reason.arity();
  if (arity == 3U) {
    auto const [ref, how, value] = *reason.tuple<3>();
    if (ref == result_ref) {
      if (how.is_atom("return")) return etf::term(value);
      if (how.is_atom("throw")) return call_failure::because(etf::make(etf::tup(etf::am("throw"), value)));
      if (how.is_atom("exit"))
        return call_failure::because(
            etf::make(etf::tup(etf::am("exit"), etf::tup(etf::am("exception"), value))));
      if (how.is_atom("error")) return call_failure::because(etf::make(etf::tup(etf::am("error"), value)));
    }
  }
  if (arity == 4U) {
    auto const [ref, how, error, stack] = *reason.tuple<4>();
    if (ref == result_ref && how.is_atom("error"))
      return call_failure::because(
          etf::make(etf::tup(etf::am("error"), etf::tup(etf::am("exception"), error, stack))));
  }
  if (reason.is_atom("noconnection"))
    return call_failure::because(etf::make(etf::tup(etf::am("error"), erpc_error(reason))));
  return call_failure::because(etf::make(etf::tup(etf::am("exit"), etf::tup(etf::am("signal"), reason))));
}

// What ends a call: its child's end, or that there is none. The ok of the spawn stays in the mailbox until
// then, so that the process is woken once.
bool ends_rpc(etf::view message, etf::view req) {
  if (is_down(message, req)) return true;
  return is_spawn_reply(message, req) && !(*message.tuple<4>())[2].is_atom("ok");
}

call_failure erpc_failed(etf::view what) {
  return call_failure::because(etf::make(etf::tup(etf::am("error"), erpc_error(what))));
}

} // namespace

// What a call is until it is answered; the rest is done before and after it waits, to keep its frame small.
struct self::open_rpc {
  etf::reference ref;
  etf::term req; // the same
  etf::term result;
};

self::open_rpc self::begin_rpc(etf::atom const& peer_name, std::string_view module, std::string_view function,
                               etf::view arguments) {
  auto result = etf::make(node_->new_reference());
  auto const list = etf::make(etf::lst(*result, etf::am(module), etf::am(function), arguments));
  auto const ref = spawn_request(peer_name, "erpc", "execute_call", list, {.link = false, .monitor = true});
  return {.ref = ref, .req = etf::make(ref), .result = std::move(result)};
}

call_result self::end_rpc(open_rpc const& open, std::optional<etf::term> const& said) {
  bool const refused = said && (*said)->arity() == 4U;
  if (refused) return erpc_failed((*(*said)->tuple<4>())[3]);
  if (!said && process_->spawns.erase(open.ref) > 0) return erpc_failed(etf::make(etf::am("timeout")));
  node_->take_message(*process_, [&](etf::view m) { return is_spawn_reply(m, *open.req); });
  if (said) return erpc_outcome((*(*said)->tuple<5>())[4], *open.result);
  demonitor(open.ref);
  return erpc_failed(etf::make(etf::am("timeout")));
}

task<call_result> self::rpc(etf::atom peer_name, std::string module, std::string function,
                            etf::term arguments, std::optional<base::duration> timeout) {
  std::optional<base::time_point> deadline;
  if (timeout) deadline = node_->now() + *timeout;
  auto const open = begin_rpc(peer_name, module, function, arguments);
  auto const said = co_await receive_until(deadline, [&open](etf::view m) { return ends_rpc(m, *open.req); });
  co_return end_rpc(open, said);
}

task<base::result<etf::pid, call_failure>> self::spawn_at(etf::atom peer_name, std::string module,
                                                          std::string function, etf::term arguments,
                                                          spawn_options options, base::duration timeout) {
  auto const req = spawn_request(peer_name, module, function, *arguments, options);
  auto const req_term = etf::make(req);
  auto const reply =
      co_await receive_within(timeout, [&](etf::view m) { return is_spawn_reply(m, *req_term); });
  if (!reply) {
    process_->spawns.erase(req);
    co_return call_failure::because(etf::make(etf::am("timeout")));
  }
  auto const outcome = *(*reply)->tuple<4>();
  if (auto pid = outcome[3].as_pid()) co_return std::move(*pid);
  co_return call_failure::because(etf::term(outcome[3]));
}

// Links, monitors, names.

etf::pid self::spawn(node::body run, spawn_options options, etf::reference* monitor_ref) {
  auto& child = node_->new_process(std::move(run), process_->leader, process_->initial_call);
  if (options.link) link(child.pid);
  if (options.monitor) {
    auto const ref = monitor(child.pid);
    if (monitor_ref != nullptr) *monitor_ref = ref;
  }
  return child.pid;
}

void self::link(etf::pid const& other) { node_->link(*process_, other); }
void self::unlink(etf::pid const& other) { node_->unlink(*process_, other); }

etf::reference self::make_ref() { return node_->new_reference(); }

etf::reference self::monitor(destination const& other, bool alias) {
  auto const ref = node_->new_reference();
  if (alias) {
    process_->aliases.insert(ref);
    node_->aliases_.emplace(ref, process_->id);
  }
  node_->monitor(*process_, other, ref);
  return ref;
}

void self::demonitor(etf::reference const& ref, bool flush) {
  node_->demonitor(*process_, ref);
  if (!flush) return;
  auto const ref_term = etf::make(ref);
  node_->take_message(*process_, [&](etf::view m) { return is_down(m, *ref_term); });
}

void self::exit_other(etf::pid const& other, etf::view reason) {
  if (other.node == node_->name_) {
    if (auto* const p = node_->find_process(other))
      node_->kill_or_deliver_exit(*p, process_->pid, etf::term(reason), false);
    return;
  }
  auto const* const p = node_->find_peer(other.node.text());
  bool const payload = p == nullptr || p->takes_exit_payload();
  node_->signal_to(
      other.node.text(), process_->id, true,
      [&](etf::builder& b, peer const&) { dist::write::exit2(b, process_->pid, other, reason, payload); },
      payload ? etf::term(reason) : etf::term());
}

void self::exit(etf::term reason) { throw exit_process{std::move(reason)}; }
void self::exit(std::string_view reason) { exit(etf::make(etf::am(reason))); }
void self::end_with(etf::term reason) { process_->end_reason = std::move(reason); }
void self::set_leader(etf::pid leader) { process_->leader = std::move(leader); }
void self::trap_exit(bool on) { process_->trap_exit = on; }
void self::monitor_nodes(bool on) { process_->node_monitor = on; }

bool self::register_name(std::string_view name) {
  if (!process_->name.empty() || node_->names_.contains(name) || name.empty() || name == "undefined")
    return false;
  process_->name = etf::atom(name);
  node_->names_.emplace(process_->name, process_->id);
  return true;
}

void self::unregister_name() {
  if (process_->name.empty()) return;
  node_->names_.erase(process_->name);
  process_->name = {};
}

// io:request/2: the group leader answers {io_reply, Ref, Reply}, or is gone.
task<bool> self::print(std::string utf8) {
  auto const to = process_->leader;
  auto const ref = monitor(to);
  auto const ref_term = etf::make(ref);
  send(to, etf::make(etf::tup(etf::am("io_request"), process_->pid, ref,
                              etf::tup(etf::am("put_chars"), etf::am("unicode"), std::string_view(utf8)))));
  auto const answer = co_await receive([&](etf::view m) {
    if (is_down(m, *ref_term)) return true;
    auto const reply = m.tuple<3>();
    return reply && (*reply)[0].is_atom("io_reply") && (*reply)[1] == *ref_term;
  });
  demonitor(ref);
  co_return answer->arity() == 3U;
}

} // namespace remora::node
