//! What happened: one event after another, with the counters at that moment.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::program::Side;

/// The step index of a source's firing, as opposed to a step of its callback.
pub const FIRED: u16 = u16::MAX;
/// The step index of a task being dropped after a cancel.
pub const CANCELLED: u16 = u16::MAX - 1;

/// The kind of an event. Kinds are judged separately, because in one earlier strategy I/O kept
/// working while timers froze.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An async timer.
    Timer,
    /// Async readiness of a descriptor.
    Io,
    /// A task woken by a message or a signal.
    Wake,
    /// A task that needed no event: its first poll, a yield, or its end by cancellation.
    Task,
    /// A GLib timeout source.
    Timeout,
    /// A GLib idle source.
    Idle,
    /// A GLib descriptor watch.
    Fd,
}

impl Kind {
    /// The loop that delivers it.
    pub fn side(self) -> Side {
        match self {
            Self::Timer | Self::Io | Self::Wake | Self::Task => Side::Async,
            Self::Timeout | Self::Idle | Self::Fd => Side::Glib,
        }
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timer => "timer",
            Self::Io => "I/O",
            Self::Wake => "wake",
            Self::Task => "task step",
            Self::Timeout => "timeout",
            Self::Idle => "idle",
            Self::Fd => "fd watch",
        }
    }
}

/// Identifies one event of a program; the same in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Index of the actor.
    pub actor: u16,
    /// Index of its step; those inside block-ons follow the others.
    pub step: u16,
    /// Which occurrence.
    pub n: u32,
    /// Its kind.
    pub kind: Kind,
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Something due was delivered.
    Reached(Key),
    /// A nested loop began; the number is the index in [`Program::levels`](crate::Program::levels).
    Open(u16),
    /// A nested loop ended.
    Close(u16),
    /// A nested loop was quit.
    Quit(u16),
    /// A quiet window began.
    QuietBegin,
    /// A quiet window ended.
    QuietEnd,
    /// The strategy refused to open this level.
    Refused(u16),
    /// The rescue thread has read the counters; nothing happened.
    Look,
    /// A thread of the subject runs, or waits for a processor, at the moment of a poke, so it will look
    /// for work anyway. Recorded just before the poke begins.
    Awake,
    /// The rescue thread begins a poke: it wakes everything, because something is overdue.
    PokeBegin(u16),
    /// The time for that poke to show an effect is over.
    PokeEnd(u16),
    /// A panic was caught or began.
    Panicked,
    /// All actors are done.
    Done,
}

/// An event with the counters of the loop thread when it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Since the run began.
    pub at: Duration,
    /// How many nested loops were open.
    pub depth: u16,
    /// What happened.
    pub what: What,
    /// Counters.
    pub meter: Meter,
}

/// Counters since the run began.
///
/// `switches` is read only where a window or a poke begins or ends; elsewhere it is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    /// Iterations of the GLib context, counted by a probe source that is never ready.
    pub iterations: u64,
    /// Things done for the program: events delivered and flood steps.
    pub useful: u64,
    /// Voluntary context switches of the loop thread: how often it slept.
    pub switches: u64,
    /// Processor time of the loop thread.
    pub cpu: Duration,
    /// How long the threads of the subject, all together, could run and did not, because the
    /// processors were busy with other work.
    pub delay: Duration,
    /// The supervisor's clock, which stands still when the machine does.
    pub ticks: u64,
}

impl Meter {
    /// The difference to an `earlier` reading. A counter that was not read in one of them gives
    /// zero or the full count, never a negative number.
    #[must_use]
    pub fn saturating_sub(self, earlier: Self) -> Self {
        Self {
            iterations: self.iterations.saturating_sub(earlier.iterations),
            useful: self.useful.saturating_sub(earlier.useful),
            switches: self.switches.saturating_sub(earlier.switches),
            cpu: self.cpu.saturating_sub(earlier.cpu),
            delay: self.delay.saturating_sub(earlier.delay),
            ticks: self.ticks.saturating_sub(earlier.ticks),
        }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "how")]
pub enum End {
    /// The strategy returned.
    Finished,
    /// The process died.
    Died {
        /// The signal, or none if it exited by itself.
        signal: Option<i32>,
        /// The exit code, or none if a signal killed it.
        code: Option<i32>,
        /// The last line on stderr that looks like a reason.
        message: String,
    },
    /// It did not end in time and was killed.
    Deadline {
        /// What was counted shortly before it was killed.
        last: Meter,
        /// The loop thread was asleep in a lock all that time.
        in_lock: bool,
    },
    /// The measurement failed.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// In the order in which they happened.
    pub events: Vec<Event>,
    /// Counters when it ended.
    pub meter: Meter,
    /// How it ended.
    pub end: End,
    /// Refusals and warnings of the strategy.
    pub notes: Vec<String>,
}

impl Trace {
    /// Everything that was delivered, and when.
    pub fn reached(&self) -> impl Iterator<Item = (Duration, Key)> {
        self.events.iter().filter_map(|event| match event.what {
            What::Reached(key) => Some((event.at, key)),
            _ => None,
        })
    }

    /// Index of the event that delivered `key`.
    pub fn position(&self, key: Key) -> Option<usize> {
        self.events.iter().position(|e| e.what == What::Reached(key))
    }

    /// Index of the first event that is `what`.
    pub fn find(&self, what: What) -> Option<usize> {
        self.events.iter().position(|e| e.what == what)
    }
}

/// Receives events while a program runs.
pub trait Recorder: Send + Sync {
    /// Records an event.
    fn record(&self, at: Duration, depth: u16, what: What);
    /// Counts something done for the program.
    fn useful(&self);
    /// Records a refusal or a warning.
    fn note(&self, text: &str);
    /// A task is about to be polled with this waker. The rescue thread wakes the last waker of
    /// each.
    fn polled(&self, actor: u16, waker: &std::task::Waker) {
        let _ = (actor, waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meters_are_subtracted_counter_by_counter_and_never_below_zero() {
        let meter = |n: u64| Meter {
            iterations: n,
            useful: 2 * n,
            switches: 3 * n,
            cpu: Duration::from_nanos(4 * n),
            delay: Duration::from_nanos(6 * n),
            ticks: 5 * n,
        };
        assert_eq!(meter(7).saturating_sub(meter(4)), meter(3));
        assert_eq!(meter(4).saturating_sub(meter(7)), Meter::default());
        // Some of the kernel's counters are read only at the edges of windows.
        let earlier = Meter { switches: 0, cpu: Duration::ZERO, ..meter(4) };
        let counted = meter(7).saturating_sub(earlier);
        assert_eq!((counted.ticks, counted.switches), (15, 21));
    }
}
