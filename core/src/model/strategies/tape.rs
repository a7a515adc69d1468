//! What happened in a model run, with the same instruments as beside the real loops: counters, and
//! a rescue thread that pokes when something is overdue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::task::Waker;
use std::time::Duration;

use super::tasks::lock;
use super::threads::RESCUE;
use crate::classify::{MAX_POKES, OVERDUE_TICKS, POKE_EFFECT, TICK};
use crate::model::clock::{Clock, Stuck};
use crate::model::context::Context;
use crate::program::Side;
use crate::trace::{End, Event, Key, Meter, Recorder, Trace, What};

/// [`OVERDUE_TICKS`] as a time. The supervisor looks once a tick, so it pokes in the middle of one, and
/// never in the instant in which a program does something.
const OVERDUE: Duration =
    Duration::from_millis(TICK.as_millis() as u64 * OVERDUE_TICKS + TICK.as_millis() as u64 / 2);
/// The stretch before the end over which a run that does not end is looked at.
pub(super) const LAST: Duration = Duration::from_millis(500);

/// Takes a run down.
pub(super) struct Tape {
    clock: Clock,
    context: Context,
    useful: AtomicU64,
    lines: Mutex<Lines>,
    /// The last waker of every task, for the poke; none in the ideal run, which needs none.
    wakers: Option<Mutex<BTreeMap<u16, Waker>>>,
}

#[derive(Default)]
struct Lines {
    events: Vec<Event>,
    notes: Vec<String>,
    end: Option<End>,
    /// Counters a while before the horizon.
    before_last: Option<Meter>,
}

impl Tape {
    pub(super) fn new(clock: &Clock, context: &Context, is_ideal: bool) -> Arc<Self> {
        Arc::new(Self {
            clock: clock.clone(),
            context: context.clone(),
            useful: AtomicU64::new(0),
            lines: Mutex::default(),
            wakers: (!is_ideal).then(Mutex::default),
        })
    }

    fn meter(&self) -> Meter {
        let counters = self.context.counters();
        let config = self.clock.config();
        Meter {
            iterations: counters.iterations,
            useful: self.useful.load(Relaxed),
            switches: counters.sleeps,
            cpu: config.iteration_cost * u32::try_from(counters.iterations).unwrap_or(u32::MAX),
            // The model's machine never stands still.
            ticks: (self.clock.now().as_millis() / TICK.as_millis()) as u64,
        }
    }

    /// The process dies here, of a panic, which a real one records.
    pub(super) fn die(&self, message: &str) {
        self.record(self.clock.now(), 0, What::Panicked);
        let message = message.to_owned();
        self.end(End::Died { signal: Some(6), code: None, message });
    }

    /// The run ends here: nothing is taken down any more, and every loop on the stack returns.
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
            // Nobody turns when nothing can happen any more.
            let still = self.clock.stuck() == Some(Stuck::Idle);
            let last = Meter {
                iterations: meter.iterations - from.iterations,
                useful: meter.useful - from.useful,
                switches: meter.switches - from.switches,
                cpu: meter.cpu.saturating_sub(from.cpu),
                ticks: meter.ticks - from.ticks,
            };
            End::Deadline { last: if still { Meter::default() } else { last }, in_lock: false }
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
        if let Some(wakers) = &self.wakers {
            let wakers = std::mem::take(&mut *lock(wakers));
            drop(wakers);
        }
    }
}

impl Recorder for Tape {
    fn record(&self, at: Duration, depth: u16, what: What) {
        if self.clock.stuck().is_some() {
            return;
        }
        let ticks = (at.as_millis() / TICK.as_millis()) as u64;
        let meter = match &self.wakers {
            Some(_) => self.meter(),
            None => Meter { ticks, ..Meter::default() },
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
        let Some(wakers) = &self.wakers else { return };
        let mut wakers = lock(wakers);
        match wakers.get_mut(&actor) {
            Some(last) => last.clone_from(waker),
            None => drop(wakers.insert(actor, waker.clone())),
        }
    }
}

/// The rescue thread: events on the clock, the next at the earliest time at which something could be
/// overdue.
pub(super) struct Rescue {
    tape: Weak<Tape>,
    due: Vec<(Duration, Key)>,
    /// Gives the runtime something new; waking a task that was woken already has no effect.
    nudge: Box<dyn Fn() + Send + Sync>,
    pokes: u16,
    not_before: Duration,
}

impl Rescue {
    /// Begins to watch over a run that should go like `ideal`.
    pub(super) fn begin(tape: &Arc<Tape>, ideal: &Trace, nudge: Box<dyn Fn() + Send + Sync>) {
        let due = ideal.events.iter().filter_map(|event| match event.what {
            What::Reached(key) => Some((event.at, key)),
            _ => None,
        });
        let (tape_ref, due) = (Arc::downgrade(tape), due.collect());
        let rescue = Self { tape: tape_ref, due, nudge, pokes: 0, not_before: Duration::ZERO };
        rescue.look(&tape.clock, tape);
    }

    /// Pokes if something is overdue, else comes again when something could be.
    fn look(mut self, clock: &Clock, tape: &Arc<Tape>) {
        if self.pokes >= MAX_POKES {
            return;
        }
        let Some(overdue) = self.overdue(tape) else { return };
        let at = overdue.max(self.not_before);
        if at > clock.now() {
            self.later(clock, at, |rescue, clock, tape| rescue.look(clock, tape));
            return;
        }
        tape.record(clock.now(), 0, What::PokeBegin(self.pokes));
        tape.context.wakeup();
        self.later(clock, clock.now() + POKE_EFFECT, |rescue, clock, tape| {
            let wakers: Vec<Waker> = match &tape.wakers {
                Some(wakers) => lock(wakers).values().cloned().collect(),
                None => Vec::new(),
            };
            wakers.into_iter().for_each(Waker::wake);
            (rescue.nudge)();
            rescue.later(clock, clock.now() + POKE_EFFECT, |mut rescue, clock, tape| {
                tape.record(clock.now(), 0, What::PokeEnd(rescue.pokes));
                rescue.pokes += 1;
                rescue.not_before = clock.now() + OVERDUE;
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

    /// When a side will have owed something for [`OVERDUE`] and delivered nothing meanwhile, if
    /// nothing changes. None when nothing is owed any more.
    fn overdue(&mut self, tape: &Tape) -> Option<Duration> {
        let mut alive = BTreeMap::new();
        {
            let lines = lock(&tape.lines);
            let mut delivered = BTreeSet::new();
            for event in &lines.events {
                if let What::Reached(key) = event.what {
                    delivered.insert(key);
                    alive.insert(key.kind.side(), event.at);
                }
            }
            self.due.retain(|(_, key)| !delivered.contains(key));
        }
        let side = |side: Side| {
            let (due, _) = self.due.iter().find(|(_, key)| key.kind.side() == side)?;
            Some((*due).max(alive.get(&side).copied().unwrap_or_default()) + OVERDUE)
        };
        [side(Side::Async), side(Side::Glib)].into_iter().flatten().min()
    }
}
