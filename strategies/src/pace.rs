//! Work that does not fit into one dispatch: a second source continues it, below GTK's redraws.
//!
//! [`loopnest_core::pace`] says how long it can wait there.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Instant;

use glib::MainContext;
use loopnest_core::pace::LATER;

use crate::source::{Callbacks, Prepare, Source, SourceRef};

/// The work that is left, in real time.
pub(crate) type Backlog = loopnest_core::pace::Backlog<Instant>;

/// Work that is done in slices.
pub(crate) trait Work: 'static {
    /// Where it notes that work is left.
    fn backlog(&self) -> &Backlog;
    /// Does one slice.
    fn run(&self);
}

/// The second source.
pub(crate) type Later<W> = Source<LaterCallbacks<W>>;

/// Attaches the source that continues what `work` leaves.
pub(crate) fn later<W: Work>(name: &str, work: Rc<W>, context: &MainContext) -> Later<W> {
    let source = Source::new(name, LaterCallbacks(work));
    source.set_can_recurse(true);
    source.set_priority(LATER);
    source.attach(context);
    source
}

/// Ready while work is left.
pub(crate) struct LaterCallbacks<W>(Rc<W>);

impl<W: Work> Callbacks for LaterCallbacks<W> {
    fn prepare(&self, _this: SourceRef<'_>) -> Prepare {
        if self.0.backlog().is_left() { Prepare::Ready } else { Prepare::Wait(None) }
    }

    fn check(&self, _this: SourceRef<'_>) -> bool {
        self.0.backlog().is_left()
    }

    fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
        self.0.run();
        ControlFlow::Continue(())
    }
}
