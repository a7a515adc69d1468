//! What scenario code can ask of the two loops, the same for every strategy.
//!
//! Each strategy implements [`Loops`] over the real loops, and its model implements it in virtual
//! time ([`model::strategies`](crate::model::strategies)).
//! Everything is `Send`, because some strategies run tasks on another thread; this costs nothing to
//! a strategy that does not.

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::program::{How, Reply};

/// A future that any strategy can run.
pub type BoxFuture<T = ()> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A GLib callback; `Break` removes its source.
pub type Callback = Box<dyn FnMut() -> ControlFlow<()> + Send>;

/// Work for the thread of the GLib loop.
pub type Job = Box<dyn FnOnce() + Send>;

/// Where a task lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// With the application: the strategy's own way of spawning.
    Local,
    /// On tokio's queue, where `tokio::spawn` in a library puts it.
    Library,
    /// On another thread, which runs another tokio runtime.
    Remote,
}

/// A request that the strategy refuses, leaving everything as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{strategy} refuses to {what}: {why}")]
pub struct Refused {
    /// What refuses: the name of a strategy, or of a part that all of them share.
    pub strategy: &'static str,
    /// What was asked, as an infinitive.
    pub what: &'static str,
    /// Why it cannot be done, and what to do instead.
    pub why: &'static str,
}

/// Cancels a task when called; does nothing once the task has ended.
pub type Canceller = Box<dyn FnOnce() + Send>;

/// Both loops, as scenario code sees them.
///
/// # Threads
///
/// Methods marked *host* are called on the thread that runs the GLib context, inside a callback or
/// a task. All others can be called from any thread.
pub trait Loops: Send + Sync + 'static {
    /// Time since the run began.
    fn now(&self) -> Duration;

    /// Starts a task.
    fn spawn(&self, home: Home, task: BoxFuture) -> Canceller;

    /// Completes when `deadline`, counted like [`now`](Self::now), has passed.
    /// Polled only by tasks.
    fn sleep_until(&self, deadline: Duration) -> BoxFuture;

    /// Yields once: completes when polled again.
    fn yield_now(&self) -> BoxFuture {
        let mut yielded = false;
        Box::pin(std::future::poll_fn(move |cx| {
            if yielded {
                return std::task::Poll::Ready(());
            }
            yielded = true;
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        }))
    }

    /// A channel of the kind that an application would use here.
    fn channel(&self) -> Arc<dyn Channel>;

    /// A byte pipe that both loops can watch.
    ///
    /// # Errors
    /// If the process has no file descriptors left.
    fn pipe(&self) -> std::io::Result<Arc<dyn Pipe>>;

    /// Makes a GAsyncResult call for a task that lives in `home`. A peer answers it with `reply`
    /// when the time `after` has passed since the start of the call. `None` if the call ends
    /// without an answer. Polled only by tasks; dropping the future cancels the call.
    fn call(&self, home: Home, after: Duration, reply: Reply) -> BoxFuture<Option<Reply>>;

    /// Attaches a GLib timeout source.
    fn add_timeout(&self, priority: i32, interval: Duration, callback: Callback);

    /// Attaches a GLib idle source.
    fn add_idle(&self, priority: i32, callback: Callback);

    /// *Host.* Runs a nested loop until [`quit`](Self::quit) is called for `level`.
    fn run_nested(&self, level: &str, how: How) -> Result<(), Refused>;

    /// Ends the nested loop `level`, now or when it begins.
    fn quit(&self, level: &str);

    /// *Host.* Inside a callback, waits until `task` is done.
    fn block_on(&self, task: BoxFuture) -> Result<(), Refused>;

    /// Does `job` on the GLib thread for a task that lives in `home`.
    ///
    /// If the task lives on the GLib thread, the job is done at once, inside the task's poll, like
    /// a function call.
    fn on_host(&self, home: Home, job: Job) -> BoxFuture<Result<(), Refused>> {
        let _ = home;
        job();
        Box::pin(std::future::ready(Ok(())))
    }

    /// Runs `script` on a new thread: waits for each delay, then does the job.
    fn thread(&self, script: Vec<(Duration, Job)>);

    /// Keeps the calling thread busy.
    fn compute(&self, time: Duration);

    /// Panics, because the program asks for it.
    fn panic(&self, message: String) -> ! {
        panic!("{message}")
    }
}

impl fmt::Debug for dyn Loops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Loops")
    }
}

/// An unbounded channel of numbers.
pub trait Channel: Send + Sync {
    /// Sends a message; never waits.
    fn send(&self, message: u32);
    /// Receives the oldest message.
    fn receive(&self) -> BoxFuture<u32>;
}

/// A byte pipe.
pub trait Pipe: Send + Sync {
    /// Writes one byte; never waits.
    fn write(&self);
    /// Closes the writing end.
    fn close(&self);
    /// Reads one byte; `false` is the end of file. Polled only by tasks.
    fn read(&self) -> BoxFuture<bool>;
    /// Attaches a GLib watch for readability at default priority; one byte of the pipe is read
    /// before each call.
    fn watch(&self, callback: Callback);
}
