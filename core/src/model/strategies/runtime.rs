//! tokio's current-thread runtime: a run queue, timers, and an epoll descriptor.
//!
//! A wake on the thread whose `block_on` is on the stack only puts the task into the queue, because
//! tokio looks there before it parks. But tokio may already be parked, with a GLib callback on top
//! of it on the stack. Such a wake is seen only when the wait is over.
//! A wake from another thread also writes the runtime's eventfd.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use super::base::Base;
use super::fault::Fault;
use super::tasks::{POLL, RunQueue, Tasks, lock};
use crate::loops::{BoxFuture, Canceller};
use crate::model::clock::{Clock, Thread};
use crate::model::fd::{Events, Fd, Pipe};

/// Clones are the same runtime.
#[derive(Clone)]
pub(super) struct Runtime {
    clock: Clock,
    tasks: Tasks,
    inner: Arc<Inner>,
    epfd: Fd,
    /// It looks at its driver after this many polls.
    polls: u32,
    unparks: bool,
}

#[derive(Default)]
struct Inner {
    ready: RunQueue,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By millisecond, then by age.
    timers: BTreeMap<(u64, u64), Waker>,
    /// The millisecond at which the driver last looked at the timers.
    elapsed: u64,
    order: u64,
    readers: Vec<(Pipe, Waker)>,
    /// The eventfd.
    unparked: bool,
    /// How many `block_on` are on the stack.
    inside: u32,
}

impl Inner {
    fn is_readable(&self) -> bool {
        let state = lock(&self.state);
        state.unparked || state.readers.iter().any(|(pipe, _)| is_readable(pipe))
    }
}

/// When tokio's timer wheel must advance for a timer. The wheel has levels of 64 slots, and a slot
/// is as long as the whole level below. A timer waits in a slot of the highest level at which its
/// time differs from now, and moves down when that slot begins: a wake-up with nothing due
/// (tokio 1.54, `runtime/time/wheel`).
fn wheel_turns_at(elapsed: u64, deadline: u64) -> u64 {
    if deadline <= elapsed {
        return deadline;
    }
    let level = ((elapsed ^ deadline) | 63).ilog2() / 6;
    let slot = 1 << (6 * level);
    deadline / slot * slot
}

fn is_readable(pipe: &Pipe) -> bool {
    pipe.read_end().ready().intersects(Events::IN | Events::HUP)
}

impl Runtime {
    pub(super) fn new(base: &Base, polls: u32) -> Self {
        let inner = Arc::new(Inner::default());
        let watched = inner.clone();
        let epfd = Fd::derived(&base.clock, move || {
            if watched.is_readable() { Events::IN } else { Events::empty() }
        });
        let unparks = !base.has(Fault::ThreadDoesNotWake);
        Self { clock: base.clock.clone(), tasks: base.tasks.clone(), inner, epfd, polls, unparks }
    }

    /// Its epoll descriptor.
    pub(super) fn epfd(&self) -> &Fd {
        &self.epfd
    }

    /// Starts a task on tokio's queue.
    pub(super) fn spawn(&self, task: BoxFuture) -> Canceller {
        let (clock, inner) = (self.clock.clone(), Arc::downgrade(&self.inner));
        let unparks = self.unparks;
        self.tasks.spawn(task, move |runnable| {
            let Some(inner) = inner.upgrade() else { return };
            inner.ready.push(runnable);
            let mut state = lock(&inner.state);
            if state.inside == 0 || clock.thread() != Thread::MAIN {
                state.unparked |= unparks;
            }
        })
    }

    /// Registers a timer; tokio's wheel counts milliseconds, rounded up.
    pub(super) fn wake_at(&self, deadline: Duration, waker: Waker) {
        let deadline = deadline.as_micros().div_ceil(1000) as u64;
        let mut state = lock(&self.inner.state);
        state.order += 1;
        let key = (deadline, state.order);
        state.timers.insert(key, waker);
        // From outside, because it may be earlier than the deadline that the driver waits for.
        if state.inside == 0 || self.clock.thread() != Thread::MAIN {
            state.unparked = true;
        }
    }

    /// Registers a reader.
    pub(super) fn wake_readable(&self, pipe: &Pipe, waker: Waker) {
        lock(&self.inner.state).readers.push((pipe.clone(), waker));
    }

    /// `block_on` begins.
    pub(super) fn enter(&self) {
        lock(&self.inner.state).inside += 1;
    }

    /// `block_on` ends.
    pub(super) fn leave(&self) {
        lock(&self.inner.state).inside -= 1;
    }

    /// Polls tasks; `true` if it stopped while some may be left.
    pub(super) fn run_some(&self) -> bool {
        for _ in 0..self.polls {
            if !self.inner.ready.run_one(&self.clock, POLL) {
                return false;
            }
        }
        true
    }

    /// tokio's timeout for its next wait: none, or in milliseconds, rounded up.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let state = lock(&self.inner.state);
        let (&(deadline, _), _) = state.timers.first_key_value()?;
        let at = Duration::from_millis(wheel_turns_at(state.elapsed, deadline));
        let left = at.saturating_sub(self.clock.now());
        Some(Duration::from_millis(left.as_micros().div_ceil(1000) as u64))
    }

    /// Polls the kernel without waiting, and wakes the tasks that waited for its events.
    pub(super) fn take_events(&self) -> bool {
        let (unparked, ready) = {
            let mut state = lock(&self.inner.state);
            let unparked = std::mem::take(&mut state.unparked);
            let ready = state.readers.extract_if(.., |(pipe, _)| is_readable(pipe));
            (unparked, ready.collect::<Vec<_>>())
        };
        let any = unparked || !ready.is_empty();
        ready.into_iter().for_each(|(_, waker)| waker.wake());
        any
    }

    /// Wakes the tasks whose timers have expired; tokio does so after each wait.
    pub(super) fn expire_timers(&self) {
        let now = self.clock.now().as_millis() as u64;
        let expired = {
            let mut state = lock(&self.inner.state);
            state.elapsed = now;
            let later = state.timers.split_off(&(now + 1, 0));
            std::mem::replace(&mut state.timers, later)
        };
        expired.into_values().for_each(Waker::wake);
    }

    /// Drops all queued and waiting tasks.
    pub(super) fn clear(&self) {
        let state = std::mem::take(&mut *lock(&self.inner.state));
        drop(state);
        self.inner.ready.clear();
    }
}
