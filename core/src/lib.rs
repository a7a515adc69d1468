//! The vocabulary and the algorithms of loopnest.
//!
//! Nothing in this crate calls a C library or an async runtime, so that everything here can be
//! model-checked, run in virtual time, and read without knowing GLib.
//!
//! What strategies are made of, and all that an application takes:
//!
//! | module | what it holds |
//! |---|---|
//! | [`executor`] | the re-entrant run queue |
//! | [`protocol`] | what crosses threads: wake flag, hand-off queue |
//! | [`pace`] | how strategies share the loop with GTK |
//! | [`signal`] | set once, awaited by any number of tasks |
//! | [`sync`] | `std` or loom, behind a private cfg |
//!
//! The laboratory, behind the feature `lab`:
//!
//! | module | what it holds |
//! |---|---|
//! | `program`, `script` | a scenario as data, and as people read it |
//! | `loops`, `strategy` | the two traits a strategy implements |
//! | `interp` | runs a program over any `Loops` |
//! | `trace` | what happened |
//! | `measure` | how a run is measured: ticks, and the poke when something is overdue |
//! | `verdict`, `classify` | what it means: a pure function of program, ideal and real trace |
//! | `model` | GMainContext as an executable specification, in virtual time; on it the ideal run, which says when each event of a program is due, and a model of each strategy |
//! | `generate` | programs made up, for searches (feature `generate`) |
//! | `protocol::depth`, `protocol::baton` | nested loops by name; whose turn it is, the host's or a waiting thread's |

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
