//! The baton, with both sides on one thread: which side may do what, and when the host is rung.
#![cfg(not(loopnest_loom))]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loopnest_core::protocol::Baton;

/// A baton, and the number of times the host was rung.
fn baton() -> (Baton, Arc<AtomicUsize>) {
    let rings = Arc::new(AtomicUsize::new(0));
    let count = rings.clone();
    let baton = Baton::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    (baton, rings)
}

fn pass(baton: &Baton) {
    baton.begin_turn().expect("the host holds the baton").pass();
}

#[test]
fn the_host_begins_with_the_baton_and_has_none_when_it_has_passed_it() {
    let (baton, _) = baton();
    assert!(baton.prepare() && baton.check());
    pass(&baton);
    assert!(!baton.prepare() && !baton.check());
    assert!(baton.begin_turn().is_none());
    assert!(baton.wait_for_baton());
}

#[test]
fn a_hand_over_rings_a_host_that_sleeps_once_and_a_host_that_is_awake_never() {
    let (baton, rings) = baton();
    pass(&baton);
    assert!(!baton.prepare());
    baton.hand_back();
    assert!(baton.check());
    assert_eq!(rings.load(Ordering::SeqCst), 1);
    pass(&baton);
    baton.hand_back();
    assert_eq!(rings.load(Ordering::SeqCst), 1);
}

#[test]
fn a_turn_within_a_turn_is_refused_and_nothing_stays_awake_for_it() {
    let (baton, _) = baton();
    let turn = baton.begin_turn();
    assert!(baton.begin_turn().is_none());
    assert!(!baton.prepare() && !baton.check());
    drop(turn);
    assert!(baton.prepare());
}

#[test]
fn a_turn_that_is_not_passed_leaves_the_baton_with_the_host() {
    let (baton, _) = baton();
    drop(baton.begin_turn().expect("the host holds it"));
    assert!(baton.begin_turn().is_some());
}

#[test]
fn closing_tells_whether_the_waiting_thread_has_to_be_interrupted() {
    let (here, _) = baton();
    assert!(!here.close());
    assert!(!here.wait_for_baton());
    let (there, rings) = baton();
    pass(&there);
    assert!(there.wait_for_baton());
    assert!(!there.prepare());
    assert!(there.close());
    there.hand_back();
    assert!(!there.wait_for_baton());
    assert_eq!(rings.load(Ordering::SeqCst), 0);
}

#[test]
fn a_baton_that_is_closed_in_a_turn_goes_to_nobody() {
    let (baton, _) = baton();
    let turn = baton.begin_turn().expect("the host holds it");
    assert!(!baton.close());
    turn.pass();
    assert!(!baton.wait_for_baton());
    assert!(baton.begin_turn().is_none());
}
