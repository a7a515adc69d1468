//! A D-Bus service that hangs, and a daemon that dies: at top level and while a dialog is open.
//!
//! The dialog is a nested loop that a GLib callback opens, because every strategy survives that.
//! In `Nested` the tasks on the GLib thread stall there by design, and the tests assert that;
//! everywhere else calls must start, fail and end while it is open.
//!
//! When the daemon dies, every error must arrive within a second. That second is counted by a
//! thread that sleeps for 10 ms at a time, so it stops when the machine does: a busy machine does
//! not fail the test, but late errors do. A call that never ends fails it after twenty seconds.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use futures::future::join_all;
use gio::{DBusConnection, IOErrorEnum};
use glib::MainContext;
use loopnest_strategies::gasync::Resolver;
use loopnest_tests::bus::PrivateBus;
use loopnest_tests::calls::{Hanging, Reply, connect, of_hanging, send};
use loopnest_tests::sides::{Face, KINDS, Kind, Side};
use loopnest_tests::{after, dialog_until, nested_loop};
use tokio::time::timeout;

const MS: Duration = Duration::from_millis(1);
const TICK: Duration = Duration::from_millis(10);
const SECOND: u32 = 100;
const PATIENCE: Duration = Duration::from_secs(20);

/// The ticks so far of a thread that does nothing else.
fn ticks() -> u32 {
    static TICKS: AtomicU32 = AtomicU32::new(0);
    static CLOCK: Once = Once::new();
    CLOCK.call_once(|| {
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(TICK);
                add(&TICKS);
            }
        });
    });
    get(&TICKS)
}

/// What has happened, seen from both threads.
#[derive(Debug, Default)]
struct Counts {
    started: AtomicU32,
    /// Callbacks, on the GLib thread.
    called: AtomicU32,
    /// Tasks that have got their result.
    ended: AtomicU32,
}

fn get(n: &AtomicU32) -> u32 {
    n.load(Ordering::SeqCst)
}

fn add(n: &AtomicU32) {
    n.fetch_add(1, Ordering::SeqCst);
}

fn now() -> (Instant, u32) {
    (Instant::now(), ticks())
}

/// Whether tasks that call with `face` keep running while a callback has a dialog open.
fn goes_on(kind: Kind, face: &Face) -> bool {
    kind.goes_on_in_a_dialog() || matches!(face, Face::Elsewhere(_))
}

async fn connected(face: Face, address: String) -> DBusConnection {
    face.call(connect(address)).await.expect("a result").expect("a bus")
}

/// Calls a method that gets no answer.
async fn hang(
    face: &Face,
    bus: &DBusConnection,
    service: String,
    patience: i32,
    counts: Arc<Counts>,
) -> Reply {
    let (bus, counting) = (bus.clone(), counts.clone());
    let reply = face.call(move |cancellable, done: Resolver<Reply>| {
        add(&counting.started);
        let done = move |reply| {
            add(&counting.called);
            done.resolve(reply);
        };
        send(&bus, of_hanging(&service), None, patience, cancellable, done);
    });
    reply.await.expect("a result")
}

/// Every strategy with each of its faces, and for each its own bus and a connection to it.
fn everywhere(test: impl Fn(&Side, Face, PrivateBus, DBusConnection, Hanging)) {
    for kind in KINDS {
        kind.with(|side| {
            for face in side.faces() {
                let daemon = PrivateBus::start();
                let address = daemon.address().to_owned();
                let bus = side.run(&face, connected(face.clone(), address.clone()));
                let served = side.run(&face, connected(face.clone(), address));
                let hanging = Hanging::serve(&served);
                test(side, face, daemon, bus, hanging);
            }
        });
    }
}

/// Runs `then` in a callback as soon as `when` returns `true`.
fn once(context: &MainContext, when: impl Fn() -> bool + 'static, then: impl FnOnce() + 'static) {
    let inner = context.clone();
    after(context, MS, move || if when() { then() } else { once(&inner, when, then) });
}

fn a_bus_is_killed(in_dialog: bool) {
    everywhere(|side, face, mut daemon, bus, hanging| {
        const CALLS: u32 = 100;
        let counts = Arc::new(Counts::default());
        let service = hanging.name();
        let calls = {
            let (face, counts) = (face.clone(), counts.clone());
            async move {
                let calls = (0..CALLS).map(|_| async {
                    let failed = hang(&face, &bus, service.clone(), -1, counts.clone()).await;
                    add(&counts.ended);
                    failed.is_err()
                });
                let failed = timeout(PATIENCE, join_all(calls)).await.expect("an end of each");
                (failed.iter().all(|failed| *failed), now())
            }
        };
        let (tx, killed) = std::sync::mpsc::channel();
        let in_the_dialog = Rc::new(Cell::new(None));
        let seen = in_the_dialog.clone();
        let goes_on = goes_on(side.kind, &face);
        let (context, watched) = (side.context.clone(), counts.clone());
        // The daemon has all of them, and the service too.
        let all_wait = move || hanging.n() == CALLS as usize;
        once(&side.context, all_wait, move || {
            let mut kill = move || {
                tx.send(now()).expect("the test waits for it");
                daemon.kill();
            };
            if !in_dialog {
                return kill();
            }
            after(&context, MS, kill);
            let counts = watched.clone();
            let done = move || get(if goes_on { &counts.ended } else { &counts.called }) == CALLS;
            let in_time = dialog_until(&context, done);
            if !goes_on {
                // GLib has called back, but the task is stalled.
                nested_loop(&context, 20 * MS);
            }
            seen.set(Some((in_time, get(&watched.ended))));
        });
        let (all_failed, ended) = side.run(&face, calls);
        // In a callback a failed assertion would abort the process.
        let expected = if goes_on { CALLS } else { 0 };
        let expected = in_dialog.then_some((true, expected));
        assert_eq!(in_the_dialog.get(), expected, "{:?}, {face:?}: {counts:?}", side.kind);
        assert!(all_failed, "a call to a dead daemon succeeded");
        let killed = killed.recv().expect("it was killed");
        let (took, ticks) = (ended.0 - killed.0, ended.1 - killed.1);
        println!("{:?}, {face:?}, dialog {in_dialog}: {took:?}, {ticks} ticks", side.kind);
        assert!(took <= TICK * SECOND || ticks <= SECOND, "the errors took {took:?}");
        assert_eq!(get(&counts.called), CALLS);
    });
}

#[test]
fn a_bus_that_is_killed_ends_a_hundred_calls_with_errors() {
    a_bus_is_killed(false);
}

#[test]
fn a_bus_that_is_killed_while_a_dialog_is_open_ends_a_hundred_calls_there() {
    a_bus_is_killed(true);
}

#[test]
fn time_outs_and_a_bad_address_are_errors_while_a_dialog_is_open() {
    everywhere(|side, face, daemon, bus, hanging| {
        const CALLS: u32 = 3;
        let counts = Arc::new(Counts::default());
        let opened = Arc::new(tokio::sync::Notify::new());
        let service = hanging.name();
        let calls = {
            let (face, counts, opened) = (face.clone(), counts.clone(), opened.clone());
            async move {
                opened.notified().await;
                let gdbus = async {
                    let error = hang(&face, &bus, service.clone(), 20, counts.clone()).await;
                    add(&counts.ended);
                    assert!(error.expect_err("no reply").matches(IOErrorEnum::TimedOut));
                };
                let tokio = async {
                    let call = hang(&face, &bus, service.clone(), -1, counts.clone());
                    assert!(timeout(20 * MS, call).await.is_err(), "no reply");
                    add(&counts.ended);
                };
                let address = async {
                    let bad = connect("unix:path=/nonexistent/socket".to_owned());
                    let error = face.call(bad).await.expect("a result").expect_err("no bus");
                    add(&counts.ended);
                    assert!(error.matches(IOErrorEnum::NotFound), "{error}");
                };
                let all = async { tokio::join!(gdbus, tokio, address) };
                timeout(PATIENCE, all).await.expect("an end of each");
            }
        };
        let in_the_dialog = Rc::new(Cell::new(None));
        let seen = in_the_dialog.clone();
        let goes_on = goes_on(side.kind, &face);
        let (context, watched) = (side.context.clone(), counts.clone());
        after(&side.context, MS, move || {
            after(&context, MS, move || opened.notify_one());
            if goes_on {
                let counts = watched.clone();
                dialog_until(&context, move || get(&counts.ended) == CALLS);
            } else {
                nested_loop(&context, 50 * MS);
            }
            seen.set(Some((get(&watched.started), get(&watched.ended))));
        });
        side.run(&face, calls);
        // Two calls hang; the third has no daemon to get to.
        let expected = if goes_on { (2, CALLS) } else { (0, 0) };
        assert_eq!(in_the_dialog.get(), Some(expected), "{:?}, {face:?}", side.kind);
        assert_eq!(get(&counts.ended), CALLS);
        drop(daemon);
    });
}
