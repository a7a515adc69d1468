//! The re-entrant run queue: it polls tasks, and a task can open a nested loop that polls the
//! others.
//!
//! An ordinary executor holds a borrow, a guard or a thread-local "I am running" while it polls,
//! so a nested loop inside a task either deadlocks, aborts or runs nothing
//! (glib's own executor unwraps `EnterError`: gtk-rs-core#739).
//! Here a poll holds nothing: [`Executor::run_slice`] takes one task out of the queue, polls it,
//! and takes the next.
//! The task that is being polled is not in the queue, so it is never polled inside itself. If it is
//! woken meanwhile, it goes back into the queue when its poll returns.
//!
//! Invariants:
//!
//! - **A task is polled and dropped only on the thread that made the executor.**
//! - **A wake never runs user code**: it pushes to the queue and, once per sleep, rings the host.
//! - **A panic stays in its task**, as in tokio: awaiting the handle returns it. A panic in a
//!   destructor, or in the waker of who awaits the handle, is reported by the panic hook only.

mod handle;

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use async_task::Runnable;
use pin_project_lite::pin_project;
use slab::Slab;

pub use self::handle::{JoinError, JoinHandle};
use self::handle::{Marks, Output};
pub use crate::panics::Panic;
use crate::panics::quietly;
use crate::protocol::WakeFlag;
use crate::sync::{Arc, Mutex, MutexGuard, Ordering, lock, yield_now};

/// [`Executor::run_slice`] reads the clock after this many polls, because that costs about as much
/// as polling a task that does nothing. It also does so after two and four polls, which may be
/// long.
const POLLS_PER_CLOCK: u32 = 8;

/// A single-threaded executor that can be re-entered from the tasks it polls.
///
/// Not `Send`, because its tasks need not be. Use a [`Spawner`] to reach it from other threads.
pub struct Executor {
    shared: Arc<Shared>,
    _thread: PhantomData<*const ()>,
}

struct Shared {
    queue: Mutex<VecDeque<Runnable>>,
    /// Armed while the host sleeps.
    flag: WakeFlag,
    ring: Box<dyn Fn() + Send + Sync>,
    alive: Mutex<Alive>,
}

#[derive(Default)]
struct Alive {
    /// Every task that has not ended, to reach them when the executor is dropped.
    tasks: Slab<Known>,
    takes: Takes,
}

struct Known {
    waker: Waker,
    marks: Arc<Marks>,
}

/// Tasks that have not ended and that nobody awaits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detached {
    /// All of them.
    pub n: usize,
    /// Those that were never polled.
    pub n_unpolled: usize,
}

/// Which new tasks are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Takes {
    #[default]
    All,
    /// Stopped: only what is asked for by [`Executor::spawn_last`].
    Last,
    /// The executor is being dropped. That would not end while other threads go on spawning.
    None,
}

/// What a slice left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice {
    /// Nothing is ready.
    Empty,
    /// Time ran out first, and tasks are still ready.
    More,
}

impl Executor {
    /// Creates an executor without tasks; `ring` wakes the host loop from any thread.
    pub fn new(ring: impl Fn() + Send + Sync + 'static) -> Self {
        let shared = Shared {
            queue: Mutex::new(VecDeque::new()),
            flag: WakeFlag::new(),
            ring: Box::new(ring),
            alive: Mutex::new(Alive::default()),
        };
        Self { shared: Arc::new(shared), _thread: PhantomData }
    }

    /// Starts a task.
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.spawn_here(future, Takes::All)
    }

    /// Like [`spawn_local`](Self::spawn_local), even after [`stop`](Self::stop): for a task that the
    /// end waits for.
    pub fn spawn_last<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.spawn_here(future, Takes::Last)
    }

    fn spawn_here<F>(&self, future: F, at_least: Takes) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let (entry, body) = Shared::enter(&self.shared, future, at_least);
        let marks = body.marks.clone();
        let (runnable, task) = async_task::spawn_local(body, Shared::schedule(&self.shared));
        let waker = Shared::begin(&self.shared, entry, runnable);
        JoinHandle::new(task, waker, marks)
    }

    /// A handle that spawns from any thread.
    pub fn spawner(&self) -> Spawner {
        Spawner { shared: self.shared.clone() }
    }

    /// Takes no more tasks. One that is spawned is dropped at once, and awaiting its handle gives
    /// [`JoinError::Cancelled`]. Those that have begun go on.
    pub fn stop(&self) {
        let mut alive = self.shared.alive();
        alive.takes = alive.takes.max(Takes::Last);
    }

    /// Polls ready tasks, first come, first served, for about `time`.
    ///
    /// Tasks woken meanwhile are polled too, if time allows.
    /// May be called inside a task.
    pub fn run_slice(&self, time: Duration) -> Slice {
        let now = Instant::now();
        // If the sum overflows, a year is as good as for ever.
        self.run_until(now.checked_add(time).unwrap_or(now + Duration::from_secs(31_536_000)))
    }

    /// Like [`run_slice`](Self::run_slice), until `end`.
    pub fn run_until(&self, end: Instant) -> Slice {
        let mut polls = 0u32;
        loop {
            // The lock is not held while the task runs.
            let Some(runnable) = lock(&self.shared.queue).pop_front() else {
                return Slice::Empty;
            };
            runnable.run();
            polls += 1;
            let look = polls.is_multiple_of(POLLS_PER_CLOCK) || matches!(polls, 2 | 4);
            if look && Instant::now() >= end {
                return if self.is_ready() { Slice::More } else { Slice::Empty };
            }
        }
    }

    /// Whether a task is ready.
    pub fn is_ready(&self) -> bool {
        !lock(&self.shared.queue).is_empty()
    }

    /// Call this when the host is about to sleep: `true` if a task is ready and it must not.
    pub fn prepare(&self) -> bool {
        self.shared.flag.look_before_sleep(|| self.is_ready())
    }

    /// Call this when the host is awake: `true` if a task is ready. Wakes do not ring until the
    /// next [`prepare`](Self::prepare).
    pub fn check(&self) -> bool {
        self.shared.flag.disarm();
        self.is_ready()
    }

    /// The tasks that have not ended and that nobody awaits.
    pub fn detached(&self) -> Detached {
        let alive = self.shared.alive();
        let detached = alive.tasks.iter().map(|(_, known)| &known.marks);
        detached.filter(|marks| marks.detached.load(Ordering::Relaxed)).fold(
            Detached::default(),
            |Detached { n, n_unpolled }, marks| Detached {
                n: n + 1,
                n_unpolled: n_unpolled + usize::from(!marks.polled.load(Ordering::Relaxed)),
            },
        )
    }

    /// The number of tasks that have not ended.
    pub fn n_tasks(&self) -> usize {
        self.shared.alive().tasks.len()
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("n_tasks", &self.n_tasks()).finish_non_exhaustive()
    }
}

impl Drop for Executor {
    /// Drops every task at once, on the thread that it belongs to.
    fn drop(&mut self) {
        let wakers: Vec<Waker> = {
            let mut alive = self.shared.alive();
            alive.takes = Takes::None;
            alive.tasks.iter().map(|(_, known)| known.waker.clone()).collect()
        };
        for waker in wakers {
            waker.wake();
        }
        loop {
            let runnable = lock(&self.shared.queue).pop_front();
            match runnable {
                Some(task) => drop(task),
                None if self.shared.alive().tasks.is_empty() => break,
                // Another thread is between waking a task and queueing it.
                None => yield_now(),
            }
        }
    }
}

impl Shared {
    fn alive(&self) -> MutexGuard<'_, Alive> {
        lock(&self.alive)
    }

    /// Reserves the entry in `alive` before the task exists; none if such tasks are no longer taken.
    fn enter<F>(this: &Arc<Self>, future: F, kind: Takes) -> (Option<usize>, Body<F>) {
        let marks = Marks::new();
        let index = {
            let known = Known { waker: Waker::noop().clone(), marks: marks.clone() };
            let mut alive = this.alive();
            (alive.takes <= kind).then(|| alive.tasks.insert(known))
        };
        let entry = Entry { shared: this.clone(), index };
        (index, Body { future: Some(future), marks, entry })
    }

    /// Queues a task for the first time, or drops it if it has no entry. Gives a waker of it.
    fn begin(this: &Arc<Self>, entry: Option<usize>, runnable: Runnable) -> Waker {
        let waker = runnable.waker();
        let Some(entry) = entry else {
            drop(runnable);
            return waker;
        };
        if let Some(entry) = this.alive().tasks.get_mut(entry) {
            entry.waker.clone_from(&waker);
        }
        runnable.schedule();
        waker
    }

    fn schedule(this: &Arc<Self>) -> impl Fn(Runnable) + Send + Sync + 'static {
        let this = this.clone();
        move |runnable| {
            lock(&this.queue).push_back(runnable);
            if this.flag.trip() {
                (this.ring)();
            }
        }
    }
}

pin_project! {
    /// A task's future, which catches its panics, including those of its destructor: async-task
    /// aborts the process if a task's destructor panics.
    struct Body<F> {
        #[pin]
        future: Option<F>,
        marks: Arc<Marks>,
        // Dropped after the future: a task counts until its destructors have run.
        entry: Entry,
    }

    impl<F> PinnedDrop for Body<F> {
        fn drop(this: Pin<&mut Self>) {
            clear(this.project().future);
        }
    }
}

impl<F: Future> Future for Body<F> {
    type Output = Result<Output<F::Output>, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            unreachable!("async-task does not poll a task that has ended")
        };
        // Not before the poll: a wake between a look there and the poll would be lost, because the
        // task is still queued and is not queued twice.
        // Read and modified, because loom does not see that async-task orders this after the wake.
        this.marks.polled.store(true, Ordering::Relaxed);
        if this.marks.aborted.swap(false, Ordering::AcqRel) {
            clear(this.future);
            return Poll::Ready(Err(JoinError::Cancelled));
        }
        let result = match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(Output(Some(output))),
            Err(panic) => Err(JoinError::Panicked(Panic::new(panic))),
        };
        clear(this.future);
        Poll::Ready(result)
    }
}

/// Drops a future. A panic ends here; the panic hook has already reported it.
fn clear<F>(mut future: Pin<&mut Option<F>>) {
    quietly(|| future.set(None));
}

/// Removes a task from `alive` when its future is gone.
struct Entry {
    shared: Arc<Shared>,
    index: Option<usize>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let known = self.index.and_then(|index| self.shared.alive().tasks.try_remove(index));
        drop(known);
    }
}

/// Starts tasks from any thread; they run on the executor's.
#[derive(Clone)]
pub struct Spawner {
    shared: Arc<Shared>,
}

impl Spawner {
    /// Starts a task. If the executor was stopped or is gone, the task is dropped at once and awaiting
    /// the handle gives [`JoinError::Cancelled`].
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (entry, body) = Shared::enter(&self.shared, future, Takes::All);
        let marks = body.marks.clone();
        let (runnable, task) = async_task::spawn(body, Shared::schedule(&self.shared));
        let waker = Shared::begin(&self.shared, entry, runnable);
        JoinHandle::new(task, waker, marks)
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spawner")
    }
}
