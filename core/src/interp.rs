//! Runs a [`Program`] over any [`Loops`] and reports to a [`Recorder`] what happened.
//!
//! The same code runs over the real loops and in virtual time, so the two traces can be compared.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::loops::{Canceller, Channel, Home, Job, Loops, Pipe};
use crate::program::{ActorKind, How, PRIORITY_DEFAULT, Program, Step, inner_base};
use crate::signal::Signal;
use crate::trace::{CANCELLED, FIRED, Key, Kind, Recorder, What};

/// A program being run.
#[derive(Clone)]
pub struct Run(Arc<Shared>);

struct Shared {
    program: Arc<Program>,
    levels: Vec<String>,
    loops: Arc<dyn Loops>,
    recorder: Arc<dyn Recorder>,
    channels: BTreeMap<String, Line>,
    signals: BTreeMap<String, Signal>,
    pipes: BTreeMap<String, Arc<dyn Pipe>>,
    cancellers: Mutex<BTreeMap<u16, Canceller>>,
    depth: AtomicU16,
    remaining: AtomicUsize,
    done: Signal,
}

/// A channel whose messages are numbered, to detect those that are lost, come twice or overtake
/// others. It has one receiver ([`Program::check`]).
struct Line {
    channel: Arc<dyn Channel>,
    /// Locked while a message is sent, so that messages enter the channel in the order of numbers.
    sent: Mutex<u32>,
    received: AtomicU32,
}

impl Line {
    fn new(channel: Arc<dyn Channel>) -> Self {
        Self { channel, sent: Mutex::default(), received: AtomicU32::new(0) }
    }

    fn send(&self) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        self.channel.send(*sent);
        *sent += 1;
    }

    /// Receives a message; an error if it is not the next one.
    async fn receive(&self) -> Result<(), String> {
        let got = self.channel.receive().await;
        let next = self.received.fetch_add(1, Ordering::AcqRel);
        if got == next { Ok(()) } else { Err(format!("message {got} came instead of {next}")) }
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run").field("program", &self.0.program.name).finish_non_exhaustive()
    }
}

impl Run {
    /// Prepares to run `program`. Nothing happens until [`start`](Self::start).
    ///
    /// # Errors
    /// If a pipe cannot be created.
    pub fn new(
        program: Arc<Program>,
        loops: Arc<dyn Loops>,
        recorder: Arc<dyn Recorder>,
    ) -> std::io::Result<Self> {
        let mut channels = BTreeMap::new();
        let mut signals = BTreeMap::new();
        let mut pipes = BTreeMap::new();
        for actor in &program.actors {
            if let ActorKind::Watch { pipe, .. } = &actor.kind {
                pipes.insert(pipe.clone(), loops.pipe()?);
            }
        }
        for step in program.steps() {
            match step {
                Step::Send { channel, .. } | Step::Receive { channel, .. } => {
                    channels.entry(channel.clone()).or_insert_with(|| Line::new(loops.channel()));
                }
                Step::Resolve { signal } | Step::Await { signal } => {
                    signals.entry(signal.clone()).or_default();
                }
                Step::Write { pipe } | Step::Close { pipe } | Step::Read { pipe, .. }
                    if !pipes.contains_key(pipe) =>
                {
                    pipes.insert(pipe.clone(), loops.pipe()?);
                }
                _ => {}
            }
        }
        let remaining = program.actors.iter().filter(|a| a.kind.starts_by_itself()).count();
        Ok(Self(Arc::new(Shared {
            levels: program.levels(),
            program,
            loops,
            recorder,
            channels,
            signals,
            pipes,
            cancellers: Mutex::default(),
            depth: AtomicU16::new(0),
            remaining: AtomicUsize::new(remaining),
            done: Signal::default(),
        })))
    }

    /// Starts every actor that starts by itself; call on the host thread.
    /// The signal is set when all are done.
    pub fn start(&self) -> Signal {
        let actors = &self.0.program.actors;
        if !actors.iter().any(|actor| actor.kind.starts_by_itself()) {
            // No actor will be the last to end.
            self.done();
        }
        for (i, actor) in actors.iter().enumerate() {
            if actor.kind.starts_by_itself() {
                self.start_actor(i as u16);
            }
        }
        self.0.done.clone()
    }

    fn start_actor(&self, index: u16) {
        let actor = &self.0.program.actors[usize::from(index)];
        let run = self.clone();
        match actor.kind.clone() {
            ActorKind::Task | ActorKind::Dormant => self.spawn(index, Home::Local),
            ActorKind::LibraryTask => self.spawn(index, Home::Library),
            ActorKind::RemoteTask => self.spawn(index, Home::Remote),
            ActorKind::Timeout { every_ms, times, priority } => {
                let mut n = 0;
                let callback = Box::new(move || {
                    run.reached(index, FIRED, n, Kind::Timeout);
                    n += 1;
                    run.callback(index);
                    run.end_after(n, times)
                });
                self.0.loops.add_timeout(priority, Duration::from_millis(every_ms), callback);
            }
            ActorKind::Flood { for_ms, priority } => {
                let callback = Box::new(move || {
                    run.0.recorder.useful();
                    if run.0.loops.now() < Duration::from_millis(for_ms) {
                        return ControlFlow::Continue(());
                    }
                    run.reached(index, FIRED, 0, Kind::Idle);
                    run.callback(index);
                    run.end_after(1, 1)
                });
                self.0.loops.add_idle(priority, callback);
            }
            ActorKind::Watch { pipe, times } => {
                let mut n = 0;
                let callback = Box::new(move || {
                    run.reached(index, FIRED, n, Kind::Fd);
                    n += 1;
                    run.callback(index);
                    run.end_after(n, times)
                });
                self.0.pipes[&pipe].watch(callback);
            }
            ActorKind::Thread => self.thread(index),
        }
    }

    fn spawn(&self, index: u16, home: Home) {
        let run = self.clone();
        let mut guard = TaskGuard { run: self.clone(), index, ended: false };
        let body = async move {
            let steps = &run.0.program.actors[usize::from(index)].steps;
            run.steps(index, 0, steps, home).await;
            guard.ended = true;
            drop(guard);
        };
        let run = self.clone();
        let watched = async move {
            let mut body = pin!(body);
            poll_fn(move |cx| {
                run.0.recorder.polled(index, cx.waker());
                body.as_mut().poll(cx)
            })
            .await;
        };
        let canceller = self.0.loops.spawn(home, Box::pin(watched));
        self.cancellers().insert(index, canceller);
    }

    fn thread(&self, index: u16) {
        let mut script: Vec<(Duration, Job)> = Vec::new();
        let mut delay = Duration::ZERO;
        let actor = &self.0.program.actors[usize::from(index)];
        for step in actor.steps.iter().cloned() {
            if let Step::Sleep { ms } = step {
                delay += Duration::from_millis(ms);
                continue;
            }
            let run = self.clone();
            script.push((std::mem::take(&mut delay), Box::new(move || run.step_now(index, &step))));
        }
        let run = self.clone();
        script.push((delay, Box::new(move || run.actor_done())));
        self.0.loops.thread(script);
    }

    /// The body of a callback.
    fn callback(&self, index: u16) {
        let _guard = CallbackGuard(self);
        let steps = &self.0.program.actors[usize::from(index)].steps;
        for (i, step) in steps.iter().enumerate() {
            match step {
                Step::Dialog { level, how, close_after_ms } => {
                    self.dialog(level, *how, *close_after_ms);
                }
                Step::BlockOn { level, steps: inner } => {
                    self.block_on(index, inner_base(steps, 0, i), level, inner.clone());
                }
                step => self.step_now(index, step),
            }
        }
    }

    /// The body of a task.
    fn steps<'a>(
        &'a self,
        index: u16,
        base: u16,
        steps: &'a [Step],
        home: Home,
    ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            for (nth, step) in steps.iter().enumerate() {
                let i = base + nth as u16;
                let loops = &self.0.loops;
                match step {
                    Step::Sleep { ms } => {
                        loops.sleep_until(loops.now() + Duration::from_millis(*ms)).await;
                        self.reached(index, i, 0, Kind::Timer);
                    }
                    Step::Tick { every_ms, times } => {
                        let start = loops.now();
                        for n in 0..*times {
                            let after = Duration::from_millis(*every_ms) * (n + 1);
                            loops.sleep_until(start + after).await;
                            self.reached(index, i, n, Kind::Timer);
                        }
                    }
                    Step::Receive { channel, n } => {
                        for n in 0..*n {
                            match self.0.channels[channel].receive().await {
                                Ok(()) => self.reached(index, i, n, Kind::Wake),
                                Err(wrong) => self.0.recorder.note(&wrong),
                            }
                        }
                    }
                    Step::Await { signal } => {
                        self.0.signals[signal].clone().await;
                        self.reached(index, i, 0, Kind::Wake);
                    }
                    Step::Read { pipe, n } => {
                        for n in 0..*n {
                            self.0.pipes[pipe].read().await;
                            self.reached(index, i, n, Kind::Io);
                        }
                    }
                    Step::Call { after_ms, n, reply } => {
                        let after = Duration::from_millis(*after_ms);
                        for n in 0..*n {
                            match loops.call(home, after, *reply).await {
                                Some(got) if got == *reply => {
                                    self.reached(index, i, n, Kind::Wake);
                                }
                                got => {
                                    let text = format!("a call for {reply:?} ended with {got:?}");
                                    self.0.recorder.note(&text);
                                }
                            }
                        }
                    }
                    Step::Yield { for_ms } => {
                        let end = loops.now() + Duration::from_millis(*for_ms);
                        while loops.now() < end {
                            self.0.recorder.useful();
                            loops.yield_now().await;
                        }
                        self.reached(index, i, 0, Kind::Task);
                    }
                    Step::Dialog { level, how, close_after_ms } => {
                        let (run, name) = (self.clone(), level.clone());
                        let (how, after) = (*how, *close_after_ms);
                        let job = Box::new(move || run.dialog(&name, how, after));
                        if let Err(refused) = loops.on_host(home, job).await {
                            self.refused(level, &refused.to_string());
                        }
                    }
                    Step::BlockOn { level, steps: inner } => {
                        let (run, name, inner) = (self.clone(), level.clone(), inner.clone());
                        let base = inner_base(steps, base, nth);
                        let job = Box::new(move || run.block_on(index, base, &name, inner));
                        if let Err(refused) = loops.on_host(home, job).await {
                            self.refused(level, &refused.to_string());
                        }
                    }
                    step => self.step_now(index, step),
                }
            }
        })
    }

    /// A step that does not wait.
    fn step_now(&self, index: u16, step: &Step) {
        let shared = &self.0;
        match step {
            Step::Send { channel, n } => (0..*n).for_each(|_| shared.channels[channel].send()),
            Step::Resolve { signal } => shared.signals[signal].set(),
            Step::Write { pipe } => shared.pipes[pipe].write(),
            Step::Close { pipe } => shared.pipes[pipe].close(),
            Step::Compute { ms } => shared.loops.compute(Duration::from_millis(*ms)),
            Step::Quit { level } => self.quit(level),
            Step::Spawn { actor } => {
                let target = self.actor(actor);
                shared.remaining.fetch_add(1, Ordering::AcqRel);
                self.start_actor(target);
            }
            Step::Cancel { actor } => {
                let canceller = self.cancellers().remove(&self.actor(actor));
                if let Some(cancel) = canceller {
                    cancel();
                }
            }
            Step::QuietBegin => self.record(What::QuietBegin),
            Step::QuietEnd => self.record(What::QuietEnd),
            Step::Panic => {
                self.record(What::Panicked);
                let name = &shared.program.actors[usize::from(index)].name;
                shared.loops.panic(format!("planned panic of actor `{name}`"));
            }
            Step::Sleep { .. }
            | Step::Tick { .. }
            | Step::Receive { .. }
            | Step::Await { .. }
            | Step::Read { .. }
            | Step::Call { .. }
            | Step::Yield { .. }
            | Step::Dialog { .. }
            | Step::BlockOn { .. } => {
                unreachable!("Program::check rejects a step that waits here")
            }
        }
    }

    fn dialog(&self, level: &str, how: How, close_after_ms: Option<u64>) {
        let _opened = self.open(level);
        if let Some(ms) = close_after_ms {
            let (run, name) = (self.clone(), level.to_owned());
            let callback = Box::new(move || {
                run.quit(&name);
                ControlFlow::Break(())
            });
            self.0.loops.add_timeout(PRIORITY_DEFAULT, Duration::from_millis(ms), callback);
        }
        if let Err(refused) = self.0.loops.run_nested(level, how) {
            self.refused(level, &refused.to_string());
        }
    }

    /// Runs `steps`, numbered from `base`, as a task, and waits for it.
    fn block_on(&self, index: u16, base: u16, level: &str, steps: Vec<Step>) {
        let _opened = self.open(level);
        let run = self.clone();
        let task = async move {
            run.steps(index, base, &steps, Home::Local).await;
        };
        if let Err(refused) = self.0.loops.block_on(Box::pin(task)) {
            self.refused(level, &refused.to_string());
        }
    }

    fn open(&self, level: &str) -> Opened<'_> {
        let level = self.level(level);
        self.0.depth.fetch_add(1, Ordering::AcqRel);
        self.record(What::Open(level));
        Opened { run: self, level }
    }

    fn quit(&self, level: &str) {
        self.record(What::Quit(self.level(level)));
        self.0.loops.quit(level);
    }

    fn refused(&self, level: &str, why: &str) {
        self.0.recorder.note(why);
        self.record(What::Refused(self.level(level)));
    }

    fn end_after(&self, n: u32, times: u32) -> ControlFlow<()> {
        if n < times {
            return ControlFlow::Continue(());
        }
        self.actor_done();
        ControlFlow::Break(())
    }

    fn actor_done(&self) {
        if self.0.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done();
        }
    }

    fn done(&self) {
        self.record(What::Done);
        self.0.done.set();
    }

    fn reached(&self, actor: u16, step: u16, n: u32, kind: Kind) {
        self.0.recorder.useful();
        self.record(What::Reached(Key { actor, step, n, kind }));
    }

    fn record(&self, what: What) {
        let depth = self.0.depth.load(Ordering::Acquire);
        self.0.recorder.record(self.0.loops.now(), depth, what);
    }

    fn cancellers(&self) -> std::sync::MutexGuard<'_, BTreeMap<u16, Canceller>> {
        self.0.cancellers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn level(&self, name: &str) -> u16 {
        index_of(self.0.levels.iter(), name)
    }

    fn actor(&self, name: &str) -> u16 {
        index_of(self.0.program.actors.iter().map(|a| &a.name), name)
    }
}

fn index_of<'a>(mut names: impl Iterator<Item = &'a String>, name: &str) -> u16 {
    let found = names.position(|n| n == name);
    found.unwrap_or_else(|| unreachable!("Program::check knows `{name}`")) as u16
}

/// An open nested loop; closes it even if a panic unwinds through it.
struct Opened<'a> {
    run: &'a Run,
    level: u16,
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.run.record(What::Close(self.level));
        self.run.0.depth.fetch_sub(1, Ordering::AcqRel);
        // For the loops around it, a loop that ends is a thing done.
        self.run.0.recorder.useful();
    }
}

/// Ends the actor if its callback panics, because that ends its source.
struct CallbackGuard<'a>(&'a Run);

impl Drop for CallbackGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.actor_done();
        }
    }
}

/// Reports the end of a task, however its future is dropped.
struct TaskGuard {
    run: Run,
    index: u16,
    ended: bool,
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        if !self.ended && !std::thread::panicking() {
            self.run.reached(self.index, CANCELLED, 0, Kind::Task);
        }
        self.run.actor_done();
    }
}
