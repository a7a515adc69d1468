//! The program of an episode, written once it is known what has happened.
//!
//! It contains the activity, with as many deadlines as fell into the episode, and an opener for
//! each dialog. [`ideal`](loopnest_core::model::ideal) computes when each of its events was due.

use std::collections::BTreeMap;
use std::time::Duration;

use loopnest_core::Program;
use loopnest_core::program::{Actor, ActorKind, How, Step};
use loopnest_core::trace::{FIRED, Key, Kind};

use crate::episode::{Episode, Opener};
use crate::facts::{Beat, Beside, CALL_EVERY, CLOCK_EVERY, ECHO_EVERY, Fact, TICK_EVERY, whole};
use crate::kind::Origin;

/// The program of an episode up to `until`, and which of its events each fact is.
pub fn write(episode: &Episode, beats: &[Beat], until: Duration) -> (Program, Keys) {
    let mut writer = Writer { episode, until, actors: Vec::new(), keys: Keys::default() };
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
    let program = Program {
        name: "live".to_owned(),
        about: "What the window did.".to_owned(),
        source: "the demo".to_owned(),
        tags: Vec::new(),
        actors: writer.actors,
    };
    debug_assert_eq!(program.check(), Ok(()));
    (program, writer.keys)
}

/// Which key each fact has in the program.
#[derive(Debug, Default)]
pub struct Keys {
    ticker: Option<Series>,
    clock: Option<Series>,
    client: Option<Series>,
    server: Option<Series>,
    bus: Option<Series>,
    openers: BTreeMap<usize, OpenerKeys>,
}

/// A series of equal events: the actor, the number of the first, and how many there are.
#[derive(Clone, Copy, Debug)]
struct Series {
    actor: u16,
    first: u64,
    n: u64,
}

#[derive(Clone, Copy, Debug)]
struct OpenerKeys {
    /// The timeout that opens the dialog or asks the task to.
    callback: u16,
    /// The number of the step inside the callback's block-on, if it has one.
    inside: u16,
    /// The task that is asked to open it.
    task: Option<u16>,
}

impl Series {
    /// The actor of beat number `n`, and the beat's index in the series.
    fn index(series: Option<Self>, n: u64) -> Option<(u16, u16)> {
        let series = series?;
        let index = n.checked_sub(series.first)?;
        (index < series.n).then_some((series.actor, index as u16))
    }
}

impl Keys {
    /// The key of a fact; `None` if it is not in the program.
    pub fn key(&self, fact: Fact) -> Option<Key> {
        let key = |(actor, step), kind| Some(Key { actor, step, n: 0, kind });
        let nth =
            |(actor, n): (u16, u16), step, kind| Some(Key { actor, step, n: u32::from(n), kind });
        match fact {
            Fact::Tick(n) => nth(Series::index(self.ticker, n)?, 0, Kind::Timer),
            Fact::Clock(n) => nth(Series::index(self.clock, n)?, FIRED, Kind::Timeout),
            // The client sleeps, writes and reads; the server reads and writes.
            Fact::Sent(n) => key(step(Series::index(self.client, n)?, 3, 0), Kind::Timer),
            Fact::Echoed(n) => key(step(Series::index(self.client, n)?, 3, 2), Kind::Io),
            Fact::Served(n) => key(step(Series::index(self.server, n)?, 2, 0), Kind::Io),
            // It sleeps and receives.
            Fact::Called(n) => key(step(Series::index(self.bus, n)?, 2, 0), Kind::Timer),
            Fact::Answered(n) => key(step(Series::index(self.bus, n)?, 2, 1), Kind::Wake),
            Fact::Pressed(i) => key((self.openers.get(&i)?.callback, FIRED), Kind::Timeout),
            Fact::Woken(i) => key((self.openers.get(&i)?.task?, 0), Kind::Wake),
            Fact::Slept(i) => {
                let opener = self.openers.get(&i)?;
                key((opener.callback, opener.inside), Kind::Timer)
            }
            Fact::Open(_) | Fact::Quit(_) | Fact::Close(_) | Fact::Refused(_) => None,
        }
    }
}

/// The step of the nth round of an actor whose rounds have `per` steps.
fn step((actor, n): (u16, u16), per: u16, offset: u16) -> (u16, u16) {
    (actor, n * per + offset)
}

/// Writes the actors one by one.
struct Writer<'a> {
    episode: &'a Episode,
    until: Duration,
    actors: Vec<Actor>,
    keys: Keys,
}

impl Writer<'_> {
    fn push(&mut self, name: &str, kind: ActorKind, steps: Vec<Step>) -> u16 {
        self.actors.push(Actor { name: name.to_owned(), kind, steps });
        (self.actors.len() - 1) as u16
    }

    /// How long the program lasts.
    fn length(&self) -> Duration {
        self.until.saturating_sub(self.episode.zero)
    }

    /// The number of the first beat that is due after zero, and how many there are, for something
    /// that is due every `every` from the beginning of the activity on.
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

    /// GLib counts an interval from the last dispatch, so a busy machine fires fewer of them, and
    /// each drifts further. Only half are required.
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

    /// The daemon is another process. The program has a thread that answers in its place.
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
        let inside = self.actors[usize::from(callback)].first_inside(0);
        self.keys.openers.insert(i, OpenerKeys { callback, inside, task });
    }
}

fn ms(time: Duration) -> u64 {
    time.as_millis() as u64
}
