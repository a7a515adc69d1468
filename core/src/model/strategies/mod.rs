//! Programs on the model: the ideal run, and a model of each strategy.
//!
//! | file | what it models |
//! |---|---|
//! | `run.rs` | a whole run, from a program to its trace |
//! | `ideal.rs` | how it ought to be: says when each event of a program is due |
//! | `nested.rs`, `dispatch.rs`, `handoff.rs`, `gtk_rs.rs` | the strategies of those names |
//! | `host.rs`, `pipes.rs`, `sides.rs` | [`Loops`](crate::Loops) over the model, the same for all |
//! | `runtime.rs` | tokio on the GLib thread |
//! | `worker.rs`, `jobs.rs` | tokio on a thread of its own, and its way to the GLib thread |
//! | `guest.rs`, `base.rs` | what a strategy's model supplies, and what it is built on |
//! | `tape.rs` | the trace, and the rescue thread that pokes |
//! | `tasks.rs`, `threads.rs` | run queues, and the threads of a run |
//! | `fault.rs`, `model.rs` | what a mutant does wrong, and the names of the models |
//!
//! A file imports only what is in its own row or in those below it.
//! What `dispatch` and `handoff` share with their models is not modelled but used: the backlog, the
//! wake flag, the hand-off queue, the stack of nested loops.
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
