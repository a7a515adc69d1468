//! Random programs for a main loop: sources, and what their callbacks do, as plain data.
//!
//! A program runs on any [`World`](crate::world::World), and reports what happened as a list of
//! lines. Everything in it is logical: idles, descriptors that callbacks write to, ready times that
//! are past or never come. So the lines depend only on the rules of the main loop, not on the
//! machine.
//!
//! A program ends: each dispatch performs the next act of its source, and a source without acts is
//! removed. Acts from outside happen when the loop sleeps; when none are left, the innermost loop
//! is quit. A program that would poll for ever runs with a *closer*: an idle below all others,
//! which quits the innermost loop when no other source has anything to do.

pub mod generate;
mod run;

use std::fmt;

/// How many pipes there are.
pub const PIPES: usize = 2;
/// How many loops there are.
pub const LOOPS: usize = 3;
/// The sources, and what drives the context.
#[derive(Clone)]
pub struct Program {
    /// The sources. Acts refer to them by index, modulo their number.
    pub sources: Vec<Source>,
    /// What happens at the top level.
    pub drive: Vec<Nest>,
    /// What happens from outside, one act whenever the context would sleep for ever. These do not
    /// nest.
    pub outside: Vec<Act>,
}

/// A source.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its kind.
    pub kind: Kind,
    /// Its priority.
    pub priority: i32,
    /// Whether it may recurse; timeouts and GLib's idles never do.
    pub can_recurse: bool,
    /// Its parent, if that comes earlier in the list; otherwise it is attached by itself.
    pub parent: Option<usize>,
    /// Whether it is attached from the start.
    pub attached: bool,
    /// Whether its ready time is zero at the start.
    pub due: bool,
    /// What it does, one act per dispatch.
    pub acts: Vec<Act>,
    /// What it does in its first prepares and in its first checks, if it has them.
    pub asides: [Vec<Act>; 2],
}

/// What makes a source ready.
#[derive(Clone, Debug)]
pub enum Kind {
    /// GLib's idle.
    Idle,
    /// GLib's timeout with an interval of zero, which is always due.
    Timeout,
    /// A ready time, and whatever is added later.
    Plain,
    /// A pipe that is readable.
    Watch(usize),
    /// A readable pipe, which its check looks at.
    Poll(usize),
    /// The answers of prepare and of check, each list repeated.
    Asks(Vec<bool>, Vec<bool>),
}

/// What a callback does.
#[derive(Clone, Debug)]
pub enum Act {
    /// Nothing.
    Nothing,
    /// Writes a byte.
    Write(usize),
    /// Reads a byte.
    Read(usize),
    /// Closes the writing end.
    Close(usize),
    /// Makes a source due now, or never.
    Due(usize, bool),
    /// Destroys a source.
    Destroy(usize),
    /// Attaches a source that is not attached yet.
    Attach(usize),
    /// Makes the second source a child of the first, if it has no parent and no context.
    Adopt(usize, usize),
    /// Removes a child from its parent, which destroys it. Only in a context: without one GLib
    /// releases a reference that it never took, and uses a context that does not exist.
    Disown(usize),
    /// Changes a priority. Not inside a prepare or a check: GLib then loses its place in the list.
    Priority(usize, i32),
    /// Changes whether a source may recurse.
    Recurse(usize, bool),
    /// Wakes the context.
    Wakeup,
    /// Makes the context poll a pipe, or stop polling it.
    RawPoll(usize),
    /// Makes a source watch another pipe.
    AddFd(usize, usize),
    /// Makes a source watch its last pipe for nothing, or for reading.
    ModifyFd(usize, bool),
    /// Makes a source stop watching its last pipe.
    RemoveFd(usize),
    /// Quits a loop.
    Quit(usize),
    /// Iterates the context from inside the callback.
    Nest(Nest),
}

/// Ways to iterate a context.
#[derive(Clone, Debug)]
pub enum Nest {
    /// Runs a loop.
    Run(usize),
    /// Iterates once, and may sleep.
    Block,
    /// Iterates this many times, and may not sleep.
    Iterate(u32),
    /// Iterates while something is pending, which is how GTK programs drain.
    Drain,
    /// Only asks whether something is pending.
    Pending,
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What happened, in order.
    pub lines: Vec<String>,
    /// Whether it would never end, which only the model can tell.
    pub stuck: bool,
}

impl Program {
    /// Sources that can ever be dispatched.
    pub fn n_live(&self) -> usize {
        let n = self.sources.len();
        let named = |act: &Act| match *act {
            Act::Attach(i) | Act::Adopt(_, i) => Some(i % n),
            _ => None,
        };
        let all = self.sources.iter().flat_map(|s| s.acts.iter().chain(s.asides.iter().flatten()));
        let named: Vec<_> = all.chain(&self.outside).filter_map(named).collect();
        let lives = |(i, source): (usize, &Source)| {
            let is_child = source.parent.is_some_and(|parent| parent % n < i);
            source.attached || is_child || named.contains(&i)
        };
        self.sources.iter().enumerate().filter(|&source| lives(source)).count()
    }

    /// Acts other than nothing.
    pub fn n_acts(&self) -> usize {
        let all = self.sources.iter().flat_map(|s| s.acts.iter().chain(s.asides.iter().flatten()));
        let inside = all.chain(&self.outside).filter(|act| !matches!(act, Act::Nothing)).count();
        inside + self.drive.len()
    }
}

/// As a script with one source per line, listing only what differs from the defaults.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.sources.len();
        for (i, source) in self.sources.iter().enumerate() {
            write!(f, "\n  source {i}: {:?}, priority {}", source.kind, source.priority)?;
            match source.parent.map(|parent| parent % n).filter(|&parent| parent < i) {
                Some(parent) => write!(f, ", child of {parent}")?,
                None if !source.attached => f.write_str(", not attached")?,
                None => {}
            }
            for (is, what) in [(source.can_recurse, ", can recurse"), (source.due, ", due")] {
                f.write_str(if is { what } else { "" })?;
            }
            write!(f, "; does {:?}", source.acts)?;
            for (when, acts) in ["prepares", "checks"].iter().zip(&source.asides) {
                if !acts.is_empty() {
                    write!(f, ", in its first {when} {acts:?}")?;
                }
            }
        }
        write!(f, "\n  outside, when asleep: {:?}\n  drive: {:?}", self.outside, self.drive)
    }
}
