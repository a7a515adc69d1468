//! The protocols that cross threads, in every order of their steps that loom can find.
//!
//! Every promise has a mutant, a protocol broken in one place, in which the same model must see
//! the promise broken: a model that was never seen to fail proves nothing.
//!
//! A model that is to fail does not panic, because loom turns a panic into an abort of the whole
//! test binary: it says what it saw.
//! The models of what ships may also fail by a deadlock, which is what a lost wake-up is.
//!
//! ```text
//! RUSTFLAGS="--cfg loopnest_loom" LOOM_MAX_PREEMPTIONS=3 \
//!     cargo test --release -p loopnest-core --test loom --target-dir target/loom
//! ```
#![cfg(loopnest_loom)]

#[path = "loom/executor.rs"]
mod executor;
#[path = "loom/flag.rs"]
mod flag;
#[path = "loom/host.rs"]
mod host;
#[path = "loom/queue.rs"]
mod queue;
