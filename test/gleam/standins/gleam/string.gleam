import gleam/order.{type Order}

@external(erlang, "gleam_standin_ffi", "string_split_once")
pub fn split_once(
  string: String,
  on substring: String,
) -> Result(#(String, String), Nil)

@external(erlang, "gleam_standin_ffi", "string_split")
pub fn split(x: String, on substring: String) -> List(String)

@external(erlang, "gleam_standin_ffi", "string_inspect")
pub fn inspect(term: anything) -> String

@external(erlang, "gleam_standin_ffi", "string_join")
pub fn join(strings: List(String), with separator: String) -> String

@external(erlang, "string", "length")
pub fn length(string: String) -> Int

@external(erlang, "erlang", "byte_size")
pub fn byte_size(string: String) -> Int

@external(erlang, "string", "lowercase")
pub fn lowercase(string: String) -> String

@external(erlang, "string", "trim")
pub fn trim(string: String) -> String

@external(erlang, "gleam_standin_ffi", "string_contains")
pub fn contains(does haystack: String, contain needle: String) -> Bool

@external(erlang, "gleam_standin_ffi", "string_starts_with")
pub fn starts_with(string: String, prefix: String) -> Bool

@external(erlang, "binary", "copy")
pub fn repeat(string: String, times times: Int) -> String

pub fn is_empty(str: String) -> Bool {
  str == ""
}

@external(erlang, "gleam_standin_ffi", "string_replace")
pub fn replace(
  in string: String,
  each pattern: String,
  with substitute: String,
) -> String

@external(erlang, "gleam_standin_ffi", "compare")
pub fn compare(a: String, b: String) -> Order
