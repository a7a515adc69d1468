//! The async work that can be switched on and off: the activity, and a thousand extra tasks.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use loopnest_core::loops::{Canceller, Home, Loops};

use crate::activity::Activity;
use crate::facts::Beside;
use crate::log::Log;

/// How many tasks *1,000 tasks* starts.
const MANY: u32 = 1000;
/// How long each of the many tasks sleeps between its steps.
const REST: Duration = Duration::from_millis(20);
/// How often each of the many tasks yields between two sleeps.
const YIELDS: u32 = 5;

/// The work that is running now.
pub struct Work {
    loops: Arc<dyn Loops>,
    log: Arc<Log>,
    activity: RefCell<Option<Activity>>,
    many: RefCell<Option<ManyTasks>>,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { activity, many, .. } = self;
        let mut work = f.debug_struct("Work");
        work.field("activity", activity).field("many", many).finish_non_exhaustive()
    }
}

impl Work {
    /// No work yet, on these loops.
    pub fn new(loops: &Arc<dyn Loops>, log: &Arc<Log>) -> Self {
        let (activity, many) = Default::default();
        Self { loops: loops.clone(), log: log.clone(), activity, many }
    }

    /// Starts or stops the activity.
    pub fn set_activity(&self, on: bool) {
        let began = on.then(|| Activity::start(&self.loops, &self.log));
        // The old one is dropped after the borrow has ended.
        let before = self.activity.replace(began);
        drop(before);
    }

    /// Starts or stops the thousand tasks.
    pub fn set_many_tasks(&self, on: bool) {
        let began = on.then(|| ManyTasks::start(&self.loops, &self.log, MANY));
        let before = self.many.replace(began);
        drop(before);
    }

    /// Stops everything.
    pub fn stop(&self) {
        drop((self.activity.take(), self.many.take()));
    }

    /// Whether the activity is on.
    pub fn is_active(&self) -> bool {
        self.activity.borrow().is_some()
    }

    /// Which parts of the activity are running now; `None` while it is off.
    pub fn beside(&self) -> Option<Beside> {
        self.activity.borrow().as_ref().map(Activity::beside)
    }

    /// How many steps the thousand tasks have taken since they were started.
    pub fn task_steps(&self) -> u64 {
        self.many.borrow().as_ref().map_or(0, ManyTasks::steps)
    }
}

/// Many tasks that keep the executor busy until this is dropped.
struct ManyTasks {
    cancellers: Vec<Canceller>,
    steps: Arc<AtomicU64>,
}

impl std::fmt::Debug for ManyTasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManyTasks").field("n", &self.cancellers.len()).finish_non_exhaustive()
    }
}

impl ManyTasks {
    /// Starts `n` tasks. Each yields a few times and then sleeps for 20 ms, at its own offset.
    fn start(loops: &Arc<dyn Loops>, log: &Arc<Log>, n: u32) -> Self {
        let steps = Arc::new(AtomicU64::new(0));
        let task = |i: u32| {
            let (loops, log, steps) = (loops.clone(), log.clone(), steps.clone());
            let mut next = loops.now() + REST * i / n.max(1);
            async move {
                loop {
                    loops.sleep_until(next).await;
                    for _ in 0..YIELDS {
                        loops.yield_now().await;
                    }
                    log.useful();
                    steps.fetch_add(1, Relaxed);
                    next = (next + REST).max(loops.now());
                }
            }
        };
        let spawn = |i| loops.spawn(Home::Local, Box::pin(task(i)));
        Self { cancellers: (0..n).map(spawn).collect(), steps }
    }

    /// How many steps all of them together have taken.
    fn steps(&self) -> u64 {
        self.steps.load(Relaxed)
    }
}

impl Drop for ManyTasks {
    fn drop(&mut self) {
        self.cancellers.drain(..).for_each(|cancel| cancel());
    }
}
