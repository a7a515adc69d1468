//! What scenario code may ask of the two loops, the same for every strategy.
//!
//! [`Loops`] is implemented over the real loops by each strategy and in virtual time by their models
//! ([`model::strategies`](crate::model::strategies)).
//! Everything is `Send`, because some strategies run tasks on another thread; a strategy that
//! does not need that loses nothing.

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

/// Work to be done on the thread of the GLib loop.
pub type Job = Box<dyn FnOnce() + Send>;

/// Where a task lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// With the application: the strategy's own way of spawning.
    Local,
    /// On tokio's queue, where `tokio::spawn` in a library puts it.
    Library,
    /// On a thread of its own that runs another tokio runtime.
    Remote,
}

/// A request that the strategy turns down, leaving everything as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{strategy} refuses to {what}: {why}")]
pub struct Refused {
    /// Who refuses: a strategy by its name, or what all of them have.
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
/// Methods marked *host* are called on the thread that runs the GLib context, from inside a
/// callback or a task; all others may be called from anywhere.
pub trait Loops: Send + Sync + 'static {
    /// Time since the run began.
    fn now(&self) -> Duration;

    /// Starts a task.
    fn spawn(&self, home: Home, task: BoxFuture) -> Canceller;

    /// Completes when `deadline`, counted like [`now`](Self::now), has passed.
    /// Polled only by tasks.
    fn sleep_until(&self, deadline: Duration) -> BoxFuture;

    /// Gives way once: completes when polled again.
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

    /// A channel of the kind an application would take here.
    fn channel(&self) -> Arc<dyn Channel>;

    /// A byte pipe that both loops can watch.
    ///
    /// # Errors
    /// When the process has no file descriptors left.
    fn pipe(&self) -> std::io::Result<Arc<dyn Pipe>>;

    /// Makes a GAsyncResult call on behalf of a task that lives in `home`. A peer answers it with
    /// `reply`, `after` the start of the call. None when the call is given up without an answer.
    /// Polled only by tasks; dropping the future cancels the call.
    fn call(&self, home: Home, after: Duration, reply: Reply) -> BoxFuture<Option<Reply>>;

    /// Attaches a GLib timeout source.
    fn add_timeout(&self, priority: i32, interval: Duration, callback: Callback);

    /// Attaches a GLib idle source.
    fn add_idle(&self, priority: i32, callback: Callback);

    /// *Host.* Runs a nested loop until [`quit`](Self::quit) is called for `level`.
    fn run_nested(&self, level: &str, how: How) -> Result<(), Refused>;

    /// Ends the nested loop `level`, now or when it begins.
    fn quit(&self, level: &str);

    /// *Host.* From inside a callback, waits until `task` is done.
    fn block_on(&self, task: BoxFuture) -> Result<(), Refused>;

    /// Does `job` on the GLib thread on behalf of a task that lives in `home`.
    ///
    /// Where tasks live on the GLib thread the job is done at once, inside the task's poll, as a
    /// function call would be.
    fn on_host(&self, home: Home, job: Job) -> BoxFuture<Result<(), Refused>> {
        let _ = home;
        job();
        Box::pin(std::future::ready(Ok(())))
    }

    /// Runs `script` on a thread of its own: waits for each delay, then does the job.
    fn thread(&self, script: Vec<(Duration, Job)>);

    /// Keeps the calling thread busy.
    fn compute(&self, time: Duration);

    /// Panics because the program says so.
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
    /// Puts a message in; never waits.
    fn send(&self, message: u32);
    /// Takes the oldest message out.
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
    /// Attaches a GLib watch for readability at default priority; the pipe is read by one byte
    /// before each call.
    fn watch(&self, callback: Callback);
}
