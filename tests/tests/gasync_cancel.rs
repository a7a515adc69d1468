//! Ten thousand GAsyncResult calls on every strategy, cancelled at random points.
//!
//! Each call must end once, give its closure and its cancellable back, and leave the references to
//! the connection as they were; and GLib must not say a word.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use futures::future::join_all;
use gio::prelude::*;
use gio::{Cancellable, DBusConnection, IOErrorEnum, MemoryInputStream};
use glib::{MainContext, WeakRef};
use loopnest_strategies::gasync::{self, NoResult, Resolver};
use loopnest_strategies::source;
use loopnest_tests::bus::PrivateBus;
use loopnest_tests::calls::{self, Hanging, connect};
use loopnest_tests::sides::{Kind, Side};
use loopnest_tests::{after, child, dialog_until, nested_loop};
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};
use tokio::time::timeout;

/// Calls in a case, all begun at once.
const CALLS: usize = 200;

/// Cases on a strategy; ten thousand calls in all.
const CASES: u32 = 50;

/// For a machine that is busy with other things; a call that never ends is told by it, no more.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is called.
#[derive(Clone, Copy, Debug)]
enum Operation {
    /// A method of the bus daemon.
    GetId,
    /// A method that is answered only when the case is over.
    Hang,
    /// A `GTask` that is done at once.
    Stream,
    /// A file, by gio's threads.
    File,
}

/// Where it is cancelled, and how.
#[derive(Clone, Copy, Debug)]
enum Point {
    Never,
    /// The future is dropped before it was polled.
    Unpolled,
    /// It is dropped when it was polled so often. A remote call may not have begun by then.
    Polls(u8),
    /// `tokio::time::timeout`, after so many microseconds.
    Timeout(u16),
    /// It is dropped in the call's own callback, before there is a result.
    InCallback,
    /// It is dropped when there is a result, before anybody has seen that.
    AfterCallback,
    /// It is dropped in a nested loop, so many microseconds after the start.
    Dialog(u16),
    /// Somebody else cancels the `GCancellable`, so many microseconds after the start.
    Cancellable(u16),
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    operation: Operation,
    point: Point,
}

fn plan() -> impl Strategy<Value = Plan> {
    let operation = prop_oneof![
        6 => Just(Operation::Stream),
        6 => Just(Operation::GetId),
        3 => Just(Operation::Hang),
        1 => Just(Operation::File),
    ];
    let point = prop_oneof![
        2 => Just(Point::Never),
        1 => Just(Point::Unpolled),
        3 => (1u8..30).prop_map(Point::Polls),
        3 => (0u16..5_000).prop_map(Point::Timeout),
        1 => Just(Point::InCallback),
        1 => Just(Point::AfterCallback),
        1 => (0u16..5_000).prop_map(Point::Dialog),
        2 => (0u16..5_000).prop_map(Point::Cancellable),
    ];
    (operation, point).prop_map(|(operation, point)| {
        let needs_an_answer =
            matches!(point, Point::Never | Point::InCallback | Point::AfterCallback);
        let operation = match operation {
            Operation::Hang if needs_an_answer => Operation::GetId,
            other => other,
        };
        Plan { operation, point }
    })
}

/// How the call came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Cancelled,
    Failed,
}

impl<T> From<Result<T, glib::Error>> for Outcome {
    fn from(result: Result<T, glib::Error>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(error) if error.matches(IOErrorEnum::Cancelled) => Self::Cancelled,
            Err(_) => Self::Failed,
        }
    }
}

/// How the future came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Dropped,
    Resolved(Result<Outcome, NoResult>),
}

/// What is known of a call.
struct Call {
    plan: Plan,
    started: AtomicU32,
    /// Its callback.
    called: AtomicU32,
    /// The data of its closures.
    freed: AtomicU32,
    cancellable: Mutex<Option<WeakRef<Cancellable>>>,
    ends: Mutex<Vec<End>>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}: started {:?}, called back {:?}, freed {:?}, ended {:?}",
            self.plan,
            self.started,
            self.called,
            self.freed,
            lock(&self.ends),
        )
    }
}

/// Stands in the data of a call's closures.
struct Held(Arc<Call>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.freed.fetch_add(1, Ordering::SeqCst);
    }
}

impl Call {
    fn new(plan: Plan) -> Arc<Self> {
        Arc::new(Self {
            plan,
            started: AtomicU32::new(0),
            called: AtomicU32::new(0),
            freed: AtomicU32::new(0),
            cancellable: Mutex::new(None),
            ends: Mutex::default(),
        })
    }

    /// Whether nothing of it is left.
    fn is_gone(&self) -> bool {
        let cancellable = lock(&self.cancellable);
        let lives = cancellable.as_ref().is_some_and(|weak| weak.upgrade().is_some());
        self.freed.load(Ordering::SeqCst) > 0 && !lives
    }

    /// Whether it went as it must, once it is over.
    fn went_well(&self, local: bool) -> bool {
        let started = self.started.load(Ordering::SeqCst);
        // GTask's contract, whether it is cancelled or not.
        let once = started <= 1
            && self.called.load(Ordering::SeqCst) == started
            && self.freed.load(Ordering::SeqCst) == 1;
        let [end] = lock(&self.ends)[..] else { return false };
        let hangs = matches!(self.plan.operation, Operation::Hang);
        let right = match (self.plan.point, end) {
            (Point::Never, end) => end == End::Resolved(Ok(Outcome::Done)),
            (Point::Unpolled, end) => end == End::Dropped && started == 0,
            (Point::InCallback, end) => end == End::Dropped && started == 1,
            (Point::Cancellable(_), End::Resolved(Ok(Outcome::Done))) => !hangs,
            (Point::Cancellable(_), end) => end == End::Resolved(Ok(Outcome::Cancelled)),
            (_, End::Dropped) => true,
            // On another thread the task may have been quicker.
            (Point::AfterCallback, End::Resolved(Ok(Outcome::Done))) => !local,
            (_, end) => end == End::Resolved(Ok(Outcome::Done)) && !hangs,
        };
        once && right
    }
}

type Here = Pin<Box<dyn Future<Output = Result<Outcome, NoResult>>>>;
type Elsewhere = Pin<Box<dyn Future<Output = Result<Outcome, NoResult>> + Send>>;

/// A future that anybody can drop while somebody awaits it.
struct Slot<F>(Mutex<(Option<F>, Option<Waker>)>);

impl<F: Future + Unpin> Slot<F> {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new((None, None))))
    }

    fn fill(&self, future: F) {
        lock(&self.0).0 = Some(future);
    }

    /// Drops it, and wakes whoever awaits it.
    fn clear(&self) {
        let (future, waker) = {
            let mut slot = lock(&self.0);
            (slot.0.take(), slot.1.take())
        };
        drop(future);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// `None` when it was dropped.
    fn poll(&self, cx: &mut std::task::Context<'_>) -> Poll<Option<F::Output>> {
        let mut slot = lock(&self.0);
        let Some(future) = &mut slot.0 else { return Poll::Ready(None) };
        let polled = Pin::new(future).poll(cx);
        match polled {
            Poll::Ready(output) => {
                slot.0 = None;
                Poll::Ready(Some(output))
            }
            Poll::Pending => {
                slot.1 = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Awaits the call, or cancels it from the side of the task.
async fn drive<F: Future<Output = Result<Outcome, NoResult>> + Unpin>(
    call: Arc<Call>,
    slot: Arc<Slot<F>>,
) {
    let wait = poll_fn(|cx| slot.poll(cx));
    let result = match call.plan.point {
        Point::Unpolled => None,
        Point::Polls(n) => {
            let mut left = n;
            poll_fn(|cx| match slot.poll(cx) {
                Poll::Pending if left == 0 => Poll::Ready(None),
                Poll::Pending => {
                    left -= 1;
                    // To be polled again in the next round of the executor.
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                ready => ready,
            })
            .await
        }
        Point::Timeout(us) => timeout(micros(us), wait).await.ok().flatten(),
        _ => wait.await,
    };
    slot.clear();
    lock(&call.ends).push(result.map_or(End::Dropped, End::Resolved));
}

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

/// What calls need, on any thread.
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
        let cancellable = Some(cancellable);
        let (bus, path) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
        let (to, path, interface, method) = match operation {
            Operation::Stream => {
                let stream = MemoryInputStream::new();
                let done = move |result: Result<isize, _>| finish(result.into());
                return stream.skip_async(1, glib::Priority::DEFAULT, cancellable, done);
            }
            Operation::File => {
                let done = move |result: Result<_, _>| finish(result.into());
                return gio::File::for_path("/proc/self/comm")
                    .load_contents_async(cancellable, done);
            }
            Operation::GetId => (bus, path, bus, "GetId"),
            Operation::Hang => (&*self.service, calls::PATH, calls::INTERFACE, "Hang"),
        };
        let done = move |result: calls::Reply| finish(result.into());
        let flags = gio::DBusCallFlags::NONE;
        self.bus.call(Some(to), path, interface, method, None, None, flags, -1, cancellable, done);
    }
}

/// What a test of a strategy works with.
struct World<'a> {
    side: &'a Side,
    shared: Arc<Shared>,
    hanging: Hanging,
    sources: usize,
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
        // The connection's own start holds it for a moment.
        let bus = shared.clone();
        let is_ours = move || bus.bus.ref_count() == 1;
        assert!(dialog_until(&side.context, is_ours), "somebody else keeps the connection");
        let sources = source::n_alive();
        Self { side, shared, hanging, sources, _bus: daemon }
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
        // Before those that hang get their reply: being cancelled is enough for them to end.
        let settled = if in_time { self.settle(&calls, PATIENCE) } else { Ok(()) };
        self.hanging.reply();
        prop_assert!(in_time, "a call never ended: {calls:#?}");
        settled?;
        for call in &calls {
            prop_assert!(call.went_well(local), "{call:?}");
        }
        Ok(())
    }

    /// Iterates until nothing of the calls is left: cancelled ones give back what they hold with
    /// the next iterations.
    fn settle(&self, calls: &[Arc<Call>], patience: Duration) -> Result<(), TestCaseError> {
        let begun = Instant::now();
        loop {
            let (references, sources) = (self.shared.bus.ref_count(), source::n_alive());
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
            for &local in faces {
                let config = Config {
                    cases: CASES / faces.len() as u32,
                    source_file: Some(file!()),
                    failure_persistence: Some(Box::new(FileFailurePersistence::WithSource(
                        "regressions",
                    ))),
                    // A case that fails may take all of the patience.
                    max_shrink_time: 30_000,
                    ..Config::default()
                };
                let plans = prop::collection::vec(plan(), CALLS);
                let ran = TestRunner::new(config).run(&plans, |plans| world.run(&plans, local));
                if let Err(error) = ran {
                    panic!("local: {local}: {error}");
                }
            }
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

/// The detectors find what they are there for.
#[test]
fn a_closure_that_is_leaked_is_found() {
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
fn a_warning_of_glib_is_heard() {
    let said = child::run("a_warning_of_glib_is_heard", || {
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
