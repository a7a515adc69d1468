//! Warnings that are seen: through GLib's log and through `tracing`.
//!
//! `tracing` without a subscriber is silent. GLib's log is printed, its domain is `loopnest`, and
//! `G_DEBUG=fatal-warnings` stops in a debugger where the warning was given.

use loopnest_core::panics::quietly;

/// Warns.
pub(crate) fn warn(text: &str) {
    glib::g_warning!("loopnest", "{text}");
    // Inside a callback of C, and a subscriber may panic.
    quietly(|| tracing::warn!("{text}"));
}
