//! More of GLib's main loop than a strategy needs, for tests that compare the model with it.
//!
//! It is sound like everything else here, as long as one thread at a time uses a context.

#![expect(unsafe_code, reason = "these are functions of C that glib-rs leaves out")]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};

use glib::ffi::{self, GPollFD, gboolean};
use glib::translate::ToGlibPtr;
use glib::{IOCondition, MainContext, Source};

thread_local!(static ASKING: Cell<bool> = const { Cell::new(false) });

/// Calls a `prepare` or a `check` of a test's source: GLib must not be asked to poll other descriptors
/// from inside one, so [`set_priority`] panics meanwhile.
pub fn asking<R>(call: impl FnOnce() -> R) -> R {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            ASKING.set(self.0);
        }
    }
    let _before = Before(ASKING.replace(true));
    call()
}

/// `g_source_set_priority`.
///
/// # Panics
/// While [`asking`], like
/// [`Source::set_priority`](loopnest_strategies::source::Source::set_priority); and where another
/// thread owns the context, and might be in a `prepare`.
pub fn set_priority(source: &Source, priority: i32) {
    assert!(!ASKING.get(), "a priority cannot be changed inside of a prepare or a check");
    // GLib would poll its descriptors again, and never stop (gmain.c 2.74.6, line 1904).
    if source.is_destroyed() {
        return;
    }
    let context = source.context();
    let _own = context.as_ref().map(|c| c.acquire().expect("a context that nobody else owns"));
    // SAFETY: the source is alive; its poll records are too, see `PollFd`.
    unsafe { ffi::g_source_set_priority(source.to_glib_none().0, priority) };
}

/// `g_source_set_can_recurse`.
pub fn set_can_recurse(source: &Source, can: bool) {
    // SAFETY: the source is alive.
    unsafe { ffi::g_source_set_can_recurse(source.to_glib_none().0, gboolean::from(can)) };
}

/// `g_source_set_ready_time`, in GLib's monotonic microseconds; -1 is never.
pub fn set_ready_time(source: &Source, at: i64) {
    // SAFETY: the source is alive.
    unsafe { ffi::g_source_set_ready_time(source.to_glib_none().0, at) };
}

/// How many references there are to a source.
pub fn n_refs(source: &Source) -> u32 {
    let raw: *mut ffi::GSource = source.to_glib_none().0;
    // SAFETY: the source is alive, and GLib counts its references atomically.
    unsafe { AtomicU32::from_ptr(&raw mut (*raw).ref_count).load(Ordering::Relaxed) }
}

/// The id of a source that was attached. A destroyed source keeps its id, and no other source gets
/// it while there is a reference to this one.
pub fn id(source: &Source) -> Option<u32> {
    // Keeps the context alive, because GLib takes its lock.
    let _context = source.context()?;
    // SAFETY: the source is alive, and so is its context.
    Some(unsafe { ffi::g_source_get_id(source.to_glib_none().0) })
}

/// Whether its context finds a source by its id, which it does until the source is destroyed.
pub fn is_found(source: &Source) -> bool {
    let (Some(context), Some(id)) = (source.context(), id(source)) else { return false };
    let raw: *mut ffi::GSource = source.to_glib_none().0;
    // SAFETY: the context is alive. GLib looks at the source it has found without its lock (gmain.c
    // 2.74.6, line 2478), when another thread may have finalised it; but an id belongs to its
    // source until that is finalised, and we hold a reference to it.
    let found = unsafe { ffi::g_main_context_find_source_by_id(context.to_glib_none().0, id) };
    found == raw
}

/// How many sources a context has.
///
/// Only for a context whose sources no other thread destroys meanwhile.
pub fn n_sources(context: &MainContext) -> usize {
    // GLib numbers the sources of a context consecutively.
    let latest = glib::idle_source_new(None, glib::Priority::LOW, || glib::ControlFlow::Break);
    let end = latest.attach(Some(context)).as_raw();
    latest.destroy();
    let exists = |&id: &u32| {
        // SAFETY: the context is alive, and any number but 0 is a valid argument. As in glib-rs's
        // `find_source_by_id`, which is safe too, GLib would look without its lock at a source that
        // another thread finalises meanwhile (gmain.c 2.74.6, line 2478).
        let found = unsafe { ffi::g_main_context_find_source_by_id(context.to_glib_none().0, id) };
        !found.is_null()
    };
    (1..end).filter(exists).count()
}

/// A descriptor that a source polls for its `check`, or that a context polls without a source. It
/// is polled until this is dropped.
pub struct PollFd {
    record: *mut GPollFD,
    owner: Owner,
    fd: ManuallyDrop<Box<dyn Any>>,
}

enum Owner {
    Source(Source),
    Context(MainContext),
}

impl PollFd {
    /// `g_source_add_poll`.
    pub fn of_source(source: &Source, fd: impl AsFd + 'static, events: IOCondition) -> Self {
        let this = Self::new(Owner::Source(source.clone()), fd, events);
        // SAFETY: the record lives until it is removed, or for ever, see `drop`.
        unsafe { ffi::g_source_add_poll(source.to_glib_none().0, this.record) };
        this
    }

    /// `g_main_context_add_poll`.
    pub fn of_context(
        context: &MainContext,
        fd: impl AsFd + 'static,
        events: IOCondition,
        priority: i32,
    ) -> Self {
        let this = Self::new(Owner::Context(context.clone()), fd, events);
        // SAFETY: the record lives until it is removed in `drop`, and the context until then.
        unsafe { ffi::g_main_context_add_poll(context.to_glib_none().0, this.record, priority) };
        this
    }

    fn new(owner: Owner, fd: impl AsFd + 'static, events: IOCondition) -> Self {
        let events = events.bits() as u16;
        let record = GPollFD { fd: fd.as_fd().as_raw_fd(), events, revents: 0 };
        let record = Box::into_raw(Box::new(record));
        Self { record, owner, fd: ManuallyDrop::new(Box::new(fd)) }
    }

    /// The events that the last poll found; empty on a thread that does not own the context.
    pub fn revents(&self) -> IOCondition {
        let owned = match &self.owner {
            Owner::Source(source) => source.context().is_some_and(|c| c.is_owner()),
            Owner::Context(context) => context.is_owner(),
        };
        if !owned {
            return IOCondition::empty();
        }
        // SAFETY: the record lives, and only the owner of the context writes to it.
        IOCondition::from_bits_truncate(u32::from(unsafe { (*self.record).revents }))
    }
}

impl Drop for PollFd {
    fn drop(&mut self) {
        match &self.owner {
            // GLib does not remove a record from a destroyed source, and would poll it again if the
            // priority were changed. So the record and its descriptor are leaked.
            Owner::Source(source) if source.is_destroyed() => return,
            Owner::Source(source) => {
                // SAFETY: the source is alive.
                unsafe { ffi::g_source_remove_poll(source.to_glib_none().0, self.record) };
                // Another thread may have destroyed the source in between, and then nothing was
                // removed. Its context may even still poll the record, because destroying releases
                // the lock on the way (gmain.c 2.74.6, line 1403). A destroyed source stays
                // destroyed, so checking it now is enough.
                if source.is_destroyed() {
                    return;
                }
            }
            // SAFETY: both are alive.
            Owner::Context(context) => unsafe {
                ffi::g_main_context_remove_poll(context.to_glib_none().0, self.record);
            },
        }
        // SAFETY: made by `Box::into_raw`, dropped once, and in no list any more: the context always
        // removes it, and so does a source that is not destroyed afterwards.
        drop(unsafe { Box::from_raw(self.record) });
        // SAFETY: dropped once, and nobody polls it any more.
        unsafe { ManuallyDrop::drop(&mut self.fd) };
    }
}

impl fmt::Debug for PollFd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PollFd")
    }
}

/// The descriptors that a poll of `context` for `max_priority` would poll (`g_main_context_query`).
///
/// # Panics
/// On a thread that cannot own the context.
pub fn poll_set(context: &MainContext, max_priority: i32) -> Vec<(RawFd, IOCondition)> {
    let _own = context.acquire().expect("a context that nobody else owns");
    let mut fds = vec![GPollFD { fd: 0, events: 0, revents: 0 }; 16];
    loop {
        let (mut timeout, room) = (0, fds.len());
        // SAFETY: the context is alive and owned; `fds` has room for as many records as we pass.
        let n = unsafe {
            let context = context.to_glib_none();
            let room = room as i32;
            ffi::g_main_context_query(
                context.0,
                max_priority,
                &raw mut timeout,
                fds.as_mut_ptr(),
                room,
            )
        };
        let n = usize::try_from(n).unwrap_or(0);
        if n <= room {
            fds.truncate(n);
            break;
        }
        fds.resize(n, GPollFD { fd: 0, events: 0, revents: 0 });
    }
    let events = |fd: &GPollFD| IOCondition::from_bits_truncate(u32::from(fd.events));
    fds.iter().map(|fd| (fd.fd, events(fd))).collect()
}

/// Whether a poll of a descriptor of [`poll_set`] would return now: it is readable, closed or at its end.
pub fn is_readable(fd: RawFd) -> bool {
    let mut fd = GPollFD { fd, events: IOCondition::IN.bits() as u16, revents: 0 };
    // SAFETY: one record; a closed descriptor is only reported as such.
    unsafe { ffi::g_poll(&raw mut fd, 1, 0) == 1 }
}

/// Called when a poll would sleep for ever; returns whether to poll once more.
type Asleep = Box<dyn FnMut() -> bool>;

thread_local! {
    static POLLS: Cell<u64> = const { Cell::new(0) };
    static ASLEEP: RefCell<Option<Asleep>> = const { RefCell::new(None) };
    static IS_CALLED: Cell<bool> = const { Cell::new(false) };
}

/// Counts the polls of `context` from now on, with our own poll function. From GLib 2.82 on, this
/// rounds its timeouts to milliseconds.
pub fn count_polls(context: &MainContext) {
    // SAFETY: only GLib calls it, with as many records as `n` says.
    unsafe extern "C" fn poll(fds: *mut GPollFD, n: u32, timeout: i32) -> i32 {
        if IS_CALLED.try_with(Cell::get).unwrap_or(false) {
            // The outer poll's `fds` may have been freed to make room for ours.
            std::process::abort();
        }
        let _ = POLLS.try_with(|polls| polls.set(polls.get() + 1));
        // SAFETY: exactly what GLib would have called, with the same arguments.
        while timeout < 0 && unsafe { ffi::g_poll(fds, n, 0) } == 0 {
            let asleep = ASLEEP.try_with(|asleep| asleep.take()).ok().flatten();
            let Some(mut asleep) = asleep else { break };
            IS_CALLED.set(true);
            let again = asleep();
            IS_CALLED.set(false);
            let _ = ASLEEP.try_with(|kept| *kept.borrow_mut() = Some(asleep));
            if !again {
                break;
            }
        }
        // SAFETY: as above.
        unsafe { ffi::g_poll(fds, n, timeout) }
    }
    // SAFETY: the context is alive, and the function is a static.
    unsafe { ffi::g_main_context_set_poll_func(context.to_glib_none().0, Some(poll)) };
}

/// The polls on this thread, of all contexts that were passed to [`count_polls`].
pub fn n_polls() -> u64 {
    POLLS.get()
}

/// Calls `asleep` whenever a counted poll on this thread would sleep for ever, in place of another
/// thread that acts just then. It must not iterate the context, whose poll is on the stack: that
/// would abort the process.
pub fn when_asleep(asleep: impl FnMut() -> bool + 'static) {
    ASLEEP.set(Some(Box::new(asleep)));
}
