//! Names the cause of a verdict.
//!
//! A verdict says *what* happened. A rule says why, from the evidence behind the verdict, where the
//! same was seen before, and what to try.
//! Everything here is pure: the same judgement gets the same rule, even when a stored run is read
//! again.
//!
//! # Order
//!
//! [`RULES`] are tried in order and the first that fires names the cause, so the order is part of
//! their meaning:
//!
//! 1. *what leaves nothing to explain*: not applicable, inconclusive;
//! 2. *what ended the process*: the message decides, the most specific first;
//! 3. *what never ends*: deadlock and livelock;
//! 4. *causes that an experiment showed*: a quit that ended another loop, a poke that
//!    produced what was owed, a budget that the program is designed to use up;
//! 5. *causes that follow from what is on the stack*: what opened the nested loop, and what owns
//!    the thread;
//! 6. *what only the figures show*: starved, split, lost, busy;
//! 7. *what is harmless*: refused, a panic that was caught, progress;
//! 8. `cause-not-recognised`, which always fires.

mod catalogue;
mod evidence;
mod page;
mod why;

#[cfg(test)]
pub(crate) mod tests;

pub use catalogue::{RULES, Rule, by_name, recognise};
pub use page::page;
pub use why::{why, why_so_far};
