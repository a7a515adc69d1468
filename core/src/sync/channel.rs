//! A channel that behaves like crossbeam's, for loom. loom cannot see into crossbeam, and would
//! treat an operation there as one step with what comes before it.

use std::collections::VecDeque;

pub use crossbeam_channel::{SendError, TryRecvError};

use super::{Arc, Mutex, lock};

#[derive(Debug)]
struct Queue<T> {
    jobs: VecDeque<T>,
    /// The receiver is gone.
    closed: bool,
}

/// Makes a channel.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    let queue = Queue { jobs: VecDeque::new(), closed: false };
    let queue = Arc::new(Mutex::new(queue));
    (Sender(queue.clone()), Receiver(queue))
}

/// The sending end.
#[derive(Debug)]
pub struct Sender<T>(Arc<Mutex<Queue<T>>>);

impl<T> Sender<T> {
    /// Sends a message.
    ///
    /// # Errors
    /// Returns the message if the receiver is gone.
    pub fn send(&self, job: T) -> Result<(), SendError<T>> {
        let mut queue = lock(&self.0);
        if queue.closed {
            return Err(SendError(job));
        }
        queue.jobs.push_back(job);
        Ok(())
    }

    /// How many messages are queued.
    pub fn len(&self) -> usize {
        lock(&self.0).jobs.len()
    }

    /// Whether no message is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// The receiving end.
#[derive(Debug)]
pub struct Receiver<T>(Arc<Mutex<Queue<T>>>);

impl<T> Receiver<T> {
    /// Receives a message without waiting.
    ///
    /// # Errors
    /// If there is none.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        lock(&self.0).jobs.pop_front().ok_or(TryRecvError::Empty)
    }

    /// Whether no message is queued.
    pub fn is_empty(&self) -> bool {
        lock(&self.0).jobs.is_empty()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let left = {
            let mut queue = lock(&self.0);
            queue.closed = true;
            std::mem::take(&mut queue.jobs)
        };
        drop(left);
    }
}
