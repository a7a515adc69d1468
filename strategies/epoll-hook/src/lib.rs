//! Replaces `epoll_wait` in this program, so that another event loop can answer tokio's wait.
//!
//! tokio has no pluggable selector and publishes neither its descriptor nor its next deadline
//! (tokio#7348, tokio#2443).
//! But it waits in one place, libc's `epoll_wait`, and the linker prefers a function of that name
//! in the program itself to the one in libc.
//! The function below sees the descriptor and the timeout of every wait.
//!
//! This is a separate package because of its `links` key: a program can have only one
//! `epoll_wait`, and cargo refuses to link two versions of this package into it.
//! Applications do not use it directly; `loopnest-strategies` does.
//!
//! # On a thread without a selector
//!
//! There a wait goes to the *next* definition of `epoll_wait`, as dlsym(3) calls it: that of an
//! `LD_PRELOAD`ed library, or else libc's. A program must not see a difference:
//!
//! - `pthread_cancel` ends a thread in `epoll_wait`, which is a cancellation point (pthreads(7)). For
//!   this, glibc unwinds the thread's stack: a *forced unwind*. Through a Rust frame that has
//!   something to drop, or that catches panics, it is undefined behaviour; through all other frames
//!   it works, although Rust does not promise it yet (RFC 2945, *Plain Old Frames*). Until it has
//!   found a selector, [`epoll_wait`] has only frames of that kind.
//! - A seccomp filter sees the system call that libc makes.
//! - A signal handler may wait, and so may a thread whose thread-locals are being destroyed. What is
//!   not for signal handlers is dlsym, in the first wait of the process; [`install`] and [`probe`]
//!   call it too.
//!
//! Where dlsym finds nothing, as in a static program, a wait is a system call and no cancellation
//! point.
//!
//! # On a thread with a selector
//!
//! A selector is Rust code, and so is what has installed it: their frames do have something to drop.
//! So cancellation is disabled until the selector has answered, also in a main loop that it runs. A
//! request stays pending, and the next cancellation point outside of a selector acts on it.

#![expect(unsafe_code, reason = "this replaces a libc function, and calls it")]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "loopnest-epoll-hook replaces `epoll_wait`, which only Linux has; build loopnest-strategies \
     with `default-features = false` on this system"
);

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicPtr, Ordering};

use libc::{c_int, c_void, epoll_event};

/// Answers the waits of a thread.
pub trait Selector {
    /// Waits on `epfd` for at most `timeout` milliseconds (-1: no limit), by whatever means.
    ///
    /// `kernel` makes the real call with a timeout of your choice and returns the number of
    /// events. Its last result is what the caller of `epoll_wait` gets, with its `errno`; if it is
    /// never called, the caller gets no events.
    ///
    /// `epfd` may be a descriptor that the selector does not know, because other libraries use
    /// epoll too. Call `kernel(timeout)` for those.
    fn wait(&self, epfd: RawFd, timeout: c_int, kernel: &mut dyn FnMut(c_int) -> c_int);

    /// Receives a panic from [`wait`](Self::wait). It must not unwind into the caller, who may have
    /// declared `epoll_wait` as a function that never does.
    fn panicked(&self, payload: Box<dyn Any + Send>);
}

thread_local! {
    static SELECTORS: RefCell<Vec<Rc<dyn Selector>>> = const { RefCell::new(Vec::new()) };
    /// How many there are. Unlike them it has no destructor, so that even a signal handler can read
    /// it: the first look at a thread-local that has one allocates.
    static INSTALLED: Cell<usize> = const { Cell::new(0) };
}

/// An installed selector; dropping this removes it.
#[must_use = "dropping this removes the selector"]
pub struct Installed {
    selector: Option<Rc<dyn Selector>>,
    _thread: PhantomData<*const ()>,
}

/// Lets `selector` answer this thread's waits, instead of any selector installed earlier.
pub fn install(selector: Rc<dyn Selector>) -> Installed {
    // This also refers to our definition, so the linker includes the object that has it.
    next();
    SELECTORS.with_borrow_mut(|selectors| selectors.push(selector.clone()));
    INSTALLED.set(INSTALLED.get() + 1);
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
                let at = selectors.iter().rposition(|selector| Rc::ptr_eq(selector, &mine))?;
                INSTALLED.set(INSTALLED.get() - 1);
                Some(selectors.remove(at))
            })
        });
        drop(removed);
    }
}

/// Calls `epoll_wait` as tokio does, with a descriptor that does not exist. With a selector
/// installed, this shows whether waits reach it. In a library that is loaded at run time (a plugin,
/// a Python extension) they do not, because there libc's `epoll_wait` comes before ours.
pub fn probe() {
    next();
    let mut nothing = epoll_event { events: 0, u64: 0 };
    // SAFETY: there is room for one event, and none is written because descriptor -1 is invalid.
    unsafe { libc::epoll_wait(-1, &mut nothing, 1, 0) };
}

/// The type of `epoll_wait`. `C-unwind` because libc's is a cancellation point.
#[cfg(panic = "unwind")]
type EpollWait = unsafe extern "C-unwind" fn(c_int, *mut epoll_event, c_int, c_int) -> c_int;

/// With `panic = "abort"`, a forced unwind that comes out of a `C-unwind` function ends the process,
/// although RFC 2945 says that it should pass (rust#101469). Out of a `C` function it does pass, as
/// it must for the functions of the libc crate (*Key design goals* in that RFC).
#[cfg(not(panic = "unwind"))]
type EpollWait = unsafe extern "C" fn(c_int, *mut epoll_event, c_int, c_int) -> c_int;

/// Replaces libc's function of the same name in this program.
///
/// # Safety
/// As `epoll_wait(2)`: `events` has room for `max`.
// SAFETY: same name, same signature and same contract as libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn epoll_wait(
    epfd: c_int,
    events: *mut epoll_event,
    max: c_int,
    timeout: c_int,
) -> c_int {
    // A forced unwind comes through here: nothing in this function may have a destructor.
    if INSTALLED.get() == 0 {
        // SAFETY: the caller vouches for `events` and `max`.
        return unsafe { wait_next(epfd, events, max, timeout) };
    }
    let state = set_cancel_state(PTHREAD_CANCEL_DISABLE);
    // SAFETY: the caller vouches for `events` and `max`.
    let answer = unsafe { ask(epfd, events, max, timeout) };
    set_cancel_state(state);
    answer
}

/// Asks the selector. Cancellation is disabled, so what unwinds here is a panic, and one that is not
/// caught ends the process: the caller may have declared `epoll_wait` as a function that never
/// unwinds, as the libc crate does.
///
/// # Safety
/// As `epoll_wait(2)`.
unsafe extern "C" fn ask(
    epfd: c_int,
    events: *mut epoll_event,
    max: c_int,
    timeout: c_int,
) -> c_int {
    // SAFETY: the caller vouches for `events` and `max`.
    let kernel = |timeout| unsafe { wait_next(epfd, events, max, timeout) };
    // There is none if the thread's are already destroyed, or if a signal handler waits just when
    // one is being installed.
    let selector = SELECTORS.try_with(|all| all.try_borrow().ok()?.last().cloned());
    let Some(selector) = selector.ok().flatten() else {
        return kernel(timeout);
    };
    let (mut answer, mut error) = (0, 0);
    let waited = catch_unwind(AssertUnwindSafe(|| {
        selector.wait(epfd, timeout, &mut |timeout| {
            answer = kernel(timeout);
            error = errno().get();
            answer
        });
    }));
    if let Err(payload) = waited {
        selector.panicked(payload);
    }
    drop(selector);
    // What the selector did since may have set another.
    if answer < 0 {
        errno().set(error);
    }
    answer
}

/// Waits as if our definition did not exist. A forced unwind comes through here too.
///
/// # Safety
/// As `epoll_wait(2)`.
unsafe fn wait_next(epfd: c_int, events: *mut epoll_event, max: c_int, timeout: c_int) -> c_int {
    match next() {
        // SAFETY: the caller vouches for `events` and `max`.
        Some(next) => unsafe { next(epfd, events, max, timeout) },
        // SAFETY: as above.
        None => unsafe { system_call(epfd, events, max, timeout) },
    }
}

/// The definition of `epoll_wait` that comes after ours, if there is one.
fn next() -> Option<EpollWait> {
    static NEXT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
    let mut next = NEXT.load(Ordering::Acquire);
    if next.is_null() {
        next = look_up();
        NEXT.store(next, Ordering::Release);
    }
    // Our own stands for none.
    if next == ours() {
        return None;
    }
    // SAFETY: `look_up` returns a function of this type.
    Some(unsafe { mem::transmute::<*mut c_void, EpollWait>(next) })
}

fn ours() -> *mut c_void {
    epoll_wait as *mut c_void
}

/// The next definition of `epoll_wait`, or ours: if there is none, or if somebody has wrapped `dlsym`
/// without regard to who calls it. Two threads may both do this; they find the same.
#[cold]
#[inline(never)] // Inlined into another object, the call of `dlsym` would have another caller.
fn look_up() -> *mut c_void {
    // SAFETY: the name is a C string. `RTLD_NEXT` begins after the object that contains the caller,
    // which is this function.
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, c"epoll_wait".as_ptr()) };
    if found.is_null() { ours() } else { found }
}

/// Architectures that are newer than `epoll_pwait` have no `epoll_wait`.
#[cfg(any(target_arch = "aarch64", target_arch = "loongarch64", target_arch = "riscv64"))]
const SYSTEM_CALL: libc::c_long = libc::SYS_epoll_pwait;
#[cfg(not(any(target_arch = "aarch64", target_arch = "loongarch64", target_arch = "riscv64")))]
const SYSTEM_CALL: libc::c_long = libc::SYS_epoll_wait;

/// What libc's function does, without being a cancellation point.
///
/// # Safety
/// As `epoll_wait(2)`.
unsafe fn system_call(epfd: c_int, events: *mut epoll_event, max: c_int, timeout: c_int) -> c_int {
    // Only `epoll_pwait` looks at it.
    let no_mask = ptr::null::<libc::sigset_t>();
    // SAFETY: the caller vouches for `events` and `max`; no signal mask is passed.
    let n = unsafe { libc::syscall(SYSTEM_CALL, epfd, events, max, timeout, no_mask, 0usize) };
    // The kernel returns an int.
    n as c_int
}

/// The same in glibc and in musl; the libc crate has neither this nor the function.
const PTHREAD_CANCEL_DISABLE: c_int = 1;

// SAFETY: declared as in pthread_setcancelstate(3).
unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}

/// Returns what it was before.
fn set_cancel_state(state: c_int) -> c_int {
    let mut old = 0;
    // SAFETY: `old` is an int. The state is one that the function knows or has returned.
    unsafe { pthread_setcancelstate(state, &mut old) };
    old
}

/// This thread's `errno`.
fn errno() -> &'static Cell<c_int> {
    // SAFETY: it lives as long as the thread, and a `&Cell` cannot be sent to another. A `Cell` has
    // the layout of what is in it.
    unsafe { &*libc::__errno_location().cast() }
}
