//// Where the companion's native program is.
////
//// `search()` finds it in an installation and in a checkout; the other two are
//// for who knows better. The program has to be of this package's version: an
//// older one would not understand what it is asked.
////
//// ```gleam
//// import remora
//// import remora/binary
////
//// let builder =
////   remora.none()
////   |> remora.with_binary(binary.at("/usr/lib/remora/remora"))
//// ```

import gleam/string

/// Where to find the program.
pub opaque type Binary {
  Search
  At(path: String)
  ManagedElsewhere(node: String)
}

/// Why there is no program to start.
pub type BinaryError {
  /// It is in none of these places. Install it, set `REMORA_BIN`, or say where
  /// it is.
  NotFound(searched: List(String))
  /// A file is there, and this user may not execute it.
  NotExecutable(path: String)
  /// It is the program of another version of remora, or another program:
  /// `found` is what it says of itself when it is asked.
  WrongVersion(path: String, found: String, wanted: String)
  /// The companion is started by somebody else, at this node: there is no
  /// program to look for.
  RunsElsewhere(node: String)
}

/// Looks where the environment variable `REMORA_BIN` says, and where it says
/// nothing in the package's `priv` folder, in that of the checkout that this
/// package was compiled in, and in the folders of `PATH`.
///
/// ```gleam
/// import remora/binary
///
/// let assert Ok(_path) = binary.locate(binary.search())
/// ```
pub fn search() -> Binary {
  Search
}

/// The program at this path, and nowhere else.
///
/// ```gleam
/// import remora/binary
///
/// let assert Error(binary.NotFound(["/nowhere/remora"])) =
///   binary.locate(binary.at("/nowhere/remora"))
/// ```
pub fn at(path: String) -> Binary {
  At(path)
}

/// No program is started: the companion is a node that somebody else runs, for
/// example systemd or another container, with `remora run`. It is used while
/// it is there.
///
/// ```gleam
/// import remora/binary
///
/// let assert Error(binary.RunsElsewhere("companion@127.0.0.1")) =
///   binary.locate(binary.managed_elsewhere("companion@127.0.0.1"))
/// ```
pub fn managed_elsewhere(node: String) -> Binary {
  ManagedElsewhere(node)
}

/// The path of the program, if it is there and this user may execute it.
///
/// ```gleam
/// import remora/binary
///
/// let assert Error(binary.NotExecutable("/etc/passwd")) =
///   binary.locate(binary.at("/etc/passwd"))
/// ```
pub fn locate(binary: Binary) -> Result(String, BinaryError) {
  case binary {
    ManagedElsewhere(node) -> Error(RunsElsewhere(node))
    _ -> do_locate(binary)
  }
}

/// What version the program is, if this package can work with it. It is
/// started with `--version` and has 10 seconds to answer.
///
/// ```gleam
/// import remora/binary
///
/// let assert Ok(_) = binary.version(binary.search())
/// let assert Error(binary.WrongVersion("/bin/true", _found, _wanted)) =
///   binary.version(binary.at("/bin/true"))
/// ```
pub fn version(binary: Binary) -> Result(String, BinaryError) {
  case locate(binary) {
    Ok(path) -> do_version(path)
    Error(error) -> Error(error)
  }
}

/// A sentence for people: what was tried, what was found and what to do.
///
/// ```gleam
/// import remora/binary
///
/// let assert "/etc/passwd cannot be executed by this user; see its mode" =
///   binary.describe_binary_error(binary.NotExecutable("/etc/passwd"))
/// ```
pub fn describe_binary_error(error: BinaryError) -> String {
  case error {
    NotFound(searched) ->
      "the program remora is not at "
      <> string.join(searched, ", ")
      <> "; install it, set REMORA_BIN, or give its path"
    NotExecutable(path) ->
      path <> " cannot be executed by this user; see its mode"
    WrongVersion(path, found, wanted) ->
      path
      <> " says that it is \""
      <> found
      <> "\", and this package needs remora "
      <> wanted
      <> "; install that"
    RunsElsewhere(node) ->
      "the companion is the node "
      <> node
      <> ", which is started elsewhere; there is no program to look for"
  }
}

@external(erlang, "remora_ffi", "locate")
fn do_locate(binary: Binary) -> Result(String, BinaryError)

@external(erlang, "remora_ffi", "program_version")
fn do_version(path: String) -> Result(String, BinaryError)
