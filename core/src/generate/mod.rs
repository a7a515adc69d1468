//! Makes programs up: for searches and for property tests.
//!
//! A named scenario asks one question that somebody already had.
//! The programs made here vary everything at once that decided the outcome in the measurements: who
//! opens the nested loop, how it is run, how deep, what is pending, at which priorities, who quits
//! it and in which order.
//!
//! ```text
//!   Sketch      plain data: levels, works, indices into short lists of choices
//!     |         (proptest makes it up, and shrinks it by leaving out and counting down)
//!     v
//!   Program     laid out in time: everything named is defined, everybody awaited is woken, every
//!               nested loop is closed, and what is due in one is due well inside it
//! ```
//!
//! Nothing is filtered away, so that shrinking never runs into a wall of programs that are not
//! valid: whatever a sketch says, `layout` makes a program of it that passes
//! [`Program::check`] and ends ideally.
//!
//! A program must also get the same verdict each time it runs on a busy machine.
//! Therefore what one actor does is at an absolute time and not after another, what is due in a
//! window is due [`classify::MARGIN`](crate::classify::MARGIN) and more before it closes, sources
//! that repeat fire a few times only, and no flood stands above the GLib sources that share the
//! program with it (there GLib itself would starve them).

mod layout;
mod sketch;

use proptest::strategy::{BoxedStrategy, Strategy as _};

use crate::program::Program;

pub use self::sketch::Size;

/// Programs that are well formed, end ideally, and shrink to few actors, few steps and short times.
pub fn programs(size: Size) -> BoxedStrategy<Program> {
    let limits = sketch::Limits::of(size);
    sketch::sketches(limits).prop_map(move |sketch| layout::layout(&sketch, &limits)).boxed()
}
