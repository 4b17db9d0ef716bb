import gleam/order.{type Order}

@external(erlang, "erlang", "integer_to_binary")
pub fn to_string(x: Int) -> String

@external(erlang, "gleam_standin_ffi", "int_parse")
pub fn parse(string: String) -> Result(Int, Nil)

@external(erlang, "erlang", "min")
pub fn min(a: Int, b: Int) -> Int

@external(erlang, "erlang", "max")
pub fn max(a: Int, b: Int) -> Int

@external(erlang, "gleam_standin_ffi", "compare")
pub fn compare(a: Int, with b: Int) -> Order
