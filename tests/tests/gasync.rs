//! GAsyncResult calls as futures: how they start, end and are cancelled, with a real D-Bus daemon.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use gio::{Cancellable, IOErrorEnum};
use glib::MainContext;
use loopnest_strategies::gasync::{self, Resolver};
use loopnest_strategies::{
    CallError, Dispatch, GlibHandle, GtkRs, JobQueue, Nested, WakeAfterDispatch,
};
use loopnest_tests::bus::PrivateBus;
use loopnest_tests::calls::{connect, get_id, method, open};
use loopnest_tests::sides::{KINDS, everywhere};
use loopnest_tests::{dialog_until, nested_loop};
use tokio::time::timeout;

const MS: Duration = Duration::from_millis(1);

/// Runs a test with its own context, because tests may run in parallel in one process.
fn on_dispatch(test: impl FnOnce(&MainContext, &Dispatch)) {
    let context = MainContext::new();
    let run = || test(&context, &Dispatch::new(&context).expect("a runtime"));
    context.with_thread_default(run).expect("a context that nobody else has");
}

#[test]
fn a_private_bus_answers_on_every_strategy_from_every_thread() {
    let bus = PrivateBus::start();
    everywhere(|face| {
        let address = bus.address().to_owned();
        async move {
            let bus = face.call(connect(address)).await.expect("a result").expect("a bus");
            let id = face.call(get_id(&bus)).await.expect("a result").expect("a reply");
            assert_eq!(id.child_value(0).str().map(str::len), Some(32));
        }
    });
}

#[test]
fn errors_are_passed_on_unchanged() {
    let bus = PrivateBus::start();
    everywhere(|face| {
        let address = bus.address().to_owned();
        async move {
            let bus = face.call(connect(address)).await.expect("a result").expect("a bus");
            let call = face.call(method(&bus, "NoSuchMethod", None));
            let error = call.await.expect("a result").expect_err("no such method");
            assert_eq!(error.kind::<gio::DBusError>(), Some(gio::DBusError::UnknownMethod));
            let bad = connect("unix:path=/nonexistent/socket".to_owned());
            assert!(face.call(bad).await.expect("a result").is_err());
        }
    });
}

#[test]
fn a_handle_that_outlives_its_strategy_says_so() {
    for kind in KINDS {
        let glib = kind.with(|side| side.glib());
        let call = glib.gasync(|_, done: Resolver<()>| done.resolve(()));
        let result = futures::executor::block_on(call);
        assert!(matches!(result, Err(CallError::Gone)), "{kind:?}: {result:?}");
    }
}

#[test]
fn a_call_completes_in_a_loop_nested_in_its_own_strategy() {
    let bus = PrivateBus::start();
    let address = bus.address().to_owned();
    on_dispatch(|context, dispatch| {
        let bus = dispatch.block_on(open(address));
        let n = Rc::new(Cell::new(0));
        let count = n.clone();
        dispatch.spawn_local(async move {
            loop {
                let reply = gasync::call(get_id(&bus)).await.expect("a result");
                count.set(count.get() + u32::from(reply.is_ok()));
            }
        });
        let (count, nested) = (n.clone(), context.clone());
        let inside = dispatch.block_on(async move {
            let before = count.get();
            dialog_until(&nested, move || count.get() > before + 10)
        });
        assert!(inside, "no replies in a nested loop");
    });
}

#[test]
fn dropping_the_future_cancels_and_frees_the_closure() {
    on_dispatch(|context, dispatch| {
        let (held, cancelled) = (Rc::new(()), Rc::new(Cell::new(false)));
        let (inside, seen) = (held.clone(), cancelled.clone());
        dispatch.block_on(async move {
            let process = gio::Subprocess::newv(
                &["sleep".as_ref(), "60".as_ref()],
                gio::SubprocessFlags::NONE,
            )
            .expect("a process");
            let waiting = process.clone();
            let wait = gasync::call(move |cancellable, done: Resolver<()>| {
                waiting.wait_async(Some(cancellable), move |result| {
                    let _inside = &inside;
                    let error = result.expect_err("it was cancelled");
                    seen.set(error.matches(IOErrorEnum::Cancelled));
                    done.resolve(());
                });
            });
            assert!(timeout(20 * MS, wait).await.is_err());
            process.force_exit();
        });
        // The callback comes in one of the next iterations, and then its data is freed.
        let freed = move || Rc::strong_count(&held) == 1;
        assert!(dialog_until(context, freed), "the closure is kept");
        assert!(cancelled.get());
    });
}

#[test]
fn a_call_dropped_before_it_was_polled_is_never_started() {
    let started = Rc::new(Cell::new(false));
    let set = started.clone();
    let call = gasync::call(move |_, _: Resolver<()>| set.set(true));
    drop(call);
    assert!(!started.get());
}

#[test]
fn a_late_start_is_skipped_when_the_remote_future_is_gone() {
    let context = MainContext::new();
    let jobs = JobQueue::new(&context).expect("nobody owns it");
    let glib = jobs.handle();
    let (tx, rx) = std::sync::mpsc::channel::<()>();
    let remote = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(async move {
            let call = glib.gasync(move |_, done| {
                drop(tx);
                done.resolve(());
            });
            assert!(timeout(10 * MS, call).await.is_err(), "nothing runs the context");
        });
    });
    remote.join().expect("the time-out");
    while context.iteration(false) {}
    assert_eq!(rx.recv(), Err(std::sync::mpsc::RecvError), "the closure was dropped");
}

#[test]
fn calls_end_with_an_error_when_the_glib_side_goes_away() {
    let context = MainContext::new();
    let jobs = JobQueue::new(&context).expect("nobody owns it");
    let (before, during) = (jobs.handle(), jobs.handle());
    let remote = |glib: GlibHandle, start: fn(&Cancellable, Resolver<()>)| {
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.expect("a runtime").block_on(glib.gasync(start))
        })
    };
    // A call that never finishes, like one to a service that hangs.
    let during = remote(during, |_, done| std::mem::forget(done));
    nested_loop(&context, 20 * MS);
    let before = remote(before, |_, done| done.resolve(()));
    std::thread::sleep(20 * MS);
    drop(jobs);
    drop(context);
    assert!(matches!(during.join().expect("no panic"), Err(CallError::Gone)));
    assert!(matches!(before.join().expect("no panic"), Err(CallError::Gone)));
}

#[test]
fn a_resolver_dropped_unused_is_a_typed_error() {
    on_dispatch(|_, dispatch| {
        let dropped = dispatch.block_on(gasync::call(|_, done: Resolver<()>| drop(done)));
        assert!(matches!(dropped, Err(CallError::Gone)), "{dropped:?}");
    });
}

#[test]
fn tasks_own_the_default_context_and_other_threads_get_a_typed_error() {
    // No other test of this file touches it.
    let context = MainContext::default();
    let call = || gasync::call(|_, done: Resolver<()>| done.resolve(()));
    let elsewhere = move || {
        let thread = std::thread::spawn(move || futures::executor::block_on(call()));
        thread.join().expect("no panic")
    };
    // While no thread owns it, any thread could, and the callback would run on a different one.
    assert!(matches!(elsewhere(), Err(CallError::NotOwner)));
    let both = move || async move { (call().await, elsewhere()) };
    let right = |both: (_, _)| matches!(both, (Ok(()), Err(CallError::NotOwner)));
    for wake in [WakeAfterDispatch::Yes, WakeAfterDispatch::No] {
        let nested = Nested::new(&context, wake).expect("a runtime");
        assert!(right(nested.block_on(both())));
    }
    assert!(right(Dispatch::new(&context).expect("a runtime").block_on(both())));
    assert!(right(GtkRs::new(&context).expect("a runtime").block_on(both())));

    let _owner = context.acquire().expect("nobody else runs it");
    assert!(right(futures::executor::block_on(both())));
}

#[test]
fn a_panic_in_the_start_of_a_remote_call_reaches_the_caller_and_not_the_loop() {
    for kind in KINDS {
        kind.with(|side| {
            let glib = side.glib();
            side.elsewhere(async move {
                let dropped = glib.gasync(|_, _: Resolver<()>| panic!("at once")).await;
                assert_eq!(message(dropped), Some("at once"));

                // Its resolver stays alive in the callback, and its call is cancelled.
                let (tx, ended) = tokio::sync::oneshot::channel();
                let kept = glib.gasync(move |cancellable, done: Resolver<()>| {
                    let sleep = ["sleep".as_ref(), "60".as_ref()];
                    let process = gio::Subprocess::newv(&sleep, gio::SubprocessFlags::NONE);
                    let process = process.expect("a process");
                    process.clone().wait_async(Some(cancellable), move |result| {
                        process.force_exit();
                        done.resolve(());
                        _ = tx.send(result.is_err_and(|e| e.matches(IOErrorEnum::Cancelled)));
                    });
                    panic!("after the start")
                });
                assert_eq!(message(kept.await), Some("after the start"));
                assert_eq!(ended.await, Ok(true), "it was not cancelled");

                // The first result counts.
                let resolved = glib.gasync(|_, done| {
                    done.resolve(42);
                    panic!("too late")
                });
                assert!(matches!(resolved.await, Ok(42)));
            });
        });
    }
}

/// The panic message of a call.
fn message<T>(result: Result<T, CallError>) -> Option<&'static str> {
    let Err(CallError::Panicked(panic)) = result else { return None };
    panic.into_payload().downcast_ref().copied()
}
