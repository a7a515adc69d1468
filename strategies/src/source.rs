//! A safe wrapper round `GSource`, with what glib-rs leaves out: `prepare`, `check`, recursion.
//!
//! The callbacks take `&self`, not `&mut self`: a source that may recurse is dispatched again
//! while its own dispatch is on the stack.
//!
//! # Panics in callbacks
//!
//! A panic never crosses C.
//! It is caught, the source is destroyed, the innermost loop run by [`run`] is ended, and the
//! panic goes on there, in the caller of `run`.
//! With no such loop on the stack it is kept until there is one, or until
//! [`resume_carried_panic`].
//!
//! # Threads
//!
//! A [`Source`] belongs to the thread that made it, and so do its callbacks.
//! On any other thread that happens to iterate the context they do nothing, and if the last
//! reference goes there the callbacks are leaked rather than dropped.

#![expect(unsafe_code, reason = "GLib's sources are C")]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use glib::ffi::{self, GSource, GSourceFuncs, gboolean, gpointer};
use glib::translate::ToGlibPtr;

/// What `prepare` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prepare {
    /// Dispatch without polling for anything else.
    Ready,
    /// Nothing now; ask again after this time at the latest.
    Wait(Option<Duration>),
}

/// The callbacks of a source. Each runs on the thread that made the source.
///
/// `prepare` and `check` must not iterate the context (GLib 2.74 deadlocks, fixed in 2.77.0).
pub trait Callbacks: 'static {
    /// Before the loop sleeps. By default the source is not ready and does not say how long the loop
    /// may sleep.
    fn prepare(&self, this: SourceRef<'_>) -> Prepare {
        let _ = this;
        Prepare::Wait(None)
    }

    /// After the loop slept: is there something to dispatch? By default there is not.
    /// A descriptor of the source that is ready makes it ready whatever this says.
    fn check(&self, this: SourceRef<'_>) -> bool {
        let _ = this;
        false
    }

    /// Do it; `Break` destroys the source.
    fn dispatch(&self, this: SourceRef<'_>) -> ControlFlow<()>;
}

/// A source of ours, destroyed when dropped.
pub struct Source<C: Callbacks> {
    source: glib::Source,
    callbacks: *const Payload<C>,
    /// Whether dropping this destroys the source.
    owner: bool,
    _thread: PhantomData<*const ()>,
}

/// What the C side points to.
struct Payload<C> {
    home: usize,
    callbacks: C,
    /// Descriptors that are watched.
    kept: RefCell<Vec<Box<dyn Any>>>,
}

/// The memory that GLib allocates for us: its own header, then ours.
#[repr(C)]
struct Raw<C> {
    header: GSource,
    /// Unique among all sources of the process, unlike its address.
    number: usize,
    cell: *mut Payload<C>,
}

/// A name for a descriptor of a source; of no use with another source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdTag {
    source: usize,
    tag: gpointer,
}

/// A source, seen from one of its callbacks.
#[derive(Clone, Copy)]
pub struct SourceRef<'a> {
    raw: *mut GSource,
    _life: PhantomData<&'a ()>,
}

impl<C: Callbacks> Source<C> {
    const FUNCS: GSourceFuncs = GSourceFuncs {
        prepare: Some(prepare::<C>),
        check: Some(check::<C>),
        dispatch: Some(dispatch::<C>),
        finalize: Some(finalize::<C>),
        closure_callback: None,
        closure_marshal: None,
    };

    /// Makes a source; nothing happens until it is attached.
    pub fn new(name: &str, callbacks: C) -> Self {
        ALIVE.fetch_add(1, Ordering::Relaxed);
        let cell = Box::into_raw(Box::new(Payload {
            home: thread_number(),
            callbacks,
            kept: RefCell::default(),
        }));
        let size = const { size_of::<Raw<C>>() as u32 };
        // SAFETY: `FUNCS` is promoted to a static; `size` covers the header; GLib zeroes the rest,
        // and no callback can run before the source is attached, by when `cell` is set.
        let source = unsafe {
            let funcs: &'static GSourceFuncs = &const { Self::FUNCS };
            let raw = ffi::g_source_new(ptr::from_ref(funcs).cast_mut(), size);
            (*raw.cast::<Raw<C>>()).cell = cell;
            (*raw.cast::<Raw<C>>()).number = NEXT.fetch_add(1, Ordering::Relaxed);
            let source: glib::Source = glib::translate::from_glib_full(raw);
            source
        };
        let this = Self { source, callbacks: cell, owner: true, _thread: PhantomData };
        if let Ok(name) = std::ffi::CString::new(name) {
            // SAFETY: the source is alive and GLib copies the name.
            unsafe { ffi::g_source_set_name(this.raw(), name.as_ptr()) };
        }
        this
    }

    /// Lets the source be dispatched again while its own dispatch runs.
    pub fn set_can_recurse(&self, can: bool) {
        // SAFETY: the source is alive.
        unsafe { ffi::g_source_set_can_recurse(self.raw(), gboolean::from(can)) };
    }

    /// Sets GLib's priority; lower numbers go first. Does nothing once the source is destroyed.
    ///
    /// # Panics
    /// Inside of a `prepare` or a `check`: GLib then goes on at a place in its list of sources that
    /// is freed when the source was the only one of its priority (gmain.c 2.74.6, line 1109). And
    /// while another thread iterates the context, which might be in one.
    pub fn set_priority(&self, priority: i32) {
        assert_nobody_is_asked();
        // GLib would poll the descriptors again, and never stop (gmain.c 2.74.6, line 1904).
        if self.source.is_destroyed() {
            return;
        }
        let context = self.source.context();
        let _own = context.as_ref().map(|c| c.acquire().expect("a context of this thread"));
        // SAFETY: the source is alive.
        unsafe { ffi::g_source_set_priority(self.raw(), priority) };
    }

    /// Attaches it to `context`.
    ///
    /// # Panics
    /// When it is attached already, or was destroyed.
    pub fn attach(&self, context: &glib::MainContext) {
        // Not by way of glib-rs, which takes the id for one that is not zero without looking.
        // SAFETY: both are alive.
        let id = unsafe { ffi::g_source_attach(self.raw(), context.to_glib_none().0) };
        assert_ne!(id, 0, "a source can be attached once, and not after it was destroyed");
    }

    /// Watches a descriptor, and keeps it for as long as the source lives. Readiness makes the
    /// source ready by itself.
    pub fn add_fd(&self, fd: impl AsFd + 'static, condition: glib::IOCondition) -> FdTag {
        let raw_fd = fd.as_fd().as_raw_fd();
        // SAFETY: as in `callbacks`. Kept, and so open, until the source is finalised.
        unsafe { (*self.callbacks).kept.borrow_mut().push(Box::new(fd)) };
        // SAFETY: the source is alive, and GLib only polls the number.
        let tag = unsafe { ffi::g_source_add_unix_fd(self.raw(), raw_fd, condition.bits()) };
        FdTag { source: self.as_ref().number(), tag }
    }

    /// The source as glib-rs sees it.
    pub fn as_glib(&self) -> &glib::Source {
        &self.source
    }

    /// The callbacks.
    pub fn callbacks(&self) -> &C {
        // SAFETY: the cell lives until the source is finalised, which needs our reference gone.
        unsafe { &(*self.callbacks).callbacks }
    }

    /// The source as its callbacks see it.
    pub fn as_ref(&self) -> SourceRef<'_> {
        SourceRef { raw: self.raw(), _life: PhantomData }
    }

    /// Removes it from its context; no callback runs any more.
    pub fn destroy(&self) {
        self.source.destroy();
    }

    /// Leaves the source to its context: it lives until a dispatch returns `Break`.
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
    /// Changes what is watched for; costs a write to the context's eventfd.
    pub fn modify_fd(&self, tag: FdTag, condition: glib::IOCondition) {
        if tag.source == self.number() {
            // SAFETY: the tag belongs to this source, which is alive.
            unsafe { ffi::g_source_modify_unix_fd(self.raw, tag.tag, condition.bits()) };
        }
    }

    /// Watches it no longer. The descriptor is kept all the same, until the source is gone.
    pub fn remove_fd(&self, tag: FdTag) {
        if tag.source == self.number() {
            // SAFETY: the source is alive, and GLib compares the tag with those that it has before
            // it looks at what the tag points to.
            unsafe { ffi::g_source_remove_unix_fd(self.raw, tag.tag) };
        }
    }

    /// What was ready when the loop last polled.
    pub fn query_fd(&self, tag: FdTag) -> glib::IOCondition {
        if tag.source != self.number() {
            return glib::IOCondition::empty();
        }
        // SAFETY: the tag belongs to this source, which is alive.
        let bits = unsafe { ffi::g_source_query_unix_fd(self.raw, tag.tag) };
        glib::IOCondition::from_bits_truncate(bits)
    }

    /// Sets when the source becomes ready, in GLib's monotonic microseconds; `None` for never.
    /// Each change costs a write to the context's eventfd and one more iteration.
    pub fn set_ready_time(&self, at: Option<i64>) {
        // SAFETY: the source is alive.
        unsafe { ffi::g_source_set_ready_time(self.raw, at.unwrap_or(-1)) };
    }

    fn number(&self) -> usize {
        // SAFETY: only sources of ours become a `SourceRef`, and `number` stands at the same
        // offset whatever the callbacks are.
        unsafe { (*self.raw.cast::<Raw<()>>()).number }
    }
}

impl fmt::Debug for SourceRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SourceRef")
    }
}

/// Sources that were made and not yet finalised.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// How many sources of this wrapper there are in the process: for programs, and their tests, that
/// look for leaks.
pub fn n_alive() -> usize {
    ALIVE.load(Ordering::Relaxed)
}

static NEXT: AtomicUsize = AtomicUsize::new(1);

/// A number for this thread; never given again, unlike an address.
fn thread_number() -> usize {
    thread_local!(static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    // A callback may run while the thread's locals are being destroyed: then it is nobody's.
    NUMBER.try_with(|n| *n).unwrap_or(0)
}

/// Runs `call` with the callbacks of `source` if this is their thread; carries panics.
///
/// # Safety
/// `source` was made by [`Source::<C>::new`] and is alive.
unsafe fn guarded<C: Callbacks, R>(
    source: *mut GSource,
    otherwise: R,
    call: impl FnOnce(&C, SourceRef<'_>) -> R,
) -> R {
    // SAFETY: by the contract; the cell is freed by `finalize` only, which cannot run while GLib
    // is in a callback of the source.
    let cell = unsafe { &*(*source.cast::<Raw<C>>()).cell };
    if cell.home != thread_number() {
        return otherwise;
    }
    let this = SourceRef { raw: source, _life: PhantomData };
    match catch_unwind(AssertUnwindSafe(|| call(&cell.callbacks, this))) {
        Ok(result) => result,
        Err(panic) => {
            // SAFETY: alive, by the contract.
            unsafe { ffi::g_source_destroy(source) };
            carry_panic(panic);
            otherwise
        }
    }
}

// SAFETY: for GLib only, which calls it with a source that was made with these functions.
unsafe extern "C" fn prepare<C: Callbacks>(source: *mut GSource, timeout: *mut i32) -> gboolean {
    // SAFETY: GLib calls this only with a source that was made with these functions.
    let said = unsafe {
        guarded::<C, _>(source, Prepare::Wait(None), |callbacks, this| {
            let _asking = Asking::new();
            callbacks.prepare(this)
        })
    };
    let (ready, ms) = match said {
        Prepare::Ready => (true, 0),
        Prepare::Wait(None) => (false, -1),
        // Rounded up: a wait that ends early would be a spin over the last millisecond.
        Prepare::Wait(Some(time)) => {
            (false, i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX))
        }
    };
    // SAFETY: GLib passes the address of a local variable.
    unsafe { *timeout = ms };
    gboolean::from(ready)
}

unsafe extern "C" fn check<C: Callbacks>(source: *mut GSource) -> gboolean {
    // SAFETY: as in `prepare`.
    let ready = unsafe {
        guarded::<C, _>(source, false, |callbacks, this| {
            let _asking = Asking::new();
            callbacks.check(this)
        })
    };
    gboolean::from(ready)
}

// SAFETY: as with `prepare`, only GLib calls it, with a source that was made with this `C`.
unsafe extern "C" fn dispatch<C: Callbacks>(
    source: *mut GSource,
    _callback: ffi::GSourceFunc,
    _data: gpointer,
) -> gboolean {
    // SAFETY: as in `prepare`.
    let flow = unsafe {
        guarded::<C, _>(source, ControlFlow::Continue(()), |callbacks, this| {
            callbacks.dispatch(this)
        })
    };
    gboolean::from(flow.is_continue())
}

// SAFETY: for GLib only, which calls it once, with a source that was made with these functions.
unsafe extern "C" fn finalize<C: Callbacks>(source: *mut GSource) {
    ALIVE.fetch_sub(1, Ordering::Relaxed);
    // SAFETY: as in `prepare`; GLib finalises a source once, so the box is taken once.
    let cell = unsafe { (*source.cast::<Raw<C>>()).cell };
    // SAFETY: nobody else has it any more.
    if unsafe { (*cell).home } != thread_number() {
        // Dropping the callbacks here would drop another thread's values.
        return;
    }
    // SAFETY: made by `Box::into_raw` in `new`.
    let cell = unsafe { Box::from_raw(cell) };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(cell))) {
        carry_panic(panic);
    }
}

thread_local! {
    /// How many `prepare` and `check` are on the stack.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

/// Notes that a `prepare` or a `check` is on the stack.
struct Asking;

impl Asking {
    fn new() -> Self {
        let _ = ASKED.try_with(|n| n.set(n.get() + 1));
        Self
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let _ = ASKED.try_with(|n| n.set(n.get() - 1));
    }
}

/// Panics where a change of a priority would take the place from under GLib.
fn assert_nobody_is_asked() {
    let n = ASKED.try_with(Cell::get).unwrap_or(0);
    assert_eq!(n, 0, "a priority cannot be changed inside of a prepare or a check");
}

thread_local! {
    /// The loops that `run` has on the stack.
    static LOOPS: RefCell<Vec<glib::MainLoop>> = const { RefCell::new(Vec::new()) };
    /// A panic on its way to the caller of `run`.
    static CARRIED: Cell<Option<Box<dyn Any + Send>>> = const { Cell::new(None) };
}

/// Quits the loop from any thread, also if it has not begun: a quit before that is forgotten
/// (gmain.c 2.74.6, line 4446), so it goes by way of the context.
pub fn quit_when_running(main_loop: &glib::MainLoop) {
    let quit = main_loop.clone();
    glib::idle_source_new(None, glib::Priority::DEFAULT, move || {
        quit.quit();
        glib::ControlFlow::Break
    })
    .attach(Some(&main_loop.context()));
}

/// Runs `main_loop` until it is quit; a panic in a callback of ours ends it and goes on here.
///
/// # Panics
/// With the panic of a callback, if there was one.
pub fn run(main_loop: &glib::MainLoop) {
    run_keeping(main_loop);
    resume_carried_panic();
}

/// As [`run`], but a panic stays carried.
pub(crate) fn run_keeping(main_loop: &glib::MainLoop) {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            LOOPS.with_borrow_mut(|loops| loops.pop());
        }
    }
    LOOPS.with_borrow_mut(|loops| loops.push(main_loop.clone()));
    let _leave = Leave;
    main_loop.run();
}

/// Keeps a panic that was caught at the border to C, and ends the innermost loop of [`run`].
pub(crate) fn carry_panic(panic: Box<dyn Any + Send>) {
    // While the thread's locals are destroyed there is nobody left to carry it to.
    let _ = CARRIED.try_with(|carried| {
        // The first panic is the cause; later ones are consequences.
        let first = carried.take();
        carried.set(Some(first.unwrap_or(panic)));
    });
    let _ = LOOPS.try_with(|loops| {
        if let Ok(loops) = loops.try_borrow()
            && let Some(innermost) = loops.last()
        {
            innermost.quit();
        }
    });
}

/// Whether a panic is on its way.
pub(crate) fn panic_is_carried() -> bool {
    CARRIED.with(|carried| {
        let panic = carried.take();
        let is = panic.is_some();
        carried.set(panic);
        is
    })
}

/// Goes on with a panic that a callback of ours began, if there is one.
///
/// [`run`] does this by itself; needed only where the loop is run by other means.
///
/// # Panics
/// With the panic of the callback.
pub fn resume_carried_panic() {
    if let Some(panic) = CARRIED.take() {
        resume_unwind(panic);
    }
}
