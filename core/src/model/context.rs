//! GMainContext: one iteration is prepare, query, poll, check, dispatch.
//!
//! The functions stand in that order and each follows its original in gmain.c line by line, so
//! that one can be read beside the other. Callbacks are called with no lock held.

use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::clock::{Clock, Wait, micros};
use super::fd::{EventFd, Events, Fd};
use super::rules::Rules;
use super::source::{FdTag, Prepare, Source, SourceFuncs};
use super::state::{Key, NONE, State};
use super::{Counters, Rounding, Warning};

/// What one poll looks at.
pub(super) struct Polled {
    fd: Fd,
    events: Events,
    revents: Events,
}

/// What came of a poll.
#[derive(Clone, Copy, Default)]
struct Poll {
    called: bool,
    slept: bool,
}

/// A GMainContext. Clones are the same context.
#[derive(Clone)]
pub struct Context(Arc<Inner>);

struct Inner {
    clock: Clock,
    rules: Rules,
    state: Mutex<State>,
    /// The array of the last poll, to be filled again by the next.
    polled: Mutex<Vec<Polled>>,
}

impl Context {
    /// An empty context of GLib before 2.82.
    pub fn new(clock: &Clock) -> Self {
        Self::with(clock, Rounding::Millis, Rules::GLIB)
    }

    /// An empty context of another version of GLib, or of one that never was.
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

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        self.state().counters
    }

    /// What GLib would have complained about.
    pub fn warnings(&self) -> Vec<Warning> {
        self.state().warnings.clone()
    }

    /// Makes a source; nothing happens until it is attached.
    pub fn source(
        &self,
        name: impl Into<Cow<'static, str>>,
        funcs: impl SourceFuncs + 'static,
    ) -> Source {
        self.source_from_arc(name, Arc::new(funcs))
    }

    /// As [`source`](Self::source), of functions that somebody else has, too.
    pub fn source_from_arc(
        &self,
        name: impl Into<Cow<'static, str>>,
        funcs: Arc<dyn SourceFuncs>,
    ) -> Source {
        let asks = funcs.asks();
        let key = self.state().new_source(name.into(), funcs, asks);
        Source { context: self.clone(), key }
    }

    /// The source with an id, as long as it is attached.
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
        let (index, serial) = state.new_poll_fd(fd.clone(), events);
        state.poll(index, priority);
        FdTag { index, serial }
    }

    /// Polls it no longer.
    pub fn remove_poll(&self, tag: FdTag) {
        let mut state = self.state();
        if state.poll_fds.get(tag.index as usize).is_some_and(|p| p.serial == tag.serial) {
            state.unpoll(tag.index);
            state.poll_fds.remove(tag.index as usize);
        }
    }

    /// What the last poll found for it.
    pub fn query_poll(&self, tag: FdTag) -> Events {
        let state = self.state();
        let poll_fd = state.poll_fds.get(tag.index as usize);
        poll_fd.filter(|p| p.serial == tag.serial).map_or(Events::empty(), |p| p.revents)
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

    /// Takes the ownership for the calling [`Thread`](super::Thread); recursive (gmain.c:3513).
    pub fn acquire(&self) -> bool {
        let thread = self.0.clock.thread();
        let mut state = self.state();
        if *state.owner.get_or_insert(thread) != thread {
            return false;
        }
        state.owner_count += 1;
        true
    }

    /// Gives it back.
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

    /// Runs `call` at once, if the caller owns the context or, being its thread default, can take
    /// it; else in an idle source (gmain.c:6362). The default context is everybody's thread
    /// default, and runs `call` on *any* thread while nobody owns it.
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

    /// `g_main_context_iteration`: one iteration, which sleeps if it may and nothing is ready.
    /// Whether something was dispatched.
    pub fn iteration(&self, may_block: bool) -> bool {
        self.iterate(may_block, true)
    }

    /// `g_main_context_pending`: whether something could be dispatched.
    ///
    /// It is an iteration without its dispatch, and leaves the pending list filled. Called from a
    /// callback it takes over the list that is being worked off: what now stands where the outer
    /// dispatch already was is never dispatched, and its reference is leaked.
    pub fn pending(&self) -> bool {
        self.iterate(false, false)
    }

    /// Drops all sources with their callbacks, which may hold the context that holds them. Not from
    /// inside of an iteration, which would look for them; after one that a panic left, it is fine.
    pub fn clear(&self) {
        let mut state = self.state();
        (state.owner, state.owner_count, state.in_check_or_prepare) = (None, 0, 0);
        state.pending.clear();
        state.poll_fds.clear();
        state.records.retain(|record| record.poll_fd == NONE);
        let dead = (state.clear_list(), std::mem::take(&mut state.dead));
        drop(state);
        drop(dead);
    }

    // ===== one iteration =====

    /// `g_main_context_iterate` (gmain.c:4182).
    fn iterate(&self, block: bool, dispatch: bool) -> bool {
        // Another thread would wait for the ownership here; in virtual time it has none to lose.
        if !self.acquire() {
            return false;
        }
        let mut some_ready = false;
        if self.0.clock.begin_iteration() {
            let max_priority = self.prepare();
            let mut fds = std::mem::take(&mut *self.polled());
            let timeout = self.query(max_priority, &mut fds);
            let poll = self.poll(if block { timeout } else { Some(0) }, &mut fds);
            if self.0.clock.stuck().is_none() {
                some_ready = self.check(max_priority, &fds, poll);
            }
            fds.clear();
            *self.polled() = fds;
            if dispatch && self.0.clock.stuck().is_none() {
                self.dispatch();
            }
        }
        self.release();
        some_ready
    }

    /// `g_main_context_prepare` (gmain.c:3696): who is ready already, and how long may we sleep?
    /// The priority of whoever is ready.
    fn prepare(&self) -> i32 {
        let mut state = self.state();
        state.counters.iterations += 1;
        state.time_is_fresh = false;
        if state.in_check_or_prepare > 0 {
            state.warnings.push(Warning::PrepareInside);
            // The caller's variable keeps what it was initialised with.
            return 0;
        }
        // What an outer iteration still had to dispatch is ours to find again.
        if state.rules.drop_pending() {
            for n in 0..state.pending.len() {
                let i = std::mem::replace(&mut state.pending[n], NONE);
                if i != NONE {
                    state.release(i);
                }
            }
            state.pending.clear();
        }
        if !state.rules.sticky_ready() {
            state.slots.iter_mut().for_each(|(_, slot)| slot.ready = false);
        }
        state.timeout = None;
        let (mut n_ready, mut current) = (0, i32::MAX);
        let mut this = self.handle();
        let mut i = state.first();
        while i != NONE {
            let slot = state.slot(i);
            if slot.destroyed || slot.blocked {
                i = state.step(i);
                continue;
            }
            if n_ready > 0 && slot.priority > current {
                state.release(i);
                break;
            }
            let mut timeout = None;
            if !slot.ready {
                let mut ready = false;
                if slot.asks {
                    let funcs = slot.funcs.clone();
                    this.key = state.key(i);
                    state.in_check_or_prepare += 1;
                    drop(state);
                    let said = funcs.prepare(&this);
                    drop(funcs);
                    state = self.state();
                    state.in_check_or_prepare -= 1;
                    match said {
                        Prepare::Ready => ready = true,
                        Prepare::Wait(time) => timeout = time.map(|t| round_up(micros(t))),
                    }
                }
                if !ready && let Some(ready_time) = state.slot(i).ready_time {
                    let time = state.time(self.0.clock.micros());
                    if ready_time <= time {
                        timeout = Some(0);
                        ready = true;
                    } else {
                        let left = match state.rounding {
                            Rounding::Millis => round_up(ready_time - time),
                            Rounding::Micros => ready_time - time,
                        };
                        timeout = Some(timeout.map_or(left, |timeout: u64| timeout.min(left)));
                    }
                }
                if ready {
                    state.mark_ready(i);
                }
            }
            let slot = state.slot(i);
            if slot.ready {
                n_ready += 1;
                current = slot.priority;
                state.timeout = Some(0);
            }
            if let Some(timeout) = timeout {
                state.timeout = Some(state.timeout.map_or(timeout, |other| other.min(timeout)));
            }
            i = state.step(i);
        }
        self.bury(state);
        current
    }

    /// `g_main_context_query` (gmain.c:3878): what to poll, and for how long.
    fn query(&self, max_priority: i32, fds: &mut Vec<Polled>) -> Option<u64> {
        let mut state = self.state();
        Self::fill(&state, max_priority, fds);
        state.poll_changed = false;
        if state.timeout != Some(0) {
            state.time_is_fresh = false;
        }
        state.timeout
    }

    fn fill(state: &State, max_priority: i32, fds: &mut Vec<Polled>) {
        for record in state.records.iter().filter(|record| record.priority <= max_priority) {
            let (fd, events) = match state.poll_fds.get(record.poll_fd as usize) {
                Some(poll_fd) => (&poll_fd.fd, poll_fd.events - Events::ALWAYS),
                None => (state.wakeup.fd(), Events::IN),
            };
            match fds.last_mut() {
                Some(last) if last.fd.number() == record.number => last.events |= events,
                _ => fds.push(Polled { fd: fd.clone(), events, revents: Events::empty() }),
            }
        }
    }

    /// `g_main_context_poll` (gmain.c:4520): sleeps until a descriptor is ready or the time is over.
    fn poll(&self, timeout: Option<u64>, fds: &mut [Polled]) -> Poll {
        if fds.is_empty() && timeout == Some(0) {
            return Poll::default();
        }
        let clock = &self.0.clock;
        clock.pay(clock.config().poll_cost);
        let deadline = timeout.map(|timeout| clock.micros().saturating_add(timeout));
        let (wait, slept) = clock.wait_micros(deadline, &mut || {
            let mut any = false;
            for polled in &mut *fds {
                polled.revents = polled.fd.poll(polled.events);
                any |= !polled.revents.is_empty();
            }
            any
        });
        debug_assert!(wait != Wait::Stuck || clock.stuck().is_some());
        Poll { called: true, slept }
    }

    /// `g_main_context_check` (gmain.c:3970): who is ready now? The pending list is filled with
    /// them. Whether there is anybody.
    fn check(&self, mut max_priority: i32, fds: &[Polled], poll: Poll) -> bool {
        let mut state = self.state();
        state.counters.polls += u64::from(poll.called);
        state.counters.sleeps += u64::from(poll.slept);
        if state.in_check_or_prepare > 0 {
            state.warnings.push(Warning::CheckInside);
            return false;
        }
        let wakeup = state.wakeup.fd().number();
        if fds.iter().any(|polled| polled.fd.number() == wakeup && !polled.revents.is_empty()) {
            state.wakeup.take();
        }
        // Descriptors came or went while we polled: begin again, READY flags stay.
        if state.poll_changed && state.rules.bail_out() {
            return false;
        }
        let State { records, poll_fds, .. } = &mut *state;
        let mut at = 0;
        for polled in fds {
            let number = polled.fd.number();
            while records.get(at).is_some_and(|record| record.number < number) {
                at += 1;
            }
            while let Some(record) = records.get(at).filter(|record| record.number == number) {
                // A record of a lower priority keeps what an earlier poll found.
                if record.priority <= max_priority
                    && let Some(poll_fd) = poll_fds.get_mut(record.poll_fd as usize)
                {
                    poll_fd.revents = polled.revents & (poll_fd.events | Events::ALWAYS);
                }
                at += 1;
            }
        }
        let mut n_ready = 0;
        let mut this = self.handle();
        let mut i = state.first();
        while i != NONE {
            let slot = state.slot(i);
            if slot.destroyed || slot.blocked {
                i = state.step(i);
                continue;
            }
            if n_ready > 0 && slot.priority > max_priority {
                state.release(i);
                break;
            }
            if !slot.ready {
                let mut ready = false;
                if slot.asks {
                    let funcs = slot.funcs.clone();
                    this.key = state.key(i);
                    state.in_check_or_prepare += 1;
                    drop(state);
                    ready = funcs.check(&this);
                    drop(funcs);
                    state = self.state();
                    state.in_check_or_prepare -= 1;
                }
                if !ready && state.rules.fds_make_ready() {
                    let mut unix_fds = state.slot(i).unix_fds.iter();
                    ready = unix_fds.any(|&fd| !state.poll_fds[fd as usize].revents.is_empty());
                }
                if !ready && let Some(ready_time) = state.slot(i).ready_time {
                    ready = ready_time <= state.time(self.0.clock.micros());
                }
                if ready {
                    state.mark_ready(i);
                }
            }
            if state.slot(i).ready {
                state.hold(i);
                state.pending.push(i);
                n_ready += 1;
                // Never dispatch less urgent sources than the first that was chosen.
                if state.rules.one_priority() {
                    max_priority = state.slot(i).priority;
                }
            }
            i = state.step(i);
        }
        self.bury(state);
        n_ready > 0
    }

    /// `g_main_dispatch` (gmain.c:3396): calls everybody in the pending list, which a nested
    /// iteration may empty, and a nested [`pending`](Self::pending) fill again, behind our back.
    fn dispatch(&self) {
        let clock = &self.0.clock;
        let mut state = self.state();
        let mut this = self.handle();
        let mut n = 0;
        while n < state.pending.len() && clock.stuck().is_none() {
            let i = std::mem::replace(&mut state.pending[n], NONE);
            n += 1;
            if i == NONE {
                continue;
            }
            state.slot_mut(i).ready = false;
            if !state.slot(i).destroyed {
                if !state.slot(i).can_recurse && state.rules.blocking() {
                    state.block(i);
                }
                state.counters.dispatches += 1;
                let funcs = state.slot(i).funcs.clone();
                this.key = state.key(i);
                drop(state);
                clock.enter_dispatch();
                let flow = funcs.dispatch(&this);
                clock.leave_dispatch();
                drop(funcs);
                state = self.state();
                if state.slot(i).blocked && !state.slot(i).destroyed {
                    state.unblock(i);
                }
                if flow.is_break() {
                    state.destroy(i);
                }
            }
            state.release(i);
            if !state.dead.is_empty() {
                self.bury(state);
                state = self.state();
            }
        }
        // What is left was put here by a nested `pending`, or the run is given up. The references
        // are lost in both cases.
        state.pending.clear();
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

    /// Lets go of the lock, then of callbacks that nobody needs: their drop may call us.
    fn bury(&self, mut state: MutexGuard<'_, State>) {
        let dead = std::mem::take(&mut state.dead);
        drop(state);
        drop(dead);
    }

    /// A handle for callbacks, to be pointed at one source after the other.
    fn handle(&self) -> Source {
        Source { context: self.clone(), key: Key { slot: NONE, serial: 0 } }
    }

    fn polled(&self) -> MutexGuard<'_, Vec<Polled>> {
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

/// Up to a whole millisecond, as rounding down would be a spin over the rest (gmain.c:3809).
fn round_up(time: u64) -> u64 {
    time.div_ceil(1000).min(i32::MAX as u64) * 1000
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
