//! `Nested` on the real loops: what the matrix does not cover.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use std::ops::ControlFlow;

use glib::MainContext;
use harness::probe::Probe;
use loopnest_strategies::source::{Callbacks, Prepare, Source, SourceRef};
use loopnest_strategies::{Nested, WakeAfterDispatch};
use loopnest_tests::{after, count_idle, nested_loop};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);

/// Panics when dispatched.
struct Bomb;

impl Callbacks for Bomb {
    fn prepare(&self, _this: SourceRef<'_>) -> Prepare {
        Prepare::Ready
    }

    fn check(&self, _this: SourceRef<'_>) -> bool {
        true
    }

    fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
        panic!("in a callback")
    }
}

#[test]
fn both_loops_live() {
    for wake in [WakeAfterDispatch::Yes, WakeAfterDispatch::No] {
        let context = MainContext::new();
        let nested = Nested::new(&context, wake).expect("a runtime");
        let (tx, mut rx) = tokio::sync::mpsc::unbounded_channel();
        after(&context, 5 * MS, move || _ = tx.send(1));
        let n = nested.block_on(async move {
            // A tokio event ends the wait even if a callback does not.
            sleep(20 * MS).await;
            rx.recv().await
        });
        assert_eq!(n, Some(1));
    }
}

#[test]
fn the_context_is_owned_between_two_iterations_too() {
    let context = MainContext::new();
    let nested = Nested::new(&context, WakeAfterDispatch::Yes).expect("a runtime");
    nested.block_on(async {
        for _ in 0..2 {
            let other = context.clone();
            let taken = std::thread::spawn(move || other.acquire().is_ok());
            assert!(!taken.join().expect("no panic"), "another thread could take it");
            // By the second time GLib has iterated.
            sleep(MS).await;
        }
    });
    assert!(!context.is_owner(), "it was not released");
}

#[test]
fn a_context_that_another_thread_runs_is_refused() {
    let context = MainContext::new();
    let nested = Nested::new(&context, WakeAfterDispatch::Yes).expect("a runtime");
    let other = context.clone();
    let (owned, wait) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let _owner = other.acquire().expect("nobody else runs it");
        owned.send(()).expect("the test waits for it");
        _ = released.recv();
    });
    wait.recv().expect("it owns it");
    let refused = catch_unwind(AssertUnwindSafe(|| nested.block_on(async {})));
    drop(release);
    thread.join().expect("no panic");
    assert!(refused.is_err());
    // Nothing is left of the first attempt.
    nested.block_on(async {});
}

#[test]
fn tokio_io_works() {
    let nested = Nested::new(&MainContext::new(), WakeAfterDispatch::Yes).expect("a runtime");
    let byte = nested.block_on(async {
        let (mut near, mut far) = tokio::net::UnixStream::pair().expect("a socket pair");
        tokio::task::spawn_local(async move {
            sleep(MS).await;
            far.write_u8(7).await
        });
        near.read_u8().await.expect("a byte")
    });
    assert_eq!(byte, 7);
}

#[test]
fn a_panic_in_a_callback_reaches_the_caller_of_block_on() {
    for wake in [WakeAfterDispatch::Yes, WakeAfterDispatch::No] {
        let context = MainContext::new();
        let nested = Nested::new(&context, wake).expect("a runtime");
        let bomb = Source::new("bomb", Bomb);
        bomb.attach(&context);
        let run = AssertUnwindSafe(|| nested.block_on(std::future::pending::<()>()));
        let panic = catch_unwind(run).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"in a callback"));
    }
}

#[test]
fn an_idle_loop_sleeps_and_a_timer_costs_a_few_iterations() {
    let context = MainContext::new();
    let nested = Nested::new(&context, WakeAfterDispatch::Yes).expect("a runtime");
    let probe = Probe::new(&context);
    nested.block_on(async { sleep(100 * MS).await });
    assert!(probe.iterations() <= 8, "{} iterations for one timer", probe.iterations());
}

#[test]
fn it_may_be_created_and_dropped_many_times() {
    let context = MainContext::new();
    for _ in 0..50 {
        let nested = Nested::new(&context, WakeAfterDispatch::Yes).expect("a runtime");
        nested.block_on(async { sleep(MS).await });
    }
    assert!(!context.pending());
}

#[test]
fn other_loops_of_the_context_sleep_when_it_is_not_running() {
    for wake in [WakeAfterDispatch::Yes, WakeAfterDispatch::No] {
        let context = MainContext::new();
        let nested = Nested::new(&context, wake).expect("a runtime");
        nested.block_on(async { sleep(20 * MS).await });
        let probe = Probe::new(&context);
        nested_loop(&context, 100 * MS);
        assert!(probe.iterations() <= 4, "{} iterations", probe.iterations());
    }
}

#[test]
fn glib_sources_run_under_a_flood_of_tasks() {
    for wake in [WakeAfterDispatch::Yes, WakeAfterDispatch::No] {
        let context = MainContext::new();
        let nested = Nested::new(&context, wake).expect("a runtime");
        let redraws = count_idle(&context, 120);
        let redrawn = redraws.clone();
        nested.block_on(async move {
            let flood = tokio::task::spawn_local(async {
                loop {
                    tokio::task::yield_now().await;
                }
            });
            for _ in 0..5_000 {
                if redrawn.get() < 30 {
                    sleep(MS).await;
                }
            }
            flood.abort();
        });
        assert!(redraws.get() >= 30, "{} redraws in 5,000 timers", redraws.get());
    }
}

#[test]
fn a_library_with_its_own_epoll_is_not_mistaken_for_tokio() {
    let context = MainContext::new();
    let nested = Nested::new(&context, WakeAfterDispatch::Yes).expect("a runtime");
    let (tx, rx) = tokio::sync::oneshot::channel();
    after(&context, 5 * MS, move || _ = tx.send(7));
    let n = nested.block_on(async {
        // Waits on its own descriptor, on this thread, before tokio does.
        let theirs = polling::Poller::new().expect("an epoll");
        let mut events = polling::Events::new();
        theirs.wait(&mut events, Some(MS)).expect("to wait");
        rx.await.expect("an answer")
    });
    assert_eq!(n, 7);
}
