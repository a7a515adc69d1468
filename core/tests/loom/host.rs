//! A loop that sleeps, others that bring it work, and what must hold for them.

use std::sync::atomic::AtomicBool as Seen;
use std::time::Duration;

use loom::sync::Arc;
use loom::sync::atomic::Ordering;
use loom::thread;
use loopnest_core::sync::{Mutex, lock};

/// Nothing here takes that long.
pub const LONG: Duration = Duration::from_secs(3600);

/// Runs a model in every order with at most so many preemptions as the environment says, or three.
pub fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.check(model);
}

/// Whether the model says `true` in any order.
pub fn sees(model: impl Fn() -> bool + Send + Sync + 'static) -> bool {
    let seen = std::sync::Arc::new(Seen::new(false));
    let model = {
        let seen = seen.clone();
        move || {
            if model() {
                seen.store(true, Ordering::SeqCst);
            }
        }
    };
    check(model);
    seen.load(Ordering::SeqCst)
}

/// What a host sleeps on, in place of the context's eventfd: it stays rung until it is waited on.
pub struct Bell {
    rung: Mutex<bool>,
    heard: loom::sync::Condvar,
    rings: std::sync::atomic::AtomicUsize,
}

impl Bell {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            rung: Mutex::new(false),
            heard: loom::sync::Condvar::new(),
            rings: std::sync::atomic::AtomicUsize::new(0),
        })
    }

    pub fn ring(&self) {
        self.rings.fetch_add(1, Ordering::SeqCst);
        *lock(&self.rung) = true;
        self.heard.notify_one();
    }

    pub fn sleep(&self) {
        let mut rung = lock(&self.rung);
        while !*rung {
            rung = self.heard.wait(rung).expect("nothing panics while it holds the lock");
        }
        *rung = false;
    }

    pub fn is_rung(&self) -> bool {
        *lock(&self.rung)
    }

    pub fn rings(&self) -> usize {
        self.rings.load(Ordering::SeqCst)
    }
}

/// A way for one loop to sleep while others may bring it work.
pub trait Host: Sized + 'static {
    /// The side of those who bring work.
    type Guest: Clone + Send + 'static;

    fn new(bell: Arc<Bell>) -> (Self, Self::Guest);

    /// Brings a piece of work.
    fn bring(guest: &Self::Guest);

    /// The loop is about to sleep: whether it must not.
    fn prepare(&self) -> bool;

    /// The loop is awake.
    fn check(&self);

    /// Does all work there is; says how much it was.
    fn work(&self) -> usize;

    /// Whether there is work.
    fn has_work(&self) -> bool;
}

/// Whether a loop can be asleep, with nobody about to ring it, though there is work.
///
/// The loop has just been woken by a first piece of work when a second one comes.
pub fn can_lose_a_wake_up<H: Host>() -> bool {
    sees(|| {
        let bell = Bell::new();
        let (host, guest) = H::new(bell.clone());
        if host.prepare() {
            return false;
        }
        H::bring(&guest);
        if bell.is_rung() {
            bell.sleep();
        }
        let second = guest.clone();
        let thread = thread::spawn(move || H::bring(&second));
        host.check();
        host.work();
        let asleep = !host.prepare();
        thread.join().expect("bringing work does not panic");
        asleep && host.has_work() && !bell.is_rung()
    })
}

/// Whether a loop that goes to sleep once can be rung more than once.
pub fn can_ring_twice<H: Host>() -> bool {
    sees(|| {
        let bell = Bell::new();
        let (host, guest) = H::new(bell.clone());
        let others = [guest.clone(), guest];
        let threads = others.map(|guest| thread::spawn(move || H::bring(&guest)));
        // Whether it says so or not: it may be rung while it looks.
        host.prepare();
        for thread in threads {
            thread.join().expect("bringing work does not panic");
        }
        bell.rings() > 1
    })
}

/// Whether a loop that is awake can be rung: it will look for work by itself.
pub fn can_ring_while_awake<H: Host>() -> bool {
    sees(|| {
        let bell = Bell::new();
        let (host, guest) = H::new(bell.clone());
        host.prepare();
        host.check();
        thread::spawn(move || H::bring(&guest)).join().expect("bringing work does not panic");
        bell.is_rung()
    })
}

/// Runs the loop until two threads have brought a piece of work each, sleeping in between.
///
/// A lost wake-up is a deadlock, which loom reports.
pub fn turns_no_more_than_it_must<H: Host>() {
    check(|| {
        let bell = Bell::new();
        let (host, guest) = H::new(bell.clone());
        let others = [guest.clone(), guest];
        let threads = others.map(|guest| thread::spawn(move || H::bring(&guest)));
        let (mut done, mut turns, mut sleeps) = (0, 0, 0);
        while done < 2 {
            turns += 1;
            if !host.prepare() {
                sleeps += 1;
                bell.sleep();
            }
            host.check();
            done += host.work();
        }
        for thread in threads {
            thread.join().expect("bringing work does not panic");
        }
        // Each piece of work is worth a turn, and a ring that was under way when the loop found
        // the work by itself is worth one more.
        assert!(turns <= 3, "{turns} turns");
        assert!(sleeps <= turns && bell.rings() <= turns, "{} rings", bell.rings());
    });
}
