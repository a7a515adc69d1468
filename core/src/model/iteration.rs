//! One iteration: prepare, query, poll, check, dispatch.
//!
//! The functions are in that order, and each follows its original in gmain.c line by line, so that
//! you can read them side by side. Callbacks are called with no lock held.

use super::clock::{Rounding, Wait, micros};
use super::context::Context;
use super::counters::Warning;
use super::fd::{Events, Fd};
use super::source::Prepare;
use super::state::{NONE, State};

/// What one poll looks at.
pub(super) struct Polled {
    pub(super) fd: Fd,
    pub(super) events: Events,
    revents: Events,
}

/// What a poll did.
#[derive(Clone, Copy, Default)]
struct Poll {
    called: bool,
    slept: bool,
}

impl Context {
    /// `g_main_context_iterate` (gmain.c:4182).
    pub(super) fn iterate(&self, block: bool, dispatch: bool) -> bool {
        // A real thread would wait for ownership here; in virtual time other threads cannot wait.
        if !self.acquire() {
            return false;
        }
        let mut some_ready = false;
        if self.clock().begin_iteration() {
            let max_priority = self.prepare();
            let mut fds = std::mem::take(&mut *self.polled());
            let timeout = self.query(max_priority, &mut fds);
            let poll = self.poll(if block { timeout } else { Some(0) }, &mut fds);
            if self.clock().stuck().is_none() {
                some_ready = self.check(max_priority, &fds, poll);
            }
            fds.clear();
            *self.polled() = fds;
            if dispatch && self.clock().stuck().is_none() {
                self.dispatch();
            }
        }
        self.release();
        some_ready
    }

    /// `g_main_context_prepare` (gmain.c:3696): which sources are ready, and how long may we sleep?
    /// Returns the priority of the ready sources.
    fn prepare(&self) -> i32 {
        let mut state = self.state();
        state.counters.iterations += 1;
        state.time_is_fresh = false;
        if state.in_check_or_prepare > 0 {
            state.warnings.push(Warning::PrepareInside);
            // The caller's variable keeps what it was initialised with.
            return 0;
        }
        // What an outer iteration still had to dispatch is dropped, and found again below.
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
                    let time = state.time(self.clock().micros());
                    if ready_time <= time {
                        timeout = Some(0);
                        ready = true;
                    } else {
                        let left = match state.rounding {
                            Rounding::Millis => round_up(ready_time - time),
                            Rounding::Exact => ready_time - time,
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

    pub(super) fn fill(state: &State, max_priority: i32, fds: &mut Vec<Polled>) {
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

    /// `g_main_context_poll` (gmain.c:4520): sleeps until a descriptor is ready or the time is
    /// over.
    fn poll(&self, timeout: Option<u64>, fds: &mut [Polled]) -> Poll {
        if fds.is_empty() && timeout == Some(0) {
            return Poll::default();
        }
        let clock = self.clock();
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

    /// `g_main_context_check` (gmain.c:3970): which sources are ready now? Puts them into the
    /// pending list and returns whether there are any.
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
        // Descriptors were added or removed while we polled: start over; READY flags stay.
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
                    ready = ready_time <= state.time(self.clock().micros());
                }
                if ready {
                    state.mark_ready(i);
                }
            }
            if state.slot(i).ready {
                state.hold(i);
                state.pending.push(i);
                n_ready += 1;
                // Do not dispatch less urgent sources than the first that was chosen.
                if state.rules.one_priority() {
                    max_priority = state.slot(i).priority;
                }
            }
            i = state.step(i);
        }
        self.bury(state);
        n_ready > 0
    }

    /// `g_main_dispatch` (gmain.c:3396): dispatches the pending list. Meanwhile a nested iteration
    /// may empty the list, and a nested [`pending`](Self::pending) may fill it again.
    fn dispatch(&self) {
        let clock = self.clock();
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
        // What is left was put here by a nested `pending`, or the run was given up. The references
        // leak in both cases.
        state.pending.clear();
    }
}

/// Rounds up to a whole millisecond, because rounding down would spin for the rest (gmain.c:3809).
fn round_up(time: u64) -> u64 {
    time.div_ceil(1000).min(i32::MAX as u64) * 1000
}
