// Runs a function of the table for somebody else and says how it ended, in the words of erpc and of rpc.
#pragma once

#include "node/core.hpp"

namespace remora::services {

struct outcome {
  enum class how : std::uint8_t { returned, error, exit, threw };
  how ended = how::returned;
  etf::term value; // or reason
  etf::term stack; // of an error
};

// `arguments` is any term: what is no proper list raises badarg, an unknown function undef, as on OTP.
node::task<outcome> call_function(node::self me, etf::atom module, etf::atom function, etf::term arguments);

// {badrpc, {'EXIT', Reason}} and so on, as rpc:call answers.
etf::term rpc_result(outcome const& o);

} // namespace remora::services
