//! The baton between a host loop and a thread that waits in the driver.

use std::cell::Cell;

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar};
use loopnest_core::protocol::{Baton, DepthStack, WakeFlag};
use loopnest_core::sync::{Mutex, lock};

use crate::host::{Bell, IN_VAIN, assert_turns, quit};
use crate::search::{LOST, Model, Search, join, note, spawn};

pub const MODELS: &[Model] = &[
    Model::holds("baton::one_turn_for_each_time_the_driver_wakes", turns::<Baton>),
    Model::holds("baton::turns_go_on_in_a_nested_loop", nested_outside_a_turn::<Baton>),
    Model::holds("baton::a_nested_loop_in_a_turn_sleeps", nested_in_a_turn::<Baton>),
    Model::holds("baton::can_be_closed_at_any_time", closed::<Baton>),
    // This shows that the mutants fail because of their faults, not because they are copies.
    Model::holds("baton::the_copy_without_a_fault_turns_too", turns::<Copy<NONE>>),
    Model::mutant(
        "baton::mutant_handed_twice",
        "the waiting thread hands the baton to the host but keeps it too",
        TWO,
        turns::<Copy<HANDS_TWICE>>,
    ),
    Model::mutant(
        "baton::mutant_rings_before_handing_back",
        "the waiting thread rings the host before it hands the baton back",
        LOST,
        turns::<Copy<RINGS_FIRST>>,
    ),
    Model::mutant(
        "baton::mutant_turn_in_a_turn",
        "a nested loop in a turn begins another turn",
        TWO,
        nested_in_a_turn::<Copy<TURNS_IN_TURNS>>,
    ),
    Model::mutant(
        "baton::mutant_awake_during_a_turn",
        "a nested loop in a turn stays awake for a turn that it cannot make",
        IN_VAIN,
        nested_in_a_turn::<Copy<AWAKE_IN_TURNS>>,
    ),
    Model::mutant(
        "baton::mutant_passed_at_the_end_of_the_dispatch",
        "a turn that opened a nested loop is passed by that loop too",
        TWO,
        nested_in_a_turn::<Copy<PASSED_BY_OTHERS>>,
    ),
    Model::mutant(
        "baton::mutant_closed_without_an_interrupt",
        "closing does not report that the waiting thread is in the driver",
        LOST,
        closed::<Copy<NO_INTERRUPT>>,
    ),
];

/// The failure of two sides that are both in the driver.
const TWO: &str = "two are in the driver";

/// What both sides need from a baton.
trait Passing: Send + Sync + 'static {
    fn new(bell: Arc<Bell>) -> Self;
    fn prepare(&self) -> bool;
    fn check(&self) -> bool;
    /// Begins a turn, runs `body` and passes the baton; does nothing if it cannot begin a turn now.
    fn turn(&self, body: &mut dyn FnMut());
    fn close(&self) -> bool;
    fn wait_for_baton(&self) -> bool;
    fn hand_back(&self);
}

impl Passing for Baton {
    fn new(bell: Arc<Bell>) -> Self {
        Self::new(move || bell.ring())
    }

    fn prepare(&self) -> bool {
        self.prepare()
    }

    fn check(&self) -> bool {
        self.check()
    }

    fn turn(&self, body: &mut dyn FnMut()) {
        if let Some(turn) = self.begin_turn() {
            body();
            turn.pass();
        }
    }

    fn close(&self) -> bool {
        self.close()
    }

    fn wait_for_baton(&self) -> bool {
        self.wait_for_baton()
    }

    fn hand_back(&self) {
        self.hand_back();
    }
}

/// What the two sides share besides the baton.
struct Shared<B> {
    baton: B,
    /// What the waiting thread sleeps on, like the runtime's driver.
    driver: Arc<Bell>,
    /// Whether a side is in the driver. Relaxed, so that it orders nothing that the baton does not.
    inside: AtomicBool,
    /// Work from the driver that is not done.
    pieces: AtomicUsize,
}

impl<B> Shared<B> {
    fn inside<T>(&self, body: impl FnOnce() -> T) -> T {
        assert!(!self.inside.swap(true, Ordering::Relaxed), "{TWO}");
        let result = body();
        self.inside.swap(false, Ordering::Relaxed);
        result
    }

    fn bring(&self) {
        self.pieces.fetch_add(1, Ordering::AcqRel);
        note("brings a piece of work");
        self.driver.ring();
    }
}

/// The host's side.
struct Host<B> {
    shared: Arc<Shared<B>>,
    bell: Arc<Bell>,
    iterations: Cell<usize>,
    turns: Cell<usize>,
    done: Cell<usize>,
}

type Waiter = loom::thread::JoinHandle<()>;

impl<B: Passing> Host<B> {
    fn new() -> (Self, Waiter) {
        let bell = Bell::new("host");
        let shared = Arc::new(Shared {
            baton: B::new(bell.clone()),
            driver: Bell::new("driver"),
            inside: AtomicBool::new(false),
            pieces: AtomicUsize::new(0),
        });
        let theirs = shared.clone();
        let waiter = spawn("waiting thread", move || {
            while theirs.baton.wait_for_baton() {
                note("has the baton");
                theirs.inside(|| theirs.driver.poll(true));
                note("hands the baton back");
                theirs.baton.hand_back();
            }
            note("ends");
        });
        let (iterations, turns, done) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let host = Self { shared, bell, iterations, turns, done };
        (host, waiter)
    }

    /// Prepare, poll, check.
    fn wait(&self) {
        self.iterations.set(self.iterations.get() + 1);
        // A loop that never sleeps would not reach the assertion at the end.
        assert_turns(self.iterations.get(), 9);
        let ready = self.shared.baton.prepare();
        note(if ready { "prepares: has the baton" } else { "prepares: nothing" });
        self.bell.poll(!ready);
        self.shared.baton.check();
    }

    /// Dispatch.
    fn turn(&self, inside: &dyn Fn()) {
        self.shared.baton.turn(&mut || {
            note("begins a turn");
            self.turns.set(self.turns.get() + 1);
            self.shared.inside(|| {
                self.done.set(self.done.get() + self.shared.pieces.swap(0, Ordering::AcqRel));
                inside();
            });
            note("ends the turn");
        });
    }

    fn iterate(&self) {
        self.wait();
        self.turn(&|| {});
    }

    fn close(&self, waiter: Waiter) {
        self.interrupt();
        join(waiter);
    }

    fn interrupt(&self) {
        note("closes");
        if self.shared.baton.close() {
            self.shared.driver.ring();
        }
    }

    fn bring(&self, thread: &str) -> loom::thread::JoinHandle<()> {
        let shared = self.shared.clone();
        spawn(thread, move || shared.bring())
    }
}

fn turns<B: Passing>(search: &Search) {
    search.check(|| {
        let (host, waiter) = Host::<B>::new();
        let threads = ["first", "second"].map(|name| host.bring(name));
        while host.done.get() < 2 {
            host.iterate();
        }
        // One turn to begin with, and one for each time that the driver wakes; and one more
        // iteration for a ring that was under way when the baton was found.
        assert_turns(host.turns.get(), 3);
        assert_turns(host.iterations.get(), 4);
        let rings = host.bell.rings();
        assert!(rings <= 2, "rung {rings} times for 2 hand-overs");
        threads.into_iter().for_each(join);
        host.close(waiter);
    });
}

/// A callback opens a nested loop, and a turn in that loop closes it.
fn nested_outside_a_turn<B: Passing>(search: &Search) {
    for after_the_turn in [false, true] {
        search.check(move || {
            let (host, waiter) = Host::<B>::new();
            let thread = host.bring("guest");
            let levels = DepthStack::new();
            host.wait();
            if after_the_turn {
                host.turn(&|| {});
            }
            if host.done.get() == 0 {
                let level = levels.open("dialog", ()).expect("it was not quit yet");
                note("opens the nested loop");
                while !level.is_told() {
                    host.iterate();
                    if host.done.get() > 0 {
                        // On this thread, so nothing has to be woken.
                        let () = levels.quit("dialog").expect("it is open");
                    }
                }
                note("closes the nested loop");
            }
            host.turn(&|| {});
            assert_turns(host.iterations.get(), 3);
            join(thread);
            host.close(waiter);
        });
    }
}

/// A turn opens a nested loop, as a task on the runtime's own queue would.
fn nested_in_a_turn<B: Passing>(search: &Search) {
    search.check(|| {
        let (host, waiter) = Host::<B>::new();
        let levels = Arc::new(DepthStack::new());
        let thread = host.bring("guest");
        let quitter = {
            let levels = levels.clone();
            spawn("quitter", move || quit(&levels, "dialog"))
        };
        host.wait();
        host.turn(&|| {
            let Some(level) = levels.open("dialog", host.bell.clone()) else {
                return;
            };
            note("opens the nested loop");
            while !level.is_told() {
                host.iterate();
            }
            note("closes the nested loop");
        });
        while host.done.get() < 1 {
            host.iterate();
        }
        // One each for the first turn, the quit and the driver, and one for a ring under way.
        assert_turns(host.iterations.get(), 4);
        join(thread);
        join(quitter);
        host.close(waiter);
    });
}

/// The host closes after some iterations, or in a turn.
fn closed<B: Passing>(search: &Search) {
    for iterations in 0..=2 {
        search.check(move || {
            let (host, waiter) = Host::<B>::new();
            let thread = host.bring("guest");
            (0..iterations).for_each(|_| host.iterate());
            host.close(waiter);
            join(thread);
        });
    }
    search.check(|| {
        let (host, waiter) = Host::<B>::new();
        host.wait();
        host.turn(&|| host.interrupt());
        join(waiter);
    });
}

const NONE: u8 = 0;
const HANDS_TWICE: u8 = 1;
const RINGS_FIRST: u8 = 2;
const TURNS_IN_TURNS: u8 = 3;
const AWAKE_IN_TURNS: u8 = 4;
const PASSED_BY_OTHERS: u8 = 5;
const NO_INTERRUPT: u8 = 6;

/// The same protocol as `Baton`, with one fault.
struct Copy<const FAULT: u8> {
    holders: Mutex<Holders>,
    passed: Condvar,
    flag: WakeFlag,
    bell: Arc<Bell>,
}

#[derive(Default)]
struct Holders {
    host: bool,
    turn: bool,
    waiter: bool,
    closed: bool,
}

impl<const FAULT: u8> Copy<FAULT> {
    fn ring(&self) {
        if self.flag.trip() {
            self.bell.ring();
        } else {
            note("does not ring: the host is awake");
        }
    }

    fn can_turn(&self) -> bool {
        let holders = lock(&self.holders);
        let awake = matches!(FAULT, TURNS_IN_TURNS | AWAKE_IN_TURNS) && holders.turn;
        holders.host || awake
    }
}

impl<const FAULT: u8> Passing for Copy<FAULT> {
    fn new(bell: Arc<Bell>) -> Self {
        Self {
            holders: Mutex::new(Holders { host: true, ..Holders::default() }),
            passed: Condvar::new(),
            flag: WakeFlag::new(),
            bell,
        }
    }

    fn prepare(&self) -> bool {
        self.flag.arm();
        let ready = self.can_turn();
        if ready {
            self.flag.disarm();
        }
        ready
    }

    fn check(&self) -> bool {
        self.flag.disarm();
        self.can_turn()
    }

    fn turn(&self, body: &mut dyn FnMut()) {
        let mut holders = lock(&self.holders);
        let again = FAULT == TURNS_IN_TURNS && holders.turn;
        if holders.host || again {
            holders.host = false;
            holders.turn = true;
            drop(holders);
            body();
        } else if !(FAULT == PASSED_BY_OTHERS && holders.turn) {
            return;
        } else {
            drop(holders);
        }
        let mut holders = lock(&self.holders);
        if holders.turn {
            holders.turn = false;
            holders.waiter = !holders.closed;
            note("passes the baton");
            drop(holders);
            self.passed.notify_one();
        }
    }

    fn close(&self) -> bool {
        let mut holders = lock(&self.holders);
        holders.closed = true;
        let interrupt = holders.waiter && FAULT != NO_INTERRUPT;
        holders.host = false;
        holders.waiter = false;
        drop(holders);
        self.passed.notify_one();
        interrupt
    }

    fn wait_for_baton(&self) -> bool {
        let mut holders = lock(&self.holders);
        while !holders.waiter && !holders.closed {
            holders = self.passed.wait(holders).expect("nothing panics while it holds the lock");
        }
        holders.waiter
    }

    fn hand_back(&self) {
        if FAULT == RINGS_FIRST {
            self.ring();
        }
        let mut holders = lock(&self.holders);
        if holders.waiter {
            holders.waiter = FAULT == HANDS_TWICE;
            holders.host = true;
            drop(holders);
            note("the host has the baton");
            if FAULT != RINGS_FIRST {
                self.ring();
            }
        }
    }
}
