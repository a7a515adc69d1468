//! Inside the child: one program on one strategy, once.
//!
//! Two instruments run beside the program.
//! The *probe* is a source of the highest priority that is never ready: its `prepare` counts
//! iterations, whoever runs the context.
//! The *rescue thread* compares what has happened with what the ideal run says was due; when
//! something is overdue it pokes: it wakes everything there is, which a correct program cannot
//! notice, and which tells a lost wake-up from a frozen side.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use glib::MainContext;
use loopnest_core::classify::{MAX_POKES, OVERDUE_TICKS, POKE_EFFECT, TICK};
use loopnest_core::interp::Run;
use loopnest_core::loops::{Home, Loops};
use loopnest_core::model::ideal;
use loopnest_core::program::Side;
use loopnest_core::signal::Signal;
use loopnest_core::strategy::{Start, Strategy};
use loopnest_core::trace::{Event, Key, Meter, Recorder, What};
use loopnest_core::{Program, Trace};
use loopnest_strategies::source::{Callbacks, Prepare, Source, SourceRef};

use crate::shm::{Counter, Page};
use crate::threads;

/// Exit code of a cell that could not begin.
pub const CANNOT_BEGIN: u8 = 75;

/// Below every priority that programs use, so that it is prepared in every iteration.
const PROBE_PRIORITY: i32 = -1000;

/// Runs the cell; the exit code is that of the child.
pub fn run(strategy: &dyn Strategy, program: &Program, page: &Path, parent: u32) -> ExitCode {
    match try_run(strategy, program, page, parent) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(CANNOT_BEGIN)
        }
    }
}

fn try_run(
    strategy: &dyn Strategy,
    program: &Program,
    page: &Path,
    parent: u32,
) -> anyhow::Result<()> {
    die_with(parent)?;
    let page = Arc::new(Page::open(page).context("cannot open the shared page")?);
    page.set(Counter::Tid, threads::this_thread());
    let program = Arc::new(program.clone());
    let recorder = Arc::new(PageRecorder::new(page.clone()));
    watch_panics(&recorder);
    let probe = Source::new("probe", Probe(page.clone()));
    probe.set_priority(PROBE_PRIORITY);
    probe.set_can_recurse(true);
    probe.attach(&MainContext::default());

    let (failed, finish) = (Arc::new(Mutex::new(None)), Signal::default());
    let start: Start = {
        let (failed, finish) = (failed.clone(), finish.clone());
        let (program, recorder) = (program.clone(), recorder.clone());
        Box::new(move |loops| {
            recorder.loops.lock().unwrap_or_else(PoisonError::into_inner).replace(loops.clone());
            match Run::new(program.clone(), loops.clone(), recorder.clone()) {
                Err(error) => {
                    failed.lock().unwrap_or_else(PoisonError::into_inner).replace(error);
                    Box::pin(std::future::ready(()))
                }
                Ok(run) => {
                    rescue(&program, loops, recorder.clone(), finish.clone());
                    run.start();
                    Box::pin(async move {
                        finish.await;
                        drop(run);
                    })
                }
            }
        })
    };
    strategy.run(start)?;
    let failed = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
    failed.map_or(Ok(()), |error| Err(error).context("cannot make a pipe for the program"))
}

/// Ends this process when the supervisor goes, even if it already has.
fn die_with(parent: u32) -> anyhow::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .context("cannot tie the cell to its supervisor")?;
    let now = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    anyhow::ensure!(u32::try_from(now) == Ok(parent), "the supervisor is gone");
    Ok(())
}

/// A panic is evidence even when the runtime swallows it.
fn watch_panics(recorder: &Arc<PageRecorder>) {
    let recorder = recorder.clone();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or("(no message)");
        recorder.note(&format!("panic: {message}"));
        if !message.starts_with("planned panic") {
            recorder.record(recorder.now(), 0, What::Panicked);
        }
        before(info);
    }));
}

/// Counts iterations.
struct Probe(Arc<Page>);

impl Callbacks for Probe {
    fn prepare(&self, _this: SourceRef<'_>) -> Prepare {
        self.0.count(Counter::Iterations);
        Prepare::Wait(None)
    }

    fn check(&self, _this: SourceRef<'_>) -> bool {
        false
    }

    fn dispatch(&self, _this: SourceRef<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Writes events into the page.
struct PageRecorder {
    page: Arc<Page>,
    pid: u32,
    /// The last waker of every task, for the poke.
    wakers: Mutex<BTreeMap<u16, Waker>>,
    loops: Mutex<Option<Arc<dyn Loops>>>,
}

impl PageRecorder {
    fn new(page: Arc<Page>) -> Self {
        let pid = std::process::id();
        Self { page, pid, wakers: Mutex::default(), loops: Mutex::default() }
    }

    fn now(&self) -> Duration {
        let loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        loops.as_ref().map_or(Duration::ZERO, |loops| loops.now())
    }

    fn meter(&self, with_thread: bool) -> Meter {
        let tid = self.page.get(Counter::Tid);
        let mut meter = Meter {
            iterations: self.page.get(Counter::Iterations),
            useful: self.page.get(Counter::Useful),
            ticks: self.page.get(Counter::Ticks),
            ..Meter::default()
        };
        if with_thread {
            meter.switches = threads::voluntary_switches(self.pid, tid);
            meter.cpu = threads::cpu_time(self.pid, tid);
        }
        meter
    }
}

impl Recorder for PageRecorder {
    fn record(&self, at: Duration, depth: u16, what: What) {
        let edge = !matches!(what, What::Reached(_) | What::Quit(_));
        self.page.push(&Event { at, depth, what, meter: self.meter(edge) });
        if what == What::Done {
            self.page.set(Counter::Done, 1);
        }
    }

    fn useful(&self) {
        self.page.count(Counter::Useful);
    }

    fn note(&self, text: &str) {
        self.page.note(text);
    }

    fn polled(&self, actor: u16, waker: &Waker) {
        let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        match wakers.get_mut(&actor) {
            Some(last) => last.clone_from(waker),
            None => drop(wakers.insert(actor, waker.clone())),
        }
    }
}

/// Starts the rescue thread. It also completes the root when all actors are done: from another
/// thread, so that a strategy whose own callbacks cannot wake it still ends.
fn rescue(program: &Program, loops: Arc<dyn Loops>, recorder: Arc<PageRecorder>, finish: Signal) {
    let owed = Owed::new(&ideal(program));
    thread::spawn(move || {
        let mut owed = owed;
        let mut pokes = 0;
        let mut poked_at = 0;
        while recorder.page.get(Counter::Done) == 0 {
            thread::sleep(TICK);
            owed.deliver(&recorder.page);
            let ticks = recorder.page.get(Counter::Ticks);
            let overdue = owed.is_overdue(loops.now(), ticks);
            if overdue && pokes < MAX_POKES && ticks >= poked_at + OVERDUE_TICKS {
                poke(&recorder, loops.as_ref(), pokes);
                pokes += 1;
                poked_at = recorder.page.get(Counter::Ticks);
            }
        }
        finish.set();
    });
}

fn poke(recorder: &PageRecorder, loops: &dyn Loops, n: u16) {
    recorder.record(loops.now(), 0, What::PokeBegin(n));
    MainContext::default().wakeup();
    thread::sleep(POKE_EFFECT);
    let wakers: Vec<Waker> = {
        let wakers = recorder.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        wakers.values().cloned().collect()
    };
    wakers.iter().for_each(Waker::wake_by_ref);
    // A task that was woken without effect is not woken again; something new for the runtime is.
    drop(loops.spawn(Home::Local, Box::pin(std::future::ready(()))));
    thread::sleep(POKE_EFFECT);
    recorder.record(loops.now(), 0, What::PokeEnd(n));
}

/// What the ideal run says is due, less what has been delivered.
struct Owed {
    due: Vec<(Duration, Key)>,
    delivered: BTreeSet<Key>,
    read: usize,
    /// The supervisor's clock when each side last delivered anything, or last owed nothing.
    alive: BTreeMap<Side, u64>,
}

impl Owed {
    fn new(ideal: &Trace) -> Self {
        let due = ideal.events.iter().filter_map(|event| match event.what {
            What::Reached(key) => Some((event.at, key)),
            _ => None,
        });
        let (delivered, alive) = (BTreeSet::new(), BTreeMap::new());
        Self { due: due.collect(), delivered, read: 0, alive }
    }

    fn deliver(&mut self, page: &Page) {
        while let Some(event) = page.event(self.read) {
            if let What::Reached(key) = event.what {
                self.delivered.insert(key);
                self.alive.insert(key.kind.side(), page.get(Counter::Ticks));
            }
            self.read += 1;
        }
        let delivered = &self.delivered;
        self.due.retain(|(_, key)| !delivered.contains(key));
    }

    /// Whether a side has owed something for [`OVERDUE_TICKS`] and has delivered nothing
    /// meanwhile. A side that is alive but leaves something out starves it, and waking it would
    /// prove nothing.
    fn is_overdue(&mut self, now: Duration, ticks: u64) -> bool {
        [Side::Async, Side::Glib].into_iter().any(|side| {
            let owes = self.due.iter().any(|(at, key)| *at <= now && key.kind.side() == side);
            let since = self.alive.entry(side).or_insert(ticks);
            if !owes {
                *since = ticks;
            }
            ticks >= *since + OVERDUE_TICKS
        })
    }
}
