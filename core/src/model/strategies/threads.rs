//! The threads of a model run, besides the GLib thread.

use crate::model::clock::Thread;

/// The thread of the strategy's tokio.
pub(super) const TOKIO: Thread = Thread(2);

/// The thread of another tokio.
pub(super) const REMOTE: Thread = Thread(3);

/// The thread that pokes.
pub(super) const RESCUE: Thread = Thread(4);
