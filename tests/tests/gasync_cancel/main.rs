//! Ten thousand GAsyncResult calls on every strategy, cancelled at random points.
//!
//! Some end before they can be cancelled, and some are not cancelled on purpose, so the test makes
//! calls until ten thousand were cancelled. Each call must end once, free its closure and its
//! cancellable, and leave the references to the connection as they were. GLib must not log
//! anything.

mod call;
mod slot;

use std::cell::Cell;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures::future::join_all;
use gio::prelude::*;
use gio::{Cancellable, DBusConnection, MemoryInputStream};
use glib::MainContext;
use loopnest_strategies::gasync::{self, Resolver};
use loopnest_tests::bus::PrivateBus;
use loopnest_tests::calls::{Hanging, connect, of_daemon, of_hanging, send};
use loopnest_tests::raw_source::n_sources;
use loopnest_tests::sides::{Kind, Side};
use loopnest_tests::{after, child, dialog_until, nested_loop};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};
use tokio::time::timeout;

use call::{Call, Held, Operation, Outcome, Plan, Point, plan};
use slot::{Elsewhere, Here, Slot, drive};

/// Calls in a case, all started at once.
const CALLS: usize = 200;

/// Cases per round. There are rounds until enough calls were cancelled.
const CASES: u32 = 5;

/// Calls of a strategy that were cancelled before they had a result.
const CANCELLED: usize = 10_000;

/// Long enough for a busy machine; it only has to detect a call that never ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the adapter runs on the GLib thread.
fn start<F: Future + Unpin + 'static>(
    call: Arc<Call>,
    world: Arc<Shared>,
    slot: Weak<Slot<F>>,
) -> impl FnOnce(&Cancellable, Resolver<Outcome>) {
    let held = Held(call.clone());
    move |cancellable, done| {
        call.started.fetch_add(1, Ordering::SeqCst);
        *lock(&call.cancellable) = Some(cancellable.downgrade());
        let context = MainContext::ref_thread_default();
        let clear = {
            let slot = slot.clone();
            move || {
                if let Some(slot) = slot.upgrade() {
                    slot.clear();
                }
            }
        };
        match call.plan.point {
            Point::Dialog(us) => {
                let nested = context.clone();
                after(&context, micros(us), move || {
                    let dialog = glib::MainLoop::new(Some(&nested), false);
                    let quit = dialog.clone();
                    after(&nested, Duration::ZERO, move || {
                        clear();
                        quit.quit();
                    });
                    dialog.run();
                });
            }
            Point::Cancellable(us) => {
                let cancellable = cancellable.clone();
                after(&context, micros(us), move || cancellable.cancel());
            }
            _ => {}
        }
        let operation = call.plan.operation;
        let finish = move |outcome: Outcome| {
            let _held = held;
            call.called.fetch_add(1, Ordering::SeqCst);
            let clear = || slot.upgrade().inspect(|slot| slot.clear());
            if matches!(call.plan.point, Point::InCallback) {
                clear();
            }
            done.resolve(outcome);
            if matches!(call.plan.point, Point::AfterCallback) {
                clear();
            }
        };
        world.start(operation, cancellable, finish);
    }
}

/// What calls on any thread need.
struct Shared {
    bus: DBusConnection,
    service: String,
}

impl Shared {
    fn start(
        &self,
        operation: Operation,
        cancellable: &Cancellable,
        finish: impl FnOnce(Outcome) + 'static,
    ) {
        let method = match operation {
            Operation::Stream => {
                let stream = MemoryInputStream::new();
                let done = move |result: Result<isize, _>| finish(result.into());
                return stream.skip_async(1, glib::Priority::DEFAULT, Some(cancellable), done);
            }
            Operation::File => {
                let done = move |result: Result<_, _>| finish(result.into());
                return gio::File::for_path("/proc/self/comm")
                    .load_contents_async(Some(cancellable), done);
            }
            Operation::GetId => of_daemon("GetId"),
            Operation::Hang => of_hanging(&self.service),
        };
        send(&self.bus, method, None, -1, cancellable, move |reply| finish(reply.into()));
    }
}

/// What a test of a strategy works with.
struct World<'a> {
    side: &'a Side,
    shared: Arc<Shared>,
    hanging: Hanging,
    sources: usize,
    cancelled: Cell<usize>,
    _bus: PrivateBus,
}

impl<'a> World<'a> {
    fn new(side: &'a Side) -> Self {
        let daemon = PrivateBus::start();
        let (glib, address) = (side.glib(), daemon.address().to_owned());
        let (bus, served) = side.elsewhere(async move {
            let bus = glib.gasync(connect(address.clone())).await;
            let served = glib.gasync(connect(address)).await;
            (bus.expect("a result").expect("a bus"), served.expect("a result").expect("a bus"))
        });
        let hanging = Hanging::serve(&served);
        let shared = Arc::new(Shared { bus, service: hanging.name() });
        // Starting the connection holds a reference for a moment.
        let bus = shared.clone();
        let is_ours = move || bus.bus.ref_count() == 1;
        assert!(dialog_until(&side.context, is_ours), "something else holds the connection");
        let sources = n_sources(&side.context);
        Self { side, shared, hanging, sources, cancelled: Cell::new(0), _bus: daemon }
    }

    /// Makes the calls and waits for all of them.
    fn run(&self, plans: &[Plan], local: bool) -> Result<(), TestCaseError> {
        let calls: Vec<_> = plans.iter().map(|plan| Call::new(*plan)).collect();
        let in_time = if local {
            let all = join_all(calls.iter().map(|call| {
                let slot: Arc<Slot<Here>> = Slot::new();
                let start = start(call.clone(), self.shared.clone(), Arc::downgrade(&slot));
                slot.fill(Box::pin(gasync::call(start)));
                drive(call.clone(), slot)
            }));
            self.side.here(async move { timeout(PATIENCE, all).await.is_ok() })
        } else {
            let all = join_all(calls.iter().map(|call| {
                let slot: Arc<Slot<Elsewhere>> = Slot::new();
                let start = start(call.clone(), self.shared.clone(), Arc::downgrade(&slot));
                let glib = self.side.glib();
                slot.fill(Box::pin(async move { glib.gasync(start).await }));
                drive(call.clone(), slot)
            }));
            self.side.elsewhere(async move { timeout(PATIENCE, all).await.is_ok() })
        };
        // Before the hanging calls get their reply: cancelling must be enough to end them.
        let settled = if in_time { self.settle(&calls, PATIENCE) } else { Ok(()) };
        self.hanging.reply();
        prop_assert!(in_time, "a call never ended: {calls:#?}");
        settled?;
        for call in &calls {
            prop_assert!(call.went_well(local), "{call:?}");
        }
        let cancelled = calls.iter().filter(|call| call.was_cancelled()).count();
        self.cancelled.set(self.cancelled.get() + cancelled);
        Ok(())
    }

    /// Iterates until nothing is left of the calls: cancelled ones free what they hold in the next
    /// iterations.
    fn settle(&self, calls: &[Arc<Call>], patience: Duration) -> Result<(), TestCaseError> {
        let begun = Instant::now();
        loop {
            let (references, sources) =
                (self.shared.bus.ref_count(), n_sources(&self.side.context));
            let left = calls.iter().find(|call| !call.is_gone());
            let clean = references == 1 && sources == self.sources;
            if left.is_none() && clean {
                return Ok(());
            }
            prop_assert!(
                begun.elapsed() < patience,
                "left: {left:?}, {references} references to the connection, {sources} sources and \
                 not {}",
                self.sources
            );
            nested_loop(&self.side.context, Duration::from_millis(1));
        }
    }
}

fn ten_thousand_calls_on(kind: Kind, test: &str) {
    child::run_silent(test, || {
        kind.with(|side| {
            let world = World::new(side);
            let faces: &[bool] = if kind.has_local_tasks() { &[true, false] } else { &[false] };
            let config = Config {
                cases: CASES,
                source_file: Some(file!()),
                failure_persistence: Some(Box::new(FileFailurePersistence::WithSource(
                    "regressions",
                ))),
                // A failing case may take the whole patience.
                max_shrink_time: 30_000,
                ..Config::default()
            };
            let mut cases = 0;
            while world.cancelled.get() < CANCELLED {
                for &local in faces {
                    let plans = prop::collection::vec(plan(), CALLS);
                    let mut runner = TestRunner::new(config.clone());
                    if let Err(error) = runner.run(&plans, |plans| world.run(&plans, local)) {
                        panic!("local: {local}: {error}");
                    }
                    cases += CASES as usize;
                }
            }
            println!("{kind:?}: {} of {} were cancelled", world.cancelled.get(), cases * CALLS);
        });
    });
}

#[test]
fn nested_ends_each_of_ten_thousand_cancelled_calls_once_and_leaks_nothing() {
    ten_thousand_calls_on(
        Kind::Nested,
        "nested_ends_each_of_ten_thousand_cancelled_calls_once_and_leaks_nothing",
    );
}

#[test]
fn nested_no_wake_ends_each_of_ten_thousand_cancelled_calls_once_and_leaks_nothing() {
    ten_thousand_calls_on(
        Kind::NestedNoWake,
        "nested_no_wake_ends_each_of_ten_thousand_cancelled_calls_once_and_leaks_nothing",
    );
}

#[test]
fn dispatch_ends_each_of_ten_thousand_cancelled_calls_once_and_leaks_nothing() {
    ten_thousand_calls_on(
        Kind::Dispatch,
        "dispatch_ends_each_of_ten_thousand_cancelled_calls_once_and_leaks_nothing",
    );
}

#[test]
fn handoff_ends_each_of_ten_thousand_cancelled_calls_once_and_leaks_nothing() {
    ten_thousand_calls_on(
        Kind::Handoff,
        "handoff_ends_each_of_ten_thousand_cancelled_calls_once_and_leaks_nothing",
    );
}

#[test]
fn gtk_rs_ends_each_of_ten_thousand_cancelled_calls_once_and_leaks_nothing() {
    ten_thousand_calls_on(
        Kind::GtkRs,
        "gtk_rs_ends_each_of_ten_thousand_cancelled_calls_once_and_leaks_nothing",
    );
}

/// The detectors find what they are meant to find.
#[test]
fn a_leaked_closure_is_found() {
    Kind::Dispatch.with(|side| {
        let world = World::new(side);
        let plan = Plan { operation: Operation::Stream, point: Point::Never };
        let call = Call::new(plan);
        let patience = Duration::from_millis(50);
        let leaked = Held(call.clone());
        assert!(world.settle(std::slice::from_ref(&call), patience).is_err());
        drop(leaked);
        assert!(world.settle(std::slice::from_ref(&call), patience).is_ok());
        let reference = world.shared.bus.clone();
        assert!(world.settle(&[], patience).is_err());
        drop(reference);
        assert!(world.settle(&[], patience).is_ok());
        assert!(!call.went_well(true), "it was never started and never ended");
    });
}

#[test]
fn a_warning_of_glib_is_noticed() {
    let said = child::run("a_warning_of_glib_is_noticed", || {
        glib::g_warning!("loopnest", "an old one");
        glib::log_structured!("loopnest", glib::LogLevel::Critical, {"MESSAGE" => "a new one"});
    });
    if let Some(said) = said {
        assert!(said.passed, "{}", said.stderr);
        assert!(said.stderr.contains("an old one"), "{}", said.stderr);
        assert!(said.stderr.contains("a new one"), "{}", said.stderr);
    }
}

fn micros(us: u16) -> Duration {
    Duration::from_micros(us.into())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
