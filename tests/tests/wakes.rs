//! What a wake costs: a loop that is awake is not rung.
//!
//! A ring writes the context's eventfd. The next iteration finds it readable, so it does not sleep
//! and has nothing to dispatch.

use std::ops::ControlFlow;
use std::os::fd::RawFd;
use std::time::Duration;

use glib::{MainContext, Priority};
use harness::probe::Probe;
use loopnest_strategies::source::{Callbacks, Prepare, Source, SourceRef};
use loopnest_strategies::{Dispatch, JoinHandle};
use loopnest_tests::raw_source::{is_readable, poll_set};
use tokio::time::sleep;

const MS: Duration = Duration::from_millis(1);

/// If a busy machine interrupts a time slice, work may be left, and then `Dispatch` writes the
/// eventfd when it stops watching tokio's descriptor. So the best of a few attempts counts.
const ROUNDS: usize = 5;

/// A task that waits for a timer, in a loop that has seen the deadline.
struct Waiting {
    context: MainContext,
    _dispatch: Dispatch,
    task: JoinHandle<()>,
    /// The eventfd of the context.
    wakeup: RawFd,
}

impl Waiting {
    /// On a busy machine the deadline may be over at once, and then there is nothing to be late for.
    fn new() -> Self {
        let mut waiting = Self::begin();
        while waiting.task.is_finished() {
            waiting = Self::begin();
        }
        waiting
    }

    fn begin() -> Self {
        let context = MainContext::new();
        // A context without sources polls nothing else.
        let [(wakeup, _)] = poll_set(&context, i32::MAX)[..] else { panic!("one descriptor") };
        let dispatch = Dispatch::new(&context).expect("a runtime");
        let task = dispatch.spawn_local(async { sleep(20 * MS).await });
        while context.iteration(false) {}
        Self { context, _dispatch: dispatch, task, wakeup }
    }

    /// Blocks the thread until the deadline has passed, as a slow callback would.
    fn miss_the_deadline(&self) {
        std::thread::sleep(40 * MS);
    }

    /// Iterates until the task is done. Returns how many iterations left the eventfd written.
    fn rings(&self) -> usize {
        let mut rings = 0;
        while !self.task.is_finished() {
            self.context.iteration(false);
            rings += usize::from(is_readable(self.wakeup));
        }
        rings
    }
}

#[test]
fn a_timer_that_is_late_when_glib_asks_does_not_ring() {
    let rings = (0..ROUNDS).map(|_| {
        let waiting = Waiting::new();
        waiting.miss_the_deadline();
        waiting.rings()
    });
    assert_eq!(rings.min(), Some(0), "writes to the eventfd");
}

#[test]
fn a_timer_that_is_late_costs_no_empty_iteration() {
    let iterations = (0..ROUNDS).map(|_| {
        let waiting = Waiting::new();
        waiting.miss_the_deadline();
        waiting.rings();
        let probe = Probe::new(&waiting.context);
        let next =
            glib::timeout_source_new(50 * MS, None, Priority::DEFAULT, || glib::ControlFlow::Break);
        next.attach(Some(&waiting.context));
        while !next.is_destroyed() {
            waiting.context.iteration(true);
        }
        probe.iterations()
    });
    assert_eq!(iterations.min(), Some(1), "only the one for the next timeout");
}

/// Ready once, and only after the poll.
struct Urgent;

impl Callbacks for Urgent {
    fn prepare(&self, _this: SourceRef<'_>) -> Prepare {
        Prepare::Wait(Some(Duration::ZERO))
    }

    fn check(&self, _this: SourceRef<'_>) -> bool {
        true
    }

    fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

#[test]
fn a_flag_that_was_armed_when_check_was_skipped_is_disarmed_by_the_next_dispatch() {
    let rings = (0..ROUNDS).map(|_| {
        let waiting = Waiting::new();
        // GLib calls `prepare` of `Dispatch` but not `check`, because it does not look below the
        // first ready priority.
        let urgent = Source::new("urgent", Urgent);
        urgent.set_priority(-100);
        urgent.attach(&waiting.context);
        assert!(waiting.context.iteration(false));
        waiting.miss_the_deadline();
        waiting.rings()
    });
    assert_eq!(rings.min(), Some(0), "writes to the eventfd");
}
