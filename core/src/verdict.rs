//! The words of a verdict and the figures beside them.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::program::Side;
use crate::trace::{Key, Kind};

/// What was found in a cell. A finding, not a pass or a fail.
///
/// Ordered from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Everything due inside a window was delivered inside it.
    Progress,
    /// The strategy does not offer this, by its own declaration.
    #[serde(rename = "n/a")]
    NotApplicable,
    /// Refused with a typed error; everything else went on as before.
    Refused,
    /// Iterations out of proportion to what was done.
    BusyLoop,
    /// Some kinds of a side stalled while others went on.
    Split,
    /// Due well inside a window, delivered only after it closed, or not before the deadline.
    Stall,
    /// A loop that was told to end ran on until other work had ended.
    HeldOpen,
    /// Never delivered, although every window closed and the program ended.
    Lost,
    /// A quit ended a loop that it was not meant for.
    WrongLevel,
    /// Iterates for ever, although nothing is left to do.
    Livelock,
    /// Asleep for ever in a lock.
    Deadlock,
    /// The process died.
    Abort,
    /// The measurement cannot tell.
    Inconclusive,
}

impl Word {
    /// All of them, from good to bad.
    pub const ALL: [Self; 13] = [
        Self::Progress,
        Self::NotApplicable,
        Self::Refused,
        Self::BusyLoop,
        Self::Split,
        Self::Stall,
        Self::HeldOpen,
        Self::Lost,
        Self::WrongLevel,
        Self::Livelock,
        Self::Deadlock,
        Self::Abort,
        Self::Inconclusive,
    ];

    /// The word as it is written everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Self::Progress => "progress",
            Self::NotApplicable => "n/a",
            Self::Refused => "refused",
            Self::BusyLoop => "busy-loop",
            Self::Split => "split",
            Self::Stall => "stall",
            Self::HeldOpen => "held-open",
            Self::Lost => "lost",
            Self::WrongLevel => "wrong-level",
            Self::Livelock => "livelock",
            Self::Deadlock => "deadlock",
            Self::Abort => "abort",
            Self::Inconclusive => "inconclusive",
        }
    }

    /// The word with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.name() == name)
    }

    /// What it means, in a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Progress => "everything due inside the window was delivered inside it",
            Self::NotApplicable => "the strategy declares that it does not offer this",
            Self::Refused => "refused with a typed error; everything else went on as before",
            Self::BusyLoop => "iterations out of proportion to what was done",
            Self::Split => "some kinds of one side stalled while others went on",
            Self::Stall => "due well inside the window, delivered only after it closed or never",
            Self::HeldOpen => "a loop that was told to end ran on until other work had ended",
            Self::Lost => "never delivered, although the window closed and the program ended",
            Self::WrongLevel => "a quit ended a loop that it was not meant for",
            Self::Livelock => "iterates for ever, although nothing is left to do",
            Self::Deadlock => "asleep for ever in a lock",
            Self::Abort => "the process died",
            Self::Inconclusive => "the measurement cannot tell",
        }
    }

    /// Whether an application would suffer from it.
    pub fn is_bad(self) -> bool {
        !matches!(self, Self::Progress | Self::NotApplicable | Self::Refused | Self::Inconclusive)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What exactly went wrong. Evidence for the rules that name the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// A side delivered nothing of what it owed, and waking it did not help.
    Frozen(Side),
    /// A poke produced what was owed.
    LostWakeUp,
    /// The loop iterated and the side was alive, but it did not deliver what it owed.
    Starved(Side),
    /// Delivered, but only after the window closed.
    Deferred(Side),
    /// Iterated without sleeping.
    Spin,
    /// Slept, but woke for nothing.
    Tick,
    /// A panic was caught, and only its task ended.
    PanicCaught,
}

/// Where it is decided whether an event came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Outside all windows: it must not be overtaken by what is due much later.
    Outside,
    /// A nested loop, by the index of its level.
    Level(u16),
    /// A flood, by the event that ends it.
    Flood(Key),
}

/// What became of an event that the ideal run delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It came before its window closed.
    InTime,
    /// Whether it came in time is not decided; see [`Unjudged`].
    NotJudged(Unjudged),
    /// It came only after its window had closed, or after what was due much later.
    Late,
    /// It came only with a poke, which woke what slept.
    Cured,
    /// It never came.
    Never,
}

impl Fate {
    /// Whether a side that owed it failed to deliver it in time.
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Late | Self::Cured | Self::Never)
    }
}

/// Why it is not decided whether an event came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unjudged {
    /// It was due too near to the end of its window.
    NearTheEnd,
    /// Its window was not opened, or was refused.
    NoWindow,
    /// It came before its window opened, which opened late.
    BeforeTheWindow,
    /// It came before its window opened, which opened in time: the ideal run, with its one thread, has
    /// it come later.
    Early,
    /// Its window closed before it was due, or at once then.
    ClosedEarly,
    /// The run was cut short, or its task was cancelled, before it could come.
    CutShort,
    /// What owed it could not run: the processors were busy with other work.
    CouldNotRun,
}

/// An event that the ideal run delivers, and what became of it in the real one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The event.
    pub key: Key,
    /// When it was due.
    pub due: Duration,
    /// Where it is decided whether it came in time; `None` if nowhere, because it was due too near to
    /// the end of a window, or because the real run had no such window.
    pub place: Option<Place>,
    /// What became of it.
    pub fate: Fate,
}

/// What one kind of event did in the windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Due well inside a window in the ideal run.
    pub due: u32,
    /// Of these, not delivered inside it.
    pub starved: u32,
    /// Of all events of the program, never delivered.
    pub lost: u32,
    /// Of those due, not judged because what owed them could not run.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unsure: u32,
}

/// One stretch of a run: a nested loop, a quiet window, or the run outside all nested loops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowFigures {
    /// The level's name, `quiet` or `run`.
    pub name: String,
    /// How long it was open, in milliseconds; with a poke in it, how long until the first.
    pub ms: u64,
    /// GLib iterations inside it.
    pub iterations: u64,
    /// What justifies iterations: the events and flood steps inside it.
    pub justified: u64,
    /// Voluntary context switches of the loop thread inside it.
    pub switches: u64,
    /// Share of the time that the loop thread ran on a processor, in thousandths.
    pub cpu_permille: u32,
    /// Share of the time that the subject could run and did not, in thousandths; at most 1000.
    #[serde(default)]
    pub kept_permille: u32,
    /// The most iterations that it may use.
    #[serde(default)]
    pub limit: u64,
    /// Whether its iterations are over the limit.
    pub busy: bool,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Figures of a cell, for the JSON contract.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Async events due well inside a window.
    pub async_due: u32,
    /// Of these, not delivered inside it.
    pub async_starved: u32,
    /// Async events never delivered.
    pub async_lost: u32,
    /// GLib events due well inside a window.
    pub glib_due: u32,
    /// Of these, not delivered inside it.
    pub glib_starved: u32,
    /// GLib events never delivered.
    pub glib_lost: u32,
    /// Longest time without an async event inside a nested loop, in milliseconds.
    pub longest_gap_ms: u64,
    /// GLib iterations of the window with the highest ratio of iterations to things done.
    pub iterations: u64,
    /// The things done in that window.
    pub justified: u64,
    /// Share of the time that the loop thread ran on a processor in that window.
    pub cpu_ratio: f64,
    /// Median lateness of async timers against the ideal run, in microseconds.
    pub timer_late_us: i64,
    /// Greatest earliness of async timers, in microseconds; 0 if none was early.
    pub timer_early_us: i64,
}

/// The verdict on one run, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// What was found, worst first; never empty.
    pub words: Vec<Word>,
    /// What exactly went wrong, for the rules.
    pub findings: BTreeSet<Finding>,
    /// What became of every event that the ideal run delivers, in the order in which they are due.
    /// The tallies and the words are made from it. Reports that are stored do not have it.
    #[serde(skip)]
    pub deliveries: Vec<Delivery>,
    /// The sides that stalled somewhere, for the rules. Reports that are stored do not have it.
    #[serde(skip)]
    pub stalled: BTreeSet<Side>,
    /// Per kind of event.
    pub tallies: Vec<(Kind, Tally)>,
    /// Per stretch of the run.
    pub windows: Vec<WindowFigures>,
    /// Figures of the cell.
    pub figures: Figures,
    /// How the process died, what was refused, or why the measurement failed.
    pub message: Option<String>,
}

impl Tally {
    /// Of those due, delivered in time.
    pub fn came(&self) -> u32 {
        self.due.saturating_sub(self.starved + self.unsure)
    }
}

impl Judgement {
    /// The worst word.
    pub fn worst(&self) -> Word {
        self.words.first().copied().unwrap_or(Word::Inconclusive)
    }

    /// Whether `word` is among the findings.
    pub fn has(&self, word: Word) -> bool {
        self.words.contains(&word)
    }

    /// The words in one string, worst first, joined by `+`.
    pub fn text(&self) -> String {
        self.words.iter().map(|w| w.name()).collect::<Vec<_>>().join("+")
    }
}
