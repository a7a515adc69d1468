//! A whole run: a program, the model of a strategy or the ideal, and the trace.

use std::sync::Arc;
use std::time::Duration;

use super::base::Base;
use super::dispatch::Dispatch;
#[cfg(feature = "mutants")]
use super::fault::Fault;
use super::gtk_rs::GtkRs;
use super::guest::Guest;
use super::handoff::Handoff;
use super::host::Host;
use super::ideal::Ideal;
use super::model::Model;
use super::nested::Nested;
use super::tape::{LAST, Rescue, Tape};
use super::tasks::Tasks;
use crate::interp::Run;
use crate::loops::Home;
use crate::model::clock::{Clock, Config, Rounding};
use crate::model::context::Context;
use crate::model::rules::Rules;
use crate::program::Program;
use crate::trace::{End, Meter, Trace};

/// A program whose ideal run has not ended by this virtual time never ends.
const HORIZON: Duration = Duration::from_secs(60);

/// How much longer than the ideal run a run may take.
const GRACE: Duration = Duration::from_secs(2);

/// What an iteration costs, so that time passes even in a loop that never sleeps.
const ITERATION: Duration = Duration::from_micros(100);

/// Runs `program` as it should run.
///
/// The end is [`End::Deadline`] if the program does not end even in the ideal run.
pub fn ideal(program: &Program) -> Trace {
    let config = Config { horizon: HORIZON, ..Config::default() };
    let mut trace = on(config, Subject::sound(None), program, None);
    if matches!(trace.end, End::Deadline { .. }) {
        trace.end = End::Deadline { last: Meter::default(), in_lock: false };
    }
    trace
}

/// Runs `program` on the model of a strategy.
pub fn run(model: Model, program: &Program) -> Trace {
    run_beside(model, program, &ideal(program))
}

/// Like [`run`], for callers that already have the ideal run.
pub fn run_beside(model: Model, program: &Program, due: &Trace) -> Trace {
    run_on(Rounding::default(), model, program, due)
}

/// Like [`run_beside`], on a GLib that rounds like this: for what is compared with the real one.
pub fn run_on(rounding: Rounding, model: Model, program: &Program, due: &Trace) -> Trace {
    beside(Subject { rounding, ..Subject::sound(Some(model)) }, program, due)
}

/// Like [`run_beside`], with a fault in the model of [`Fault::strategy`].
#[cfg(feature = "mutants")]
pub fn run_mutant(fault: Fault, program: &Program, due: &Trace) -> Trace {
    let sound = Subject::sound(Some(fault.strategy()));
    beside(Subject { fault: Some(fault), ..sound }, program, due)
}

/// What is run.
#[derive(Clone, Copy)]
struct Subject {
    /// `None` is the ideal.
    model: Option<Model>,
    rounding: Rounding,
    #[cfg(feature = "mutants")]
    fault: Option<Fault>,
}

impl Subject {
    /// Without a fault, on the GLib that rounds: what waits exactly is the same on both.
    const fn sound(model: Option<Model>) -> Self {
        Self {
            model,
            rounding: Rounding::Millis,
            #[cfg(feature = "mutants")]
            fault: None,
        }
    }

    fn guest(self, base: &Base) -> Arc<dyn Guest> {
        match self.model {
            None => Arc::new(Ideal::new(base)),
            Some(Model::Nested) => Arc::new(Nested::new(base, true)),
            Some(Model::NestedNoWake) => Arc::new(Nested::new(base, false)),
            Some(Model::Dispatch) => Arc::new(Dispatch::new(base)),
            Some(Model::Handoff) => Arc::new(Handoff::new(base)),
            Some(Model::GtkRs) => Arc::new(GtkRs::new(base)),
        }
    }
}

fn beside(subject: Subject, program: &Program, due: &Trace) -> Trace {
    let last = due.events.last().map_or(Duration::ZERO, |event| event.at);
    let horizon = last + GRACE;
    let config = Config { iteration_cost: ITERATION, horizon, ..Config::default() };
    on(config, subject, program, Some(due))
}

fn on(config: Config, subject: Subject, program: &Program, due: Option<&Trace>) -> Trace {
    let horizon = config.horizon;
    let clock = Clock::new(config);
    let context = Context::with(&clock, subject.rounding, Rules::GLIB);
    let tape = Tape::new(&clock, &context, subject.model.is_none());
    let base = Base {
        clock,
        context,
        tape,
        tasks: Tasks::default(),
        #[cfg(feature = "mutants")]
        fault: subject.fault,
    };
    let guest = subject.guest(&base);
    let host = Arc::new(Host::new(base.clone(), guest.clone()));
    if let Some(due) = due {
        let nudged = Arc::downgrade(&guest);
        let nudge = move || {
            if let Some(guest) = nudged.upgrade() {
                drop(guest.spawn(Home::Local, Box::pin(std::future::ready(()))));
            }
        };
        Rescue::begin(&base.tape, due, Box::new(nudge));
        let tape = base.tape.clone();
        base.clock.at(horizon.saturating_sub(LAST), move || tape.mark());
    }
    let end = match Run::new(Arc::new(program.clone()), host.clone(), base.tape.clone()) {
        Err(error) => Some(End::Unknown { reason: error.to_string() }),
        Ok(run) if run.start().is_set() => Some(End::Finished),
        Ok(_) => {
            guest.run(&base);
            None
        }
    };
    let mut trace = base.tape.trace();
    trace.end = end.unwrap_or(trace.end);
    clear(&base, &host);
    debug_assert_eq!(Arc::strong_count(&host), 1, "something outlives the run");
    trace
}

/// Drops all tasks and callbacks, which hold the objects that hold them.
fn clear(base: &Base, host: &Host) {
    base.tape.clear();
    base.tasks.clear();
    // Dropping may schedule tasks and attach sources.
    for _ in 0..2 {
        host.clear();
        base.clock.clear();
        base.context.clear();
    }
}
