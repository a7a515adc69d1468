//! A channel with the meaning of crossbeam's, for loom, which cannot see into crossbeam
//! and would take what happens there for one step with what comes before.

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
    /// Puts a message in.
    ///
    /// # Errors
    /// Gives it back when the receiver is gone.
    pub fn send(&self, job: T) -> Result<(), SendError<T>> {
        let mut queue = lock(&self.0);
        if queue.closed {
            return Err(SendError(job));
        }
        queue.jobs.push_back(job);
        Ok(())
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        lock(&self.0).jobs.len()
    }

    /// Whether none waits.
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
    /// Takes a message out without waiting.
    ///
    /// # Errors
    /// When there is none.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        lock(&self.0).jobs.pop_front().ok_or(TryRecvError::Empty)
    }

    /// Whether no message waits.
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
