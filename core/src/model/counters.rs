//! What a context reports: counters, and what GLib would have logged.

/// What a context has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Iterations, including those of [`pending`](super::Context::pending).
    pub iterations: u64,
    /// Calls of poll.
    pub polls: u64,
    /// Polls that slept: voluntary context switches.
    pub sleeps: u64,
    /// Dispatches.
    pub dispatches: u64,
    /// Writes to the wakeup eventfd.
    pub wakeups: u64,
}

/// What GLib logs as a warning or a critical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// `block_source: assertion '!SOURCE_BLOCKED (source)' failed`: a parent is dispatched inside
    /// the dispatch of its child.
    BlockedTwice,
    /// `unblock_source: assertion 'SOURCE_BLOCKED (source)' failed`, for the same reason.
    UnblockedTwice,
    /// An iteration inside a source's `prepare` or `check`: the iteration's own prepare is refused.
    PrepareInside,
    /// The same, for the iteration's own check.
    CheckInside,
    /// A loop run inside a source's `prepare` or `check`.
    RunInside,
}
