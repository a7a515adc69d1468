//! [`Loops`] over the real GLib and the real tokio: what all strategies have in common.
//!
//! A strategy supplies [`Tasks`], the few things that differ: how it spawns tasks, what its
//! block-on does, and how a task runs something on the GLib thread.
//! `harness/examples/own_strategy.rs` shows a whole strategy built on it.

use std::cell::RefCell;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use glib::{IOCondition, MainContext, MainLoop, Priority};
use loopnest_core::loops::{
    BoxFuture, Callback, Canceller, Channel, Home, Job, Loops, Pipe, Refused,
};
use loopnest_core::measure::DRAIN_PAUSE;
use loopnest_core::program::{How, Reply};
use loopnest_core::protocol::DepthStack;
use loopnest_core::strategy::RunError;
use loopnest_strategies::source::{self, Callbacks, Source, SourceRef};
use loopnest_strategies::{GlibHandle, SetupError};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;

use super::call;
use super::remote::Remote;

/// How strategies differ when scenario code runs on them.
pub trait Tasks: Send + Sync + 'static {
    /// Starts a task of the application. The canceller drops it.
    fn spawn(&self, task: BoxFuture) -> Canceller;

    /// Starts a task as `tokio::spawn` in a library does. By default, like one of the application.
    fn spawn_library(&self, task: BoxFuture) -> Canceller {
        self.spawn(task)
    }

    /// Waits inside a callback, on the GLib thread, until `task` is done.
    ///
    /// By default it spawns the task and runs a nested GLib loop until it is done.
    ///
    /// # Errors
    /// When the strategy has no way to do it.
    fn block_on(&self, context: &MainContext, task: BoxFuture) -> Result<(), Refused> {
        block_on_nested(self, context, task);
        Ok(())
    }

    /// How tasks on other threads reach the GLib thread.
    fn glib(&self) -> GlibHandle;

    /// Whether tasks that the strategy starts in `home` live on another thread than GLib. By
    /// default they do not.
    fn is_remote(&self, home: Home) -> bool {
        let _ = home;
        false
    }

    /// Runs `job` on the GLib thread for a task on another thread. By default, through
    /// [`glib`](Self::glib).
    fn on_host(&self, job: Job) -> BoxFuture<Result<(), Refused>> {
        let glib = self.glib();
        Box::pin(async move {
            glib.call(job).await.map_err(|_| Refused {
                strategy: "the queue of jobs",
                what: "run a job on the GLib thread",
                why: "the GLib side is gone, or the job panicked",
            })
        })
    }
}

/// Spawns `task` and runs a nested loop until it is done.
pub fn block_on_nested<T: Tasks + ?Sized>(tasks: &T, context: &MainContext, task: BoxFuture) {
    let main_loop = MainLoop::new(Some(context), false);
    let quit = Quit(main_loop.clone());
    let quitting = async move {
        // Dropped with the task, even when it panics or is cancelled.
        let _quit = quit;
        task.await;
    };
    drop(tasks.spawn(Box::pin(quitting)));
    source::run(&main_loop);
}

/// A row of the matrix could not begin.
pub(super) fn set_up(error: SetupError) -> RunError {
    RunError::SetUp { what: "the runtime", source: error.into() }
}

/// Quits a loop when dropped.
struct Quit(MainLoop);

impl Drop for Quit {
    fn drop(&mut self) {
        source::quit_when_running(&self.0);
    }
}

/// The real loops: the default GLib context and tokio, with `T` for what the strategy adds.
///
/// Spawning in [`Home::Remote`] panics if the system has no thread or descriptors left for another
/// runtime.
#[derive(Debug)]
pub struct HostLoops<T> {
    tasks: T,
    context: MainContext,
    start: Instant,
    /// Each with its loop, if a `MainLoop` runs it.
    levels: DepthStack<Option<MainLoop>>,
    /// Created for the first task that lives there.
    remote: OnceLock<Remote>,
}

impl<T: Tasks> HostLoops<T> {
    /// The loops of this process.
    pub fn new(tasks: T) -> Arc<Self> {
        Arc::new(Self {
            tasks,
            context: MainContext::default(),
            start: Instant::now(),
            levels: DepthStack::new(),
            remote: OnceLock::new(),
        })
    }

    /// Whether tasks of `home` are on another thread than GLib.
    fn is_remote(&self, home: Home) -> bool {
        home == Home::Remote || self.tasks.is_remote(home)
    }

    fn spawn_remote(&self, task: BoxFuture) -> Canceller {
        // Without it, the run would be judged as the strategy's failure.
        let remote = || Remote::new().expect("the system has a thread and descriptors to give");
        self.remote.get_or_init(remote).spawn(task)
    }
}

impl<T: Tasks> Loops for HostLoops<T> {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn spawn(&self, home: Home, task: BoxFuture) -> Canceller {
        match home {
            Home::Local => self.tasks.spawn(task),
            Home::Library => self.tasks.spawn_library(task),
            Home::Remote => self.spawn_remote(task),
        }
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture {
        let deadline = self.start + deadline;
        Box::pin(async move { tokio::time::sleep_until(deadline.into()).await })
    }

    fn channel(&self) -> Arc<dyn Channel> {
        let (tx, rx) = mpsc::unbounded_channel();
        Arc::new(TokioChannel { tx, rx: Arc::new(Mutex::new(rx)) })
    }

    fn pipe(&self) -> io::Result<Arc<dyn Pipe>> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Arc::new(OsPipe {
            context: self.context.clone(),
            read: Mutex::new(Some(read)),
            receiver: Arc::default(),
            write: Mutex::new(Some(write)),
        }))
    }

    fn call(&self, home: Home, after: Duration, reply: Reply) -> BoxFuture<Option<Reply>> {
        call::ask(self.is_remote(home).then(|| self.tasks.glib()), after, reply)
    }

    fn add_timeout(&self, priority: i32, interval: Duration, mut callback: Callback) {
        let priority = Priority::from(priority);
        glib::timeout_source_new(interval, None, priority, move || callback().into())
            .attach(Some(&self.context));
    }

    fn add_idle(&self, priority: i32, mut callback: Callback) {
        glib::idle_source_new(None, Priority::from(priority), move || callback().into())
            .attach(Some(&self.context));
    }

    fn run_nested(&self, level: &str, how: How) -> Result<(), Refused> {
        let main_loop = (how == How::Run).then(|| MainLoop::new(Some(&self.context), false));
        let Some(level) = self.levels.open(level, main_loop.clone()) else {
            return Ok(());
        };
        match how {
            How::Run => main_loop.iter().for_each(source::run),
            How::Iteration => {
                while !level.is_told() {
                    self.context.iteration(true);
                }
            }
            How::Drain => {
                while !level.is_told() {
                    while self.context.pending() {
                        self.context.iteration(false);
                    }
                    thread::sleep(DRAIN_PAUSE);
                }
            }
        }
        Ok(())
    }

    fn quit(&self, level: &str) {
        match self.levels.quit(level) {
            Some(Some(main_loop)) => {
                main_loop.quit();
                // Another thread may get here after the level opened and before its loop runs.
                if !self.context.is_owner() {
                    source::quit_when_running(&main_loop);
                }
            }
            Some(None) => self.context.wakeup(),
            None => {}
        }
    }

    fn block_on(&self, task: BoxFuture) -> Result<(), Refused> {
        self.tasks.block_on(&self.context, task)
    }

    fn on_host(&self, home: Home, job: Job) -> BoxFuture<Result<(), Refused>> {
        if self.is_remote(home) {
            return self.tasks.on_host(job);
        }
        job();
        Box::pin(std::future::ready(Ok(())))
    }

    fn thread(&self, script: Vec<(Duration, Job)>) {
        thread::spawn(move || {
            for (delay, job) in script {
                thread::sleep(delay);
                job();
            }
        });
    }

    fn compute(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            std::hint::spin_loop();
        }
    }
}

/// tokio's own channel, as an application with tokio would use (gtk-rs-core#1251).
struct TokioChannel {
    tx: mpsc::UnboundedSender<u32>,
    rx: Arc<Mutex<mpsc::UnboundedReceiver<u32>>>,
}

impl Channel for TokioChannel {
    fn send(&self, message: u32) {
        // Fails only if the receiver is gone, and it lives as long as the sender.
        let _ = self.tx.send(message);
    }

    fn receive(&self) -> BoxFuture<u32> {
        let rx = self.rx.clone();
        Box::pin(std::future::poll_fn(move |cx| {
            let received = rx.lock().unwrap_or_else(PoisonError::into_inner).poll_recv(cx);
            // The sender lives as long as the receiver, so there always is a next message.
            received.map(Option::unwrap_or_default)
        }))
    }
}

struct OsPipe {
    context: MainContext,
    /// `None` once a task or a watch has taken it.
    read: Mutex<Option<OwnedFd>>,
    /// Registered with tokio when a task first reads.
    receiver: Arc<OnceLock<Option<Receiver>>>,
    write: Mutex<Option<OwnedFd>>,
}

impl OsPipe {
    fn take_read_end(&self) -> Option<OwnedFd> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Pipe for OsPipe {
    fn write(&self) {
        let write = self.write.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fd) = &*write {
            // A pipe holds 64 KiB, and no program writes that many single bytes.
            let _ = rustix::io::write(fd, b"x");
        }
    }

    fn close(&self) {
        let fd = self.write.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(fd);
    }

    fn read(&self) -> BoxFuture<bool> {
        let receiver = self.receiver.clone();
        let mut fd = match receiver.get() {
            Some(_) => None,
            None => self.take_read_end(),
        };
        Box::pin(async move {
            // Here and not above, because registering needs the runtime.
            let receiver = receiver.get_or_init(|| Receiver::from_owned_fd(fd.take()?).ok());
            let Some(receiver) = receiver else {
                return false;
            };
            let mut byte = [0];
            loop {
                if receiver.readable().await.is_err() {
                    return false;
                }
                match receiver.try_read(&mut byte) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    read => return read.is_ok_and(|n| n > 0),
                }
            }
        })
    }

    fn watch(&self, callback: Callback) {
        let Some(fd) = self.take_read_end() else {
            return;
        };
        let fd = Arc::new(fd);
        let watch = Watch { fd: fd.clone(), callback: RefCell::new(callback) };
        let source = Source::new("pipe", watch);
        source.add_fd(fd, IOCondition::IN | IOCondition::HUP);
        source.attach(&self.context);
        source.release();
    }
}

/// A GLib watch, as `g_unix_fd_add()` makes one: it does not recurse.
struct Watch {
    fd: Arc<OwnedFd>,
    callback: RefCell<Callback>,
}

impl Callbacks for Watch {
    fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
        let mut byte = [0];
        match rustix::io::read(&*self.fd, &mut byte) {
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => ControlFlow::Continue(()),
            _ => (self.callback.borrow_mut())(),
        }
    }
}
