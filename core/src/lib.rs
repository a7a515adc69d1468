//! The building blocks of loopnest's strategies, and the tools that test them.
//!
//! Nothing in this crate calls a C library or an async runtime, so everything here can be
//! model-checked, run in virtual time, and read without knowing GLib.
//! `ARCHITECTURE.md` says what its words mean.
//!
//! The building blocks, which is all that an application gets:
//!
//! | module | what it holds |
//! |---|---|
//! | [`executor`] | the re-entrant run queue |
//! | [`protocol`] | communication between threads: wake flag, hand-off queue |
//! | [`pace`] | how strategies share the loop with GTK |
//! | [`panics`] | caught panics, and destructors and wakers that may panic |
//! | [`signal`] | a signal that is set once and awaited by any number of tasks |
//! | [`sync`] | `std` or loom, behind a private cfg |
//!
//! The laboratory, behind the feature `lab`:
//!
//! | module | what it holds |
//! |---|---|
//! | `program`, `script` | a scenario as data, and as readable text |
//! | `loops`, `strategy` | the two traits that a strategy implements |
//! | `interp` | runs a program over any `Loops` |
//! | `trace` | what happened in a run |
//! | `measure` | how a run is measured: ticks, and the poke when something is overdue |
//! | `verdict`, `classify` | the verdict, and the pure function that computes it from a program, its ideal trace and a real trace |
//! | `model` | GMainContext as an executable specification, in virtual time; on top of it the ideal run, which says when each event of a program is due, and a model of each strategy |
//! | `generate` | generated programs, for searches (feature `generate`) |
//! | `protocol::depth`, `protocol::baton` | nested loops by name; whether the host or a waiting thread drives the runtime |

#[cfg(feature = "lab")]
pub mod classify;
pub mod executor;
#[cfg(feature = "generate")]
pub mod generate;
#[cfg(feature = "lab")]
pub mod interp;
#[cfg(feature = "lab")]
pub mod loops;
#[cfg(feature = "lab")]
pub mod measure;
#[cfg(feature = "lab")]
pub mod model;
pub mod pace;
pub mod panics;
#[cfg(feature = "lab")]
pub mod program;
pub mod protocol;
#[cfg(feature = "lab")]
pub mod script;
pub mod signal;
#[cfg(feature = "lab")]
pub mod strategy;
pub mod sync;
#[cfg(feature = "lab")]
pub mod trace;
#[cfg(feature = "lab")]
pub mod verdict;

#[cfg(feature = "lab")]
pub use {
    classify::classify,
    loops::Loops,
    program::Program,
    strategy::Strategy,
    trace::Trace,
    verdict::{Judgement, Word},
};
