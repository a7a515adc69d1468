//! The re-entrant run queue.
#![cfg(not(loopnest_loom))]

mod ending;
mod handles;
mod helpers;
mod load;
mod reentrancy;
mod wakes;
