//! The baton: whose turn it is, the host's or that of a thread that only waits.
//!
//! It is there for a `guest` strategy (trio's guest mode, Electron, tokio#8479); none of the
//! strategies that ship uses it yet.
//! The host loop owns the thread on which everything runs; a second thread does nothing but wait
//! in the runtime's driver, where the host cannot wait because it waits in its own loop.
//! The driver is in the hands of one of them at a time: whoever holds the baton.
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
//! A turn that opens a nested loop keeps the baton: the nested loop finds that no turn can be made,
//! and that it need not stay awake for one.
//! A nested loop opened elsewhere goes on making turns.

use std::fmt;

use super::wake::WakeFlag;
use crate::sync::{Condvar, Mutex, lock};

/// The right to be in the driver, held by one of two threads.
pub struct Baton {
    holder: Mutex<Holder>,
    /// Told when the waiting thread has something to look at.
    passed: Condvar,
    /// Armed while the host sleeps.
    flag: WakeFlag,
    ring: Box<dyn Fn() + Send + Sync>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    /// The host, which may begin a turn.
    Host,
    /// The host, with a turn on its stack.
    Turn,
    /// The waiting thread.
    Waiter,
    /// Nobody, for good.
    Closed,
}

impl Baton {
    /// The host holds it; `ring` wakes the host loop.
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

    /// Host side, about to sleep: `true` if a turn can be made and it must not.
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

    /// Host side: begins a turn, if the host holds the baton and is not in a turn already.
    #[must_use = "the turn is over when this is dropped"]
    pub fn begin_turn(&self) -> Option<Turn<'_>> {
        let mut holder = lock(&self.holder);
        if *holder != Holder::Host {
            return None;
        }
        *holder = Holder::Turn;
        Some(Turn { baton: self })
    }

    /// Host side: no more turns. The waiting thread is told to end.
    ///
    /// Returns whether it is in the driver, or on its way there: interrupt the driver then, in a
    /// way that lasts until the thread comes by.
    #[must_use = "a thread that waits in the driver has to be interrupted"]
    pub fn close(&self) -> bool {
        let before = std::mem::replace(&mut *lock(&self.holder), Holder::Closed);
        self.passed.notify_one();
        before == Holder::Waiter
    }

    /// Waiting thread: sleeps until it is given the baton; `false` when it is to end.
    #[must_use = "without the baton the driver is not to be touched"]
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

    /// Moves the baton, unless it is elsewhere; it is only ever elsewhere when it is closed.
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

/// A turn of the host. Dropped without being passed on, it leaves the baton with the host, which
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
        // After `pass` the turn is no longer the host's, and this does nothing.
        self.baton.give(Holder::Turn, Holder::Host);
    }
}
