//// What an epmd answers, and what others do in its place.

import gleam/list
import remora/epmd

pub fn the_nodes_of_the_tests_test() {
  let assert Ok(nodes) = epmd.names("127.0.0.1", within: 5000)
  let assert Ok(port) = list.key_find(nodes, "app")
  let assert True = port > 0 && port < 65_536
  let assert Ok(_) = list.key_find(nodes, "other")
}

pub fn a_host_that_is_none_test() {
  let assert Error(epmd.UnknownHost(_)) = epmd.names("no host", within: 1000)
  let assert Error(epmd.UnknownHost(_)) = epmd.names("", within: 1000)
}
