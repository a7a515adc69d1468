//! `epoll_wait` is a cancellation point, as pthreads(7) says, unless a selector answers it.
//!
//! The threads are made with `pthread_create`: std's must not be cancelled, because the first of
//! their frames catches panics.

#![expect(unsafe_code, reason = "std neither cancels a thread nor calls epoll_wait")]

use std::any::Any;
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use libc::{c_int, c_void, epoll_event, pthread_t};
use loopnest_epoll_hook::{Selector, install};
use rustix::event::{EventfdFlags, epoll, eventfd};

type Body = extern "C-unwind" fn(*mut c_void) -> *mut c_void;

// What a thread runs is unwound when it is cancelled. The libc crate declares both as functions
// that never unwind.
// SAFETY: declared as in pthread_create(3) and epoll_wait(2).
unsafe extern "C-unwind" {
    fn pthread_create(
        thread: *mut pthread_t,
        attributes: *const libc::pthread_attr_t,
        body: Body,
        argument: *mut c_void,
    ) -> c_int;
    fn epoll_wait(epfd: c_int, events: *mut epoll_event, max: c_int, timeout: c_int) -> c_int;
}

/// What a thread that was cancelled leaves to `pthread_join`.
const CANCELED: *mut c_void = ptr::without_provenance_mut(usize::MAX);

/// What a thread returns if nobody has cancelled it.
const RETURNED: *mut c_void = ptr::null_mut();

/// What a thread waits for, and what it says about itself.
struct Waits {
    epoll: OwnedFd,
    event: OwnedFd,
    /// Its number, from shortly before it waits.
    thread: AtomicI32,
    /// What its selector has got from the kernel.
    answered: AtomicI32,
}

impl Waits {
    fn new() -> Self {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll descriptor");
        let event = eventfd(0, EventfdFlags::CLOEXEC).expect("an eventfd");
        let data = epoll::EventData::new_u64(0);
        epoll::add(&epoll, &event, data, epoll::EventFlags::IN).expect("a registration");
        Self { epoll, event, thread: AtomicI32::new(0), answered: AtomicI32::new(0) }
    }

    /// Waits without a limit. Nothing here has a destructor.
    fn wait(&self) -> c_int {
        let mut event = epoll_event { events: 0, u64: 0 };
        // SAFETY: there is room for one event.
        unsafe { epoll_wait(self.epoll.as_raw_fd(), &mut event, 1, -1) }
    }

    /// Whether the thread sleeps, or is gone already, which is a failure.
    fn is_waiting(&self) -> bool {
        let thread = self.thread.load(Ordering::Acquire);
        let Ok(stat) = fs::read_to_string(format!("/proc/self/task/{thread}/stat")) else {
            return thread != 0;
        };
        // The state is the word after the name, which is in brackets.
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
    }

    /// Runs `body` on a thread, cancels that while it waits, ends its wait, and returns what it
    /// leaves.
    fn cancel(&self, body: Body) -> *mut c_void {
        let mut id = MaybeUninit::uninit();
        let argument = ptr::from_ref(self).cast_mut().cast();
        // SAFETY: the thread is joined below, while `self` is borrowed.
        let error = unsafe { pthread_create(id.as_mut_ptr(), ptr::null(), body, argument) };
        assert_eq!(error, 0, "no thread");
        // SAFETY: there was no error.
        let id = unsafe { id.assume_init() };
        while !self.is_waiting() {
            thread::sleep(Duration::from_millis(1));
        }
        // SAFETY: the thread is not joined yet.
        assert_eq!(unsafe { libc::pthread_cancel(id) }, 0);
        // Nobody reads this, so it ends every wait that is no cancellation point.
        rustix::io::write(&self.event, &1u64.to_ne_bytes()).expect("a write");
        let mut left = RETURNED;
        // SAFETY: nobody else joins the thread.
        assert_eq!(unsafe { libc::pthread_join(id, &mut left) }, 0);
        left
    }
}

/// # Safety
/// `waits` is a `Waits` that lives as long as the thread.
unsafe fn begin<'a>(waits: *mut c_void) -> &'a Waits {
    // SAFETY: as above.
    let waits: &Waits = unsafe { &*waits.cast() };
    waits.thread.store(rustix::thread::gettid().as_raw_nonzero().get(), Ordering::Release);
    waits
}

extern "C-unwind" fn plain(waits: *mut c_void) -> *mut c_void {
    // SAFETY: `cancel` passes one, and joins this thread.
    let waits = unsafe { begin(waits) };
    waits.wait();
    // If the event has ended the first wait after all, this is where the request is acted upon.
    waits.wait();
    RETURNED
}

extern "C-unwind" fn selected(waits: *mut c_void) -> *mut c_void {
    // SAFETY: `cancel` passes one, and joins this thread.
    let waits = unsafe { begin(waits) };
    {
        let _installed = install(Rc::new(Answer(ptr::from_ref(waits))));
        waits.wait();
    }
    waits.wait();
    RETURNED
}

struct Answer(*const Waits);

impl Selector for Answer {
    fn wait(&self, _epfd: RawFd, timeout: c_int, kernel: &mut dyn FnMut(c_int) -> c_int) {
        let n = kernel(timeout);
        // Another cancellation point, as a main loop has many.
        thread::sleep(Duration::from_millis(1));
        // SAFETY: it lives as long as the thread.
        unsafe { &*self.0 }.answered.store(n, Ordering::Release);
    }

    fn panicked(&self, _payload: Box<dyn Any + Send>) {}
}

/// Fails its call and then another one.
struct Fails;

impl Selector for Fails {
    fn wait(&self, _epfd: RawFd, timeout: c_int, kernel: &mut dyn FnMut(c_int) -> c_int) {
        assert_eq!(kernel(timeout), -1);
        assert!(fs::metadata("/no/such/file").is_err());
    }

    fn panicked(&self, _payload: Box<dyn Any + Send>) {
        unreachable!("it does not panic");
    }
}

#[test]
fn epoll_wait_is_ours() {
    let ours = loopnest_epoll_hook::epoll_wait as *const ();
    assert!(ptr::eq(epoll_wait as *const (), ours));
}

#[test]
fn a_thread_is_cancelled_in_its_wait() {
    let waits = Waits::new();
    assert_eq!(waits.cancel(plain), CANCELED);
}

#[test]
fn a_thread_with_a_selector_is_cancelled_after_it() {
    let waits = Waits::new();
    assert_eq!(waits.cancel(selected), CANCELED);
    assert_eq!(waits.answered.load(Ordering::Acquire), 1, "the selector has seen the event");
}

#[test]
fn the_error_of_a_wait_is_that_of_the_kernel() {
    let _installed = install(Rc::new(Fails));
    let mut event = epoll_event { events: 0, u64: 0 };
    // SAFETY: there is room for one event.
    let n = unsafe { epoll_wait(-1, &mut event, 1, 0) };
    let error = std::io::Error::last_os_error();
    assert_eq!((n, error.raw_os_error()), (-1, Some(libc::EBADF)), "{error}");
}
