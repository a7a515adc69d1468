//! The trace of a model run, with the same instruments as for the real loops: counters, and a
//! rescue thread that pokes when something is overdue.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::task::Waker;
use std::time::Duration;

use super::tasks::lock;
use super::threads::RESCUE;
use crate::measure::{OVERDUE, Owed, POKE_EFFECT, TICK, Wakers, ticks_in};
use crate::model::clock::{Clock, Stuck};
use crate::model::context::Context;
use crate::trace::{End, Event, Meter, Recorder, Trace, What};

/// If a run does not end, its counters over this last stretch decide the verdict.
pub(super) const LAST: Duration = Duration::from_millis(500);

/// Records a run.
pub(super) struct Tape {
    clock: Clock,
    context: Context,
    useful: AtomicU64,
    lines: Mutex<Lines>,
    /// The last waker of every task, for the poke; none in the ideal run, which needs none.
    wakers: Option<Wakers>,
}

#[derive(Default)]
struct Lines {
    events: Vec<Event>,
    notes: Vec<String>,
    end: Option<End>,
    /// Counters, [`LAST`] before the horizon.
    before_last: Option<Meter>,
}

impl Tape {
    pub(super) fn new(clock: &Clock, context: &Context, is_ideal: bool) -> Arc<Self> {
        Arc::new(Self {
            clock: clock.clone(),
            context: context.clone(),
            useful: AtomicU64::new(0),
            lines: Mutex::default(),
            wakers: (!is_ideal).then(Wakers::default),
        })
    }

    fn meter(&self) -> Meter {
        let counters = self.context.counters();
        Meter {
            iterations: counters.iterations,
            useful: self.useful.load(Relaxed),
            switches: counters.sleeps,
            cpu: self.clock.busy(),
            // In the model, nothing else uses the machine, and it never stands still.
            delay: Duration::ZERO,
            ticks: ticks_in(self.clock.now()),
        }
    }

    /// The process dies here, of a panic; a real process records that panic too.
    pub(super) fn die(&self, message: &str) {
        self.record(self.clock.now(), 0, What::Panicked);
        let message = message.to_owned();
        self.end(End::Died { signal: Some(6), code: None, message });
    }

    /// The run ends here: every loop on the stack returns.
    fn end(&self, end: End) {
        if self.clock.stuck().is_none() {
            lock(&self.lines).end.get_or_insert(end);
            self.clock.set_stuck(Stuck::Idle);
        }
    }

    /// Notes the counters now, for the verdict on a run that does not end.
    pub(super) fn mark(&self) {
        let meter = self.meter();
        lock(&self.lines).before_last = Some(meter);
    }

    /// The whole run.
    pub(super) fn trace(&self) -> Trace {
        let meter = if self.wakers.is_some() { self.meter() } else { Meter::default() };
        let mut lines = lock(&self.lines);
        let end = lines.end.take().unwrap_or_else(|| {
            let from = lines.before_last.take().unwrap_or(meter);
            // If nothing can happen any more, no loop iterates.
            let still = self.clock.stuck() == Some(Stuck::Idle);
            let last = if still { Meter::default() } else { meter.saturating_sub(from) };
            End::Deadline { last, in_lock: false }
        });
        Trace {
            events: std::mem::take(&mut lines.events),
            meter,
            end,
            notes: std::mem::take(&mut lines.notes),
        }
    }

    /// Drops what keeps tasks alive.
    pub(super) fn clear(&self) {
        self.wakers.iter().for_each(Wakers::clear);
    }
}

impl Recorder for Tape {
    fn record(&self, at: Duration, depth: u16, what: What) {
        if self.clock.stuck().is_some() {
            return;
        }
        let meter = match &self.wakers {
            Some(_) => self.meter(),
            None => Meter { ticks: ticks_in(at), ..Meter::default() },
        };
        lock(&self.lines).events.push(Event { at, depth, what, meter });
        if what == What::Done {
            self.end(End::Finished);
        }
    }

    fn useful(&self) {
        self.useful.fetch_add(1, Relaxed);
    }

    fn note(&self, text: &str) {
        lock(&self.lines).notes.push(text.to_owned());
    }

    fn polled(&self, actor: u16, waker: &Waker) {
        self.wakers.iter().for_each(|wakers| wakers.keep(actor, waker));
    }
}

/// The rescue thread, as events of the clock. The next one is at the earliest time at which
/// something could be overdue.
pub(super) struct Rescue {
    tape: Weak<Tape>,
    owed: Owed,
    /// How many events of the tape it has seen.
    read: usize,
    /// Makes the runtime look for work; waking a task that is already woken would have no effect.
    nudge: Box<dyn Fn() + Send + Sync>,
}

impl Rescue {
    /// Begins to watch a run that is compared with `ideal`.
    pub(super) fn begin(tape: &Arc<Tape>, ideal: &Trace, nudge: Box<dyn Fn() + Send + Sync>) {
        let rescue = Self { tape: Arc::downgrade(tape), owed: Owed::new(ideal), read: 0, nudge };
        rescue.look(&tape.clock, tape);
    }

    /// Pokes if something is overdue; otherwise looks again when something could be.
    fn look(mut self, clock: &Clock, tape: &Arc<Tape>) {
        self.deliver(tape);
        let Some(at) = self.owed.next_poke() else { return };
        // Between ticks, because programs do things at whole ticks.
        let due = at.saturating_sub(OVERDUE);
        let at = at + TICK / 2;
        if at > clock.now() {
            let looking = self.tape.clone();
            clock.at_on(RESCUE, due, move || {
                if let Some(tape) = looking.upgrade() {
                    tape.record(due, 0, What::Look);
                }
            });
            self.later(clock, at, |rescue, clock, tape| rescue.look(clock, tape));
            return;
        }
        if !clock.is_asleep() {
            tape.record(clock.now(), 0, What::Awake);
        }
        tape.record(clock.now(), 0, What::PokeBegin(self.owed.n_pokes()));
        tape.context.wakeup();
        self.later(clock, clock.now() + POKE_EFFECT, |rescue, clock, tape| {
            tape.wakers.iter().for_each(Wakers::wake);
            (rescue.nudge)();
            rescue.later(clock, clock.now() + POKE_EFFECT, |mut rescue, clock, tape| {
                tape.record(clock.now(), 0, What::PokeEnd(rescue.owed.n_pokes()));
                rescue.owed.poked(clock.now());
                rescue.look(clock, tape);
            });
        });
    }

    fn later(
        self,
        clock: &Clock,
        at: Duration,
        then: impl FnOnce(Self, &Clock, &Arc<Tape>) + Send + 'static,
    ) {
        clock.at_on(RESCUE, at, move || {
            if let Some(tape) = self.tape.upgrade() {
                then(self, &tape.clock.clone(), &tape);
            }
        });
    }

    /// Reads what has been delivered since it last looked.
    fn deliver(&mut self, tape: &Tape) {
        let lines = lock(&tape.lines);
        for event in lines.events.iter().skip(self.read) {
            if let What::Reached(key) = event.what {
                self.owed.deliver(key, event.at);
            }
        }
        self.read = lines.events.len();
    }
}
