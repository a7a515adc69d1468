//! The handle to a source: made, attached, changed and destroyed through it.

#![expect(unsafe_code, reason = "GLib's sources are C")]

use std::cell::OnceCell;
use std::fmt;
use std::marker::PhantomData;

use glib::MainContext;
use glib::ffi::{self, GSource, gboolean};
use glib::translate::ToGlibPtr;

use super::asked::assert_nobody_is_asked;
use super::callbacks::{Callbacks, SourceRef};
use super::vtable::{self, Payload};

/// A source with our callbacks; dropping it destroys the source.
pub struct Source<C: Callbacks> {
    source: glib::Source,
    pub(super) callbacks: *const Payload<C>,
    /// The context that it was attached to. GLib reads it from the source without a lock whenever
    /// the source is changed or dropped, so it must not go before: dropped after the source.
    context: OnceCell<MainContext>,
    /// Whether dropping this destroys the source.
    owner: bool,
    _thread: PhantomData<*const ()>,
}

impl<C: Callbacks> Source<C> {
    /// Creates a source; nothing happens until it is attached.
    ///
    /// ```
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// assert_eq!(format!("{source:?}"), r#"Source(Some("quiet"))"#);
    /// ```
    pub fn new(name: &str, callbacks: C) -> Self {
        let (source, callbacks) = vtable::make(callbacks);
        let this =
            Self { source, callbacks, context: OnceCell::new(), owner: true, _thread: PhantomData };
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
    /// ```
    ///
    /// # Panics
    /// If called inside a `prepare` or a `check`: if the source is the only one of its priority,
    /// GLib then continues from a freed list node (gmain.c 2.74.6, line 1109). Also while another
    /// thread iterates the context, because that thread may be in one.
    pub fn set_priority(&self, priority: i32) {
        assert_nobody_is_asked("a priority cannot be changed");
        // GLib would add the descriptors again and never remove them (gmain.c 2.74.6, line 1904).
        if self.source.is_destroyed() {
            return;
        }
        let _own =
            self.context.get().map(|c| c.acquire().expect("no other thread owns the context"));
        // SAFETY: the source is alive.
        unsafe { ffi::g_source_set_priority(self.raw(), priority) };
    }

    /// Attaches the source to `context`, and keeps the context for as long as this handle lives.
    ///
    /// ```
    /// # use loopnest_strategies::glib::{IOCondition, MainContext};
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// # let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// let context = MainContext::new();
    /// source.attach(&context);
    /// assert_eq!(source.context(), Some(&context));
    /// ```
    ///
    /// # Panics
    /// If the source is already attached, or was destroyed.
    pub fn attach(&self, context: &MainContext) {
        // Not through glib-rs, which assumes that the id is not zero.
        // SAFETY: both are alive.
        let id = unsafe { ffi::g_source_attach(self.raw(), context.to_glib_none().0) };
        assert_ne!(id, 0, "a source can be attached once, and not after it was destroyed");
        // Attached once, so nothing is there yet.
        let _ = self.context.set(context.clone());
    }

    /// The context that the source was attached to.
    ///
    /// ```
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// # let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// assert!(source.context().is_none());
    /// ```
    pub fn context(&self) -> Option<&MainContext> {
        self.context.get()
    }

    /// Whether the source was destroyed: by [`destroy`](Self::destroy), by a dispatch that returned
    /// `Break`, or by a panic.
    ///
    /// ```
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// # let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// assert!(!source.is_destroyed());
    /// ```
    pub fn is_destroyed(&self) -> bool {
        self.source.is_destroyed()
    }

    /// The source as a glib-rs type.
    ///
    /// ```
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// # let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// // SAFETY: it is only looked at.
    /// assert!(!unsafe { source.as_glib() }.is_destroyed());
    /// ```
    ///
    /// # Safety
    /// Attached by it, or as the child of another source, the source is in a context of which this
    /// handle does not know. Then keep that context for as long as this handle, and change or query a
    /// descriptor only while no other thread iterates the context.
    pub unsafe fn as_glib(&self) -> &glib::Source {
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
        // SAFETY: as in `callbacks`.
        let watches = unsafe { &(*self.callbacks).watches };
        SourceRef::new(self.raw(), watches, self.context.get())
    }

    /// Removes the source from its context; its callbacks are not called again.
    ///
    /// ```
    /// # use loopnest_strategies::glib::{IOCondition, MainContext};
    /// # use loopnest_strategies::source::{Source, SourceRef};
    /// # use std::ops::ControlFlow;
    /// # let source = Source::new("quiet", |_: SourceRef<'_>| ControlFlow::Continue(()));
    /// source.destroy();
    /// assert!(source.is_destroyed());
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

    pub(super) fn raw(&self) -> *mut GSource {
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
