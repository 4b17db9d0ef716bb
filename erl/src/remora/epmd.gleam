//// What an epmd knows: which Erlang nodes run on its host, and on which ports.
////
//// epmd is asked directly, without a companion and without the distribution.
////
//// ```gleam
//// import gleam/list
//// import remora/epmd
////
//// let assert Ok(nodes) = epmd.names("127.0.0.1", within: 1000)
//// let assert Ok(_port) = list.key_find(nodes, "other")
//// ```

import gleam/int

/// Why the question was not answered.
pub type EpmdError {
  /// The host's name is not known, or is no name.
  UnknownHost(host: String)
  /// Nobody listens on epmd's port there. Nodes that register start one.
  NoEpmd(host: String, port: Int)
  /// No complete answer in time.
  EpmdTimeout(host: String, milliseconds: Int)
  /// The connection failed otherwise: the system's word for it.
  EpmdUnreachable(host: String, reason: String)
  /// Something answered, and it is no epmd.
  NotEpmd(host: String, port: Int)
}

/// The names that are registered at the host's epmd, without `@host`, and the
/// ports that these nodes listen on. At most `milliseconds` are spent on the
/// connection and the answer together.
///
/// The port asked is 4369, or what `ERL_EPMD_PORT` says.
///
/// ```gleam
/// import remora/epmd
///
/// let assert Error(epmd.UnknownHost("no host")) =
///   epmd.names("no host", within: 1000)
/// ```
@external(erlang, "remora_lookup", "epmd_names")
pub fn names(
  host: String,
  within milliseconds: Int,
) -> Result(List(#(String, Int)), EpmdError)

/// A sentence for people: what was tried, what was found and what to do.
///
/// ```gleam
/// import remora/epmd
///
/// let assert "there is no host nowhere" =
///   epmd.describe_epmd_error(epmd.UnknownHost("nowhere"))
/// ```
pub fn describe_epmd_error(error: EpmdError) -> String {
  case error {
    UnknownHost(host) -> "there is no host " <> host
    NoEpmd(host, port) ->
      "no epmd listens on port "
      <> int.to_string(port)
      <> " of "
      <> host
      <> "; a node that starts there starts one"
    EpmdTimeout(host, milliseconds) ->
      "the epmd of "
      <> host
      <> " did not answer within "
      <> int.to_string(milliseconds)
      <> " ms"
    EpmdUnreachable(host, reason) ->
      "the epmd of " <> host <> " cannot be asked: " <> reason
    NotEpmd(host, port) ->
      "what listens on port "
      <> int.to_string(port)
      <> " of "
      <> host
      <> " is no epmd"
  }
}
