//! Programs on the model: the ideal run, and a model of each strategy.
//!
//! | file | what it models |
//! |---|---|
//! | `ideal.rs` | how it ought to be: says when each event of a program is due |
//! | `nested.rs`, `dispatch.rs`, `handoff.rs`, `gtk_rs.rs` | the strategies of those names |
//! | `runtime.rs` | tokio on the GLib thread |
//! | `worker.rs` | tokio on a thread of its own |
//! | `host.rs`, `pipes.rs` | [`Loops`](crate::Loops) over the model, the same for all |
//! | `tape.rs` | the trace, and the rescue thread that pokes |
//! | `tasks.rs` | run queues |
//! | `fault.rs` | what a mutant does wrong |
//!
//! A strategy's model says who polls what when, in terms of a GMainContext that is checked against
//! the real one, and nothing about programs. So a stall or a spin of the real strategy is either
//! found here too, or the model is wrong: a test compares the verdicts.

mod dispatch;
mod fault;
mod gtk_rs;
mod handoff;
mod host;
mod ideal;
mod nested;
mod pipes;
mod runtime;
mod tape;
mod tasks;
mod worker;

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "mutants")]
pub use self::fault::Fault;
#[cfg(not(feature = "mutants"))]
use self::fault::Fault;
use self::host::{Base, Guest, Host};
use self::tape::{LAST, Rescue, Tape};
use self::tasks::Tasks;
use super::{Clock, Config, Context};
use crate::interp::Run;
use crate::loops::Home;
use crate::program::Program;
use crate::trace::{End, Meter, Trace};

/// A program that has not ended ideally by this virtual time never will.
const HORIZON: Duration = Duration::from_secs(60);

/// How much longer than ideally a run may take.
const GRACE: Duration = Duration::from_secs(2);

/// What an iteration costs, so that a loop that never sleeps is seen to turn while time passes.
const ITERATION: Duration = Duration::from_micros(100);

/// The strategies that there is a model of.
pub const NAMES: [&str; 5] = ["nested", "nested-no-wake", "dispatch", "handoff", "gtk-rs"];

/// Runs `program` as it ought to go.
///
/// The end is [`End::Deadline`] when the program cannot end even ideally.
pub fn ideal(program: &Program) -> Trace {
    let config = Config { horizon: HORIZON, ..Config::default() };
    let mut trace =
        on(config, Subject::default(), program, |base| Arc::new(ideal::Ideal::new(base)), None);
    if matches!(trace.end, End::Deadline { .. }) {
        trace.end = End::Deadline { last: Meter::default(), in_lock: false };
    }
    trace
}

/// Runs `program` on the model of the strategy `name`; none if there is no such model.
pub fn run(name: &str, program: &Program) -> Option<Trace> {
    NAMES.contains(&name).then(|| ideal(program)).and_then(|due| run_beside(name, program, &due))
}

/// As [`run`], for callers that have the ideal run already.
pub fn run_beside(name: &str, program: &Program, due: &Trace) -> Option<Trace> {
    #[cfg(feature = "mutants")]
    let subject = Subject { name, fault: None };
    #[cfg(not(feature = "mutants"))]
    let subject = Subject { name };
    beside(subject, program, due)
}

/// As [`run_beside`], with one thing done wrong by the model of [`Fault::strategy`].
#[cfg(feature = "mutants")]
pub fn run_mutant(fault: Fault, program: &Program, due: &Trace) -> Option<Trace> {
    beside(Subject { name: fault.strategy(), fault: Some(fault) }, program, due)
}

/// What is run.
#[derive(Default)]
struct Subject<'a> {
    /// A strategy; none is the ideal.
    name: &'a str,
    #[cfg(feature = "mutants")]
    fault: Option<Fault>,
}

fn beside(subject: Subject<'_>, program: &Program, due: &Trace) -> Option<Trace> {
    let guest: fn(&Base) -> Arc<dyn Guest> = match subject.name {
        "nested" => |base| Arc::new(nested::Nested::new(base, true)),
        "nested-no-wake" => |base| Arc::new(nested::Nested::new(base, false)),
        "dispatch" => |base| Arc::new(dispatch::Dispatch::new(base)),
        "handoff" => |base| Arc::new(handoff::Handoff::new(base)),
        "gtk-rs" => |base| Arc::new(gtk_rs::GtkRs::new(base)),
        _ => return None,
    };
    let last = due.events.last().map_or(Duration::ZERO, |event| event.at);
    let horizon = last + GRACE;
    let config = Config { iteration_cost: ITERATION, horizon, ..Config::default() };
    Some(on(config, subject, program, guest, Some(due)))
}

fn on(
    config: Config,
    subject: Subject<'_>,
    program: &Program,
    guest: impl FnOnce(&Base) -> Arc<dyn Guest>,
    due: Option<&Trace>,
) -> Trace {
    let horizon = config.horizon;
    let clock = Clock::new(config);
    let context = Context::new(&clock);
    let tape = Tape::new(&clock, &context, subject.name.is_empty());
    let base = Base {
        clock,
        context,
        tape,
        tasks: Tasks::default(),
        #[cfg(feature = "mutants")]
        fault: subject.fault,
    };
    let guest = guest(&base);
    let host = Host::new(base.clone(), guest.clone());
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

/// Drops all tasks and callbacks, which hold the world that holds them.
fn clear(base: &Base, host: &Host) {
    base.tape.clear();
    base.tasks.clear();
    // What is dropped may schedule and attach.
    for _ in 0..2 {
        host.clear();
        base.clock.clear();
        base.context.clear();
    }
}
