//// Structured log lines, and ids that follow a piece of work from process to
//// process and from node to node.
////
//// A line has a level, a text and metadata. It goes to the console, or to
//// Erlang's `logger`. A correlation id that is set for a process stands in its
//// lines, travels with its remote calls, and appears in the companion's own
//// lines about them.
////
//// ```gleam
//// import remora/log
////
//// let id = log.generate_correlation_id()
//// use <- log.with_correlation_id(id)
//// log.info("an order came in", [#("customer", "ann")])
//// ```

import gleam/option.{type Option, None, Some}

/// How important a line is, from the least to the most; `Off` is above all of
/// them.
pub type Level {
  Debug
  Info
  Warn
  Error
  /// As the level that is shown: nothing is.
  Off
}

/// Where lines go.
pub type Backend {
  /// Standard error, one line of text each.
  Console
  /// Erlang's `logger`, with the metadata as its metadata.
  ErlangLogger
}

/// Names and values that stand beside the text.
pub type Metadata =
  List(#(String, String))

/// A line for who looks for a fault.
///
/// ```gleam
/// import remora/log
///
/// log.debug("cache missed", [#("key", "a")])
/// ```
pub fn debug(message: String, metadata: Metadata) -> Nil {
  log(Debug, message, metadata, None)
}

/// A line that tells what happened.
///
/// ```gleam
/// import remora/log
///
/// log.info("started", [])
/// ```
pub fn info(message: String, metadata: Metadata) -> Nil {
  log(Info, message, metadata, None)
}

/// A line about something that should not happen often.
///
/// ```gleam
/// import remora/log
///
/// log.warn("the queue is half full", [#("length", "512")])
/// ```
pub fn warn(message: String, metadata: Metadata) -> Nil {
  log(Warn, message, metadata, None)
}

/// A line about something that somebody has to look at.
///
/// ```gleam
/// import remora/log
///
/// log.error("the disk is full", [#("disk", "/data")])
/// ```
pub fn error(message: String, metadata: Metadata) -> Nil {
  log(Error, message, metadata, None)
}

/// As `debug`, with a correlation id of its own.
///
/// ```gleam
/// import remora/log
///
/// log.debug_with_correlation("cache missed", [], "order-7")
/// ```
pub fn debug_with_correlation(
  message: String,
  metadata: Metadata,
  correlation_id: String,
) -> Nil {
  log(Debug, message, metadata, Some(correlation_id))
}

/// As `info`, with a correlation id of its own.
///
/// ```gleam
/// import remora/log
///
/// log.info_with_correlation("paid", [#("amount", "3")], "order-7")
/// ```
pub fn info_with_correlation(
  message: String,
  metadata: Metadata,
  correlation_id: String,
) -> Nil {
  log(Info, message, metadata, Some(correlation_id))
}

/// As `warn`, with a correlation id of its own.
///
/// ```gleam
/// import remora/log
///
/// log.warn_with_correlation("paid twice", [], "order-7")
/// ```
pub fn warn_with_correlation(
  message: String,
  metadata: Metadata,
  correlation_id: String,
) -> Nil {
  log(Warn, message, metadata, Some(correlation_id))
}

/// As `error`, with a correlation id of its own.
///
/// ```gleam
/// import remora/log
///
/// log.error_with_correlation("not delivered", [], "order-7")
/// ```
pub fn error_with_correlation(
  message: String,
  metadata: Metadata,
  correlation_id: String,
) -> Nil {
  log(Error, message, metadata, Some(correlation_id))
}

/// A line. Without a correlation id it gets the one of the process, if that
/// has one. At level `Off` nothing is written.
///
/// ```gleam
/// import gleam/option.{None}
/// import remora/log
///
/// log.log(log.Info, "started", [], None)
/// ```
@external(erlang, "remora_ffi", "log")
pub fn log(
  level: Level,
  message: String,
  metadata: Metadata,
  correlation_id: Option(String),
) -> Nil

/// Runs a function with a correlation id set for this process, and gives what
/// the function gives. Afterwards the process has the id that it had before.
/// Processes that the function starts have none of their own.
///
/// ```gleam
/// import gleam/option.{None, Some}
/// import remora/log
///
/// let inside = log.with_correlation_id("order-7", log.correlation_id)
/// let assert Some("order-7") = inside
/// let assert None = log.correlation_id()
/// ```
@external(erlang, "remora_ffi", "with_correlation_id")
pub fn with_correlation_id(id: String, run: fn() -> a) -> a

/// The correlation id of this process, if it has one.
///
/// ```gleam
/// import gleam/option.{None}
/// import remora/log
///
/// let assert None = log.correlation_id()
/// ```
@external(erlang, "remora_ffi", "correlation_id")
pub fn correlation_id() -> Option(String)

/// A new id: no other node of the cluster has made it or will. With
/// `settings.set_use_crypto_ids(True)` nobody can guess it either.
///
/// ```gleam
/// import remora/log
///
/// let id = log.generate_correlation_id()
/// let assert True = id != log.generate_correlation_id()
/// ```
@external(erlang, "remora_ffi", "generate_correlation_id")
pub fn generate_correlation_id() -> String

/// The least level that is written from now on, in the whole VM. The default
/// is `Debug`: what of it is shown is up to Erlang's `logger`.
///
/// ```gleam
/// import remora/log
///
/// log.set_level(log.Warn)
/// let assert log.Warn = log.get_level()
/// log.set_level(log.Debug)
/// ```
@external(erlang, "remora_ffi", "set_log_level")
pub fn set_level(level: Level) -> Nil

/// The least level that is written.
///
/// ```gleam
/// import remora/log
///
/// let assert log.Debug = log.get_level()
/// ```
@external(erlang, "remora_ffi", "get_log_level")
pub fn get_level() -> Level

/// Where lines go from now on, in the whole VM. The default is `ErlangLogger`.
///
/// ```gleam
/// import remora/log
///
/// log.set_backend(log.ErlangLogger)
/// let assert log.ErlangLogger = log.get_backend()
/// ```
@external(erlang, "remora_ffi", "set_log_backend")
pub fn set_backend(backend: Backend) -> Nil

/// Where lines go.
///
/// ```gleam
/// import remora/log
///
/// let assert log.ErlangLogger = log.get_backend()
/// ```
@external(erlang, "remora_ffi", "get_log_backend")
pub fn get_backend() -> Backend

/// Writes nothing from now on, whatever the level: for tests.
///
/// ```gleam
/// import remora/log
///
/// log.disable_logging()
/// log.error("nobody reads this", [])
/// log.enable_logging()
/// ```
@external(erlang, "remora_ffi", "disable_logging")
pub fn disable_logging() -> Nil

/// Writes lines again.
///
/// ```gleam
/// import remora/log
///
/// log.enable_logging()
/// ```
@external(erlang, "remora_ffi", "enable_logging")
pub fn enable_logging() -> Nil
