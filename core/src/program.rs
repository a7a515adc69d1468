//! A scenario as data: actors with steps.
//!
//! A [`Program`] says nothing about *how* it is run.
//! Every strategy runs the same value over the real loops, and [`ideal`](crate::model::ideal) runs
//! it in virtual time, so that the two traces can be compared event by event.
//! It is plain data so that it can be printed, stored as TOML, generated and shrunk.
//!
//! Channels, signals, pipes and levels have strings as names, and exist as soon as a step names
//! them.

mod check;
mod limits;

use serde::{Deserialize, Serialize};

pub use self::check::ProgramError;
pub use self::limits::{ACTORS, Exceeded, LEVELS, MILLIS, NESTED, STEPS, THINGS};

/// GLib's default priority (`G_PRIORITY_DEFAULT`).
pub const PRIORITY_DEFAULT: i32 = 0;
/// GLib's default priority of idle callbacks (`G_PRIORITY_DEFAULT_IDLE`).
pub const PRIORITY_IDLE: i32 = 200;

/// A scenario: what the actors of both sides do, and why it matters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Kebab-case name, unique among the scenarios.
    pub name: String,
    /// What happens and what is tested, in one or two sentences.
    pub about: String,
    /// Where the behaviour was seen: an issue, a paper, a line of GLib.
    pub source: String,
    /// Words to select by, such as `dialog` or `flood`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The participants.
    pub actors: Vec<Actor>,
}

/// One participant: an async task, a GLib source, or a thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct Actor {
    /// Unique within the program.
    pub name: String,
    /// What runs the steps.
    #[serde(flatten)]
    pub kind: ActorKind,
    /// What it does, in order. A source that fires several times runs all its steps each time.
    pub steps: Vec<Step>,
}

/// What runs an actor's steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ActorKind {
    /// An async task of the application, started with the program.
    Task,
    /// An async task that a library put on tokio's own queue (`tokio::spawn`).
    LibraryTask,
    /// An async task of another tokio runtime, which has its own thread.
    RemoteTask,
    /// An async task of the application that waits for [`Step::Spawn`].
    Dormant,
    /// A GLib timeout source.
    Timeout {
        /// Milliseconds between firings, counted from dispatch as GLib does.
        every_ms: u64,
        /// How often it fires before it is removed.
        times: u32,
        /// GLib priority.
        priority: i32,
    },
    /// A GLib idle source that is ready in every iteration until `for_ms` have passed.
    Flood {
        /// Milliseconds from the start of the program.
        for_ms: u64,
        /// GLib priority.
        priority: i32,
    },
    /// A GLib watch on the reading end of a pipe; each dispatch reads one byte or the end of file.
    Watch {
        /// Name of the pipe.
        pipe: String,
        /// How many dispatches there will be (the end of file is one).
        times: u32,
    },
    /// An operating-system thread that sleeps, sends, resolves, writes and closes.
    Thread,
}

/// Which loop runs an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The async runtime.
    Async,
    /// GLib's main loop.
    Glib,
    /// Neither: a thread of the program.
    Thread,
}

/// One step of an actor.
///
/// Only async actors can sleep, tick, receive, await, read, call and yield. A thread can sleep too,
/// but cannot open nested loops, compute or panic. Every actor can do the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Step {
    /// Wait for a time (threads can do this too).
    Sleep {
        /// Milliseconds.
        ms: u64,
    },
    /// Wait for `times` absolute deadlines, `every_ms` apart.
    Tick {
        /// Milliseconds between deadlines.
        every_ms: u64,
        /// Number of deadlines.
        times: u32,
    },
    /// Put messages into a channel, without waiting.
    Send {
        /// Name of the channel.
        channel: String,
        /// How many.
        n: u32,
    },
    /// Take messages from a channel, waiting for each.
    Receive {
        /// Name of the channel.
        channel: String,
        /// How many.
        n: u32,
    },
    /// Complete a signal.
    Resolve {
        /// Name of the signal.
        signal: String,
    },
    /// Wait for a signal.
    Await {
        /// Name of the signal.
        signal: String,
    },
    /// Write one byte into a pipe.
    Write {
        /// Name of the pipe.
        pipe: String,
    },
    /// Close the writing end of a pipe.
    Close {
        /// Name of the pipe.
        pipe: String,
    },
    /// Read bytes from a pipe one at a time, waiting for each; the end of file counts as one.
    Read {
        /// Name of the pipe.
        pipe: String,
        /// How many.
        n: u32,
    },
    /// Make GAsyncResult calls one after another, waiting for each.
    Call {
        /// Milliseconds until the peer answers, counted from the start of each call.
        after_ms: u64,
        /// How many.
        n: u32,
        /// How each ends.
        reply: Reply,
    },
    /// Yield again and again until `for_ms` have passed: an async flood.
    Yield {
        /// Milliseconds.
        for_ms: u64,
    },
    /// Compute without yielding.
    Compute {
        /// Milliseconds.
        ms: u64,
    },
    /// Open a dialog: run a nested GLib loop.
    Dialog {
        /// Name of the level, unique among the dialogs of the program.
        level: String,
        /// How the nested loop is run.
        how: How,
        /// Milliseconds until a GLib timeout closes it; without it, a [`Step::Quit`] must.
        close_after_ms: Option<u64>,
    },
    /// End a nested loop.
    Quit {
        /// Name of the level.
        level: String,
    },
    /// Wait inside a callback until the steps, run as an async task, are done.
    BlockOn {
        /// Name of the level, unique among the dialogs of the program.
        level: String,
        /// What is waited for.
        steps: Vec<Step>,
    },
    /// Start a dormant actor.
    Spawn {
        /// Name of the actor.
        actor: String,
    },
    /// Cancel an actor's task.
    Cancel {
        /// Name of the actor.
        actor: String,
    },
    /// Begin a quiet window: until [`Step::QuietEnd`] nothing is due on either side.
    QuietBegin,
    /// End the quiet window.
    QuietEnd,
    /// Panic.
    Panic,
}

/// How a GAsyncResult call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// With a value.
    Value,
    /// With a `GError`.
    Error,
}

/// How a nested loop is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// `GMainLoop`, as `gtk_dialog_run()` does.
    Run,
    /// `while !closed { iteration(TRUE) }`.
    Iteration,
    /// `while !closed { while pending() { iteration(FALSE) } sleep(5 ms) }`.
    Drain,
}

impl Step {
    /// The steps inside this one.
    pub fn inner(&self) -> &[Self] {
        match self {
            Self::BlockOn { steps, .. } => steps,
            _ => &[],
        }
    }

    /// Like [`inner`](Self::inner), but mutable; `None` if the step cannot have any.
    pub fn inner_mut(&mut self) -> Option<&mut Vec<Self>> {
        match self {
            Self::BlockOn { steps, .. } => Some(steps),
            _ => None,
        }
    }

    /// The level of the nested loop that this step opens.
    pub fn level(&self) -> Option<&str> {
        match self {
            Self::Dialog { level, .. } | Self::BlockOn { level, .. } => Some(level),
            _ => None,
        }
    }
}

impl Actor {
    /// Its steps, with those inside a step after it.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        flat(&self.steps)
    }

    /// The number of the first step inside the step with this index, as in
    /// [`Key::step`](crate::trace::Key::step).
    pub fn first_inside(&self, index: usize) -> u16 {
        inner_base(&self.steps, 0, index)
    }
}

/// The number of the first step inside `steps[index]`, whose own steps are numbered from `base`.
///
/// The steps of a list have consecutive numbers. Those inside them follow, so no two steps of an
/// actor share a number.
pub(crate) fn inner_base(steps: &[Step], base: u16, index: usize) -> u16 {
    let before = steps[..index].iter().map(|step| flat(step.inner()).count()).sum::<usize>();
    base + (steps.len() + before) as u16
}

impl ActorKind {
    /// Which loop runs it.
    pub fn side(&self) -> Side {
        match self {
            Self::Task | Self::LibraryTask | Self::RemoteTask | Self::Dormant => Side::Async,
            Self::Timeout { .. } | Self::Flood { .. } | Self::Watch { .. } => Side::Glib,
            Self::Thread => Side::Thread,
        }
    }

    /// Whether this actor starts with the program, which then ends only after this actor.
    ///
    /// A dormant actor counts only once it is spawned, because otherwise it never ends.
    pub fn starts_by_itself(&self) -> bool {
        !matches!(self, Self::Dormant)
    }
}

impl Program {
    /// The levels of all nested loops, in order of appearance.
    pub fn levels(&self) -> Vec<String> {
        self.steps().filter_map(Step::level).map(str::to_owned).collect()
    }

    /// All steps of all actors, with those inside a step after it.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.actors.iter().flat_map(Actor::all_steps)
    }
}

/// The steps of an actor with those inside them: each after the one that contains it.
fn flat(steps: &[Step]) -> impl Iterator<Item = &Step> {
    let mut rest = vec![steps.iter()];
    std::iter::from_fn(move || {
        loop {
            match rest.last_mut()?.next() {
                Some(step) => {
                    rest.push(step.inner().iter());
                    return Some(step);
                }
                None => drop(rest.pop()),
            }
        }
    })
}

/// An [`Actor`] as it is written in TOML.
///
/// serde cannot refuse unknown fields in a flattened type (serde-rs/serde#1600), but a typo must
/// not give a different program.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    kind: String,
    every_ms: Option<u64>,
    for_ms: Option<u64>,
    times: Option<u32>,
    priority: Option<i32>,
    pipe: Option<String>,
    #[serde(default)]
    steps: Vec<Step>,
}

impl TryFrom<Written> for Actor {
    type Error = String;

    fn try_from(mut w: Written) -> Result<Self, String> {
        let missing = |field| move || format!("an actor of this kind needs `{field}`");
        let kind = match w.kind.as_str() {
            "task" => ActorKind::Task,
            "library-task" => ActorKind::LibraryTask,
            "remote-task" => ActorKind::RemoteTask,
            "dormant" => ActorKind::Dormant,
            "timeout" => ActorKind::Timeout {
                every_ms: w.every_ms.take().ok_or_else(missing("every_ms"))?,
                times: w.times.take().ok_or_else(missing("times"))?,
                priority: w.priority.take().ok_or_else(missing("priority"))?,
            },
            "flood" => ActorKind::Flood {
                for_ms: w.for_ms.take().ok_or_else(missing("for_ms"))?,
                priority: w.priority.take().ok_or_else(missing("priority"))?,
            },
            "watch" => ActorKind::Watch {
                pipe: w.pipe.take().ok_or_else(missing("pipe"))?,
                times: w.times.take().ok_or_else(missing("times"))?,
            },
            "thread" => ActorKind::Thread,
            other => return Err(format!("no such kind of actor: `{other}`")),
        };
        let left = [
            ("every_ms", w.every_ms.is_some()),
            ("for_ms", w.for_ms.is_some()),
            ("times", w.times.is_some()),
            ("priority", w.priority.is_some()),
            ("pipe", w.pipe.is_some()),
        ];
        match left.into_iter().find(|(_, left)| *left) {
            Some((field, _)) => Err(format!("`{field}` does not belong to a {}", w.kind)),
            None => Ok(Self { name: w.name, kind, steps: w.steps }),
        }
    }
}
