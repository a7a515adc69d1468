//! The wake flag: wake a sleeping loop once, and never too late.
//!
//! The loop *arms* the flag, then looks for work, then sleeps.
//! A waker publishes its work, then *trips* the flag, and rings the loop only if it was armed.
//! Either the loop sees the work after arming, or the waker sees the flag armed: there is no
//! order of the two in which both miss each other.
//! Ringing costs an eventfd write and an iteration, so it is done once per sleep, not per wake.

use crate::sync::{AtomicBool, Ordering};

/// Whether a loop sleeps, or is about to, and has not been rung since.
///
/// All accesses read and modify: a plain store would be cheaper, but loom 0.7 reports false
/// deadlocks for a store that meets a swap (loom#254).
#[derive(Debug)]
pub struct WakeFlag {
    armed: AtomicBool,
}

impl Default for WakeFlag {
    fn default() -> Self {
        Self::new()
    }
}

impl WakeFlag {
    /// A flag of a loop that is awake.
    pub fn new() -> Self {
        Self { armed: AtomicBool::new(false) }
    }

    /// Loop side: from now on a wake must ring. Look for work *after* this.
    pub fn arm(&self) {
        self.armed.swap(true, Ordering::AcqRel);
    }

    /// Loop side: awake again, a wake need not ring.
    pub fn disarm(&self) {
        self.armed.swap(false, Ordering::AcqRel);
    }

    /// Waker side: `true` if the caller has to ring the loop. Publish the work *before* this.
    #[must_use = "a tripped flag that nobody rings is a lost wake-up"]
    pub fn trip(&self) -> bool {
        self.armed.swap(false, Ordering::AcqRel)
    }
}
