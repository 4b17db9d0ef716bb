import gleam/otp/actor
import gleam/otp/supervision

pub type Supervisor

pub type Strategy {
  OneForOne
  OneForAll
  RestForOne
}

pub type Builder

@external(erlang, "gleam_standin_ffi", "sup_new")
pub fn new(strategy strategy: Strategy) -> Builder

@external(erlang, "gleam_standin_ffi", "sup_add")
pub fn add(
  builder: Builder,
  child: supervision.ChildSpecification(data),
) -> Builder

@external(erlang, "gleam_standin_ffi", "sup_tolerance")
pub fn restart_tolerance(
  builder: Builder,
  intensity intensity: Int,
  period period: Int,
) -> Builder

@external(erlang, "gleam_standin_ffi", "sup_start")
pub fn start(
  builder: Builder,
) -> Result(actor.Started(Supervisor), actor.StartError)

pub fn supervised(
  builder: Builder,
) -> supervision.ChildSpecification(Supervisor) {
  supervision.supervisor(fn() { start(builder) })
}
