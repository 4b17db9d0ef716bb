@external(erlang, "gleam_standin_ffi", "identity")
pub fn from_string(x: String) -> BitArray

@external(erlang, "gleam_standin_ffi", "bit_array_to_string")
pub fn to_string(bits: BitArray) -> Result(String, Nil)

@external(erlang, "erlang", "byte_size")
pub fn byte_size(x: BitArray) -> Int
