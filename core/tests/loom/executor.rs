//! The executor: its run queue, its wakes, and its end.

use std::cell::RefCell;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::atomic::AtomicBool as Seen;
use std::task::{Poll, Waker};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use loopnest_core::executor::{Executor, Spawner};

use super::host::{
    Bell, Host, LONG, can_lose_a_wake_up, can_ring_twice, can_ring_while_awake, check, sees,
    turns_no_more_than_it_must,
};

/// An executor with a task for every piece of work that the guests bring.
struct Polled<W: When> {
    executor: Executor,
    done: Arc<AtomicUsize>,
    _when: PhantomData<W>,
}

/// How the host uses the executor.
trait When: 'static {
    fn prepare(executor: &Executor) -> bool;
}

/// As documented.
struct Right;

impl When for Right {
    fn prepare(executor: &Executor) -> bool {
        executor.prepare()
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
        let executor = Executor::new(move || bell.ring());
        let done = Arc::new(AtomicUsize::new(0));
        let guest = Guest { spawner: executor.spawner(), done: done.clone() };
        (Self { executor, done, _when: PhantomData }, guest)
    }

    fn bring(guest: &Self::Guest) {
        let done = guest.done.clone();
        let task = async move {
            done.fetch_add(1, Ordering::AcqRel);
        };
        guest.spawner.spawn(task).detach();
    }

    fn prepare(&self) -> bool {
        W::prepare(&self.executor)
    }

    fn check(&self) {
        self.executor.check();
    }

    fn work(&self) -> usize {
        self.executor.run_slice(LONG);
        self.done.swap(0, Ordering::AcqRel)
    }

    fn has_work(&self) -> bool {
        self.executor.is_ready()
    }
}

#[test]
fn the_executor_loses_no_spawn() {
    assert!(!can_lose_a_wake_up::<Polled<Right>>());
}

#[test]
fn the_executor_rings_once_per_sleep() {
    assert!(!can_ring_twice::<Polled<Right>>());
}

#[test]
fn the_executor_does_not_ring_a_loop_that_is_awake() {
    assert!(!can_ring_while_awake::<Polled<Right>>());
}

#[test]
fn the_executor_makes_no_turn_in_vain() {
    turns_no_more_than_it_must::<Polled<Right>>();
}

/// A host that only looks whether a task is ready, and so never arms the flag.
struct OnlyLooks;

impl When for OnlyLooks {
    fn prepare(executor: &Executor) -> bool {
        executor.is_ready()
    }
}

#[test]
fn a_host_that_only_looks_would_lose_a_wake_up() {
    assert!(sees(|| {
        let bell = Bell::new();
        let (host, guest) = Polled::<OnlyLooks>::new(bell.clone());
        let thread = thread::spawn(move || Polled::<OnlyLooks>::bring(&guest));
        let asleep = !host.prepare();
        thread.join().expect("spawning does not panic");
        asleep && host.has_work() && !bell.is_rung()
    }));
}

/// A host that says that it is awake when it is about to sleep.
struct ChecksTooEarly;

impl When for ChecksTooEarly {
    fn prepare(executor: &Executor) -> bool {
        let ready = executor.prepare();
        executor.check();
        ready
    }
}

#[test]
fn a_host_that_checks_before_it_sleeps_would_lose_a_wake_up() {
    assert!(sees(|| {
        let bell = Bell::new();
        let (host, guest) = Polled::<ChecksTooEarly>::new(bell.clone());
        let thread = thread::spawn(move || Polled::<ChecksTooEarly>::bring(&guest));
        let asleep = !host.prepare();
        thread.join().expect("spawning does not panic");
        asleep && host.has_work() && !bell.is_rung()
    }));
}

/// A task that waits until it has been told twice, and its wakers.
fn told_twice(executor: &Executor) -> (Arc<AtomicUsize>, Arc<AtomicUsize>, Waker) {
    let (told, polls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let slot = Rc::new(RefCell::new(None));
    let (waker, heard, count) = (slot.clone(), told.clone(), polls.clone());
    let task = poll_fn(move |cx| {
        waker.borrow_mut().get_or_insert_with(|| cx.waker().clone());
        count.fetch_add(1, Ordering::AcqRel);
        // Read by an addition, which sees the last value: a wake of a task that is ready already
        // is ordered before its poll by async-task's own atomics, which loom does not see.
        if heard.fetch_add(0, Ordering::AcqRel) == 2 { Poll::Ready(()) } else { Poll::Pending }
    });
    executor.spawn_local(task).detach();
    executor.run_slice(LONG);
    let waker = slot.take().expect("the task was polled");
    (told, polls, waker)
}

#[test]
fn a_task_woken_by_two_threads_is_polled_until_it_has_heard_both() {
    check(|| {
        let bell = Bell::new();
        let ring = bell.clone();
        let executor = Executor::new(move || ring.ring());
        let (told, polls, waker) = told_twice(&executor);
        let threads = [0, 1].map(|_| {
            let (told, waker) = (told.clone(), waker.clone());
            thread::spawn(move || {
                told.fetch_add(1, Ordering::AcqRel);
                waker.wake();
            })
        });
        drop(waker);
        let mut turns = 0;
        while executor.n_tasks() > 0 {
            turns += 1;
            if !executor.prepare() {
                bell.sleep();
            }
            executor.check();
            executor.run_slice(LONG);
        }
        for thread in threads {
            thread.join().expect("waking does not panic");
        }
        assert!(turns <= 3, "{turns} turns");
        // Once for each wake, and once before them.
        assert!(polls.load(Ordering::Acquire) <= 3);
    });
}

#[test]
fn a_task_that_is_woken_before_it_is_told_would_sleep_on() {
    assert!(sees(|| {
        let bell = Bell::new();
        let ring = bell.clone();
        let executor = Executor::new(move || ring.ring());
        let (told, _, waker) = told_twice(&executor);
        let thread = thread::spawn(move || {
            waker.wake_by_ref();
            told.fetch_add(2, Ordering::AcqRel);
        });
        let mut asleep = !executor.prepare();
        if asleep && bell.is_rung() {
            bell.sleep();
            executor.check();
            executor.run_slice(LONG);
            asleep = executor.n_tasks() > 0 && !executor.prepare();
        }
        thread.join().expect("waking does not panic");
        asleep && !bell.is_rung() && !executor.is_ready()
    }));
}

#[test]
fn an_executor_that_goes_while_threads_spawn_and_wake_leaves_nothing() {
    check(|| {
        let executor = Executor::new(|| {});
        let (told, _, waker) = told_twice(&executor);
        // See below why both touch it.
        let counted = told.clone();
        let alive = Arc::new(());
        let (spawner, guard) = (executor.spawner(), alive.clone());
        let threads = [
            thread::spawn(move || spawner.spawn(async move { drop(guard) }).detach()),
            thread::spawn(move || {
                told.fetch_add(1, Ordering::AcqRel);
                waker.wake();
            }),
        ];
        counted.fetch_add(1, Ordering::AcqRel);
        drop(executor);
        for thread in threads {
            thread.join().expect("neither spawning nor waking panics");
        }
        assert_eq!(Arc::strong_count(&alive), 1);
    });
}

/// Notes when it is dropped on another thread than it was made on.
struct OwnThread(thread::ThreadId, std::sync::Arc<Seen>);

impl Drop for OwnThread {
    fn drop(&mut self) {
        if thread::current().id() != self.0 {
            self.1.store(true, Ordering::SeqCst);
        }
    }
}

#[test]
fn a_task_that_is_woken_while_its_executor_goes_is_dropped_on_its_own_thread() {
    check(|| {
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
        executor.spawn_local(task).detach();
        executor.run_slice(LONG);
        let waker: Waker = slot.take().expect("the task was polled");
        // Both touch it, so that loom tries both orders: it does not see that a wake matters.
        let order = Arc::new(AtomicUsize::new(0));
        let theirs = order.clone();
        let thread = thread::spawn(move || {
            theirs.fetch_add(1, Ordering::AcqRel);
            waker.wake();
        });
        order.fetch_add(1, Ordering::AcqRel);
        drop(executor);
        thread.join().expect("waking does not panic");
        assert!(!strayed.load(Ordering::SeqCst));
    });
}

#[test]
fn a_task_that_is_cancelled_while_it_is_woken_is_dropped_once() {
    check(|| {
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
        // As above, all touch it.
        let order = Arc::new(AtomicUsize::new(0));
        let touch = |order: &Arc<AtomicUsize>| order.fetch_add(1, Ordering::AcqRel);
        let (first, second) = (order.clone(), order.clone());
        let threads = [
            thread::spawn(move || {
                touch(&first);
                waker.wake();
            }),
            thread::spawn(move || {
                touch(&second);
                task.cancel();
            }),
        ];
        touch(&order);
        executor.run_slice(LONG);
        for thread in threads {
            thread.join().expect("neither waking nor cancelling panics");
        }
        executor.run_slice(LONG);
        assert_eq!((executor.n_tasks(), Arc::strong_count(&alive)), (0, 1));
    });
}
