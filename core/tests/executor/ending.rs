//! The end of the executor, and handles that outlive it.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use loopnest_core::executor::{JoinError, Slice};

use super::helpers::{Alive, LONG, OnDrop, executor, live, panics_on_drop, result, waiting};

#[test]
fn dropping_the_executor_drops_every_task_on_its_thread() {
    let (executor, _) = executor();
    let (n, (dropped, threads)) = (live(), mpsc::channel());
    let task = |alive: Alive| async move {
        let _alive = alive;
        pending::<()>().await;
    };
    // One has waited, one is ready, one never ran, one came from another thread.
    executor.spawn_local(task(Alive::telling(&n, &dropped)));
    let alive = Alive::telling(&n, &dropped);
    let ready = executor.spawn_local(poll_fn(move |cx| {
        let _ = &alive;
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    }));
    executor.run_slice(Duration::ZERO);
    assert_eq!(executor.run_slice(Duration::ZERO), Slice::More);
    executor.spawn_local(task(Alive::telling(&n, &dropped)));
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
        // Three deep: each spawned task is dropped too, and spawns another.
        let (alive, again, deeper) = (Alive::new(&count), spawner.clone(), Alive::new(&count));
        let on_drop = OnDrop(move || {
            let deeper = deeper.clone();
            again.spawn(async move { drop(deeper) });
        });
        let task = async move {
            let _parts = (&alive, &on_drop);
            pending::<()>().await;
        };
        spawner.spawn(task);
    });
    executor.spawn_local(poll_fn(move |cx| {
        let _ = &on_drop;
        slot.replace(Some(cx.waker().clone()));
        Poll::<()>::Pending
    }));
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
        executor.spawn_local(task);
    }
    executor.run_slice(LONG);
    drop(executor);
    assert_eq!(n.load(Ordering::SeqCst), 0);
}

#[test]
fn awaiting_a_task_whose_destructor_panics_ends() {
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
    assert_eq!(rings.load(Ordering::SeqCst), before, "there is no host to ring");
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
                spawner.spawn(async move { drop(alive) });
            }
        });
        executor.run_slice(Duration::ZERO);
        drop(executor);
        thread.join().expect("neither waking nor spawning panics");
        assert_eq!(n.load(Ordering::SeqCst), 0);
    }
}
