@external(erlang, "gleam_standin_ffi", "println")
pub fn println(string: String) -> Nil

@external(erlang, "gleam_standin_ffi", "println_error")
pub fn println_error(string: String) -> Nil
