//! The backlog: when work that was left is brought forward.

use std::time::Duration;

use loopnest_core::pace::{AGE, Backlog, PASSES};

/// Work that was left at 5 ms, and was passed over `passes` times.
fn left(passes: u32) -> Backlog<Duration> {
    let backlog = Backlog::default();
    backlog.set(Some(Duration::from_millis(5)));
    (0..passes).for_each(|_| backlog.pass());
    backlog
}

const DUE: Duration = Duration::from_millis(5).saturating_add(AGE);

#[test]
fn a_backlog_is_due_when_it_is_old_and_was_passed_over() {
    assert!(left(PASSES + 1).is_due(|| DUE));
    assert!(!left(PASSES + 1).is_due(|| DUE - Duration::from_nanos(1)), "too young");
    assert!(!left(PASSES).is_due(|| 2 * DUE), "passed over too rarely");
}

#[test]
fn without_work_nothing_is_due_and_nothing_is_counted() {
    let backlog = Backlog::default();
    (0..=PASSES).for_each(|_| backlog.pass());
    assert!(!backlog.is_left() && !backlog.is_due(|| DUE));
    backlog.set(Some(Duration::ZERO));
    assert!(backlog.is_left() && !backlog.is_due(|| DUE));
    backlog.set(None);
    assert!(!backlog.is_left());
}

#[test]
fn a_new_backlog_starts_from_zero() {
    let backlog = left(PASSES + 1);
    backlog.set(Some(DUE));
    assert!(!backlog.is_due(|| 2 * DUE));
}

#[test]
fn the_clock_is_read_only_when_it_decides() {
    assert!(!Backlog::<Duration>::default().is_due(|| unreachable!("no work is left")));
    assert!(!left(PASSES).is_due(|| unreachable!("it was passed over too rarely")));
}
