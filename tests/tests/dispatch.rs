//! `Dispatch` on the real loops: what the matrix does not cover.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use glib::{MainContext, MainLoop};
use harness::probe::Probe;
use loopnest_strategies::{Dispatch, JoinError};
use loopnest_tests::{after, count_idle, dialog_until, dispatch, nested_loop, ticker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);

#[test]
fn block_on_gives_the_result_and_nests() {
    let (_context, dispatch) = dispatch();
    let dispatch = Rc::new(dispatch);
    let inner = dispatch.clone();
    let sum = dispatch.block_on(async move {
        sleep(MS).await;
        // A nested loop on the stack of this task.
        40 + inner.block_on(async {
            sleep(MS).await;
            2
        })
    });
    assert_eq!(sum, 42);
}

#[test]
fn a_panic_of_the_future_reaches_the_caller_of_block_on() {
    let (_context, dispatch) = dispatch();
    let run = AssertUnwindSafe(|| dispatch.block_on(async { panic!("in the root") }));
    let panic = catch_unwind(run).map(|(): ()| ()).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"in the root"));
    assert_eq!(dispatch.block_on(async { 1 }), 1, "it still works");
}

#[test]
fn awaiting_a_task_that_panicked_returns_the_panic() {
    let (_context, dispatch) = dispatch();
    let task = dispatch.spawn_local(async { panic!("in a task") });
    let result: Result<(), JoinError> = dispatch.block_on(task);
    assert!(matches!(result, Err(JoinError::Panicked(_))));
}

#[test]
fn tasks_keep_running_while_one_of_them_runs_a_nested_loop() {
    let (context, dispatch) = dispatch();
    let ticks = ticker(&dispatch);
    let count = ticks.clone();
    let kept_running = dispatch.block_on(async move {
        let enough = count.get() + 10;
        dialog_until(&context, move || count.get() > enough)
    });
    assert!(kept_running, "{} ticks", ticks.get());
}

#[test]
fn a_thousand_nested_loops_need_only_their_stack() {
    let (context, dispatch) = dispatch();
    fn dive(context: &MainContext, depth: u32) -> u32 {
        if depth == 0 {
            return 0;
        }
        let inner = context.clone();
        let found = Rc::new(Cell::new(0));
        let set = found.clone();
        let main_loop = MainLoop::new(Some(context), false);
        let quit = main_loop.clone();
        after(context, Duration::ZERO, move || {
            set.set(1 + dive(&inner, depth - 1));
            quit.quit();
        });
        main_loop.run();
        found.get()
    }
    let depth = dispatch.block_on(async move {
        sleep(MS).await;
        dive(&context, 60)
    });
    assert_eq!(depth, 60);
    assert_eq!(dispatch.block_on(async { 1 }), 1);
}

#[test]
fn an_idle_loop_sleeps() {
    let (context, dispatch) = dispatch();
    let probe = Probe::new(&context);
    let waiting = dispatch.spawn_local(std::future::pending::<()>());
    nested_loop(&context, 10 * MS);
    // The quit of a loop leaves the context's eventfd written.
    context.iteration(false);
    let before = probe.iterations();
    nested_loop(&context, 100 * MS);
    assert_eq!(probe.iterations() - before, 1, "only the end of the loop");
    waiting.abort();
}

#[test]
fn a_timer_costs_one_iteration() {
    let (context, dispatch) = dispatch();
    let probe = Probe::new(&context);
    dispatch.block_on(async { sleep(5 * MS).await });
    let before = probe.iterations();
    dispatch.block_on(async {
        for _ in 0..50 {
            sleep(2 * MS).await;
        }
    });
    let turned = probe.iterations() - before;
    // One each, and a few to begin and end. A turn that ends in the same millisecond in which it
    // began may cost one more.
    assert!(turned <= 75, "{turned} iterations for 50 timers");
}

#[test]
fn a_burst_of_wakes_from_a_thread_costs_a_few_iterations() {
    let (context, dispatch) = dispatch();
    let probe = Probe::new(&context);
    let (tx, mut rx) = tokio::sync::mpsc::unbounded_channel();
    let sender = std::thread::spawn(move || (0..10_000).for_each(|i| _ = tx.send(i)));
    let n = dispatch.block_on(async move {
        let mut n = 0;
        while rx.recv().await.is_some() {
            n += 1;
        }
        n
    });
    sender.join().unwrap();
    assert_eq!(n, 10_000);
    assert!(probe.iterations() <= 2 * 10_000, "{} iterations", probe.iterations());
}

#[test]
fn glib_sources_run_under_a_flood_of_tasks() {
    let (context, dispatch) = dispatch();
    for _ in 0..100 {
        dispatch.spawn_local(async {
            loop {
                tokio::task::yield_now().await
            }
        });
        dispatch.spawn_local(async {
            loop {
                let mut yielded = false;
                std::future::poll_fn(|cx| {
                    if std::mem::replace(&mut yielded, true) {
                        return std::task::Poll::Ready(());
                    }
                    cx.waker().wake_by_ref();
                    std::task::Poll::Pending
                })
                .await;
            }
        });
    }
    let (low, ticks) = (count_idle(&context, 120), ticker(&dispatch));
    let (ran, ticked) = (low.clone(), ticks.clone());
    let both = dialog_until(&context, move || ran.get() >= 5 && ticked.get() >= 5);
    assert!(both, "the low source ran {} times, the ticker {} times", low.get(), ticks.get());
}

#[test]
fn a_nested_loop_in_a_library_task_stalls_tokio_but_neither_spins_nor_stops_our_tasks() {
    let (context, dispatch) = dispatch();
    let probe = Rc::new(Probe::new(&context));
    let (tx, mut rx) = tokio::sync::mpsc::unbounded_channel::<()>();
    let received = Rc::new(Cell::new(0));
    let count = received.clone();
    dispatch.spawn_local(async move {
        while rx.recv().await.is_some() {
            count.set(count.get() + 1);
        }
    });
    // More messages than tokio's budget of 128 for one poll, while the loop is nested.
    after(&context, 50 * MS, move || (0..1000).for_each(|_| _ = tx.send(())));
    let nested = context.clone();
    let guard = glib::thread_guard::ThreadGuard::new(probe.clone());
    let handle = dispatch.tokio_handle().clone();
    let (turned_tx, turned_rx) = tokio::sync::oneshot::channel();
    handle.spawn(async move {
        sleep(10 * MS).await;
        let before = guard.get_ref().iterations();
        nested_loop(&nested, 150 * MS);
        _ = turned_tx.send(guard.get_ref().iterations() - before);
    });
    let turned = dispatch.block_on(turned_rx).expect("the library's task ends");
    assert_eq!(received.get(), 1000, "our task kept running");
    assert!(turned <= 16, "{turned} iterations while nested");
}

#[test]
fn block_on_in_a_library_task_says_what_to_do_instead() {
    let (_context, dispatch) = dispatch();
    let dispatch = Rc::new(dispatch);
    let shared = glib::thread_guard::ThreadGuard::new(dispatch.clone());
    let task = dispatch.tokio_handle().spawn(async move {
        shared.get_ref().block_on(async {});
    });
    let error = dispatch.block_on(task).unwrap_err();
    let panic = error.into_panic();
    let message = panic.downcast_ref::<&str>().expect("a message");
    assert!(message.contains("spawn_local"), "{message}");
}

#[test]
fn tokio_io_works_in_tasks_of_both_kinds() {
    let (_context, dispatch) = dispatch();
    let (mut near, mut far) = {
        let _entered = dispatch.tokio_handle().enter();
        tokio::net::UnixStream::pair().expect("a socket pair")
    };
    dispatch.tokio_handle().spawn(async move {
        while let Ok(byte) = far.read_u8().await {
            far.write_u8(byte + 1).await.expect("to write");
        }
    });
    let sum = dispatch.block_on(async move {
        let mut byte = 0;
        for _ in 0..100 {
            near.write_u8(byte).await.expect("to write");
            byte = near.read_u8().await.expect("to read");
        }
        byte
    });
    assert_eq!(sum, 100);
}

#[test]
fn another_epoll_on_the_same_thread_is_left_alone() {
    let (_context, dispatch) = dispatch();
    let n = dispatch.block_on(async {
        // A second runtime's own wait goes to the kernel, also from inside our task.
        std::thread::spawn(|| {
            let other = tokio::runtime::Builder::new_current_thread().enable_all().build();
            other.expect("a runtime").block_on(async {
                sleep(5 * MS).await;
                7
            })
        })
        .join()
        .expect("a result")
    });
    assert_eq!(n, 7);
}

#[test]
fn dropping_a_dispatch_drops_its_tasks_on_its_thread() {
    let (context, dispatch) = dispatch();
    let alive = Rc::new(());
    for _ in 0..10 {
        let held = alive.clone();
        dispatch.spawn_local(async move {
            sleep(Duration::from_secs(3600)).await;
            drop(held);
        });
    }
    nested_loop(&context, 5 * MS);
    assert_eq!(Rc::strong_count(&alive), 11);
    drop(dispatch);
    assert_eq!(Rc::strong_count(&alive), 1);
    nested_loop(&context, 5 * MS);
}

#[test]
fn its_own_task_may_drop_a_dispatch_inside_a_nested_loop() {
    let (context, dispatch) = dispatch();
    let slot = Rc::new(RefCell::new(None));
    let (taken, nested) = (slot.clone(), context.clone());
    let ended = Rc::new(Cell::new(false));
    let end = ended.clone();
    dispatch.spawn_local(async move {
        sleep(MS).await;
        nested_loop(&nested, 5 * MS);
        drop(taken.borrow_mut().take());
        nested_loop(&nested, 5 * MS);
        end.set(true);
        sleep(MS).await;
        unreachable!("its executor is gone");
    });
    slot.replace(Some(dispatch));
    nested_loop(&context, 100 * MS);
    assert!(ended.get());
}

#[test]
fn two_on_one_thread_do_not_disturb_each_other() {
    let context = MainContext::new();
    let one = Dispatch::new(&context).expect("a runtime");
    let two = Rc::new(Dispatch::new(&context).expect("a runtime"));
    let inner = two.clone();
    let n = one.block_on(async move {
        sleep(MS).await;
        let n = inner.block_on(async {
            sleep(MS).await;
            1
        });
        sleep(MS).await;
        n + 1
    });
    assert_eq!(n, 2);
}

#[test]
fn a_spawner_starts_tasks_from_any_thread_and_outlives_its_executor() {
    let (_context, dispatch) = dispatch();
    let spawner = dispatch.spawner();
    let remote = spawner.clone();
    let answer = std::thread::spawn(move || remote.spawn(async { 42 }));
    let answer = dispatch.block_on(answer.join().unwrap());
    assert!(matches!(answer, Ok(42)));
    drop(dispatch);
    let late = spawner.spawn(async { 42 });
    assert!(matches!(futures::executor::block_on(late), Err(JoinError::Cancelled)));
}

#[test]
fn a_deadline_that_has_passed_does_not_bring_a_flood_forward() {
    let (context, dispatch) = dispatch();
    let redraws = count_idle(&context, 120);
    dispatch.spawn_local(async { sleep(20 * MS).await });
    dispatch.tokio_handle().spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    let probe = Probe::new(&context);
    nested_loop(&context, 300 * MS);
    let (redraws, iterations) = (u64::from(redraws.get()), probe.iterations());
    assert!(redraws >= iterations / 4, "{redraws} redraws in {iterations} iterations");
}

#[test]
fn a_nested_loop_inside_another_runtime_neither_spins_nor_ends_the_source() {
    let (context, dispatch) = dispatch();
    let (probe, ticks) = (Rc::new(Probe::new(&context)), ticker(&dispatch));
    let (inner, meter, turned) = (context.clone(), probe.clone(), Rc::new(Cell::new(0)));
    let set = turned.clone();
    after(&context, 20 * MS, move || {
        let other = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let before = meter.iterations();
        other.block_on(async { nested_loop(&inner, 100 * MS) });
        set.set(meter.iterations() - before);
    });
    nested_loop(&context, 300 * MS);
    assert!(turned.get() > 0 && turned.get() <= 16, "{} iterations while held", turned.get());
    let enough = ticks.get() + 10;
    assert!(
        dialog_until(&context, move || ticks.get() > enough),
        "the ticker continues afterwards"
    );
}

#[test]
fn a_guard_kept_across_an_await_does_not_end_the_source() {
    let (context, dispatch) = dispatch();
    let handle = dispatch.tokio_handle().clone();
    let task = dispatch.spawn_local(async move {
        let _entered = handle.enter();
        sleep(5 * MS).await;
    });
    nested_loop(&context, 50 * MS);
    task.abort();
    assert_eq!(dispatch.block_on(async { 1 }), 1);
}

#[test]
fn a_nested_loop_in_a_library_task_stalls_both_dispatches_on_the_thread() {
    let context = MainContext::new();
    let one = Dispatch::new(&context).expect("a runtime");
    let two = Dispatch::new(&context).expect("a runtime");
    let ticks = ticker(&two);
    let nested = context.clone();
    let task = one.tokio_handle().spawn(async move { nested_loop(&nested, 50 * MS) });
    one.block_on(task).expect("no panic");
    let enough = ticks.get() + 10;
    assert!(dialog_until(&context, move || ticks.get() > enough), "the other one continues");
}

/// A turn that ends because one of our tasks is ready leaves tokio's queue as it is. If that task
/// opens a nested loop, nothing else rings for what is in the queue.
#[test]
fn a_turn_that_makes_room_for_our_task_goes_on_in_the_loop_that_the_task_opens() {
    let (context, dispatch) = dispatch();
    let polls = Arc::new(AtomicU32::new(0));
    let (tx, rx) = tokio::sync::oneshot::channel();
    let count = polls.clone();
    dispatch.tokio_handle().spawn(async move {
        // It wakes our task, and then there is more than tokio polls at a time.
        let _ = tx.send(());
        for _ in 0..100 {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    for _ in 0..20 {
        let count = polls.clone();
        dispatch.tokio_handle().spawn(async move {
            for _ in 0..5 {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
    }
    let inner = context.clone();
    let dialog = dispatch.spawn_local(async move {
        rx.await.expect("it sends");
        dialog_until(&inner, move || polls.load(Ordering::Relaxed) == 200)
    });
    assert!(dispatch.block_on(dialog).expect("it does not panic"));
}
