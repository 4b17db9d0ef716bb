//// One of three nodes, of which one leads, and its worker writes into the
//// ledger; the workers of the others wait. What is written has the token of the
//// leadership in it, taken before the work was done, so the ledger can refuse
//// what comes too late.
////
//// `./run.sh` starts the three and the ledger, stops the node that leads for a
//// while, and kills another.

import gleam/erlang/process
import gleam/int
import gleam/io
import gleam/otp/actor
import gleam/otp/static_supervisor as supervisor
import gleam/otp/supervision.{type ChildSpecification}
import ledger
import remora
import remora/cluster
import remora/election

/// A companion that votes with those of the other two, and the worker. Term and
/// vote are in the folder: a companion that is started again remembers them.
pub fn start(
  nodes: List(String),
  voters: List(String),
  folder: String,
) -> actor.StartResult(supervisor.Supervisor) {
  let options =
    election.default_options()
    |> election.with_voters(voters)
    |> election.with_state_dir(folder)
    |> election.with_name_lease(1000)
  supervisor.new(supervisor.OneForOne)
  |> supervisor.add(
    remora.epmd(nodes)
    |> remora.with_poll_interval(1000)
    |> remora.with_election(options)
    |> remora.supervised,
  )
  |> supervisor.add(worker())
  |> supervisor.start
}

pub fn main(nodes: List(String), voters: List(String), folder: String) -> Nil {
  let assert Ok(_) = start(nodes, voters, folder)
  process.sleep_forever()
}

// There is one on each node, and one of them works.
fn worker() -> ChildSpecification(Nil) {
  supervision.worker(fn() {
    Ok(actor.Started(process.spawn(fn() { work() }), Nil))
  })
}

fn work() -> Nil {
  case election.fencing_token() {
    Ok(token) -> {
      // This is the work, in whose middle a node may be stopped.
      process.sleep(200)
      case ledger.write(token, cluster.self_node()) {
        Ok(True) -> Nil
        Ok(False) -> say("the ledger refuses token " <> int.to_string(token))
        Error(why) -> say(why)
      }
    }
    Error(_) -> process.sleep(50)
  }
  work()
}

fn say(words: String) -> Nil {
  io.println(cluster.self_node() <> " " <> words)
}
