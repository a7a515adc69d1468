//! The shipped wake flag, and what goes wrong with other flags.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loopnest_core::protocol::WakeFlag;

use crate::host::{
    Bell, Host, goes_on_in_a_nested_loop, is_not_rung_while_awake, is_rung_once_per_sleep,
    loses_no_wake_up,
};
use crate::search::{LOST, Model, note};

type Real = Flagged<WakeFlag>;

pub const MODELS: &[Model] = &[
    Model::holds("flag::loses_no_wake_up", loses_no_wake_up::<Real>),
    Model::holds("flag::is_rung_once_per_sleep", is_rung_once_per_sleep::<Real>),
    Model::holds("flag::is_not_rung_while_awake", is_not_rung_while_awake::<Real>),
    Model::holds("flag::goes_on_in_a_nested_loop", goes_on_in_a_nested_loop::<Real>),
    // Correct, although it rings more often. This shows that the mutant below fails because of the
    // order.
    Model::holds(
        "flag::cleared_before_the_drain_loses_no_wake_up",
        loses_no_wake_up::<Flagged<ClearsBeforeDraining>>,
    ),
    Model::mutant(
        "flag::mutant_cleared_after_the_drain",
        "a flag that says \"was rung\" is cleared when the work is done, not before",
        LOST,
        loses_no_wake_up::<Flagged<ClearsAfterDraining>>,
    ),
    Model::mutant(
        "flag::mutant_armed_after_looking",
        "the loop looks for work before it arms the flag",
        LOST,
        loses_no_wake_up::<Flagged<ArmsAfterLooking>>,
    ),
    Model::mutant(
        "flag::mutant_tripped_before_bringing",
        "the guest trips the flag before it brings its work",
        LOST,
        loses_no_wake_up::<Flagged<TripsBeforeBringing>>,
    ),
    Model::mutant(
        "flag::mutant_rings_for_everything",
        "without a flag: the loop is rung for every piece of work",
        "rung 2 times",
        is_rung_once_per_sleep::<Flagged<AlwaysRings>>,
    ),
    Model::mutant(
        "flag::mutant_rings_the_waking",
        "without a flag: a loop that is awake is rung",
        "rung while awake",
        is_not_rung_while_awake::<Flagged<AlwaysRings>>,
    ),
];

/// Work is a number, and the flag is the shipped one. The mutants override one step each.
struct Flagged<M: Flags> {
    shared: Arc<Work<M>>,
}

struct Work<M> {
    pieces: AtomicUsize,
    flags: M,
    bell: Arc<Bell>,
}

/// The steps of the two sides, before and after looking for work and bringing it.
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
            note("brings a piece of work");
        };
        guest.flags.bring(publish, || guest.bell.ring());
    }

    fn prepare(&self) -> bool {
        self.shared.flags.prepare(|| {
            let ready = self.shared.pieces.load(Ordering::Acquire) > 0;
            note(if ready { "looks: there is work" } else { "looks: no work" });
            ready
        })
    }

    fn check(&self) {
        self.shared.flags.check();
    }

    fn work(&self) -> usize {
        let done = self.shared.pieces.swap(0, Ordering::AcqRel);
        note("takes all work there is");
        self.shared.flags.worked();
        done
    }

    fn work_a_little(&self) -> usize {
        if self.shared.pieces.load(Ordering::Acquire) == 0 {
            return 0;
        }
        // No other thread takes any.
        self.shared.pieces.fetch_sub(1, Ordering::AcqRel);
        1
    }
}

/// As the executor and the hand-off queue use it.
impl Flags for WakeFlag {
    fn new() -> Self {
        Self::new()
    }

    fn bring(&self, publish: impl FnOnce(), ring: impl FnOnce()) {
        publish();
        let armed = self.trip();
        note(if armed { "trips the flag: armed" } else { "trips the flag: not armed" });
        if armed {
            ring();
        }
    }

    fn prepare(&self, look: impl FnOnce() -> bool) -> bool {
        self.arm();
        note("arms the flag");
        let ready = look();
        if ready {
            self.disarm();
        }
        ready
    }

    fn check(&self) {
        self.disarm();
        note("disarms the flag");
    }
}

/// Looks for work before it arms the flag.
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
        note("arms the flag");
        false
    }

    fn check(&self) {
        Flags::check(&self.0);
    }
}

/// Trips the flag before it brings the work.
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
        Flags::prepare(&self.0, look)
    }

    fn check(&self) {
        Flags::check(&self.0);
    }
}

/// A flag that says "was rung", cleared by the loop only after it has done its work.
struct ClearsAfterDraining(AtomicBool);

impl ClearsAfterDraining {
    fn clear(&self) {
        self.0.swap(false, Ordering::AcqRel);
        note("clears \"was rung\"");
    }
}

impl Flags for ClearsAfterDraining {
    fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    fn bring(&self, publish: impl FnOnce(), ring: impl FnOnce()) {
        publish();
        if self.0.swap(true, Ordering::AcqRel) {
            note("does not ring: \"was rung\" is set");
        } else {
            ring();
        }
    }

    fn prepare(&self, _look: impl FnOnce() -> bool) -> bool {
        // It has just done all available work.
        false
    }

    fn worked(&self) {
        self.clear();
    }
}

/// The same flag, cleared before the work is done.
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
        self.0.clear();
    }
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
