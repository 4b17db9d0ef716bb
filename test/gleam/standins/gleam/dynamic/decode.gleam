import gleam/dict.{type Dict}
import gleam/dynamic
import gleam/list
import gleam/option.{type Option, None, Some}

pub type Dynamic =
  dynamic.Dynamic

pub type DecodeError {
  DecodeError(expected: String, found: String, path: List(String))
}

pub opaque type Decoder(t) {
  Decoder(function: fn(Dynamic) -> #(t, List(DecodeError)))
}

pub const string: Decoder(String) = Decoder(decode_string)

pub const int: Decoder(Int) = Decoder(decode_int)

pub const float: Decoder(Float) = Decoder(decode_float)

pub const bool: Decoder(Bool) = Decoder(decode_bool)

pub const bit_array: Decoder(BitArray) = Decoder(decode_bit_array)

pub const dynamic: Decoder(Dynamic) = Decoder(decode_dynamic)

@external(erlang, "gleam_standin_ffi", "decode_string")
fn decode_string(data: Dynamic) -> #(String, List(DecodeError))

@external(erlang, "gleam_standin_ffi", "decode_int")
fn decode_int(data: Dynamic) -> #(Int, List(DecodeError))

@external(erlang, "gleam_standin_ffi", "decode_float")
fn decode_float(data: Dynamic) -> #(Float, List(DecodeError))

@external(erlang, "gleam_standin_ffi", "decode_bool")
fn decode_bool(data: Dynamic) -> #(Bool, List(DecodeError))

@external(erlang, "gleam_standin_ffi", "decode_bit_array")
fn decode_bit_array(data: Dynamic) -> #(BitArray, List(DecodeError))

@external(erlang, "gleam_standin_ffi", "decode_dynamic")
fn decode_dynamic(data: Dynamic) -> #(Dynamic, List(DecodeError))

pub fn run(data: Dynamic, decoder: Decoder(t)) -> Result(t, List(DecodeError)) {
  case decoder.function(data) {
    #(value, []) -> Ok(value)
    #(_, errors) -> Error(errors)
  }
}

pub fn success(data: t) -> Decoder(t) {
  Decoder(fn(_) { #(data, []) })
}

pub fn failure(placeholder: a, expected name: String) -> Decoder(a) {
  Decoder(fn(data) { #(placeholder, decode_error(name, data)) })
}

pub fn decode_error(
  expected expected: String,
  found found: Dynamic,
) -> List(DecodeError) {
  [DecodeError(expected, dynamic.classify(found), [])]
}

pub fn map(decoder: Decoder(a), transformer: fn(a) -> b) -> Decoder(b) {
  Decoder(fn(data) {
    let #(value, errors) = decoder.function(data)
    #(transformer(value), errors)
  })
}

pub fn then(decoder: Decoder(a), next: fn(a) -> Decoder(b)) -> Decoder(b) {
  Decoder(fn(data) {
    let #(value, errors) = decoder.function(data)
    let #(after, more) = next(value).function(data)
    case errors {
      [] -> #(after, more)
      _ -> #(after, errors)
    }
  })
}

pub fn one_of(
  first: Decoder(a),
  or alternatives: List(Decoder(a)),
) -> Decoder(a) {
  Decoder(fn(data) {
    let found = first.function(data)
    case found {
      #(_, []) -> found
      _ -> alternative(data, found, alternatives)
    }
  })
}

fn alternative(data, failed, decoders: List(Decoder(a))) {
  case decoders {
    [] -> failed
    [decoder, ..rest] ->
      case decoder.function(data) {
        #(value, []) -> #(value, [])
        _ -> alternative(data, failed, rest)
      }
  }
}

pub fn field(
  field_name: name,
  field_decoder: Decoder(t),
  next: fn(t) -> Decoder(final),
) -> Decoder(final) {
  Decoder(fn(data) {
    let #(value, errors) = case index(data, field_name) {
      Ok(inner) -> field_decoder.function(inner)
      Error(Nil) -> {
        let #(placeholder, _) = field_decoder.function(data)
        #(placeholder, [DecodeError("Field", "Nothing", [])])
      }
    }
    let #(after, more) = next(value).function(data)
    let named =
      list.map(errors, fn(error) {
        DecodeError(..error, path: [path_text(field_name), ..error.path])
      })
    #(after, list.append(named, more))
  })
}

@external(erlang, "gleam_standin_ffi", "decode_index")
fn index(data: Dynamic, key: name) -> Result(Dynamic, Nil)

@external(erlang, "gleam_standin_ffi", "path_text")
fn path_text(key: name) -> String

pub fn list(of inner: Decoder(a)) -> Decoder(List(a)) {
  Decoder(fn(data) {
    case to_list(data) {
      Ok(items) -> {
        let all = list.map(items, inner.function)
        #(
          list.map(all, fn(one) { one.0 }),
          list.flatten(list.map(all, fn(one) { one.1 })),
        )
      }
      Error(Nil) -> #([], decode_error("List", data))
    }
  })
}

@external(erlang, "gleam_standin_ffi", "proper_list")
fn to_list(data: Dynamic) -> Result(List(Dynamic), Nil)

pub fn dict(
  key: Decoder(key),
  value: Decoder(value),
) -> Decoder(Dict(key, value)) {
  Decoder(fn(data) {
    case to_pairs(data) {
      Ok(pairs) -> {
        let all =
          list.map(pairs, fn(pair) {
            #(key.function(pair.0), value.function(pair.1))
          })
        let pairs =
          list.map(all, fn(one) {
            let #(#(k, _), #(v, _)) = one
            #(k, v)
          })
        let errors =
          list.map(all, fn(one) {
            let #(#(_, e), #(_, f)) = one
            list.append(e, f)
          })
        #(dict.from_list(pairs), list.flatten(errors))
      }
      Error(Nil) -> #(dict.new(), decode_error("Dict", data))
    }
  })
}

@external(erlang, "gleam_standin_ffi", "map_pairs")
fn to_pairs(data: Dynamic) -> Result(List(#(Dynamic, Dynamic)), Nil)

pub fn optional(inner: Decoder(a)) -> Decoder(Option(a)) {
  Decoder(fn(data) {
    case is_null(data) {
      True -> #(None, [])
      False -> {
        let #(value, errors) = inner.function(data)
        #(Some(value), errors)
      }
    }
  })
}

@external(erlang, "gleam_standin_ffi", "is_null")
fn is_null(data: Dynamic) -> Bool

pub fn new_primitive_decoder(
  name: String,
  decoding_function: fn(Dynamic) -> Result(t, t),
) -> Decoder(t) {
  Decoder(fn(data) {
    case decoding_function(data) {
      Ok(value) -> #(value, [])
      Error(placeholder) -> #(placeholder, decode_error(name, data))
    }
  })
}

pub fn recursive(inner: fn() -> Decoder(a)) -> Decoder(a) {
  Decoder(fn(data) { inner().function(data) })
}
