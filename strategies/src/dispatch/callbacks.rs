//! The source that is ready when tokio or one of our tasks is.

use std::cell::{Cell, OnceCell};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::{Duration, Instant};

use glib::{IOCondition, MainContext};

use super::shared::Shared;
use crate::pace::Work;
use crate::source::{Callbacks, FdTag, Prepare, Source, SourceRef};

/// Ready when tokio needs a turn or a task is ready.
pub(super) struct MainCallbacks {
    shared: Rc<Shared>,
    tag: OnceCell<FdTag>,
    /// Whether tokio can make a turn; only then do its descriptor and its deadline count.
    watching: Cell<bool>,
}

impl MainCallbacks {
    /// Attaches the source to `context`.
    pub(super) fn attach(shared: Rc<Shared>, context: &MainContext) -> Source<Self> {
        let watched = shared.watched();
        let this = Self { shared, tag: OnceCell::new(), watching: Cell::new(true) };
        let source = Source::new("loopnest dispatch", this);
        source.set_can_recurse(true);
        let tag = source.add_fd(watched, IOCondition::IN);
        // Just made, so it has no tag yet.
        let _ = source.callbacks().tag.set(tag);
        source.attach(context);
        source
    }

    /// Starts or stops watching the descriptor. Inside a turn nothing drains it, so the loop would
    /// spin while it is ready. With work left over, a ready descriptor would run that work at
    /// default priority.
    fn watch(&self, this: SourceRef<'_>, wanted: bool) {
        if self.watching.replace(wanted) == wanted {
            return;
        }
        if let Some(tag) = self.tag.get() {
            let condition = if wanted { IOCondition::IN } else { IOCondition::empty() };
            this.modify_fd(tag, condition);
        }
    }

    /// The time left until tokio's deadline, or until tokio is asked again after a refusal.
    fn wait(&self) -> Option<Duration> {
        let Shared { runtime, .. } = &*self.shared;
        let next = if self.watching.get() { self.shared.deadline() } else { runtime.asks_again() };
        Some(next?.saturating_duration_since(Instant::now()))
    }

    fn is_due(&self) -> bool {
        self.wait().is_some_and(|wait| wait.is_zero()) || self.shared.backlog.is_due(Instant::now)
    }
}

impl Callbacks for MainCallbacks {
    fn prepare(&self, this: SourceRef<'_>) -> Prepare {
        if let Some(rest) = self.shared.quiet.prepare() {
            self.watch(this, false);
            return Prepare::Wait(Some(rest));
        }
        self.shared.backlog.pass();
        let backlog = self.shared.backlog.is_left();
        let held = self.shared.is_held();
        if held {
            // Here too, because the source may not be dispatched at all while tokio waits.
            self.shared.warn_later();
        }
        self.watch(this, !backlog && !held);
        if self.shared.backlog.prepare(self.is_due(), || self.shared.executor.prepare()) {
            return Prepare::Ready;
        }
        Prepare::Wait(self.wait())
    }

    fn check(&self, _this: SourceRef<'_>) -> bool {
        if self.shared.quiet.is_resting() {
            return false;
        }
        let ready = self.shared.executor.check() && !self.shared.backlog.is_left();
        ready || self.is_due()
    }

    fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
        self.shared.run();
        ControlFlow::Continue(())
    }
}
