//! Waiting until gio has let go of calls that were dropped.
//!
//! A call that is cancelled still counts as outstanding until its callback has run, and until then
//! the next read of the same stream would fail with `G_IO_ERROR_PENDING` (ginputstream.c 2.74.6,
//! `g_input_stream_set_pending`). gio does not say which object a call is about, so a new call waits
//! for all those of its thread that were dropped: an iteration or two of the loop, or as long as a
//! thread of gio's needs. Some calls cannot be cancelled, so it waits for [`BOUND`] at most.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use glib::{ControlFlow, MainContext, Priority, Source};
use loopnest_core::panics::quietly;

/// How long a new call waits at most.
const BOUND: Duration = Duration::from_millis(100);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(1);

/// The calls of a GLib thread that were dropped and are outstanding. They are dropped on any thread.
#[derive(Debug, Default)]
pub(super) struct Outstanding(AtomicUsize);

thread_local! {
    static HERE: Arc<Outstanding> = Arc::default();
}

impl Outstanding {
    /// This thread's; none while its thread-locals are being destroyed.
    pub(super) fn here() -> Option<Arc<Self>> {
        HERE.try_with(Arc::clone).ok()
    }

    /// A call was dropped.
    pub(super) fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// gio has let go of one.
    pub(super) fn end(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A call that has not begun, and waits for those before it.
#[derive(Debug)]
pub(super) struct Queued {
    until: Option<Instant>,
    look: Option<Source>,
}

impl Queued {
    pub(super) fn new() -> Self {
        Self { until: None, look: None }
    }

    /// Whether to wait: something is outstanding on this thread, and the bound is not over.
    pub(super) fn must_wait(&mut self) -> bool {
        let outstanding = HERE.try_with(|here| here.0.load(Ordering::Relaxed) > 0);
        outstanding.unwrap_or(false)
            && Instant::now() < *self.until.get_or_insert_with(|| Instant::now() + BOUND)
    }

    /// Wakes `waker` for the next look. Call it on the thread that owns its default context.
    pub(super) fn look_later(&mut self, waker: Waker) {
        self.stop();
        let wake = move || {
            quietly(|| waker.wake_by_ref());
            ControlFlow::Break
        };
        self.look = Some(attach(wake));
    }

    /// Runs `begin` once there is nothing to wait for, with the same thread-default context as now; at
    /// once, if that is now.
    pub(super) fn run(mut self, begin: impl FnOnce() + Send + 'static) {
        if !self.must_wait() {
            return begin();
        }
        let context = MainContext::ref_thread_default();
        let mut waits = Some((self, begin));
        attach(move || {
            if waits.as_mut().is_some_and(|(queued, _)| queued.must_wait()) {
                return ControlFlow::Continue;
            }
            if let Some((_queued, begin)) = waits.take() {
                let begun = context.with_thread_default(|| quietly(begin));
                debug_assert!(
                    begun.is_ok(),
                    "the thread that dispatches a source owns the context"
                );
            }
            ControlFlow::Break
        });
    }

    fn stop(&mut self) {
        if let Some(look) = self.look.take() {
            look.destroy();
        }
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.stop();
    }
}

fn attach(look: impl FnMut() -> ControlFlow + Send + 'static) -> Source {
    let source = glib::timeout_source_new(LOOK, None, Priority::DEFAULT, look);
    source.attach(Some(&MainContext::ref_thread_default()));
    source
}
