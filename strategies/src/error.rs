//! What can go wrong: setting a strategy up, and calls to the GLib thread.

use std::io;

use loopnest_core::executor::Panic;

/// Why a strategy could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The system gives no descriptors or no thread.
    #[error("tokio cannot start: the system gives no descriptors or no thread")]
    Runtime(#[from] io::Error),
    /// tokio's waits do not reach this crate: it was linked into a library that is loaded at run
    /// time, where libc's `epoll_wait` comes first. See *Linking* in the crate's documentation.
    #[error(
        "tokio's waits do not reach this crate: link it into the program itself, not into a \
         library that is loaded at run time, or take Handoff, which does not need them"
    )]
    NotReached,
    /// This version of tokio does not wait by `epoll_wait`.
    #[error("this version of tokio does not wait by epoll_wait; take Handoff, which does not care")]
    NoEpoll,
}

/// Why a call to the GLib thread, or a GAsyncResult call, has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The GLib side was dropped before there was a result, or gave the call up.
    #[error("the GLib side is gone")]
    Gone,
    /// The thread does not own its context: another one does, or nobody. Only
    /// [`gasync::call`](crate::gasync::call) says this.
    #[error("this thread does not own its GLib context; use GlibHandle::gasync")]
    NotOwner,
    /// The closure panicked on the GLib thread. What it may have started is cancelled.
    #[error("the closure panicked on the GLib thread")]
    Panicked(Panic),
}
