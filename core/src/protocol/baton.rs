//! The baton: which of two threads may use the runtime's driver, the host or a thread that only
//! waits.
//!
//! It is meant for a `guest` strategy (trio's guest mode, Electron, tokio#8479); no strategy uses
//! it yet.
//! The host loop owns the thread on which everything runs. A second thread does nothing but wait in
//! the runtime's driver, where the host cannot wait because it waits in its own loop.
//! Only the thread that holds the baton may use the driver.
//!
//! ```text
//!   host                                     waiting thread
//!   ----                                     --------------
//!   begin_turn: run what is ready            wait_for_baton
//!   pass  ---------------------------------> waits in the driver
//!   sleeps in its own loop, runs nested
//!   loops, anything but a turn
//!   is rung, once <------------------------- hand_back
//!   begin_turn ...                           wait_for_baton
//! ```
//!
//! A turn that opens a nested loop keeps the baton: the nested loop finds that it cannot make a
//! turn, and that it need not stay awake for one.
//! A nested loop opened elsewhere keeps making turns.

use std::fmt;

use super::wake::WakeFlag;
use crate::sync::{Condvar, Mutex, lock};

/// The right to use the driver, held by one of two threads.
pub struct Baton {
    holder: Mutex<Holder>,
    /// Notified when the waiting thread has something to look at.
    passed: Condvar,
    /// Armed while the host sleeps.
    flag: WakeFlag,
    ring: Box<dyn Fn() + Send + Sync>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    /// The host, which can begin a turn.
    Host,
    /// The host, with a turn on its stack.
    Turn,
    /// The waiting thread.
    Waiter,
    /// No thread, for good.
    Closed,
}

impl Baton {
    /// A baton held by the host; `ring` wakes the host loop.
    pub fn new(ring: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            holder: Mutex::new(Holder::Host),
            passed: Condvar::new(),
            flag: WakeFlag::new(),
            ring: Box::new(ring),
        }
    }

    fn host_holds(&self) -> bool {
        *lock(&self.holder) == Holder::Host
    }

    /// Host side, about to sleep: `true` if a turn can be made and the host must not sleep.
    pub fn prepare(&self) -> bool {
        self.flag.arm();
        let ready = self.host_holds();
        if ready {
            self.flag.disarm();
        }
        ready
    }

    /// Host side, awake: `true` if a turn can be made.
    pub fn check(&self) -> bool {
        self.flag.disarm();
        self.host_holds()
    }

    /// Host side: begins a turn if the host holds the baton and is not already in a turn.
    #[must_use = "the turn ends when this is dropped"]
    pub fn begin_turn(&self) -> Option<Turn<'_>> {
        let mut holder = lock(&self.holder);
        if *holder != Holder::Host {
            return None;
        }
        *holder = Holder::Turn;
        Some(Turn { baton: self })
    }

    /// Host side: allows no more turns and stops the waiting thread.
    ///
    /// Returns whether that thread is in the driver or on its way there. If so, interrupt the
    /// driver in a way that lasts until the thread gets there.
    #[must_use = "a thread that waits in the driver must be interrupted"]
    pub fn close(&self) -> bool {
        let before = std::mem::replace(&mut *lock(&self.holder), Holder::Closed);
        self.passed.notify_one();
        before == Holder::Waiter
    }

    /// Waiting thread: sleeps until it gets the baton; `false` if the thread should end.
    #[must_use = "without the baton the driver must not be used"]
    pub fn wait_for_baton(&self) -> bool {
        let mut holder = lock(&self.holder);
        loop {
            match *holder {
                Holder::Waiter => return true,
                Holder::Closed => return false,
                Holder::Host | Holder::Turn => {
                    holder =
                        self.passed.wait(holder).unwrap_or_else(std::sync::PoisonError::into_inner);
                }
            }
        }
    }

    /// Waiting thread: gives the baton back, and rings the host if it sleeps.
    pub fn hand_back(&self) {
        if self.give(Holder::Waiter, Holder::Host) && self.flag.trip() {
            (self.ring)();
        }
    }

    /// Moves the baton if `from` holds it, as it does unless the baton is closed.
    fn give(&self, from: Holder, to: Holder) -> bool {
        let mut holder = lock(&self.holder);
        let given = *holder == from;
        if given {
            *holder = to;
        }
        given
    }
}

impl fmt::Debug for Baton {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Baton").field("holder", &*lock(&self.holder)).finish_non_exhaustive()
    }
}

/// A turn of the host. If it is dropped without [`pass`](Self::pass), the host keeps the baton and
/// has more to do.
#[derive(Debug)]
pub struct Turn<'a> {
    baton: &'a Baton,
}

impl Turn<'_> {
    /// Ends the turn and gives the baton to the waiting thread.
    pub fn pass(self) {
        if self.baton.give(Holder::Turn, Holder::Waiter) {
            self.baton.passed.notify_one();
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Does nothing after `pass`.
        self.baton.give(Holder::Turn, Holder::Host);
    }
}
