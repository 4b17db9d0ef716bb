//// What several tests use.

import gleam/dynamic.{type Dynamic}

/// Text that no test used before, and that is no atom.
@external(erlang, "tests_ffi", "unique")
pub fn unique(prefix: String) -> String

@external(erlang, "tests_ffi", "atom_count")
pub fn atom_count() -> Int

/// A value as the term that it is.
@external(erlang, "tests_ffi", "identity")
pub fn term(value: a) -> Dynamic

/// Asks until the answer is True, for so many milliseconds at most.
@external(erlang, "tests_ffi", "eventually")
pub fn eventually(within: Int, ask: fn() -> Bool) -> Result(Nil, Nil)
