//! The ideal run: [`Loops`] in virtual time.
//!
//! Both loops share one queue, every nested loop runs everything that is not on the stack, and
//! nothing takes time but waiting and computing.
//! The trace says when each event of a program is due.
//!
//! GLib's rule that a source is not dispatched while its own callback runs is kept, since a
//! program can see it: a timer that opens a dialog does not tick meanwhile.
//! Priorities are ignored: they say what comes first at one moment, and nobody starves here.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use async_task::{Runnable, Task};

use crate::classify::TICK;
use crate::interp::Run;
use crate::loops::{BoxFuture, Callback, Canceller, Channel, Home, Job, Loops, Pipe, Refused};
use crate::program::{How, Program, Reply};
use crate::signal::Signal;
use crate::trace::{End, Event, Meter, Recorder, Trace, What};

/// How long one step of a flood takes in virtual time, so that floods end.
const FLOOD_STEP: Duration = Duration::from_millis(1);

/// A program that has not ended by this virtual time never will.
const HORIZON: Duration = Duration::from_secs(60);

/// Runs `program` in virtual time.
///
/// The end is [`End::Deadline`] when the program cannot end even ideally.
pub fn ideal(program: &Program) -> Trace {
    let log = Arc::new(Log::default());
    let world = World::new(log.clone());
    let run = Run::new(Arc::new(program.clone()), world.clone(), log.clone());
    let end = match run {
        Err(error) => End::Unknown { reason: error.to_string() },
        Ok(run) => {
            let done = run.start();
            if world.run_until(|| done.is_set()) {
                End::Finished
            } else {
                End::Deadline { last: Meter::default(), in_lock: false }
            }
        }
    };
    world.clear();
    debug_assert_eq!(Arc::strong_count(&world), 1, "something outlives the ideal run");
    let mut log = log.lock();
    let mut events = std::mem::take(&mut log.events);
    // What was dropped with the world was never due.
    if let Some(done) = events.iter().position(|e| e.what == What::Done) {
        events.truncate(done + 1);
    }
    Trace { events, meter: Meter::default(), end, notes: std::mem::take(&mut log.notes) }
}

#[derive(Default)]
struct Log(Mutex<Lines>);

#[derive(Default)]
struct Lines {
    events: Vec<Event>,
    notes: Vec<String>,
    frozen: bool,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes no more events.
    fn freeze(&self) {
        self.lock().frozen = true;
    }
}

impl Recorder for Log {
    fn record(&self, at: Duration, depth: u16, what: What) {
        // The ideal machine never stands still.
        let ticks = (at.as_millis() / TICK.as_millis()) as u64;
        let event = Event { at, depth, what, meter: Meter { ticks, ..Meter::default() } };
        let mut lines = self.lock();
        if !lines.frozen {
            lines.events.push(event);
        }
    }

    fn useful(&self) {}

    fn note(&self, text: &str) {
        self.lock().notes.push(text.to_owned());
    }
}

/// Virtual time and everything that waits in it.
struct World {
    state: Mutex<State>,
    log: Arc<Log>,
    me: Weak<World>,
}

#[derive(Default)]
struct State {
    now: Duration,
    /// When the innermost iteration began: GLib counts a timeout's interval from there.
    iteration: Duration,
    /// Nothing is left to do, and yet a loop waits: the program cannot end.
    stuck: bool,
    order: u64,
    ready: VecDeque<Ready>,
    timers: BinaryHeap<Reverse<Timer>>,
    closed: BTreeSet<String>,
    /// All tasks ever, to drop those that wait for something that never comes.
    tasks: Vec<Arc<Keep>>,
}

/// What can run at this moment.
enum Ready {
    Task(Runnable),
    Job(Job),
    Idle(Callback),
}

/// What will run later; ordered by time, then by age.
struct Timer {
    at: Duration,
    order: u64,
    action: Action,
}

enum Action {
    Wake(Waker),
    Timeout(Duration, Callback),
    Job(Job),
}

impl World {
    fn new(log: Arc<Log>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self { state: Mutex::default(), log, me: me.clone() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_timer(&self, after: Duration, action: Action) {
        let at = self.state().now + after;
        self.add_timer_at(at, action);
    }

    fn add_timer_at(&self, at: Duration, action: Action) {
        let mut state = self.state();
        let timer = Timer { at, order: state.order, action };
        state.order += 1;
        state.timers.push(Reverse(timer));
    }

    /// Runs whatever is due, earliest first, until `over`; `false` if nothing is left to do.
    ///
    /// Then every loop on the stack ends, but what comes of that is not part of the run.
    fn run_until(&self, over: impl Fn() -> bool) -> bool {
        while !over() {
            let (ready, timer) = {
                let mut state = self.state();
                if state.stuck {
                    return false;
                }
                let ready = state.ready.pop_front();
                let timer = if ready.is_none() { state.timers.pop() } else { None };
                if let Some(Reverse(timer)) = &timer {
                    state.now = state.now.max(timer.at);
                }
                state.iteration = state.now;
                (ready, timer)
            };
            match (ready, timer) {
                (Some(Ready::Task(task)), _) => {
                    quietly(|| task.run());
                }
                (Some(Ready::Job(job)), _) => {
                    quietly(job);
                }
                (Some(Ready::Idle(mut callback)), _) => {
                    if goes_on(&mut callback) {
                        let world = self.me.clone();
                        let again = move || {
                            if let Some(world) = world.upgrade() {
                                world.state().ready.push_back(Ready::Idle(callback));
                            }
                        };
                        self.add_timer(FLOOD_STEP, Action::Job(Box::new(again)));
                    }
                }
                (None, Some(Reverse(timer))) if timer.at <= HORIZON => match timer.action {
                    Action::Wake(waker) => waker.wake(),
                    Action::Job(job) => {
                        quietly(job);
                    }
                    Action::Timeout(interval, mut callback) => {
                        if goes_on(&mut callback) {
                            let at = self.state().iteration + interval;
                            self.add_timer_at(at, Action::Timeout(interval, callback));
                        }
                    }
                },
                _ => {
                    self.state().stuck = true;
                    self.log.freeze();
                    return false;
                }
            }
        }
        !self.state().stuck
    }

    /// Drops all tasks and callbacks, which hold the world that holds them.
    fn clear(&self) {
        let tasks = std::mem::take(&mut self.state().tasks);
        for task in tasks {
            task.cancel();
        }
        loop {
            let (ready, timers) = {
                let mut state = self.state();
                (std::mem::take(&mut state.ready), std::mem::take(&mut state.timers))
            };
            if ready.is_empty() && timers.is_empty() {
                break;
            }
        }
    }
}

/// Planned panics stay inside their task, as in every runtime, or inside their callback.
fn quietly<T>(run: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).ok()
}

fn goes_on(callback: &mut Callback) -> bool {
    quietly(callback).is_some_and(|flow| flow.is_continue())
}

impl Loops for World {
    fn now(&self) -> Duration {
        self.state().now
    }

    fn spawn(&self, _home: Home, task: BoxFuture) -> Canceller {
        let world = self.me.clone();
        let schedule = move |runnable| {
            if let Some(world) = world.upgrade() {
                world.state().ready.push_back(Ready::Task(runnable));
            }
        };
        let (runnable, task) = async_task::spawn(task, schedule);
        runnable.schedule();
        // The canceller may go at any time without stopping the task.
        let keep = Arc::new(Keep(Mutex::new(Some(task))));
        if let Some(world) = self.me.upgrade() {
            world.state().tasks.push(keep.clone());
        }
        Box::new(move || keep.cancel())
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture {
        let world = self.me.clone();
        let mut armed = false;
        Box::pin(poll_fn(move |cx| {
            let Some(world) = world.upgrade() else {
                return Poll::Pending;
            };
            let now = world.now();
            if now >= deadline {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut armed, true) {
                world.add_timer(deadline - now, Action::Wake(cx.waker().clone()));
            }
            Poll::Pending
        }))
    }

    fn yield_now(&self) -> BoxFuture {
        self.sleep_until(self.now() + FLOOD_STEP)
    }

    fn channel(&self) -> Arc<dyn Channel> {
        Arc::new(Queue::default())
    }

    fn pipe(&self) -> io::Result<Arc<dyn Pipe>> {
        Ok(Arc::new(VirtualPipe { queue: Queue::default(), world: self.me.clone() }))
    }

    fn call(&self, _home: Home, after: Duration, reply: Reply) -> BoxFuture<Option<Reply>> {
        let answered = self.sleep_until(self.now() + after);
        Box::pin(async move {
            answered.await;
            Some(reply)
        })
    }

    fn add_timeout(&self, _priority: i32, interval: Duration, callback: Callback) {
        self.add_timer(interval, Action::Timeout(interval, callback));
    }

    fn add_idle(&self, _priority: i32, callback: Callback) {
        self.state().ready.push_back(Ready::Idle(callback));
    }

    fn run_nested(&self, level: &str, _how: How) -> Result<(), Refused> {
        self.run_until(|| self.state().closed.contains(level));
        Ok(())
    }

    fn quit(&self, level: &str) {
        self.state().closed.insert(level.to_owned());
    }

    fn block_on(&self, task: BoxFuture) -> Result<(), Refused> {
        let done = Signal::default();
        // Set on drop, so that a task that panics ends the wait too.
        let guard = SetOnDrop(done.clone());
        drop(self.spawn(
            Home::Local,
            Box::pin(async move {
                task.await;
                drop(guard);
            }),
        ));
        self.run_until(|| done.is_set());
        Ok(())
    }

    fn thread(&self, script: Vec<(Duration, Job)>) {
        let mut at = Duration::ZERO;
        for (delay, job) in script {
            at += delay;
            if at.is_zero() {
                self.state().ready.push_back(Ready::Job(job));
            } else {
                self.add_timer(at, Action::Job(job));
            }
        }
    }

    fn compute(&self, time: Duration) {
        self.state().now += time;
    }

    fn panic(&self, message: String) -> ! {
        // Unwinds without the panic hook: in virtual time a planned panic is no news.
        std::panic::resume_unwind(Box::new(message))
    }
}

struct SetOnDrop(Signal);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// A task that is detached when its handle goes.
struct Keep(Mutex<Option<Task<()>>>);

impl Keep {
    fn take(&self) -> Option<Task<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn cancel(&self) {
        drop(self.take());
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        if let Some(task) = self.take() {
            task.detach();
        }
    }
}

/// Counts messages; wakes everybody who waits for one.
#[derive(Clone, Default)]
struct Queue(Arc<Mutex<Counted>>);

#[derive(Default)]
struct Counted {
    n: u64,
    closed: bool,
    wakers: Vec<Waker>,
}

impl Queue {
    fn change(&self, change: impl FnOnce(&mut Counted)) {
        let wakers = {
            let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut counted);
            std::mem::take(&mut counted.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Takes one; `false` when it is closed and empty.
    async fn take(self) -> bool {
        poll_fn(|cx| {
            let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if counted.n > 0 {
                counted.n -= 1;
                return Poll::Ready(true);
            }
            if counted.closed {
                return Poll::Ready(false);
            }
            counted.wakers.push(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Channel for Queue {
    fn send(&self) {
        self.change(|counted| counted.n += 1);
    }

    fn receive(&self) -> BoxFuture {
        let queue = self.clone();
        Box::pin(async move {
            queue.take().await;
        })
    }
}

struct VirtualPipe {
    queue: Queue,
    world: Weak<World>,
}

impl Pipe for VirtualPipe {
    fn write(&self) {
        self.queue.change(|counted| counted.n += 1);
    }

    fn close(&self) {
        self.queue.change(|counted| counted.closed = true);
    }

    fn read(&self) -> BoxFuture<bool> {
        Box::pin(self.queue.clone().take())
    }

    fn watch(&self, mut callback: Callback) {
        let queue = self.queue.clone();
        let Some(world) = self.world.upgrade() else {
            return;
        };
        // A watch is a task that calls back for each byte, and once for the end of file.
        let watch = async move {
            while queue.clone().take().await {
                if callback().is_break() {
                    return;
                }
            }
            let _ = callback();
        };
        drop(world.spawn(Home::Local, Box::pin(watch)));
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
