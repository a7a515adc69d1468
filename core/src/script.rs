//! A program as readable text: who does what and when, step by step.
//!
//! ```text
//! opener: GLib timeout after 50 ms
//!     1  open dialog `dialog` (MainLoop::run), closed after 160 ms
//! timer: task
//!     2  sleep 80 ms
//! ```

use std::fmt::{self, Display, Formatter};

use crate::program::{ActorKind, How, PRIORITY_DEFAULT, PRIORITY_IDLE, Program, Reply, Step};

/// The script: an actor with its steps under it, steps numbered throughout.
impl Display for Program {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut n = 0;
        for actor in &self.actors {
            writeln!(f, "{}: {}", actor.name, Kind(&actor.kind))?;
            write_steps(f, &actor.steps, &mut n, 0)?;
        }
        Ok(())
    }
}

fn write_steps(f: &mut Formatter<'_>, steps: &[Step], n: &mut usize, deep: usize) -> fmt::Result {
    for step in steps {
        *n += 1;
        writeln!(f, "{n:>5}  {:1$}{step}", "", 2 * deep)?;
        write_steps(f, step.inner(), n, deep + 1)?;
    }
    Ok(())
}

struct Kind<'a>(&'a ActorKind);

impl Display for Kind<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            ActorKind::Task => f.write_str("task"),
            ActorKind::LibraryTask => f.write_str("task of a library (tokio::spawn)"),
            ActorKind::RemoteTask => f.write_str("task of another runtime, on its own thread"),
            ActorKind::Dormant => f.write_str("task, started later"),
            ActorKind::Timeout { every_ms, times: 1, priority } => {
                write!(f, "GLib timeout after {every_ms} ms")?;
                at(f, *priority, PRIORITY_DEFAULT)
            }
            ActorKind::Timeout { every_ms, times, priority } => {
                write!(f, "GLib timeout every {every_ms} ms, {}", Times(*times))?;
                at(f, *priority, PRIORITY_DEFAULT)
            }
            ActorKind::Flood { for_ms, priority } => {
                write!(f, "GLib idle source, ready until {for_ms} ms, then once")?;
                at(f, *priority, PRIORITY_IDLE)
            }
            ActorKind::Watch { pipe, times } => {
                write!(f, "GLib watch on `{pipe}`, {}", Times(*times))
            }
            ActorKind::Thread => f.write_str("thread"),
        }
    }
}

fn at(f: &mut Formatter<'_>, priority: i32, usual: i32) -> fmt::Result {
    if priority == usual { Ok(()) } else { write!(f, ", priority {priority}") }
}

/// How often.
struct Times(u32);

impl Display for Times {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 == 1 { f.write_str("once") } else { write!(f, "{} times", self.0) }
    }
}

/// How many of what.
struct Count(u32, &'static str);

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", self.0, self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// The step in one line, without the steps inside a block-on.
impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sleep { ms } => write!(f, "sleep {ms} ms"),
            Self::Tick { every_ms, times } => {
                write!(f, "tick every {every_ms} ms, {}", Times(*times))
            }
            Self::Send { channel, n } => write!(f, "send {} to `{channel}`", Count(*n, "message")),
            Self::Receive { channel, n } => {
                write!(f, "receive {} from `{channel}`", Count(*n, "message"))
            }
            Self::Resolve { signal } => write!(f, "resolve `{signal}`"),
            Self::Await { signal } => write!(f, "await `{signal}`"),
            Self::Write { pipe } => write!(f, "write a byte to `{pipe}`"),
            Self::Close { pipe } => write!(f, "close `{pipe}`"),
            Self::Read { pipe, n } => {
                write!(f, "read {} from `{pipe}`, or its end", Count(*n, "byte"))
            }
            Self::Call { after_ms, n, reply } => {
                let ends = match reply {
                    Reply::Value => "answered",
                    Reply::Error => "failing",
                };
                write!(f, "await {}, {ends} after {after_ms} ms", Count(*n, "GAsyncResult call"))
            }
            Self::Yield { for_ms } => write!(f, "yield for {for_ms} ms, always ready"),
            Self::Compute { ms } => write!(f, "compute for {ms} ms"),
            Self::Dialog { level, how, close_after_ms } => {
                let how = match how {
                    How::Run => "MainLoop::run",
                    How::Iteration => "while !closed { iteration(true) }",
                    How::Drain => "while pending() { iteration(false) }",
                };
                write!(f, "open dialog `{level}` ({how})")?;
                match close_after_ms {
                    Some(ms) => write!(f, ", closed after {ms} ms"),
                    None => f.write_str(", until it is quit"),
                }
            }
            Self::Quit { level } => write!(f, "quit `{level}`"),
            // The colon announces its steps.
            Self::BlockOn { level, steps } if steps.is_empty() => {
                write!(f, "block on a task that does nothing, as level `{level}`")
            }
            Self::BlockOn { level, .. } => write!(f, "block on a task, as level `{level}`:"),
            Self::Spawn { actor } => write!(f, "start `{actor}`"),
            Self::Cancel { actor } => write!(f, "cancel `{actor}`"),
            Self::QuietBegin => f.write_str("begin a quiet window"),
            Self::QuietEnd => f.write_str("end the quiet window"),
            Self::Panic => f.write_str("panic"),
        }
    }
}
