pub type Dict(key, value)

@external(erlang, "maps", "new")
pub fn new() -> Dict(k, v)

@external(erlang, "maps", "from_list")
pub fn from_list(list: List(#(k, v))) -> Dict(k, v)

@external(erlang, "maps", "to_list")
pub fn to_list(dict: Dict(k, v)) -> List(#(k, v))

@external(erlang, "maps", "size")
pub fn size(dict: Dict(k, v)) -> Int

@external(erlang, "maps", "keys")
pub fn keys(dict: Dict(k, v)) -> List(k)

@external(erlang, "maps", "values")
pub fn values(dict: Dict(k, v)) -> List(v)

@external(erlang, "gleam_standin_ffi", "dict_get")
pub fn get(from: Dict(k, v), get: k) -> Result(v, Nil)

@external(erlang, "gleam_standin_ffi", "dict_insert")
pub fn insert(into dict: Dict(k, v), for key: k, insert value: v) -> Dict(k, v)

@external(erlang, "gleam_standin_ffi", "dict_delete")
pub fn delete(from dict: Dict(k, v), delete key: k) -> Dict(k, v)
