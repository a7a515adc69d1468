//! Helpers for writing traces.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use loopnest_core::classify;
use loopnest_core::program::{Actor, ActorKind, How, Program, Step};
use loopnest_core::trace::{End, Event, Key, Kind, Meter, Trace, What};
use loopnest_core::verdict::{Finding, Judgement, Tally, WindowFigures, Word};

/// Iterations and sleeps that a good loop uses for one event: GLib needs up to three.
const HONEST: u64 = 2;

/// Builds a trace. Times are in milliseconds; the order of calls matters only for events at the
/// same time.
#[derive(Clone)]
pub struct Tape {
    items: Vec<(u64, Item)>,
    numbers: BTreeMap<Kind, u32>,
    stood_still: Vec<RangeInclusive<u64>>,
    kept: Vec<RangeInclusive<u64>>,
    computes: Vec<RangeInclusive<u64>>,
    end: End,
    notes: Vec<String>,
}

#[derive(Clone)]
enum Item {
    What(What),
    Work(Meter),
}

pub fn tape() -> Tape {
    Tape {
        items: Vec::new(),
        numbers: BTreeMap::new(),
        stood_still: Vec::new(),
        kept: Vec::new(),
        computes: Vec::new(),
        end: End::Finished,
        notes: Vec::new(),
    }
}

/// Both sides tick every 50 ms, 16 times in a dialog of 900 ms, then all is done.
pub fn dialog() -> Tape {
    tape()
        .level(0, 100, 1000)
        .every(50, 150..=900, Kind::Timer)
        .every(50, 150..=900, Kind::Timeout)
        .at(1100, What::Done)
}

impl Tape {
    pub fn at(mut self, ms: u64, what: What) -> Self {
        self.items.push((ms, Item::What(what)));
        self
    }

    /// The next event of its kind.
    pub fn reached(mut self, ms: u64, kind: Kind) -> Self {
        let n = self.numbers.entry(kind).or_default();
        let what = What::Reached(key(kind, *n));
        *n += 1;
        self.at(ms, what)
    }

    pub fn every(self, step: usize, times: RangeInclusive<u64>, kind: Kind) -> Self {
        times.step_by(step).fold(self, |tape, ms| tape.reached(ms, kind))
    }

    /// A nested loop that is quit in time.
    pub fn level(self, level: u16, open: u64, close: u64) -> Self {
        self.at(open, What::Open(level)).at(close, What::Quit(level)).at(close, What::Close(level))
    }

    pub fn quiet(self, from: u64, to: u64) -> Self {
        self.at(from, What::QuietBegin).at(to, What::QuietEnd)
    }

    pub fn poke(self, from: u64, to: u64) -> Self {
        self.at(from, What::PokeBegin(0)).at(to, What::PokeEnd(0))
    }

    /// Events due in `times` come only at `ms`.
    pub fn late(mut self, kind: Kind, times: RangeInclusive<u64>, ms: u64) -> Self {
        for (at, item) in &mut self.items {
            if item.is(kind) && times.contains(at) {
                *at = ms;
            }
        }
        self
    }

    /// Events due in `times` never come.
    pub fn never(mut self, kind: Kind, times: RangeInclusive<u64>) -> Self {
        self.items.retain(|(at, item)| !(item.is(kind) && times.contains(at)));
        self
    }

    /// `what` does not happen.
    pub fn without(mut self, what: What) -> Self {
        self.items.retain(|(_, item)| !matches!(item, Item::What(w) if *w == what));
        self
    }

    /// Nothing happens from `ms` on.
    pub fn cut(mut self, ms: u64) -> Self {
        self.items.retain(|(at, _)| *at < ms);
        self
    }

    /// The loop iterates for nothing.
    pub fn turns(mut self, ms: u64, iterations: u64, switches: u64) -> Self {
        let work = Meter { iterations, switches, ..Meter::default() };
        self.items.push((ms, Item::Work(work)));
        self
    }

    pub fn stood_still(mut self, times: RangeInclusive<u64>) -> Self {
        self.stood_still.push(times);
        self
    }

    /// Other work keeps the subject from running.
    pub fn kept(mut self, times: RangeInclusive<u64>) -> Self {
        self.kept.push(times);
        self
    }

    /// The kernel counts a wait of `length` milliseconds at `ms`, when it is over.
    pub fn kept_at(mut self, ms: u64, length: usize) -> Self {
        self.kept.extend(std::iter::repeat_n(ms..=ms, length));
        self
    }

    /// The loop thread computes.
    pub fn computes(mut self, times: RangeInclusive<u64>) -> Self {
        self.computes.push(times);
        self
    }

    pub fn refuses(mut self, ms: u64, level: u16, why: &str) -> Self {
        self.notes.push(why.to_owned());
        self.at(ms, What::Refused(level))
    }

    pub fn ends(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    pub fn dies(self, message: &str) -> Self {
        self.ends(End::Died { signal: Some(6), code: None, message: message.to_owned() })
    }

    /// Killed in the end, after this many iterations over the last stretch.
    pub fn killed(self, iterations: u64) -> Self {
        let last = Meter { iterations, ..Meter::default() };
        self.ends(End::Deadline { last, in_lock: false })
    }

    pub fn trace(mut self) -> Trace {
        self.items.sort_by_key(|(ms, _)| *ms);
        let mut events = Vec::new();
        let mut meter = Meter::default();
        let mut depth = 0;
        for (ms, item) in self.items {
            let passed = |stretches: &[RangeInclusive<u64>]| {
                stretches.iter().flat_map(Clone::clone).filter(|at| *at <= ms).count() as u64
            };
            meter.ticks = (ms - passed(&self.stood_still)) / 10;
            meter.delay = Duration::from_millis(passed(&self.kept));
            meter.cpu = Duration::from_millis(passed(&self.computes));
            let what = match item {
                Item::What(what) => what,
                Item::Work(work) => {
                    meter.iterations += work.iterations;
                    meter.switches += work.switches;
                    continue;
                }
            };
            if matches!(what, What::Reached(_)) {
                meter.useful += 1;
                meter.iterations += HONEST;
                meter.switches += HONEST;
            }
            depth += u16::from(matches!(what, What::Open(_)));
            events.push(Event { at: Duration::from_millis(ms), depth, what, meter });
            depth -= u16::from(matches!(what, What::Close(_)));
        }
        Trace { events, meter, end: self.end, notes: self.notes }
    }
}

impl Item {
    fn is(&self, kind: Kind) -> bool {
        matches!(self, Self::What(What::Reached(key)) if key.kind == kind)
    }
}

/// Events of one kind differ only by their number.
pub fn key(kind: Kind, n: u32) -> Key {
    Key { actor: 0, step: 0, n, kind }
}

/// A program whose nested loops are run in these ways; nothing else in it matters to a verdict.
pub fn program(levels: &[How]) -> Program {
    let dialog = |(i, how): (usize, &How)| Step::Dialog {
        level: format!("level-{i}"),
        how: *how,
        close_after_ms: None,
    };
    program_of(ActorKind::Task, levels.iter().enumerate().map(dialog).collect())
}

pub fn program_of(kind: ActorKind, steps: Vec<Step>) -> Program {
    Program {
        name: "program".to_owned(),
        about: String::new(),
        source: String::new(),
        tags: Vec::new(),
        actors: vec![Actor { name: "actor".to_owned(), kind, steps }],
    }
}

/// Judges a run of a program with up to four dialogs.
pub fn judge(ideal: &Tape, real: Tape) -> Verdict {
    judge_program(&program(&[How::Run; 4]), ideal, real)
}

pub fn judge_program(program: &Program, ideal: &Tape, real: Tape) -> Verdict {
    Verdict(classify(program, &ideal.clone().trace(), &real.trace()))
}

/// A judgement, with assertions.
pub struct Verdict(pub Judgement);

impl Verdict {
    /// Asserts that it has exactly these words, worst first.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert_eq!(self.0.text(), words, "{:#?}", self.0);
        self
    }

    /// Asserts that it has exactly these findings.
    #[track_caller]
    pub fn because(self, findings: &[Finding]) -> Self {
        assert_eq!(self.0.findings, BTreeSet::from_iter(findings.iter().copied()));
        self
    }

    #[track_caller]
    pub fn message(self, message: &str) -> Self {
        assert_eq!(self.0.message.as_deref(), Some(message));
        self
    }

    #[track_caller]
    pub fn tally(self, kind: Kind, due: u32, starved: u32, lost: u32) -> Self {
        let tally = self.0.tallies.iter().find(|(k, _)| *k == kind).map(|(_, tally)| *tally);
        assert_eq!(tally, Some(Tally { due, starved, lost, unsure: 0 }), "{kind:?}");
        self
    }

    pub fn window(&self, name: &str) -> &WindowFigures {
        let found = self.0.windows.iter().find(|w| w.name == name);
        found.unwrap_or_else(|| panic!("no window {name}: {:?}", self.0.windows))
    }

    pub fn has(&self, word: Word) -> bool {
        self.0.has(word)
    }
}
