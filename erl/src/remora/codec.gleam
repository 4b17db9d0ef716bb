//// How values of a type travel between nodes: as Erlang terms, checked where
//// they arrive.
////
//// A `Codec(a)` turns an `a` into a term and a term that came from elsewhere
//// back into an `a`, or into an error. On the wire it is Erlang's external
//// term format, so processes written in Erlang, Elixir and C++ read what
//// Gleam sends, and the other way round.
////
//// Codecs of larger types are made of smaller ones:
////
//// ```gleam
//// import remora/codec
////
//// // People with their ages, if these are known.
//// let people = codec.list(codec.pair(codec.string(), codec.option(codec.int())))
//// ```
////
//// and those of your own types of `codec.new` or `codec.map`:
////
//// ```gleam
//// import gleam/dynamic
//// import gleam/dynamic/decode
//// import remora/codec
////
//// pub type Job {
////   Job(id: Int, text: String)
//// }
////
//// pub fn job() -> codec.Codec(Job) {
////   codec.new(encode_job, job_decoder())
//// }
////
//// fn encode_job(job: Job) -> dynamic.Dynamic {
////   dynamic.array([dynamic.int(job.id), dynamic.string(job.text)])
//// }
////
//// fn job_decoder() -> decode.Decoder(Job) {
////   use id <- decode.field(0, decode.int)
////   use text <- decode.field(1, decode.string)
////   decode.success(Job(id, text))
//// }
////
//// pub fn main() {
////   let assert Ok(bits) = codec.encode(job(), Job(7, "sweep"))
////   let assert Ok(Job(7, "sweep")) = codec.decode(job(), bits)
//// }
//// ```

import gleam/dict.{type Dict}
import gleam/dynamic.{type Dynamic}
import gleam/dynamic/decode.{type Decoder}
import gleam/erlang/process.{type Pid}
import gleam/int
import gleam/list
import gleam/option.{type Option, None, Some}
import remora/internal/text
import remora/settings

/// How values of type `a` become terms, and terms become values.
pub opaque type Codec(a) {
  Codec(encode: fn(a) -> Dynamic, decoder: Decoder(a))
}

/// Why a value could not be encoded.
pub type EncodeError {
  /// It takes `bytes` bytes, and a message may have `limit`; see
  /// `settings.set_max_message_size`. Send less, or in parts.
  TooLarge(bytes: Int, limit: Int)
}

/// Why what arrived is no value of the expected type.
pub type DecodeError {
  /// The bytes are no term in Erlang's external format; or one with an atom
  /// that this VM does not know and, so that nobody can fill its atom table
  /// from outside, does not make.
  NotATerm
  /// The term would take `bytes` bytes; see `settings.set_max_message_size`.
  TooLargeToDecode(bytes: Int, limit: Int)
  /// It is a term, but of another shape: what was expected, what was found,
  /// and where in it.
  UnexpectedShape(errors: List(decode.DecodeError))
}

/// A codec out of a function that makes a term of a value, and a decoder that
/// reads one. What the first makes, the second should read.
///
/// ```gleam
/// import gleam/dynamic
/// import gleam/dynamic/decode
/// import remora/codec
///
/// let yes_or_no = codec.new(dynamic.bool, decode.bool)
/// let assert Ok(bits) = codec.encode(yes_or_no, True)
/// let assert Ok(True) = codec.decode(yes_or_no, bits)
/// ```
pub fn new(encode: fn(a) -> Dynamic, decoder: Decoder(a)) -> Codec(a) {
  Codec(encode, decoder)
}

/// Text: a binary in UTF-8. Other binaries are refused.
///
/// ```gleam
/// import remora/codec
///
/// let assert Ok(bits) = codec.encode(codec.string(), "grüß dich")
/// let assert Ok("grüß dich") = codec.decode(codec.string(), bits)
/// ```
pub fn string() -> Codec(String) {
  Codec(dynamic.string, decode.string)
}

/// An integer of any size.
///
/// ```gleam
/// import remora/codec
///
/// let assert Ok(bits) = codec.encode(codec.int(), 42)
/// let assert Ok(42) = codec.decode(codec.int(), bits)
/// let assert Error(codec.UnexpectedShape(_)) =
///   codec.decode(codec.string(), bits)
/// ```
pub fn int() -> Codec(Int) {
  Codec(dynamic.int, decode.int)
}

/// A float. An Erlang integer is none.
///
/// ```gleam
/// import remora/codec
///
/// let assert Ok(bits) = codec.encode(codec.float(), 1.5)
/// let assert Ok(1.5) = codec.decode(codec.float(), bits)
/// ```
pub fn float() -> Codec(Float) {
  Codec(dynamic.float, decode.float)
}

/// `True` or `False`: Erlang's atoms `true` and `false`.
///
/// ```gleam
/// import remora/codec
///
/// let assert Ok(bits) = codec.encode(codec.bool(), False)
/// let assert Ok(False) = codec.decode(codec.bool(), bits)
/// ```
pub fn bool() -> Codec(Bool) {
  Codec(dynamic.bool, decode.bool)
}

/// Bytes: a binary, or a bit string.
///
/// ```gleam
/// import remora/codec
///
/// let assert Ok(bits) = codec.encode(codec.bit_array(), <<1, 2, 3>>)
/// let assert Ok(<<1, 2, 3>>) = codec.decode(codec.bit_array(), bits)
/// ```
pub fn bit_array() -> Codec(BitArray) {
  Codec(dynamic.bit_array, decode.bit_array)
}

/// `Nil`: Erlang's atom `nil`.
///
/// ```gleam
/// import remora/codec
///
/// let assert Ok(bits) = codec.encode(codec.nil(), Nil)
/// let assert Ok(Nil) = codec.decode(codec.nil(), bits)
/// ```
pub fn nil() -> Codec(Nil) {
  Codec(to_dynamic, decode.new_primitive_decoder("Nil", read_nil))
}

/// A process, of any node.
///
/// ```gleam
/// import gleam/erlang/process
/// import remora/codec
///
/// let me = process.self()
/// let assert Ok(bits) = codec.encode(codec.pid(), me)
/// let assert True = codec.decode(codec.pid(), bits) == Ok(me)
/// ```
pub fn pid() -> Codec(Pid) {
  Codec(to_dynamic, decode.new_primitive_decoder("Pid", read_pid))
}

/// A list, each element of which is checked.
///
/// ```gleam
/// import remora/codec
///
/// let numbers = codec.list(codec.int())
/// let assert Ok(bits) = codec.encode(numbers, [1, 2, 3])
/// let assert Ok([1, 2, 3]) = codec.decode(numbers, bits)
/// ```
pub fn list(of element: Codec(a)) -> Codec(List(a)) {
  Codec(
    fn(elements) { dynamic.list(list.map(elements, element.encode)) },
    decode.list(of: element.decoder),
  )
}

/// A value or `None`, as Gleam has them on the BEAM: the tuple `{some, Value}`
/// or the atom `none`.
///
/// ```gleam
/// import gleam/option.{None, Some}
/// import remora/codec
///
/// let age = codec.option(codec.int())
/// let assert Ok(bits) = codec.encode(age, Some(33))
/// let assert Ok(Some(33)) = codec.decode(age, bits)
/// let assert Ok(bits) = codec.encode(age, None)
/// let assert Ok(None) = codec.decode(age, bits)
/// ```
pub fn option(of inner: Codec(a)) -> Codec(Option(a)) {
  Codec(
    fn(value) { to_dynamic(option.map(value, inner.encode)) },
    decode.then(decode.dynamic, fn(term) {
      case read_option(term) {
        Ok(None) -> decode.success(None)
        Ok(Some(_)) ->
          decode.field(1, inner.decoder, fn(value) {
            decode.success(Some(value))
          })
        Error(Nil) -> decode.failure(None, expected: "Option")
      }
    }),
  )
}

/// Two values: a tuple.
///
/// ```gleam
/// import remora/codec
///
/// let entry = codec.pair(codec.string(), codec.int())
/// let assert Ok(bits) = codec.encode(entry, #("apples", 3))
/// let assert Ok(#("apples", 3)) = codec.decode(entry, bits)
/// ```
pub fn pair(first: Codec(a), second: Codec(b)) -> Codec(#(a, b)) {
  Codec(
    fn(pair) {
      let #(a, b) = pair
      dynamic.array([first.encode(a), second.encode(b)])
    },
    sized(2, pair_decoder(first, second)),
  )
}

fn pair_decoder(first: Codec(a), second: Codec(b)) -> Decoder(#(a, b)) {
  use a <- decode.field(0, first.decoder)
  use b <- decode.field(1, second.decoder)
  decode.success(#(a, b))
}

/// A dictionary: an Erlang map, each key and value of which is checked.
///
/// ```gleam
/// import gleam/dict
/// import remora/codec
///
/// let stock = codec.dict(codec.string(), codec.int())
/// let assert Ok(bits) = codec.encode(stock, dict.from_list([#("pears", 2)]))
/// let assert Ok(read) = codec.decode(stock, bits)
/// let assert Ok(2) = dict.get(read, "pears")
/// ```
pub fn dict(key: Codec(k), value: Codec(v)) -> Codec(Dict(k, v)) {
  Codec(
    fn(entries) {
      dict.to_list(entries)
      |> list.map(fn(entry) {
        let #(k, v) = entry
        #(key.encode(k), value.encode(v))
      })
      |> dynamic.properties
    },
    decode.dict(key.decoder, value.decoder),
  )
}

/// A codec for `b` out of one for `a`: `wrap` makes a `b` of what was read,
/// `unwrap` what is written. For types that are an `a` with a name.
///
/// ```gleam
/// import remora/codec
///
/// pub type Celsius {
///   Celsius(Float)
/// }
///
/// pub fn main() {
///   let celsius = codec.map(codec.float(), Celsius, degrees)
///   let assert Ok(bits) = codec.encode(celsius, Celsius(21.5))
///   let assert Ok(Celsius(21.5)) = codec.decode(celsius, bits)
/// }
///
/// fn degrees(temperature: Celsius) -> Float {
///   let Celsius(number) = temperature
///   number
/// }
/// ```
pub fn map(codec: Codec(a), wrap: fn(a) -> b, unwrap: fn(b) -> a) -> Codec(b) {
  Codec(
    fn(value) { codec.encode(unwrap(value)) },
    decode.map(codec.decoder, wrap),
  )
}

/// Any term, as it is: what comes is `Dynamic`, to be decoded later.
///
/// ```gleam
/// import gleam/dynamic
/// import gleam/dynamic/decode
/// import remora/codec
///
/// let assert Ok(bits) = codec.encode(codec.term(), dynamic.int(1))
/// let assert Ok(term) = codec.decode(codec.term(), bits)
/// let assert Ok(1) = decode.run(term, decode.int)
/// ```
pub fn term() -> Codec(Dynamic) {
  Codec(to_dynamic, decode.dynamic)
}

/// Any value as it is, **believed to be an `a` when it comes back**. Only for
/// nodes that all run the same code, and whose cookie nobody else has: a value
/// of another type is not refused, and the process that uses it crashes.
///
/// ```gleam
/// import gleam/option.{Some}
/// import remora/codec
///
/// let assert Ok(bits) = codec.encode(codec.unchecked(), Some(#(1, "a")))
/// let assert Ok(Some(#(1, "a"))) = codec.decode(codec.unchecked(), bits)
/// ```
pub fn unchecked() -> Codec(a) {
  Codec(to_dynamic, decode.map(decode.dynamic, believe))
}

/// A value as the term that is sent.
///
/// ```gleam
/// import gleam/dynamic/decode
/// import remora/codec
///
/// let term = codec.to_term(codec.list(codec.int()), [1, 2])
/// let assert Ok([1, 2]) = decode.run(term, decode.list(of: decode.int))
/// ```
pub fn to_term(codec: Codec(a), value: a) -> Dynamic {
  codec.encode(value)
}

/// A term that came from elsewhere as a value. The only error is
/// `UnexpectedShape`.
///
/// ```gleam
/// import gleam/dynamic
/// import remora/codec
///
/// let assert Ok(3) = codec.from_term(codec.int(), dynamic.int(3))
/// let assert Error(codec.UnexpectedShape([_])) =
///   codec.from_term(codec.int(), dynamic.string("three"))
/// ```
pub fn from_term(codec: Codec(a), term: Dynamic) -> Result(a, DecodeError) {
  case decode.run(term, codec.decoder) {
    Ok(value) -> Ok(value)
    Error(errors) -> Error(UnexpectedShape(errors))
  }
}

/// A value as bytes in Erlang's external term format, at most
/// `settings.get_max_message_size()` of them.
///
/// ```gleam
/// import remora/codec
///
/// let assert Ok(<<131, 97, 5>>) = codec.encode(codec.int(), 5)
/// ```
pub fn encode(codec: Codec(a), value: a) -> Result(BitArray, EncodeError) {
  encode_term(codec.encode(value), settings.get_max_message_size())
}

/// Bytes in Erlang's external term format as a value. They may come from
/// anywhere: no atom is made, nothing larger than
/// `settings.get_max_message_size()` is unpacked, and nothing may follow the
/// term.
///
/// ```gleam
/// import remora/codec
///
/// let assert Ok(5) = codec.decode(codec.int(), <<131, 97, 5>>)
/// let assert Error(codec.NotATerm) = codec.decode(codec.int(), <<0, 1>>)
/// ```
pub fn decode(codec: Codec(a), bits: BitArray) -> Result(a, DecodeError) {
  case decode_term(bits, settings.get_max_message_size()) {
    Ok(term) -> from_term(codec, term)
    Error(error) -> Error(error)
  }
}

/// The decoder inside, to be part of another one.
///
/// ```gleam
/// import gleam/dynamic
/// import gleam/dynamic/decode
/// import remora/codec
///
/// let decoder = decode.field(0, codec.decoder(codec.int()), decode.success)
/// let assert Ok(9) = decode.run(dynamic.array([dynamic.int(9)]), decoder)
/// ```
pub fn decoder(codec: Codec(a)) -> Decoder(a) {
  codec.decoder
}

/// A sentence for people: what was tried and what to do.
///
/// ```gleam
/// import remora/codec
///
/// let assert "a message of 11 bytes is larger than the limit of 10" =
///   codec.describe_encode_error(codec.TooLarge(11, 10))
/// ```
pub fn describe_encode_error(error: EncodeError) -> String {
  let TooLarge(bytes, limit) = error
  text.too_large(bytes, limit)
}

/// A sentence for people: what was expected, what was found, and where.
///
/// ```gleam
/// import gleam/dynamic
/// import remora/codec
///
/// let assert Error(error) =
///   codec.from_term(codec.int(), dynamic.string("three"))
/// let assert "expected Int, found String" = codec.describe_decode_error(error)
/// ```
pub fn describe_decode_error(error: DecodeError) -> String {
  case error {
    NotATerm ->
      "not a term in Erlang's external format, or one with an atom that this VM does not have"
    TooLargeToDecode(bytes, limit) -> text.too_large(bytes, limit)
    UnexpectedShape(errors) -> text.unexpected_shape(errors)
  }
}

// A field of a tuple is read whatever else the tuple holds; here it is all.
fn sized(size: Int, decoder: Decoder(a)) -> Decoder(a) {
  decode.then(decode.dynamic, fn(term) {
    case is_tuple_of(term, size) {
      True -> decoder
      False ->
        decode.then(decoder, fn(value) {
          decode.failure(value, expected: "Tuple of " <> int.to_string(size))
        })
    }
  })
}

@external(erlang, "remora_ffi", "identity")
fn to_dynamic(value: a) -> Dynamic

@external(erlang, "remora_ffi", "identity")
fn believe(term: Dynamic) -> a

@external(erlang, "remora_ffi", "read_nil")
fn read_nil(term: Dynamic) -> Result(Nil, Nil)

@external(erlang, "remora_ffi", "read_pid")
fn read_pid(term: Dynamic) -> Result(Pid, Pid)

@external(erlang, "remora_ffi", "read_option")
fn read_option(term: Dynamic) -> Result(Option(Dynamic), Nil)

@external(erlang, "remora_ffi", "is_tuple_of")
fn is_tuple_of(term: Dynamic, size: Int) -> Bool

@external(erlang, "remora_ffi", "encode_term")
fn encode_term(term: Dynamic, limit: Int) -> Result(BitArray, EncodeError)

@external(erlang, "remora_ffi", "decode_term")
fn decode_term(bits: BitArray, limit: Int) -> Result(Dynamic, DecodeError)
