//! Random programs for a main loop: sources, and what their callbacks do, as plain data.
//!
//! A program runs on any [`World`](crate::world::World), and says what happened as a list of lines. Everything in it is
//! logical: idles, descriptors that callbacks write to, ready times that are over or never come.
//! So the lines depend on the rules of the main loop alone, and not on the machine.
//!
//! A program ends: each dispatch does the next act of its source, and a source without acts is
//! removed. What happens outside of the loop happens when the loop sleeps, and when nothing is left
//! of that, the innermost loop is quit. A program that would poll for ever is run with a *closer*:
//! an idle below all others, which quits the innermost loop when nobody else has anything to do.

pub mod generate;
mod run;

use std::fmt;

/// How many pipes there are.
pub const PIPES: usize = 2;
/// How many loops there are.
pub const LOOPS: usize = 3;
/// Sources, and what drives the context.
#[derive(Clone)]
pub struct Program {
    /// The sources; acts name them by their place, modulo their number.
    pub sources: Vec<Source>,
    /// What happens at the top level.
    pub drive: Vec<Nest>,
    /// What happens from outside, one act whenever the context would sleep for ever; no nesting.
    pub outside: Vec<Act>,
}

/// A source.
#[derive(Clone, Debug)]
pub struct Source {
    /// What kind.
    pub kind: Kind,
    /// Its priority.
    pub priority: i32,
    /// Whether it may recurse; timeouts and GLib's idles never do.
    pub can_recurse: bool,
    /// The source whose child it is, if that comes earlier; else it is attached by itself.
    pub parent: Option<usize>,
    /// Whether it is attached when the program begins.
    pub attached: bool,
    /// Whether its ready time is zero when the program begins.
    pub due: bool,
    /// What it does, one act a dispatch.
    pub acts: Vec<Act>,
    /// What it does when it is asked, if it is asked: in its first prepares, in its first checks.
    pub asides: [Vec<Act>; 2],
}

/// What makes a source ready.
#[derive(Clone, Debug)]
pub enum Kind {
    /// GLib's idle.
    Idle,
    /// GLib's timeout of no time, which is always due.
    Timeout,
    /// A ready time, and what is added later.
    Plain,
    /// A pipe that is readable.
    Watch(usize),
    /// A pipe that is readable, looked at by its check.
    Poll(usize),
    /// Answers in turn, round and round: of prepare, of check.
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
    /// Makes a source due, or never.
    Due(usize, bool),
    /// Destroys a source.
    Destroy(usize),
    /// Attaches a source that is not attached.
    Attach(usize),
    /// Makes the second a child of the first, if it is free.
    Adopt(usize, usize),
    /// Takes a child from its parent, which destroys it. Only in a context: elsewhere GLib gives
    /// back a reference that was never taken, and uses the context that is not there.
    Disown(usize),
    /// Changes a priority. Not while somebody is asked: GLib then loses its place in the list.
    Priority(usize, i32),
    /// Changes whether a source may recurse.
    Recurse(usize, bool),
    /// Wakes the context.
    Wakeup,
    /// The context polls a pipe, or does no longer.
    RawPoll(usize),
    /// A source watches a pipe in addition.
    AddFd(usize, usize),
    /// A source watches its last pipe for nothing, or for reading.
    ModifyFd(usize, bool),
    /// A source watches its last pipe no longer.
    RemoveFd(usize),
    /// Quits a loop.
    Quit(usize),
    /// Iterates the context from inside.
    Nest(Nest),
}

/// Ways to iterate a context.
#[derive(Clone, Debug)]
pub enum Nest {
    /// Runs a loop.
    Run(usize),
    /// Iterates once, and may sleep.
    Block,
    /// Iterates so often, and may not sleep.
    Iterate(u32),
    /// Iterates while something is pending, which is how GTK programs drain.
    Drain,
    /// Asks whether something is pending, and leaves it at that.
    Pending,
}

/// What a run of a program found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What happened, in order.
    pub lines: Vec<String>,
    /// Whether it would never end; the model knows.
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

    /// Acts that are something.
    pub fn n_acts(&self) -> usize {
        let all = self.sources.iter().flat_map(|s| s.acts.iter().chain(s.asides.iter().flatten()));
        let inside = all.chain(&self.outside).filter(|act| !matches!(act, Act::Nothing)).count();
        inside + self.drive.len()
    }
}

/// As a script, a line each, with what is unusual.
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
