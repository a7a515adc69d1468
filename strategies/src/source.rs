//! A safe wrapper around `GSource`, with what glib-rs leaves out: `prepare`, `check`, recursion.
//!
//! The callbacks take `&self`, not `&mut self`, because a source that can recurse is dispatched
//! again while its own dispatch is on the stack.
//!
//! # Panics in callbacks
//!
//! A panic never crosses C.
//! It is caught, the source is destroyed, the innermost loop run by [`run`] is quit, and the panic
//! is resumed in the caller of that `run`.
//! If there is no such loop on the stack, the panic is kept until there is one, or until
//! [`resume_carried_panic`] is called.
//!
//! # Threads
//!
//! A [`Source`] and its callbacks belong to the thread that created it.
//! If another thread iterates the context, the callbacks do nothing there. If the last reference is
//! dropped there, the callbacks are leaked.
//!
//! # Example
//!
//! A closure is enough if only a descriptor makes the source ready:
//!
//! ```
//! use std::cell::Cell;
//! use std::io::{Read, Write};
//! use std::ops::ControlFlow;
//! use std::os::unix::net::UnixStream;
//! use std::rc::Rc;
//!
//! use loopnest_strategies::glib::{IOCondition, MainContext};
//! use loopnest_strategies::source::{Source, SourceRef};
//!
//! let (ours, mut theirs) = UnixStream::pair()?;
//! let watched = ours.try_clone()?;
//! let read = Rc::new(Cell::new(0));
//! let source = Source::new("echo", {
//!     let read = read.clone();
//!     move |_: SourceRef<'_>| {
//!         let mut byte = [0];
//!         read.set((&ours).read(&mut byte).unwrap_or(0));
//!         ControlFlow::Break(())
//!     }
//! });
//! source.add_fd(watched, IOCondition::IN);
//! let context = MainContext::new();
//! source.attach(&context);
//!
//! theirs.write_all(b"x")?;
//! context.iteration(true);
//! assert_eq!(read.get(), 1);
//! # Ok::<(), std::io::Error>(())
//! ```

#![expect(unsafe_code, reason = "GLib's sources are C")]

#[cfg(unix)]
mod fd;
mod running;
mod vtable;

use std::fmt;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use glib::ffi::{self, GSource, gboolean};
use glib::translate::ToGlibPtr;

#[cfg(unix)]
pub use self::fd::FdTag;
pub(crate) use self::running::{carry_panic, panic_is_carried, run_keeping};
pub use self::running::{quit_when_running, resume_carried_panic, run};
use self::vtable::{ALIVE, Payload, assert_nobody_is_asked};

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

/// A source with our callbacks; dropping it destroys the source.
pub struct Source<C: Callbacks> {
    source: glib::Source,
    callbacks: *const Payload<C>,
    /// Whether dropping this destroys the source.
    owner: bool,
    _thread: PhantomData<*const ()>,
}

/// A source, as its callbacks see it.
#[derive(Clone, Copy)]
pub struct SourceRef<'a> {
    raw: *mut GSource,
    _life: PhantomData<&'a ()>,
}

impl<C: Callbacks> Source<C> {
    /// Creates a source; nothing happens until it is attached.
    ///
    /// ```
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// assert_eq!(source.as_glib().name().as_deref(), Some("quiet"));
    /// ```
    pub fn new(name: &str, callbacks: C) -> Self {
        let (source, callbacks) = vtable::make(callbacks);
        let this = Self { source, callbacks, owner: true, _thread: PhantomData };
        if let Ok(name) = std::ffi::CString::new(name) {
            // SAFETY: the source is alive and GLib copies the name.
            unsafe { ffi::g_source_set_name(this.raw(), name.as_ptr()) };
        }
        this
    }

    /// Sets whether the source can be dispatched again while its own dispatch runs.
    ///
    /// ```
    /// # use loopnest_strategies::glib::{IOCondition, MainContext};
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// # let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// source.set_can_recurse(true);
    /// assert!(source.as_glib().can_recurse());
    /// ```
    pub fn set_can_recurse(&self, can: bool) {
        // SAFETY: the source is alive.
        unsafe { ffi::g_source_set_can_recurse(self.raw(), gboolean::from(can)) };
    }

    /// Sets GLib's priority; lower numbers go first. Does nothing once the source is destroyed.
    ///
    /// ```
    /// # use loopnest_strategies::glib::{IOCondition, MainContext};
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// # let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// source.set_priority(200);
    /// assert_eq!(source.as_glib().priority(), 200.into());
    /// ```
    ///
    /// # Panics
    /// If called inside a `prepare` or a `check`: if the source is the only one of its priority,
    /// GLib then continues from a freed list node (gmain.c 2.74.6, line 1109). Also while another
    /// thread iterates the context, because that thread may be in one.
    pub fn set_priority(&self, priority: i32) {
        assert_nobody_is_asked();
        // GLib would add the descriptors again and never remove them (gmain.c 2.74.6, line 1904).
        if self.source.is_destroyed() {
            return;
        }
        let context = self.source.context();
        let _own = context.as_ref().map(|c| c.acquire().expect("no other thread owns the context"));
        // SAFETY: the source is alive.
        unsafe { ffi::g_source_set_priority(self.raw(), priority) };
    }

    /// Attaches the source to `context`.
    ///
    /// ```
    /// # use loopnest_strategies::glib::{IOCondition, MainContext};
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// # let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// let context = MainContext::new();
    /// source.attach(&context);
    /// assert_eq!(source.as_glib().context(), Some(context));
    /// ```
    ///
    /// # Panics
    /// If the source is already attached, or was destroyed.
    pub fn attach(&self, context: &glib::MainContext) {
        // Not through glib-rs, which assumes that the id is not zero.
        // SAFETY: both are alive.
        let id = unsafe { ffi::g_source_attach(self.raw(), context.to_glib_none().0) };
        assert_ne!(id, 0, "a source can be attached once, and not after it was destroyed");
    }

    /// The source as a glib-rs type.
    ///
    /// ```
    /// # use loopnest_strategies::glib::{IOCondition, MainContext};
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// # let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// assert!(!source.as_glib().is_destroyed());
    /// ```
    pub fn as_glib(&self) -> &glib::Source {
        &self.source
    }

    /// The callbacks.
    ///
    /// ```
    /// use std::cell::Cell;
    /// use std::ops::ControlFlow;
    ///
    /// use loopnest_strategies::glib::MainContext;
    /// use loopnest_strategies::source::{Callbacks, Prepare, Source, SourceRef};
    ///
    /// /// Counts the iterations of its context.
    /// #[derive(Default)]
    /// struct Probe(Cell<u32>);
    ///
    /// impl Callbacks for Probe {
    ///     fn prepare(&self, _: SourceRef<'_>) -> Prepare {
    ///         self.0.set(self.0.get() + 1);
    ///         Prepare::Wait(None)
    ///     }
    ///
    ///     fn dispatch(&self, _: SourceRef<'_>) -> ControlFlow<()> {
    ///         ControlFlow::Continue(())
    ///     }
    /// }
    ///
    /// let (context, source) = (MainContext::new(), Source::new("probe", Probe::default()));
    /// source.attach(&context);
    /// context.iteration(false);
    /// assert_eq!(source.callbacks().0.get(), 1);
    /// ```
    pub fn callbacks(&self) -> &C {
        // SAFETY: the cell lives until the source is finalised, and we hold a reference to it.
        unsafe { &(*self.callbacks).callbacks }
    }

    /// The source as its callbacks see it.
    ///
    /// ```
    /// # use loopnest_strategies::glib::{IOCondition, MainContext};
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// # let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// source.as_ref().set_ready_time(None);
    /// ```
    pub fn as_ref(&self) -> SourceRef<'_> {
        SourceRef::new(self.raw())
    }

    /// Removes the source from its context; its callbacks are not called again.
    ///
    /// ```
    /// # use loopnest_strategies::glib::{IOCondition, MainContext};
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// # let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// source.destroy();
    /// assert!(source.as_glib().is_destroyed());
    /// ```
    pub fn destroy(&self) {
        self.source.destroy();
    }

    /// Gives the source to its context: it lives until a dispatch returns `Break`.
    ///
    /// ```
    /// # use loopnest_strategies::glib::{IOCondition, MainContext};
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// # let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// # let context = MainContext::new();
    /// source.as_ref().set_ready_time(Some(0));
    /// source.attach(&context);
    /// source.release();
    /// assert!(context.iteration(false));
    /// ```
    pub fn release(mut self) {
        self.owner = false;
    }

    fn raw(&self) -> *mut GSource {
        self.source.to_glib_none().0
    }
}

impl<C: Callbacks> Drop for Source<C> {
    fn drop(&mut self) {
        if self.owner {
            self.source.destroy();
        }
    }
}

impl<C: Callbacks> fmt::Debug for Source<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.source.name()).finish()
    }
}

impl SourceRef<'_> {
    fn new(raw: *mut GSource) -> Self {
        Self { raw, _life: PhantomData }
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
    /// assert_eq!(source.as_glib().ready_time(), in_a_second);
    /// ```
    pub fn set_ready_time(&self, at: Option<i64>) {
        // SAFETY: the source is alive.
        unsafe { ffi::g_source_set_ready_time(self.raw, at.unwrap_or(-1)) };
    }
}

impl fmt::Debug for SourceRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SourceRef")
    }
}

/// How many [`Source`]s exist in the process, including those that GLib still holds. For finding
/// leaks.
///
/// ```
/// # use loopnest_strategies::source::{Source, SourceRef, n_alive};
/// # use std::ops::ControlFlow;
/// let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
/// assert_eq!(n_alive(), 1);
/// drop(source);
/// assert_eq!(n_alive(), 0);
/// ```
pub fn n_alive() -> usize {
    ALIVE.load(Ordering::Relaxed)
}
