//! The hand-off queue: jobs from many threads to one loop.
//!
//! A crossbeam channel and a [`WakeFlag`]: a loop that is awake is not rung.
//! The queue has no bound, because it cannot know how a sender should wait, async or blocking. If
//! you need a bound, count the jobs outside, for example with a semaphore.
//! When the receiver is dropped, the jobs left in the queue are dropped with it, and senders get
//! their job back. A bounded crossbeam channel would keep those jobs until the last sender is
//! dropped, and a job may hold a sender.

use super::wake::WakeFlag;
use crate::sync::Arc;
use crate::sync::channel::{Receiver, SendError, Sender, unbounded};

/// Creates a queue; `ring` wakes the receiving loop.
pub fn handoff<T>(
    ring: impl Fn() + Send + Sync + 'static,
) -> (HandoffSender<T>, HandoffReceiver<T>) {
    let (tx, rx) = unbounded();
    let flag = Arc::new(WakeFlag::new());
    let sender = HandoffSender { tx, flag: flag.clone(), ring: std::sync::Arc::new(ring) };
    (sender, HandoffReceiver { rx, flag })
}

/// The sending end; clone it for each thread.
pub struct HandoffSender<T> {
    tx: Sender<T>,
    flag: Arc<WakeFlag>,
    ring: std::sync::Arc<dyn Fn() + Send + Sync>,
}

/// The receiver is gone; contains the job.
#[derive(Debug, PartialEq, Eq)]
pub struct Gone<T>(pub T);

impl<T> HandoffSender<T> {
    /// Queues a job without waiting, and rings the loop if it sleeps.
    ///
    /// # Errors
    /// Returns the job if the receiver is gone.
    pub fn push(&self, job: T) -> Result<(), Gone<T>> {
        self.tx.send(job).map_err(|SendError(job)| Gone(job))?;
        if self.flag.trip() {
            (self.ring)();
        }
        Ok(())
    }
}

impl<T> Clone for HandoffSender<T> {
    fn clone(&self) -> Self {
        Self { tx: self.tx.clone(), flag: self.flag.clone(), ring: self.ring.clone() }
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
    flag: Arc<WakeFlag>,
}

impl<T> HandoffReceiver<T> {
    /// Call this when the loop is about to sleep: `true` if there is work and it must not.
    pub fn prepare(&self) -> bool {
        self.flag.look_before_sleep(|| !self.rx.is_empty())
    }

    /// Call this when the loop is awake: `true` if there is work.
    pub fn check(&self) -> bool {
        self.flag.disarm();
        !self.rx.is_empty()
    }

    /// Takes one job out.
    pub fn pop(&self) -> Option<T> {
        self.rx.try_recv().ok()
    }
}
