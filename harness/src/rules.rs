//! Names the cause of a verdict.
//!
//! A verdict says *what* happened; a rule says why, from the evidence that the verdict came with,
//! where the same was seen before, and what to try.
//! Everything here is pure: the same judgement gets the same rule, now and when a stored run is
//! read again.
//!
//! # Order
//!
//! [`RULES`] are asked in order and the first that fires names the cause, so the order is part of
//! their meaning:
//!
//! 1. *what leaves nothing to explain*: not applicable, inconclusive;
//! 2. *what ended the process*: the message decides, the most specific first;
//! 3. *what never ends*: deadlock and livelock;
//! 4. *causes that were shown by an experiment*: a quit that ended another loop, a poke that
//!    produced what was owed, a budget that the program is made to use up;
//! 5. *causes that follow from who stands on the stack*: who opened the nested loop, and who owns
//!    the thread;
//! 6. *what only the figures tell*: starved, split, lost, busy;
//! 7. *what is no harm*: refused, a panic that was caught, progress;
//! 8. `cause-not-recognised`, which fires always.

mod catalogue;
mod evidence;
mod page;
mod why;

#[cfg(test)]
pub(crate) mod tests;

pub use catalogue::{RULES, Rule, by_name, recognise};
pub use page::page;
pub(crate) use why::limit;
pub use why::why;
