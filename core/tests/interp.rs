//! What the interpreter records when a strategy refuses, or carries a panic to the caller of a
//! nested loop: neither happens in the ideal run.
#![cfg(not(loopnest_loom))]

mod common;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use common::*;
use loopnest_core::Program;
use loopnest_core::interp::Run;
use loopnest_core::loops::{
    BoxFuture, Callback, Canceller, Channel, Home, Job, Loops, Pipe, Refused,
};
use loopnest_core::program::{How, Reply, Step};
use loopnest_core::trace::{Recorder, What};

/// What the loops do when they are asked to nest.
#[derive(Clone, Copy)]
enum When {
    Panics,
    Refuses,
    RefusesHost,
    /// Nesting works, but channels deliver these messages instead of their own.
    Delivers(&'static [u32]),
}

/// Loops that poll each task once, when it is spawned.
struct Stub(When);

const REFUSED: Refused = Refused { strategy: "stub", what: "nest", why: "it cannot" };

impl Stub {
    fn nest(&self) -> Result<(), Refused> {
        match self.0 {
            When::Panics => resume_unwind(Box::new("from a callback")),
            When::Refuses => Err(REFUSED),
            When::RefusesHost | When::Delivers(_) => Ok(()),
        }
    }
}

/// Delivers given messages, whatever is sent.
struct Stubborn(Mutex<std::slice::Iter<'static, u32>>);

impl Channel for Stubborn {
    fn send(&self, _message: u32) {}

    fn receive(&self) -> BoxFuture<u32> {
        let next = self.0.lock().expect("no test panics while it receives").next();
        Box::pin(std::future::ready(*next.expect("the test has given it enough messages")))
    }
}

impl Loops for Stub {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn spawn(&self, _home: Home, mut task: BoxFuture) -> Canceller {
        let poll = || task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(catch_unwind(AssertUnwindSafe(poll)));
        Box::new(|| {})
    }

    fn sleep_until(&self, _deadline: Duration) -> BoxFuture {
        Box::pin(std::future::ready(()))
    }

    fn channel(&self) -> Arc<dyn Channel> {
        let When::Delivers(messages) = self.0 else {
            unreachable!("no other program here has one");
        };
        Arc::new(Stubborn(Mutex::new(messages.iter())))
    }

    fn pipe(&self) -> io::Result<Arc<dyn Pipe>> {
        Err(io::ErrorKind::QuotaExceeded.into())
    }

    fn call(&self, _home: Home, _after: Duration, _reply: Reply) -> BoxFuture<Option<Reply>> {
        unreachable!("no program here has one")
    }

    fn add_timeout(&self, _priority: i32, _interval: Duration, _callback: Callback) {}

    fn add_idle(&self, _priority: i32, _callback: Callback) {}

    fn run_nested(&self, _level: &str, _how: How) -> Result<(), Refused> {
        self.nest()
    }

    fn quit(&self, _level: &str) {}

    fn block_on(&self, _task: BoxFuture) -> Result<(), Refused> {
        self.nest()
    }

    fn on_host(&self, _home: Home, job: Job) -> BoxFuture<Result<(), Refused>> {
        if let When::RefusesHost = self.0 {
            return Box::pin(std::future::ready(Err(REFUSED)));
        }
        job();
        Box::pin(std::future::ready(Ok(())))
    }

    fn thread(&self, _script: Vec<(Duration, Job)>) {}

    fn compute(&self, _time: Duration) {}
}

#[derive(Default)]
struct Log {
    events: Mutex<Vec<(What, u16)>>,
    notes: Mutex<Vec<String>>,
}

impl Recorder for Log {
    fn record(&self, _at: Duration, depth: u16, what: What) {
        self.events.lock().expect("no test panics while it records").push((what, depth));
    }

    fn useful(&self) {}

    fn note(&self, text: &str) {
        self.notes.lock().expect("no test panics while it records").push(text.to_owned());
    }
}

/// What is recorded, with its depth.
#[track_caller]
fn run(when: When, program: Program) -> Vec<(What, u16)> {
    program.check().expect("the test's program makes sense");
    let log = Arc::new(Log::default());
    let run = Run::new(Arc::new(program), Arc::new(Stub(when)), log.clone());
    let done = run.expect("the program has no pipe").start();
    assert!(done.is_set());
    if !matches!(when, When::Panics) {
        let notes = log.notes.lock().expect("no test panics while it records");
        assert_eq!(*notes, ["stub refuses to nest: it cannot"]);
    }
    let mut events = log.events.lock().expect("no test panics while it records");
    std::mem::take(&mut *events)
}

#[test]
fn a_panic_carried_through_a_nested_loop_closes_it() {
    let closed = [(What::Open(0), 1), (What::Close(0), 1), (What::Done, 0)];
    assert_eq!(run(When::Panics, program().task("task", vec![dialog("d", 1)])), closed);
    assert_eq!(run(When::Panics, program().task("task", vec![block_on("b", vec![])])), closed);
}

#[test]
fn a_refused_nested_loop_closes_at_once_and_its_actor_goes_on() {
    for nest in [dialog("level", 1), block_on("level", vec![])] {
        let events = run(When::Refuses, program().task("task", vec![nest, Step::QuietBegin]));
        let wanted = [
            (What::Open(0), 1),
            (What::Refused(0), 1),
            (What::Close(0), 1),
            (What::QuietBegin, 0),
            (What::Done, 0),
        ];
        assert_eq!(events, wanted);
    }
}

#[test]
fn a_nested_loop_that_cannot_be_reached_is_not_opened_and_its_actor_goes_on() {
    for nest in [dialog("level", 1), block_on("level", vec![])] {
        let events = run(When::RefusesHost, program().task("task", vec![nest, Step::QuietBegin]));
        assert_eq!(events, [(What::Refused(0), 0), (What::QuietBegin, 0), (What::Done, 0)]);
    }
}

#[test]
fn a_pipe_that_cannot_be_made_is_an_error_before_anything_begins() {
    let (log, stub) = (Arc::new(Log::default()), Arc::new(Stub(When::Refuses)));
    for all in [program().task("task", vec![read("p", 1)]), program().watch("w", "p", 1, vec![])] {
        let run = Run::new(Arc::new(all), stub.clone(), log.clone());
        assert_eq!(run.expect_err("there is no pipe").kind(), io::ErrorKind::QuotaExceeded);
    }
    assert!(log.events.lock().expect("no test panics while it records").is_empty());
}

#[test]
fn a_message_that_is_not_the_next_one_is_not_received() {
    let program = || program().task("task", vec![send("c", 3), receive("c", 3)]);
    let received = |messages| {
        let log = Arc::new(Log::default());
        let stub = Arc::new(Stub(When::Delivers(messages)));
        let run = Run::new(Arc::new(program()), stub, log.clone()).expect("there is no pipe");
        run.start();
        let numbers = |(what, _): &(What, u16)| match what {
            What::Reached(key) => Some(key.n),
            _ => None,
        };
        let events = log.events.lock().expect("no test panics while it records");
        let notes = log.notes.lock().expect("no test panics while it records");
        (events.iter().filter_map(numbers).collect::<Vec<_>>(), notes.len())
    };
    assert_eq!(received(&[0, 1, 2]), (vec![0, 1, 2], 0));
    assert_eq!(received(&[0, 2, 1]), (vec![0], 2), "one has overtaken another");
    assert_eq!(received(&[0, 0, 1]), (vec![0], 2), "one came twice");
    assert_eq!(received(&[1, 2, 3]), (vec![], 3), "the first was lost");
}
