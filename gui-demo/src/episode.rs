//! What happened round a dialog, as `core` judges it: a program, its ideal run and the real one.
//!
//! An *episode* begins when the first dialog opens and ends when the last has closed and what was
//! owed has come. Only then is it known how long each dialog was open, so the [`Program`] is
//! written afterwards: the activity beside, with as many deadlines as fell into the time, and an
//! opener for each dialog. [`ideal`](loopnest_core::model::ideal) says when each event of it was
//! due, the [`Log`] says when it came, and the rules of the matrix say what that means. There are
//! no rules here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use loopnest_core::Program;
use loopnest_core::program::{Actor, ActorKind, How, Step};
use loopnest_core::trace::{End, Event, FIRED, Key, Kind, Meter, Trace, What};
use serde::{Deserialize, Serialize};

use crate::activity::{CALL_EVERY, CLOCK_EVERY, ECHO_EVERY, TICK_EVERY};
use crate::log::{Beat, Fact, Log};

/// No more than this of a dialog is described: what nobody closes need not grow.
pub const LONGEST: Duration = Duration::from_secs(120);

/// Who runs the code that opens a nested loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A GLib callback: a click.
    Callback,
    /// A task of the application.
    Task,
    /// A task on tokio's own queue.
    LibraryTask,
    /// A callback that waits for a future, which sleeps.
    BlockOn(Duration),
}

/// One nested loop of an episode.
#[derive(Clone, Debug)]
pub struct Opener {
    /// Who opens it.
    pub origin: Origin,
    /// Its name, unique in the episode.
    pub level: String,
    /// When the callback ran that opened it or asked for it.
    pub pressed: Duration,
    /// When it began.
    pub opened: Option<Duration>,
    /// When it returned.
    pub closed: Option<Duration>,
    /// What the strategy said when it refused.
    pub refused: Option<String>,
}

/// The activity that goes on beside the dialogs.
#[derive(Clone, Copy, Debug)]
pub struct Beside {
    /// When it began.
    pub began: Duration,
    /// Whether the echo answers.
    pub has_echo: bool,
    /// Whether there is a session bus to call.
    pub has_bus: bool,
}

/// An episode, being recorded.
#[derive(Clone, Debug)]
pub struct Episode {
    /// The last moment before the first dialog at which all async deadlines coincide: the zero of
    /// the program.
    zero: Duration,
    beside: Option<Beside>,
    /// The nested loops, in the order in which they were asked for.
    pub openers: Vec<Opener>,
}

/// What `classify` takes, and the crash box keeps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// The program.
    pub program: Program,
    /// What happened.
    pub real: Trace,
}

impl Episode {
    /// Begins now.
    pub fn begin(now: Duration, beside: Option<Beside>) -> Self {
        let zero = beside.map_or(now, |beside| {
            beside.began + ECHO_EVERY * whole(now.saturating_sub(beside.began), ECHO_EVERY)
        });
        Self { zero, beside, openers: Vec::new() }
    }

    /// The activity was switched off or on: from now on it is not judged.
    pub fn forget_beside(&mut self) {
        self.beside = None;
    }

    /// What has ended meanwhile owes nothing any more.
    pub fn forget_ended(&mut self, now: Option<Beside>) {
        if let (Some(beside), Some(now)) = (&mut self.beside, now) {
            beside.has_echo &= now.has_echo;
            beside.has_bus &= now.has_bus;
        }
    }

    /// Adds a nested loop that is asked for now. Gives its index, which the facts about it carry.
    pub fn press(&mut self, origin: Origin, name: &str, now: Duration) -> usize {
        let n = self.openers.iter().filter(|opener| opener.level.starts_with(name)).count();
        let level = if n == 0 { name.to_owned() } else { format!("{name} {}", n + 1) };
        self.openers.push(Opener {
            origin,
            level,
            pressed: now,
            opened: None,
            closed: None,
            refused: None,
        });
        self.openers.len() - 1
    }

    /// Whether every nested loop that was asked for has returned.
    pub fn is_over(&self) -> bool {
        self.openers.iter().all(|opener| opener.closed.is_some())
    }

    /// The names of the loops that are open, outermost first.
    pub fn open_levels(&self) -> Vec<&str> {
        let open = |o: &&Opener| o.opened.is_some() && o.closed.is_none();
        self.openers.iter().filter(open).map(|o| o.level.as_str()).collect()
    }

    /// The program up to `until`, and what has happened of it.
    pub fn case(&self, log: &Log, until: Duration) -> Case {
        self.case_of(&log.since(self.zero), log.meter(true), until)
    }

    fn case_of(&self, beats: &[Beat], now: Meter, until: Duration) -> Case {
        let until = until.min(self.zero + LONGEST);
        let (program, keys) = Writer::new(self, beats, until).write();
        let levels = program.levels();
        let level = |i: usize| {
            let name = &self.openers[i].level;
            levels.iter().position(|level| level == name).map(|i| i as u16)
        };
        // The program begins at zero, and so do its counters.
        let base = beats.first().map(|beat| beat.meter).unwrap_or_default();
        let mut inside = Inside::new(base.iterations, !self.openers.is_empty());
        let mut events = Vec::new();
        for beat in beats {
            let what = match beat.fact {
                Fact::Open(i) => level(i).map(What::Open),
                Fact::Close(i) => level(i).map(What::Close),
                Fact::Quit(i) => level(i).map(What::Quit),
                Fact::Refused(i) => level(i).map(What::Refused),
                fact => keys.key(fact).map(What::Reached),
            };
            let meter = inside.only(beat, less(beat.meter, base));
            let Some(what) = what else { continue };
            let at = beat.at.saturating_sub(self.zero);
            events.push(Event { at, depth: beat.depth, what, meter });
        }
        let meter = inside.now(less(now, base), base);
        let notes = self.openers.iter().filter_map(|opener| opener.refused.clone()).collect();
        Case { program, real: Trace { events, meter, end: End::Finished, notes } }
    }

    /// Whether an episode that lasts until then is judged by its beginning alone.
    pub fn is_cut(&self, until: Duration) -> bool {
        until > self.zero + LONGEST
    }
}

impl Case {
    /// Completes a run that still goes on in the way that is best for it: every dialog closes now,
    /// and at once everything comes that is owed. Whatever is bad then is bad already.
    pub fn as_if_closed_now(mut self, ideal: &Trace) -> Self {
        let last = self.real.events.last();
        let at = last.map_or(Duration::ZERO, |event| event.at);
        let at = ideal.events.iter().map(|event| event.at).fold(at, Duration::max);
        let meter = self.real.meter;
        let levels = 0..self.program.levels().len() as u16;
        let mut open: Vec<u16> = levels
            .filter(|level| {
                self.real.find(What::Open(*level)).is_some()
                    && self.real.find(What::Close(*level)).is_none()
            })
            .collect();
        // Innermost first.
        open.sort_by_key(|level| std::cmp::Reverse(self.real.find(What::Open(*level))));
        let mut depth = open.len() as u16;
        for level in open {
            for what in [What::Quit(level), What::Close(level)] {
                self.real.events.push(Event { at, depth, what, meter });
            }
            depth -= 1;
        }
        for key in owed(ideal, &self.real) {
            self.real.events.push(Event { at, depth: 0, what: What::Reached(key), meter });
        }
        self
    }
}

/// What the ideal run delivers and the real one has not.
pub fn owed(ideal: &Trace, real: &Trace) -> Vec<Key> {
    let reached = |trace: &Trace| -> Vec<Key> {
        let keys = trace.events.iter().filter_map(|event| match event.what {
            What::Reached(key) => Some(key),
            _ => None,
        });
        keys.collect()
    };
    let came: BTreeSet<Key> = reached(real).into_iter().collect();
    reached(ideal).into_iter().filter(|key| !came.contains(key)).collect()
}

/// How often `every` fits into `time`.
fn whole(time: Duration, every: Duration) -> u32 {
    u32::try_from(time.as_millis() / every.as_millis()).unwrap_or(u32::MAX)
}

fn less(meter: Meter, base: Meter) -> Meter {
    Meter {
        iterations: meter.iterations.saturating_sub(base.iterations),
        useful: meter.useful.saturating_sub(base.useful),
        ticks: meter.ticks.saturating_sub(base.ticks),
        // Read only at edges, so there is no base; only their differences count.
        switches: meter.switches,
        cpu: meter.cpu,
    }
}

/// Leaves out the iterations between nested loops. What the user and a screen reader do there is
/// no part of the program, so it cannot justify them.
struct Inside {
    /// There are nested loops to be inside of.
    levels: bool,
    /// Iterations left out so far.
    out: u64,
    /// When the outermost loop closed: the iterations then.
    closed: Option<u64>,
}

impl Inside {
    fn new(base: u64, levels: bool) -> Self {
        Self { levels, out: 0, closed: Some(base) }
    }

    fn only(&mut self, beat: &Beat, meter: Meter) -> Meter {
        let iterations = beat.meter.iterations;
        if let (Fact::Open(_), 1) = (beat.fact, beat.depth)
            && let Some(closed) = self.closed.take()
        {
            self.out += iterations - closed;
        }
        let seen = self.seen(iterations, meter);
        if let (Fact::Close(_), 1) = (beat.fact, beat.depth) {
            self.closed = Some(iterations);
        }
        seen
    }

    /// The counters at the end.
    fn now(&self, meter: Meter, base: Meter) -> Meter {
        self.seen(meter.iterations + base.iterations, meter)
    }

    fn seen(&self, iterations: u64, meter: Meter) -> Meter {
        let outside = self.closed.map_or(0, |closed| iterations - closed);
        let out = if self.levels { self.out + outside } else { 0 };
        Meter { iterations: meter.iterations.saturating_sub(out), ..meter }
    }
}

fn ms(time: Duration) -> u64 {
    time.as_millis() as u64
}

/// Writes the program of an episode.
struct Writer<'a> {
    episode: &'a Episode,
    until: Duration,
    actors: Vec<Actor>,
    keys: Keys,
}

/// Which key each fact has in the program.
#[derive(Default)]
struct Keys {
    ticker: Option<Series>,
    clock: Option<Series>,
    client: Option<Series>,
    server: Option<Series>,
    bus: Option<Series>,
    openers: BTreeMap<usize, OpenerKeys>,
}

/// A row of equal events: the actor, the number of the first, and how many there are.
#[derive(Clone, Copy)]
struct Series {
    actor: u16,
    first: u64,
    n: u64,
}

#[derive(Clone, Copy)]
struct OpenerKeys {
    /// The timeout that opens or asks.
    callback: u16,
    /// The task that is asked.
    task: Option<u16>,
}

impl Series {
    /// The index in the program of the beat with number `n`.
    fn index(series: Option<Self>, n: u64) -> Option<(u16, u16)> {
        let series = series?;
        let index = n.checked_sub(series.first)?;
        (index < series.n).then_some((series.actor, index as u16))
    }
}

impl Keys {
    fn key(&self, fact: Fact) -> Option<Key> {
        let key = |(actor, step), kind| Some(Key { actor, step, n: 0, kind });
        let nth =
            |(actor, n): (u16, u16), step, kind| Some(Key { actor, step, n: u32::from(n), kind });
        match fact {
            Fact::Tick(n) => nth(Series::index(self.ticker, n)?, 0, Kind::Timer),
            Fact::Clock(n) => nth(Series::index(self.clock, n)?, FIRED, Kind::Timeout),
            // Sleep, write, read; and on the other side read, write.
            Fact::Sent(n) => key(step(Series::index(self.client, n)?, 3, 0), Kind::Timer),
            Fact::Echoed(n) => key(step(Series::index(self.client, n)?, 3, 2), Kind::Io),
            Fact::Served(n) => key(step(Series::index(self.server, n)?, 2, 0), Kind::Io),
            // Sleep, receive.
            Fact::Called(n) => key(step(Series::index(self.bus, n)?, 2, 0), Kind::Timer),
            Fact::Answered(n) => key(step(Series::index(self.bus, n)?, 2, 1), Kind::Wake),
            Fact::Pressed(i) => key((self.openers.get(&i)?.callback, FIRED), Kind::Timeout),
            Fact::Woken(i) => key((self.openers.get(&i)?.task?, 0), Kind::Wake),
            // Steps inside a block-on count from 1000 times its index plus one.
            Fact::Slept(i) => key((self.openers.get(&i)?.callback, 1000), Kind::Timer),
            Fact::Open(_) | Fact::Quit(_) | Fact::Close(_) | Fact::Refused(_) => None,
        }
    }
}

/// The step of the nth round of an actor whose rounds have `per` steps.
fn step((actor, n): (u16, u16), per: u16, offset: u16) -> (u16, u16) {
    (actor, n * per + offset)
}

impl<'a> Writer<'a> {
    fn new(episode: &'a Episode, beats: &[Beat], until: Duration) -> Self {
        let mut writer = Self { episode, until, actors: Vec::new(), keys: Keys::default() };
        if let Some(beside) = episode.beside {
            writer.ticker(beside);
            writer.clock(beats);
            if beside.has_echo {
                writer.echo(beside);
            }
            if beside.has_bus {
                writer.bus(beside);
            }
        }
        for (i, opener) in episode.openers.iter().enumerate() {
            writer.opener(i, opener);
        }
        writer
    }

    fn write(self) -> (Program, Keys) {
        let program = Program {
            name: "live".to_owned(),
            about: "What the window did.".to_owned(),
            source: "the demo".to_owned(),
            tags: Vec::new(),
            actors: self.actors,
        };
        debug_assert_eq!(program.check(), Ok(()));
        (program, self.keys)
    }

    fn push(&mut self, name: &str, kind: ActorKind, steps: Vec<Step>) -> u16 {
        self.actors.push(Actor { name: name.to_owned(), kind, steps });
        (self.actors.len() - 1) as u16
    }

    /// How long the program is.
    fn length(&self) -> Duration {
        self.until.saturating_sub(self.episode.zero)
    }

    /// The beat number that is due first after zero, and how many there are, for something that
    /// is due every `every` from the beginning of the activity on.
    fn due(&self, beside: Beside, every: Duration) -> (u64, u32) {
        let before = whole(self.episode.zero.saturating_sub(beside.began), every);
        let all = whole(self.until.saturating_sub(beside.began), every);
        (u64::from(before) + 1, all.saturating_sub(before))
    }

    fn ticker(&mut self, beside: Beside) {
        let (first, times) = self.due(beside, TICK_EVERY);
        if times > 0 {
            let steps = vec![Step::Tick { every_ms: ms(TICK_EVERY), times }];
            let actor = self.push("ticker", ActorKind::Task, steps);
            self.keys.ticker = Some(Series { actor, first, n: times.into() });
        }
    }

    /// GLib counts an interval from the last dispatch, so that a busy machine makes fewer of them,
    /// and each later than the one before. Half are asked for.
    fn clock(&mut self, beats: &[Beat]) {
        let times = whole(self.length(), CLOCK_EVERY) / 2;
        let first = beats.iter().find_map(|beat| match beat.fact {
            Fact::Clock(n) => Some(n),
            _ => None,
        });
        if let (Some(first), 1..) = (first, times) {
            let kind = ActorKind::Timeout { every_ms: ms(CLOCK_EVERY), times, priority: 0 };
            let actor = self.push("clock", kind, Vec::new());
            self.keys.clock = Some(Series { actor, first, n: times.into() });
        }
    }

    fn echo(&mut self, beside: Beside) {
        let (first, times) = self.due(beside, ECHO_EVERY);
        let pipe = |name: &str| name.to_owned();
        let ask = |_| {
            [
                Step::Sleep { ms: ms(ECHO_EVERY) },
                Step::Write { pipe: pipe("request") },
                Step::Read { pipe: pipe("answer"), n: 1 },
            ]
        };
        let serve =
            |_| [Step::Read { pipe: pipe("request"), n: 1 }, Step::Write { pipe: pipe("answer") }];
        if times > 0 {
            let series = |actor| Some(Series { actor, first, n: times.into() });
            let client = self.push("client", ActorKind::Task, (0..times).flat_map(ask).collect());
            self.keys.client = series(client);
            let server = self.push("server", ActorKind::Task, (0..times).flat_map(serve).collect());
            self.keys.server = series(server);
        }
    }

    /// The daemon is another process: for this one, a thread that answers.
    fn bus(&mut self, beside: Beside) {
        let (first, times) = self.due(beside, CALL_EVERY);
        let phase = (beside.began + CALL_EVERY * first as u32).saturating_sub(self.episode.zero);
        let sleep = |i| Step::Sleep { ms: ms(if i == 0 { phase } else { CALL_EVERY }) };
        let channel = || "bus".to_owned();
        if times > 0 {
            let call = |i| [sleep(i), Step::Receive { channel: channel(), n: 1 }];
            let answer = |i| [sleep(i), Step::Send { channel: channel(), n: 1 }];
            let calls = (0..times).flat_map(call).collect();
            let actor = self.push("bus", ActorKind::Task, calls);
            self.keys.bus = Some(Series { actor, first, n: times.into() });
            self.push("daemon", ActorKind::Thread, (0..times).flat_map(answer).collect());
        }
    }

    fn opener(&mut self, i: usize, opener: &Opener) {
        let Some(opened) = opener.opened else { return };
        let level = opener.level.clone();
        let at = ms(opener.pressed.saturating_sub(self.episode.zero)).max(1);
        let timeout = ActorKind::Timeout { every_ms: at, times: 1, priority: 0 };
        let open_for = opener.closed.unwrap_or(self.until).saturating_sub(opened);
        let close_after_ms = Some(ms(open_for).max(1));
        let dialog = Step::Dialog { level: level.clone(), how: How::Run, close_after_ms };
        let (task, steps) = match opener.origin {
            Origin::Callback => (None, vec![dialog]),
            Origin::BlockOn(time) => {
                let steps = vec![Step::Sleep { ms: ms(time) }];
                (None, vec![Step::BlockOn { level: level.clone(), steps }])
            }
            Origin::Task | Origin::LibraryTask => {
                let library = opener.origin == Origin::LibraryTask;
                let kind = if library { ActorKind::LibraryTask } else { ActorKind::Task };
                let press = format!("press {i}");
                let steps = vec![Step::Receive { channel: press.clone(), n: 1 }, dialog];
                let task = self.push(&format!("{level} opener"), kind, steps);
                (Some(task), vec![Step::Send { channel: press, n: 1 }])
            }
        };
        let callback = self.push(&format!("{level} press"), timeout, steps);
        self.keys.openers.insert(i, OpenerKeys { callback, task });
    }
}

#[cfg(test)]
mod tests;
