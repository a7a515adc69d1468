//! Timeouts of the GTK thread at high priority.
//!
//! A nested loop in which a source of default priority is always ready dispatches nothing below it.
//! It must keep the window neither from saying so nor from ending in time.

use std::time::Duration;

use gtk4::glib::{self, ControlFlow, Priority, SourceId};

/// Calls a closure once, after a time, whatever else is ready.
pub fn after(time: Duration, job: impl FnOnce() + 'static) {
    let mut job = Some(job);
    every(time, move || {
        if let Some(job) = job.take() {
            job();
        }
        ControlFlow::Break
    });
}

/// Calls a closure again and again until it breaks.
pub fn every(time: Duration, job: impl FnMut() -> ControlFlow + 'static) -> SourceId {
    glib::timeout_add_local_full(time, Priority::HIGH, job)
}
