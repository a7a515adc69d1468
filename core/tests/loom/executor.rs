//! The executor: its run queue, its wakes, its re-entrancy, and its end.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::AtomicBool as Seen;
use std::task::{Poll, Waker};
use std::time::Duration;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use loopnest_core::executor::{Executor, Spawner};

use crate::host::{
    Bell, Host, IN_VAIN, LONG, Loop, assert_turns, goes_on_in_a_nested_loop,
    is_not_rung_while_awake, is_rung_once_per_sleep, loses_no_wake_up,
};
use crate::search::{LOST, Model, Search, join, note, spawn};

pub const MODELS: &[Model] = &[
    Model::holds("executor::loses_no_spawn", loses_no_wake_up::<Polled<Right>>),
    Model::holds("executor::is_rung_once_per_sleep", is_rung_once_per_sleep::<Polled<Right>>),
    Model::holds("executor::is_not_rung_while_awake", is_not_rung_while_awake::<Polled<Right>>),
    Model::holds("executor::goes_on_in_a_nested_loop", goes_on_in_a_nested_loop::<Polled<Right>>),
    Model::holds("executor::goes_on_in_a_nested_loop_of_a_task", in_a_task::<Right>),
    Model::holds("executor::polls_a_task_until_it_has_heard_all_wakes", heard),
    Model::holds("executor::leaves_nothing_when_it_goes", leaves_nothing),
    Model::holds("executor::drops_a_woken_task_on_its_own_thread", own_thread),
    Model::holds("executor::drops_a_cancelled_task_once", cancelled),
    Model::mutant(
        "executor::mutant_host_only_looks",
        "the host asks whether a task is ready, but does not say that it is about to sleep",
        LOST,
        loses_no_wake_up::<Polled<OnlyLooks>>,
    ),
    Model::mutant(
        "executor::mutant_host_checks_too_early",
        "the host says that it is awake when it is about to sleep",
        LOST,
        loses_no_wake_up::<Polled<ChecksTooEarly>>,
    ),
    Model::mutant(
        "executor::mutant_wake_dropped_while_a_dispatch_runs",
        "a ring is dropped while a dispatch runs, although a nested loop sleeps in it",
        LOST,
        in_a_task::<DropsRings>,
    ),
    Model::mutant(
        "executor::mutant_ready_while_a_slice_runs",
        "the source is ready for as long as a task is being polled",
        IN_VAIN,
        in_a_task::<NeverSleeps>,
    ),
    Model::mutant(
        "executor::mutant_woken_before_it_is_told",
        "a task is woken before the event that it waits for",
        LOST,
        woken_before_told,
    ),
];

/// An executor with a task for every piece of work that the guests bring.
struct Polled<W: When> {
    executor: Executor,
    done: Arc<AtomicUsize>,
    when: W,
}

/// How the host uses the executor.
trait When: 'static {
    fn new() -> Self;

    /// How the host is rung.
    fn ring(&self, bell: Arc<Bell>) -> Box<dyn Fn() + Send + Sync> {
        Box::new(move || bell.ring())
    }

    fn prepare(&self, executor: &Executor) -> bool {
        executor.prepare()
    }

    /// A dispatch begins or ends.
    fn dispatches(&self, _begins: bool) {}
}

/// The documented way.
struct Right;

impl When for Right {
    fn new() -> Self {
        Self
    }
}

#[derive(Clone)]
struct Guest {
    spawner: Spawner,
    done: Arc<AtomicUsize>,
}

impl<W: When> Host for Polled<W> {
    type Guest = Guest;

    fn new(bell: Arc<Bell>) -> (Self, Self::Guest) {
        let when = W::new();
        let executor = Executor::new(when.ring(bell));
        let done = Arc::new(AtomicUsize::new(0));
        let guest = Guest { spawner: executor.spawner(), done: done.clone() };
        (Self { executor, done, when }, guest)
    }

    fn bring(guest: &Self::Guest) {
        let done = guest.done.clone();
        note("spawns a task");
        let task = async move {
            done.fetch_add(1, Ordering::AcqRel);
        };
        guest.spawner.spawn(task);
    }

    fn prepare(&self) -> bool {
        self.when.prepare(&self.executor)
    }

    fn check(&self) {
        self.executor.check();
    }

    fn work(&self) -> usize {
        self.when.dispatches(true);
        self.executor.run_slice(LONG);
        self.when.dispatches(false);
        self.done.swap(0, Ordering::AcqRel)
    }

    fn work_a_little(&self) -> usize {
        self.executor.run_slice(Duration::ZERO);
        self.done.swap(0, Ordering::AcqRel)
    }
}

/// A host that only looks whether a task is ready, so it never arms the flag.
struct OnlyLooks;

impl When for OnlyLooks {
    fn new() -> Self {
        Self
    }

    fn prepare(&self, executor: &Executor) -> bool {
        executor.is_ready()
    }
}

/// A host that calls `check`, not `prepare`, before it sleeps.
struct ChecksTooEarly;

impl When for ChecksTooEarly {
    fn new() -> Self {
        Self
    }

    fn prepare(&self, executor: &Executor) -> bool {
        let ready = executor.prepare();
        executor.check();
        ready
    }
}

/// A host that is not rung while a dispatch runs, because it looks for work afterwards.
struct DropsRings {
    /// How many are on the stack.
    dispatching: Arc<AtomicUsize>,
}

impl When for DropsRings {
    fn new() -> Self {
        Self { dispatching: Arc::new(AtomicUsize::new(0)) }
    }

    fn ring(&self, bell: Arc<Bell>) -> Box<dyn Fn() + Send + Sync> {
        let dispatching = self.dispatching.clone();
        Box::new(move || {
            if dispatching.fetch_add(0, Ordering::AcqRel) > 0 {
                note("drops a ring: a dispatch runs");
            } else {
                bell.ring();
            }
        })
    }

    fn dispatches(&self, begins: bool) {
        if begins {
            self.dispatching.fetch_add(1, Ordering::AcqRel);
        } else {
            self.dispatching.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// A host whose source is ready while it has a dispatch on the stack.
struct NeverSleeps {
    dispatching: Cell<usize>,
}

impl When for NeverSleeps {
    fn new() -> Self {
        Self { dispatching: Cell::new(0) }
    }

    fn prepare(&self, executor: &Executor) -> bool {
        executor.prepare() || self.dispatching.get() > 0
    }

    fn dispatches(&self, begins: bool) {
        let n = self.dispatching.get();
        self.dispatching.set(if begins { n + 1 } else { n - 1 });
    }
}

/// A task opens a nested loop, which lasts until two tasks that other threads spawn are done.
fn in_a_task<W: When>(search: &Search) {
    search.check(|| {
        let (host, guest) = Loop::<Polled<W>>::new("host");
        let host = Rc::new(host);
        let threads = ["first", "second"].map(|name| {
            let guest = guest.clone();
            spawn(name, move || Polled::<W>::bring(&guest))
        });
        let outer = host.clone();
        let task = async move {
            note("a task opens a nested loop");
            // Work done below it in this dispatch counts too.
            outer.work();
            outer.turn_until(2);
            note("and closes it");
        };
        host.host.executor.spawn_local(task);
        host.work();
        threads.into_iter().for_each(join);
        // An iteration for each task, and one for a ring that was under way when a task was found.
        assert_turns(host.turns(), 3);
        assert_eq!(host.host.executor.n_tasks(), 0, "tasks are left");
    });
}

/// A task that waits until it has been told twice, and its waker.
fn told_twice(executor: &Executor) -> (Arc<AtomicUsize>, Arc<AtomicUsize>, Waker) {
    let (told, polls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let slot = Rc::new(RefCell::new(None));
    let (waker, heard, count) = (slot.clone(), told.clone(), polls.clone());
    let task = poll_fn(move |cx| {
        waker.borrow_mut().get_or_insert_with(|| cx.waker().clone());
        count.fetch_add(1, Ordering::AcqRel);
        // Read by an addition, which sees the last value: a wake of a task that is ready already
        // is ordered before its poll by async-task's own atomics, which loom does not see.
        let heard = heard.fetch_add(0, Ordering::AcqRel);
        note(format!("the task is polled, and was told {heard} times"));
        if heard == 2 { Poll::Ready(()) } else { Poll::Pending }
    });
    executor.spawn_local(task);
    executor.run_slice(LONG);
    let waker = slot.take().expect("the task was polled");
    (told, polls, waker)
}

/// Runs until no task is left, and returns the number of iterations.
fn run_to_the_end(executor: &Executor, bell: &Bell) -> usize {
    let mut turns = 0;
    while executor.n_tasks() > 0 {
        turns += 1;
        bell.poll(!executor.prepare());
        executor.check();
        executor.run_slice(LONG);
    }
    turns
}

fn heard(search: &Search) {
    search.check(|| {
        let bell = Bell::new("host");
        let ring = bell.clone();
        let executor = Executor::new(move || ring.ring());
        let (told, polls, waker) = told_twice(&executor);
        let threads = ["first", "second"].map(|name| {
            let (told, waker) = (told.clone(), waker.clone());
            spawn(name, move || {
                told.fetch_add(1, Ordering::AcqRel);
                waker.wake();
            })
        });
        drop(waker);
        let turns = run_to_the_end(&executor, &bell);
        threads.into_iter().for_each(join);
        assert_turns(turns, 3);
        // Once for each wake, and once before them.
        assert!(polls.load(Ordering::Acquire) <= 3);
    });
}

fn woken_before_told(search: &Search) {
    search.check(|| {
        let bell = Bell::new("host");
        let ring = bell.clone();
        let executor = Executor::new(move || ring.ring());
        let (told, _, waker) = told_twice(&executor);
        let thread = spawn("guest", move || {
            note("wakes the task");
            waker.wake_by_ref();
            told.fetch_add(2, Ordering::AcqRel);
            note("tells it");
        });
        run_to_the_end(&executor, &bell);
        join(thread);
    });
}

fn leaves_nothing(search: &Search) {
    search.check(|| {
        let executor = Executor::new(|| {});
        let (told, _, waker) = told_twice(&executor);
        // See below why both touch it.
        let counted = told.clone();
        let alive = Arc::new(());
        let (spawner, guard) = (executor.spawner(), alive.clone());
        let threads = [
            spawn("spawner", move || drop(spawner.spawn(async move { drop(guard) }))),
            spawn("waker", move || {
                told.fetch_add(1, Ordering::AcqRel);
                waker.wake();
            }),
        ];
        counted.fetch_add(1, Ordering::AcqRel);
        drop(executor);
        for thread in threads {
            join(thread);
        }
        assert_eq!(Arc::strong_count(&alive), 1);
    });
}

/// Notes if it is dropped on another thread than the one that created it.
struct OwnThread(thread::ThreadId, std::sync::Arc<Seen>);

impl Drop for OwnThread {
    fn drop(&mut self) {
        if thread::current().id() != self.0 {
            self.1.store(true, Ordering::SeqCst);
        }
    }
}

fn own_thread(search: &Search) {
    search.check(|| {
        let strayed = std::sync::Arc::new(Seen::new(false));
        let executor = Executor::new(|| {});
        let own = OwnThread(thread::current().id(), strayed.clone());
        let slot = Rc::new(RefCell::new(None));
        let waker = slot.clone();
        let task = poll_fn(move |cx| {
            let _ = &own;
            waker.replace(Some(cx.waker().clone()));
            Poll::<()>::Pending
        });
        executor.spawn_local(task);
        executor.run_slice(LONG);
        let waker: Waker = slot.take().expect("the task was polled");
        // Both threads touch it, so that loom tries both orders: it does not know that a wake
        // matters.
        let order = Arc::new(AtomicUsize::new(0));
        let theirs = order.clone();
        let thread = spawn("guest", move || {
            theirs.fetch_add(1, Ordering::AcqRel);
            waker.wake();
        });
        order.fetch_add(1, Ordering::AcqRel);
        drop(executor);
        join(thread);
        assert!(!strayed.load(Ordering::SeqCst));
    });
}

fn cancelled(search: &Search) {
    search.check(|| {
        let executor = Executor::new(|| {});
        let alive = Arc::new(());
        let (guard, slot) = (alive.clone(), Rc::new(RefCell::new(None)));
        let waker = slot.clone();
        let task = executor.spawn_local(poll_fn(move |cx| {
            let _ = &guard;
            waker.replace(Some(cx.waker().clone()));
            Poll::<()>::Pending
        }));
        executor.run_slice(LONG);
        let waker: Waker = slot.take().expect("the task was polled");
        // As above, all threads touch it.
        let order = Arc::new(AtomicUsize::new(0));
        let touch = |order: &Arc<AtomicUsize>| order.fetch_add(1, Ordering::AcqRel);
        let (first, second) = (order.clone(), order.clone());
        let threads = [
            spawn("waker", move || {
                touch(&first);
                waker.wake();
            }),
            spawn("canceller", move || {
                touch(&second);
                task.abort();
            }),
        ];
        touch(&order);
        executor.run_slice(LONG);
        for thread in threads {
            join(thread);
        }
        executor.run_slice(LONG);
        assert_eq!((executor.n_tasks(), Arc::strong_count(&alive)), (0, 1));
    });
}
