//! Timeouts at high priority, on the GTK thread.
//!
//! A nested loop in which a source of default priority is always ready dispatches nothing below it.
//! Even then the window must be able to show what is wrong, and to end in time.

use std::time::Duration;

use gtk4::glib::{self, ControlFlow, Priority, SourceId};

/// Calls a closure once after this time, whatever else is ready.
pub fn after(time: Duration, job: impl FnOnce() + 'static) {
    let mut job = Some(job);
    every(time, move || {
        if let Some(job) = job.take() {
            job();
        }
        ControlFlow::Break
    });
}

/// Calls a closure at this interval until it breaks.
pub fn every(time: Duration, job: impl FnMut() -> ControlFlow + 'static) -> SourceId {
    glib::timeout_add_local_full(time, Priority::HIGH, job)
}
