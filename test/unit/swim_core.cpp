// Membership on paper: a few cores in a pond, and what becomes of them.
#include "unit/swim_paper.hpp"

using namespace remora;
using namespace std::chrono_literals;
using test::lines;
using paper = test::swim_paper;
using pond = test::swim_pond;
using swim::status;

TEST_CASE("swim: members find each other over their connections, and agree") {
  pond p({"a@h", "b@h", "c@h", "d@h"});
  p.pass(1s);
  for (auto const& [name, i] : p.all) {
    CHECK(i.core->members().size() == 4);
    CHECK(i.core->count(status::alive) == 4);
    CHECK(i.core->leader() == "d@h");
    CHECK(i.core->health().multiplier == 1);
  }
  CHECK(p.view("a@h", "b@h").kind == swim::kind::remora);
  CHECK(p.view("a@h", "b@h").at == test::paper_address("b@h"));
}

TEST_CASE("swim: one seed is enough to know all") {
  pond p({"a@h", "b@h", "c@h", "d@h", "e@h"}, pond::fast(), false);
  for (auto const* const n : {"b@h", "c@h", "d@h", "e@h"}) p.connect("a@h", n);
  p.pass(3s);
  for (auto const& [name, i] : p.all) CHECK(i.core->count(status::alive) == 5);
}

TEST_CASE("swim: who hangs is dead for all within a second") {
  pond p({"a@h", "b@h", "c@h", "d@h", "e@h", "f@h"});
  p.pass(2s);
  p.all["c@h"].hangs = true;
  p.pass(1100ms);
  CHECK(p.all_see("c@h", status::dead));
  CHECK(p.heard("a@h", "suspected c@h") == 1);
  CHECK(p.heard("a@h", "died c@h") == 1);
  CHECK(p.heard("a@h", "died") == 1);
}

TEST_CASE("swim: who was thought dead and comes back is a member again, unaided") {
  pond p({"a@h", "b@h", "c@h", "d@h"});
  p.pass(2s);
  p.all["c@h"].hangs = true;
  p.pass(2s);
  CHECK(p.all_see("c@h", status::dead));
  p.all["c@h"].hangs = false;
  p.pass(2s);
  CHECK(p.all_see("c@h", status::alive));
  for (auto const* const n : {"a@h", "b@h", "d@h"}) CHECK(p.view("c@h", n).status == status::alive);
  CHECK(p.view("a@h", "c@h").incarnation >= 1);
  CHECK(p.heard("a@h", "joined c@h") == 2);
}

TEST_CASE("swim: one direction that is lost kills nobody: helpers and the distribution reach him") {
  pond p({"a@h", "b@h", "c@h", "d@h"});
  p.pass(2s);
  p.lost = [](auto const& from, auto const& to) { return from == "a@h" && to == "b@h"; };
  p.pass(20s);
  CHECK(p.all_see("b@h", status::alive));
  CHECK(p.heard("a@h", "suspected") == 0);
  CHECK(p.all["a@h"].core->metrics().probes_failed > 0);
}

TEST_CASE("swim: leaving is not dying") {
  pond p({"a@h", "b@h", "c@h"});
  p.pass(2s);
  p.handle("c@h", swim::leave{});
  p.all["c@h"].up = false;
  p.pass(1s);
  CHECK(p.all_see("c@h", status::left));
  CHECK(p.heard("a@h", "left c@h") == 1);
  p.pass(10s);
  CHECK(p.heard("a@h", "died") == 0);
  CHECK(p.all["a@h"].core->leader() == "b@h");
}

TEST_CASE("swim: a new start supersedes all that was said of the old") {
  pond p({"a@h", "b@h", "c@h"});
  p.pass(2s);
  p.all["c@h"].hangs = true;
  p.pass(2s);
  p.disconnect("a@h", "c@h");
  p.disconnect("b@h", "c@h");
  p.add("c@h", 2);
  p.connect("c@h", "a@h");
  p.pass(1s);
  CHECK(p.all_see("c@h", status::alive));
  CHECK(p.view("b@h", "c@h").creation == 2);
  CHECK(p.view("b@h", "c@h").incarnation == 0);
}

TEST_CASE("swim: halves merge by themselves when the cut is healed") {
  pond p({"a@h", "b@h", "c@h", "d@h", "e@h", "f@h"}, pond::fast(), false);
  p.connect("a@h", "d@h");
  for (auto const* const n : {"b@h", "c@h"}) p.connect("a@h", n);
  for (auto const* const n : {"e@h", "f@h"}) p.connect("d@h", n);
  p.pass(3s);
  auto const left = [](std::string const& n) { return n < "d"; };
  p.lost = [&](auto const& from, auto const& to) { return left(from) != left(to); };
  p.disconnect("a@h", "d@h");
  p.pass(10s);
  CHECK(p.all["a@h"].core->count(status::dead) == 3);
  CHECK(p.all["f@h"].core->count(status::dead) == 3);
  p.lost = nullptr;
  p.pass(5s);
  for (auto const& [name, i] : p.all) CHECK(i.core->count(status::alive) == 6);
}

TEST_CASE("swim: metadata and user events reach everybody, each event once") {
  pond p({"a@h", "b@h", "c@h", "d@h"});
  p.pass(2s);
  std::string const bytes("\x01k\x00\x01v", 5);
  p.handle("a@h", swim::set_metadata{bytes});
  p.handle("b@h", swim::user_event{"deploy", "42"});
  p.handle("b@h", swim::user_event{"deploy", "42"});
  p.pass(2s);
  for (auto const& [name, i] : p.all) {
    CHECK(i.core->find("a@h")->metadata == bytes);
    CHECK(p.heard(name, "event deploy of b@h") == 2);
    CHECK(p.heard(name, "updated a@h") == 1);
  }
}

TEST_CASE("swim: a VM is a member by its connections") {
  pond p({"a@h", "b@h", "c@h"});
  p.pass(1s);
  p.handle("a@h", swim::app_here{"z@h"});
  p.connect("a@h", "z@h");
  p.connect("b@h", "z@h");
  p.pass(4s);
  for (auto const& [name, i] : p.all) {
    auto const z = i.core->find("z@h");
    REQUIRE(z);
    CHECK(z->kind == swim::kind::beam);
    CHECK(z->status == status::alive);
    CHECK(z->companion == "a@h");
  }
  p.disconnect("b@h", "z@h");
  p.pass(2s);
  CHECK(p.all_see("z@h", status::alive));
  p.disconnect("a@h", "z@h");
  p.pass(1s);
  CHECK(p.all_see("z@h", status::dead));
}

TEST_CASE("swim: a VM that hangs dies when several find it silent, not when one does") {
  pond p({"a@h", "b@h", "c@h"});
  p.pass(1s);
  for (auto const* const n : {"a@h", "b@h", "c@h"}) p.connect(n, "z@h");
  p.pass(4s);
  p.vm_answers = [](auto const& by, auto const&) { return by != "a@h"; };
  p.pass(20s);
  CHECK(p.all_see("z@h", status::alive));
  for (auto const& [name, i] : p.all) CHECK(p.heard(name, "died") == 0);
  p.vm_answers = [](auto const&, auto const&) { return false; };
  p.pass(4s);
  CHECK(p.all_see("z@h", status::dead));
  p.vm_answers = nullptr;
  p.pass(4s);
  CHECK(p.all_see("z@h", status::alive));
}

TEST_CASE("swim: a lie about this node is outbid, without overflow") {
  paper p;
  p.with({"b@h", "c@h"});
  p.gossip({paper::dead("me@h", 0xffffffff)});
  CHECK(p.find("me@h").status == status::alive);
  CHECK(p.find("me@h").epoch == test::paper_noon + 1);
  CHECK(p.find("me@h").incarnation == 0);
  auto last = paper::dead("me@h", 0xffffffff);
  last.epoch = swim::epoch_max;
  p.gossip({last});
  p.gossip({last});
  CHECK(p.find("me@h").status == status::alive);
}
