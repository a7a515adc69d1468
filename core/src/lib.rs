//! The vocabulary and the algorithms of loopnest.
//!
//! Nothing in this crate calls a C library or an async runtime, so that everything here can be
//! model-checked, run in virtual time, and read without knowing GLib.
//!
//! | module | what it holds |
//! |---|---|
//! | [`program`] | a scenario as data: actors with steps |
//! | [`script`] | a program as people read it |
//! | [`loops`], [`strategy`] | the two traits a strategy implements |
//! | [`interp`] | runs a program over any [`loops::Loops`] |
//! | [`trace`] | what happened |
//! | [`verdict`], [`mod@classify`] | what it means: a pure function of program, ideal and real trace |
//! | [`model`] | GMainContext as an executable specification, in virtual time; on it the ideal run, which says when each event of a program is due, and a model of each strategy |
//! | `generate` | programs made up, for searches (feature `generate`) |
//! | [`executor`] | the re-entrant run queue |
//! | [`protocol`] | what crosses threads: wake flag, hand-off queue, depth stack, baton |
//! | [`sync`] | `std` or loom, behind a private cfg |

pub mod classify;
pub mod executor;
#[cfg(feature = "generate")]
pub mod generate;
pub mod interp;
pub mod loops;
pub mod model;
pub mod pace;
pub mod program;
pub mod protocol;
pub mod script;
pub mod signal;
pub mod strategy;
pub mod sync;
pub mod trace;
pub mod verdict;

pub use classify::classify;
pub use loops::Loops;
pub use program::Program;
pub use strategy::Strategy;
pub use trace::Trace;
pub use verdict::{Judgement, Word};
