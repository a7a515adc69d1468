//! Another tokio runtime, on a thread of its own: where tasks of [`Home::Remote`] live.
//!
//! It knows nothing about the strategy. A program has such a runtime if a library starts its own,
//! or if it began with `#[tokio::main]` and GLib came later.
//!
//! [`Home::Remote`]: loopnest_core::loops::Home::Remote

use std::io;

use loopnest_core::loops::{BoxFuture, Canceller};
use tokio::runtime::{Builder, Runtime};

/// A runtime with one worker thread. Dropping it, anywhere, drops its tasks and waits for nothing.
///
/// Its tasks may indirectly own its owner. In that case it is dropped only after they have ended or
/// were cancelled, like the runtime of a library.
#[derive(Debug)]
pub(super) struct Remote(Option<Runtime>);

impl Remote {
    pub(super) fn new() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("remote").enable_all().build().map(Some).map(Self)
    }

    pub(super) fn spawn(&self, task: BoxFuture) -> Canceller {
        let task = self.0.as_ref().map(|runtime| runtime.spawn(task));
        Box::new(move || task.iter().for_each(|task| task.abort()))
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // The last owner may be one of its own tasks, and then it cannot wait for them.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
