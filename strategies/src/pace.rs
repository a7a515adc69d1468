//! Work that does not fit into one dispatch: how it goes on without keeping GTK from drawing.
//!
//! A dispatch does about one [`SLICE`](loopnest_core::pace::SLICE) of work. What is left goes on from
//! a second source at [`LATER`], below GTK's redraws at 120 and level with idle callbacks.
//! When GLib itself is flooded at default priority that source would never run, so what is left is
//! brought forward once it is [`AGE`] old and [`PASSES`] iterations have passed it over. Age alone
//! would not do: on a busy machine a single iteration may take longer than that, and then GTK
//! would be the one that never runs.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Instant;

use glib::MainContext;
use loopnest_core::pace::{AGE, LATER, PASSES};

use crate::source::{Callbacks, Prepare, Source, SourceRef};

/// Whether work is left, since when, and how often it was passed over.
#[derive(Debug, Default)]
pub(crate) struct Backlog(Cell<Option<(Instant, u32)>>);

impl Backlog {
    /// Says whether work is left now.
    pub(crate) fn set(&self, more: bool) {
        self.0.set(more.then(|| (Instant::now(), 0)));
    }

    /// Whether work is left.
    pub(crate) fn is_left(&self) -> bool {
        self.0.get().is_some()
    }

    /// An iteration begins. The second source is ready in it, so it will not sleep.
    pub(crate) fn pass(&self) {
        if let Some((since, passes)) = self.0.get() {
            self.0.set(Some((since, passes.saturating_add(1))));
        }
    }

    /// Whether what is left is to be brought forward.
    pub(crate) fn is_due(&self) -> bool {
        self.0.get().is_some_and(|(since, passes)| passes > PASSES && since.elapsed() >= AGE)
    }
}

/// Something done in slices.
pub(crate) trait Work: 'static {
    /// Where it says that work is left.
    fn backlog(&self) -> &Backlog;
    /// Does a slice.
    fn run(&self);
}

/// The second source.
pub(crate) type Later<W> = Source<LaterCallbacks<W>>;

/// Attaches the source that goes on with what `work` leaves.
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
