//! Programs on the model: the ideal run, and a model of each strategy.
//!
//! | file | what it models |
//! |---|---|
//! | `ideal.rs` | how it ought to be: says when each event of a program is due |
//! | `nested.rs`, `dispatch.rs`, `handoff.rs`, `gtk_rs.rs` | the strategies of those names |
//! | `model.rs` | the names of these strategies |
//! | `run.rs` | a whole run, from a program to its trace |
//! | `host.rs`, `sides.rs`, `pipes.rs` | [`Loops`](crate::Loops) over the model, the same for all |
//! | `guest.rs`, `base.rs` | what a strategy's model supplies, and what it is built on |
//! | `runtime.rs` | tokio on the GLib thread |
//! | `worker.rs`, `jobs.rs` | tokio on a thread of its own, and its way to the GLib thread |
//! | `tape.rs` | the trace, and the rescue thread that pokes |
//! | `tasks.rs`, `threads.rs` | run queues, and the threads of a run |
//! | `fault.rs` | what a mutant does wrong |
//!
//! A file imports those below it and never the other way round.
//!
//! A strategy's model says who polls what when, in terms of a GMainContext that is checked against
//! the real one, and nothing about programs. So a stall or a spin of the real strategy is either
//! found here too, or the model is wrong: a test compares the verdicts.

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
pub use self::run::{ideal, run, run_beside};
