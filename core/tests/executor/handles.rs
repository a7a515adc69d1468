//! Handles: results, cancellation, panics.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;

use loopnest_core::executor::{JoinError, JoinHandle, Slice};

use super::helpers::{Alive, LONG, executor, live, panics_on_drop, result, yield_now};

#[test]
fn a_handle_gives_the_result_and_wakes_its_waiter() {
    let (executor, _) = executor();
    let inner = executor.spawn_local(async {
        yield_now().await;
        Rc::new(42)
    });
    let mut outer = executor.spawn_local(async move { *inner.await.expect("it is not cancelled") });
    executor.run_slice(LONG);
    assert_eq!(result(&mut outer).expect("it has ended").ok(), Some(42));
}

#[test]
fn a_task_keeps_running_after_its_handle_is_dropped() {
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
    executor.spawn_local(add(2));
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
    executor.spawn_local(async move {
        canceller.take().expect("it runs once").abort();
        inner.run_slice(LONG);
    });
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
        .abort();
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
    thread::spawn(move || task.abort()).join().expect("cancelling does not panic");
    assert_eq!(n.load(Ordering::SeqCst), 1, "not dropped yet: only its own thread may do that");
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
        handle.take().expect("it was put there").abort();
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
    assert_eq!(payload.downcast_ref(), Some(&"planned"));
    assert_eq!(result(&mut other).expect("it has ended").ok(), Some(1));
    assert_eq!(executor.n_tasks(), 0);
}

#[test]
fn a_panic_inside_a_nested_slice_does_not_reach_the_task_that_runs_it() {
    let (executor, _) = executor();
    let inner = executor.clone();
    let mut opener = executor.spawn_local(async move { inner.run_slice(LONG) });
    executor.spawn_local(async { std::panic::resume_unwind(Box::new("planned")) });
    executor.run_slice(LONG);
    assert_eq!(result(&mut opener).expect("it has ended").ok(), Some(Slice::Empty));
}

#[test]
fn a_panic_of_a_destructor_stays_in_its_task() {
    let (executor, _) = executor();
    // At the end of its poll: like any other panic.
    let mut at_its_end = executor.spawn_local(async {
        let _bomb = panics_on_drop();
    });
    // When it is cancelled: async-task would abort the process.
    let cancelled = executor.spawn_local(async {
        let _bomb = panics_on_drop();
        pending::<()>().await;
    });
    // When it is over: no result is left to report it.
    let bomb = panics_on_drop();
    let mut after_its_end = executor.spawn_local(poll_fn(move |_| {
        let _ = &bomb;
        Poll::Ready(7)
    }));
    executor.run_slice(LONG);
    cancelled.abort();
    let mut other = executor.spawn_local(ready(1));
    executor.run_slice(LONG);
    let ended = result(&mut at_its_end).expect("it has ended");
    assert!(matches!(ended, Err(JoinError::Panicked(_))), "{ended:?}");
    assert_eq!(result(&mut after_its_end).expect("it has ended").ok(), Some(7));
    assert_eq!(result(&mut other).expect("it has ended").ok(), Some(1));
    assert_eq!(executor.n_tasks(), 0);
}

#[test]
fn awaiting_an_aborted_task_waits_until_its_future_is_dropped() {
    let (executor, _) = executor();
    let n = live();
    let alive = Alive::new(&n);
    let mut task = executor.spawn_local(async move {
        let _alive = alive;
        pending::<()>().await;
    });
    executor.run_slice(LONG);
    task.abort();
    assert!(result(&mut task).is_none(), "it is alive");
    assert!(!task.is_finished());
    executor.run_slice(LONG);
    assert_eq!(n.load(Ordering::SeqCst), 0);
    assert!(task.is_finished());
    assert!(result(&mut task).expect("it has ended").unwrap_err().is_cancelled());
}

#[test]
fn a_task_that_ends_in_the_poll_in_which_it_is_aborted_keeps_its_output() {
    let (executor, _) = executor();
    let slot: Rc<RefCell<Option<JoinHandle<u32>>>> = Rc::default();
    let handle = slot.clone();
    let task = executor.spawn_local(async move {
        handle.borrow().as_ref().expect("it was put there").abort();
        42
    });
    slot.replace(Some(task));
    executor.run_slice(LONG);
    let mut task = slot.take().expect("it was put there");
    assert_eq!(result(&mut task).expect("it has ended").ok(), Some(42));
}

#[test]
fn aborting_a_task_that_has_ended_does_nothing() {
    let (executor, _) = executor();
    let mut task = executor.spawn_local(async { 42 });
    executor.run_slice(LONG);
    task.abort();
    executor.run_slice(LONG);
    assert_eq!(result(&mut task).expect("it has ended").ok(), Some(42));
}
