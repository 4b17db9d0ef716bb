//// Sentences that several modules' errors have in common.

import gleam/dynamic/decode
import gleam/int
import gleam/list
import gleam/string

pub const not_running: String =
  "no companion runs; start remora, or wait until it is back"

pub const no_answer: String = "the companion did not answer in time"

pub fn not_started(service: String) -> String {
  service <> " is not started; call start_service, or give remora its options"
}

pub fn too_large(bytes: Int, limit: Int) -> String {
  "a message of "
  <> int.to_string(bytes)
  <> " bytes is larger than the limit of "
  <> int.to_string(limit)
}

pub fn no_such_atom(text: String) -> String {
  "no atom has the text \""
  <> text
  <> "\", and settings.set_allow_atom_creation does not allow a new one"
}

pub fn atom_budget_spent(limit: Int) -> String {
  "all "
  <> int.to_string(limit)
  <> " atoms that settings.set_max_new_atoms allows are made"
}

pub fn refused(reason: String) -> String {
  "the companion refused it, please report this: " <> reason
}

pub fn unexpected_shape(errors: List(decode.DecodeError)) -> String {
  string.join(list.map(errors, one_shape), ", and ")
}

fn one_shape(error: decode.DecodeError) -> String {
  let sentence = "expected " <> error.expected <> ", found " <> error.found
  case error.path {
    [] -> sentence
    path -> sentence <> " at " <> string.join(path, ".")
  }
}
