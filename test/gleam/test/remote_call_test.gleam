//// Remote calls: each cause of failure, told apart.

import gleam/dynamic
import gleam/dynamic/decode
import gleam/erlang/process
import gleam/list
import gleam/string
import remora/remote_call.{RaisedError, RaisedExit, RaisedThrow, RpcRaised}
import remora/settings
import tests

pub fn a_result_is_decoded_test() {
  tests.together()
  let assert Ok(6) = typed("lists", "sum", [tests.term([1, 2, 3])], decode.int)
  let assert Error(remote_call.RpcBadResult([_])) =
    typed("lists", "sum", [tests.term([1, 2, 3])], decode.string)
}

fn typed(module: String, function: String, arguments, decoder) {
  remote_call.call_typed(
    tests.other,
    module,
    function,
    arguments,
    within: 5000,
    expecting: decoder,
  )
}

fn call(module: String, function: String, arguments) {
  remote_call.call(tests.other, module, function, arguments)
}

pub fn a_node_that_is_not_there_test() {
  tests.together()
  settings.set_allow_atom_creation(True)
  let assert Ok(Nil) = settings.set_max_new_atoms(10_000)
  let assert Error(remote_call.RpcNodeDown("absent@127.0.0.1")) =
    remote_call.call("absent@127.0.0.1", "erlang", "node", [])
}

pub fn a_function_that_is_not_there_test() {
  tests.together()
  let assert Error(remote_call.RpcUndefined("lists", "sum", 3)) =
    call("lists", "sum", [dynamic.int(1), dynamic.int(2), dynamic.int(3)])
}

pub fn what_a_function_raises_test() {
  tests.together()
  let assert Error(RpcRaised(RaisedError, "gone_wrong")) =
    call("tests_ffi", "raise", [dynamic.string("error")])
  let assert Error(RpcRaised(RaisedExit, "gone_away")) =
    call("tests_ffi", "raise", [dynamic.string("exit")])
  let assert Error(RpcRaised(RaisedThrow, "gone_up")) =
    call("tests_ffi", "raise", [dynamic.string("throw")])
  let assert Error(RpcRaised(RaisedError, "badarith")) =
    call("erlang", "div", [dynamic.int(1), dynamic.int(0)])
}

pub fn no_answer_in_time_test() {
  tests.together()
  let #(took, Error(remote_call.RpcTimeout)) =
    tests.elapsed(fn() {
      remote_call.call_with_timeout(
        tests.other,
        "timer",
        "sleep",
        [dynamic.int(3000)],
        within: 100,
      )
    })
  let assert True = took >= 100 && took < 2500
}

pub fn too_large_arguments_do_not_leave_test() {
  tests.together()
  let assert Ok(Nil) = settings.set_max_message_size(1000)
  let long = dynamic.string(string.repeat("x", times: 1000))
  let assert Error(remote_call.RpcTooLarge(_, 1000)) =
    call("erlang", "byte_size", [long])
}

pub fn names_that_are_no_atoms_test() {
  tests.together()
  let module = tests.unique("module")
  let assert True =
    call(module, "run", []) == Error(remote_call.RpcNoSuchAtom(module))
  settings.set_allow_atom_creation(True)
  let assert Error(remote_call.RpcAtomBudgetSpent(0)) = call(module, "run", [])
  let assert Ok(Nil) = settings.set_max_new_atoms(10_000)
  let assert True =
    call(module, "run", [])
    == Error(remote_call.RpcUndefined(module, "run", 0))
}

pub fn several_nodes_at_once_test() {
  tests.together()
  settings.set_allow_atom_creation(True)
  let assert Ok(Nil) = settings.set_max_new_atoms(10_000)
  let nodes = [tests.other, "absent@127.0.0.1", "app@127.0.0.1"]
  let assert [
    #("other@127.0.0.1", Ok(a)),
    #("absent@127.0.0.1", Error(remote_call.RpcNodeDown("absent@127.0.0.1"))),
    #("app@127.0.0.1", Ok(b)),
  ] = remote_call.multicall(nodes, "erlang", "node", [], within: 5000)
  let assert True = a != b
  settings.set_allow_atom_creation(False)
  let strange = tests.unique("strange")
  let assert [#(_, Error(remote_call.RpcNoSuchAtom(_))), #(_, Ok(_))] =
    remote_call.multicall(
      [strange, tests.other],
      "erlang",
      "node",
      [],
      within: 5000,
    )
  // They wait side by side, not one after the other.
  let #(took, results) =
    tests.elapsed(fn() {
      remote_call.multicall(
        list.repeat(tests.other, 10),
        "timer",
        "sleep",
        [dynamic.int(200)],
        within: 5000,
      )
    })
  let assert 10 = list.length(results)
  let assert True = took < 1500
}

pub fn a_cast_runs_test() {
  tests.together()
  let pid = tests.on_other(tests.collector)
  let arguments = [tests.term(pid), dynamic.int(5)]
  let assert Ok(Nil) =
    remote_call.cast(tests.other, "erlang", "send", arguments)
  let got = fn() { tests.collected(pid) == [dynamic.int(5)] }
  let assert Ok(Nil) = tests.eventually(5000, got)
  tests.exit_pid(pid, tests.term("done"))
}

pub fn many_callers_at_once_test() {
  tests.together()
  let callers = list.repeat(Nil, 64)
  let parent = tests.collector()
  list.each(callers, fn(_) {
    process.spawn_unlinked(fn() {
      let result = typed("erlang", "abs", [dynamic.int(-1)], decode.int)
      tests.send_raw(parent, tests.term(result))
    })
  })
  let all = fn() {
    tests.collected(parent) == list.repeat(tests.term(Ok(1)), 64)
  }
  let assert Ok(Nil) = tests.eventually(10_000, all)
}
