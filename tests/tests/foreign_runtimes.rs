//! Strategies inside other tokio runtimes: in their `block_on`, on their workers, entered for good.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Once;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use glib::{MainContext, MainLoop};
use harness::probe::Probe;
use loopnest_strategies::{Dispatch, GtkRs, Handoff, Nested, SetupError, WakeAfterDispatch};
use loopnest_tests::{after, dialog_until, dispatch, nested_loop, ticker};
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// More than a loop makes that waits, and far fewer than one that spins for 100 ms.
const FEW: u64 = 40;

fn multi() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

fn current() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Whether the ticker makes ten ticks in a dialog that stays open until then.
fn goes_on(context: &MainContext, ticks: &Rc<Cell<u32>>) -> bool {
    let (ticks, enough) = (ticks.clone(), ticks.get() + 10);
    dialog_until(context, move || ticks.get() >= enough)
}

thread_local!(static PANICS: Cell<u32> = const { Cell::new(0) });

/// How many panics the hook has seen on this thread, caught ones too.
fn panics() -> u32 {
    static COUNTED: Once = Once::new();
    COUNTED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            before(info);
        }));
    });
    PANICS.get()
}

#[test]
fn a_dispatch_made_inside_a_multi_threaded_runtime_works() {
    let before = panics();
    multi().block_on(async {
        let (context, dispatch) = dispatch();
        let ticks = ticker(&dispatch);
        assert!(goes_on(&context, &ticks));
        assert_eq!(
            dispatch.block_on(async {
                sleep(MS).await;
                42
            }),
            42
        );
    });
    assert_eq!(panics(), before);
}

#[test]
fn inside_a_multi_threaded_block_on_a_dialog_of_a_task_holds_nothing() {
    let (before, (context, dispatch)) = (panics(), dispatch());
    let (ticks, inner) = (ticker(&dispatch), context.clone());
    let in_dialog = Rc::new(Cell::new(false));
    let (set, count) = (in_dialog.clone(), ticks.clone());
    dispatch.spawn_local(async move { set.set(goes_on(&inner, &count)) });
    let done = in_dialog.clone();
    multi().block_on(async { assert!(dialog_until(&context, move || done.get())) });
    assert_eq!(panics(), before);
}

#[test]
fn on_a_worker_of_a_multi_threaded_runtime_nothing_is_held() {
    let runtime = multi();
    let worker = runtime.spawn(async {
        let before = panics();
        let (context, dispatch) = dispatch();
        let ticks = ticker(&dispatch);
        (goes_on(&context, &ticks), panics() - before)
    });
    assert_eq!(runtime.block_on(worker).expect("no panic"), (true, 0));
}

#[test]
fn inside_a_current_thread_block_on_tokio_waits_without_a_spin_or_a_panic() {
    let (before, (context, dispatch)) = (panics(), dispatch());
    let (ticks, inner) = (ticker(&dispatch), context.clone());
    // A dialog of a task of ours, and a wake from another thread while it is open.
    dispatch.spawn_local(async move { nested_loop(&inner, 60 * MS) });
    let spawner = dispatch.spawner();
    let woken = thread::spawn(move || {
        thread::sleep(20 * MS);
        spawner.spawn(async {})
    });
    let probe = Probe::new(&context);
    current().block_on(async { nested_loop(&context, 100 * MS) });
    assert!(probe.iterations() < FEW, "{} iterations while held", probe.iterations());
    assert!(woken.join().expect("no panic").is_finished(), "our tasks run meanwhile");
    assert_eq!(panics(), before);
    assert!(goes_on(&context, &ticks), "tokio continues afterwards");
}

#[test]
fn a_runtime_that_is_entered_for_good_holds_only_inside_its_block_on() {
    for other in [multi(), current()] {
        let _entered = other.enter();
        let (before, (context, dispatch)) = (panics(), dispatch());
        let ticks = ticker(&dispatch);
        assert!(goes_on(&context, &ticks));
        let (inner, handle) = (context.clone(), other.handle().clone());
        let (again, count) = (Rc::new(Cell::new(false)), ticks.clone());
        let set = again.clone();
        after(&context, MS, move || {
            // One dialog inside, and one after it in the same callback.
            handle.block_on(async { nested_loop(&inner, 50 * MS) });
            set.set(goes_on(&inner, &count));
        });
        assert!(dialog_until(&context, move || again.get()));
        assert_eq!(panics(), before);
    }
}

/// Where tokio can only be asked by a panic: it is asked once a second at most, nothing spins, and
/// tokio goes on afterwards, even in the same poll of what was around it.
fn asked_seldom(context: &MainContext, ticks: &Rc<Cell<u32>>, hold: impl FnOnce()) {
    let (before, probe, began) = (panics(), Probe::new(context), Instant::now());
    hold();
    let (asked, seconds) = (u64::from(panics() - before), began.elapsed().as_secs());
    assert!((1..=1 + seconds).contains(&asked), "asked {asked} times in {seconds} s");
    let iterations = probe.iterations();
    assert!(iterations < FEW * (1 + seconds), "{iterations} iterations in {seconds} s");
    assert!(goes_on(context, ticks));
}

#[test]
fn a_local_set_in_a_multi_threaded_block_on_is_asked_of_seldom() {
    multi().block_on(async {
        let (context, dispatch) = dispatch();
        let ticks = ticker(&dispatch);
        // Also for longer than a refusal is remembered.
        for time in [60 * MS, 1200 * MS] {
            let inside = LocalSet::new();
            let inside = inside.run_until(async { nested_loop(&context, time) });
            let mut inside = pin!(inside);
            asked_seldom(&context, &ticks, || {
                let mut cx = Context::from_waker(Waker::noop());
                assert!(inside.as_mut().poll(&mut cx).is_ready());
            });
        }
    });
}

#[test]
fn after_a_refusal_tokio_is_asked_again_although_nothing_else_wakes_the_loop() {
    let (context, dispatch) = dispatch();
    let runtime = multi();
    let _entered = runtime.enter();
    LocalSet::new().block_on(&runtime, async { nested_loop(&context, 60 * MS) });
    let main_loop = MainLoop::new(Some(&context), false);
    let (quit, give_up) = (main_loop.clone(), main_loop.clone());
    let task = dispatch.spawn_local(async move {
        sleep(MS).await;
        quit.quit();
    });
    after(&context, 20 * SECOND, move || give_up.quit());
    main_loop.run();
    assert!(task.is_finished());
}

#[test]
fn block_on_works_as_soon_as_what_refused_has_ended() {
    let (context, dispatch) = dispatch();
    let runtime = multi();
    let _entered = runtime.enter();
    let _ticks = ticker(&dispatch);
    LocalSet::new().block_on(&runtime, async { nested_loop(&context, 60 * MS) });
    assert_eq!(
        dispatch.block_on(async {
            sleep(MS).await;
            42
        }),
        42
    );
}

#[test]
fn a_dialog_opened_within_the_memory_of_a_refusal_goes_on() {
    let (context, dispatch) = dispatch();
    let runtime = multi();
    let _entered = runtime.enter();
    let ticks = ticker(&dispatch);
    LocalSet::new().block_on(&runtime, async { nested_loop(&context, 60 * MS) });
    let (inner, went_on) = (context.clone(), Rc::new(Cell::new(false)));
    let set = went_on.clone();
    let task = dispatch.spawn_local(async move { set.set(goes_on(&inner, &ticks)) });
    assert!(dialog_until(&context, move || task.is_finished()));
    assert!(went_on.get());
}

#[test]
fn a_current_thread_block_on_in_a_task_on_a_worker_holds_without_a_panic() {
    let runtime = multi();
    let worker = runtime.spawn(async {
        let (before, (context, dispatch)) = (panics(), dispatch());
        let (ticks, inner) = (ticker(&dispatch), context.clone());
        let task = dispatch.spawn_local(async move {
            current().block_on(async { nested_loop(&inner, 60 * MS) });
        });
        dispatch.block_on(task).expect("no panic");
        (goes_on(&context, &ticks), panics() - before)
    });
    assert_eq!(runtime.block_on(worker).expect("no panic"), (true, 0));
}

#[test]
fn a_multi_threaded_runtime_entered_inside_a_current_thread_block_on_is_asked_of_seldom() {
    let (context, dispatch) = dispatch();
    let (ticks, other) = (ticker(&dispatch), multi());
    asked_seldom(&context, &ticks, || {
        current().block_on(async {
            let _entered = other.enter();
            nested_loop(&context, 60 * MS);
        });
    });
}

#[test]
fn an_unconstrained_block_on_holds_until_it_ends() {
    let other = current();
    let _entered = other.enter();
    let (before, (context, dispatch)) = (panics(), dispatch());
    let (ticks, probe) = (ticker(&dispatch), Probe::new(&context));
    let inside = async { nested_loop(&context, 100 * MS) };
    other.block_on(tokio::task::unconstrained(inside));
    assert!(probe.iterations() < FEW, "{} iterations while held", probe.iterations());
    assert!(goes_on(&context, &ticks));
    assert_eq!(panics(), before);
}

#[test]
fn our_own_handle_may_be_entered_anywhere() {
    let before = panics();
    multi().block_on(async {
        let (context, dispatch) = dispatch();
        let ticks = ticker(&dispatch);
        let _entered = dispatch.tokio_handle().enter();
        assert!(goes_on(&context, &ticks));
    });
    let (context, dispatch) = dispatch();
    let (ticks, probe) = (ticker(&dispatch), Probe::new(&context));
    current().block_on(async {
        let _entered = dispatch.tokio_handle().enter();
        nested_loop(&context, 60 * MS);
    });
    assert!(probe.iterations() < FEW, "{} iterations while held", probe.iterations());
    assert!(goes_on(&context, &ticks));
    assert_eq!(panics(), before);
}

#[test]
fn the_block_on_of_a_handle_holds_nothing() {
    let (before, other) = (panics(), current());
    other.handle().block_on(async {
        let (context, dispatch) = dispatch();
        let ticks = ticker(&dispatch);
        assert!(goes_on(&context, &ticks));
        assert_eq!(dispatch.block_on(async { 42 }), 42);
    });
    assert_eq!(panics(), before);
}

#[test]
fn a_local_set_outside_of_all_runtimes_holds_nothing() {
    let other = current();
    let _entered = other.enter();
    let (before, (context, dispatch)) = (panics(), dispatch());
    let (ticks, inner) = (ticker(&dispatch), context.clone());
    let local = LocalSet::new();
    let task = local.spawn_local(async move {
        assert!(Dispatch::new(&MainContext::new()).is_ok());
        goes_on(&inner, &ticks)
    });
    // In glib's executor.
    let went_on = context.block_on(local.run_until(task)).expect("no panic");
    assert!(went_on);
    assert_eq!(panics(), before);
}

#[test]
fn a_local_set_in_a_task_of_ours_does_not_look_like_a_block_on() {
    let (before, (context, dispatch)) = (panics(), dispatch());
    let (ticks, inner) = (ticker(&dispatch), context.clone());
    let task = dispatch.spawn_local(async move {
        LocalSet::new().run_until(async { goes_on(&inner, &ticks) }).await
    });
    assert!(dispatch.block_on(task).expect("no panic"));
    assert_eq!(panics(), before);
}

#[test]
fn block_on_where_tokio_is_held_panics_and_says_why() {
    let (_context, dispatch) = dispatch();
    let run = || dispatch.block_on(async { sleep(MS).await });
    let refusal = || catch_unwind(AssertUnwindSafe(run)).expect_err("it would wait for ever");
    let said = |panic: Box<dyn std::any::Any + Send>| {
        panic.downcast_ref::<&str>().is_some_and(|text| text.contains("another runtime's block_on"))
    };
    assert!(said(current().block_on(async { refusal() })));
    let nested = Nested::new(&MainContext::new(), WakeAfterDispatch::Yes).expect("a runtime");
    assert!(said(nested.block_on(async { refusal() })));
    run();
}

#[test]
fn what_cannot_be_set_up_inside_a_block_on_is_an_error() {
    let context = MainContext::new();
    current().block_on(async {
        assert!(matches!(Dispatch::new(&context), Err(SetupError::Held)));
        let nested = Nested::new(&context, WakeAfterDispatch::Yes);
        assert!(matches!(nested, Err(SetupError::Held)));
    });
}

#[test]
fn nested_runs_inside_a_multi_threaded_runtime() {
    multi().block_on(async {
        let nested = Nested::new(&MainContext::new(), WakeAfterDispatch::Yes).expect("a runtime");
        assert_eq!(
            nested.block_on(async {
                sleep(MS).await;
                42
            }),
            42
        );
    });
}

#[test]
fn every_strategy_can_be_dropped_inside_a_block_on() {
    let before = panics();
    for runtime in [multi(), current()] {
        let context = MainContext::new();
        let dispatch = Dispatch::new(&context).expect("a runtime");
        let nested = Nested::new(&context, WakeAfterDispatch::Yes).expect("a runtime");
        let gtk_rs = GtkRs::new(&context).expect("a runtime");
        let handoff = Handoff::new(&context).expect("a runtime");
        // A blocking job must not keep any of them.
        let (_keep, wait) = std::sync::mpsc::channel::<()>();
        dispatch.tokio_handle().spawn_blocking(move || wait.recv());
        runtime.block_on(async move {
            drop(dispatch);
            drop(nested);
            drop(gtk_rs);
            drop(handoff);
        });
    }
    assert_eq!(panics(), before);
}

#[test]
fn the_budget_of_the_task_on_the_stack_is_its_own_again() {
    let (context, dispatch) = dispatch();
    let _ticks = ticker(&dispatch);
    current().block_on(async {
        nested_loop(&context, 20 * MS);
        assert!(tokio::task::coop::has_budget_remaining(), "to look at it must not use it up");
    });
}
