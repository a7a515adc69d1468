//! The `epoll_wait` of this process, so that a strategy can stand in for tokio's wait.
//!
//! tokio has no pluggable selector and publishes neither its descriptor nor its next deadline
//! (tokio#7348, tokio#2443).
//! But it waits in one place, libc's `epoll_wait`, and the linker takes a function of that name
//! in the program itself before the one in libc.
//! The one below sees the descriptor and the timeout of every wait.
//! On a thread where nobody [installed](install) a [`Selector`] it goes straight to the kernel,
//! and so does every wait on a descriptor that the selector does not claim.

use std::cell::{Cell, RefCell};
use std::io;
use std::marker::PhantomData;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use libc::{c_int, epoll_event};
use tokio::runtime::LocalRuntime;

use crate::source::carry_panic;

/// Stands in for a wait.
pub(crate) trait Selector {
    /// Waits on `epfd` for at most `timeout` milliseconds (-1 for ever) in its own way.
    ///
    /// `kernel` asks the kernel with another timeout and says how many events there are; the last
    /// answer is what the caller of `epoll_wait` gets. Not asking means no events.
    fn wait(&self, epfd: RawFd, timeout: c_int, kernel: &mut dyn FnMut(c_int) -> c_int);
}

/// Finds the descriptor that `runtime` waits on, which tokio says only by waiting on it.
///
/// # Errors
/// When this program's waits do not come here. In a library that is loaded at run time (a plugin,
/// an extension of Python) libc's `epoll_wait` stands before ours.
pub(crate) fn descriptor_of(runtime: &LocalRuntime) -> io::Result<RawFd> {
    #[derive(Default)]
    struct Learner(Cell<Option<RawFd>>);
    impl Selector for Learner {
        fn wait(&self, epfd: RawFd, _timeout: c_int, kernel: &mut dyn FnMut(c_int) -> c_int) {
            self.0.set(Some(epfd));
            kernel(0);
        }
    }
    let learner = Rc::new(Learner::default());
    let _installed = install(learner.clone());
    // tokio's first wait could last for ever if it did not come here, so this one goes first.
    let mut nothing = epoll_event { events: 0, u64: 0 };
    // SAFETY: there is room for one event. There is no descriptor -1, so none is written.
    unsafe { libc::epoll_wait(-1, &mut nothing, 1, 0) };
    if learner.0.take() != Some(-1) {
        return Err(io::Error::other(
            "calls to epoll_wait do not reach this crate; it must be linked into the program \
             itself, not into a library that is loaded at run time",
        ));
    }
    // Yielding makes tokio look at its descriptor once.
    runtime.block_on(tokio::task::yield_now());
    learner.0.get().ok_or_else(|| io::Error::other("tokio did not call epoll_wait"))
}

thread_local! {
    static SELECTORS: RefCell<Vec<Rc<dyn Selector>>> = const { RefCell::new(Vec::new()) };
}

/// Takes the selector away again when dropped.
pub(crate) struct Installed(PhantomData<*const ()>);

/// Puts `selector` in the way of this thread's waits, over any other.
pub(crate) fn install(selector: Rc<dyn Selector>) -> Installed {
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
    if let Err(panic) = waited {
        // The caller is C by its signature: nothing may unwind into it.
        carry_panic(panic);
    }
    answer
}
