//! Inside the child: one program on one strategy, once.
//!
//! Two instruments run beside the program.
//! The [probe](crate::probe) counts iterations, whatever runs the context.
//! The *rescue thread* compares what has happened with what the ideal run says was due. When
//! something is overdue it pokes: it wakes everything. A correct program cannot notice that, and it
//! tells a lost wake-up from a frozen side.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use glib::MainContext;
use loopnest_core::Program;
use loopnest_core::interp::Run;
use loopnest_core::loops::{Home, Loops};
use loopnest_core::measure::{Owed, POKE_EFFECT, TICK, Wakers, time_of};
use loopnest_core::model::ideal;
use loopnest_core::signal::Signal;
use loopnest_core::strategy::{Start, Strategy};
use loopnest_core::trace::{Event, Meter, Recorder, What};

use crate::parent::die_with;
use crate::probe::Probe;
use crate::shm::{Counter, Page};
use crate::threads::{self, Scheduled, Subject};

/// Exit code of a cell that could not begin.
pub const CANNOT_BEGIN: u8 = 75;

/// Runs the cell and returns the exit code of the child.
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
    die_with(parent, rustix::process::Signal::KILL)?;
    let page = Arc::new(Page::open(page).context("cannot open the shared page")?);
    page.set(Counter::Tid, threads::this_thread());
    let program = Arc::new(program.clone());
    let recorder = Arc::new(PageRecorder::new(page.clone()));
    watch_panics(&recorder);
    let count = page.clone();
    let _probe = Probe::calling(&MainContext::default(), move || {
        count.count(Counter::Iterations);
    });

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

/// A panic is evidence even if the runtime swallows it.
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

/// Writes events into the page.
struct PageRecorder {
    page: Arc<Page>,
    /// Locked while an event is written, so that the events are in the order of their counters.
    subject: Mutex<Subject>,
    /// The last waker of every task, for the poke.
    wakers: Wakers,
    loops: Mutex<Option<Arc<dyn Loops>>>,
}

impl PageRecorder {
    fn new(page: Arc<Page>) -> Self {
        let mut subject = Subject::default();
        subject.look(&threads::all());
        let subject = Mutex::new(subject);
        Self { page, subject, wakers: Wakers::default(), loops: Mutex::default() }
    }

    fn now(&self) -> Duration {
        let loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        loops.as_ref().map_or(Duration::ZERO, |loops| loops.now())
    }

    /// Looks for new threads, and writes down the counters: for the supervisor, and for the times at
    /// which something was due and nothing happened.
    fn look(&self) {
        let all = threads::all();
        self.subject().look(&all);
        if self.page.get(Counter::Done) == 0 {
            self.record(self.now(), 0, What::Look);
        } else {
            self.meter(&mut self.subject(), false);
        }
    }

    fn subject(&self) -> MutexGuard<'_, Subject> {
        self.subject.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counters now. How often the thread slept is read from a file that costs more.
    fn meter(&self, subject: &mut Subject, with_switches: bool) -> Meter {
        let tid = self.page.get(Counter::Tid);
        let Scheduled { cpu, delay } = subject.read(tid);
        self.page.set(Counter::Delay, delay.as_nanos() as u64);
        let switches =
            if with_switches { threads::voluntary_switches(std::process::id(), tid) } else { 0 };
        Meter { cpu, switches, ..self.page.meter() }
    }
}

impl Recorder for PageRecorder {
    fn record(&self, at: Duration, depth: u16, what: What) {
        let edge = !matches!(what, What::Reached(_) | What::Quit(_) | What::Look);
        let mut subject = self.subject();
        self.page.push(&Event { at, depth, what, meter: self.meter(&mut subject, edge) });
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
        self.wakers.keep(actor, waker);
    }
}

/// Starts the rescue thread. It also completes the root when all actors are done. That happens on
/// this other thread so that a strategy still ends if its own callbacks cannot wake it.
fn rescue(program: &Program, loops: Arc<dyn Loops>, recorder: Arc<PageRecorder>, finish: Signal) {
    let owed = Owed::new(&ideal(program));
    thread::spawn(move || {
        let (mut owed, mut read) = (owed, 0);
        let clock = || time_of(recorder.page.get(Counter::Ticks));
        recorder.subject().leave_out(threads::this_thread());
        while recorder.page.get(Counter::Done) == 0 {
            thread::sleep(TICK);
            recorder.look();
            while let Some(event) = recorder.page.event(read) {
                if let What::Reached(key) = event.what {
                    owed.deliver(key, clock());
                }
                read += 1;
            }
            if owed.wants_poke(loops.now(), clock()) {
                poke(&recorder, loops.as_ref(), owed.n_pokes());
                owed.poked(clock());
            }
        }
        finish.set();
        // The strategy returns now. Until the process has ended, the supervisor wants to know whether it
        // can run.
        loop {
            thread::sleep(TICK);
            recorder.look();
        }
    });
}

fn poke(recorder: &PageRecorder, loops: &dyn Loops, n: u16) {
    let threads = recorder.subject().ids();
    if threads::is_any_at_work(&threads, TICK) {
        recorder.record(loops.now(), 0, What::Awake);
    }
    recorder.record(loops.now(), 0, What::PokeBegin(n));
    MainContext::default().wakeup();
    thread::sleep(POKE_EFFECT);
    recorder.wakers.wake();
    // A task that was woken without effect is not woken again, so give the runtime something new.
    drop(loops.spawn(Home::Local, Box::pin(std::future::ready(()))));
    thread::sleep(POKE_EFFECT);
    recorder.record(loops.now(), 0, What::PokeEnd(n));
}
