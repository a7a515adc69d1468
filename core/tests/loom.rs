//! The protocols between threads, in every order of their steps that loom can find.
//!
//! Each promise of a protocol is a *model*: a few threads, most of them small loops that sleep
//! until they are rung, and a condition that must hold at the end.
//! A lost wake-up is a deadlock, which loom reports. To find loops that iterate for nothing, models
//! count iterations, because loom does not notice a spin that sleeps in between.
//!
//! Every protocol has *mutants*, the same protocol broken in one place, for which the same models
//! must fail: a model that never failed proves nothing.
//! A mutant passes when it is caught, and prints the order of steps that caught it.
//!
//! | file | what it holds |
//! |---|---|
//! | `search` | one search of one model, in its own process |
//! | `runner` | starts the searches, prints what they found |
//! | `host` | the parts of a model loop, and the models that all work queues share |
//! | `flag`, `queue`, `executor`, `depth`, `baton` | the protocols and their mutants |
//!
//! ```text
//! cargo xtask loom                              # deep, all models
//! cargo xtask loom --quick                      # as in CI
//! cargo xtask loom --preemptions 5 --model depth
//! ```

#[cfg(loopnest_loom)]
#[path = "loom/baton.rs"]
mod baton;
#[cfg(loopnest_loom)]
#[path = "loom/depth.rs"]
mod depth;
#[cfg(loopnest_loom)]
#[path = "loom/executor.rs"]
mod executor;
#[cfg(loopnest_loom)]
#[path = "loom/flag.rs"]
mod flag;
#[cfg(loopnest_loom)]
#[path = "loom/host.rs"]
mod host;
#[cfg(loopnest_loom)]
#[path = "loom/queue.rs"]
mod queue;
#[cfg(loopnest_loom)]
#[path = "loom/runner.rs"]
mod runner;
#[cfg(loopnest_loom)]
#[path = "loom/search.rs"]
mod search;

#[cfg(loopnest_loom)]
fn main() {
    runner::run(&[flag::MODELS, queue::MODELS, executor::MODELS, depth::MODELS, baton::MODELS]);
}

/// Without loom there is nothing to run.
#[cfg(not(loopnest_loom))]
fn main() {}
