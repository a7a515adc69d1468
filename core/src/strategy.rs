//! A strategy: one way to run both loops in one process.

use std::sync::Arc;

use serde::Serialize;

use crate::loops::{BoxFuture, Loops};

/// What a strategy says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct About {
    /// Kebab-case name; also the name of its file and its row in the matrix.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Where the idea comes from.
    pub ancestry: &'static str,
    /// Who owns the thread.
    pub owner: Owner,
    /// How many threads it adds.
    pub extra_threads: &'static str,
    /// Whether the application's tasks must be `Send`.
    pub needs_send: bool,
    /// Operating systems it runs on.
    pub platforms: &'static str,
    /// What it cannot do, a sentence each.
    pub limits: &'static [&'static str],
    /// Whether this is a control: a planted fault with a known verdict, which tests the harness.
    pub control: bool,
}

/// Which side owns the thread: the side whose wait the thread sleeps in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// The async runtime; GLib is run inside its wait.
    Async,
    /// GLib's main loop; the runtime is one of its sources.
    Glib,
    /// Each has its own thread.
    Both,
}

/// The work of a run: called once on the host thread, when both loops are ready but not yet
/// running. It returns the root future.
pub type Start = Box<dyn FnOnce(Arc<dyn Loops>) -> BoxFuture + Send>;

/// Why a run could not begin or continue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Something could not be set up.
    #[error("cannot set up {what}: {source}")]
    SetUp {
        /// What could not be set up.
        what: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// One way of running GLib and an async runtime together.
///
/// To plug in your own, implement this and [`Loops`]; `harness/examples/own_strategy.rs` is a
/// complete example.
pub trait Strategy: Send + Sync {
    /// What it says about itself.
    fn about(&self) -> About;

    /// Runs the root future to completion, with both loops running.
    ///
    /// Called once, on the main thread of a process that does nothing else.
    /// The GLib context is the default one.
    ///
    /// # Errors
    /// If the loops cannot be set up; never because of what the program does.
    fn run(&self, start: Start) -> Result<(), RunError>;
}
