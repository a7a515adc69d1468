//! tokio's runtime of one thread, for hosts that may be anywhere on that thread's stack.
//!
//! tokio does not nest: inside a `block_on` it refuses another one with a panic. Where GLib's loop
//! runs inside somebody's `block_on`, a runtime is *held*. There are four cases, and tokio publishes
//! none of them:
//!
//! - Inside a `block_on` of ours. It leaves a mark ([`RUNNING`]), and so do our tasks that are polled
//!   while a runtime is held ([`HELD`]).
//! - Inside the `block_on` or a worker of a multi-threaded runtime, as in `#[tokio::main]`. There
//!   [`outside`] asks for `block_in_place`, and nothing is held.
//! - Inside the `block_on` of another current-thread runtime. While that polls its future there is a
//!   cooperative budget; where the runtime was merely entered there is none.
//! - Anything else: a `LocalSet` of a multi-threaded runtime, or a future that is `unconstrained`.
//!   Then tokio's refusal is the only sign. It is caught, and remembered for as long as that future
//!   is being polled: its budget is used up, which lasts exactly so long.
//!
//! Only the last case panics: the panic hook runs, once for each poll in which a loop runs, and with
//! `panic = "abort"` the process ends.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use loopnest_core::executor::Panic;
use tokio::runtime::{Builder, EnterGuard, Handle, Id, LocalRuntime, RuntimeFlavor};
use tokio::task::coop;
use tokio::task::coop::poll_proceed;

use crate::error::SetupError;

thread_local! {
    /// How many `block_on`s of ours are on this thread's stack.
    static RUNNING: Cell<usize> = const { Cell::new(0) };
    /// How many times our tasks are polled while a runtime is held, on this thread's stack.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// A current-thread runtime. Dropping it drops its tasks, and does not wait for `spawn_blocking`.
pub(crate) struct Runtime {
    /// Taken out only when this is dropped.
    inner: Option<LocalRuntime>,
    refused: Cell<Option<Refused>>,
}

/// Where tokio refused a `block_on`.
#[derive(Clone, Copy)]
enum Refused {
    /// In a poll whose budget was used up then.
    InPoll,
    /// In one without a budget: inside this runtime, in a loop of this depth.
    Inside(Option<Id>, i32),
}

/// tokio refused to run.
#[derive(Debug)]
pub(crate) struct IsHeld;

impl Runtime {
    /// Starts one.
    pub(crate) fn new() -> Result<Self, SetupError> {
        let runtime = Builder::new_current_thread().enable_all().build_local(Default::default());
        let inner = Some(runtime.map_err(SetupError::Runtime)?);
        Ok(Self { inner, refused: Cell::new(None) })
    }

    fn inner(&self) -> &LocalRuntime {
        match &self.inner {
            Some(runtime) => runtime,
            None => unreachable!("taken out only when it is dropped"),
        }
    }

    /// tokio's handle.
    pub(crate) fn handle(&self) -> &Handle {
        self.inner().handle()
    }

    /// Enters it, so that tokio's sockets and timers work.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.inner().enter()
    }

    /// Starts a task on tokio's own queue.
    pub(crate) fn spawn_local<F>(&self, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.inner().spawn_local(future)
    }

    /// Runs `future` to its end.
    ///
    /// # Panics
    /// If `future` panics, and where the runtime is held.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut mark = None;
        let mut future = pin!(future);
        self.inner().block_on(poll_fn(|cx| {
            // Only here, because tokio may refuse the `block_on` itself.
            mark.get_or_insert_with(|| Mark::new(&RUNNING));
            future.as_mut().poll(cx)
        }))
    }

    /// Like [`block_on`](Self::block_on), but an error where tokio refuses. Call it inside
    /// [`try_outside`](Self::try_outside), which looks first.
    pub(crate) fn try_block_on<F: Future>(&self, future: F) -> Result<F::Output, IsHeld> {
        let mut future = pin!(future);
        let run = |begun: &Cell<bool>| {
            self.block_on(poll_fn(|cx| {
                begun.set(true);
                future.as_mut().poll(cx)
            }))
        };
        self.unless_refused(run)
    }

    /// Runs `f` where tokio can run: outside of a multi-threaded runtime that is on the stack.
    pub(crate) fn try_outside<R>(&self, f: impl FnOnce() -> R) -> Result<R, IsHeld> {
        if self.is_held() {
            return Err(IsHeld);
        }
        self.unless_refused(|begun| {
            outside(|| {
                begun.set(true);
                f()
            })
        })
    }

    /// Whether the runtime is held here.
    pub(crate) fn is_held(&self) -> bool {
        if RUNNING.get() > 0 || HELD.get() > 0 {
            return true;
        }
        let current = Handle::try_current().ok();
        let still = match self.refused.get() {
            None => false,
            Some(Refused::InPoll) => !coop::has_budget_remaining(),
            Some(Refused::Inside(runtime, depth)) => {
                current.as_ref().map(Handle::id) == runtime && glib::main_depth() >= depth
            }
        };
        if !still {
            self.refused.set(None);
        }
        let foreign = |current: &Handle| {
            current.id() != self.handle().id()
                && current.runtime_flavor() == RuntimeFlavor::CurrentThread
        };
        still || (current.is_some_and(|current| foreign(&current)) && has_budget())
    }

    /// Polls our tasks while the runtime is held, so that everybody knows.
    pub(crate) fn while_held<R>(&self, poll: impl FnOnce() -> R) -> R {
        let _mark = Mark::new(&HELD);
        let _entered = self.enter();
        let mut poll = Some(poll);
        // The budget of the task on the stack still applies, and is never refilled: a channel would
        // return `Pending` and wake its task at once, for ever (gtk-rs-core#1251).
        let polled = pin!(poll_fn(|_| match poll.take() {
            Some(poll) => Poll::Ready(poll()),
            None => Poll::Pending,
        }));
        let polled = pin!(tokio::task::unconstrained(polled));
        match polled.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => result,
            Poll::Pending => unreachable!("it is ready at once"),
        }
    }

    /// Runs `run`; an error if it panics before it has begun, which is how tokio refuses.
    fn unless_refused<R>(&self, run: impl FnOnce(&Cell<bool>) -> R) -> Result<R, IsHeld> {
        let begun = Cell::new(false);
        catch_unwind(AssertUnwindSafe(|| run(&begun))).map_err(|payload| {
            if begun.get() {
                resume_unwind(payload);
            }
            drop(Panic::new(payload));
            let current = Handle::try_current().ok().map(|current| current.id());
            self.refused.set(Some(if use_up_budget() {
                Refused::InPoll
            } else {
                // In a dispatch the depth is by one more than in the `prepare` before it.
                Refused::Inside(current, glib::main_depth() - 1)
            }));
            IsHeld
        })
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // tokio's own drop waits for `spawn_blocking`, which panics inside a `block_on`.
        if let Some(runtime) = self.inner.take() {
            runtime.shutdown_background();
        }
    }
}

/// Whether a `block_on` of ours is on this thread's stack.
pub(crate) fn is_running() -> bool {
    RUNNING.get() > 0
}

/// Runs `f` outside of the multi-threaded runtime on the stack, if there is one: at the root of its
/// `block_on`, on a worker, or where it is merely entered.
///
/// # Panics
/// Inside a `LocalSet` of such a runtime, before `f` is called.
pub(crate) fn outside<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(feature = "rt-multi-thread")]
    if let Ok(current) = Handle::try_current()
        && current.runtime_flavor() == RuntimeFlavor::MultiThread
    {
        return tokio::task::block_in_place(f);
    }
    f()
}

/// Whether a budget limits what is polled here. It is as before afterwards.
fn has_budget() -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    // The first restores the budget when it is dropped, because it made no progress.
    let Poll::Ready(_restored) = poll_proceed(&mut cx) else { return true };
    use_up_budget()
}

/// Uses the budget up, if there is one.
fn use_up_budget() -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    // A budget is a number of eight bits.
    (0..=u8::MAX).any(|_| match poll_proceed(&mut cx) {
        Poll::Ready(one) => {
            one.made_progress();
            false
        }
        Poll::Pending => true,
    })
}

/// Counts what is on the stack, even while a panic unwinds it.
struct Mark(&'static std::thread::LocalKey<Cell<usize>>);

impl Mark {
    fn new(count: &'static std::thread::LocalKey<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(count)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
