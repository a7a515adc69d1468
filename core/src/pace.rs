//! How a strategy that works in GLib's dispatches shares the loop with GTK. Strategies and their
//! models both use this.
//!
//! A dispatch does about one [`SLICE`] of work. What is left is a [`Backlog`], and continues at the
//! priority [`LATER`], below GTK's redraws at 120 and level with idle callbacks.
//! If GLib itself is flooded at default priority, the backlog would never get a dispatch. So it is
//! brought forward once it is [`AGE`] old and [`PASSES`] iterations have passed it over. Age alone
//! is not enough: on a busy machine a single iteration can take longer than that, and then GTK
//! would never run.

use std::cell::Cell;
use std::ops::Add;
use std::time::Duration;

/// How long one dispatch may work before it lets GLib's other sources run.
pub const SLICE: Duration = Duration::from_millis(2);

/// The priority of work that did not fit (`G_PRIORITY_DEFAULT_IDLE`): below GTK's redraws.
pub const LATER: i32 = 200;

/// What is left waits this long before it is brought forward, and longer if fewer than [`PASSES`]
/// iterations have passed it over.
pub const AGE: Duration = Duration::from_millis(10);

/// What is left waits for at least this many iterations before it is brought forward.
pub const PASSES: u32 = 8;

/// How many tasks of its own queue tokio polls before it asks whether to go on, where a strategy makes
/// it work in slices. tokio's default is [`TOKIO_POLLS`], and if each task computes for as long as a
/// slice, GTK would not redraw for 61 slices.
pub const POLLS: u32 = 8;

/// How many tasks tokio polls by default before it looks at its descriptors.
pub const TOKIO_POLLS: u32 = 61;

/// Whether work is left, since when, and how often it was passed over.
///
/// `T` is the user's time: an [`Instant`](std::time::Instant), or virtual time as a [`Duration`].
#[derive(Debug)]
pub struct Backlog<T: Copy>(Cell<Option<(T, u32)>>);

impl<T: Copy> Default for Backlog<T> {
    fn default() -> Self {
        Self(Cell::new(None))
    }
}

impl<T: Copy + PartialOrd + Add<Duration, Output = T>> Backlog<T> {
    /// Notes that work is left since `now`; `None` notes that none is left.
    pub fn set(&self, now: Option<T>) {
        self.0.set(now.map(|now| (now, 0)));
    }

    /// Whether work is left.
    pub fn is_left(&self) -> bool {
        self.0.get().is_some()
    }

    /// Call this when an iteration begins. The iteration does not sleep if work is left, because
    /// that work is ready at [`LATER`].
    pub fn pass(&self) {
        if let Some((since, passes)) = self.0.get() {
            self.0.set(Some((since, passes.saturating_add(1))));
        }
    }

    /// Whether to bring the work forward. Asks for the time only if the answer depends on it.
    pub fn is_due(&self, now: impl FnOnce() -> T) -> bool {
        self.0.get().is_some_and(|(since, passes)| passes > PASSES && now() >= since + AGE)
    }

    /// The `prepare` of the source that works at default priority: whether it is ready. It is if
    /// something is `due`, or if no work is left over and there is new work.
    ///
    /// `has_work` arms a wake flag, so it is asked last: GLib does not call `check` for a source
    /// that is ready already, and the flag would stay armed.
    pub fn prepare(&self, due: bool, has_work: impl FnOnce() -> bool) -> bool {
        due || (!self.is_left() && has_work())
    }
}
