//! Whether GLib is asking a source, in a `prepare` or a `check`: then it is in the middle of its list of
//! sources, and some calls would break that.

use std::cell::Cell;

thread_local! {
    /// How many `prepare` and `check` calls are on the stack.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

/// Notes that a `prepare` or a `check` is on the stack.
pub(super) struct Asking;

impl Asking {
    pub(super) fn new() -> Self {
        let _ = ASKED.try_with(|n| n.set(n.get() + 1));
        Self
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let _ = ASKED.try_with(|n| n.set(n.get() - 1));
    }
}

/// Panics inside a `prepare` or a `check`, where GLib is in the middle of its list of sources.
pub(super) fn assert_nobody_is_asked(what: &str) {
    let n = ASKED.try_with(Cell::get).unwrap_or(0);
    assert_eq!(n, 0, "{what} inside a prepare or a check");
}
