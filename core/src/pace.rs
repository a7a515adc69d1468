//! How a strategy that works in GLib's dispatches shares the loop with GTK; strategies and their
//! models have it in common.
//!
//! A dispatch does about one [`SLICE`] of work. What is left is a [`Backlog`], and goes on at the
//! priority [`LATER`], below GTK's redraws at 120 and level with idle callbacks.
//! When GLib itself is flooded at default priority it would never go on, so it is brought forward
//! once it is [`AGE`] old and [`PASSES`] iterations have passed it over. Age alone would not do: on
//! a busy machine a single iteration may take longer than that, and then GTK would be the one that
//! never runs.

use std::cell::Cell;
use std::ops::Add;
use std::time::Duration;

/// How long one dispatch may work before GLib's other sources get their turn.
pub const SLICE: Duration = Duration::from_millis(2);

/// The priority of work that did not fit (`G_PRIORITY_DEFAULT_IDLE`): below GTK's redraws.
pub const LATER: i32 = 200;

/// What is left waits at most this long, if [`PASSES`] iterations have passed it over.
pub const AGE: Duration = Duration::from_millis(10);

/// What is left waits for at least this many iterations.
pub const PASSES: u32 = 8;

/// Whether work is left, since when, and how often it was passed over.
///
/// The time is that of its user: an [`Instant`](std::time::Instant), or virtual time as a
/// [`Duration`].
#[derive(Debug)]
pub struct Backlog<T: Copy>(Cell<Option<(T, u32)>>);

impl<T: Copy> Default for Backlog<T> {
    fn default() -> Self {
        Self(Cell::new(None))
    }
}

impl<T: Copy + PartialOrd + Add<Duration, Output = T>> Backlog<T> {
    /// Says that work is left, from now on; `None` says that none is.
    pub fn set(&self, now: Option<T>) {
        self.0.set(now.map(|now| (now, 0)));
    }

    /// Whether work is left.
    pub fn is_left(&self) -> bool {
        self.0.get().is_some()
    }

    /// An iteration begins. It will not sleep, because what is left is ready in it at [`LATER`].
    pub fn pass(&self) {
        if let Some((since, passes)) = self.0.get() {
            self.0.set(Some((since, passes.saturating_add(1))));
        }
    }

    /// Whether what is left is to be brought forward. Asks for the time only if that decides.
    pub fn is_due(&self, now: impl FnOnce() -> T) -> bool {
        self.0.get().is_some_and(|(since, passes)| passes > PASSES && now() >= since + AGE)
    }
}
