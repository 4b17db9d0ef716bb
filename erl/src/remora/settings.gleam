//// Settings of this VM that decide about safety: whether text may become
//// atoms, how large a message may be, how ids are made.
////
//// They hold for the whole VM, from the call on, and outlive the companion.
//// The defaults are the safe ones: no text becomes an atom, and messages end
//// at 10 MiB.
////
//// ```gleam
//// import remora/settings
////
//// // This application trusts its configuration to name a few nodes.
//// settings.set_allow_atom_creation(True)
//// let assert Ok(Nil) = settings.set_max_new_atoms(100)
//// ```

import gleam/int

/// Why a setting was not changed.
pub type SettingError {
  /// The number given is below or above what the setting can be. Give one
  /// between `lowest` and `highest`.
  OutOfRange(given: Int, lowest: Int, highest: Int)
}

/// A sentence for people: what was tried and what to do.
///
/// ```gleam
/// import remora/settings
///
/// let assert "-1 is not between 0 and 1000000" =
///   settings.describe_setting_error(settings.OutOfRange(-1, 0, 1_000_000))
/// ```
pub fn describe_setting_error(error: SettingError) -> String {
  let OutOfRange(given, lowest, highest) = error
  int.to_string(given)
  <> " is not between "
  <> int.to_string(lowest)
  <> " and "
  <> int.to_string(highest)
}

/// Says whether text that is no atom of this VM yet may become one where
/// Erlang needs an atom: names of nodes, modules, functions and scopes. The
/// default is `False`; such text is then an error, and the atom table, which
/// is never cleaned up, does not grow. With `True` it may grow by
/// `get_max_new_atoms()` atoms.
///
/// Names in the registry and of groups are never made into atoms.
///
/// ```gleam
/// import remora/settings
///
/// settings.set_allow_atom_creation(True)
/// let assert True = settings.is_allow_atom_creation()
/// settings.set_allow_atom_creation(False)
/// ```
@external(erlang, "remora_ffi", "set_allow_atom_creation")
pub fn set_allow_atom_creation(allow: Bool) -> Nil

/// Whether text may become atoms; see `set_allow_atom_creation`.
///
/// ```gleam
/// import remora/settings
///
/// settings.set_allow_atom_creation(False)
/// let assert False = settings.is_allow_atom_creation()
/// ```
@external(erlang, "remora_ffi", "is_allow_atom_creation")
pub fn is_allow_atom_creation() -> Bool

/// How many atoms may be made out of text in all, while that is allowed. The
/// default is 0. Atoms that were made already count, whatever the number was
/// when they were.
///
/// ```gleam
/// import remora/settings
///
/// let assert Ok(Nil) = settings.set_max_new_atoms(100)
/// let assert 100 = settings.get_max_new_atoms()
/// let assert Error(settings.OutOfRange(..)) = settings.set_max_new_atoms(-1)
/// ```
pub fn set_max_new_atoms(count: Int) -> Result(Nil, SettingError) {
  case count < 0 || count > most_new_atoms {
    True -> Error(OutOfRange(count, 0, most_new_atoms))
    False -> Ok(put_max_new_atoms(count))
  }
}

/// How many atoms may be made out of text in all; see `set_max_new_atoms`.
///
/// ```gleam
/// import remora/settings
///
/// let assert Ok(Nil) = settings.set_max_new_atoms(7)
/// let assert 7 = settings.get_max_new_atoms()
/// ```
@external(erlang, "remora_ffi", "get_max_new_atoms")
pub fn get_max_new_atoms() -> Int

/// Whether correlation ids come from the system's generator for secrets, so
/// that nobody can guess the next one. The default is `False`: they are unique
/// in the cluster, and cheaper.
///
/// ```gleam
/// import remora/settings
///
/// settings.set_use_crypto_ids(True)
/// let assert True = settings.is_use_crypto_ids()
/// ```
@external(erlang, "remora_ffi", "set_use_crypto_ids")
pub fn set_use_crypto_ids(use_crypto: Bool) -> Nil

/// Whether correlation ids are unguessable; see `set_use_crypto_ids`.
///
/// ```gleam
/// import remora/settings
///
/// settings.set_use_crypto_ids(False)
/// let assert False = settings.is_use_crypto_ids()
/// ```
@external(erlang, "remora_ffi", "is_use_crypto_ids")
pub fn is_use_crypto_ids() -> Bool

/// The largest message, in bytes of Erlang's external format, that is sent,
/// broadcast or called with. A larger one is an error before any byte leaves.
/// The default is 10 MiB, the highest 128 MiB.
///
/// ```gleam
/// import remora/settings
///
/// let assert Ok(Nil) = settings.set_max_message_size(1_048_576)
/// let assert 1_048_576 = settings.get_max_message_size()
/// let assert Error(settings.OutOfRange(..)) = settings.set_max_message_size(0)
/// let assert Ok(Nil) = settings.set_max_message_size(10_485_760)
/// ```
pub fn set_max_message_size(bytes: Int) -> Result(Nil, SettingError) {
  case bytes < 1 || bytes > largest_message {
    True -> Error(OutOfRange(bytes, 1, largest_message))
    False -> Ok(put_max_message_size(bytes))
  }
}

/// The largest message in bytes; see `set_max_message_size`.
///
/// ```gleam
/// import remora/settings
///
/// let assert 10_485_760 = settings.get_max_message_size()
/// ```
@external(erlang, "remora_ffi", "get_max_message_size")
pub fn get_max_message_size() -> Int

// A VM has room for 1,048,576 atoms by default, and ends when they are spent.
const most_new_atoms: Int = 1_000_000

// The companion and OTP take more (192 MiB in all); what goes with a message
// in one frame shall fit beside it.
const largest_message: Int = 134_217_728

@external(erlang, "remora_ffi", "put_max_new_atoms")
fn put_max_new_atoms(count: Int) -> Nil

@external(erlang, "remora_ffi", "put_max_message_size")
fn put_max_message_size(bytes: Int) -> Nil
