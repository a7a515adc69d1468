//! [`Loops`] over the model: what the models of all strategies have in common.
//!
//! The counterpart of the code that the real strategies share.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::base::Base;
use super::guest::Guest;
use super::pipes::{Messages, Stream};
use super::sides::Sides;
use super::tasks::{Driven, quietly};
use crate::loops::{BoxFuture, Callback, Canceller, Channel, Home, Job, Loops, Pipe, Refused};
use crate::measure::DRAIN_PAUSE;
use crate::model::fd::{Events, Pipe as Bytes};
use crate::model::funcs::PRIORITY_DEFAULT;
use crate::model::main_loop::MainLoop;
use crate::program::{How, Reply};
use crate::protocol::depth::DepthStack;
use crate::signal::Signal;

/// How long one step of a flood takes in the ideal run, in which nothing else takes time.
const FLOOD_STEP: Duration = Duration::from_millis(1);

/// Both loops of a model run.
pub(super) struct Host {
    sides: Arc<Sides>,
    levels: DepthStack<Option<MainLoop>>,
}

impl Host {
    pub(super) fn new(base: Base, guest: Arc<dyn Guest>) -> Self {
        Self { sides: Arc::new(Sides::new(base, guest)), levels: DepthStack::new() }
    }

    /// Drops what is queued.
    pub(super) fn clear(&self) {
        self.sides.clear();
    }
}

impl Loops for Host {
    fn now(&self) -> Duration {
        self.sides.base.clock.now()
    }

    fn spawn(&self, home: Home, task: BoxFuture) -> Canceller {
        self.sides.spawn(home, task)
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture {
        let (clock, sides) = (self.sides.base.clock.clone(), Arc::downgrade(&self.sides));
        let mut timer: Option<Arc<Driven>> = None;
        Box::pin(std::future::poll_fn(move |cx| {
            if let Some(timer) = &timer {
                return if timer.has_happened() { Poll::Ready(()) } else { Poll::Pending };
            }
            if clock.now() >= deadline {
                return Poll::Ready(());
            }
            if let Some(sides) = sides.upgrade() {
                let driven = timer.insert(Arc::default());
                sides.wake_at(deadline, driven.waker(cx));
            }
            Poll::Pending
        }))
    }

    fn yield_now(&self) -> BoxFuture {
        if self.sides.guest.is_ideal() {
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
        let bytes = Bytes::new(&self.sides.base.clock);
        Ok(Arc::new(Stream { bytes, sides: Arc::downgrade(&self.sides) }))
    }

    fn call(&self, home: Home, after: Duration, reply: Reply) -> BoxFuture<Option<Reply>> {
        let sides = Arc::downgrade(&self.sides);
        Box::pin(async move {
            let done = Signal::default();
            let answered = done.clone();
            if let Some(asking) = sides.upgrade() {
                let begin = move || {
                    if let Some(sides) = sides.upgrade() {
                        begin_call(&sides.base, after, done);
                    }
                };
                asking.push(home, Box::new(begin));
            }
            answered.await;
            Some(reply)
        })
    }

    fn add_timeout(&self, priority: i32, interval: Duration, callback: Callback) {
        let callback = self.sides.called(callback);
        let source = self.sides.base.context.timeout(interval, move |_| callback());
        source.set_priority(self.sides.priority(priority));
        source.attach();
    }

    fn add_idle(&self, priority: i32, callback: Callback) {
        let context = &self.sides.base.context;
        let callback = self.sides.called(callback);
        if self.sides.guest.is_ideal() {
            // Takes time, so that the flood ends and starves nothing.
            let source = context.timeout(FLOOD_STEP, move |_| callback());
            source.set_ready_time(Some(self.now()));
            source.attach();
            return;
        }
        let source = context.idle(move |_| callback());
        source.set_priority(priority);
        source.attach();
    }

    fn run_nested(&self, level: &str, how: How) -> Result<(), Refused> {
        let Base { clock, context, .. } = &self.sides.base;
        let main_loop = (how == How::Run).then(|| MainLoop::new(context));
        let Some(level) = self.levels.open(level, main_loop.clone()) else {
            return Ok(());
        };
        let is_over = || level.is_told() || clock.stuck().is_some();
        match (how, main_loop) {
            (_, Some(main_loop)) => main_loop.run(),
            (How::Drain, None) => {
                while !is_over() {
                    while context.pending() {
                        context.iteration(false);
                    }
                    clock.advance(DRAIN_PAUSE);
                }
            }
            (_, None) => {
                while !is_over() {
                    context.iteration(true);
                }
            }
        }
        Ok(())
    }

    fn quit(&self, level: &str) {
        match self.levels.quit(level) {
            Some(Some(main_loop)) => main_loop.quit(),
            Some(None) => self.sides.base.context.wakeup(),
            None => {}
        }
    }

    fn block_on(&self, task: BoxFuture) -> Result<(), Refused> {
        if let Some(refused) = self.sides.guest.refuses_block_on() {
            return Err(refused);
        }
        let main_loop = MainLoop::new(&self.sides.base.context);
        let quit = Quit(main_loop.clone());
        let quitting = async move {
            // Dropped with the task, even if it panics or is cancelled.
            let _quit = quit;
            task.await;
        };
        drop(self.sides.guest.spawn(Home::Local, Box::pin(quitting)));
        main_loop.run();
        Ok(())
    }

    fn on_host(&self, home: Home, job: Job) -> BoxFuture<Result<(), Refused>> {
        if !self.sides.is_remote(home) {
            job();
            return Box::pin(std::future::ready(Ok(())));
        }
        let done = Signal::default();
        let finished = SetOnDrop(done.clone());
        let job = move || {
            quietly(job);
            drop(finished);
        };
        self.sides.push(home, Box::new(job));
        Box::pin(async move {
            done.await;
            Ok(())
        })
    }

    fn thread(&self, script: Vec<(Duration, Job)>) {
        let mut at = self.now();
        for (delay, job) in script {
            at += delay;
            self.sides.base.clock.at(at, || {
                quietly(job);
            });
        }
    }

    fn compute(&self, time: Duration) {
        self.sides.base.clock.advance(time);
    }

    fn panic(&self, message: String) -> ! {
        // Unwinds without the panic hook: in virtual time a planned panic should print nothing.
        std::panic::resume_unwind(Box::new(message))
    }
}

/// Begins a GAsyncResult call: the peer answers in a timeout, and the callback completes `done`.
fn begin_call(base: &Base, after: Duration, done: Signal) {
    let bytes = Bytes::new(&base.clock);
    let peer = bytes.clone();
    let answer = base.context.timeout(after, move |_| {
        peer.write(1);
        ControlFlow::Break(())
    });
    answer.attach();
    let reading = base.context.watch(bytes.read_end(), Events::IN, move |_, _| {
        done.set();
        ControlFlow::Break(())
    });
    reading.attach();
}

/// Quits a loop when dropped, from a source of the context: a quit before the run would be
/// forgotten.
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
