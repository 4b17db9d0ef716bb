// A voter among peers that say arbitrary things: each step is a byte that says what happens, and for messages
// a length and bytes behind the magic word. However it is spoken to, its term, its configuration and its
// token only grow, it votes once in a term, and says nothing that is not saved.
#include "base/bytes.hpp"
#include "fuzz/fuzz.hpp"
#include "raft/core.hpp"
#include "raft/messages.hpp"

#include <array>
#include <chrono>
#include <map>
#include <string>

using namespace remora;
using namespace std::chrono_literals;
using fuzz::must;

namespace {

constexpr std::array<char const*, 3> peers = {"a@h", "b@h", "c@h"};

raft::options quick() {
  raft::options o;
  o.heartbeat = 30ms;
  o.election_min = 150ms;
  o.election_max = 300ms;
  o.name_lease = 300ms;
  return o;
}

class subject {
public:
  subject() : core_({"me@h"}, quick(), 1) {
    disk_.instance = 9;
    disk_.config = {42, 0, 1, {{"a@h", 1}, {"b@h", 2}, {"me@h", 9}}};
    feed(raft::start{disk_});
    for (auto const* const p : peers) feed(raft::peer_up{p});
  }

  void feed(raft::event const& e) {
    raft::effects out;
    core_.handle(e, now_, out);
    for (auto const& effect : out) {
      if (auto const* const p = std::get_if<raft::persist>(&effect)) {
        must(p->state.term >= disk_.term, "terms grow");
        must(p->state.instance == disk_.instance, "it is who it is");
        must(p->state.config == disk_.config || p->state.config.newer_than(disk_.config),
             "configurations grow");
        writing_ = *p;
      }
      if (auto const* const s = std::get_if<raft::send>(&effect)) said(*s);
    }
    auto const next = core_.next_deadline();
    must(!next || *next + 1h > now_, "a deadline is not long over");
  }
  void saved() {
    if (writing_.id == 0) return;
    disk_ = writing_.state;
    auto const id = std::exchange(writing_.id, 0);
    feed(raft::saved{id});
  }
  void pass(base::duration time) {
    auto const until = now_ + time;
    for (int i = 0; core_.next_deadline() && *core_.next_deadline() <= until; ++i) {
      must(i < 10'000, "time passes");
      now_ = std::max(now_, *core_.next_deadline());
      feed(raft::tick{});
    }
    now_ = until;
  }

private:
  void said(raft::send const& s) {
    auto const e = raft::wire::read(s.bytes, {});
    must(e.has_value(), "it says what can be read");
    if (auto const* const v = std::get_if<raft::wire::vote>(&e->body); v != nullptr && v->granted && !v->pre)
      voted(v->asked, s.node);
    if (auto const* const a = std::get_if<raft::wire::ask_vote>(&e->body); a != nullptr && !a->pre)
      voted(a->term, "me@h");
  }
  void voted(raft::term t, std::string const& whom) {
    must(disk_.term > t || (disk_.term == t && disk_.voted_for == whom), "a vote is saved before it is said");
    auto const [at, fresh] = votes_.try_emplace(t, whom);
    must(fresh || at->second == whom, "it votes once in a term");
  }

  raft::core core_;
  base::time_point now_ = base::time_point{} + 1h;
  raft::durable disk_;
  raft::persist writing_;
  std::map<raft::term, std::string> votes_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  subject s;
  base::cursor in({data, size});
  raft::request_id id = 0;
  while (!in.rest().empty()) {
    auto const step = in.u8();
    std::string const who = peers.at(step / 16U % peers.size());
    switch (step % 16U) {
    case 0: s.saved(); break;
    case 1: s.pass(std::chrono::milliseconds(in.u8())); break;
    case 2: s.feed(raft::peer_down{who}); break;
    case 3: s.feed(raft::peer_up{who}); break;
    case 4: s.feed(raft::suspected_dead{who}); break;
    case 5: s.feed(raft::transfer{++id, who}); break;
    case 6: s.feed(raft::add_voter{++id, who}); break;
    case 7: s.feed(raft::remove_voter{++id, who}); break;
    case 8: s.feed(raft::check_token{++id, in.u64()}); break;
    case 9: s.feed(raft::campaign{++id, "n"}); break;
    case 10: s.feed(raft::withdraw{in.u8()}); break;
    default: {
      auto const bytes = in.take(std::min<std::size_t>(in.u8(), in.rest().size()));
      std::string text = "RE\x01";
      text += base::as_text(bytes);
      s.feed(raft::message{who, text});
      if (step % 16U > 12) s.saved();
    }
    }
  }
  return 0;
}
