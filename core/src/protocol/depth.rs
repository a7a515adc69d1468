//! The depth stack: which nested loops are open, and which were told to end.
//!
//! A nested loop has a name, and is told to end by that name: from any thread, in any order, more
//! than once, and perhaps before it begins.
//! GLib alone is not enough for this. `g_main_loop_quit` before `g_main_loop_run` is forgotten
//! (gmain.c 2.74.6, line 4446), because running sets the very flag that quitting clears.
//! So what was told is kept here, and the loop asks.
//! It is kept for good: a name stands for one level and is never used again, as nobody could say
//! whether a quit that comes late was meant for the level that is over or for the next.
//!
//! Levels are a stack, because the loops that run them are one: of two nested loops the inner one
//! ends first, whichever was told first.
//! What ends a running loop early is up to the host, which leaves a handle with each level.
//! The handle is given out once, to the first who tells: nobody else needs to do anything.

use std::collections::BTreeSet;

use crate::sync::{Mutex, lock};

/// The nested loops of one thread; `H` is what it takes to end one.
#[derive(Debug)]
pub struct DepthStack<H> {
    levels: Mutex<Levels<H>>,
}

#[derive(Debug)]
struct Levels<H> {
    /// Outermost first.
    open: Vec<Open<H>>,
    /// Told to end, whether they have begun or not, or are long over.
    told: BTreeSet<String>,
    next: u64,
}

#[derive(Debug)]
struct Open<H> {
    number: u64,
    name: String,
    handle: Option<H>,
}

impl<H> Default for DepthStack<H> {
    fn default() -> Self {
        Self::new()
    }
}

impl<H> DepthStack<H> {
    /// No level is open.
    pub fn new() -> Self {
        let levels = Levels { open: Vec::new(), told: BTreeSet::new(), next: 0 };
        Self { levels: Mutex::new(levels) }
    }

    /// Host side: a level begins, and is open for as long as what is returned lives.
    /// `None` when it was told to end before; then there is nothing to run.
    ///
    /// From here on a quit uses `handle`, which may be before the loop runs. So either the handle
    /// does something that lasts, or the loop asks [`Level::is_told`] before it sleeps.
    #[must_use = "a level is open for as long as this lives"]
    pub fn open(&self, name: &str, handle: H) -> Option<Level<'_, H>> {
        let mut levels = lock(&self.levels);
        if levels.told.contains(name) {
            return None;
        }
        let number = levels.next;
        levels.next += 1;
        levels.open.push(Open { number, name: name.to_owned(), handle: Some(handle) });
        drop(levels);
        Some(Level { stack: self, number, name: name.to_owned() })
    }

    /// Any thread: tells a level to end, now or when it begins.
    ///
    /// Returns the handle when the level is open and nobody was given it before: use it.
    #[must_use = "a level that is open sleeps on until its handle is used"]
    pub fn quit(&self, name: &str) -> Option<H> {
        let mut levels = lock(&self.levels);
        if !levels.told.insert(name.to_owned()) {
            return None;
        }
        levels.open.iter_mut().rev().find(|open| open.name == name)?.handle.take()
    }

    /// How many levels are open.
    pub fn depth(&self) -> usize {
        lock(&self.levels).open.len()
    }
}

/// A level that is open; dropping it closes it.
#[derive(Debug)]
pub struct Level<'a, H> {
    stack: &'a DepthStack<H>,
    number: u64,
    name: String,
}

impl<H> Level<'_, H> {
    /// Whether it was told to end.
    pub fn is_told(&self) -> bool {
        lock(&self.stack.levels).told.contains(&self.name)
    }
}

impl<H> Drop for Level<'_, H> {
    fn drop(&mut self) {
        // Itself, whoever else is open. The handle goes without the lock.
        let mut levels = lock(&self.stack.levels);
        let at = levels.open.iter().rposition(|open| open.number == self.number);
        let closed = at.map(|at| levels.open.remove(at));
        drop(levels);
        drop(closed);
    }
}
