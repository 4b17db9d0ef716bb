//// Log lines, as Erlang's logger gets them.

import gleam/list
import gleam/option.{None, Some}
import gleam/string
import remora/log
import remora/settings
import tests

pub fn a_line_has_its_metadata_test() {
  let assert [#("info", "an order came in", fields)] =
    tests.with_log(fn() {
      log.info("an order came in", [#("customer", "ann"), #("size", "3")])
    })
  let assert Ok("ann") = list.key_find(fields, "customer")
  let assert Ok("3") = list.key_find(fields, "size")
  let assert Error(Nil) = list.key_find(fields, "correlation")
}

pub fn metadata_makes_no_atoms_test() {
  let line = fn() {
    let key = tests.unique("key")
    tests.with_log(fn() { log.warn("x", [#(key, tests.unique("value"))]) })
  }
  let assert [#("warning", _, _)] = line()
  let before = tests.atom_count()
  let assert [#("warning", _, _)] = line()
  // The handler's own name is one.
  let assert True = tests.atom_count() - before <= 1
}

pub fn all_levels_test() {
  let lines =
    tests.with_log(fn() {
      log.debug("a", [])
      log.info("b", [])
      log.warn("c", [])
      log.error("d", [])
      log.log(log.Off, "e", [], None)
    })
  let assert ["debug", "info", "warning", "error"] =
    list.map(lines, fn(line) { line.0 })
}

pub fn less_important_lines_are_left_out_test() {
  log.set_level(log.Warn)
  let lines =
    tests.with_log(fn() {
      log.info("left out", [])
      log.warn("written", [])
    })
  let assert [#("warning", "written", _)] = lines
  log.set_level(log.Off)
  let assert log.Off = log.get_level()
  let assert [] = tests.with_log(fn() { log.error("left out", []) })
  log.set_level(log.Debug)
  log.disable_logging()
  let assert [] = tests.with_log(fn() { log.error("left out", []) })
  log.enable_logging()
  let assert [_] = tests.with_log(fn() { log.error("written", []) })
}

pub fn a_correlation_id_is_in_the_lines_test() {
  let lines =
    tests.with_log(fn() {
      log.with_correlation_id("outer", fn() {
        log.info("a", [])
        log.with_correlation_id("inner", fn() { log.info("b", []) })
        log.info("c", [])
        log.info_with_correlation("d", [], "own")
      })
      log.info("e", [])
    })
  let ids = list.map(lines, fn(line) { list.key_find(line.2, "correlation") })
  let assert [Ok("outer"), Ok("inner"), Ok("outer"), Ok("own"), Error(Nil)] =
    ids
}

pub fn ids_are_of_their_own_test() {
  ids_differ()
  settings.set_use_crypto_ids(True)
  ids_differ()
}

fn ids_differ() {
  let many = list.repeat(Nil, 1000)
  let ids = list.map(many, fn(_) { log.generate_correlation_id() })
  let assert 1000 = list.length(list.unique(ids))
  let assert True = list.all(ids, fn(id) { string.length(id) == 32 })
}

pub fn an_id_of_the_process_test() {
  let assert None = log.correlation_id()
  let assert Some("x") = log.with_correlation_id("x", log.correlation_id)
  let assert None = log.correlation_id()
}

pub fn the_console_backend_does_not_reach_logger_test() {
  log.set_backend(log.Console)
  let assert log.Console = log.get_backend()
  let assert [] =
    tests.with_log(fn() { log.info("for standard error", [#("a", "b")]) })
  log.set_backend(log.ErlangLogger)
}
