//! Many tasks, many wakes, and work that never ends.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use loopnest_core::executor::Slice;

use super::helpers::{Alive, LONG, executor, live, waiting, yield_now};

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
            0 => task.abort(),
            _ if round % 3 == 1 => task.abort(),
            _ => drop(task),
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
        executor.spawn_local(idle);
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
fn a_slice_ends_even_if_tasks_are_always_ready() {
    let (executor, _) = executor();
    let polls = Rc::new(Cell::new(0));
    let count = polls.clone();
    let always = poll_fn(move |cx| {
        count.set(count.get() + 1);
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    });
    executor.spawn_local(always);
    assert_eq!(executor.run_slice(Duration::ZERO), Slice::More);
    // It reads the clock after a few polls, not after each.
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
        executor.spawn_local(long);
    }
    // It reads the clock after the second poll and the fourth.
    assert_eq!(executor.run_slice(Duration::from_millis(2)), Slice::More);
    assert!((2..=4).contains(&polls.get()), "{}", polls.get());
}

#[test]
fn a_slice_polls_every_ready_task_once_before_it_polls_one_twice() {
    let (executor, _) = executor();
    let polls: Rc<RefCell<Vec<u32>>> = Rc::new(RefCell::new(vec![0; 100]));
    for i in 0..100 {
        let polls = polls.clone();
        let always = poll_fn(move |cx| {
            polls.borrow_mut()[i] += 1;
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        executor.spawn_local(always);
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
        executor.spawn_local(async {});
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
        executor.spawn_local(async {});
    }
    assert_eq!(executor.run_slice(Duration::MAX), Slice::Empty);
}
