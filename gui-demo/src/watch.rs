//! Watches the dialogs: an episode begins with the first, and ends when the last has closed and the
//! verdict on it is final.
//!
//! An *episode* is what one verdict is about. Events that were due in it and have not come yet are
//! *owed*, and it waits a little for them. The work that runs *beside* its dialogs, such as timers and
//! sockets, is judged with it.
//!
//! A *dialog* is anything that a button opens. For one that nests, the calls are
//! [`press`](Watch::press), then [`open`](Watch::open) just before its loop runs, then
//! [`close`](Watch::close); if the strategy refuses it, `press` and then `close`. For one that nobody
//! waits for they are [`open_async`](Watch::open_async) and [`close_async`](Watch::close_async).
//! A timer calls [`request`](Watch::request), a thread judges, and [`hear`](Watch::hear) takes its
//! verdict.
//!
//! What is open is also written to the black box, a file that is read if this process dies while it
//! is open.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::blackbox::BlackBox;
use crate::case::Case;
use crate::episode::Episode;
use crate::facts::Fact;
use crate::judge::Request;
use crate::kind::Kind;
use crate::log::Log;
use crate::report::Verdict;
use crate::work::Work;

/// Time between two live verdicts.
const LIVE_EVERY: Duration = Duration::from_millis(500);

/// Time between two verdicts when the last dialog has closed and something is owed.
const OWED_EVERY: Duration = Duration::from_millis(200);

/// How long after the last dialog has closed an owed event may still come before it counts as lost.
const GRACE: Duration = Duration::from_secs(4);

/// The current episode, if any.
#[derive(Debug)]
pub struct Watch {
    log: Arc<Log>,
    work: Rc<Work>,
    black_box: BlackBox,
    /// Episodes so far.
    n: Cell<u64>,
    running: RefCell<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    number: u64,
    episode: Episode,
    /// Dialogs without a nested loop that are open.
    n_async: usize,
    /// When the last dialog closed.
    over: Option<Duration>,
    /// When the wait for the next request began: at the start, at the last close, or at the last
    /// request.
    asked: Duration,
}

impl Running {
    /// What this verdict means at this time.
    fn meaning(&self, verdict: &Verdict, now: Duration) -> Meaning {
        match self.over {
            _ if verdict.episode != self.number => Meaning::Nothing,
            None => Meaning::SoFar,
            // Asked before the last dialog closed, or before another one opened and closed.
            Some(over) if verdict.live || verdict.until != over => Meaning::Nothing,
            Some(over) if verdict.owed == 0 || now > over + GRACE => {
                Meaning::Final { is_cut: self.episode.is_cut(over) }
            }
            Some(_) => Meaning::Nothing,
        }
    }
}

/// What a verdict means for the current episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing: it is about something else, or cannot be final yet.
    Nothing,
    /// A dialog is still open.
    SoFar,
    /// It ends the episode.
    Final {
        /// Whether the episode was so long that only its beginning was judged.
        is_cut: bool,
    },
}

impl Watch {
    /// No dialog yet.
    pub fn new(log: &Arc<Log>, work: &Rc<Work>, black_box: BlackBox) -> Self {
        let (log, work) = (log.clone(), work.clone());
        Self { log, work, black_box, n: Cell::default(), running: RefCell::default() }
    }

    /// Records that a nested loop was requested. Returns its index in the episode.
    pub fn press(&self, kind: Kind) -> usize {
        let press =
            |running: &mut Running, now| running.episode.press(kind.origin(), kind.level(), now);
        let i = self.begin(press);
        self.log.record(Fact::Pressed(i));
        i
    }

    /// Records that a nested loop is about to run. Returns its name.
    pub fn open(&self, i: usize) -> String {
        let opened = self.log.now();
        self.log.record(Fact::Open(i));
        let level = self.with(|running| {
            running.episode.openers[i].opened = Some(opened);
            running.episode.openers[i].level.clone()
        });
        self.keep_black_box();
        level.unwrap_or_default()
    }

    /// Records that a nested loop has returned, or that the strategy has refused it for this
    /// reason.
    pub fn close(&self, i: usize, kind: Kind, refused: Option<String>) {
        if refused.is_some() {
            self.log.record(Fact::Refused(i));
        } else if kind != Kind::BlockOn {
            self.log.record(Fact::Quit(i));
        }
        self.log.record(Fact::Close(i));
        let closed = self.log.now();
        self.with(|running| {
            running.episode.openers[i].closed = Some(closed);
            running.episode.openers[i].refused = refused;
        });
        self.keep_black_box();
        self.check_over();
    }

    /// A dialog was opened that nobody waits for.
    pub fn open_async(&self) {
        self.begin(|running, _| running.n_async += 1);
    }

    /// A dialog that nobody waits for has closed.
    pub fn close_async(&self) {
        self.with(|running| running.n_async -= 1);
        self.check_over();
    }

    /// The names of the nested loops that are open, outermost first.
    pub fn open_levels(&self) -> Vec<String> {
        let levels = |running: &mut Running| {
            running.episode.open_levels().into_iter().map(str::to_owned).collect()
        };
        self.with(levels).unwrap_or_default()
    }

    /// Whether an episode has not had its final verdict.
    pub fn is_on(&self) -> bool {
        self.running.borrow().is_some()
    }

    /// Whether any dialog is open.
    pub fn is_in_dialog(&self) -> bool {
        self.running.borrow().as_ref().is_some_and(|running| running.over.is_none())
    }

    /// The activity was switched off or on, so from now on it is not judged.
    pub fn forget_beside(&self) {
        self.with(|running| running.episode.forget_beside());
    }

    /// The case to judge now, if it is time for another verdict. A timer calls this.
    pub fn request(&self) -> Option<Request> {
        let now = self.log.now();
        let request = |running: &mut Running| {
            let (every, until, live) = match running.over {
                None => (LIVE_EVERY, now, true),
                Some(over) => (OWED_EVERY, over, false),
            };
            if now < running.asked + every {
                return None;
            }
            running.asked = now;
            running.episode.forget_ended(self.work.beside());
            let case = Case::of(&running.episode, &self.log, until);
            Some(Request { episode: running.number, live, until, case })
        };
        self.with(request).flatten()
    }

    /// Handles a verdict. If it is final, it ends the episode.
    pub fn hear(&self, verdict: &Verdict) -> Meaning {
        let now = self.log.now();
        let meaning = self.with(|running| running.meaning(verdict, now));
        if let Some(Meaning::Final { .. }) = meaning {
            self.running.take();
            self.log.release();
        }
        meaning.unwrap_or(Meaning::Nothing)
    }

    fn with<R>(&self, change: impl FnOnce(&mut Running) -> R) -> Option<R> {
        self.running.borrow_mut().as_mut().map(change)
    }

    /// Changes the current episode; begins one if there is none.
    fn begin<R>(&self, change: impl FnOnce(&mut Running, Duration) -> R) -> R {
        self.log.keep();
        let now = self.log.now();
        let mut running = self.running.borrow_mut();
        let running = running.get_or_insert_with(|| {
            self.n.set(self.n.get() + 1);
            let episode = Episode::begin(now, self.work.beside());
            Running { number: self.n.get(), episode, n_async: 0, over: None, asked: now }
        });
        running.over = None;
        change(running, now)
    }

    fn check_over(&self) {
        let now = self.log.now();
        self.with(|running| {
            if running.n_async == 0 && running.episode.is_over() {
                running.over = Some(now);
                running.asked = now;
            }
        });
    }

    /// Writes what is on the stack to the black box, or empties the box if nothing is.
    fn keep_black_box(&self) {
        let case = self.with(|running| {
            let is_open = !running.episode.open_levels().is_empty();
            let until = self.log.now() + Duration::from_secs(1);
            is_open.then(|| Case::of(&running.episode, &self.log, until))
        });
        match case.flatten() {
            Some(case) => self.black_box.write(&case),
            None => self.black_box.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Beside;

    #[test]
    fn a_verdict_that_was_asked_for_before_another_dialog_is_not_final() {
        let at = Duration::from_secs;
        let beside = Beside { began: at(0), has_echo: false, has_bus: false };
        let episode = Episode::begin(at(0), Some(beside));
        let running = Running { number: 1, episode, n_async: 0, over: Some(at(3)), asked: at(3) };
        let verdict = |until| Verdict { episode: 1, until, ..Verdict::default() };
        assert_eq!(running.meaning(&verdict(at(1)), at(3)), Meaning::Nothing);
        assert_eq!(running.meaning(&verdict(at(3)), at(3)), Meaning::Final { is_cut: false });
    }
}
