//! From what has happened to the verdict in the window: asks the judge, and shows its answer.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use loopnest_core::strategy::About;

use crate::case::Case;
use crate::facts::LONGEST;
use crate::judge::{Judge, Request};
use crate::log::Log;
use crate::play::Player;
use crate::report::{Draft, Verdict};
use crate::watch::{Meaning, Watch};
use crate::window::MainWindow;

/// The number of a request that belongs to no episode: a scenario, or the death of the previous
/// process.
const NO_EPISODE: u64 = 0;

/// The verdicts on episodes and on the scenario.
#[derive(Debug)]
pub struct Verdicts {
    judge: Judge,
    log: Arc<Log>,
    watch: Rc<Watch>,
    player: Rc<Player>,
    draft: Rc<Draft>,
    ui: Rc<MainWindow>,
}

impl Verdicts {
    /// Verdicts on a strategy.
    pub fn new(
        about: &About,
        log: &Arc<Log>,
        watch: &Rc<Watch>,
        player: &Rc<Player>,
        draft: &Rc<Draft>,
        ui: &Rc<MainWindow>,
    ) -> Self {
        Self {
            judge: Judge::start(about.clone()),
            log: log.clone(),
            watch: watch.clone(),
            player: player.clone(),
            draft: draft.clone(),
            ui: ui.clone(),
        }
    }

    /// Shows the newest verdict and asks for the next. Returns whether it has ended the scenario.
    pub fn renew(&self) -> bool {
        let has_ended = self.judge.take().is_some_and(|verdict| self.hear(verdict));
        let request = if self.player.is_on() {
            let case = self.player.case_if_over(&self.log);
            case.map(|case| Request {
                episode: NO_EPISODE,
                live: false,
                until: Duration::ZERO,
                case,
            })
        } else {
            self.watch.request()
        };
        if let Some(request) = request {
            self.judge.ask(request);
        }
        has_ended
    }

    /// Asks for a verdict on the previous process.
    pub fn ask_post_mortem(&self, case: Case) {
        self.judge.ask(Request { episode: NO_EPISODE, live: false, until: Duration::ZERO, case });
    }

    /// Handles a verdict. Returns whether the scenario has ended.
    fn hear(&self, verdict: Verdict) -> bool {
        if verdict.episode == NO_EPISODE {
            self.conclude(verdict);
            let has_ended = self.player.end();
            if has_ended {
                self.log.release();
            }
            return has_ended;
        }
        match self.watch.hear(&verdict) {
            Meaning::Nothing => {}
            Meaning::SoFar => {
                self.ui.set_verdict(Some(&verdict));
                self.draft.set_so_far(verdict);
            }
            Meaning::Final { is_cut } => {
                self.conclude(verdict);
                if is_cut {
                    let seconds = LONGEST.as_secs();
                    self.ui.log(&format!("only the first {seconds} seconds were judged"));
                }
            }
        }
        false
    }

    /// Shows, logs and keeps a final verdict.
    fn conclude(&self, verdict: Verdict) {
        self.ui.set_verdict(Some(&verdict));
        self.ui.log(&format!("verdict: {}", verdict.text()));
        if verdict.is_bad() {
            self.ui.log(&format!("why: {} ({})", verdict.cause, verdict.rule));
            self.ui.log(&format!("try: {}", verdict.advice));
        }
        self.draft.conclude(verdict);
    }
}
