//! The parts of a model loop, and the models that every way of bringing work to a loop must pass.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use loom::sync::{Arc, Condvar};
use loopnest_core::protocol::DepthStack;
use loopnest_core::sync::{Mutex, lock};

use crate::search::{Search, join, note, spawn};

/// Nothing here takes that long.
pub const LONG: Duration = Duration::from_secs(3600);

/// What a loop sleeps on, like the context's eventfd: it stays rung until a wait takes the ring.
pub struct Bell {
    of: &'static str,
    rung: Mutex<bool>,
    heard: Condvar,
    rings: AtomicUsize,
}

impl Bell {
    pub fn new(of: &'static str) -> Arc<Self> {
        Arc::new(Self {
            of,
            rung: Mutex::new(false),
            heard: Condvar::new(),
            rings: AtomicUsize::new(0),
        })
    }

    pub fn ring(&self) {
        note(format!("rings the {}", self.of));
        self.rings.fetch_add(1, Ordering::Relaxed);
        *lock(&self.rung) = true;
        self.heard.notify_one();
    }

    /// Like `poll()`: waits, or only looks. Takes the ring either way.
    pub fn poll(&self, wait: bool) {
        let mut rung = lock(&self.rung);
        if wait && !*rung {
            note("sleeps");
            while !*rung {
                rung = self.heard.wait(rung).expect("nothing panics while it holds the lock");
            }
            note("wakes up");
        }
        *rung = false;
    }

    pub fn is_rung(&self) -> bool {
        *lock(&self.rung)
    }

    pub fn rings(&self) -> usize {
        self.rings.load(Ordering::Relaxed)
    }
}

/// A way for one loop to sleep while other threads may bring it work.
pub trait Host: Sized + 'static {
    /// The side that brings work.
    type Guest: Clone + Send + 'static;

    fn new(bell: Arc<Bell>) -> (Self, Self::Guest);

    /// Brings a piece of work.
    fn bring(guest: &Self::Guest);

    /// Called before the loop sleeps: whether it must not.
    fn prepare(&self) -> bool;

    /// The loop is awake.
    fn check(&self);

    /// Does all available work, and returns how much it was.
    fn work(&self) -> usize;

    /// Does some of it, if there is any.
    fn work_a_little(&self) -> usize;
}

/// A loop: a host, what it sleeps on, and what it has done.
pub struct Loop<H> {
    pub host: H,
    pub bell: Arc<Bell>,
    turns: Cell<usize>,
    done: Cell<usize>,
}

impl<H: Host> Loop<H> {
    pub fn new(of: &'static str) -> (Self, H::Guest) {
        let bell = Bell::new(of);
        let (host, guest) = H::new(bell.clone());
        (Self { host, bell, turns: Cell::new(0), done: Cell::new(0) }, guest)
    }

    pub fn turns(&self) -> usize {
        self.turns.get()
    }

    pub fn done(&self) -> usize {
        self.done.get()
    }

    /// Prepare, poll, check.
    pub fn wait(&self) {
        self.turns.set(self.turns.get() + 1);
        // A loop that never sleeps would not reach the assertion at the end.
        assert_turns(self.turns.get(), 12);
        let ready = self.host.prepare();
        note(if ready { "prepares: something is ready" } else { "prepares: nothing is ready" });
        self.bell.poll(!ready);
        self.host.check();
    }

    /// Dispatch.
    pub fn work(&self) {
        self.count(self.host.work());
    }

    /// A part of a dispatch.
    pub fn work_a_little(&self) {
        self.count(self.host.work_a_little());
    }

    fn count(&self, done: usize) {
        note(format!("works: {done} done"));
        self.done.set(self.done.get() + done);
    }

    /// One iteration.
    pub fn turn(&self) {
        self.wait();
        self.work();
    }

    /// Iterates until this much is done, as few times as possible.
    pub fn turn_until(&self, done: usize) {
        while self.done() < done {
            self.turn();
        }
    }

    /// Runs a nested loop until it is quit.
    pub fn run_nested(&self, levels: &DepthStack<Arc<Bell>>, name: &str) {
        let Some(level) = levels.open(name, self.bell.clone()) else {
            note("does not open the nested loop");
            return;
        };
        note("opens the nested loop");
        while !level.is_told() {
            self.turn();
        }
        note("closes the nested loop");
    }
}

/// Quits a nested loop.
pub fn quit(levels: &DepthStack<Arc<Bell>>, name: &str) {
    note("quits the nested loop");
    if let Some(bell) = levels.quit(name) {
        bell.ring();
    }
}

/// The failure of a loop that makes more iterations than its wake-ups justify.
pub const IN_VAIN: &str = "iterations for";

pub fn assert_turns(turns: usize, most: usize) {
    assert!(turns <= most, "{turns} iterations for no more than {most} wake-ups");
}

/// Two threads bring a piece of work each, and the loop sleeps in between.
pub fn loses_no_wake_up<H: Host>(search: &Search) {
    search.check(|| {
        let (host, guest) = Loop::<H>::new("host");
        let threads = ["first", "second"].map(|name| {
            let guest = guest.clone();
            spawn(name, move || H::bring(&guest))
        });
        host.turn_until(2);
        threads.into_iter().for_each(join);
        // Each piece of work justifies an iteration. A ring that was under way when the loop found
        // the work by itself justifies one more.
        assert_turns(host.turns(), 3);
    });
}

/// A loop that goes to sleep once is rung no more than once.
pub fn is_rung_once_per_sleep<H: Host>(search: &Search) {
    search.check(|| {
        let (host, guest) = Loop::<H>::new("host");
        let threads = ["first", "second"].map(|name| {
            let guest = guest.clone();
            spawn(name, move || H::bring(&guest))
        });
        // Whatever it returns: it may be rung while it looks.
        host.host.prepare();
        note("prepares");
        threads.into_iter().for_each(join);
        assert!(host.bell.rings() <= 1, "rung {} times in one sleep", host.bell.rings());
    });
}

/// A loop that is awake is not rung, because it looks for work by itself.
pub fn is_not_rung_while_awake<H: Host>(search: &Search) {
    search.check(|| {
        let (host, guest) = Loop::<H>::new("host");
        host.host.prepare();
        host.host.check();
        note("is awake");
        join(spawn("guest", move || H::bring(&guest)));
        assert!(!host.bell.is_rung(), "rung while awake");
    });
}

/// Where in a dispatch the nested loop is opened.
#[derive(Clone, Copy, Debug)]
enum Point {
    Before,
    Between,
    After,
}

/// Two loops bring each other work, each on its own thread. One opens a nested loop, which the
/// other quits. A third thread brings work at any time.
pub fn goes_on_in_a_nested_loop<H: Host>(search: &Search) {
    for point in [Point::Before, Point::Between, Point::After] {
        search.check(move || with_a_nested_loop::<H>(point));
    }
}

fn with_a_nested_loop<H: Host>(point: Point) {
    let (host, guest) = Loop::<H>::new("host");
    let levels = Arc::new(DepthStack::new());
    // How to reach the other loop.
    let back = Arc::new(Mutex::new(None));
    let other = {
        let (guest, levels, back) = (guest.clone(), levels.clone(), back.clone());
        spawn("other loop", move || {
            let (other, mine) = Loop::<H>::new("other loop");
            *lock(&back) = Some(mine);
            H::bring(&guest);
            other.turn_until(1);
            quit(&levels, "dialog");
            H::bring(&guest);
            // One for the piece of work, and one for a ring that was under way when it was found.
            assert_turns(other.turns(), 2);
        })
    };
    let third = spawn("third thread", move || H::bring(&guest));
    // Once the other loop is known, this loop brings it work, and waits in a nested loop.
    let asked = Cell::new(false);
    let ask = || {
        if let Some(other) = lock(&back).take() {
            asked.set(true);
            H::bring(&other);
            host.run_nested(&levels, "dialog");
        }
    };
    while !asked.get() || host.done() < 3 {
        host.wait();
        match point {
            Point::Before => {}
            Point::Between => host.work_a_little(),
            Point::After => host.work(),
        }
        ask();
        host.work();
        // This may have been the work with which the other loop announced itself.
        ask();
    }
    join(other);
    join(third);
    // Twice for three pieces of work and the quit: a ring may have been under way when its reason
    // was found, and work that arrives when the nested loop is open wakes that loop too.
    assert_turns(host.turns(), 8);
    assert_eq!(levels.depth(), 0, "a level was left open");
}
