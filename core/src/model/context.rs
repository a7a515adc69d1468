//! A GMainContext: what its users call. `iteration.rs` has what an iteration does, `state.rs` the
//! data.

use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::clock::{Clock, Rounding};
use super::counters::{Counters, Warning};
use super::fd::{EventFd, Events, Fd};
use super::iteration::Polled;
use super::rules::Rules;
use super::source::{Callbacks, FdTag, Source};
use super::state::{Key, NONE, State};

/// A GMainContext. Clones are the same context.
#[derive(Clone)]
pub struct Context(Arc<Inner>);

struct Inner {
    clock: Clock,
    rules: Rules,
    state: Mutex<State>,
    /// The array of the last poll, reused by the next.
    polled: Mutex<Vec<Polled>>,
}

impl Context {
    /// An empty context of GLib before 2.82.
    pub fn new(clock: &Clock) -> Self {
        Self::with(clock, Rounding::Millis, Rules::GLIB)
    }

    /// An empty context of another version of GLib, or one with other rules.
    pub fn with(clock: &Clock, rounding: Rounding, rules: Rules) -> Self {
        let state = State::new(EventFd::new(clock), rounding, rules);
        Self(Arc::new(Inner {
            clock: clock.clone(),
            rules,
            state: Mutex::new(state),
            polled: Mutex::default(),
        }))
    }

    /// Its clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// What has been counted so far.
    pub fn counters(&self) -> Counters {
        self.state().counters
    }

    /// What GLib would have complained about.
    pub fn warnings(&self) -> Vec<Warning> {
        self.state().warnings.clone()
    }

    /// Creates a source; nothing happens until it is attached.
    pub fn source(
        &self,
        name: impl Into<Cow<'static, str>>,
        funcs: impl Callbacks + 'static,
    ) -> Source {
        self.source_from_arc(name, Arc::new(funcs))
    }

    /// Like [`source`](Self::source), with shared functions.
    pub fn source_from_arc(
        &self,
        name: impl Into<Cow<'static, str>>,
        funcs: Arc<dyn Callbacks>,
    ) -> Source {
        let asks = funcs.asks();
        let key = self.state().new_source(name.into(), funcs, asks);
        Source { context: self.clone(), key }
    }

    /// The source with an id, if it is attached.
    pub fn find_source(&self, id: u32) -> Option<Source> {
        let state = self.state();
        let mut slots = state.slots.iter();
        let (i, _) = slots.find(|(_, s)| s.attached && !s.destroyed && s.id == id)?;
        Some(Source { context: self.clone(), key: state.key(i as u32) })
    }

    /// The id that the next source gets, if it is free.
    pub fn set_next_id(&self, id: u32) {
        self.state().next_id = id;
    }

    /// Polls a descriptor that belongs to no source; it makes nothing ready by itself
    /// (`g_main_context_add_poll`).
    pub fn add_poll(&self, fd: &Fd, events: Events, priority: i32) -> FdTag {
        let mut state = self.state();
        let tag = state.new_poll_fd(fd.clone(), events, None);
        state.poll(tag.index, priority);
        tag
    }

    /// Stops polling it.
    pub fn remove_poll(&self, tag: FdTag) {
        self.change(|state| {
            if state.find_fd(tag, None).is_some() {
                state.unpoll(tag.index);
                state.remove_poll_fd(tag.index);
            }
        });
    }

    /// What the last poll found for it.
    pub fn query_poll(&self, tag: FdTag) -> Events {
        self.state().find_fd(tag, None).map_or(Events::empty(), |poll_fd| poll_fd.revents)
    }

    /// The descriptors that a poll for `max_priority` would look at, in order, merged
    /// (`g_main_context_query`); does not count as a query.
    pub fn poll_set(&self, max_priority: i32) -> Vec<(u32, Events)> {
        let state = self.state();
        let mut fds = Vec::new();
        Self::fill(&state, max_priority, &mut fds);
        fds.iter().map(|polled| (polled.fd.number(), polled.events)).collect()
    }

    /// The descriptor of the wakeup.
    pub fn wakeup_fd(&self) -> Fd {
        self.state().wakeup.fd().clone()
    }

    /// Ends a poll: the one that sleeps, or the next (`g_main_context_wakeup`).
    pub fn wakeup(&self) {
        self.state().wake();
    }

    /// Takes ownership for the calling [`Thread`](super::Thread); recursive (gmain.c:3513).
    pub fn acquire(&self) -> bool {
        let thread = self.0.clock.thread();
        let mut state = self.state();
        if *state.owner.get_or_insert(thread) != thread {
            return false;
        }
        state.owner_count += 1;
        true
    }

    /// Gives ownership back.
    pub fn release(&self) {
        let mut state = self.state();
        state.owner_count = state.owner_count.saturating_sub(1);
        if state.owner_count == 0 {
            state.owner = None;
        }
    }

    /// Whether the calling thread owns it.
    pub fn is_owner(&self) -> bool {
        self.state().owner == Some(self.0.clock.thread())
    }

    /// Runs `call` at once if the caller owns the context, or if the context is the caller's thread
    /// default and can be acquired; otherwise in an idle source (gmain.c:6362). The default context
    /// is every thread's default, so while no thread owns it, it runs `call` on *any* thread.
    pub fn invoke(&self, is_default: bool, priority: i32, call: impl FnOnce() + Send + 'static) {
        if self.is_owner() {
            call();
        } else if is_default && self.acquire() {
            call();
            self.release();
        } else {
            let call = Mutex::new(Some(call));
            let source = self.idle(move |_| {
                let call = call.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(call) = call {
                    call();
                }
                ControlFlow::Break(())
            });
            source.set_priority(priority);
            source.attach();
        }
    }

    /// `g_main_context_iteration`: one iteration, which sleeps if `may_block` and nothing is ready.
    /// Returns whether something was dispatched.
    pub fn iteration(&self, may_block: bool) -> bool {
        self.iterate(may_block, true)
    }

    /// `g_main_context_pending`: whether something could be dispatched.
    ///
    /// It is an iteration without its dispatch, and leaves the pending list filled. If it is called
    /// in a callback, it overwrites the list that the outer dispatch is working through: sources in
    /// positions that the outer dispatch has already passed are never dispatched, and their
    /// references leak.
    pub fn pending(&self) -> bool {
        self.iterate(false, false)
    }

    /// Drops all sources with their callbacks, which may hold the context that holds them. Do not
    /// call this inside an iteration, which would look for them. It may be called after an
    /// iteration that panicked.
    pub fn clear(&self) {
        let mut state = self.state();
        (state.owner, state.owner_count, state.in_check_or_prepare) = (None, 0, 0);
        state.pending.clear();
        state.records.retain(|record| record.poll_fd == NONE);
        state.clear_list();
        self.bury(state);
    }

    // ===== inside =====

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something that may finalise sources.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        self.bury(state);
    }

    /// Releases the lock, then drops dead callbacks and descriptors.
    pub(super) fn bury(&self, mut state: MutexGuard<'_, State>) {
        let dead = std::mem::take(&mut state.dead);
        drop(state);
        drop(dead);
    }

    /// A handle for callbacks, which is pointed at one source after another.
    pub(super) fn handle(&self) -> Source {
        Source { context: self.clone(), key: Key { slot: NONE, serial: 0 } }
    }

    pub(super) fn polled(&self) -> MutexGuard<'_, Vec<Polled>> {
        self.0.polled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn rules(&self) -> Rules {
        self.0.rules
    }

    pub(super) fn is_in_check_or_prepare(&self) -> bool {
        self.state().in_check_or_prepare > 0
    }

    pub(super) fn warn(&self, warning: Warning) {
        self.state().warnings.push(warning);
    }
}

impl PartialEq for Context {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Context {}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let names: Vec<_> = state.slots.iter().map(|(_, slot)| &*slot.name).collect();
        f.debug_struct("Context").field("sources", &names).finish_non_exhaustive()
    }
}
