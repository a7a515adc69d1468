//! The `epoll_wait` of this program, so that somebody else can answer tokio's wait.
//!
//! tokio has no pluggable selector and publishes neither its descriptor nor its next deadline
//! (tokio#7348, tokio#2443).
//! But it waits in one place, libc's `epoll_wait`, and the linker takes a function of that name
//! in the program itself before the one in libc.
//! The one below sees the descriptor and the timeout of every wait.
//! On a thread where nobody has [installed](install) a [`Selector`], a wait goes straight to the
//! kernel.
//!
//! This is a package of its own because of its `links` key: a program can have only one
//! `epoll_wait`, and cargo refuses to build two versions of this one into it.
//! Applications do not use it directly; `loopnest-strategies` does.

#![expect(unsafe_code, reason = "a function of libc is replaced, and called")]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "loopnest-epoll-hook answers the `epoll_wait` of tokio, which only Linux has; build \
     loopnest-strategies with `default-features = false` here"
);

use std::any::Any;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use libc::{c_int, epoll_event};

/// Answers the waits of a thread.
pub trait Selector {
    /// Waits on `epfd` for at most `timeout` milliseconds (-1 for ever) in its own way.
    ///
    /// `kernel` asks the kernel with another timeout and says how many events there are; the last
    /// answer is what the caller of `epoll_wait` gets. Not asking means no events.
    ///
    /// May be called for a descriptor that it does not know: a library may have an epoll of its
    /// own. Then it calls `kernel(timeout)`.
    fn wait(&self, epfd: RawFd, timeout: c_int, kernel: &mut dyn FnMut(c_int) -> c_int);

    /// Takes the panic of a [`wait`](Self::wait). Nothing may unwind into the caller, which is C
    /// by its signature.
    fn panicked(&self, payload: Box<dyn Any + Send>);
}

thread_local! {
    static SELECTORS: RefCell<Vec<Rc<dyn Selector>>> = const { RefCell::new(Vec::new()) };
}

/// A selector at work; dropping this takes it away again.
#[derive(Debug)]
#[must_use = "dropping this takes the selector away"]
pub struct Installed(PhantomData<*const ()>);

/// Lets `selector` answer this thread's waits, before any that was installed earlier.
pub fn install(selector: Rc<dyn Selector>) -> Installed {
    // The reference makes the linker take the object that defines the function, always.
    std::hint::black_box(epoll_wait as *const ());
    SELECTORS.with_borrow_mut(|selectors| selectors.push(selector));
    Installed(PhantomData)
}

impl Drop for Installed {
    fn drop(&mut self) {
        let selector = SELECTORS.with_borrow_mut(Vec::pop);
        drop(selector);
    }
}

/// Calls `epoll_wait` as tokio does, for a descriptor that does not exist. With a selector
/// installed, this shows whether waits reach it: in a library that is loaded at run time (a plugin,
/// an extension of Python) libc's `epoll_wait` comes before ours, and they do not.
pub fn probe() {
    let mut nothing = epoll_event { events: 0, u64: 0 };
    // SAFETY: there is room for one event. There is no descriptor -1, so none is written.
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
    // The kernel counts in an int.
    n as c_int
}

/// Takes the place of libc's function of the same name in this program.
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
    // `try_with`: a thread may wait while its locals are being destroyed.
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
