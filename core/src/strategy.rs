//! A way of running both loops in one process.

use std::sync::Arc;

use serde::Serialize;

use crate::loops::{BoxFuture, Loops};

/// What a strategy says of itself.
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
    /// A planted subject whose verdict is known, kept to test the harness.
    pub control: bool,
}

/// Who owns the thread: whose wait the thread sleeps in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// The async runtime; GLib is run inside its wait.
    Async,
    /// GLib's main loop; the runtime is a source of it.
    Glib,
    /// Each has its own thread.
    Both,
}

/// What a run is to do: called once on the host thread with both loops ready but not yet
/// running; the future it returns is the root.
pub type Start = Box<dyn FnOnce(Arc<dyn Loops>) -> BoxFuture + Send>;

/// Why a run could not begin or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Something could not be set up.
    #[error("cannot set up {what}: {source}")]
    SetUp {
        /// What was to be set up.
        what: &'static str,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// One way of running GLib and an async runtime together.
///
/// Plug your own in by implementing this and [`Loops`]; `harness/examples/own_strategy.rs` shows
/// the whole of it.
pub trait Strategy: Send + Sync {
    /// What it says of itself.
    fn about(&self) -> About;

    /// Runs the root future to completion with both loops alive.
    ///
    /// Called on the main thread of a process that does nothing else, once.
    /// The GLib context is the default one.
    ///
    /// # Errors
    /// When the loops cannot be set up; never for what the program does.
    fn run(&self, start: Start) -> Result<(), RunError>;
}
