//! Helpers for writing programs.
#![allow(dead_code, reason = "each test crate uses only a part")]

use loopnest_core::Program;
use loopnest_core::program::{Actor, ActorKind, How, PRIORITY_DEFAULT, Reply, Step};

pub fn program() -> Program {
    Program {
        name: "program".to_owned(),
        about: "What is looked for.".to_owned(),
        source: "a test".to_owned(),
        tags: Vec::new(),
        actors: Vec::new(),
    }
}

/// Adds actors to a program.
pub trait With: Sized {
    fn with(self, name: &str, kind: ActorKind, steps: Vec<Step>) -> Self;

    fn task(self, name: &str, steps: Vec<Step>) -> Self {
        self.with(name, ActorKind::Task, steps)
    }

    fn dormant(self, name: &str, steps: Vec<Step>) -> Self {
        self.with(name, ActorKind::Dormant, steps)
    }

    fn thread(self, name: &str, steps: Vec<Step>) -> Self {
        self.with(name, ActorKind::Thread, steps)
    }

    fn every(self, name: &str, every_ms: u64, times: u32, steps: Vec<Step>) -> Self {
        let priority = PRIORITY_DEFAULT;
        self.with(name, ActorKind::Timeout { every_ms, times, priority }, steps)
    }

    fn after(self, name: &str, ms: u64, steps: Vec<Step>) -> Self {
        self.every(name, ms, 1, steps)
    }

    fn flood(self, name: &str, for_ms: u64, steps: Vec<Step>) -> Self {
        let priority = PRIORITY_DEFAULT;
        self.with(name, ActorKind::Flood { for_ms, priority }, steps)
    }

    fn watch(self, name: &str, pipe: &str, times: u32, steps: Vec<Step>) -> Self {
        self.with(name, ActorKind::Watch { pipe: pipe.to_owned(), times }, steps)
    }
}

impl With for Program {
    fn with(mut self, name: &str, kind: ActorKind, steps: Vec<Step>) -> Self {
        self.actors.push(Actor { name: name.to_owned(), kind, steps });
        self
    }
}

pub fn sleep(ms: u64) -> Step {
    Step::Sleep { ms }
}

pub fn tick(every_ms: u64, times: u32) -> Step {
    Step::Tick { every_ms, times }
}

pub fn send(channel: &str, n: u32) -> Step {
    Step::Send { channel: channel.to_owned(), n }
}

pub fn receive(channel: &str, n: u32) -> Step {
    Step::Receive { channel: channel.to_owned(), n }
}

pub fn resolve(signal: &str) -> Step {
    Step::Resolve { signal: signal.to_owned() }
}

pub fn wait_for(signal: &str) -> Step {
    Step::Await { signal: signal.to_owned() }
}

pub fn write(pipe: &str) -> Step {
    Step::Write { pipe: pipe.to_owned() }
}

pub fn close(pipe: &str) -> Step {
    Step::Close { pipe: pipe.to_owned() }
}

pub fn read(pipe: &str, n: u32) -> Step {
    Step::Read { pipe: pipe.to_owned(), n }
}

pub fn call(after_ms: u64, n: u32, reply: Reply) -> Step {
    Step::Call { after_ms, n, reply }
}

pub fn compute(ms: u64) -> Step {
    Step::Compute { ms }
}

pub fn dialog(level: &str, close_after_ms: u64) -> Step {
    Step::Dialog { level: level.to_owned(), how: How::Run, close_after_ms: Some(close_after_ms) }
}

pub fn dialog_until_quit(level: &str) -> Step {
    Step::Dialog { level: level.to_owned(), how: How::Run, close_after_ms: None }
}

pub fn quit(level: &str) -> Step {
    Step::Quit { level: level.to_owned() }
}

pub fn block_on(level: &str, steps: Vec<Step>) -> Step {
    Step::BlockOn { level: level.to_owned(), steps }
}

pub fn spawn(actor: &str) -> Step {
    Step::Spawn { actor: actor.to_owned() }
}

pub fn cancel(actor: &str) -> Step {
    Step::Cancel { actor: actor.to_owned() }
}
