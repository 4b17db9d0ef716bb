pub type Option(a) {
  Some(a)
  None
}

pub fn unwrap(option: Option(a), or default: a) -> a {
  case option {
    Some(x) -> x
    None -> default
  }
}

pub fn map(over option: Option(a), with fun: fn(a) -> b) -> Option(b) {
  case option {
    Some(x) -> Some(fun(x))
    None -> None
  }
}

pub fn to_result(option: Option(a), e: e) -> Result(a, e) {
  case option {
    Some(x) -> Ok(x)
    None -> Error(e)
  }
}

pub fn from_result(result: Result(a, e)) -> Option(a) {
  case result {
    Ok(x) -> Some(x)
    Error(_) -> None
  }
}

pub fn is_some(option: Option(a)) -> Bool {
  option != None
}
