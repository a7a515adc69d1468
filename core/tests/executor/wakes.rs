//! Wakes and spawns, from this thread and from others; when the host is rung.

use std::sync::atomic::Ordering;
use std::task::Waker;
use std::thread;

use super::helpers::{LONG, executor, result, waiting};

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
    // The wake is still seen.
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
