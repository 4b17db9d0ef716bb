//// The room: a group of the cluster, in which everybody hears what is said.

import gleam/erlang/process.{type Subject}
import gleam/list
import remora/codec
import remora/groups

/// What somebody said.
pub type Line {
  Line(from: String, text: String)
}

pub fn lines() -> codec.Codec(Line) {
  codec.map(
    codec.pair(codec.string(), codec.string()),
    fn(pair) {
      let #(from, text) = pair
      Line(from, text)
    },
    fn(line: Line) { #(line.from, line.text) },
  )
}

fn room() -> groups.Group(Line) {
  groups.group("chat room", lines())
}

pub fn enter(listener: Subject(Line)) -> Result(Nil, groups.GroupError) {
  groups.join_subject(room(), listener)
}

pub fn say(from: String, text: String) -> Nil {
  let assert Ok(_) = groups.broadcast(room(), Line(from, text))
  Nil
}

/// Until so many people are in it, for so many milliseconds. Each of them has
/// two ears: their own, and that of their history.
pub fn wait_for_people(count: Int, within milliseconds: Int) -> Nil {
  case groups.members("chat room") {
    Ok(members) ->
      case list.length(members) != 2 * count && milliseconds > 0 {
        True -> {
          process.sleep(10)
          wait_for_people(count, within: milliseconds - 10)
        }
        False -> Nil
      }
    Error(_) -> Nil
  }
}
