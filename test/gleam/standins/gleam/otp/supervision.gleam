import gleam/otp/actor

pub type Restart {
  Permanent
  Transient
  Temporary
}

pub type ChildType {
  Worker(shutdown_ms: Int)
  Supervisor
}

pub type ChildSpecification(data) {
  ChildSpecification(
    start: fn() -> Result(actor.Started(data), actor.StartError),
    restart: Restart,
    significant: Bool,
    child_type: ChildType,
  )
}

pub fn worker(
  run start: fn() -> Result(actor.Started(data), actor.StartError),
) -> ChildSpecification(data) {
  ChildSpecification(start, Permanent, False, Worker(5000))
}

pub fn supervisor(
  run start: fn() -> Result(actor.Started(data), actor.StartError),
) -> ChildSpecification(data) {
  ChildSpecification(start, Permanent, False, Supervisor)
}

pub fn restart(
  child: ChildSpecification(data),
  restart: Restart,
) -> ChildSpecification(data) {
  ChildSpecification(..child, restart: restart)
}

pub fn timeout(
  child: ChildSpecification(data),
  ms ms: Int,
) -> ChildSpecification(data) {
  ChildSpecification(..child, child_type: Worker(ms))
}
