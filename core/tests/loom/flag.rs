//! The wake flag that ships, and what would go wrong with others.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;
use loopnest_core::protocol::WakeFlag;

use super::host::{
    Bell, Host, can_lose_a_wake_up, can_ring_twice, can_ring_while_awake, sees,
    turns_no_more_than_it_must,
};

/// Work is a number; the flag is the one that ships. The mutants override one step each.
struct Flagged<M: Flags> {
    shared: Arc<Work<M>>,
}

struct Work<M> {
    pieces: AtomicUsize,
    flags: M,
    bell: Arc<Bell>,
}

/// The steps of the two sides around the looking for work and the bringing of it.
trait Flags: Send + Sync + 'static {
    fn new() -> Self;
    fn bring(&self, publish: impl FnOnce(), ring: impl FnOnce());
    fn prepare(&self, look: impl FnOnce() -> bool) -> bool;
    fn check(&self) {}
    fn worked(&self) {}
}

impl<M: Flags> Host for Flagged<M> {
    type Guest = Arc<Work<M>>;

    fn new(bell: Arc<Bell>) -> (Self, Self::Guest) {
        let work = Work { pieces: AtomicUsize::new(0), flags: M::new(), bell };
        let shared = Arc::new(work);
        (Self { shared: shared.clone() }, shared)
    }

    fn bring(guest: &Self::Guest) {
        let publish = || {
            guest.pieces.fetch_add(1, Ordering::AcqRel);
        };
        guest.flags.bring(publish, || guest.bell.ring());
    }

    fn prepare(&self) -> bool {
        self.shared.flags.prepare(|| self.has_work())
    }

    fn check(&self) {
        self.shared.flags.check();
    }

    fn work(&self) -> usize {
        let done = self.shared.pieces.swap(0, Ordering::AcqRel);
        self.shared.flags.worked();
        done
    }

    fn has_work(&self) -> bool {
        self.shared.pieces.load(Ordering::Acquire) > 0
    }
}

/// As the executor and the hand-off queue use it.
impl Flags for WakeFlag {
    fn new() -> Self {
        Self::new()
    }

    fn bring(&self, publish: impl FnOnce(), ring: impl FnOnce()) {
        publish();
        if self.trip() {
            ring();
        }
    }

    fn prepare(&self, look: impl FnOnce() -> bool) -> bool {
        self.arm();
        let ready = look();
        if ready {
            self.disarm();
        }
        ready
    }

    fn check(&self) {
        self.disarm();
    }
}

#[test]
fn the_wake_flag_loses_no_wake_up() {
    assert!(!can_lose_a_wake_up::<Flagged<WakeFlag>>());
}

#[test]
fn the_wake_flag_rings_once_per_sleep() {
    assert!(!can_ring_twice::<Flagged<WakeFlag>>());
}

#[test]
fn the_wake_flag_does_not_ring_a_loop_that_is_awake() {
    assert!(!can_ring_while_awake::<Flagged<WakeFlag>>());
}

#[test]
fn the_wake_flag_makes_no_turn_in_vain() {
    turns_no_more_than_it_must::<Flagged<WakeFlag>>();
}

/// Looks for work, and arms the flag only then.
struct ArmsAfterLooking(WakeFlag);

impl Flags for ArmsAfterLooking {
    fn new() -> Self {
        Self(WakeFlag::new())
    }

    fn bring(&self, publish: impl FnOnce(), ring: impl FnOnce()) {
        self.0.bring(publish, ring);
    }

    fn prepare(&self, look: impl FnOnce() -> bool) -> bool {
        if look() {
            return true;
        }
        self.0.arm();
        false
    }

    fn check(&self) {
        self.0.disarm();
    }
}

#[test]
fn arming_after_looking_would_lose_a_wake_up() {
    assert!(can_lose_a_wake_up::<Flagged<ArmsAfterLooking>>());
}

/// Trips the flag, and brings the work only then.
struct TripsBeforeBringing(WakeFlag);

impl Flags for TripsBeforeBringing {
    fn new() -> Self {
        Self(WakeFlag::new())
    }

    fn bring(&self, publish: impl FnOnce(), ring: impl FnOnce()) {
        self.0.bring(|| {}, ring);
        publish();
    }

    fn prepare(&self, look: impl FnOnce() -> bool) -> bool {
        self.0.prepare(look)
    }

    fn check(&self) {
        self.0.disarm();
    }
}

#[test]
fn tripping_before_bringing_would_lose_a_wake_up() {
    // The ring comes, and is slept off before the work is there.
    assert!(sees(|| {
        let bell = Bell::new();
        let (host, guest) = Flagged::<TripsBeforeBringing>::new(bell.clone());
        let thread = thread::spawn(move || Flagged::<TripsBeforeBringing>::bring(&guest));
        let mut asleep = !host.prepare();
        if asleep && bell.is_rung() {
            bell.sleep();
            host.check();
            asleep = host.work() == 0 && !host.prepare();
        }
        thread.join().expect("bringing work does not panic");
        asleep && host.has_work() && !bell.is_rung()
    }));
}

/// A flag that says "was rung", cleared by the loop only after it has done its work.
struct ClearsAfterDraining(AtomicBool);

impl Flags for ClearsAfterDraining {
    fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    fn bring(&self, publish: impl FnOnce(), ring: impl FnOnce()) {
        publish();
        if !self.0.swap(true, Ordering::AcqRel) {
            ring();
        }
    }

    fn prepare(&self, _look: impl FnOnce() -> bool) -> bool {
        // It has just done all work there was.
        false
    }

    fn worked(&self) {
        self.0.swap(false, Ordering::AcqRel);
    }
}

#[test]
fn clearing_the_flag_after_draining_would_lose_a_wake_up() {
    assert!(can_lose_a_wake_up::<Flagged<ClearsAfterDraining>>());
}

/// The same flag, cleared before the work is done: right, if less thrifty.
struct ClearsBeforeDraining(ClearsAfterDraining);

impl Flags for ClearsBeforeDraining {
    fn new() -> Self {
        Self(ClearsAfterDraining::new())
    }

    fn bring(&self, publish: impl FnOnce(), ring: impl FnOnce()) {
        self.0.bring(publish, ring);
    }

    fn prepare(&self, look: impl FnOnce() -> bool) -> bool {
        self.0.prepare(look)
    }

    fn check(&self) {
        self.0.worked();
    }
}

#[test]
fn clearing_the_flag_before_draining_loses_none() {
    // So it is the order that the mutant above fails by, and nothing else about it.
    assert!(!can_lose_a_wake_up::<Flagged<ClearsBeforeDraining>>());
}

/// Rings for every piece of work.
struct AlwaysRings;

impl Flags for AlwaysRings {
    fn new() -> Self {
        Self
    }

    fn bring(&self, publish: impl FnOnce(), ring: impl FnOnce()) {
        publish();
        ring();
    }

    fn prepare(&self, look: impl FnOnce() -> bool) -> bool {
        look()
    }
}

#[test]
fn without_the_flag_a_loop_would_be_rung_for_every_wake() {
    assert!(!can_lose_a_wake_up::<Flagged<AlwaysRings>>());
    assert!(can_ring_twice::<Flagged<AlwaysRings>>());
    assert!(can_ring_while_awake::<Flagged<AlwaysRings>>());
}
