//! Warnings that are seen: through GLib's log and through `tracing`.
//!
//! `tracing` without a subscriber is silent. GLib's log is printed, its domain is `loopnest`, and
//! `G_DEBUG=fatal-warnings` stops in a debugger where the warning was given.

#[cfg(feature = "epoll-hook")]
use std::cell::Cell;
#[cfg(feature = "epoll-hook")]
use std::panic::{set_hook, take_hook};
#[cfg(feature = "epoll-hook")]
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(feature = "epoll-hook")]
use std::thread;

use loopnest_core::panics::quietly;

/// Warns.
pub(crate) fn warn(text: &str) {
    glib::g_warning!("loopnest", "{text}");
    // Inside a callback of C, and a subscriber may panic.
    quietly(|| tracing::warn!("{text}"));
}

/// Warns, unless this was done with the same `once`.
pub(crate) fn warn_once(once: &AtomicBool, text: &str) {
    // Not `std::sync::Once`: whatever handles GLib's log may come here again.
    if !once.swap(true, Ordering::Relaxed) {
        warn(text);
    }
}

/// While this lives, a panic on this thread that says that tokio is not there is followed by advice. In
/// a callback of glib's such a panic ends the process ("cannot unwind"), so nobody else can give any.
///
/// The first one puts a hook before the application's panic hook, which goes on working.
#[cfg(feature = "epoll-hook")]
pub(crate) struct OnPanic(());

#[cfg(feature = "epoll-hook")]
thread_local! {
    static ADVISED: Cell<usize> = const { Cell::new(0) };
}

#[cfg(feature = "epoll-hook")]
impl OnPanic {
    pub(crate) fn new() -> Self {
        static HOOK: Once = Once::new();
        // Hooks cannot be changed while a panic unwinds.
        if !thread::panicking() {
            HOOK.call_once(|| {
                let before = take_hook();
                set_hook(Box::new(move |panic| {
                    before(panic);
                    let text = panic.payload_as_str().unwrap_or_default();
                    let is_ours = ADVISED.try_with(|advised| advised.get() > 0).unwrap_or(false);
                    // tokio 1.54, `util/error.rs` and `task/local.rs`.
                    let is_missing = text.starts_with("there is no reactor running")
                        || text.starts_with("`spawn_local` called from outside");
                    static SAID: AtomicBool = AtomicBool::new(false);
                    if is_ours && is_missing && !SAID.swap(true, Ordering::Relaxed) {
                        glib::g_warning!(
                            "loopnest",
                            "tokio was used outside of a task: keep the guard of Dispatch::enter in \
                             main for as long as the loop runs, and it works in every callback and in \
                             glib's own futures"
                        );
                    }
                }));
            });
        }
        ADVISED.set(ADVISED.get() + 1);
        Self(())
    }
}

#[cfg(feature = "epoll-hook")]
impl Drop for OnPanic {
    fn drop(&mut self) {
        let _ = ADVISED.try_with(|advised| advised.set(advised.get() - 1));
    }
}
