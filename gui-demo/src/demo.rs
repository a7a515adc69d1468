//! The demo at work: its parts, and what they do on a switch, a sample and at the end.
//!
//! It lives on the GTK thread. [`dialogs`](crate::dialogs) opens nested loops, [`watch`](crate::watch)
//! turns them into episodes, and [`verdicts`](crate::verdicts) gets these judged.

use std::rc::{Rc, Weak};
use std::sync::Arc;

use gtk4::prelude::*;
use loopnest_core::Program;
use loopnest_core::loops::Loops;
use loopnest_core::strategy::About;

use crate::blackbox::BlackBox;
use crate::case::Case;
use crate::cli::Options;
use crate::dialog_run::abort_all;
use crate::dialogs::Dialogs;
use crate::ending::Ending;
use crate::kind::Kind;
use crate::meters::Meters;
use crate::play::{Play, Player};
use crate::report::Draft;
use crate::sampler::{Sampler, Scene};
use crate::screenshot;
use crate::spinner::Spinner;
use crate::verdicts::Verdicts;
use crate::watch::Watch;
use crate::window::MainWindow;

/// The demo.
pub struct Demo {
    /// The widgets.
    pub ui: Rc<MainWindow>,
    /// The running strategy.
    pub about: About,
    /// What the command line asked for.
    pub options: Options,
    loops: Arc<dyn Loops>,
    meters: Rc<Meters>,
    spinner: Spinner,
    dialogs: Rc<Dialogs>,
    watch: Rc<Watch>,
    player: Rc<Player>,
    verdicts: Verdicts,
    sampler: Rc<Sampler>,
    draft: Rc<Draft>,
    ending: Ending,
}

impl std::fmt::Debug for Demo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Demo").field("strategy", &self.about.name).finish_non_exhaustive()
    }
}

impl Demo {
    /// Starts the demo in a window that is not shown yet.
    pub fn start(
        ui: MainWindow,
        loops: Arc<dyn Loops>,
        about: About,
        options: Options,
        ending: Ending,
    ) -> Rc<Self> {
        let ui = Rc::new(ui);
        let meters = Meters::new(&loops, &ui.window);
        let spinner = Spinner::new(&ui.spinner, &meters.frames);
        let black_box = BlackBox::new(options.black_box.clone());
        let watch = Rc::new(Watch::new(&meters.log, &meters.work, black_box));
        let player = Rc::new(Player::default());
        let draft = Rc::new(Draft::new(about.name));
        let verdicts = Verdicts::new(&about, &meters.log, &watch, &player, &draft, &ui);
        Rc::new_cyclic(|demo: &Weak<Self>| {
            let demo = demo.clone();
            let sample = move || demo.upgrade().is_some_and(|demo| demo.sample());
            let sampler = Sampler::new(&meters, &ui, sample);
            let close = options.dialog_time();
            let dialogs = Dialogs::start(&loops, close, &ui, &meters, &watch, &sampler, &draft);
            Self {
                ui,
                about,
                options,
                loops,
                meters,
                spinner,
                dialogs,
                watch,
                player,
                verdicts,
                sampler,
                draft,
                ending,
            }
        })
    }

    /// A button was pressed.
    pub fn press(&self, kind: Kind) {
        self.dialogs.press(kind);
    }

    /// Starts or stops the activity.
    pub fn set_activity(&self, on: bool) {
        self.watch.forget_beside();
        self.meters.work.set_activity(on);
        self.spin_while_active();
        self.ui.log(if on { "activity on" } else { "activity off" });
    }

    /// Starts or stops the thousand tasks.
    pub fn set_many_tasks(&self, on: bool) {
        self.meters.work.set_many_tasks(on);
        self.ui.log(if on { "1,000 tasks on" } else { "1,000 tasks off" });
    }

    /// Resumes the charts.
    pub fn keep_sampling(&self) {
        self.sampler.keep_going();
    }

    /// Plays a scenario of the matrix in this window.
    pub fn play(&self, program: Program) {
        let log = &self.meters.log;
        match Play::start(program, &self.loops, log, &self.ui) {
            Ok(play) => {
                self.ui.log(&format!("scenario {}: started", play.name()));
                log.keep();
                self.player.begin(play);
                self.spin_while_active();
                self.keep_sampling();
            }
            Err(error) => {
                self.ending.fail(&format!("error: {error:#}"));
                self.quit();
            }
        }
    }

    /// Shows how the previous process ended.
    pub fn post_mortem(&self, case: Case) {
        self.ui.log("the previous process died; judging its last dialog");
        self.verdicts.ask_post_mortem(case);
    }

    /// Half of `--exit-after` has passed.
    pub fn half_time(&self) {
        self.draft.half_time(self.meters.stretch());
    }

    /// Ends the program with this code.
    pub fn quit_with(&self, code: u8) {
        self.ending.set_code(code);
        self.quit();
    }

    /// Ends the program. Not `application.quit()`, because every nested loop has to unwind first.
    pub fn quit(&self) {
        if !self.ending.begin() {
            return;
        }
        if self.options.plays() && !self.player.has_ended() && self.ending.is_good() {
            self.ending.fail("error: the scenario did not end");
        }
        self.take_screenshot();
        self.write_report();
        self.dialogs.end_all();
        self.player.abandon();
        self.sampler.stop();
        self.meters.work.stop();
        self.ui.window.destroy();
        self.ending.finish();
    }

    fn is_active(&self) -> bool {
        self.meters.work.is_active() || self.player.is_on()
    }

    fn spin_while_active(&self) {
        self.spinner.turn(self.is_active());
    }

    /// Takes one sample; `false` when no other is needed.
    fn sample(&self) -> bool {
        let paused = self.ui.pause.is_active();
        let in_dialog = self.watch.is_in_dialog() || self.player.is_in_dialog();
        if self.verdicts.renew() {
            self.spin_while_active();
            let Options { exit_after, screenshot, report, .. } = &self.options;
            if exit_after.is_none() && (screenshot.is_some() || report.is_some()) {
                self.quit();
            }
        }
        self.dialogs.show_pulse();
        self.sampler.sample(Scene { paused, in_dialog, active: self.is_active() });
        if self.sampler.is_blind() {
            self.ui.log("GTK has drawn nothing for eight seconds: closing the dialogs");
            abort_all();
        }
        !paused || self.watch.is_on() || self.player.is_on()
    }

    fn take_screenshot(&self) {
        let Some(file) = &self.options.screenshot else { return };
        if let Err(error) = screenshot::take(self.ui.window.upcast_ref(), file) {
            self.ending.fail(&format!("cannot take the screenshot: {error:#}"));
        }
    }

    fn write_report(&self) {
        let Some(file) = &self.options.report else { return };
        if let Err(error) = self.draft.write(self.meters.stretch(), file) {
            self.ending.fail(&format!("cannot write {}: {error}", file.display()));
        }
    }
}
