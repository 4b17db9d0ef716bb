// The door: one table of requests, and what stands around a request: write, batch, the stream.
#include "services/door.hpp"
#include "services/answers.hpp"

#include "base/check.hpp"

#include <map>
#include <string>
#include <tuple>
#include <utility>

namespace remora::services {

using etf::am;
using etf::make;
using etf::tup;

namespace {

struct key {
  std::string tag;
  std::size_t arity;
};
struct borrowed_key {
  std::string_view tag;
  std::size_t arity;
};
struct key_less {
  using is_transparent = void;
  static auto tie(auto const& k) { return std::tuple(k.arity, std::string_view(k.tag)); }
  bool operator()(auto const& a, auto const& b) const { return tie(a) < tie(b); }
};

// The tag and arity of a request; an empty tag is none.
borrowed_key key_of(etf::view request) {
  auto const arity = request.arity();
  auto const tag = arity && *arity > 0 ? request.element(0)->atom_text() : request.atom_text();
  return {tag.value_or(std::string_view()), arity.value_or(0)};
}

bool is_nesting(borrowed_key k) { return k.arity == 2 && (k.tag == "write" || k.tag == "batch"); }

} // namespace

class door::behaviour : public node::server {
public:
  explicit behaviour(door_limits const& some)
      : limits(some), mirror([this](etf::pid const& to, etf::term const& m) { tell(to, m); },
                             [this] { flush_soon(); }, some.mirror),
        waiting([this] {
          mirror.flush();
          return mirror.version();
        }) {}

  door_limits limits;
  std::map<key, handler, key_less> handlers;
  std::vector<std::function<void(mirror_changes&)>> snapshots;
  services::mirror mirror;
  tickets waiting;

  void opened(node::self me) {
    waiting.open(me);
    me.raw().unwatched = [this](node::watch_key const& k) { waiting.unwatched(k); };
  }
  void closed() { waiting.close(); }

  answer handle_call(node::self me, node::caller const& from, etf::view request) override {
    auto const k = key_of(request);
    if (is_nesting(k)) {
      auto const inner = *request.element(1);
      if (k.tag == "batch") return begin_batch(me, from, inner);
      begin(me, waiting.write(from), inner);
    } else {
      begin(me, waiting.plain(from), request);
    }
    return std::nullopt;
  }

  // A call whose answer nobody wants.
  void handle_cast(node::self me, etf::view request) override { begin(me, {}, request); }

  void handle_info(node::self me, etf::view message) override {
    if (message.is_atom(flush_message)) return mirror.flush();
    auto const down = message.tuple<5>();
    if (!down || !(*down)[0].is_atom("DOWN")) return;
    auto const ref = (*down)[1].as_reference();
    if (ref && !waiting.down(*ref)) mirror.end(*ref);
    (void)me;
  }

  etf::term state() const override {
    return make(tup(am("state"), mirror.version(), mirror.streams(), waiting.tracked()));
  }

  answer begin_stream(node::self me, ticket const& to) {
    auto const who = to.caller();
    if (!who) return error("badarg");
    if (!mirror.has_room()) return error("system_limit");
    auto const ref = me.monitor(*who);
    to.reply(make(tup(am("ok"), ref)));
    mirror.begin(ref, *who, [this](mirror_changes& now) {
      for (auto const& tell_all : snapshots) tell_all(now);
    });
    return std::nullopt;
  }
  answer end_stream(node::self me, etf::view which) {
    auto const ref = which.as_reference();
    if (!ref || !mirror.end(*ref)) return error("unknown_stream");
    me.demonitor(*ref);
    return make(am("ok"));
  }

private:
  static constexpr std::string_view flush_message = "remora_mirror_flush"; // to itself

  void begin(node::self me, ticket const& to, etf::view request) {
    if (auto const said = handle(me, to, request)) to.reply(*said);
  }

  answer handle(node::self me, ticket const& to, etf::view request) {
    auto const k = key_of(request);
    if (is_nesting(k)) return error("badarg"); // within another
    if (auto const found = handlers.find(k); found != handlers.end()) return found->second(me, to, request);
    return make(tup(am("error"), tup(am("unknown_request"), request)));
  }

  answer begin_batch(node::self me, node::caller const& from, etf::view requests) {
    auto list = requests.list();
    if (!list) return error("badarg");
    auto const count = list->left();
    if (count > limits.requests_max) return error("system_limit");
    auto walk = *list;
    while (walk.next()) {
    }
    if (walk.tail().what() != etf::kind::nil) return error("badarg");
    if (count == 0) {
      mirror.flush();
      return make(tup(mirror.version(), std::vector<int>{}));
    }
    auto places = waiting.batch(from, count);
    for (auto& place : places) begin(me, std::exchange(place, {}), *list->next());
    return std::nullopt;
  }

  void tell(etf::pid const& to, etf::term const& message) {
    if (auto me = waiting.door()) me->send(to, message, false);
  }
  // Behind what the node is at now.
  void flush_soon() {
    if (auto me = waiting.door()) me->send(me->pid(), make(am(flush_message)));
  }
};

namespace {

// While the door's process runs. The coroutine owns it: when it goes, on whatever way, nothing is said any
// more.
template <class Behaviour>
struct opening {
  opening(Behaviour& a_door, node::self me) : door(a_door) { door.opened(me); }
  opening(opening const&) = delete;
  opening& operator=(opening const&) = delete;
  ~opening() { door.closed(); }
  Behaviour& door;
};

} // namespace

door::door(node::core& node, door_limits limits) : behaviour_(std::make_shared<behaviour>(limits)) {
  auto const run = [b = behaviour_](node::self me) -> node::task<> {
    opening<behaviour> const now(*b, me);
    auto const serve = node::serve(b);
    co_await serve(me);
  };
  node.spawn(run, "remora", "remora:init/1");
  on("mirror", 0,
     [b = behaviour_.get()](node::self me, ticket const& to, etf::view) { return b->begin_stream(me, to); });
  on("demirror", 2, [b = behaviour_.get()](node::self me, ticket const&, etf::view request) {
    return b->end_stream(me, *request.element(1));
  });
}

void door::on(std::string_view tag, std::size_t arity, handler handle) {
  bool const fresh = behaviour_->handlers.emplace(key{std::string(tag), arity}, std::move(handle)).second;
  base::check(fresh, "door: one handler for each request");
}

mirror& door::mirror() const { return behaviour_->mirror; }

void door::on_snapshot(std::function<void(mirror_changes& now)> tell_all) {
  behaviour_->snapshots.push_back(std::move(tell_all));
}

std::size_t door::tracked_callers() const { return behaviour_->waiting.tracked(); }

} // namespace remora::services
