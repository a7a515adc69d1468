//! Generates programs, for searches and property tests.
//!
//! A named scenario asks one question that is already known.
//! Generated programs vary at once everything that decided the outcome in the measurements: which
//! actor opens the nested loop, how it is run, how deep, what is pending, at which priorities,
//! which actors quit and in which order.
//!
//! ```text
//!   Sketch      plain data: levels, works, indices into short lists of choices
//!     |         (proptest generates it, and shrinks it by removing items and lowering numbers)
//!     v
//!   Program     laid out in time: every name is defined, every wait ends, every nested loop is
//!               closed, and events due in one are due well inside it
//! ```
//!
//! Nothing is filtered out, so shrinking never gets stuck among invalid programs: `layout` turns
//! any sketch into a program that passes [`Program::check`] and ends in the ideal run.
//!
//! A program must also get the same verdict each time it runs on a busy machine.
//! So each actor acts at an absolute time and not after another actor, an event in a window is due
//! at least [`classify::MARGIN`](crate::classify::MARGIN) before the window closes, repeating
//! sources fire only a few times, and no flood has a higher priority than the other GLib sources of
//! the program (GLib itself would starve them).

mod layout;
mod sketch;

use proptest::strategy::{BoxedStrategy, Strategy as _};

use crate::program::Program;

pub use self::sketch::Size;

/// Programs that are valid, end in the ideal run, and shrink to few actors, few steps and short
/// times.
pub fn programs(size: Size) -> BoxedStrategy<Program> {
    let limits = sketch::Limits::of(size);
    sketch::sketches(limits).prop_map(move |sketch| layout::layout(&sketch, &limits)).boxed()
}
