//! The hand-off queue: jobs from many threads to one loop.
//!
//! A crossbeam channel with a bound and a [`WakeFlag`].
//! The receiver takes a bounded batch per dispatch, so that a flood of jobs does not keep the
//! loop from its other sources.
//! When the receiver is dropped the jobs left in the queue are dropped with it, and senders get
//! their job back. That is why the bound is our own: crossbeam's bounded channel keeps what is
//! left until the last sender goes, and a job may hold a sender.

use super::wake::WakeFlag;
use crate::sync::channel::{Receiver, SendError, Sender, unbounded};
use crate::sync::{Arc, AtomicBool, AtomicUsize, Ordering};

/// Makes a queue that holds at most `capacity` jobs; `ring` wakes the receiving loop.
pub fn handoff<T>(
    capacity: usize,
    ring: impl Fn() + Send + Sync + 'static,
) -> (HandoffSender<T>, HandoffReceiver<T>) {
    let (tx, rx) = unbounded();
    let shared = Arc::new(Shared {
        flag: WakeFlag::new(),
        queued: AtomicUsize::new(0),
        gone: AtomicBool::new(false),
        capacity,
    });
    let sender = HandoffSender { tx, shared: shared.clone(), ring: std::sync::Arc::new(ring) };
    (sender, HandoffReceiver { rx, shared })
}

#[derive(Debug)]
struct Shared {
    flag: WakeFlag,
    /// Jobs in the queue, and those about to be put in or given back.
    queued: AtomicUsize,
    /// The receiver is gone.
    gone: AtomicBool,
    capacity: usize,
}

/// The sending end; clone it for each thread.
pub struct HandoffSender<T> {
    tx: Sender<T>,
    shared: Arc<Shared>,
    ring: std::sync::Arc<dyn Fn() + Send + Sync>,
}

/// Why a job was not taken; the job comes back.
#[derive(Debug, PartialEq, Eq)]
pub enum PushError<T> {
    /// The queue is full: wait for the loop.
    Full(T),
    /// The loop is gone.
    Gone(T),
}

impl<T> HandoffSender<T> {
    /// Puts a job in without waiting, and rings the loop if it sleeps.
    ///
    /// # Errors
    /// Gives the job back when the queue is full or the receiver is gone.
    pub fn push(&self, job: T) -> Result<(), PushError<T>> {
        let shared = &self.shared;
        if shared.queued.fetch_add(1, Ordering::AcqRel) >= shared.capacity {
            shared.queued.fetch_sub(1, Ordering::AcqRel);
            let gone = shared.gone.load(Ordering::Acquire);
            return Err(if gone { PushError::Gone(job) } else { PushError::Full(job) });
        }
        self.tx.send(job).map_err(|SendError(job)| PushError::Gone(job))?;
        if shared.flag.trip() {
            (self.ring)();
        }
        Ok(())
    }
}

impl<T> Clone for HandoffSender<T> {
    fn clone(&self) -> Self {
        Self { tx: self.tx.clone(), shared: self.shared.clone(), ring: self.ring.clone() }
    }
}

impl<T> std::fmt::Debug for HandoffSender<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandoffSender").field("queued", &self.tx.len()).finish_non_exhaustive()
    }
}

/// The receiving end, owned by the loop.
#[derive(Debug)]
pub struct HandoffReceiver<T> {
    rx: Receiver<T>,
    shared: Arc<Shared>,
}

impl<T> HandoffReceiver<T> {
    /// The loop is about to sleep: `true` if there is work and it must not.
    pub fn prepare(&self) -> bool {
        self.shared.flag.arm();
        let ready = !self.rx.is_empty();
        if ready {
            self.shared.flag.disarm();
        }
        ready
    }

    /// The loop is awake: `true` if there is work.
    pub fn check(&self) -> bool {
        self.shared.flag.disarm();
        !self.rx.is_empty()
    }

    /// Takes one job.
    pub fn pop(&self) -> Option<T> {
        let job = self.rx.try_recv().ok()?;
        self.shared.queued.fetch_sub(1, Ordering::AcqRel);
        Some(job)
    }
}

impl<T> Drop for HandoffReceiver<T> {
    fn drop(&mut self) {
        self.shared.gone.swap(true, Ordering::AcqRel);
    }
}
