//! The hand-off queue.

use loom::sync::Arc;
use loom::thread;
use loopnest_core::protocol::handoff::{PushError, handoff};
use loopnest_core::protocol::{HandoffReceiver, HandoffSender, WakeFlag};
use loopnest_core::sync::channel::{Receiver, Sender, unbounded};

use super::host::{
    Bell, Host, can_lose_a_wake_up, can_ring_twice, can_ring_while_awake, check,
    turns_no_more_than_it_must,
};

impl Host for HandoffReceiver<()> {
    type Guest = HandoffSender<()>;

    fn new(bell: Arc<Bell>) -> (Self, Self::Guest) {
        let (tx, rx) = handoff(4, move || bell.ring());
        (rx, tx)
    }

    fn bring(guest: &Self::Guest) {
        guest.push(()).expect("there is room, and the receiver lives");
    }

    fn prepare(&self) -> bool {
        self.prepare()
    }

    fn check(&self) {
        self.check();
    }

    fn work(&self) -> usize {
        std::iter::from_fn(|| self.pop()).count()
    }

    fn has_work(&self) -> bool {
        self.check()
    }
}

#[test]
fn the_handoff_queue_loses_no_wake_up() {
    assert!(!can_lose_a_wake_up::<HandoffReceiver<()>>());
}

#[test]
fn the_handoff_queue_rings_once_per_sleep() {
    assert!(!can_ring_twice::<HandoffReceiver<()>>());
}

#[test]
fn the_handoff_queue_does_not_ring_a_loop_that_is_awake() {
    assert!(!can_ring_while_awake::<HandoffReceiver<()>>());
}

#[test]
fn the_handoff_queue_makes_no_turn_in_vain() {
    turns_no_more_than_it_must::<HandoffReceiver<()>>();
}

#[test]
fn a_full_handoff_queue_gives_the_job_back_and_loses_none() {
    check(|| {
        let bell = Bell::new();
        let ring = bell.clone();
        let (tx, rx) = handoff(1, move || ring.ring());
        let thread = thread::spawn(move || {
            let pushed = [tx.push(1), tx.push(2)];
            pushed.iter().filter(|p| p.is_ok()).count()
        });
        let mut taken = rx.pop().into_iter().count();
        let pushed = thread.join().expect("pushing does not panic");
        taken += std::iter::from_fn(|| rx.pop()).count();
        assert!(pushed >= 1);
        assert_eq!(pushed, taken);
    });
}

#[test]
fn a_job_pushed_while_the_receiver_goes_is_given_back_or_dropped() {
    // loom counts its `Arc`s: a job left behind would fail the model.
    check(|| {
        let (tx, rx) = handoff(4, || {});
        let job = Arc::new(());
        let pushed = job.clone();
        let thread = thread::spawn(move || match tx.push(pushed) {
            Ok(()) | Err(PushError::Gone(_)) => {}
            Err(PushError::Full(_)) => unreachable!("there is room"),
        });
        drop(rx);
        thread.join().expect("pushing does not panic");
        assert_eq!(Arc::strong_count(&job), 1);
    });
}

/// A hand-off queue that looks whether it is empty before it arms its flag.
struct LooksTooEarly {
    rx: Receiver<()>,
    flag: Arc<WakeFlag>,
}

/// Its sender.
struct Pusher {
    tx: Sender<()>,
    flag: Arc<WakeFlag>,
    bell: Arc<Bell>,
}

impl Clone for Pusher {
    fn clone(&self) -> Self {
        Self { tx: self.tx.clone(), flag: self.flag.clone(), bell: self.bell.clone() }
    }
}

impl Host for LooksTooEarly {
    type Guest = Pusher;

    fn new(bell: Arc<Bell>) -> (Self, Self::Guest) {
        let (tx, rx) = unbounded();
        let flag = Arc::new(WakeFlag::new());
        (Self { rx, flag: flag.clone() }, Pusher { tx, flag, bell })
    }

    fn bring(guest: &Self::Guest) {
        guest.tx.send(()).expect("the receiver lives");
        if guest.flag.trip() {
            guest.bell.ring();
        }
    }

    fn prepare(&self) -> bool {
        let ready = self.has_work();
        if !ready {
            self.flag.arm();
        }
        ready
    }

    fn check(&self) {
        self.flag.disarm();
    }

    fn work(&self) -> usize {
        std::iter::from_fn(|| self.rx.try_recv().ok()).count()
    }

    fn has_work(&self) -> bool {
        !self.rx.is_empty()
    }
}

#[test]
fn a_handoff_queue_that_looks_too_early_would_lose_a_wake_up() {
    assert!(can_lose_a_wake_up::<LooksTooEarly>());
}
