//! The probe: counts the iterations of a context, whatever runs it.
//!
//! It is a source of the highest priority that is never ready. Its `prepare` counts, so it also
//! sees the iterations that do not poll, and it wakes nothing.

use std::cell::Cell;
use std::fmt;
use std::ops::ControlFlow;

use glib::MainContext;
use loopnest_strategies::source::{Callbacks, Prepare, Source, SourceRef};

/// Higher than any priority that programs use, so that the probe is prepared in every iteration.
pub const PROBE_PRIORITY: i32 = -1000;

/// Counts the iterations of a context for as long as it lives.
pub struct Probe(Source<Count>);

impl Probe {
    /// Begins to count the iterations of `context`, which this thread runs.
    pub fn new(context: &MainContext) -> Self {
        Self::calling(context, || ())
    }

    /// Like [`new`](Self::new), and also calls `each` in every iteration, for callers that keep
    /// their own counts. `each` must not iterate the context.
    pub fn calling(context: &MainContext, each: impl Fn() + 'static) -> Self {
        let source = Source::new("probe", Count { n: Cell::new(0), each: Box::new(each) });
        source.set_priority(PROBE_PRIORITY);
        source.set_can_recurse(true);
        source.attach(context);
        Self(source)
    }

    /// Iterations so far.
    pub fn iterations(&self) -> u64 {
        self.0.callbacks().n.get()
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("iterations", &self.iterations()).finish_non_exhaustive()
    }
}

struct Count {
    n: Cell<u64>,
    each: Box<dyn Fn()>,
}

impl Callbacks for Count {
    fn prepare(&self, _this: SourceRef<'_>) -> Prepare {
        self.n.set(self.n.get() + 1);
        (self.each)();
        Prepare::Wait(None)
    }

    fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::Duration;

    use glib::{MainLoop, Priority};

    use super::*;

    #[test]
    fn it_counts_all_iterations_for_as_long_as_it_lives_and_causes_none() {
        let context = MainContext::new();
        let seen = Rc::new(Cell::new(0));
        let see = seen.clone();
        let probe = Probe::calling(&context, move || see.set(see.get() + 1));
        assert!(!context.pending(), "it is never ready");
        let before = probe.iterations();
        (0..3).for_each(|_| _ = context.iteration(false));
        assert_eq!((probe.iterations() - before, seen.get()), (3, probe.iterations()));
        drop(probe);
        context.iteration(false);
        assert_eq!(seen.get(), before + 3);
    }

    #[test]
    fn it_counts_in_a_nested_loop_that_a_source_of_high_priority_opens() {
        let context = MainContext::new();
        let probe = Rc::new(Probe::new(&context));
        let inside = Rc::new(Cell::new(0));
        let both = glib::thread_guard::ThreadGuard::new((probe, inside.clone(), context.clone()));
        let open = move || {
            let (probe, inside, context) = both.get_ref();
            let (nested, before) = (MainLoop::new(Some(context), false), probe.iterations());
            let quit = nested.clone();
            let quit = move || {
                quit.quit();
                glib::ControlFlow::Break
            };
            glib::timeout_source_new(Duration::from_millis(1), None, Priority::HIGH, quit)
                .attach(Some(context));
            nested.run();
            inside.set(probe.iterations() - before);
            glib::ControlFlow::Break
        };
        glib::idle_source_new(None, Priority::HIGH, open).attach(Some(&context));
        context.iteration(true);
        assert!(inside.get() >= 1, "{} iterations", inside.get());
    }
}
