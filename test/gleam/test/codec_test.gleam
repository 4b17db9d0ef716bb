//// Codecs: what is written is read, and nothing else is.

import gleam/dict
import gleam/dynamic
import gleam/dynamic/decode
import gleam/list
import gleam/option.{None, Some}
import gleam/string
import remora/codec
import remora/settings
import tests

pub fn there_and_back_test() {
  there_and_back(codec.string(), "")
  there_and_back(codec.string(), "日本語 \"quoted\"")
  there_and_back(codec.int(), -1)
  there_and_back(codec.int(), 123_456_789_012_345_678_901_234_567_890)
  there_and_back(codec.float(), -0.5)
  there_and_back(codec.bool(), True)
  there_and_back(codec.nil(), Nil)
  there_and_back(codec.bit_array(), <<>>)
  there_and_back(codec.bit_array(), <<5:size(3)>>)
  there_and_back(codec.list(codec.list(codec.int())), [[], [1], [2, 3]])
  there_and_back(codec.option(codec.option(codec.int())), Some(None))
  there_and_back(codec.pair(codec.int(), codec.string()), #(1, "one"))
  there_and_back(
    codec.dict(codec.string(), codec.int()),
    dict.from_list([#("a", 1), #("b", 2)]),
  )
  there_and_back(codec.unchecked(), #(1, Some("x")))
}

fn there_and_back(of: codec.Codec(a), value: a) {
  let assert Ok(bits) = codec.encode(of, value)
  let assert True = codec.decode(of, bits) == Ok(value)
  let assert True = codec.from_term(of, codec.to_term(of, value)) == Ok(value)
}

pub fn other_shapes_are_errors_test() {
  refused(codec.int(), dynamic.string("1"))
  refused(codec.int(), dynamic.float(1.0))
  refused(codec.float(), dynamic.int(1))
  refused(codec.bool(), dynamic.string("true"))
  refused(codec.string(), dynamic.bit_array(<<255>>))
  refused(codec.nil(), dynamic.list([]))
  refused(codec.pid(), dynamic.int(1))
  refused(codec.list(codec.int()), dynamic.int(1))
  refused(codec.list(codec.int()), dynamic.list([dynamic.string("x")]))
  refused(codec.option(codec.int()), dynamic.int(1))
  refused(codec.option(codec.int()), tests.term(Some("x")))
  refused(codec.pair(codec.int(), codec.int()), tests.term(#(1, 2, 3)))
  refused(codec.pair(codec.int(), codec.int()), tests.term(#(1)))
  refused(codec.pair(codec.int(), codec.int()), tests.term([1, 2]))
  refused(codec.dict(codec.int(), codec.int()), tests.term([#(1, 2)]))
}

fn refused(of: codec.Codec(a), term: dynamic.Dynamic) {
  let assert Error(codec.UnexpectedShape([_, ..])) = codec.from_term(of, term)
}

pub fn an_improper_list_is_an_error_test() {
  // The term [1 | 2] of Erlang.
  let improper = <<131, 108, 0, 0, 0, 1, 97, 1, 97, 2>>
  let assert Error(codec.UnexpectedShape(_)) =
    codec.decode(codec.list(codec.int()), improper)
}

pub fn an_error_says_where_test() {
  let people = codec.pair(codec.string(), codec.int())
  let assert Error(error) =
    codec.from_term(people, tests.term(#("ann", "old")))
  let assert "expected Int, found String at 1" =
    codec.describe_decode_error(error)
}

pub fn bytes_that_are_no_term_test() {
  let wrong = [<<>>, <<131>>, <<131, 97>>, <<97, 5>>, <<131, 97, 5, 0>>]
  list.each(wrong, fn(bits) {
    let assert Error(codec.NotATerm) = codec.decode(codec.int(), bits)
  })
}

pub fn no_atom_is_made_of_bytes_test() {
  let name = tests.unique("made_by_nobody")
  let bits = <<131, 119, string.byte_size(name):8, name:utf8>>
  let _ = codec.decode(codec.term(), bits)
  let before = tests.atom_count()
  let assert Error(codec.NotATerm) = codec.decode(codec.term(), bits)
  let assert True = tests.atom_count() == before
}

pub fn messages_end_at_the_limit_test() {
  let assert Ok(Nil) = settings.set_max_message_size(100)
  let text = string.repeat("x", times: 94)
  let assert Ok(bits) = codec.encode(codec.string(), text)
  let assert Ok(_) = codec.decode(codec.string(), bits)
  let assert Error(codec.TooLarge(101, 100)) =
    codec.encode(codec.string(), text <> "x")
  let assert Ok(Nil) = settings.set_max_message_size(99)
  let assert Error(codec.TooLargeToDecode(100, 99)) =
    codec.decode(codec.string(), bits)
}

pub fn a_compressed_term_is_not_unpacked_over_the_limit_test() {
  // Says that it becomes 4 GiB; erl_ext_dist, tag 80.
  let bomb = <<131, 80, 255, 255, 255, 255, 120, 156>>
  let assert Error(codec.TooLargeToDecode(4_294_967_295, _)) =
    codec.decode(codec.term(), bomb)
}

pub fn a_decoder_of_a_codec_test() {
  let pair = codec.decoder(codec.pair(codec.int(), codec.int()))
  let assert Ok([#(1, 2)]) =
    decode.run(tests.term([#(1, 2)]), decode.list(of: pair))
}
