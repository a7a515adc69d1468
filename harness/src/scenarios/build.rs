//! Short functions to write programs with.

use loopnest_core::program::{Actor, ActorKind, How, PRIORITY_DEFAULT, Program, Reply, Step};

/// How long a dialog stays open: long enough for thirty ticks of 10 ms to be well inside it.
pub(super) const DIALOG_MS: u64 = 400;
/// When dialogs open: after everything else has begun.
pub(super) const OPEN_MS: u64 = 50;
/// The period of tickers.
pub(super) const TICK_MS: u64 = 10;
/// How many times a ticker ticks: until well after a dialog closes.
pub(super) const TICKS: u32 = 52;

pub(super) fn program(name: &str, tags: &[&str], about: &str, source: &str) -> Program {
    Program {
        name: name.to_owned(),
        about: about.to_owned(),
        source: source.to_owned(),
        tags: tags.iter().map(|&t| t.to_owned()).collect(),
        actors: Vec::new(),
    }
}

/// Adds actors to a program.
pub(super) trait With: Sized {
    fn with(self, name: &str, kind: ActorKind, steps: Vec<Step>) -> Self;

    fn task(self, name: &str, steps: Vec<Step>) -> Self {
        self.with(name, ActorKind::Task, steps)
    }

    fn library_task(self, name: &str, steps: Vec<Step>) -> Self {
        self.with(name, ActorKind::LibraryTask, steps)
    }

    fn remote_task(self, name: &str, steps: Vec<Step>) -> Self {
        self.with(name, ActorKind::RemoteTask, steps)
    }

    fn thread(self, name: &str, steps: Vec<Step>) -> Self {
        self.with(name, ActorKind::Thread, steps)
    }

    /// A GLib timeout that fires once.
    fn after(self, name: &str, ms: u64, steps: Vec<Step>) -> Self {
        self.every(name, ms, 1, steps)
    }

    /// A GLib timeout.
    fn every(self, name: &str, every_ms: u64, times: u32, steps: Vec<Step>) -> Self {
        let priority = PRIORITY_DEFAULT;
        self.with(name, ActorKind::Timeout { every_ms, times, priority }, steps)
    }

    /// A ticker on either side, from before a dialog until after it.
    fn tickers(self) -> Self {
        self.async_ticker().every("glib-ticker", TICK_MS, TICKS, vec![])
    }

    fn async_ticker(self) -> Self {
        self.task("ticker", vec![tick(TICK_MS, TICKS)])
    }
}

impl With for Program {
    fn with(mut self, name: &str, kind: ActorKind, steps: Vec<Step>) -> Self {
        self.actors.push(Actor { name: name.to_owned(), kind, steps });
        self
    }
}

pub(super) fn sleep(ms: u64) -> Step {
    Step::Sleep { ms }
}

pub(super) fn tick(every_ms: u64, times: u32) -> Step {
    Step::Tick { every_ms, times }
}

pub(super) fn send(channel: &str, n: u32) -> Step {
    Step::Send { channel: channel.to_owned(), n }
}

pub(super) fn receive(channel: &str, n: u32) -> Step {
    Step::Receive { channel: channel.to_owned(), n }
}

pub(super) fn resolve(signal: &str) -> Step {
    Step::Resolve { signal: signal.to_owned() }
}

pub(super) fn wait_for(signal: &str) -> Step {
    Step::Await { signal: signal.to_owned() }
}

pub(super) fn write(pipe: &str) -> Step {
    Step::Write { pipe: pipe.to_owned() }
}

pub(super) fn close(pipe: &str) -> Step {
    Step::Close { pipe: pipe.to_owned() }
}

pub(super) fn read(pipe: &str, n: u32) -> Step {
    Step::Read { pipe: pipe.to_owned(), n }
}

/// GAsyncResult calls, each answered after `after_ms`.
pub(super) fn call(after_ms: u64, n: u32) -> Step {
    Step::Call { after_ms, n, reply: Reply::Value }
}

pub(super) fn quit(level: &str) -> Step {
    Step::Quit { level: level.to_owned() }
}

pub(super) fn block_on(level: &str, steps: Vec<Step>) -> Step {
    Step::BlockOn { level: level.to_owned(), steps }
}

/// A dialog that a GLib timeout closes after [`DIALOG_MS`].
pub(super) fn dialog(level: &str) -> Step {
    dialog_for(level, How::Run, DIALOG_MS)
}

pub(super) fn dialog_for(level: &str, how: How, ms: u64) -> Step {
    Step::Dialog { level: level.to_owned(), how, close_after_ms: Some(ms) }
}

/// A dialog that another actor closes.
pub(super) fn dialog_until_quit(level: &str) -> Step {
    Step::Dialog { level: level.to_owned(), how: How::Run, close_after_ms: None }
}
