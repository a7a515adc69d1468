//! tokio's wait: on which descriptor it happens, and who answers it.

use std::any::Any;
use std::cell::Cell;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;

use loopnest_epoll_hook::{self as hook, Installed, Selector};
use tokio::runtime::LocalRuntime;

use crate::error::SetupError;
use crate::source::carry_panic;

/// What a runtime waits on.
#[derive(Clone, Debug)]
pub(crate) struct Driver {
    /// tokio's epoll descriptor, as its waits name it.
    epfd: RawFd,
    /// A duplicate for GLib to watch. It is open for as long as a source polls it, whatever becomes
    /// of the runtime.
    pub(crate) watched: Rc<OwnedFd>,
}

/// Answers the waits of one runtime. Other waits of the thread go to the kernel: a library may have
/// an epoll of its own.
pub(crate) trait Wait: 'static {
    /// The runtime whose waits are answered.
    fn driver(&self) -> &Driver;

    /// Waits for at most `timeout` milliseconds (-1 for ever) in its own way. `kernel` asks the
    /// kernel with another timeout and says how many events there are; tokio gets the last answer.
    fn wait(&self, timeout: i32, kernel: &mut dyn FnMut(i32) -> i32);
}

impl Driver {
    /// Finds what `runtime` waits on, which tokio tells only by waiting.
    pub(crate) fn of(runtime: &LocalRuntime) -> Result<Self, SetupError> {
        let learner = Rc::new(Learner::default());
        let _installed = hook::install(learner.clone());
        // tokio's first wait could last for ever if it did not come here, so this one goes first.
        hook::probe();
        if learner.0.take() != Some(-1) {
            return Err(SetupError::NotReached);
        }
        // Yielding makes tokio look at its descriptor once.
        runtime.block_on(tokio::task::yield_now());
        let epfd = learner.0.get().ok_or(SetupError::NoEpoll)?;
        #[expect(unsafe_code, reason = "tokio does not lend its descriptor")]
        // SAFETY: the runtime, which is borrowed here, has just waited on it and keeps it open.
        let borrowed = unsafe { BorrowedFd::borrow_raw(epfd) };
        Ok(Self { epfd, watched: Rc::new(borrowed.try_clone_to_owned()?) })
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
