//! GLib's own kinds of sources: timeouts, idles, descriptor watches.

use std::ops::ControlFlow;
use std::time::Duration;

use super::clock::micros;
use super::context::Context;
use super::fd::{Events, Fd};
use super::source::{Callbacks, FdTag, Prepare, Source};

/// `G_PRIORITY_DEFAULT`, the priority of timeouts.
pub const PRIORITY_DEFAULT: i32 = 0;
/// `G_PRIORITY_HIGH_IDLE`; GTK redraws at this plus 20.
pub const PRIORITY_HIGH_IDLE: i32 = 100;
/// `G_PRIORITY_DEFAULT_IDLE`, the priority of idles.
pub const PRIORITY_DEFAULT_IDLE: i32 = 200;

struct Timeout<F> {
    interval: u64,
    callback: F,
}

impl<F: Fn(&Source) -> ControlFlow<()> + Send + Sync> Callbacks for Timeout<F> {
    /// The next interval begins at the time of the iteration, read after the callback. So a timeout
    /// never catches up, and a nested loop in the callback delays it (gmain.c:5023).
    fn dispatch(&self, this: &Source) -> ControlFlow<()> {
        let flow = (self.callback)(this);
        if flow.is_continue() {
            this.set_ready_micros(Some(this.time_micros().saturating_add(self.interval)));
        }
        flow
    }

    fn asks(&self) -> bool {
        false
    }
}

struct Idle<F>(F);

impl<F: Fn(&Source) -> ControlFlow<()> + Send + Sync> Callbacks for Idle<F> {
    fn prepare(&self, _this: &Source) -> Prepare {
        Prepare::Ready
    }

    fn check(&self, _this: &Source) -> bool {
        true
    }

    fn dispatch(&self, this: &Source) -> ControlFlow<()> {
        (self.0)(this)
    }
}

struct Watch<F> {
    tag: std::sync::OnceLock<FdTag>,
    callback: F,
}

impl<F: Fn(&Source, Events) -> ControlFlow<()> + Send + Sync> Callbacks for Watch<F> {
    fn dispatch(&self, this: &Source) -> ControlFlow<()> {
        let events = self.tag.get().map_or(Events::empty(), |&tag| this.query_fd(tag));
        (self.callback)(this, events)
    }

    fn asks(&self) -> bool {
        false
    }
}

impl Context {
    /// `g_timeout_source_new`: not attached yet, but its time has begun.
    pub fn timeout(
        &self,
        interval: Duration,
        callback: impl Fn(&Source) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Source {
        let interval = micros(interval);
        let source = self.source("timeout", Timeout { interval, callback });
        source.set_ready_micros(Some(self.clock().micros().saturating_add(interval)));
        source
    }

    /// `g_idle_source_new`: not attached yet.
    pub fn idle(
        &self,
        callback: impl Fn(&Source) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Source {
        let source = self.source("idle", Idle(callback));
        source.set_priority(PRIORITY_DEFAULT_IDLE);
        source
    }

    /// `g_unix_fd_source_new`: not attached yet.
    pub fn watch(
        &self,
        fd: &Fd,
        events: Events,
        callback: impl Fn(&Source, Events) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Source {
        let funcs = std::sync::Arc::new(Watch { tag: std::sync::OnceLock::new(), callback });
        let source = self.source("watch", funcs.clone());
        let _ = funcs.tag.set(source.add_unix_fd(fd, events));
        source
    }
}
