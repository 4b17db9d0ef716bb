//// What listens in the place of an epmd. In VMs of their own, whose idea of the
//// port can be changed.

import gleam/option.{type Option, None, Some}
import remora/epmd
import tests

fn ask(answer: Option(BitArray)) {
  use <- tests.in_plain_vm(tests.listen_once(answer))
  epmd.names("127.0.0.1", within: 500)
}

// As erl_dist_protocol has it: four bytes that nobody looks at, then lines.
pub fn names_test() {
  let lines = "name a at port 1\nname b c at port 65535\n"
  let assert Ok([#("a", 1), #("b c", 65_535)]) =
    ask(Some(<<0, 0, 17, 17, lines:utf8>>))
  let assert Ok([]) = ask(Some(<<0, 0, 17, 17>>))
}

pub fn no_epmd_test() {
  let assert Error(epmd.NotEpmd(_, _)) = ask(Some(<<"HTTP/1.1 400\r\n":utf8>>))
  let assert Error(epmd.NotEpmd(_, _)) = ask(Some(<<1, 2>>))
  let assert Error(epmd.NotEpmd(_, _)) =
    ask(Some(<<0, 0, 17, 17, "name a at port b\n":utf8>>))
}

pub fn silence_test() {
  let #(took, Error(epmd.EpmdTimeout("127.0.0.1", 500))) =
    tests.elapsed(fn() { ask(None) })
  let assert True = took < 20_000
}

pub fn nobody_listens_test() {
  let answer =
    tests.in_plain_vm(1, fn() { epmd.names("127.0.0.1", within: 5000) })
  let assert Error(epmd.NoEpmd("127.0.0.1", 1)) = answer
}
