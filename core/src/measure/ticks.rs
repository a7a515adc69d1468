//! The units of measuring: ticks, and how long a poke takes.

use std::time::Duration;

/// Length of an opportunity tick, the supervisor's unit of time.
pub const TICK: Duration = Duration::from_millis(10);

/// A side is overdue if it has owed something for this many opportunity ticks and has delivered
/// nothing meanwhile.
pub const OVERDUE_TICKS: u64 = 25;

/// The most pokes in one run.
pub const MAX_POKES: u16 = 3;

/// How long each half of a poke gets to show an effect.
pub const POKE_EFFECT: Duration = Duration::from_millis(30);

/// A drained nested loop ([`How::Drain`](crate::program::How::Drain)) makes an iteration for
/// nothing each time it has slept this long. The program causes these iterations, not the strategy.
pub const DRAIN_PAUSE: Duration = Duration::from_millis(5);

/// How many ticks fit into a time, on a machine that never stands still.
pub fn ticks_in(time: Duration) -> u64 {
    (time.as_millis() / TICK.as_millis()) as u64
}

/// The time that this many ticks take, on a machine that never stands still.
pub const fn time_of(ticks: u64) -> Duration {
    Duration::from_millis(TICK.as_millis() as u64 * ticks)
}
