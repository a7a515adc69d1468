//! Replaces `epoll_wait` in this program, so that another event loop can answer tokio's wait.
//!
//! tokio has no pluggable selector and publishes neither its descriptor nor its next deadline
//! (tokio#7348, tokio#2443).
//! But it waits in one place, libc's `epoll_wait`, and the linker prefers a function of that name
//! in the program itself to the one in libc.
//! The function below sees the descriptor and the timeout of every wait.
//! On a thread without an [installed](install) [`Selector`], a wait goes straight to the kernel.
//!
//! This is a separate package because of its `links` key: a program can have only one
//! `epoll_wait`, and cargo refuses to link two versions of this package into it.
//! Applications do not use it directly; `loopnest-strategies` does.

#![expect(unsafe_code, reason = "this replaces a libc function, and calls it")]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "loopnest-epoll-hook replaces `epoll_wait`, which only Linux has; build loopnest-strategies \
     with `default-features = false` on this system"
);

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use libc::{c_int, epoll_event};

/// Answers the waits of a thread.
pub trait Selector {
    /// Waits on `epfd` for at most `timeout` milliseconds (-1: no limit), by whatever means.
    ///
    /// `kernel` makes the real call with a timeout of your choice and returns the number of
    /// events. Its last result is what the caller of `epoll_wait` gets; if it is never called,
    /// the caller gets no events.
    ///
    /// `epfd` may be a descriptor that the selector does not know, because other libraries use
    /// epoll too. Call `kernel(timeout)` for those.
    fn wait(&self, epfd: RawFd, timeout: c_int, kernel: &mut dyn FnMut(c_int) -> c_int);

    /// Receives a panic from [`wait`](Self::wait). It must not unwind into the caller, because
    /// `epoll_wait` is an `extern "C"` function.
    fn panicked(&self, payload: Box<dyn Any + Send>);
}

thread_local! {
    static SELECTORS: RefCell<Vec<Rc<dyn Selector>>> = const { RefCell::new(Vec::new()) };
}

/// An installed selector; dropping this removes it.
#[must_use = "dropping this removes the selector"]
pub struct Installed {
    selector: Option<Rc<dyn Selector>>,
    _thread: PhantomData<*const ()>,
}

/// Lets `selector` answer this thread's waits, instead of any selector installed earlier.
pub fn install(selector: Rc<dyn Selector>) -> Installed {
    // The reference makes sure that the linker includes the object that defines the function.
    std::hint::black_box(epoll_wait as *const ());
    SELECTORS.with_borrow_mut(|selectors| selectors.push(selector.clone()));
    Installed { selector: Some(selector), _thread: PhantomData }
}

impl fmt::Debug for Installed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Installed")
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        // Itself, even if another was installed later. What is removed is dropped without the borrow.
        let removed = self.selector.take().and_then(|mine| {
            SELECTORS.with_borrow_mut(|selectors| {
                let at = selectors.iter().rposition(|selector| Rc::ptr_eq(selector, &mine));
                at.map(|at| selectors.remove(at))
            })
        });
        drop(removed);
    }
}

/// Calls `epoll_wait` as tokio does, with a descriptor that does not exist. With a selector
/// installed, this shows whether waits reach it. In a library that is loaded at run time (a plugin,
/// a Python extension) they do not, because there libc's `epoll_wait` comes before ours.
pub fn probe() {
    let mut nothing = epoll_event { events: 0, u64: 0 };
    // SAFETY: there is room for one event, and none is written because descriptor -1 is invalid.
    unsafe { libc::epoll_wait(-1, &mut nothing, 1, 0) };
}

fn kernel_wait(epfd: c_int, events: *mut epoll_event, max: c_int, timeout: c_int) -> c_int {
    // `epoll_pwait` because newer architectures have no `epoll_wait`.
    // SAFETY: the caller of `epoll_wait` vouches for `events` and `max`; no signal mask is passed.
    let n = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait,
            epfd,
            events,
            max,
            timeout,
            std::ptr::null::<libc::sigset_t>(),
            0usize,
        )
    };
    // The kernel returns an int.
    n as c_int
}

/// Replaces libc's function of the same name in this program.
///
/// # Safety
/// As `epoll_wait(2)`: `events` has room for `max`.
// SAFETY: same name, same signature and same contract as libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn epoll_wait(
    epfd: c_int,
    events: *mut epoll_event,
    max: c_int,
    timeout: c_int,
) -> c_int {
    // `try_with`: a thread may wait while its thread-locals are being destroyed.
    let selector = SELECTORS.try_with(|all| all.try_borrow().ok()?.last().cloned());
    let Some(selector) = selector.ok().flatten() else {
        return kernel_wait(epfd, events, max, timeout);
    };
    let mut answer = 0;
    let waited = catch_unwind(AssertUnwindSafe(|| {
        selector.wait(epfd, timeout, &mut |timeout| {
            answer = kernel_wait(epfd, events, max, timeout);
            answer
        });
    }));
    if let Err(payload) = waited {
        selector.panicked(payload);
    }
    answer
}
