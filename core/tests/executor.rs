//! The re-entrant run queue.
#![cfg(not(loopnest_loom))]

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use loopnest_core::executor::{Executor, JoinError, JoinHandle, Slice};
use loopnest_core::signal::Signal;

/// Long enough for everything that is ready.
const LONG: Duration = Duration::from_secs(60);

/// An executor and the number of times it rang its host.
fn executor() -> (Rc<Executor>, Arc<AtomicUsize>) {
    let rings = Arc::new(AtomicUsize::new(0));
    let count = rings.clone();
    let executor = Executor::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    (Rc::new(executor), rings)
}

/// Polls a handle once.
fn result<T>(handle: &mut JoinHandle<T>) -> Option<Result<T, JoinError>> {
    match Pin::new(handle).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

/// A task that waits; its waker comes out when it is first polled.
fn waiting(executor: &Executor) -> (Waker, Rc<Cell<u32>>) {
    let (slot, polls) = (Rc::new(RefCell::new(None)), Rc::new(Cell::new(0)));
    let (waker, count) = (slot.clone(), polls.clone());
    executor
        .spawn_local(poll_fn(move |cx| {
            waker.replace(Some(cx.waker().clone()));
            count.set(count.get() + 1);
            Poll::<()>::Pending
        }))
        .detach();
    executor.run_slice(LONG);
    (slot.take().expect("the task was polled"), polls)
}

/// Gives way once.
fn yield_now() -> impl Future<Output = ()> {
    let mut yielded = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Counts itself while it lives, and says on which thread it was dropped.
struct Alive {
    n: Arc<AtomicUsize>,
    dropped: Option<mpsc::Sender<ThreadId>>,
}

impl Alive {
    fn new(n: &Arc<AtomicUsize>) -> Self {
        n.fetch_add(1, Ordering::SeqCst);
        Self { n: n.clone(), dropped: None }
    }

    fn telling(n: &Arc<AtomicUsize>, dropped: &mpsc::Sender<ThreadId>) -> Self {
        let mut alive = Self::new(n);
        alive.dropped = Some(dropped.clone());
        alive
    }
}

impl Clone for Alive {
    fn clone(&self) -> Self {
        let mut alive = Self::new(&self.n);
        alive.dropped.clone_from(&self.dropped);
        alive
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.n.fetch_sub(1, Ordering::SeqCst);
        if let Some(dropped) = &self.dropped {
            dropped.send(thread::current().id()).expect("the test listens");
        }
    }
}

/// Runs a closure when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn live() -> Arc<AtomicUsize> {
    Arc::new(AtomicUsize::new(0))
}

#[test]
fn tasks_run_first_come_first_served() {
    let (executor, _) = executor();
    let order = Rc::new(RefCell::new(Vec::new()));
    for i in 0..3 {
        let order = order.clone();
        executor
            .spawn_local(async move {
                order.borrow_mut().push((i, 'a'));
                yield_now().await;
                order.borrow_mut().push((i, 'b'));
            })
            .detach();
    }
    assert_eq!(executor.run_slice(LONG), Slice::Empty);
    assert_eq!(*order.borrow(), [(0, 'a'), (1, 'a'), (2, 'a'), (0, 'b'), (1, 'b'), (2, 'b')]);
}

#[test]
fn tasks_run_in_the_order_of_their_wakes() {
    let (executor, _) = executor();
    let order = Rc::new(RefCell::new(Vec::new()));
    let signals = [0, 1, 2].map(|i| {
        let (signal, order) = (Signal::default(), order.clone());
        let waiting = signal.clone();
        executor
            .spawn_local(async move {
                waiting.await;
                order.borrow_mut().push(i);
            })
            .detach();
        signal
    });
    executor.run_slice(LONG);
    for i in [2, 0, 1] {
        signals[i].set();
    }
    executor.run_slice(LONG);
    assert_eq!(*order.borrow(), [2, 0, 1]);
}

#[test]
fn nothing_runs_until_a_slice() {
    let (executor, _) = executor();
    let handle = executor.spawn_local(async {});
    assert!(executor.is_ready());
    assert!(!handle.is_finished());
    executor.run_slice(LONG);
    assert!(!executor.is_ready());
    assert!(handle.is_finished());
}

#[test]
fn a_task_that_runs_a_slice_inside_its_poll_lets_the_others_go_on() {
    let (executor, _) = executor();
    let ticks = Rc::new(Cell::new(0));
    let (inner, count) = (executor.clone(), ticks.clone());
    let opener = executor.spawn_local(async move {
        assert_eq!(inner.run_slice(LONG), Slice::Empty);
        count.get()
    });
    let count = ticks.clone();
    executor
        .spawn_local(async move {
            for _ in 0..10 {
                count.set(count.get() + 1);
                yield_now().await;
            }
        })
        .detach();
    executor.run_slice(LONG);
    let mut opener = opener;
    assert_eq!(result(&mut opener).expect("it has ended").ok(), Some(10));
}

#[test]
fn slices_nest_at_every_depth() {
    fn open(executor: Rc<Executor>, depth: u32, deepest: Rc<Cell<u32>>) {
        let inner = executor.clone();
        let task = async move {
            deepest.set(depth);
            if depth < 50 {
                open(inner.clone(), depth + 1, deepest);
            }
            inner.run_slice(LONG);
        };
        executor.spawn_local(task).detach();
    }
    let (executor, _) = executor();
    let deepest = Rc::default();
    open(executor.clone(), 1, Rc::clone(&deepest));
    executor.run_slice(LONG);
    assert_eq!(deepest.get(), 50);
    assert_eq!(executor.n_tasks(), 0);
}

#[test]
fn a_task_is_never_polled_inside_itself_and_is_polled_again_when_woken_meanwhile() {
    let (executor, _) = executor();
    let (polls, inside) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let (count, flag, inner) = (polls.clone(), inside.clone(), executor.clone());
    let task = executor.spawn_local(poll_fn(move |cx| {
        assert!(!flag.replace(true), "polled inside itself");
        count.set(count.get() + 1);
        if count.get() == 1 {
            // Woken from within, and again from within the nested loop.
            cx.waker().wake_by_ref();
            let waker = cx.waker().clone();
            inner.spawn_local(async move { waker.wake() }).detach();
            assert_eq!(inner.run_slice(LONG), Slice::Empty);
            assert_eq!(count.get(), 1);
        }
        flag.set(false);
        if count.get() == 2 { Poll::Ready(()) } else { Poll::Pending }
    }));
    executor.run_slice(LONG);
    assert_eq!(polls.get(), 2);
    assert!(task.is_finished());
}

#[test]
fn a_task_that_is_on_the_stack_is_not_ready_though_it_was_woken() {
    // Otherwise the nested loop inside it would spin.
    let (executor, _) = executor();
    let inner = executor.clone();
    let seen = Rc::new(Cell::new(None));
    let ready = seen.clone();
    let mut polled = false;
    executor
        .spawn_local(poll_fn(move |cx| {
            if std::mem::replace(&mut polled, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            ready.set(Some(inner.prepare()));
            Poll::Pending
        }))
        .detach();
    executor.run_slice(LONG);
    assert_eq!(seen.get(), Some(false));
}

#[test]
fn a_task_woken_from_a_thread_while_it_runs_a_nested_slice_is_polled_again() {
    let (executor, _) = executor();
    let (inner, polls) = (executor.clone(), Rc::new(Cell::new(0)));
    let count = polls.clone();
    executor
        .spawn_local(poll_fn(move |cx| {
            count.set(count.get() + 1);
            if count.get() == 2 {
                return Poll::Ready(());
            }
            let waker = cx.waker().clone();
            thread::spawn(move || waker.wake()).join().expect("waking does not panic");
            inner.run_slice(LONG);
            Poll::Pending
        }))
        .detach();
    executor.run_slice(LONG);
    assert_eq!(polls.get(), 2);
}

#[test]
fn wakes_from_another_thread_ring_once_per_prepare() {
    let (executor, rings) = executor();
    let wakers: Vec<Waker> = (0..10).map(|_| waiting(&executor).0).collect();
    for round in 1..=3 {
        assert!(!executor.prepare());
        thread::scope(|scope| {
            for waker in &wakers {
                scope.spawn(|| waker.wake_by_ref());
            }
        });
        assert_eq!(rings.load(Ordering::SeqCst), round);
        assert!(executor.check());
        executor.run_slice(LONG);
    }
}

#[test]
fn a_wake_after_check_does_not_ring() {
    let (executor, rings) = executor();
    let (waker, polls) = waiting(&executor);
    rings.store(0, Ordering::SeqCst);
    assert!(!executor.prepare());
    assert!(!executor.check());
    thread::spawn(move || waker.wake()).join().expect("waking does not panic");
    assert_eq!(rings.load(Ordering::SeqCst), 0);
    // It is seen all the same.
    assert!(executor.prepare());
    executor.run_slice(LONG);
    assert_eq!(polls.get(), 2);
}

#[test]
fn a_wake_while_prepare_says_ready_does_not_ring() {
    let (executor, rings) = executor();
    let (first, _) = waiting(&executor);
    let (second, _) = waiting(&executor);
    first.wake();
    rings.store(0, Ordering::SeqCst);
    assert!(executor.prepare());
    second.wake();
    assert_eq!(rings.load(Ordering::SeqCst), 0);
}

#[test]
fn a_wake_of_a_ready_task_is_one_poll() {
    let (executor, _) = executor();
    let (waker, polls) = waiting(&executor);
    for _ in 0..100 {
        waker.wake_by_ref();
    }
    executor.run_slice(LONG);
    assert_eq!(polls.get(), 2);
}

#[test]
fn a_spawn_from_another_thread_rings_and_runs_on_this_one() {
    let (executor, rings) = executor();
    assert!(!executor.prepare());
    let spawner = executor.spawner();
    let mut task = thread::spawn(move || spawner.spawn(async { thread::current().id() }))
        .join()
        .expect("spawning does not panic");
    assert_eq!(rings.load(Ordering::SeqCst), 1);
    assert!(executor.check());
    executor.run_slice(LONG);
    assert_eq!(result(&mut task).expect("it has ended").ok(), Some(thread::current().id()));
}

#[test]
fn a_handle_gives_the_result_and_wakes_who_awaits_it() {
    let (executor, _) = executor();
    let inner = executor.spawn_local(async {
        yield_now().await;
        Rc::new(42)
    });
    let mut outer = executor.spawn_local(async move { *inner.await.expect("nobody cancels it") });
    executor.run_slice(LONG);
    assert_eq!(result(&mut outer).expect("it has ended").ok(), Some(42));
}

#[test]
fn a_dropped_handle_lets_its_task_go_on() {
    let (executor, _) = executor();
    let done = Rc::new(Cell::new(0));
    let add = |n: u32| {
        let done = done.clone();
        async move {
            yield_now().await;
            done.set(done.get() + n);
        }
    };
    drop(executor.spawn_local(add(1)));
    executor.spawn_local(add(2)).detach();
    executor.run_slice(LONG);
    assert_eq!(done.get(), 3);
}

#[test]
fn a_cancelled_task_is_not_polled_again() {
    let (executor, _) = executor();
    let (n, polls) = (live(), Rc::new(Cell::new(0)));
    let (alive, count) = (Alive::new(&n), polls.clone());
    let task = executor.spawn_local(poll_fn(move |cx| {
        let _ = &alive;
        count.set(count.get() + 1);
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    }));
    let (canceller, inner) = (Cell::new(Some(task)), executor.clone());
    // Runs after the task's first poll.
    executor
        .spawn_local(async move {
            canceller.take().expect("it runs once").cancel();
            inner.run_slice(LONG);
        })
        .detach();
    executor.run_slice(LONG);
    assert_eq!((polls.get(), n.load(Ordering::SeqCst), executor.n_tasks()), (1, 0, 0));
}

#[test]
fn a_task_cancelled_before_its_first_poll_is_never_polled() {
    let (executor, _) = executor();
    let n = live();
    let alive = Alive::new(&n);
    executor
        .spawn_local(async move {
            let _alive = alive;
            unreachable!("it was cancelled");
        })
        .cancel();
    executor.run_slice(LONG);
    assert_eq!((n.load(Ordering::SeqCst), executor.n_tasks()), (0, 0));
}

#[test]
fn a_task_cancelled_on_another_thread_is_dropped_on_its_own() {
    let (executor, _) = executor();
    let (n, (dropped, threads)) = (live(), mpsc::channel());
    let alive = Alive::telling(&n, &dropped);
    let task = executor.spawn_local(async move {
        let _alive = alive;
        pending::<()>().await;
    });
    executor.run_slice(LONG);
    thread::spawn(move || task.cancel()).join().expect("cancelling does not panic");
    assert_eq!(n.load(Ordering::SeqCst), 1, "not yet: only its own thread may drop it");
    executor.run_slice(LONG);
    assert_eq!(n.load(Ordering::SeqCst), 0);
    assert_eq!(threads.try_recv(), Ok(thread::current().id()));
}

#[test]
fn a_task_that_cancels_itself_ends_after_its_poll() {
    let (executor, _) = executor();
    let slot: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
    let (handle, n) = (slot.clone(), live());
    let alive = Alive::new(&n);
    let task = executor.spawn_local(async move {
        let _alive = alive;
        handle.take().expect("it was put there").cancel();
        pending::<()>().await;
    });
    slot.replace(Some(task));
    executor.run_slice(LONG);
    assert_eq!((n.load(Ordering::SeqCst), executor.n_tasks()), (0, 0));
}

#[test]
fn a_panic_stays_in_its_task_and_is_delivered() {
    let (executor, _) = executor();
    let mut panics = executor.spawn_local(async {
        yield_now().await;
        std::panic::resume_unwind(Box::new("planned"))
    });
    let mut other = executor.spawn_local(async {
        yield_now().await;
        yield_now().await;
        1
    });
    executor.run_slice(LONG);
    let error = result::<()>(&mut panics).expect("it has ended").expect_err("it panicked");
    assert_eq!(error.to_string(), "the task panicked");
    let JoinError::Panicked(panic) = error else { panic!("{error:?}") };
    let payload = panic.into_payload();
    assert_eq!(payload.into_payload().downcast_ref(), Some(&"planned"));
    assert_eq!(result(&mut other).expect("it has ended").ok(), Some(1));
    assert_eq!(executor.n_tasks(), 0);
}

#[test]
fn a_panic_inside_a_nested_slice_does_not_reach_the_task_that_runs_it() {
    let (executor, _) = executor();
    let inner = executor.clone();
    let mut opener = executor.spawn_local(async move { inner.run_slice(LONG) });
    executor.spawn_local(async { std::panic::resume_unwind(Box::new("planned")) }).detach();
    executor.run_slice(LONG);
    assert_eq!(result(&mut opener).expect("it has ended").ok(), Some(Slice::Empty));
}

/// Panics when it is dropped, silently.
fn panics_on_drop() -> OnDrop<impl FnMut()> {
    OnDrop(|| std::panic::resume_unwind(Box::new("planned")))
}

#[test]
fn a_panic_of_a_destructor_stays_in_its_task() {
    let (executor, _) = executor();
    // At the end of its poll: as any other panic.
    let mut at_its_end = executor.spawn_local(async {
        let _bomb = panics_on_drop();
    });
    // When it is cancelled: async-task would abort the process.
    let cancelled = executor.spawn_local(async {
        let _bomb = panics_on_drop();
        pending::<()>().await;
    });
    // When it is over: nobody asks any more.
    let bomb = panics_on_drop();
    let mut after_its_end = executor.spawn_local(poll_fn(move |_| {
        let _ = &bomb;
        Poll::Ready(7)
    }));
    executor.run_slice(LONG);
    cancelled.cancel();
    let mut other = executor.spawn_local(ready(1));
    executor.run_slice(LONG);
    let ended = result(&mut at_its_end).expect("it has ended");
    assert!(matches!(ended, Err(JoinError::Panicked(_))), "{ended:?}");
    assert_eq!(result(&mut after_its_end).expect("it has ended").ok(), Some(7));
    assert_eq!(result(&mut other).expect("it has ended").ok(), Some(1));
    assert_eq!(executor.n_tasks(), 0);
}

#[test]
fn dropping_the_executor_drops_every_task_on_its_thread() {
    let (executor, _) = executor();
    let (n, (dropped, threads)) = (live(), mpsc::channel());
    let task = |alive: Alive| async move {
        let _alive = alive;
        pending::<()>().await;
    };
    // One has waited, one is ready, one never ran, one came from another thread.
    executor.spawn_local(task(Alive::telling(&n, &dropped))).detach();
    let alive = Alive::telling(&n, &dropped);
    let ready = executor.spawn_local(poll_fn(move |cx| {
        let _ = &alive;
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    }));
    executor.run_slice(Duration::ZERO);
    assert_eq!(executor.run_slice(Duration::ZERO), Slice::More);
    executor.spawn_local(task(Alive::telling(&n, &dropped))).detach();
    let (spawner, alive) = (executor.spawner(), Alive::telling(&n, &dropped));
    let remote = thread::spawn(move || spawner.spawn(task(alive)));
    let mut remote = remote.join().expect("spawning does not panic");
    assert_eq!((executor.n_tasks(), n.load(Ordering::SeqCst)), (4, 4));

    drop(executor);
    assert_eq!(n.load(Ordering::SeqCst), 0);
    assert_eq!(threads.try_iter().collect::<Vec<_>>(), [thread::current().id(); 4]);
    assert!(ready.is_finished());
    assert!(matches!(result(&mut remote), Some(Err(JoinError::Cancelled))));
}

#[test]
fn a_task_may_spawn_and_wake_while_it_is_dropped_with_its_executor() {
    let (executor, _) = executor();
    let n = live();
    let (other, _) = waiting(&executor);
    let (spawner, count) = (executor.spawner(), n.clone());
    let own: Rc<RefCell<Option<Waker>>> = Rc::default();
    let slot = own.clone();
    let on_drop = OnDrop(move || {
        other.wake_by_ref();
        if let Some(own) = own.take() {
            own.wake();
        }
        // Three deep: what is spawned is dropped too, and spawns again.
        let (alive, again, deeper) = (Alive::new(&count), spawner.clone(), Alive::new(&count));
        let on_drop = OnDrop(move || {
            let deeper = deeper.clone();
            again.spawn(async move { drop(deeper) }).detach();
        });
        let task = async move {
            let _parts = (&alive, &on_drop);
            pending::<()>().await;
        };
        spawner.spawn(task).detach();
    });
    executor
        .spawn_local(poll_fn(move |cx| {
            let _ = &on_drop;
            slot.replace(Some(cx.waker().clone()));
            Poll::<()>::Pending
        }))
        .detach();
    executor.run_slice(LONG);
    drop(executor);
    assert_eq!(n.load(Ordering::SeqCst), 0);
}

#[test]
fn dropping_the_executor_survives_destructors_that_panic() {
    let (executor, _) = executor();
    let n = live();
    for _ in 0..3 {
        let (alive, bomb) = (Alive::new(&n), panics_on_drop());
        let task = async move {
            let _parts = (&alive, &bomb);
            pending::<()>().await;
        };
        executor.spawn_local(task).detach();
    }
    executor.run_slice(LONG);
    drop(executor);
    assert_eq!(n.load(Ordering::SeqCst), 0);
}

#[test]
fn who_awaits_a_task_with_a_destructor_that_panics_is_woken() {
    let (ours, _) = executor();
    let (theirs, _) = executor();
    let bomb = panics_on_drop();
    let task = ours.spawn_local(async move {
        let _bomb = &bomb;
        pending::<()>().await;
    });
    let mut waiter = theirs.spawn_local(task);
    ours.run_slice(LONG);
    theirs.run_slice(LONG);
    drop(ours);
    theirs.run_slice(LONG);
    let awaited = result(&mut waiter).expect("it was woken");
    assert!(matches!(awaited, Ok(Err(JoinError::Cancelled))), "{awaited:?}");
}

#[test]
fn a_spawner_may_outlive_its_executor() {
    let (executor, rings) = executor();
    let (spawner, n) = (executor.spawner(), live());
    drop(executor);
    let before = rings.load(Ordering::SeqCst);
    let alive = Alive::new(&n);
    let mut task = spawner.spawn(async move { drop(alive) });
    assert_eq!(n.load(Ordering::SeqCst), 0, "it is dropped at once");
    assert!(matches!(result(&mut task), Some(Err(JoinError::Cancelled))));
    assert_eq!(rings.load(Ordering::SeqCst), before, "nobody is there to be rung");
}

#[test]
fn a_waker_may_outlive_its_executor() {
    let (executor, _) = executor();
    let (waker, polls) = waiting(&executor);
    drop(executor);
    waker.wake_by_ref();
    drop(waker);
    assert_eq!(polls.get(), 1);
}

#[test]
fn wakes_and_spawns_from_threads_while_the_executor_goes_leave_nothing() {
    for _ in 0..50 {
        let (executor, _) = executor();
        let n = live();
        let (waker, _) = waiting(&executor);
        let (spawner, alive) = (executor.spawner(), Alive::new(&n));
        let thread = thread::spawn(move || {
            for _ in 0..20 {
                waker.wake_by_ref();
                let alive = alive.clone();
                spawner.spawn(async move { drop(alive) }).detach();
            }
        });
        executor.run_slice(Duration::ZERO);
        drop(executor);
        thread.join().expect("neither waking nor spawning panics");
        assert_eq!(n.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn a_hundred_thousand_wakes_leave_nothing_behind() {
    let (executor, _) = executor();
    let (waker, polls) = waiting(&executor);
    for _ in 0..100_000 {
        waker.wake_by_ref();
        executor.run_slice(LONG);
    }
    assert_eq!(polls.get(), 100_001);
    assert_eq!(executor.n_tasks(), 1);
    assert!(!executor.is_ready());
}

#[test]
fn ten_thousand_tasks_that_ended_were_cancelled_or_panicked_leave_nothing_behind() {
    let (executor, _) = executor();
    let n = live();
    for round in 0..10_000 {
        let alive = Alive::new(&n);
        let task = executor.spawn_local(async move {
            let _alive = alive;
            match round % 3 {
                0 => yield_now().await,
                1 => pending().await,
                _ => std::panic::resume_unwind(Box::new("planned")),
            }
        });
        executor.run_slice(LONG);
        match round % 2 {
            0 => task.cancel(),
            _ if round % 3 == 1 => task.cancel(),
            _ => task.detach(),
        }
        executor.run_slice(LONG);
        assert_eq!((executor.n_tasks(), n.load(Ordering::SeqCst)), (0, 0), "round {round}");
    }
}

#[test]
fn a_wake_costs_one_poll_however_many_tasks_are_idle() {
    let (executor, _) = executor();
    let all = Rc::new(Cell::new(0_u32));
    for _ in 0..10_000 {
        let all = all.clone();
        let idle = poll_fn(move |_| {
            all.set(all.get() + 1);
            Poll::<()>::Pending
        });
        executor.spawn_local(idle).detach();
    }
    executor.run_slice(LONG);
    assert_eq!((all.get(), executor.n_tasks()), (10_000, 10_000));
    let (waker, polls) = waiting(&executor);
    for n in 1..=1000 {
        waker.wake_by_ref();
        assert_eq!(executor.run_slice(LONG), Slice::Empty);
        assert_eq!((polls.get(), all.get()), (n + 1, 10_000));
    }
}

#[test]
fn a_slice_ends_though_tasks_are_always_ready() {
    let (executor, _) = executor();
    let polls = Rc::new(Cell::new(0));
    let count = polls.clone();
    let always = poll_fn(move |cx| {
        count.set(count.get() + 1);
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    });
    executor.spawn_local(always).detach();
    assert_eq!(executor.run_slice(Duration::ZERO), Slice::More);
    // The clock is looked at after a few polls, not after each.
    assert!((1..=16).contains(&polls.get()), "{}", polls.get());
    assert_eq!(executor.run_slice(Duration::from_millis(1)), Slice::More);
}

#[test]
fn a_slice_of_long_polls_ends_soon_after_its_time() {
    let (executor, _) = executor();
    let polls = Rc::new(Cell::new(0));
    for _ in 0..20 {
        let count = polls.clone();
        let long = poll_fn(move |_| {
            count.set(count.get() + 1);
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(1) {}
            Poll::Ready(())
        });
        executor.spawn_local(long).detach();
    }
    // The clock is looked at after the second poll and the fourth.
    assert_eq!(executor.run_slice(Duration::from_millis(2)), Slice::More);
    assert!((2..=4).contains(&polls.get()), "{}", polls.get());
}

#[test]
fn a_slice_lets_every_ready_task_have_its_turn_before_one_has_two() {
    let (executor, _) = executor();
    let polls: Rc<RefCell<Vec<u32>>> = Rc::new(RefCell::new(vec![0; 100]));
    for i in 0..100 {
        let polls = polls.clone();
        let always = poll_fn(move |cx| {
            polls.borrow_mut()[i] += 1;
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        executor.spawn_local(always).detach();
    }
    for _ in 0..100 {
        assert_eq!(executor.run_slice(Duration::ZERO), Slice::More);
        let polls = polls.borrow();
        let (least, most) = (polls.iter().min(), polls.iter().max());
        assert!(most.copied() <= least.map(|n| n + 1), "{polls:?}");
    }
}

#[test]
fn a_slice_that_empties_the_queue_with_its_last_poll_says_so() {
    let (executor, _) = executor();
    for _ in 0..1000 {
        executor.spawn_local(async {}).detach();
    }
    let mut slices = 0;
    while executor.run_slice(Duration::ZERO) == Slice::More {
        assert!(executor.is_ready());
        slices += 1;
    }
    assert!(slices > 10, "{slices}");
    assert!(!executor.is_ready());
}

#[test]
fn a_slice_may_be_as_long_as_it_takes() {
    let (executor, _) = executor();
    for _ in 0..100 {
        executor.spawn_local(async {}).detach();
    }
    assert_eq!(executor.run_slice(Duration::MAX), Slice::Empty);
}
