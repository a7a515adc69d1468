//! tokio's wait: which descriptor it is on, and who answers it.

use std::any::Any;
use std::cell::Cell;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;

use loopnest_epoll_hook::{self as hook, Installed, Selector};

use crate::error::SetupError;
use crate::runtime::{IsHeld, Runtime};
use crate::source::carry_panic;

/// What a runtime waits on.
#[derive(Clone, Debug)]
pub(crate) struct Driver {
    /// tokio's epoll descriptor, as passed to `epoll_wait`.
    epfd: RawFd,
    /// A duplicate for GLib to watch. It stays open for as long as a source polls it, even if the
    /// runtime is gone.
    pub(crate) watched: Rc<OwnedFd>,
}

/// Answers the waits of one runtime. The thread's other waits go to the kernel, because a library
/// may use epoll too.
pub(crate) trait Wait: 'static {
    /// The runtime whose waits are answered.
    fn driver(&self) -> &Driver;

    /// Waits for at most `timeout` milliseconds (-1: no limit), by whatever means. `kernel` makes
    /// the real call with a timeout of your choice and returns the number of events; tokio gets its
    /// last result.
    fn wait(&self, timeout: i32, kernel: &mut dyn FnMut(i32) -> i32);
}

impl Driver {
    /// Finds what `runtime` waits on, by making it wait: tokio does not publish its descriptor.
    pub(crate) fn of(runtime: &Runtime) -> Result<Self, SetupError> {
        let learner = Rc::new(Learner::default());
        let _installed = hook::install(learner.clone());
        // If tokio's wait did not come here it could last for ever, so try with a harmless one.
        hook::probe();
        if learner.0.take() != Some(-1) {
            return Err(SetupError::NotReached);
        }
        // Yielding makes tokio poll its descriptor once.
        let polled =
            runtime.try_outside(|| runtime.try_block_on(tokio::task::yield_now())).flatten();
        polled.map_err(|IsHeld| SetupError::Held)?;
        let epfd = learner.0.get().ok_or(SetupError::NoEpoll)?;
        #[expect(unsafe_code, reason = "tokio does not lend its descriptor")]
        // SAFETY: the runtime has just waited on it, keeps it open, and is borrowed here.
        let borrowed = unsafe { BorrowedFd::borrow_raw(epfd) };
        let watched = borrowed.try_clone_to_owned().map_err(SetupError::Runtime)?;
        Ok(Self { epfd, watched: Rc::new(watched) })
    }
}

/// Lets `wait` answer this thread's waits until the guard is dropped.
pub(crate) fn install<W: Wait>(wait: Rc<W>) -> Installed {
    hook::install(Rc::new(Answering(wait)))
}

struct Answering<W>(Rc<W>);

impl<W: Wait> Selector for Answering<W> {
    fn wait(&self, epfd: RawFd, timeout: i32, kernel: &mut dyn FnMut(i32) -> i32) {
        if epfd == self.0.driver().epfd {
            self.0.wait(timeout, kernel);
        } else {
            kernel(timeout);
        }
    }

    fn panicked(&self, payload: Box<dyn Any + Send>) {
        carry_panic(payload);
    }
}

/// Notes the descriptor of a wait.
#[derive(Default)]
struct Learner(Cell<Option<RawFd>>);

impl Selector for Learner {
    fn wait(&self, epfd: RawFd, _timeout: i32, kernel: &mut dyn FnMut(i32) -> i32) {
        self.0.set(Some(epfd));
        kernel(0);
    }

    fn panicked(&self, _payload: Box<dyn Any + Send>) {}
}
