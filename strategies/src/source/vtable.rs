//! What GLib calls: the functions behind a [`Source`](super::Source), and the memory they share.

#![expect(unsafe_code, reason = "GLib calls these, with its own memory")]

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use glib::ffi::{self, GSource, GSourceFuncs, gboolean, gpointer};

use super::asked::Asking;
use super::callbacks::{Callbacks, Prepare, SourceRef};
use super::running::carry_panic;
use super::watches::Watches;
use crate::advice;

/// What the C side points to.
pub(super) struct Payload<C> {
    home: usize,
    pub(super) callbacks: C,
    pub(super) watches: Watches,
    /// Descriptors that are watched, to keep them open.
    #[cfg_attr(not(unix), expect(dead_code, reason = "GLib watches descriptors on Unix alone"))]
    pub(super) kept: RefCell<Vec<Box<dyn Any>>>,
}

/// The memory that GLib allocates for us: its own header, then ours.
#[repr(C)]
struct Raw<C> {
    header: GSource,
    /// Unique among all sources of the process, unlike its address.
    number: usize,
    cell: *mut Payload<C>,
}

/// The functions for callbacks of this type; its constant is promoted to a static.
struct Funcs<C>(PhantomData<C>);

impl<C: Callbacks> Funcs<C> {
    const FUNCS: GSourceFuncs = GSourceFuncs {
        prepare: Some(prepare::<C>),
        check: Some(check::<C>),
        dispatch: Some(dispatch::<C>),
        finalize: Some(finalize::<C>),
        closure_callback: None,
        closure_marshal: None,
    };
}

/// Creates a source with these callbacks. The returned pointer is valid until the source is
/// finalised.
pub(super) fn make<C: Callbacks>(callbacks: C) -> (glib::Source, *const Payload<C>) {
    let payload = Payload {
        home: thread_number(),
        callbacks,
        watches: Watches::default(),
        kept: RefCell::default(),
    };
    let cell = Box::into_raw(Box::new(payload));
    let size = const { size_of::<Raw<C>>() as u32 };
    // SAFETY: `FUNCS` is promoted to a static; `size` covers the header; GLib zeroes the rest, and
    // no callback can run before the source is attached, by when `cell` is set.
    let source = unsafe {
        let funcs: &'static GSourceFuncs = &const { Funcs::<C>::FUNCS };
        let raw = ffi::g_source_new(ptr::from_ref(funcs).cast_mut(), size);
        (*raw.cast::<Raw<C>>()).cell = cell;
        (*raw.cast::<Raw<C>>()).number = NEXT.fetch_add(1, Ordering::Relaxed);
        glib::translate::from_glib_full(raw)
    };
    (source, cell)
}

/// Identifies the source; never reused, unlike its address.
///
/// # Safety
/// The source was made by [`make`] and is alive.
#[cfg(unix)]
pub(super) unsafe fn number(source: *mut GSource) -> usize {
    // SAFETY: by the contract; `number` is at the same offset whatever the callbacks are.
    unsafe { (*source.cast::<Raw<()>>()).number }
}

static NEXT: AtomicUsize = AtomicUsize::new(1);

/// Identifies this thread; never reused, unlike an address.
fn thread_number() -> usize {
    thread_local!(static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed));
    // A callback may run while thread-locals are being destroyed; then no source belongs here.
    NUMBER.try_with(|n| *n).unwrap_or(0)
}

/// Runs `call` with the callbacks of `source` if this is their thread; carries panics.
///
/// # Safety
/// `source` was made by [`make::<C>`](make) and is alive.
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
    let this = SourceRef::new(source, &cell.watches, None);
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

/// Lets GLib watch for the source in its own thread's loop, and not in another's.
///
/// # Safety
/// As for [`guarded`].
unsafe fn settle<C: Callbacks>(source: *mut GSource) {
    // SAFETY: as in `guarded`.
    let cell = unsafe { &*(*source.cast::<Raw<C>>()).cell };
    if cell.home == thread_number() {
        // SAFETY: alive, by the contract.
        unsafe { cell.watches.come_back(source) };
        return;
    }
    // SAFETY: alive, by the contract.
    if unsafe { cell.watches.leave(source) } {
        static ELSEWHERE: AtomicBool = AtomicBool::new(false);
        advice::warn_once(
            &ELSEWHERE,
            "a source is in the loop of a thread that did not make it, and does nothing there; make \
             Dispatch, Nested, Handoff, JobQueue and Source on the thread that runs their context",
        );
    }
}

// SAFETY: for GLib only, which calls it with a source that was made with these functions.
unsafe extern "C" fn prepare<C: Callbacks>(source: *mut GSource, timeout: *mut i32) -> gboolean {
    // SAFETY: GLib calls this only with a source that was made with these functions.
    let said = unsafe {
        settle::<C>(source);
        guarded::<C, _>(source, Prepare::Wait(None), |callbacks, this| {
            let _asking = Asking::new();
            callbacks.prepare(this)
        })
    };
    let (ready, ms) = match said {
        Prepare::Ready => (true, 0),
        Prepare::Wait(None) => (false, -1),
        // Rounded up: a wait that ends early would spin for the rest of the millisecond.
        Prepare::Wait(Some(time)) => {
            (false, i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX))
        }
    };
    // SAFETY: GLib passes the address of a local variable.
    unsafe { *timeout = ms };
    gboolean::from(ready)
}

// SAFETY: as for `prepare`.
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

// SAFETY: as for `prepare`: only GLib calls it, with a source that was made with this `C`.
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
    // SAFETY: as in `prepare`; GLib finalises a source once, so the box is taken once.
    let cell = unsafe { (*source.cast::<Raw<C>>()).cell };
    // SAFETY: there is no other reference to it any more.
    if unsafe { (*cell).home } != thread_number() {
        // Dropping the callbacks here would drop another thread's values.
        return;
    }
    // SAFETY: made by `Box::into_raw` in `make`.
    let cell = unsafe { Box::from_raw(cell) };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(cell))) {
        carry_panic(panic);
    }
}
