//! Sources: the callbacks that a user gives to a context, and the handle to the source.

use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::clock::micros;
use super::context::Context;
use super::fd::{Events, Fd};
use super::state::{Key, NONE};

/// What `prepare` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prepare {
    /// Ready to be dispatched; the loop need not sleep.
    Ready,
    /// Not ready; ask again after this time at the latest. Rounded up to milliseconds in every
    /// version of GLib, because the function's signature has an `int`.
    Wait(Option<Duration>),
}

/// `GSourceFuncs`: called with no lock held, and with `&self` because a source that can recurse is
/// dispatched again while its own dispatch is on the stack.
pub trait Callbacks: Send + Sync {
    /// Called before the loop sleeps.
    fn prepare(&self, this: &Source) -> Prepare {
        let _ = this;
        Prepare::Wait(None)
    }

    /// Called after the loop has slept: is the source ready?
    fn check(&self, this: &Source) -> bool {
        let _ = this;
        false
    }

    /// Does the work; `Break` destroys the source.
    fn dispatch(&self, this: &Source) -> ControlFlow<()>;

    /// Whether `prepare` and `check` need to be called. `false` is like `NULL` functions, which
    /// GLib's timeouts and descriptor sources have. Called once, when the source is created.
    fn asks(&self) -> bool {
        true
    }
}

/// A handle to a source of one context; keeps nothing alive.
///
/// Once the source is destroyed and its context has let go of it, everything here does nothing.
#[derive(Clone)]
pub struct Source {
    pub(super) context: Context,
    pub(super) key: Key,
}

/// Identifies a descriptor that a source or a context polls. Other sources and contexts treat it
/// like one that was removed: they do nothing and find nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdTag {
    pub(super) index: u32,
    pub(super) serial: u64,
}

impl Source {
    /// Its context.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Attaches it and returns its id.
    ///
    /// # Panics
    /// If it is already attached, was destroyed, or is a child, which is attached with its parent.
    pub fn attach(&self) -> u32 {
        let thread = self.context.clock().thread();
        let mut state = self.context.state();
        let slot = state.find(self.key).filter(|&i| {
            let slot = state.slot(i);
            !slot.attached && !slot.destroyed && slot.parent == NONE
        });
        let slot = slot.expect("a source is attached once, before it is destroyed, not as a child");
        state.attach(slot, true, thread)
    }

    /// Removes it and its children from the context; its callbacks are not called again.
    pub fn destroy(&self) {
        self.context.change(|state| {
            if let Some(i) = state.find(self.key) {
                state.destroy(i);
            }
        });
    }

    /// Whether it was destroyed.
    pub fn is_destroyed(&self) -> bool {
        let state = self.context.state();
        state.find(self.key).is_none_or(|i| state.slot(i).destroyed)
    }

    /// Whether it is blocked because it, or an ancestor, is being dispatched.
    pub fn is_blocked(&self) -> bool {
        let state = self.context.state();
        state.find(self.key).is_some_and(|i| state.slot(i).blocked)
    }

    /// Its id, if it was attached and the context still has it.
    pub fn id(&self) -> Option<u32> {
        let state = self.context.state();
        state.find(self.key).map(|i| state.slot(i).id).filter(|&id| id != 0)
    }

    /// Its name.
    pub fn name(&self) -> Cow<'static, str> {
        let state = self.context.state();
        state.find(self.key).map_or(Cow::Borrowed("(gone)"), |i| state.slot(i).name.clone())
    }

    /// Sets the priority of it and its children; lower numbers go first. It becomes the last source
    /// of its new priority (gmain.c:1910).
    ///
    /// # Panics
    /// If it is a child and its parent has another priority.
    pub fn set_priority(&self, priority: i32) {
        let mut state = self.context.state();
        if let Some(i) = state.find(self.key) {
            let parent = state.slot(i).parent;
            assert!(
                parent == NONE || state.slot(parent).priority == priority,
                "a child has its parent's priority"
            );
            state.set_priority(i, priority);
        }
    }

    /// Its priority.
    pub fn priority(&self) -> i32 {
        let state = self.context.state();
        state.find(self.key).map_or(0, |i| state.slot(i).priority)
    }

    /// Sets whether it can be dispatched again while its own dispatch runs.
    pub fn set_can_recurse(&self, can: bool) {
        let mut state = self.context.state();
        if let Some(i) = state.find(self.key) {
            state.slot_mut(i).can_recurse = can;
        }
    }

    /// Whether it can be dispatched again while its own dispatch runs.
    pub fn can_recurse(&self) -> bool {
        let state = self.context.state();
        state.find(self.key).is_some_and(|i| state.slot(i).can_recurse)
    }

    /// Makes it ready from a time on, counted like [`Clock::now`](super::Clock::now); `None` means
    /// never. A change wakes the context unless the source is blocked (gmain.c:2031). A dispatch
    /// does not reset it.
    pub fn set_ready_time(&self, at: Option<Duration>) {
        self.set_ready_micros(at.map(micros));
    }

    pub(super) fn set_ready_micros(&self, at: Option<u64>) {
        let mut state = self.context.state();
        let Some(i) = state.find(self.key) else { return };
        let slot = state.slot_mut(i);
        if slot.ready_time == at {
            return;
        }
        slot.ready_time = at;
        if slot.attached && !slot.blocked {
            state.wake();
        }
    }

    /// When it becomes ready by itself.
    pub fn ready_time(&self) -> Option<Duration> {
        let state = self.context.state();
        let i = state.find(self.key)?;
        state.slot(i).ready_time.map(Duration::from_micros)
    }

    /// `g_source_get_time`: read once per iteration, when it is first asked for.
    pub fn time(&self) -> Duration {
        Duration::from_micros(self.time_micros())
    }

    pub(super) fn time_micros(&self) -> u64 {
        let now = self.context.clock().micros();
        self.context.state().time(now)
    }

    /// Makes `child` a child of this source: it gets this source's priority, makes this source
    /// ready when it is ready, and is blocked and destroyed with it.
    ///
    /// # Panics
    /// If the child is already attached or has a parent, belongs to another context, or is an
    /// ancestor, or if either was destroyed. GLib logs a critical instead. It does not check for
    /// the ancestor, and recurses until the stack overflows.
    pub fn add_child(&self, child: &Source) {
        let thread = self.context.clock().thread();
        let mut state = self.context.state();
        let parent = state.find(self.key).filter(|&i| !state.slot(i).destroyed);
        let ours = child.context == self.context;
        let child = state.find(child.key).filter(|&i| {
            let child = state.slot(i);
            ours && !child.destroyed && !child.attached && child.parent == NONE
        });
        let both = parent.zip(child).filter(|&(parent, child)| !state.descends(parent, child));
        let (parent, child) = both.expect("a new child, of its context, of a source that lives");
        state.add_child(parent, child, thread);
    }

    /// Removes a child and destroys it, unless either was destroyed. GLib can do this only with
    /// sources in a context: otherwise it drops a reference that was never taken, and dereferences
    /// a null context.
    pub fn remove_child(&self, child: &Source) {
        self.context.change(|state| {
            if child.context == self.context
                && let (Some(parent), Some(child)) = (state.find(self.key), state.find(child.key))
                && state.slot(child).parent == parent
                && !state.slot(parent).destroyed
                && !state.slot(child).destroyed
            {
                state.remove_child(child);
            }
        });
    }

    /// Watches a descriptor; while it is ready, so is the source (`g_source_add_unix_fd`).
    pub fn add_unix_fd(&self, fd: &Fd, events: Events) -> FdTag {
        self.add_fd(fd, events, true)
    }

    /// Watches a descriptor for `check` to look at; it makes nothing ready by itself
    /// (`g_source_add_poll`).
    pub fn add_poll(&self, fd: &Fd, events: Events) -> FdTag {
        self.add_fd(fd, events, false)
    }

    fn add_fd(&self, fd: &Fd, events: Events, unix: bool) -> FdTag {
        let mut state = self.context.state();
        let slot = state.find(self.key).filter(|&i| !state.slot(i).destroyed);
        let Some(i) = slot else { return FdTag { index: NONE, serial: 0 } };
        let tag = state.new_poll_fd(fd.clone(), events, Some(self.key));
        let slot = state.slot_mut(i);
        if unix { &mut slot.unix_fds } else { &mut slot.poll_fds }.insert(0, tag.index);
        if slot.attached && !slot.blocked {
            let priority = slot.priority;
            state.poll(tag.index, priority);
        }
        tag
    }

    /// Changes which conditions are watched. Always wakes the context, even if nothing changed or
    /// the source is blocked (gmain.c:2788).
    pub fn modify_fd(&self, tag: FdTag, events: Events) {
        let mut state = self.context.state();
        if let Some(i) = state.find(self.key)
            && state.find_fd(tag, Some(self.key)).is_some()
        {
            state.poll_fds[tag.index as usize].events = events;
            if state.slot(i).attached {
                state.wake();
            }
        }
    }

    /// Stops watching a descriptor.
    pub fn remove_fd(&self, tag: FdTag) {
        self.context.change(|state| {
            let Some(i) = state.find(self.key) else { return };
            if state.find_fd(tag, Some(self.key)).is_none() {
                return;
            }
            let slot = state.slot_mut(i);
            slot.unix_fds.retain(|&index| index != tag.index);
            slot.poll_fds.retain(|&index| index != tag.index);
            if slot.attached && !slot.blocked && !slot.destroyed {
                state.unpoll(tag.index);
            }
            state.remove_poll_fd(tag.index);
        });
    }

    /// What was ready when the context last polled for this source (`g_source_query_unix_fd`).
    pub fn query_fd(&self, tag: FdTag) -> Events {
        let state = self.context.state();
        state.find_fd(tag, Some(self.key)).map_or(Events::empty(), |poll_fd| poll_fd.revents)
    }

    /// How many references the context has to it: one while it is attached, one for each entry in a
    /// pending list, and one for each leaked reference (see [`Context::pending`]).
    pub fn n_refs(&self) -> u32 {
        let state = self.context.state();
        state.find(self.key).map_or(0, |i| state.n_refs(i))
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.context == other.context
    }
}

impl Eq for Source {}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.name()).finish()
    }
}

impl<T: Callbacks + ?Sized> Callbacks for Arc<T> {
    fn prepare(&self, this: &Source) -> Prepare {
        (**self).prepare(this)
    }

    fn check(&self, this: &Source) -> bool {
        (**self).check(this)
    }

    fn dispatch(&self, this: &Source) -> ControlFlow<()> {
        (**self).dispatch(this)
    }

    fn asks(&self) -> bool {
        (**self).asks()
    }
}
