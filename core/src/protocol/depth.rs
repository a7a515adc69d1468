//! The depth stack: which nested loops are open, and which were quit.
//!
//! A nested loop has a name, and is quit by that name: from any thread, in any order, more than
//! once, and perhaps before it begins.
//! GLib alone is not enough for this. `g_main_loop_quit` before `g_main_loop_run` is forgotten
//! (gmain.c 2.74.6, line 4446), because running sets the very flag that quitting clears.
//! So quits are kept here, and the loop asks.
//! They are kept for good. A name is used for one level only, because otherwise a late quit could
//! be meant for the old level or for the new one.
//!
//! Levels form a stack, because the loops that run them do: of two nested loops the inner one ends
//! first, whichever was quit first.
//! The host decides how to end a running loop early, and leaves a handle for that with each level.
//! The handle goes to the first caller of `quit`; later callers have nothing to do.

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
    /// All that were quit: open, not yet begun, or long over.
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
    /// A stack with no open level.
    pub fn new() -> Self {
        let levels = Levels { open: Vec::new(), told: BTreeSet::new(), next: 0 };
        Self { levels: Mutex::new(levels) }
    }

    /// Host side: begins a level, which is open for as long as the returned value lives.
    /// `None` if it was already quit; then there is nothing to run.
    ///
    /// From here on a quit returns `handle`, perhaps before the loop runs. So either the handle has
    /// a lasting effect, or the loop asks [`Level::is_told`] before it sleeps.
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

    /// Any thread: quits a level, now or when it begins.
    ///
    /// Returns the handle if the level is open and no earlier call returned it. Use it to end the
    /// loop.
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
    /// Whether it was quit.
    pub fn is_told(&self) -> bool {
        lock(&self.stack.levels).told.contains(&self.name)
    }
}

impl<H> Drop for Level<'_, H> {
    fn drop(&mut self) {
        // By number, because it need not be the innermost. The handle is dropped without the lock.
        let mut levels = lock(&self.stack.levels);
        let at = levels.open.iter().rposition(|open| open.number == self.number);
        let closed = at.map(|at| levels.open.remove(at));
        drop(levels);
        drop(closed);
    }
}
