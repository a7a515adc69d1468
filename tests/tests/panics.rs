//! Destructors, payloads and wakers that panic: the process survives, and nothing else is lost.

use std::any::Any;
use std::cell::Cell;
use std::future::{Future, pending};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use glib::thread_guard::ThreadGuard;
use glib::{MainContext, MainLoop};
use loopnest_strategies::gasync::{self, Resolver};
use loopnest_strategies::source::{self, Callbacks, Prepare, Source, SourceRef};
use loopnest_strategies::{CallError, Handoff, JobQueue, Nested, WakeAfterDispatch};
use loopnest_tests::{after, dispatch, nested_loop};
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);

/// Panics when it is dropped, and so does what that panic carries, and so on.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic_any(Self);
        }
    }
}

fn explode() {
    panic_any(Bomb);
}

/// A waker that panics; counts how often.
struct Panics(AtomicU32);

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("a waker that panics");
    }
}

/// A waker that notes that it was woken.
struct Told(AtomicBool);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_payload_that_panics_when_it_is_dropped_stays_in_its_task() {
    let (_context, dispatch) = dispatch();
    drop(dispatch.spawn_local(async { explode() }));
    let awaited = dispatch.spawn_local(async { explode() });
    let error = dispatch.block_on(awaited).expect_err("it panics");
    assert!(error.is_panic());
    drop(error);
    // As a future that is dropped unfinished, and as an output that nobody takes.
    let bomb = Bomb;
    dispatch.spawn_local(async move {
        let _bomb = bomb;
        pending::<()>().await;
    });
    drop(dispatch.spawn_local(async { Bomb }));
    assert_eq!(dispatch.block_on(async { 42 }), 42);
    drop(dispatch);
}

#[test]
fn a_waker_that_panics_does_not_reach_the_task_that_it_awaits() {
    let (_context, dispatch) = dispatch();
    let panics = Arc::new(Panics(AtomicU32::new(0)));
    let waker = Waker::from(panics.clone());
    let mut task = pin!(dispatch.spawn_local(async { sleep(MS).await }));
    assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(
        dispatch.block_on(async {
            sleep(5 * MS).await;
            42
        }),
        42
    );
    assert_eq!(panics.0.load(Ordering::Relaxed), 1);
    assert!(task.is_finished());
}

/// Always ready.
struct Ready<F>(F);

impl<F: Fn() + 'static> Callbacks for Ready<F> {
    fn prepare(&self, _: SourceRef<'_>) -> Prepare {
        Prepare::Ready
    }

    fn dispatch(&self, _: SourceRef<'_>) -> ControlFlow<()> {
        (self.0)();
        ControlFlow::Break(())
    }
}

fn ready(context: &MainContext, run: impl Fn() + 'static) -> Source<Ready<impl Fn() + 'static>> {
    let source = Source::new("test", Ready(run));
    source.attach(context);
    source
}

#[test]
fn of_two_panics_in_one_iteration_the_first_is_resumed_and_the_second_dropped() {
    let context = MainContext::new();
    let _first = ready(&context, || panic!("first"));
    let _second = ready(&context, explode);
    let main_loop = MainLoop::new(Some(&context), false);
    let panic = catch_unwind(AssertUnwindSafe(|| source::run(&main_loop))).expect_err("a panic");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"first"));
}

#[test]
fn a_panic_outside_of_our_loops_does_not_come_out_of_a_later_block_on() {
    let (context, dispatch) = dispatch();
    let _source = ready(&context, || panic!("stray"));
    nested_loop(&context, 10 * MS);
    assert_eq!(
        dispatch.block_on(async {
            sleep(MS).await;
            42
        }),
        42
    );
    let nested = Nested::new(&context, WakeAfterDispatch::Yes).expect("a runtime");
    assert_eq!(
        nested.block_on(async {
            sleep(MS).await;
            42
        }),
        42
    );
    // Who asks for it gets it, once.
    let stray = catch_unwind(source::resume_carried_panic).expect_err("the panic");
    assert_eq!(stray.downcast_ref::<&str>(), Some(&"stray"));
    source::resume_carried_panic();
}

#[test]
fn a_panic_goes_to_the_loop_in_which_it_happened() {
    let (context, dispatch) = dispatch();
    let dispatch = Rc::new(dispatch);
    let (inner_context, inner) = (context.clone(), dispatch.clone());
    let caught = dispatch.block_on(async move {
        let _source = ready(&inner_context, || panic!("inner"));
        let run = AssertUnwindSafe(|| inner.block_on(pending::<()>()));
        let text = |panic: Box<dyn Any + Send>| panic.downcast_ref::<&str>().copied();
        catch_unwind(run).err().and_then(text)
    });
    assert_eq!(caught, Some("inner"), "and the outer block_on has its result");
}

#[test]
fn nested_takes_the_panics_of_its_own_loop_alone() {
    for wake in [WakeAfterDispatch::Yes, WakeAfterDispatch::No] {
        let context = MainContext::new();
        let nested = Nested::new(&context, wake).expect("a runtime");
        let source = ready(&context, || panic!("in the loop"));
        let run = AssertUnwindSafe(|| nested.block_on(pending::<()>()));
        let panic = catch_unwind(run).expect_err("the callback's panic");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"in the loop"));
        drop(source);
        assert_eq!(
            nested.block_on(async {
                sleep(MS).await;
                42
            }),
            42
        );
    }
}

#[test]
fn jobs_that_panic_when_they_are_dropped_do_not_keep_the_others() {
    let context = MainContext::new();
    let jobs = JobQueue::new(&context).expect("nobody owns it");
    let (glib, mut cx) = (jobs.handle(), Context::from_waker(Waker::noop()));
    let bomb = Bomb;
    let mut first = pin!(glib.call(move || drop(bomb)));
    let mut second = pin!(glib.call(|| 42));
    assert!(first.as_mut().poll(&mut cx).is_pending());
    assert!(second.as_mut().poll(&mut cx).is_pending());
    drop(jobs);
    assert!(matches!(context.block_on(second), Err(CallError::Gone)));
    assert!(matches!(context.block_on(first), Err(CallError::Gone)));
}

#[test]
fn what_panics_in_a_job_besides_its_closure_stays_there() {
    let (context, dispatch) = dispatch();
    let jobs = JobQueue::new(&context).expect("nobody owns it");
    let glib = jobs.handle();
    let mut cx = Context::from_waker(Waker::noop());
    {
        // Cancelled before it begins: its closure is dropped.
        let bomb = Bomb;
        let mut call = pin!(glib.call(move || drop(bomb)));
        assert!(call.as_mut().poll(&mut cx).is_pending());
    }
    // Cancelled while it runs: its result is dropped.
    let call: Rc<Cell<Option<LocalBoxFuture<'static, ()>>>> = Rc::default();
    let (cancel, running) = (ThreadGuard::new(call.clone()), glib.clone());
    let cancelled_inside = move || {
        cancel.get_ref().take();
        Bomb
    };
    let mut cancelled = async move { drop(running.call(cancelled_inside).await) }.boxed_local();
    assert!(cancelled.as_mut().poll(&mut cx).is_pending());
    call.set(Some(cancelled));
    // Awaited by a waker that panics.
    let waker = Waker::from(Arc::new(Panics(AtomicU32::new(0))));
    let mut woken = pin!(glib.call(|| 42));
    assert!(woken.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let last = glib.clone();
    assert_eq!(dispatch.block_on(async move { last.call(|| 42).await.ok() }), Some(42));
    assert!(call.take().is_none(), "it was cancelled");
    assert!(woken.as_mut().poll(&mut cx).is_ready());
}

#[test]
fn a_waker_that_panics_does_not_keep_the_others_from_being_told_that_the_queue_is_gone() {
    let context = MainContext::new();
    let jobs = JobQueue::new(&context).expect("nobody owns it");
    let glib = jobs.handle();
    let waker = Waker::from(Arc::new(Panics(AtomicU32::new(0))));
    let call = || Box::pin(glib.gasync::<(), _>(|_, done| std::mem::forget(done)));
    let mut calls: Vec<_> = (0..3).map(|_| call()).collect();
    let told = Arc::new(Told(AtomicBool::new(false)));
    let tell = Waker::from(told.clone());
    for (call, waker) in calls.iter_mut().zip([&waker, &waker, &tell]) {
        assert!(call.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    }
    nested_loop(&context, MS);
    drop(jobs);
    assert!(told.0.load(Ordering::Relaxed));
}

#[test]
fn a_waker_that_panics_in_a_callback_of_gio_does_no_harm() {
    let context = MainContext::new();
    let waker = Waker::from(Arc::new(Panics(AtomicU32::new(0))));
    let poll_and_end = |end: fn(Resolver<u32>)| {
        let done = Cell::new(None);
        let mut call = pin!(gasync::call(|_, resolver| done.set(Some(resolver))));
        assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        // As gio does, in a callback of C.
        end(done.take().expect("it was started"));
        call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    };
    let ended = context.with_thread_default(|| {
        let resolved = poll_and_end(|done| done.resolve(42));
        assert!(matches!(resolved, Poll::Ready(Ok(42))));
        let dropped = poll_and_end(drop);
        assert!(matches!(dropped, Poll::Ready(Err(CallError::Gone))));
    });
    ended.expect("nobody else owns it");
}

#[test]
fn a_panic_that_a_callback_catches_does_not_end_block_on() {
    let context = MainContext::new();
    let handoff = Handoff::new(&context).expect("a runtime");
    let inner = context.clone();
    after(&context, MS, move || {
        let _source = ready(&inner, || panic!("caught"));
        let run = AssertUnwindSafe(|| {
            loop {
                inner.iteration(true);
                source::resume_carried_panic();
            }
        });
        catch_unwind(run).map(|(): ()| ()).expect_err("the callback's panic");
    });
    let long = async {
        sleep(20 * MS).await;
        42
    };
    assert_eq!(handoff.block_on(long), 42);
}

#[test]
fn nested_takes_a_panic_that_was_caught_while_a_task_was_polled() {
    for wake in [WakeAfterDispatch::Yes, WakeAfterDispatch::No] {
        let context = MainContext::new();
        let nested = Nested::new(&context, wake).expect("a runtime");
        let inner = context.clone();
        let root = async move {
            let _source = ready(&inner, || panic!("in a dialog"));
            // Of GLib's own, so the panic is carried past it.
            nested_loop(&inner, 5 * MS);
            pending::<()>().await;
        };
        let run = AssertUnwindSafe(|| nested.block_on(root));
        let panic = catch_unwind(run).expect_err("the callback's panic");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"in a dialog"));
    }
}

#[test]
fn a_dispatch_can_be_dropped_while_other_threads_go_on_spawning() {
    let (_context, dispatch) = dispatch();
    let stop = Arc::new(AtomicBool::new(false));
    let spawning = (0..4).map(|_| {
        let (spawner, stop) = (dispatch.spawner(), stop.clone());
        thread::spawn(move || {
            let mut last = None;
            while !stop.load(Ordering::Relaxed) {
                last = Some(spawner.spawn(async {}));
            }
            last
        })
    });
    let spawning: Vec<_> = spawning.collect();
    dispatch.block_on(async { sleep(5 * MS).await });
    // Ends only because it takes no more tasks: the others stop after it.
    drop(dispatch);
    stop.store(true, Ordering::Relaxed);
    for thread in spawning {
        let last = thread.join().expect("no panic").expect("it has spawned");
        assert!(last.is_finished());
    }
}
