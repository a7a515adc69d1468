//! [`Loops`] over the model: what the models of all strategies have in common.
//!
//! The counterpart of what the real strategies share. A strategy's model supplies a [`Guest`]: how
//! tasks are spawned and polled, who waits for timers and descriptors, and what a block-on does.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::handoff::Jobs;
use super::pipes::{Messages, Stream};
use super::tape::Tape;
use super::tasks::{Driven, Tasks, lock, quietly};
use super::worker::{REMOTE, Worker};
use crate::classify::DRAIN_PAUSE;
use crate::loops::{BoxFuture, Callback, Canceller, Channel, Home, Job, Loops, Pipe, Refused};
use crate::model::{Clock, Context, Events, MainLoop, PRIORITY_DEFAULT, Pipe as Bytes};
use crate::program::{How, Reply};
use crate::signal::Signal;

/// What the models of all strategies stand on.
#[derive(Clone)]
pub(super) struct Base {
    pub(super) clock: Clock,
    pub(super) context: Context,
    pub(super) tape: Arc<Tape>,
    pub(super) tasks: Tasks,
    #[cfg(feature = "mutants")]
    pub(super) fault: Option<super::Fault>,
}

/// The async side of a strategy's model.
pub(super) trait Guest: Send + Sync {
    /// Starts a task.
    fn spawn(&self, home: Home, task: BoxFuture) -> Canceller;

    /// Wakes at a time.
    fn wake_at(&self, deadline: Duration, waker: Waker);

    /// Wakes once there is something to read.
    fn wake_readable(&self, pipe: &Bytes, waker: Waker);

    /// Something was written to a pipe. Who polls descriptors need not be told.
    fn written(&self) {}

    /// Whether tasks that live there are on another thread than GLib.
    fn is_remote(&self, home: Home) -> bool {
        let _ = home;
        false
    }

    /// Queues a job for the GLib thread, for tasks that are not on it.
    fn push(&self, job: Job) {
        job();
    }

    /// Whether a block-on cannot be had here and now.
    fn refuses_block_on(&self) -> Option<Refused> {
        None
    }

    /// Runs both loops until the run is over.
    fn run(&self, base: &Base) {
        while base.clock.stuck().is_none() {
            base.context.iteration(true);
        }
    }

    /// What the ideal run does otherwise: no priorities, no floods that take the whole thread, and
    /// a panic ends its source alone.
    fn is_ideal(&self) -> bool {
        false
    }

    /// Drops what is queued.
    fn clear(&self);
}

/// How long one step of a flood takes in the ideal run, where nothing else takes time.
pub(super) const FLOOD_STEP: Duration = Duration::from_millis(1);

/// Both loops of a model run.
pub(super) struct Host {
    base: Base,
    guest: Arc<dyn Guest>,
    /// Made when a task is to live there.
    remote: OnceLock<Remote>,
    levels: Mutex<BTreeMap<String, Level>>,
    me: Weak<Host>,
}

/// Another tokio, and its way to the GLib thread.
struct Remote {
    worker: Worker,
    jobs: Jobs,
}

/// A nested loop, from its being named on.
#[derive(Default)]
struct Level {
    closed: bool,
    main_loop: Option<MainLoop>,
}

impl Host {
    pub(super) fn new(base: Base, guest: Arc<dyn Guest>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            base,
            guest,
            remote: OnceLock::new(),
            levels: Mutex::default(),
            me: me.clone(),
        })
    }

    /// The other tokio, if tasks of `home` live on it. Ideally all tasks live on one thread.
    fn remote(&self, home: Home) -> Option<&Remote> {
        (home == Home::Remote && !self.guest.is_ideal()).then(|| {
            self.remote.get_or_init(|| Remote {
                worker: Worker::new(&self.base, REMOTE),
                jobs: Jobs::new(&self.base),
            })
        })
    }

    /// The other tokio, if the caller is its thread: timers and descriptors are those of the
    /// runtime that polls.
    fn polled_remotely(&self) -> Option<&Worker> {
        let remote = self.remote.get().filter(|_| self.base.clock.thread() == REMOTE);
        remote.map(|remote| &remote.worker)
    }

    fn wake_at(&self, deadline: Duration, waker: Waker) {
        match self.polled_remotely() {
            Some(worker) => worker.wake_at(deadline, waker),
            None => self.guest.wake_at(deadline, waker),
        }
    }

    pub(super) fn wake_readable(&self, pipe: &Bytes, waker: Waker) {
        match self.polled_remotely() {
            Some(worker) => worker.wake_readable(pipe, waker),
            None => self.guest.wake_readable(pipe, waker),
        }
    }

    /// Something was written to a pipe.
    pub(super) fn written(&self) {
        self.guest.written();
        if let Some(remote) = self.remote.get() {
            remote.worker.written();
        }
    }

    /// Whether tasks of `home` are on another thread than GLib.
    fn is_remote(&self, home: Home) -> bool {
        self.remote(home).is_some() || self.guest.is_remote(home)
    }

    /// Does a job on the GLib thread for a task of `home`: here, if that is where it lives.
    fn push(&self, home: Home, job: Job) {
        match self.remote(home) {
            Some(remote) => remote.jobs.push(job),
            None if self.guest.is_remote(home) => self.guest.push(job),
            None => job(),
        }
    }

    /// Drops what is queued.
    pub(super) fn clear(&self) {
        self.guest.clear();
        if let Some(remote) = self.remote.get() {
            remote.worker.clear();
            remote.jobs.clear();
        }
    }

    pub(super) fn context(&self) -> &Context {
        &self.base.context
    }

    fn is_closed(&self, level: &str) -> bool {
        lock(&self.levels).get(level).is_some_and(|l| l.closed) || self.is_over()
    }

    fn is_over(&self) -> bool {
        self.base.clock.stuck().is_some()
    }

    fn priority(&self, priority: i32) -> i32 {
        if self.guest.is_ideal() { PRIORITY_DEFAULT } else { priority }
    }

    /// A callback as GLib calls it: nothing can unwind through C.
    pub(super) fn called(
        &self,
        mut callback: Callback,
    ) -> impl Fn() -> ControlFlow<()> + Send + Sync + use<> {
        let (tape, ideal) = (self.base.tape.clone(), self.guest.is_ideal());
        // Locked while it runs; its source is blocked meanwhile.
        let callback = Mutex::new(move || {
            quietly(&mut callback).unwrap_or_else(|| {
                if !ideal {
                    tape.die("panic in a function that cannot unwind");
                }
                ControlFlow::Break(())
            })
        });
        move || (*lock(&callback))()
    }

    /// Begins a GAsyncResult call: its peer answers in a timeout, and its callback completes `done`.
    fn begin_call(&self, after: Duration, done: Signal) {
        let bytes = Bytes::new(&self.base.clock);
        let peer = bytes.clone();
        let answer = self.base.context.timeout(after, move |_| {
            peer.write(1);
            ControlFlow::Break(())
        });
        answer.attach();
        let reading = self.base.context.watch(bytes.read_end(), Events::IN, move |_, _| {
            done.set();
            ControlFlow::Break(())
        });
        reading.attach();
    }
}

impl Loops for Host {
    fn now(&self) -> Duration {
        self.base.clock.now()
    }

    fn spawn(&self, home: Home, task: BoxFuture) -> Canceller {
        match self.remote(home) {
            Some(remote) => remote.worker.spawn(task),
            None => self.guest.spawn(home, task),
        }
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture {
        let (clock, host) = (self.base.clock.clone(), self.me.clone());
        let mut timer: Option<Arc<Driven>> = None;
        Box::pin(std::future::poll_fn(move |cx| {
            if let Some(timer) = &timer {
                return if timer.has_happened() { Poll::Ready(()) } else { Poll::Pending };
            }
            if clock.now() >= deadline {
                return Poll::Ready(());
            }
            if let Some(host) = host.upgrade() {
                let driven = timer.insert(Arc::default());
                host.wake_at(deadline, driven.waker(cx));
            }
            Poll::Pending
        }))
    }

    fn yield_now(&self) -> BoxFuture {
        if self.guest.is_ideal() {
            return self.sleep_until(self.now() + FLOOD_STEP);
        }
        let mut yielded = false;
        Box::pin(std::future::poll_fn(move |cx| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }))
    }

    fn channel(&self) -> Arc<dyn Channel> {
        Arc::new(Messages::default())
    }

    fn pipe(&self) -> io::Result<Arc<dyn Pipe>> {
        Ok(Arc::new(Stream { bytes: Bytes::new(&self.base.clock), host: self.me.clone() }))
    }

    fn call(&self, home: Home, after: Duration, reply: Reply) -> BoxFuture<Option<Reply>> {
        let host = self.me.clone();
        Box::pin(async move {
            let done = Signal::default();
            let answered = done.clone();
            if let Some(asking) = host.upgrade() {
                let begin = move || {
                    if let Some(host) = host.upgrade() {
                        host.begin_call(after, done);
                    }
                };
                asking.push(home, Box::new(begin));
            }
            answered.await;
            Some(reply)
        })
    }

    fn add_timeout(&self, priority: i32, interval: Duration, callback: Callback) {
        let callback = self.called(callback);
        let source = self.base.context.timeout(interval, move |_| callback());
        source.set_priority(self.priority(priority));
        source.attach();
    }

    fn add_idle(&self, priority: i32, callback: Callback) {
        let callback = self.called(callback);
        if self.guest.is_ideal() {
            // Takes time, so that it ends and nobody starves.
            let source = self.base.context.timeout(FLOOD_STEP, move |_| callback());
            source.set_ready_time(Some(self.now()));
            source.attach();
            return;
        }
        let source = self.base.context.idle(move |_| callback());
        source.set_priority(priority);
        source.attach();
    }

    fn run_nested(&self, level: &str, how: How) -> Result<(), Refused> {
        let Base { clock, context, .. } = &self.base;
        match how {
            _ if self.is_closed(level) => {}
            How::Run => {
                let main_loop = MainLoop::new(context);
                let mut levels = lock(&self.levels);
                levels.entry(level.to_owned()).or_default().main_loop = Some(main_loop.clone());
                drop(levels);
                main_loop.run();
            }
            How::Iteration => {
                while !self.is_closed(level) {
                    context.iteration(true);
                }
            }
            How::Drain => {
                while !self.is_closed(level) {
                    while context.pending() {
                        context.iteration(false);
                    }
                    clock.advance(DRAIN_PAUSE);
                }
            }
        }
        Ok(())
    }

    fn quit(&self, level: &str) {
        let main_loop = {
            let mut levels = lock(&self.levels);
            let entry = levels.entry(level.to_owned()).or_default();
            entry.closed = true;
            entry.main_loop.take()
        };
        match main_loop {
            Some(main_loop) => main_loop.quit(),
            None => self.base.context.wakeup(),
        }
    }

    fn block_on(&self, task: BoxFuture) -> Result<(), Refused> {
        if let Some(refused) = self.guest.refuses_block_on() {
            return Err(refused);
        }
        let main_loop = MainLoop::new(&self.base.context);
        let quit = Quit(main_loop.clone());
        let quitting = async move {
            // Dropped with the task, also when it panics or is cancelled.
            let _quit = quit;
            task.await;
        };
        drop(self.guest.spawn(Home::Local, Box::pin(quitting)));
        main_loop.run();
        Ok(())
    }

    fn on_host(&self, home: Home, job: Job) -> BoxFuture<Result<(), Refused>> {
        if !self.is_remote(home) {
            job();
            return Box::pin(std::future::ready(Ok(())));
        }
        let done = Signal::default();
        let finished = SetOnDrop(done.clone());
        let job = move || {
            quietly(job);
            drop(finished);
        };
        self.push(home, Box::new(job));
        Box::pin(async move {
            done.await;
            Ok(())
        })
    }

    fn thread(&self, script: Vec<(Duration, Job)>) {
        let mut at = self.now();
        for (delay, job) in script {
            at += delay;
            self.base.clock.at(at, || {
                quietly(job);
            });
        }
    }

    fn compute(&self, time: Duration) {
        self.base.clock.advance(time);
    }

    fn panic(&self, message: String) -> ! {
        // Unwinds without the panic hook: in virtual time a planned panic is no news.
        std::panic::resume_unwind(Box::new(message))
    }
}

/// Quits a loop when dropped, by way of the context: a quit before the run would be forgotten.
struct Quit(MainLoop);

impl Drop for Quit {
    fn drop(&mut self) {
        let main_loop = self.0.clone();
        let source = self.0.context().idle(move |_| {
            main_loop.quit();
            ControlFlow::Break(())
        });
        source.set_priority(PRIORITY_DEFAULT);
        source.attach();
    }
}

struct SetOnDrop(Signal);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}
