//! GAsyncResult calls as futures: how they start, end and are cancelled, with a real D-Bus daemon.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use gio::prelude::*;
use gio::{Cancellable, IOErrorEnum};
use glib::MainContext;
use loopnest_strategies::gasync::{self, Resolver};
use loopnest_strategies::{
    CallError, Dispatch, GlibHandle, GtkRs, Handoff, JobQueue, Nested, WakeAfterDispatch,
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

/// A socket of gio's, and the other end.
fn socket() -> (gio::SocketConnection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    ours.set_nonblocking(true).expect("a socket");
    let socket = gio::Socket::from_fd(ours.into()).expect("a socket");
    (socket.connection_factory_create_connection(), theirs)
}

type Read = Result<glib::Bytes, glib::Error>;

fn read(
    socket: &gio::SocketConnection,
) -> gasync::Call<Read, impl FnOnce(&Cancellable, Resolver<Read>)> {
    let input = socket.input_stream();
    gasync::call(move |cancellable, done: Resolver<Read>| {
        let priority = glib::Priority::DEFAULT;
        input.read_bytes_async(16, priority, Some(cancellable), |read| done.resolve(read));
    })
}

#[test]
fn a_call_begins_when_gio_has_let_go_of_one_that_was_dropped() {
    on_dispatch(|_, dispatch| {
        let (socket, mut other) = socket();
        dispatch.block_on(async move {
            for _ in 0..20 {
                let late = timeout(MS, read(&socket)).await;
                assert!(late.is_err(), "{late:?}");
            }
            other.write_all(b"at last").expect("the other end is open");
            let bytes = read(&socket).await.expect("a result").expect("nothing is outstanding");
            assert_eq!(&*bytes, b"at last");
        });
    });
}

#[test]
fn a_call_from_another_thread_begins_when_gio_has_let_go_of_one_that_was_dropped() {
    thread_local! {
        static SOCKET: RefCell<Option<gio::SocketConnection>> = const { RefCell::new(None) };
    }
    let handoff = Handoff::new(&MainContext::new()).expect("a runtime");
    let (socket, mut other) = socket();
    SOCKET.set(Some(socket));
    let glib = handoff.glib();
    let bytes = handoff.block_on(async move {
        let read = || {
            glib.gasync(|cancellable, done: Resolver<Result<Vec<u8>, glib::Error>>| {
                let input = SOCKET.with_borrow(|socket| socket.as_ref().map(|s| s.input_stream()));
                let priority = glib::Priority::DEFAULT;
                let bytes = |read: Read| done.resolve(read.map(|bytes| bytes.to_vec()));
                input.expect("set above").read_bytes_async(16, priority, Some(cancellable), bytes);
            })
        };
        for _ in 0..20 {
            let late = timeout(5 * MS, read()).await;
            assert!(late.is_err(), "{late:?}");
        }
        other.write_all(b"at last").expect("the other end is open");
        read().await.expect("a result").expect("nothing is outstanding")
    });
    SOCKET.take();
    assert_eq!(bytes, b"at last");
}

#[test]
fn a_call_that_does_not_let_go_delays_the_next_and_does_not_stop_it() {
    on_dispatch(|_, dispatch| {
        dispatch.block_on(async {
            let kept: Rc<RefCell<Option<Resolver<u32>>>> = Rc::default();
            let slot = kept.clone();
            let stuck = gasync::call(move |_, done| drop(slot.replace(Some(done))));
            assert!(timeout(MS, stuck).await.is_err());
            assert_eq!(gasync::call(|_, done| done.resolve(42)).await.expect("a result"), 42);
            // It has let go, too late.
            kept.take().expect("it had begun").resolve(43);
            assert_eq!(gasync::call(|_, done| done.resolve(44)).await.expect("a result"), 44);
        });
    });
}

#[test]
fn what_a_call_has_read_is_not_lost_when_it_is_cancelled_and_waited_for() {
    on_dispatch(|_, dispatch| {
        let (socket, mut other) = socket();
        let (all, n) = dispatch.block_on(async move {
            let (mut all, mut cancelled) = (Vec::new(), 0);
            for n in 0..200u8 {
                let mut call = read(&socket);
                // It begins before there is anything, and is given up about when there is.
                assert!(futures::poll!(&mut call).is_pending());
                other.write_all(&[n]).expect("the other end is open");
                for _ in 0..n % 4 {
                    tokio::task::yield_now().await;
                }
                match call.cancel().await.expect("it had begun") {
                    Ok(bytes) => all.extend_from_slice(&bytes),
                    Err(error) => {
                        assert!(error.matches(IOErrorEnum::Cancelled), "{error}");
                        cancelled += 1;
                        all.extend_from_slice(
                            &read(&socket).await.expect("a result").expect("bytes"),
                        );
                    }
                }
            }
            (all, cancelled)
        });
        assert_eq!(all, (0..200).collect::<Vec<_>>());
        println!("{n} of 200 calls were cancelled before they had read");
    });
}

/// A waker that panics when it is dropped.
struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a waker whose destructor panics");
    }
}

#[test]
fn a_resolver_that_goes_with_a_panic_ends_its_call_and_delays_no_other() {
    on_dispatch(|_, dispatch| {
        dispatch.block_on(async {
            // On another thread.
            let lost = gasync::call(|_, done: Resolver<u32>| {
                drop(thread::spawn(move || {
                    let _done = done;
                    panic!("as planned");
                }));
            });
            assert!(matches!(lost.await, Err(CallError::Gone)));
            // After its future.
            let kept: Rc<RefCell<Option<Resolver<u32>>>> = Rc::default();
            let slot = kept.clone();
            let stuck = gasync::call(move |_, done| drop(slot.replace(Some(done))));
            assert!(timeout(MS, stuck).await.is_err());
            let done = kept.take();
            let panics = AssertUnwindSafe(move || {
                let _done = done;
                panic!("as planned");
            });
            assert!(catch_unwind(panics).is_err());
            // It begins in its first poll.
            let mut next = gasync::call(|_, done| done.resolve(42));
            assert!(matches!(futures::poll!(&mut next), Poll::Ready(Ok(42))));
        });
    });
}

#[test]
fn a_call_that_never_lets_go_delays_once() {
    on_dispatch(|_, dispatch| {
        dispatch.block_on(async {
            let stuck = gasync::call(|_, done: Resolver<u32>| std::mem::forget(done));
            assert!(timeout(MS, stuck).await.is_err());
            assert_eq!(gasync::call(|_, done| done.resolve(42)).await.expect("a result"), 42);
            for n in 0..10 {
                let mut next = gasync::call(move |_, done| done.resolve(n));
                assert!(matches!(futures::poll!(&mut next), Poll::Ready(Ok(_))));
            }
        });
    });
}

#[test]
fn a_waker_whose_destructor_panics_does_no_harm_to_a_call_that_waits() {
    on_dispatch(|_, dispatch| {
        dispatch.block_on(async {
            let stuck = gasync::call(|_, done: Resolver<u32>| std::mem::forget(done));
            assert!(timeout(MS, stuck).await.is_err());
            let mut waits = gasync::call(|_, done| done.resolve(42));
            let waker = Waker::from(Arc::new(Bomb));
            assert!(Pin::new(&mut waits).poll(&mut Context::from_waker(&waker)).is_pending());
            drop(catch_unwind(AssertUnwindSafe(move || drop(waker))));
            drop(catch_unwind(AssertUnwindSafe(move || drop(waits))));
            tokio::time::sleep(5 * MS).await;
        });
    });
}
