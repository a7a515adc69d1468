//! The hand-off queue, on one thread: which jobs come out, and which are returned.
#![cfg(not(loopnest_loom))]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loopnest_core::protocol::handoff::{Gone, HandoffReceiver, HandoffSender, handoff};

/// A queue, and the number of times it rang.
fn queue<T>() -> (HandoffSender<T>, HandoffReceiver<T>, Arc<AtomicUsize>) {
    let rings = Arc::new(AtomicUsize::new(0));
    let count = rings.clone();
    let (tx, rx) = handoff(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    (tx, rx, rings)
}

#[test]
fn jobs_come_out_first_in_first_out() {
    let (tx, rx, _) = queue();
    let other = tx.clone();
    assert_eq!([tx.push(1), other.push(2), tx.push(3)], [Ok(()), Ok(()), Ok(())]);
    assert_eq!([rx.pop(), rx.pop(), rx.pop(), rx.pop()], [Some(1), Some(2), Some(3), None]);
}

#[test]
fn a_queue_without_its_loop_gives_the_job_back() {
    let (tx, rx, rings) = queue();
    drop(rx);
    assert_eq!(tx.push("job"), Err(Gone("job")));
    assert_eq!(rings.load(Ordering::SeqCst), 0);
}

#[test]
fn jobs_left_in_the_queue_go_with_their_loop() {
    let (tx, rx, _) = queue();
    let job = Arc::new(());
    tx.push(job.clone()).expect("the loop lives");
    drop(rx);
    // The sender still lives.
    assert_eq!(Arc::strong_count(&job), 1);
    drop(tx);
}

#[test]
fn jobs_outlive_their_senders() {
    let (tx, rx, _) = queue();
    tx.push(1).expect("the loop lives");
    drop(tx);
    assert!(rx.check());
    assert_eq!([rx.pop(), rx.pop()], [Some(1), None]);
}

#[test]
fn a_sleeping_loop_is_rung_once() {
    let (tx, rx, rings) = queue();
    let rings = || rings.load(Ordering::SeqCst);
    assert_eq!((tx.push(1), rings()), (Ok(()), 0), "the loop is awake");
    assert!(rx.prepare(), "there is work, so it must not sleep");
    assert_eq!((tx.push(2), rings()), (Ok(()), 0));
    while rx.pop().is_some() {}
    assert!(!rx.prepare());
    assert_eq!((tx.push(3), rings()), (Ok(()), 1));
    assert_eq!((tx.push(4), rings()), (Ok(()), 1));
    assert!(rx.check());
    assert_eq!((tx.push(5), rings()), (Ok(()), 1), "the loop is awake again");
}
