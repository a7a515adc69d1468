//! `std` or loom behind one name.
//!
//! The protocols in [`protocol`](crate::protocol) and the run queue synchronise with these types
//! only, so that loom explores the code that ships.
//! The cfg is private (`loopnest_loom`, as crossbeam has its own), because a plain `--cfg loom`
//! would also switch tokio and event-listener.

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

/// Locks a mutex, ignoring poison.
///
/// The state behind every lock in this crate is valid between any two statements, so it is still
/// good after a panic.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
