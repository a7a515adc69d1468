//! How a run is measured, the same beside the real loops and on the model.
//!
//! Those who run a program and the judge both need these numbers, so that each knows what the other
//! did. What only the judge needs is in [`mod@classify`](crate::classify).

mod poke;

use std::time::Duration;

pub use self::poke::{Owed, Wakers};

/// Length of an opportunity tick, the supervisor's unit of time.
pub const TICK: Duration = Duration::from_millis(10);

/// A side is overdue when it has owed something for this many opportunity ticks and has delivered
/// nothing meanwhile.
pub const OVERDUE_TICKS: u64 = 25;

/// Pokes in one run, at most.
pub const MAX_POKES: u16 = 3;

/// How long each half of a poke is given to show an effect.
pub const POKE_EFFECT: Duration = Duration::from_millis(30);

/// A nested loop that is drained by hand ([`How::Drain`](crate::program::How::Drain)) makes an
/// iteration for nothing each time it has slept this long: that is the program's doing, not the
/// strategy's.
pub const DRAIN_PAUSE: Duration = Duration::from_millis(5);

/// How many ticks end within a time, on a machine that never stands still.
pub fn ticks_in(time: Duration) -> u64 {
    (time.as_millis() / TICK.as_millis()) as u64
}

/// The time that so many ticks take, on a machine that never stands still.
pub const fn time_of(ticks: u64) -> Duration {
    Duration::from_millis(TICK.as_millis() as u64 * ticks)
}
