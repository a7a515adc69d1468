//! Programs on the model: the ideal run, and a model of each strategy.
//!
//! | file | what it models |
//! |---|---|
//! | `run.rs` | a whole run, from a program to its trace |
//! | `ideal.rs` | the ideal: says when each event of a program is due |
//! | `nested.rs`, `dispatch.rs`, `handoff.rs`, `gtk_rs.rs` | the strategies with these names |
//! | `host.rs`, `pipes.rs`, `sides.rs` | [`Loops`](crate::Loops) over the model, the same for all |
//! | `runtime.rs` | tokio on the GLib thread |
//! | `worker.rs`, `jobs.rs` | tokio on its own thread, and its way to the GLib thread |
//! | `guest.rs`, `base.rs` | what a strategy's model supplies, and what it is built on |
//! | `tape.rs` | the trace, and the rescue thread that pokes |
//! | `tasks.rs`, `threads.rs` | run queues, and the threads of a run |
//! | `fault.rs`, `model.rs` | the faults of mutants, and the names of the models |
//!
//! A file imports only from its own row or from rows below it.
//! The models use the same wake flag, hand-off queue and stack of nested loops as the real strategies,
//! and the model of `dispatch` the same backlog; these parts are not modelled. The model of the job
//! queue is simpler than the real one: it does all jobs in one dispatch, where the real one works in
//! slices.
//!
//! A strategy's model says what polls what and when, on a GMainContext that is checked against the
//! real one. It knows nothing about programs. So either a stall or a spin of the real strategy is
//! found here too, or the model is wrong; a test compares the verdicts.

mod base;
mod dispatch;
mod fault;
mod gtk_rs;
mod guest;
mod handoff;
mod host;
mod ideal;
mod jobs;
mod model;
mod nested;
mod pipes;
mod run;
mod runtime;
mod sides;
mod tape;
mod tasks;
mod threads;
mod worker;

#[cfg(feature = "mutants")]
pub use self::fault::Fault;
pub use self::model::Model;
#[cfg(feature = "mutants")]
pub use self::run::run_mutant;
pub use self::run::{ideal, run, run_beside, run_on};
