// What one reconciliation of 1,000 listed nodes costs in CPU time, in milliseconds, the medians of a few:
//
//   first    a core that has just started gets a Kubernetes document of 1,000 addresses, dials each from both
//   sides,
//            and all come up
//   steady   the same document again, when all are connected
//   churned  a document with 100 others in the place of 100: those go, these come
//
// In instructions (callgrind, g++ 12, -O3): first 16.8 million, steady 7.6, churned 9.4.
//
//   reconcile             prints the largest of the three, for `make bench`
//   reconcile --all       prints each
//   reconcile --once KIND does it once, for valgrind --tool=callgrind --toggle-collect='*measured*'
//   reconcile --limit MS  prints each, fails above the limit
#include "discovery/core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

using namespace remora;
using namespace std::chrono_literals;
namespace d = remora::discovery;

namespace {

constexpr unsigned nodes_count = 1'000;
constexpr unsigned moved = 100;
constexpr int rounds = 15;

std::string document_of(unsigned first) {
  std::string out =
      R"({"kind":"EndpointsList","apiVersion":"v1","items":[{"metadata":{"name":"web"},"subsets":[{"addresses":[)";
  for (unsigned i = first; i < first + nodes_count; ++i)
    out += fmt::format(
        R"({}{{"ip":"10.{}.{}.{}","nodeName":"node-{}","targetRef":{{"kind":"Pod","name":"web-{}"}}}})",
        i == first ? "" : ",", i / 62500, i / 250 % 250, 1 + i % 250, i, i);
  return out + R"(],"ports":[{"port":4369}]}]}]})";
}

class bench {
public:
  bench() : core_({.node = "me@10.200.0.1", .boot_id = 1}, options(), d::openssl_signer(), 1) {
    feed(d::app_here{"app@10.200.0.1"});
    feed(d::start{});
  }

  [[gnu::noinline]] void measured(std::string const& body) {
    feed(d::answered{question_, d::document{200, body}});
    // What the host would do with the effects, at once.
    for (std::size_t i = 0; i < out_.size(); ++i) {
      auto const e = out_[i];
      if (auto const* const c = std::get_if<d::connect>(&e)) feed(d::link_up{c->where, c->node});
      if (auto const* const x = std::get_if<d::disconnect>(&e)) feed(d::disconnected{x->where, x->node});
    }
    core_.handle(d::tick{}, now_, out_); // and it looks when it is to be woken
    static_cast<void>(core_.next_deadline());
  }

  // One round, but for building the document: its CPU time in ms.
  double round(std::string const& body) {
    if (asked_) {
      now_ += 6s;
      feed(d::tick{});
    }
    for (auto const& e : out_)
      if (auto const* const a = std::get_if<d::ask>(&e)) question_ = a->id;
    out_.clear();
    asked_ = true;
    auto const began = cpu();
    measured(body);
    return cpu() - began;
  }
  std::size_t connected() const {
    auto const nodes = core_.status().nodes;
    return static_cast<std::size_t>(std::count_if(
        nodes.begin(), nodes.end(), [](auto const& n) { return n.companion->up && n.app->up; }));
  }

private:
  static d::options options() {
    d::options o;
    o.sources = {d::kubernetes{
        .basename = "app", .ns = "prod", .server = "https://k", .token_file = "/t", .ca_file = "/c"}};
    o.grace = 1;
    o.poll_jitter = 0;
    return o;
  }
  static double cpu() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
  }
  void feed(d::event const& e) { core_.handle(e, now_, out_); }

  base::time_point now_{};
  d::effects out_;
  d::question_id question_ = 1;
  bool asked_ = false;
  d::core core_;
};

double median(std::vector<double> all) {
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}

struct figures {
  double first, steady, churned;
};

figures measure(int times) {
  auto const here = document_of(0);
  auto const there = document_of(moved);
  std::vector<double> first, steady, churned;
  for (int i = 0; i < times; ++i) {
    bench b;
    first.push_back(b.round(here));
    if (b.connected() != nodes_count) std::abort();
    steady.push_back(b.round(here));
    churned.push_back(b.round(there));
    if (b.connected() != nodes_count) std::abort();
  }
  return {median(first), median(steady), median(churned)};
}

} // namespace

int main(int argc, char** argv) {
  std::string_view const what = argc > 1 ? argv[1] : "";
  if (what == "--once") {
    std::string_view const kind = argc > 2 ? argv[2] : "first";
    bench b;
    if (kind != "first") b.round(document_of(0)); // counted too: subtract
    if (kind == "first" || kind == "steady") b.round(document_of(0));
    if (kind == "churned") b.round(document_of(moved));
    return 0;
  }
  auto const f = measure(rounds);
  auto const worst = std::max({f.first, f.steady, f.churned});
  if (what.empty()) {
    fmt::print("{:.3f}\n", worst);
    return 0;
  }
  fmt::print("{} listed nodes, both sides: first {:.2f} ms, steady {:.2f} ms, churned {:.2f} ms of CPU\n",
             nodes_count, f.first, f.steady, f.churned);
  return what == "--limit" && argc > 2 && worst > std::strtod(argv[2], nullptr) ? 1 : 0;
}
