//! The errors of setting up a strategy, and of calls to the GLib thread.

use std::io;

use loopnest_core::executor::Panic;

/// Why a strategy could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Another thread owns the context at this moment. What is attached to a context belongs to the
    /// thread that runs it.
    #[error("another thread runs this context; set the strategy up on that thread")]
    NotOwner,
    /// The caller is inside the `block_on` of a current-thread runtime, or of a `LocalSet` inside a
    /// `block_on`, where tokio runs no other runtime.
    #[error(
        "tokio runs no runtime inside another one's block_on; set the strategy up before it, or \
         inside a multi-threaded runtime with the feature rt-multi-thread"
    )]
    Held,
    /// The system is out of file descriptors or threads.
    #[error("cannot start tokio")]
    Runtime(#[source] io::Error),
    /// tokio's waits do not reach this crate: it was linked into a library that is loaded at run
    /// time, where libc's `epoll_wait` comes first. See *Linking* in the crate's documentation.
    #[error(
        "tokio's waits do not reach this crate: link it into the program itself, not into a \
         library that is loaded at run time, or use Handoff, which does not need them"
    )]
    NotReached,
    /// This version of tokio does not call `epoll_wait`.
    #[error("this version of tokio does not call epoll_wait; use Handoff, which does not need it")]
    NoEpoll,
}

/// Why a call to the GLib thread, or a GAsyncResult call, gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The GLib side was dropped before there was a result, or dropped the call.
    #[error("the GLib side is gone")]
    Gone,
    /// The thread does not own its context: another thread does, or none. Only
    /// [`gasync::call`](crate::gasync::call) returns this.
    #[error("this thread does not own its GLib context; use GlibHandle::gasync")]
    NotOwner,
    /// The closure panicked on the GLib thread. In
    /// [`GlibHandle::gasync`](crate::GlibHandle::gasync) this also cancels the call that it may
    /// have started.
    #[error("the closure panicked on the GLib thread")]
    Panicked(Panic),
}
