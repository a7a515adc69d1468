//! What the window records about itself: beats of the activity, counters, and the edges of dialogs.
//!
//! Everything may be called from any thread, because some strategies run tasks on another thread.
//! [`case`](crate::case) turns it into a trace that `core` can judge.

use std::collections::{HashMap, VecDeque};
use std::mem::{Discriminant, discriminant};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use gtk4::glib::MainContext;
use harness::probe::Probe;
use harness::threads;
use loopnest_core::measure::TICK;
use loopnest_core::trace::Meter;

use crate::facts::{Beat, Fact, LONGEST, TICK_EVERY};
use crate::report::Stretch;

/// How far back beats are kept while no dialog is open: enough to find the last common deadline.
const KEPT: Duration = Duration::from_secs(3);

/// How many beats of each kind an episode keeps: twice what the ticker does in the longest part
/// that is judged. Not a time limit, because what is owed may come long after; and a limit for each
/// kind, because one may keep coming while another has stopped.
const KEPT_OF_A_KIND: usize = 2 * (LONGEST.as_millis() / TICK_EVERY.as_millis()) as usize;

/// The log.
#[derive(Debug)]
pub struct Log {
    start: Instant,
    /// The GTK thread.
    thread: u64,
    /// Iterations of the GLib context.
    iterations: AtomicU64,
    /// Of these, the ones that the charts caused.
    chart_iterations: AtomicU64,
    /// How many iterations the charts cause, including the current one.
    charts_at_work: AtomicU64,
    /// Things done: beats, frames, steps of the many tasks.
    useful: AtomicU64,
    /// Opportunity ticks, counted by a thread that shares nothing with the loops.
    ticks: AtomicU64,
    /// Async ticks so far.
    async_ticks: AtomicU64,
    /// Answers of the echo server so far.
    echoes: AtomicU64,
    /// Answers of the session bus so far.
    answers: AtomicU64,
    beats: Mutex<Beats>,
}

#[derive(Debug, Default)]
struct Beats {
    list: VecDeque<Beat>,
    depth: u16,
    /// Whether an episode is being recorded, so that no beats are dropped.
    keep: bool,
    /// How many beats of the activity the episode has, by kind.
    kept: HashMap<Discriminant<Fact>, usize>,
    /// Whether a thread is counting opportunity ticks.
    counted: bool,
    /// The last async event, and the longest gap since the gap was last asked for.
    last_async: Option<Duration>,
    longest_gap: Duration,
}

impl Beats {
    /// Notes an async event, which ends a gap.
    fn heard(&mut self, at: Duration) {
        let gap = at.saturating_sub(self.last_async.unwrap_or(at));
        self.longest_gap = self.longest_gap.max(gap);
        self.last_async = Some(at);
    }

    /// Whether to keep the fact. The edges of dialogs are always kept: the user makes only so many.
    fn wants(&mut self, fact: Fact) -> bool {
        if !self.keep || !(fact.is_async() || matches!(fact, Fact::Clock(_))) {
            return true;
        }
        let n = self.kept.entry(discriminant(&fact)).or_default();
        *n += 1;
        *n <= KEPT_OF_A_KIND
    }
}

impl Log {
    /// A log of the calling thread's loops. The probe counts iterations until it is dropped.
    pub fn new() -> (Arc<Self>, Probe) {
        let log = Arc::new(Self {
            start: Instant::now(),
            thread: threads::this_thread(),
            iterations: AtomicU64::new(0),
            chart_iterations: AtomicU64::new(0),
            charts_at_work: AtomicU64::new(0),
            useful: AtomicU64::new(0),
            ticks: AtomicU64::new(0),
            async_ticks: AtomicU64::new(0),
            echoes: AtomicU64::new(0),
            answers: AtomicU64::new(0),
            beats: Mutex::default(),
        });
        let count = log.clone();
        let probe = Probe::calling(&MainContext::default(), move || count.iteration());
        (log, probe)
    }

    fn iteration(&self) {
        self.iterations.fetch_add(1, Relaxed);
        // Only this thread changes it, so a load and a store are enough.
        let at_work = self.charts_at_work.load(Relaxed);
        if at_work > 0 {
            self.charts_at_work.store(at_work - 1, Relaxed);
            self.chart_iterations.fetch_add(1, Relaxed);
        }
    }

    fn beats(&self) -> MutexGuard<'_, Beats> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since the log began.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Records a fact.
    pub fn record(&self, fact: Fact) {
        if !fact.is_edge() {
            self.useful();
        }
        let count = match fact {
            Fact::Tick(_) => Some(&self.async_ticks),
            Fact::Echoed(_) => Some(&self.echoes),
            Fact::Answered(_) => Some(&self.answers),
            _ => None,
        };
        if let Some(count) = count {
            count.fetch_add(1, Relaxed);
        }
        let mut beats = self.beats();
        let at = self.now();
        if let Fact::Open(_) = fact {
            beats.depth += 1;
        }
        if fact.is_async() {
            beats.heard(at);
        }
        let meter = self.meter(fact.is_edge());
        let depth = beats.depth;
        if beats.wants(fact) {
            beats.list.push_back(Beat { at, depth, fact, meter });
        }
        if let Fact::Close(_) = fact {
            beats.depth = beats.depth.saturating_sub(1);
        }
        if !beats.keep {
            while beats.list.front().is_some_and(|beat| beat.at + KEPT < at) {
                beats.list.pop_front();
            }
        }
    }

    /// Counts a thing done that is not worth a beat.
    pub fn useful(&self) {
        self.useful.fetch_add(1, Relaxed);
    }

    /// Notes an async event of a scenario, for the chart of gaps.
    pub fn async_event(&self) {
        self.async_ticks.fetch_add(1, Relaxed);
        let mut beats = self.beats();
        beats.heard(self.now());
    }

    /// The counters now; those of the kernel only if `with_thread` is set.
    pub fn meter(&self, with_thread: bool) -> Meter {
        let meter = Meter {
            iterations: self.iterations.load(Relaxed),
            useful: self.useful.load(Relaxed),
            ticks: self.ticks.load(Relaxed),
            ..Meter::default()
        };
        if with_thread {
            threads::with_thread(meter, std::process::id(), self.thread)
        } else {
            meter
        }
    }

    /// What this log has counted since it began.
    pub fn stretch(&self) -> Stretch {
        Stretch {
            seconds: self.now().as_secs_f64(),
            iterations: self.iterations.load(Relaxed),
            chart_iterations: self.chart_iterations.load(Relaxed),
            async_ticks: self.async_ticks(),
            echoes: self.echoes.load(Relaxed),
            answers: self.answers.load(Relaxed),
            ..Stretch::default()
        }
    }

    /// Notes that the charts cause the current iteration, and `more` that follow.
    pub fn charts_are_at_work(&self, more: u64) {
        self.charts_at_work.store(1 + more, Relaxed);
    }

    /// Async ticks so far.
    pub fn async_ticks(&self) -> u64 {
        self.async_ticks.load(Relaxed)
    }

    /// The longest time without an async event since the last call, including a gap that has not
    /// ended. `None` while there is no activity.
    pub fn take_gap(&self) -> Option<Duration> {
        let mut beats = self.beats();
        let open = self.now().saturating_sub(beats.last_async?);
        Some(std::mem::take(&mut beats.longest_gap).max(open))
    }

    /// Forgets the last async event: the activity was stopped on purpose, so what follows is no
    /// gap.
    pub fn forget_gap(&self) {
        let mut beats = self.beats();
        beats.last_async = None;
        beats.longest_gap = Duration::ZERO;
    }

    /// The beats since `from`.
    pub fn since(&self, from: Duration) -> Vec<Beat> {
        self.beats().list.iter().filter(|beat| beat.at >= from).copied().collect()
    }

    /// Keeps all beats from now on, because an episode is judged by them. Also starts a thread that
    /// shares nothing with the loops and counts opportunity ticks: they distinguish a stall from a
    /// machine that was paused.
    pub fn keep(self: &Arc<Self>) {
        let mut beats = self.beats();
        if !std::mem::replace(&mut beats.keep, true) {
            beats.kept.clear();
        }
        // The thread of the previous episode may not have noticed yet that it is over.
        if std::mem::replace(&mut beats.counted, true) {
            return;
        }
        let log = self.clone();
        thread::spawn(move || {
            loop {
                thread::sleep(TICK);
                log.ticks.fetch_add(1, Relaxed);
                let mut beats = log.beats();
                beats.counted = beats.keep;
                if !beats.counted {
                    break;
                }
            }
        });
    }

    /// Keeps only the latest beats again: the episode is over.
    pub fn release(&self) {
        self.beats().keep = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_that_stays_open_keeps_memory_bounded_and_drops_nothing_that_is_judged() {
        let (log, _probe) = Log::new();
        log.keep();
        log.record(Fact::Open(0));
        (0..100_000).for_each(|n| log.record(Fact::Clock(n)));
        // Another kind, which was stalled meanwhile, comes at last.
        (0..100).for_each(|n| log.record(Fact::Tick(n)));
        log.record(Fact::Close(0));
        log.release();
        assert_eq!(log.since(Duration::ZERO).len(), KEPT_OF_A_KIND + 102);
    }

    #[test]
    fn one_thread_counts_ticks_however_often_episodes_follow_each_other() {
        let (log, _probe) = Log::new();
        for _ in 0..20 {
            log.keep();
            log.release();
        }
        log.keep();
        thread::sleep(20 * TICK);
        log.release();
        let (ticks, most) = (log.meter(false).ticks, log.now().div_duration_f64(TICK));
        assert!(ticks as f64 <= most, "{ticks} ticks where at most {most} are possible");
    }
}
