//! Waiting until gio has let go of calls that were dropped.
//!
//! A call that is cancelled still counts as outstanding until its callback has run, and until then
//! the next read of the same stream would fail with `G_IO_ERROR_PENDING` (ginputstream.c 2.74.6,
//! `g_input_stream_set_pending`). gio does not say which object a call is about, so a new call waits
//! for all those of its thread that were dropped: an iteration or two of the loop, or as long as a
//! thread of gio's needs. Some calls cannot be cancelled, so nobody waits for a call that was dropped
//! longer than [`BOUND`] ago.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use glib::{ControlFlow, MainContext, Priority, Source};
use loopnest_core::panics::quietly;

/// For how long a call that was dropped is waited for.
const BOUND: Duration = Duration::from_millis(100);

/// How often who waits looks.
const LOOK: Duration = Duration::from_millis(1);

/// The calls of a GLib thread that were dropped, on any thread, and are outstanding.
#[derive(Debug, Default)]
pub(super) struct Outstanding(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    next: u64,
    /// Each with the time when it was dropped.
    dropped: Vec<(u64, Instant)>,
}

thread_local! {
    static HERE: Arc<Outstanding> = Arc::default();
}

impl Outstanding {
    /// This thread's; none while its thread-locals are being destroyed.
    pub(super) fn here() -> Option<Arc<Self>> {
        HERE.try_with(Arc::clone).ok()
    }

    /// A call was dropped. Returns its number.
    pub(super) fn begin(&self) -> u64 {
        let mut calls = self.calls();
        let number = calls.next;
        calls.next += 1;
        calls.dropped.push((number, Instant::now()));
        number
    }

    /// gio has let go of it.
    pub(super) fn end(&self, number: u64) {
        self.calls().dropped.retain(|&(other, _)| other != number);
    }

    fn is_waited_for(&self) -> bool {
        let mut calls = self.calls();
        calls.dropped.retain(|(_, since)| since.elapsed() < BOUND);
        !calls.dropped.is_empty()
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a call that is about to begin on this thread must wait.
pub(super) fn must_wait() -> bool {
    HERE.try_with(|here| here.is_waited_for()).unwrap_or(false)
}

/// The next look of a call that waits; none once this is dropped.
#[derive(Debug, Default)]
pub(super) struct Look(Option<(Source, MainContext)>);

impl Look {
    /// Wakes `waker`, which must not panic, for the next look. Call it on the thread that owns its
    /// default context.
    pub(super) fn later(&mut self, waker: Waker) {
        self.stop();
        let wake = move || {
            waker.wake_by_ref();
            ControlFlow::Break
        };
        // With its context, which GLib reads without a lock when the source is destroyed.
        let context = MainContext::ref_thread_default();
        self.0 = Some((attach(&context, wake), context));
    }

    fn stop(&mut self) {
        if let Some((source, _context)) = self.0.take() {
            source.destroy();
        }
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs `begin` once there is nothing to wait for, with the same thread-default context as now; at
/// once, if that is now. If the context goes first, `begin` is dropped.
pub(super) fn run(begin: impl FnOnce() + Send + 'static) {
    if !must_wait() {
        return begin();
    }
    let context = MainContext::ref_thread_default();
    let mut waits = Waits(Some(begin));
    attach(&context, move || {
        if must_wait() {
            return ControlFlow::Continue;
        }
        // Not kept here: a context keeps its sources.
        let home = glib::main_current_source().and_then(|source| source.context());
        if let (Some(begin), Some(home)) = (waits.0.take(), home) {
            let begun = home.with_thread_default(|| quietly(begin));
            debug_assert!(begun.is_ok(), "the thread that dispatches a source owns the context");
        }
        ControlFlow::Break
    });
}

/// What GLib may drop, and whose destructor may panic.
struct Waits<F>(Option<F>);

impl<F> Drop for Waits<F> {
    fn drop(&mut self) {
        let begin = self.0.take();
        quietly(|| drop(begin));
    }
}

fn attach(context: &MainContext, look: impl FnMut() -> ControlFlow + Send + 'static) -> Source {
    let source = glib::timeout_source_new(LOOK, None, Priority::DEFAULT, look);
    source.attach(Some(context));
    source
}
