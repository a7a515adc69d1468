//! The wake flag: wake a sleeping loop once, and never too late.
//!
//! The loop *arms* the flag, then looks for work, then sleeps.
//! A waker publishes its work, then *trips* the flag, and rings the loop only if it was armed.
//! Either the loop sees the work after arming, or the waker sees the flag armed; in no order do
//! both miss each other.
//! Ringing costs an eventfd write and an iteration, so it happens once per sleep, not per wake.

use crate::sync::{AtomicBool, Ordering};

/// Whether a loop is asleep or about to sleep, and has not been rung since.
///
/// All accesses are read-modify-write. A plain store would be cheaper, but loom 0.7 reports false
/// deadlocks when a store races with a swap (loom#254).
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
    /// The flag of a loop that is awake.
    pub fn new() -> Self {
        Self { armed: AtomicBool::new(false) }
    }

    /// Loop side: from now on a wake must ring. Look for work *after* this.
    pub fn arm(&self) {
        self.armed.swap(true, Ordering::AcqRel);
    }

    /// Loop side: it is awake again, and a wake need not ring.
    pub fn disarm(&self) {
        self.armed.swap(false, Ordering::AcqRel);
    }

    /// Loop side, before it sleeps: [arms](Self::arm) the flag and then looks for work. `true` if
    /// there is some; then the loop stays awake and the flag is disarmed.
    pub fn look_before_sleep(&self, has_work: impl FnOnce() -> bool) -> bool {
        self.arm();
        let has_work = has_work();
        if has_work {
            self.disarm();
        }
        has_work
    }

    /// Waker side: `true` if the caller has to ring the loop. Publish the work *before* this.
    #[must_use = "a wake-up is lost if the caller does not ring"]
    pub fn trip(&self) -> bool {
        self.armed.swap(false, Ordering::AcqRel)
    }
}
