//! How a run is measured, the same on the real loops and on the model.
//!
//! Running a program and judging it both need these numbers, and must agree on them. Those that
//! only the verdict needs are in [`classify`](mod@crate::classify).

mod poke;
mod ticks;

pub use self::poke::{OVERDUE, Owed, Wakers};
pub use self::ticks::{
    DRAIN_PAUSE, MAX_POKES, OVERDUE_TICKS, POKE_EFFECT, TICK, ticks_in, time_of,
};
