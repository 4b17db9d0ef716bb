import gleam/erlang/process.{type Name, type Subject}
import gleam/option.{type Option, None, Some}

pub type Started(data) {
  Started(pid: process.Pid, data: data)
}

pub type StartError {
  InitTimeout
  InitFailed(String)
  InitExited(process.ExitReason)
}

pub type StartResult(data) =
  Result(Started(data), StartError)

pub opaque type Next(state, message) {
  Continue(state: state)
  Stop(process.ExitReason)
}

pub opaque type Builder(state, message, return) {
  Builder(
    state: state,
    handler: fn(state, message) -> Next(state, message),
    name: Option(Name(message)),
    return: fn(Subject(message)) -> return,
  )
}

pub fn new(state: state) -> Builder(state, message, Subject(message)) {
  Builder(
    state: state,
    handler: fn(state, _) { Continue(state) },
    name: None,
    return: fn(subject) { subject },
  )
}

pub fn on_message(
  builder: Builder(state, message, return),
  handler: fn(state, message) -> Next(state, message),
) -> Builder(state, message, return) {
  Builder(..builder, handler: handler)
}

pub fn named(
  builder: Builder(state, message, return),
  name: Name(message),
) -> Builder(state, message, return) {
  Builder(..builder, name: Some(name))
}

pub fn continue(state: state) -> Next(state, message) {
  Continue(state)
}

pub fn stop() -> Next(state, message) {
  Stop(process.Normal)
}

pub fn start(
  builder: Builder(state, message, return),
) -> Result(Started(return), StartError) {
  let parent = process.new_subject()
  let pid =
    process.spawn(fn() {
      let subject = case builder.name {
        None -> process.new_subject()
        Some(name) -> {
          let assert Ok(Nil) = process.register(process.self(), name)
          process.named_subject(name)
        }
      }
      process.send(parent, subject)
      loop(builder.state, subject, builder.handler)
    })
  case process.receive(parent, 1000) {
    Ok(subject) -> Ok(Started(pid, builder.return(subject)))
    Error(Nil) -> Error(InitTimeout)
  }
}

fn loop(state, subject, handler: fn(state, message) -> Next(state, message)) {
  case handler(state, process.receive_forever(subject)) {
    Continue(next) -> loop(next, subject, handler)
    Stop(_) -> Nil
  }
}

pub fn send(subject: Subject(msg), msg: msg) -> Nil {
  process.send(subject, msg)
}

pub fn call(
  subject: Subject(message),
  waiting timeout: Int,
  sending make_message: fn(Subject(reply)) -> message,
) -> reply {
  process.call(subject, timeout, make_message)
}
