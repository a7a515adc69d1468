//! `Handoff` on the real loops: cancellation, back-pressure, panics, shutdown.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use glib::MainContext;
use harness::probe::Probe;
use loopnest_strategies::{CallError, Handoff};
use loopnest_tests::{after, count_idle, nested_loop};
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);

fn handoff() -> (MainContext, Handoff) {
    let context = MainContext::new();
    let handoff = Handoff::new(&context).expect("a runtime and a thread");
    (context, handoff)
}

#[test]
fn a_call_runs_on_the_glib_thread_and_its_result_comes_back() {
    let (_context, handoff) = handoff();
    let (here, glib) = (thread::current().id(), handoff.glib());
    let (there, called) = handoff.block_on(async move {
        let called = glib.call(|| thread::current().id()).await.expect("a result");
        (thread::current().id(), called)
    });
    assert_eq!(called, here);
    assert_ne!(there, here);
}

#[test]
fn in_a_call_the_context_is_the_default_of_its_thread() {
    let (context, handoff) = handoff();
    let glib = handoff.glib();
    let is_default = handoff.block_on(async move {
        glib.call(move || MainContext::thread_default() == Some(context)).await.expect("a result")
    });
    assert!(is_default, "the callback of a GAsyncResult call would run nowhere");
}

#[test]
fn every_call_frees_its_place_in_the_queue_even_if_it_waited_in_a_nested_loop() {
    // More than there is room for, several times over.
    const CALLS: usize = 5_000;
    let (context, handoff) = handoff();
    let (glib, n) = (handoff.glib(), Arc::new(AtomicUsize::new(0)));
    let count = n.clone();
    handoff.block_on(async move {
        let calls = (0..CALLS).map(|i| {
            let (glib, count, context) = (glib.clone(), count.clone(), context.clone());
            async move {
                let call = glib.call(move || {
                    count.fetch_add(1, Ordering::SeqCst);
                    if i % 500 == 0 {
                        nested_loop(&context, MS);
                    }
                });
                call.await.expect("a result");
            }
        });
        futures::future::join_all(calls).await;
    });
    assert_eq!(n.load(Ordering::SeqCst), CALLS);
    assert!(format!("{:?}", handoff.glib()).contains("room: 1024"), "{:?}", handoff.glib());
}

#[test]
fn a_call_that_opens_a_nested_loop_does_not_block_others() {
    let (context, handoff) = handoff();
    let (one, two) = (handoff.glib(), handoff.glib());
    let closed = Arc::new(AtomicBool::new(false));
    let (close, seen) = (closed.clone(), closed.clone());
    handoff.spawn(async move {
        one.call(move || {
            nested_loop(&context, 100 * MS);
            close.store(true, Ordering::SeqCst);
        })
        .await
    });
    let before = handoff.block_on(async move {
        sleep(20 * MS).await;
        two.call(move || seen.load(Ordering::SeqCst)).await.expect("a result")
    });
    assert!(!before, "the second call waited for the first one's nested loop");
}

#[test]
fn a_call_dropped_before_it_starts_does_nothing() {
    let (_context, handoff) = handoff();
    let (glib, ran) = (handoff.glib(), Arc::new(AtomicBool::new(false)));
    let set = ran.clone();
    let call = handoff.spawn(async move {
        glib.call(move || set.store(true, Ordering::SeqCst)).await.expect("a result");
    });
    // The loop does not run yet, so the job is queued but not begun.
    thread::sleep(20 * MS);
    call.abort();
    // Its future is dropped on tokio's thread.
    while !call.is_finished() {
        thread::sleep(MS);
    }
    let ended = handoff.block_on(call).unwrap_err();
    assert!(ended.is_cancelled());
    handoff.block_on(async {});
    assert!(!ran.load(Ordering::SeqCst));
}

#[test]
fn senders_wait_while_the_queue_is_full() {
    let (_context, handoff) = handoff();
    let done = Arc::new(AtomicUsize::new(0));
    let calls: Vec<_> = (0..5_000)
        .map(|_| {
            let (glib, done) = (handoff.glib(), done.clone());
            handoff.spawn(async move {
                glib.call(move || _ = done.fetch_add(1, Ordering::SeqCst)).await
            })
        })
        .collect();
    thread::sleep(50 * MS);
    // Nothing was lost, nothing ran without the loop, and no more were queued than fit.
    assert_eq!(done.load(Ordering::SeqCst), 0);
    assert!(format!("{:?}", handoff.glib()).contains("room: 0"), "{:?}", handoff.glib());
    let results = handoff.block_on(futures::future::join_all(calls));
    assert!(results.iter().all(|r| matches!(r, Ok(Ok(())))));
    assert_eq!(done.load(Ordering::SeqCst), 5_000);
}

#[test]
fn a_panic_in_a_call_is_returned_to_the_caller() {
    let (_context, handoff) = handoff();
    let glib = handoff.glib();
    let result = handoff.block_on(async move { glib.call(|| panic!("in a call")).await });
    let result: Result<(), CallError> = result;
    assert!(matches!(result, Err(CallError::Panicked(_))));
}

#[test]
fn a_panic_of_the_future_reaches_the_caller_of_block_on() {
    let (_context, handoff) = handoff();
    let run = AssertUnwindSafe(|| handoff.block_on(async { panic!("in the root") }));
    assert!(catch_unwind(run).map(|(): ()| ()).is_err());
    assert_eq!(handoff.block_on(async { 1 }), 1, "it still works");
}

#[test]
fn dropping_it_ends_calls_with_an_error_and_joins_its_thread() {
    let (_context, handoff) = handoff();
    let glib = handoff.glib();
    let held = Arc::new(());
    let inside = held.clone();
    handoff.spawn(async move {
        sleep(Duration::from_secs(3600)).await;
        drop(inside);
    });
    let outcome = Arc::new(std::sync::Mutex::new(None));
    let (result, outside) = (outcome.clone(), handoff.glib());
    // A call made from another runtime outlives the bridge.
    let caller = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let ended = runtime.block_on(outside.call(|| ()));
        result.lock().unwrap().replace(ended.is_err());
    });
    handoff.spawn(async move { glib.call(|| ()).await });
    thread::sleep(20 * MS);
    drop(handoff);
    caller.join().unwrap();
    assert_eq!(*outcome.lock().unwrap(), Some(true));
    // tokio drops its tasks at the end of its thread, so the thread has ended.
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn it_may_be_dropped_inside_one_of_its_calls() {
    let (context, handoff) = handoff();
    let glib = handoff.glib();
    let slot = Arc::new(std::sync::Mutex::new(None));
    let taken = slot.clone();
    handoff.spawn(async move {
        glib.call(move || {
            let handoff: Option<glib::thread_guard::ThreadGuard<Handoff>> =
                taken.lock().unwrap().take();
            drop(handoff);
        })
        .await
    });
    slot.lock().unwrap().replace(glib::thread_guard::ThreadGuard::new(handoff));
    nested_loop(&context, 50 * MS);
    assert!(slot.lock().unwrap().is_none());
}

#[test]
fn an_idle_bridge_lets_the_loop_sleep() {
    let (context, _handoff) = handoff();
    let probe = Probe::new(&context);
    nested_loop(&context, 10 * MS);
    // The quit of a loop leaves the context's eventfd written.
    context.iteration(false);
    let before = probe.iterations();
    nested_loop(&context, 100 * MS);
    assert_eq!(probe.iterations() - before, 1, "only the end of the loop");
}

#[test]
fn block_on_nests_in_callbacks() {
    let (context, handoff) = handoff();
    let handoff = std::rc::Rc::new(handoff);
    let (inner, sum) = (handoff.clone(), std::rc::Rc::new(std::cell::Cell::new(0)));
    let set = sum.clone();
    after(&context, MS, move || {
        set.set(inner.block_on(async {
            sleep(MS).await;
            2
        }));
    });
    handoff.block_on(async { sleep(50 * MS).await });
    assert_eq!(sum.get(), 2);
}

#[test]
fn a_flood_of_calls_lets_gtk_draw() {
    let (context, handoff) = handoff();
    let redraws = count_idle(&context, 120);
    let calls = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        let (glib, calls) = (handoff.glib(), calls.clone());
        handoff.spawn(async move {
            while glib.call(|| thread::sleep(MS)).await.is_ok() {
                calls.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    nested_loop(&context, 400 * MS);
    let (redraws, calls) = (redraws.get() as usize, calls.load(Ordering::SeqCst));
    assert!(calls > 0 && redraws >= calls / 8, "{redraws} redraws beside {calls} calls");
}

#[test]
fn a_destructor_that_panics_in_a_cancelled_call_does_not_end_the_queue() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    let (context, handoff) = handoff();
    let (glib, bomb) = (handoff.glib(), Bomb);
    let call = handoff.spawn(async move {
        let call = glib.call(move || {
            let _bomb = &bomb;
        });
        drop(tokio::time::timeout(5 * MS, call).await);
    });
    while !call.is_finished() {
        thread::sleep(MS);
    }
    nested_loop(&context, 20 * MS);
    let carried = loopnest_strategies::source::resume_carried_panic;
    assert!(catch_unwind(carried).is_ok(), "the panic hook has reported it, and that is all");
    let glib = handoff.glib();
    assert!(handoff.block_on(async move { glib.call(|| ()).await }).is_ok());
}

#[test]
fn dropping_it_does_not_wait_for_blocking_work() {
    let (context, handoff) = handoff();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    handoff.tokio_handle().spawn_blocking(move || stopped.recv());
    nested_loop(&context, 20 * MS);
    // Would hang here for as long as `stop` lives.
    drop(handoff);
    drop(stop);
}
