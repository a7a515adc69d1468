//! What a source does when GLib asks it, and how its callbacks see it.

#![expect(unsafe_code, reason = "GLib's sources are C")]

use std::fmt;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::time::Duration;

use glib::MainContext;
use glib::ffi::GSource;

use super::watches::Watches;

/// What `prepare` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prepare {
    /// Ready to be dispatched; the loop need not sleep.
    Ready,
    /// Not ready; ask again after this time at the latest.
    Wait(Option<Duration>),
}

/// The callbacks of a source. They run on the thread that created the source.
///
/// `prepare` and `check` must not iterate the context (GLib 2.74 deadlocks, fixed in 2.77.0).
pub trait Callbacks: 'static {
    /// Called before the loop sleeps. By default the source is not ready and does not limit how
    /// long the loop sleeps.
    fn prepare(&self, this: SourceRef<'_>) -> Prepare {
        let _ = this;
        Prepare::Wait(None)
    }

    /// Called after the loop has slept: is the source ready? By default it is not.
    /// A ready descriptor makes the source ready whatever this returns.
    fn check(&self, this: SourceRef<'_>) -> bool {
        let _ = this;
        false
    }

    /// Does the work; `Break` destroys the source.
    fn dispatch(&self, this: SourceRef<'_>) -> ControlFlow<()>;
}

/// A closure is the `dispatch` of a source that only a descriptor or a ready time makes ready.
impl<F: Fn(SourceRef<'_>) -> ControlFlow<()> + 'static> Callbacks for F {
    fn dispatch(&self, this: SourceRef<'_>) -> ControlFlow<()> {
        self(this)
    }
}

/// A source, as its callbacks see it.
#[derive(Clone, Copy)]
pub struct SourceRef<'a> {
    pub(super) raw: *mut GSource,
    pub(super) watches: &'a Watches,
    /// The context that another thread could iterate now. None inside a callback, where this thread
    /// does, and before the source is attached.
    #[cfg_attr(not(unix), expect(dead_code, reason = "it matters to descriptors alone"))]
    pub(super) context: Option<&'a MainContext>,
    /// Not `Send`: what is reached through it belongs to one thread.
    _thread: PhantomData<*const ()>,
}

impl<'a> SourceRef<'a> {
    pub(super) fn new(
        raw: *mut GSource,
        watches: &'a Watches,
        context: Option<&'a MainContext>,
    ) -> Self {
        Self { raw, watches, context, _thread: PhantomData }
    }

    /// Sets when the source becomes ready, in microseconds of GLib's monotonic clock; `None` means
    /// never. Each change costs a write to the context's eventfd and one more iteration.
    ///
    /// ```
    /// # use loopnest_strategies::glib::{IOCondition, MainContext};
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// # let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// let in_a_second = loopnest_strategies::glib::monotonic_time() + 1_000_000;
    /// source.as_ref().set_ready_time(Some(in_a_second));
    /// ```
    pub fn set_ready_time(&self, at: Option<i64>) {
        // SAFETY: the source is alive, and these are its watches.
        unsafe { self.watches.set_ready_time(self.raw, at.unwrap_or(-1)) };
    }
}

impl fmt::Debug for SourceRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SourceRef")
    }
}
