//! Nothing grows: memory, descriptors, sources, tasks.
//!
//! One test, so that nothing else moves the counters of the process.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use glib::MainContext;
use loopnest_strategies::{Dispatch, Handoff};
use loopnest_tests::raw_source::n_sources;
use loopnest_tests::{n_descriptors, nested_loop, resident_kib};

/// How much the resident memory may grow in one more round, in KiB: allocators keep a little of
/// what is freed.
const SLACK_KIB: u64 = 512;

#[test]
fn wakes_tasks_and_nested_loops_leave_nothing_behind() {
    let context = MainContext::new();
    let handoff = Handoff::new(&context).expect("a runtime and a thread");
    let dispatch = Rc::new(Dispatch::new(&context).expect("a runtime"));
    let round = || {
        wakes(&dispatch, 100_000);
        tasks(&dispatch, 10_000);
        nested_loops(&context, &dispatch, 1_000);
        calls(&handoff, 10_000);
    };
    // Two, because the allocator still moves in the second.
    round();
    round();
    let before = (n_descriptors(), n_sources(&context), dispatch.n_tasks());
    let resident = resident_kib();
    round();
    let after = (n_descriptors(), n_sources(&context), dispatch.n_tasks());
    assert_eq!(after, before, "descriptors, sources, tasks");
    assert_eq!(after.2, 0);
    let grown = resident_kib().saturating_sub(resident);
    assert!(grown <= SLACK_KIB, "{grown} KiB more in memory");
}

fn wakes(dispatch: &Dispatch, n: u32) {
    let (tx, mut rx) = tokio::sync::mpsc::channel(16);
    let sender = std::thread::spawn(move || (0..n).try_for_each(|i| tx.blocking_send(i)));
    let received = dispatch.block_on(async move {
        let mut received = 0;
        while rx.recv().await.is_some() {
            received += 1;
        }
        received
    });
    assert!(sender.join().is_ok_and(|sent| sent.is_ok()));
    assert_eq!(received, n);
}

fn tasks(dispatch: &Dispatch, n: u32) {
    let polled = Rc::new(Cell::new(0));
    let handles: Vec<_> = (0..n)
        .map(|_| {
            let polled = polled.clone();
            dispatch.spawn_local(async move {
                polled.set(polled.get() + 1);
                tokio::time::sleep(Duration::from_secs(3600)).await;
            })
        })
        .collect();
    dispatch.block_on(async { tokio::task::yield_now().await });
    handles.into_iter().for_each(|task| task.abort());
    dispatch.block_on(async { tokio::task::yield_now().await });
    assert_eq!(polled.get(), n);
    assert_eq!(Rc::strong_count(&polled), 1, "every future was dropped");
}

fn nested_loops(context: &MainContext, dispatch: &Dispatch, n: u32) {
    let context = context.clone();
    dispatch.block_on(async move {
        for _ in 0..n {
            nested_loop(&context, Duration::ZERO);
            tokio::task::yield_now().await;
        }
    });
}

fn calls(handoff: &Handoff, n: u32) {
    let glib = handoff.glib();
    let done = handoff.block_on(async move {
        let mut done = 0;
        for _ in 0..n {
            done += u32::from(glib.call(|| ()).await.is_ok());
        }
        done
    });
    assert_eq!(done, n);
}
