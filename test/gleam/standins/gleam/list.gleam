import gleam/order.{type Order}

@external(erlang, "lists", "reverse")
pub fn reverse(list: List(a)) -> List(a)

@external(erlang, "erlang", "length")
pub fn length(of list: List(a)) -> Int

@external(erlang, "lists", "append")
pub fn append(first: List(a), second: List(a)) -> List(a)

@external(erlang, "lists", "append")
pub fn flatten(lists: List(List(a))) -> List(a)

@external(erlang, "gleam_standin_ffi", "list_sort")
pub fn sort(list: List(a), by compare: fn(a, a) -> Order) -> List(a)

@external(erlang, "gleam_standin_ffi", "list_unique")
pub fn unique(list: List(a)) -> List(a)

@external(erlang, "lists", "member")
fn member(item: a, list: List(a)) -> Bool

pub fn contains(list: List(a), any elem: a) -> Bool {
  member(elem, list)
}

pub fn is_empty(list: List(a)) -> Bool {
  list == []
}

pub fn first(list: List(a)) -> Result(a, Nil) {
  case list {
    [] -> Error(Nil)
    [x, ..] -> Ok(x)
  }
}

pub fn map(list: List(a), with fun: fn(a) -> b) -> List(b) {
  case list {
    [] -> []
    [x, ..rest] -> [fun(x), ..map(rest, fun)]
  }
}

pub fn index_map(list: List(a), with fun: fn(a, Int) -> b) -> List(b) {
  index_map_from(list, 0, fun)
}

fn index_map_from(list: List(a), index: Int, fun: fn(a, Int) -> b) -> List(b) {
  case list {
    [] -> []
    [x, ..rest] -> [fun(x, index), ..index_map_from(rest, index + 1, fun)]
  }
}

pub fn filter(list: List(a), keeping predicate: fn(a) -> Bool) -> List(a) {
  case list {
    [] -> []
    [x, ..rest] ->
      case predicate(x) {
        True -> [x, ..filter(rest, predicate)]
        False -> filter(rest, predicate)
      }
  }
}

pub fn filter_map(
  list: List(a),
  with fun: fn(a) -> Result(b, e),
) -> List(b) {
  case list {
    [] -> []
    [x, ..rest] ->
      case fun(x) {
        Ok(y) -> [y, ..filter_map(rest, fun)]
        Error(_) -> filter_map(rest, fun)
      }
  }
}

pub fn flat_map(over list: List(a), with fun: fn(a) -> List(b)) -> List(b) {
  flatten(map(list, fun))
}

pub fn partition(
  list: List(a),
  with categorise: fn(a) -> Bool,
) -> #(List(a), List(a)) {
  #(
    filter(list, categorise),
    filter(list, fn(x) {
      case categorise(x) {
        True -> False
        False -> True
      }
    }),
  )
}

pub fn fold(
  over list: List(a),
  from initial: acc,
  with fun: fn(acc, a) -> acc,
) -> acc {
  case list {
    [] -> initial
    [x, ..rest] -> fold(rest, fun(initial, x), fun)
  }
}

pub fn each(list: List(a), f: fn(a) -> b) -> Nil {
  case list {
    [] -> Nil
    [x, ..rest] -> {
      f(x)
      each(rest, f)
    }
  }
}

pub fn any(in list: List(a), satisfying predicate: fn(a) -> Bool) -> Bool {
  filter(list, predicate) != []
}

pub fn all(in list: List(a), satisfying predicate: fn(a) -> Bool) -> Bool {
  filter(list, predicate) == list
}

pub fn find(
  in list: List(a),
  one_that is_desired: fn(a) -> Bool,
) -> Result(a, Nil) {
  first(filter(list, is_desired))
}

pub fn key_find(
  in keyword_list: List(#(k, v)),
  find desired_key: k,
) -> Result(v, Nil) {
  case find(keyword_list, fn(pair) { pair.0 == desired_key }) {
    Ok(#(_, value)) -> Ok(value)
    Error(Nil) -> Error(Nil)
  }
}

pub fn take(from list: List(a), up_to n: Int) -> List(a) {
  case list {
    [x, ..rest] if n > 0 -> [x, ..take(rest, n - 1)]
    _ -> []
  }
}

pub fn drop(from list: List(a), up_to n: Int) -> List(a) {
  case list {
    [_, ..rest] if n > 0 -> drop(rest, n - 1)
    _ -> list
  }
}

pub fn repeat(item a: a, times times: Int) -> List(a) {
  case times > 0 {
    True -> [a, ..repeat(a, times - 1)]
    False -> []
  }
}

pub fn try_map(
  over list: List(a),
  with fun: fn(a) -> Result(b, e),
) -> Result(List(b), e) {
  case list {
    [] -> Ok([])
    [x, ..rest] ->
      case fun(x) {
        Error(e) -> Error(e)
        Ok(y) ->
          case try_map(rest, fun) {
            Error(e) -> Error(e)
            Ok(ys) -> Ok([y, ..ys])
          }
      }
  }
}
