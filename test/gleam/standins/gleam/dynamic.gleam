pub type Dynamic

@external(erlang, "gleam_standin_ffi", "identity")
pub fn string(a: String) -> Dynamic

@external(erlang, "gleam_standin_ffi", "identity")
pub fn int(a: Int) -> Dynamic

@external(erlang, "gleam_standin_ffi", "identity")
pub fn float(a: Float) -> Dynamic

@external(erlang, "gleam_standin_ffi", "identity")
pub fn bool(a: Bool) -> Dynamic

@external(erlang, "gleam_standin_ffi", "identity")
pub fn bit_array(a: BitArray) -> Dynamic

@external(erlang, "gleam_standin_ffi", "identity")
pub fn list(a: List(Dynamic)) -> Dynamic

@external(erlang, "erlang", "list_to_tuple")
pub fn array(a: List(Dynamic)) -> Dynamic

@external(erlang, "maps", "from_list")
pub fn properties(entries: List(#(Dynamic, Dynamic))) -> Dynamic

@external(erlang, "gleam_standin_ffi", "null")
pub fn nil() -> Dynamic

@external(erlang, "gleam_standin_ffi", "classify")
pub fn classify(data: Dynamic) -> String
