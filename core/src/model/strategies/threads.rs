//! The threads of a model run beside the one that GLib runs on.

use crate::model::clock::Thread;

/// The thread of the strategy's tokio.
pub(super) const TOKIO: Thread = Thread(2);

/// That of another one.
pub(super) const REMOTE: Thread = Thread(3);

/// That of the instrument that pokes.
pub(super) const RESCUE: Thread = Thread(4);
