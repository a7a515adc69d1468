//! Order, and nested slices: what re-entrant means.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::thread;

use loopnest_core::executor::{Executor, Slice};
use loopnest_core::signal::Signal;

use super::helpers::{LONG, executor, result, yield_now};

#[test]
fn tasks_run_first_come_first_served() {
    let (executor, _) = executor();
    let order = Rc::new(RefCell::new(Vec::new()));
    for i in 0..3 {
        let order = order.clone();
        executor.spawn_local(async move {
            order.borrow_mut().push((i, 'a'));
            yield_now().await;
            order.borrow_mut().push((i, 'b'));
        });
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
        executor.spawn_local(async move {
            waiting.await;
            order.borrow_mut().push(i);
        });
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
fn a_task_that_runs_a_slice_inside_its_poll_lets_the_others_run() {
    let (executor, _) = executor();
    let ticks = Rc::new(Cell::new(0));
    let (inner, count) = (executor.clone(), ticks.clone());
    let opener = executor.spawn_local(async move {
        assert_eq!(inner.run_slice(LONG), Slice::Empty);
        count.get()
    });
    let count = ticks.clone();
    executor.spawn_local(async move {
        for _ in 0..10 {
            count.set(count.get() + 1);
            yield_now().await;
        }
    });
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
        executor.spawn_local(task);
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
            inner.spawn_local(async move { waker.wake() });
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
    // If it were ready, the nested loop inside it would spin.
    let (executor, _) = executor();
    let inner = executor.clone();
    let seen = Rc::new(Cell::new(None));
    let ready = seen.clone();
    let mut polled = false;
    executor.spawn_local(poll_fn(move |cx| {
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        ready.set(Some(inner.prepare()));
        Poll::Pending
    }));
    executor.run_slice(LONG);
    assert_eq!(seen.get(), Some(false));
}

#[test]
fn a_task_woken_from_a_thread_while_it_runs_a_nested_slice_is_polled_again() {
    let (executor, _) = executor();
    let (inner, polls) = (executor.clone(), Rc::new(Cell::new(0)));
    let count = polls.clone();
    executor.spawn_local(poll_fn(move |cx| {
        count.set(count.get() + 1);
        if count.get() == 2 {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        thread::spawn(move || waker.wake()).join().expect("waking does not panic");
        inner.run_slice(LONG);
        Poll::Pending
    }));
    executor.run_slice(LONG);
    assert_eq!(polls.get(), 2);
}
