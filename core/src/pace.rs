//! How a strategy that works in GLib's dispatches shares the loop with GTK: four numbers, which the
//! strategies and their models have in common.

use std::time::Duration;

/// How long one dispatch may work before GLib's other sources get their turn.
pub const SLICE: Duration = Duration::from_millis(2);

/// The priority of work that did not fit (`G_PRIORITY_DEFAULT_IDLE`): below GTK's redraws.
pub const LATER: i32 = 200;

/// What is left waits at most this long, if [`PASSES`] iterations have passed it over.
pub const AGE: Duration = Duration::from_millis(10);

/// What is left waits for at least this many iterations.
pub const PASSES: u32 = 8;
