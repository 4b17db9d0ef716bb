// What the application's VM says of itself:
//
//   {app, here}     ok: the calling process stands for its VM from now on, until it ends or another calls
//   {app, beat}     ok; that process, each half second (services/application.hpp). Nobody need wait for the
//   answer
#include "services/answers.hpp"
#include "services/parts.hpp"

namespace remora::services {

void install_application(door& requests, application const& a) {
  requests.on("app", 2,
              [a = application(a)](node::self, ticket const& to, etf::view request) mutable -> door::answer {
                auto const what = *request.element(1);
                auto const who = to.caller();
                if (what.is_atom("here") && who)
                  a.here(*who);
                else if (what.is_atom("beat") && who)
                  a.beat(*who);
                else
                  return error("badarg");
                return ok();
              });
}

} // namespace remora::services
