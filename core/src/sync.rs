//! `std` or loom behind one name.
//!
//! The protocols in [`protocol`](crate::protocol) and the run queue use these and nothing else
//! that synchronises, so that loom explores the code that ships.
//! The cfg is private (`loopnest_loom`, as crossbeam does): a plain `--cfg loom` would reach
//! tokio and event-listener too.

#[cfg(loopnest_loom)]
pub mod channel;

#[cfg(not(loopnest_loom))]
pub use crossbeam_channel as channel;
#[cfg(not(loopnest_loom))]
pub use std::sync::{
    Arc, Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};
#[cfg(not(loopnest_loom))]
pub use std::thread::yield_now;

#[cfg(loopnest_loom)]
pub use loom::sync::{
    Arc, Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};
#[cfg(loopnest_loom)]
pub use loom::thread::yield_now;

/// Locks, whether or not a panic happened while the lock was held.
///
/// The state behind every lock here is valid between any two statements, so a panic of somebody
/// else's code is no reason to refuse service.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
