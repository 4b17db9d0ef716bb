// The door that an application's shim talks to: the gen_server `remora`. A request is an atom or a tuple
// whose first element is one; each service adds the requests that it answers, and anything else is answered
// {error, {unknown_request, Request}}, so that a newer shim learns it instead of waiting.
//
//   {write, Request}     {Version, Answer}     Version is the mirror's when the answer was made: who has seen
//                                              that version of a stream sees what the request did
//   {batch, [Request]}   {Version, [Answer]}   begun in their order, without waiting for each other, so that
//                                              registrations share lock rounds; answered in their order.
//                                              {error, system_limit} beyond requests_max
//   mirror               {ok, Ref}             the calling process gets the stream of services/mirror.hpp
//                        | {error, system_limit}     until it ends, its node is lost, or
//   {demirror, Ref}      ok | {error, unknown_stream}
//
// A cast is a call whose answer nobody wants.
//
// Neither write nor batch may be within another: {error, badarg} stands there. What a stream is told
// precedes, from the same process, the answer of every write and batch whose version it reaches.
#pragma once

#include "node/core.hpp"
#include "node/server.hpp"
#include "services/mirror.hpp"
#include "services/ticket.hpp"

#include <functional>
#include <memory>
#include <string_view>

namespace remora::services {

struct door_limits {
  // Of one batch. global::limits::requests_max takes four full batches of registrations.
  std::size_t requests_max = 65'536;
  mirror_limits mirror;
};

class door {
public:
  using answer = node::server::answer;
  // What it returns is the answer; nullopt promises to.reply(..) for later. The request is valid until the
  // handler returns: me.keep(..) or an etf::term of what is to stay.
  using handler = std::function<answer(node::self me, ticket const& to, etf::view request)>;

  explicit door(node::core& node, door_limits limits = {}); // spawns it
  // Requests {tag, ...} of this arity; 0 is the atom alone. One handler each.
  void on(std::string_view tag, std::size_t arity, handler handle);

  // What happens to names, groups and nodes is told here.
  services::mirror& mirror() const;
  // Says what there is, to a stream that begins; all of them are asked.
  void on_snapshot(std::function<void(mirror_changes& now)> tell_all);

  std::size_t tracked_callers() const; // see tickets::tracked()

private:
  class behaviour;
  std::shared_ptr<behaviour> behaviour_;
};

} // namespace remora::services
