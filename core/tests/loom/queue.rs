//! The hand-off queue.

use loom::sync::Arc;
use loopnest_core::protocol::handoff::{Gone, handoff};
use loopnest_core::protocol::{HandoffReceiver, HandoffSender, WakeFlag};
use loopnest_core::sync::channel::{Receiver, Sender, unbounded};

use crate::host::{
    Bell, Host, goes_on_in_a_nested_loop, is_not_rung_while_awake, is_rung_once_per_sleep,
    loses_no_wake_up,
};
use crate::search::{LOST, Model, Search, join, note, spawn};

type Real = HandoffReceiver<()>;

pub const MODELS: &[Model] = &[
    Model::holds("queue::loses_no_wake_up", loses_no_wake_up::<Real>),
    Model::holds("queue::is_rung_once_per_sleep", is_rung_once_per_sleep::<Real>),
    Model::holds("queue::is_not_rung_while_awake", is_not_rung_while_awake::<Real>),
    Model::holds("queue::goes_on_in_a_nested_loop", goes_on_in_a_nested_loop::<Real>),
    Model::holds("queue::gives_back_or_drops_what_comes_while_the_receiver_goes", gone),
    Model::mutant(
        "queue::mutant_looks_too_early",
        "the receiver looks whether the queue is empty before it arms its flag",
        LOST,
        loses_no_wake_up::<LooksTooEarly>,
    ),
];

impl Host for Real {
    type Guest = HandoffSender<()>;

    fn new(bell: Arc<Bell>) -> (Self, Self::Guest) {
        let (tx, rx) = handoff(move || bell.ring());
        (rx, tx)
    }

    fn bring(guest: &Self::Guest) {
        note("pushes a job");
        guest.push(()).expect("the receiver lives");
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

    fn work_a_little(&self) -> usize {
        self.pop().into_iter().count()
    }
}

fn gone(search: &Search) {
    // loom counts its `Arc`s, so a job left behind would fail the model.
    search.check(|| {
        let (tx, rx) = handoff(|| {});
        let job = Arc::new(());
        let pushed = job.clone();
        let thread = spawn("guest", move || match tx.push(pushed) {
            Ok(()) | Err(Gone(_)) => {}
        });
        drop(rx);
        join(thread);
        assert_eq!(Arc::strong_count(&job), 1);
    });
}

/// A queue that looks whether it is empty before it arms its flag.
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
        note("pushes a job");
        if guest.flag.trip() {
            guest.bell.ring();
        } else {
            note("does not ring: not armed");
        }
    }

    fn prepare(&self) -> bool {
        let ready = !self.rx.is_empty();
        note(if ready { "looks: a job" } else { "looks: no job" });
        if !ready {
            self.flag.arm();
            note("arms the flag");
        }
        ready
    }

    fn check(&self) {
        self.flag.disarm();
    }

    fn work(&self) -> usize {
        std::iter::from_fn(|| self.rx.try_recv().ok()).count()
    }

    fn work_a_little(&self) -> usize {
        self.rx.try_recv().into_iter().count()
    }
}
