//// What stands in front of a subject that others in the cluster can reach.

import gleam/dynamic.{type Dynamic}
import gleam/erlang/process.{type Subject}
import remora/codec.{type Codec}

/// What came from somewhere in the cluster becomes a message for the subject,
/// or the sentence why it is none.
pub fn receive_term(
  codec: Codec(message),
  subject: Subject(message),
  term: Dynamic,
) -> Result(Nil, String) {
  case codec.from_term(codec, term) {
    Ok(message) -> Ok(process.send(subject, message))
    Error(error) -> Error(codec.describe_decode_error(error))
  }
}
