//! Makes the verdicts on a separate thread: running a program in virtual time takes a while, and
//! the loops under test must not wait for it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use harness::rules;
use loopnest_core::classify;
use loopnest_core::model::ideal;
use loopnest_core::strategy::About;

use crate::case::{Case, owed};
use crate::report::Verdict;

/// A case to judge.
#[derive(Debug)]
pub struct Request {
    /// Which episode it belongs to.
    pub episode: u64,
    /// Whether the run is still going on.
    pub live: bool,
    /// Up to when it is judged.
    pub until: Duration,
    /// The program and the run.
    pub case: Case,
}

/// Judges a case by the rules of the matrix.
pub fn judge(request: Request, about: &About) -> Verdict {
    let Request { episode, live, until, case } = request;
    let ideal = ideal(&case.program);
    let owed = owed(&ideal, &case.real).len();
    let case = if live { case.as_if_closed_now(&ideal) } else { case };
    let judgement = classify(&case.program, &ideal, &case.real);
    let why = if live { rules::why_so_far } else { rules::why };
    let (reason, rule) = why(&case.program, about, &judgement);
    let rule = rules::by_name(rule);
    Verdict {
        episode,
        live,
        until,
        words: judgement.words,
        reason,
        rule: rule.map_or("", |rule| rule.name).to_owned(),
        cause: rule.map_or("", |rule| rule.title).to_owned(),
        advice: rule.map_or("", |rule| rule.try_this).to_owned(),
        owed,
    }
}

/// The thread that judges.
#[derive(Debug)]
pub struct Judge {
    requests: Sender<Request>,
    verdict: Arc<Mutex<Option<Verdict>>>,
}

impl Judge {
    /// Starts the thread. It ends when this value is dropped.
    pub fn start(about: About) -> Self {
        let (requests, inbox): (Sender<Request>, Receiver<Request>) = channel();
        let verdict = Arc::new(Mutex::new(None));
        let outbox = verdict.clone();
        thread::spawn(move || {
            while let Ok(mut request) = inbox.recv() {
                // Only the newest request is worth a verdict.
                while let Ok(newer) = inbox.try_recv() {
                    request = newer;
                }
                let verdict = judge(request, &about);
                outbox.lock().unwrap_or_else(PoisonError::into_inner).replace(verdict);
            }
        });
        Self { requests, verdict }
    }

    /// Asks for a verdict. [`take`](Self::take) fetches it, so the verdict wakes no loop.
    pub fn ask(&self, request: Request) {
        // Fails only when the thread panicked, and then there is no verdict.
        let _ = self.requests.send(request);
    }

    /// The newest verdict that has not been taken.
    pub fn take(&self) -> Option<Verdict> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
