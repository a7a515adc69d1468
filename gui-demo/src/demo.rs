//! The demo at work: presses become dialogs, dialogs become episodes, episodes become verdicts.
//!
//! It lives on the GTK thread. Jobs of tasks, which are `Send`, find it through [`with`].
//!
//! **No borrow is held while a nested loop runs**, that is, across any call that shows a dialog:
//! whatever is dispatched inside would meet it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use gtk4::TickCallbackId;
use gtk4::glib::{self, ControlFlow, Priority, SourceId};
use gtk4::prelude::*;
use loopnest_core::loops::{Home, Loops};
use loopnest_core::signal::Signal;
use loopnest_core::strategy::About;
use loopnest_strategies::source::Source;
use tokio::sync::mpsc::UnboundedSender;

use crate::activity::{Activity, ManyTasks};
use crate::blackbox::BlackBox;
use crate::case::Case;
use crate::cli::Options;
use crate::dialog_run::abort_all;
use crate::dialogs::Dialog;
use crate::episode::Episode;
use crate::facts::LONGEST;
use crate::frames::{self, Frames};
use crate::judge::{Judge, Request};
use crate::kind::Kind;
use crate::log::{Log, Probe};
use crate::play::Play;
use crate::report::{Report, Stretch, Verdict};
use crate::sampler::Sampler;
use crate::window::MainWindow;
use crate::{screenshot, show};

/// How many tasks *1,000 tasks* starts.
const MANY: u32 = 1000;

/// Between two live verdicts.
const LIVE_EVERY: Duration = Duration::from_millis(500);

/// What is owed gets this long to come after the last dialog has closed, before it counts as lost.
const GRACE: Duration = Duration::from_secs(4);

/// How long nested loops that are not ours get to return when the program ends.
const UNWINDING: Duration = Duration::from_secs(3);

thread_local! {
    static DEMO: RefCell<Option<Rc<Demo>>> = const { RefCell::new(None) };
}

/// Does something with the demo of this thread.
pub fn with(job: impl FnOnce(&Rc<Demo>)) {
    // Cloned, so that no borrow is held while the job runs a nested loop.
    let demo = DEMO.with_borrow(Clone::clone);
    if let Some(demo) = demo {
        job(&demo);
    }
}

/// The demo.
pub struct Demo {
    /// The widgets.
    pub ui: MainWindow,
    /// Both loops.
    pub loops: Arc<dyn Loops>,
    /// What happened.
    pub log: Arc<Log>,
    /// The main window's frames.
    pub frames: Rc<Frames>,
    about: About,
    pub(crate) options: Options,
    judge: Judge,
    black_box: BlackBox,
    pub(crate) activity: RefCell<Option<Activity>>,
    many: RefCell<Option<ManyTasks>>,
    pub(crate) episode: RefCell<Option<Running>>,
    pub(crate) n_episodes: Cell<u64>,
    /// The dialogs that are open, outermost first.
    pub(crate) open: RefCell<Vec<(Dialog, u64)>>,
    play: RefCell<Option<Play>>,
    /// The scenario of the command line has ended.
    played: Cell<bool>,
    /// Moves the spinner. It asks for frames for as long as it is there.
    spinning: RefCell<Option<TickCallbackId>>,
    /// Asks the task of the application and that of the library to open a dialog.
    pub(crate) ask: [UnboundedSender<(usize, Kind)>; 2],
    sampler: Sampler,
    timer: RefCell<Option<SourceId>>,
    pub(crate) report: RefCell<Report>,
    /// The verdict on the dialogs that are still open.
    so_far: RefCell<Option<Verdict>>,
    half: Cell<Option<Stretch>>,
    exit: Cell<u8>,
    pub(crate) ended: Cell<bool>,
    finish: Signal,
    _probe: Source<Probe>,
}

impl std::fmt::Debug for Demo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Demo").field("strategy", &self.about.name).finish_non_exhaustive()
    }
}

/// An episode that goes on.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) number: u64,
    pub(crate) episode: Episode,
    /// Dialogs without a nested loop that are open.
    pub(crate) n_async: usize,
    /// When the last dialog closed.
    pub(crate) over: Option<Duration>,
    pub(crate) asked: Duration,
}

impl Demo {
    /// Starts the demo in a window that is not shown yet.
    pub fn start(
        ui: MainWindow,
        loops: Arc<dyn Loops>,
        about: About,
        options: Options,
        finish: Signal,
    ) -> Rc<Self> {
        let (log, probe) = Log::new();
        let frames = Frames::of(&ui.window, &log);
        let judge = Judge::start(about.clone());
        let ask = [Home::Local, Home::Library].map(|home| show::opener(&loops, &log, home));
        let strategy = about.name.to_owned();
        let demo = Rc::new(Self {
            sampler: Sampler::new(&log, &frames),
            black_box: BlackBox::new(options.black_box.clone()),
            report: RefCell::new(Report { strategy, ..Report::default() }),
            ui,
            loops,
            log,
            frames,
            about,
            options,
            judge,
            activity: RefCell::default(),
            many: RefCell::default(),
            episode: RefCell::default(),
            n_episodes: Cell::new(0),
            open: RefCell::default(),
            play: RefCell::default(),
            played: Cell::new(false),
            spinning: RefCell::default(),
            ask,
            timer: RefCell::default(),
            so_far: RefCell::default(),
            half: Cell::new(None),
            exit: Cell::new(0),
            ended: Cell::new(false),
            finish,
            _probe: probe,
        });
        DEMO.set(Some(demo.clone()));
        demo
    }

    /// What the command line asked for.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The strategy that runs.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Starts or stops the activity.
    pub fn set_activity(&self, on: bool) {
        let began = on.then(|| Activity::start(&self.loops, &self.log));
        self.with_episode(|running| running.episode.forget_beside());
        // The old one is dropped after the borrow has ended.
        let before = self.activity.replace(began);
        drop(before);
        self.spin_while_active();
        self.ui.log(if on { "activity on" } else { "activity off" });
    }

    /// Starts or stops the thousand tasks.
    pub fn set_many_tasks(&self, on: bool) {
        let began = on.then(|| ManyTasks::start(&self.loops, &self.log, MANY));
        let before = self.many.replace(began);
        drop(before);
        self.ui.log(if on { "1,000 tasks on" } else { "1,000 tasks off" });
    }

    /// Whether async tasks are at work.
    pub fn is_active(&self) -> bool {
        self.activity.borrow().is_some() || self.play.borrow().is_some()
    }

    /// The spinner asks for every frame while async tasks are at work, and for none otherwise.
    fn spin_while_active(&self) {
        let before = self.spinning.take();
        let id = self.is_active().then(|| {
            self.ui.spinner.add_tick_callback(|spinner, _| {
                spinner.queue_draw();
                ControlFlow::Continue
            })
        });
        if let Some(before) = before {
            before.remove();
        }
        self.ui.spinner.queue_draw();
        self.spinning.replace(id);
    }

    pub(crate) fn with_episode<R>(&self, change: impl FnOnce(&mut Running) -> R) -> Option<R> {
        self.episode.borrow_mut().as_mut().map(change)
    }

    /// How many dialogs are open.
    pub fn n_open(&self) -> usize {
        self.open.borrow().len()
    }

    /// Whether any nested loop or dialog is open.
    pub fn is_in_dialog(&self) -> bool {
        let running = self.episode.borrow();
        running.as_ref().is_some_and(|running| running.over.is_none())
            || self.play.borrow().as_ref().is_some_and(Play::is_in_dialog)
    }

    /// Shows the open levels on the stack.
    pub fn show_levels(&self) {
        let running = self.episode.borrow();
        let open = running.as_ref().map(|running| running.episode.open_levels());
        self.ui.set_levels(&open.unwrap_or_default());
    }

    pub(crate) fn check_over(&self) {
        let now = self.log.now();
        self.with_episode(|running| {
            if running.n_async == 0 && running.episode.is_over() {
                running.over = Some(now);
                running.asked = now;
            }
        });
    }

    /// Plays a scenario of the matrix in this window.
    pub fn play(self: &Rc<Self>, play: Play) {
        self.ui.log(&format!("scenario {}: begins", play.name()));
        self.log.keep();
        self.play.replace(Some(play));
        self.spin_while_active();
        self.keep_sampling();
    }

    /// Shows what became of the process before this one.
    pub fn post_mortem(&self, case: Case) {
        self.ui.log("the process before this one died; its last dialog is judged");
        self.judge.ask(Request { episode: 0, live: false, case });
    }

    /// Samples five times a second while there is something to show.
    ///
    /// At high priority: a loop that spins at default priority must not keep us from saying so.
    pub fn keep_sampling(self: &Rc<Self>) {
        if self.timer.borrow().is_some() {
            return;
        }
        self.sampler.begin();
        let demo = Rc::downgrade(self);
        let sample = move || match demo.upgrade() {
            Some(demo) if demo.sample() => ControlFlow::Continue,
            Some(demo) => {
                demo.timer.replace(None);
                ControlFlow::Break
            }
            None => ControlFlow::Break,
        };
        let id = glib::timeout_add_local_full(Sampler::EVERY, Priority::HIGH, sample);
        self.timer.replace(Some(id));
    }

    /// One sample; `false` when nobody needs another.
    fn sample(self: &Rc<Self>) -> bool {
        let paused = self.ui.pause.is_active();
        let in_dialog = self.is_in_dialog();
        if let Some(verdict) = self.judge.take() {
            self.hear(verdict);
        }
        self.ask_judge();
        for (dialog, from) in self.open.borrow().iter() {
            let ticks = self.log.async_ticks() - from;
            dialog.pulse.set_text(&format!("async ticks in here: {ticks}"));
        }
        self.sampler.sample(self, paused, in_dialog);
        if self.sampler.is_blind() {
            self.ui.log("GTK has drawn nothing for eight seconds: the dialogs are closed");
            abort_all();
        }
        !paused || self.episode.borrow().is_some() || self.play.borrow().is_some()
    }

    fn ask_judge(&self) {
        let now = self.log.now();
        if let Some(play) = &*self.play.borrow() {
            if let Some(case) = play.case_if_over(&self.log) {
                self.judge.ask(Request { episode: 0, live: false, case });
            }
            return;
        }
        let request = self.with_episode(|running| {
            let (every, until, live) = match running.over {
                None => (LIVE_EVERY, now, true),
                Some(over) => (Sampler::EVERY, over, false),
            };
            if now < running.asked + every {
                return None;
            }
            running.asked = now;
            let beside = self.activity.borrow().as_ref().map(Activity::beside);
            running.episode.forget_ended(beside);
            let case = Case::of(&running.episode, &self.log, until);
            Some(Request { episode: running.number, live, case })
        });
        if let Some(request) = request.flatten() {
            self.judge.ask(request);
        }
    }

    /// The judge has spoken.
    fn hear(self: &Rc<Self>, verdict: Verdict) {
        let now = self.log.now();
        if verdict.episode == 0 {
            self.conclude(verdict);
            if let Some(play) = self.play.take() {
                self.played.set(play.is_done());
                drop(play);
                self.log.release();
                self.spin_while_active();
                let Options { exit_after, screenshot, report, .. } = &self.options;
                if exit_after.is_none() && (screenshot.is_some() || report.is_some()) {
                    self.quit();
                }
            }
            return;
        }
        let over = self
            .with_episode(|running| (running.number == verdict.episode).then_some(running.over));
        let Some(over) = over.flatten() else { return };
        match over {
            // Asked before the last dialog closed.
            Some(_) if verdict.live => {}
            Some(over) if verdict.owed == 0 || now > over + GRACE => {
                let ended = self.episode.take();
                self.log.release();
                self.conclude(verdict);
                if ended.is_some_and(|running| running.episode.is_cut(over)) {
                    let seconds = LONGEST.as_secs();
                    self.ui.log(&format!("only the first {seconds} seconds were judged"));
                }
            }
            Some(_) => {}
            None => {
                self.ui.set_verdict(Some(&verdict));
                self.so_far.replace(Some(verdict));
            }
        }
    }

    /// A final verdict.
    fn conclude(&self, verdict: Verdict) {
        self.so_far.replace(None);
        self.ui.set_verdict(Some(&verdict));
        self.ui.log(&format!("verdict: {}", verdict.text()));
        if verdict.is_bad() {
            self.ui.log(&format!("why: {} ({})", verdict.cause, verdict.rule));
            self.ui.log(&format!("try: {}", verdict.advice));
        }
        self.report.borrow_mut().verdicts.push(verdict);
    }

    /// Leaves what is on the stack for whoever finds it if this process dies in there, and nothing
    /// when nothing is.
    pub(crate) fn keep_black_box(&self) {
        let case = self.with_episode(|running| {
            let is_open = !running.episode.open_levels().is_empty();
            let until = self.log.now() + Duration::from_secs(1);
            is_open.then(|| Case::of(&running.episode, &self.log, until))
        });
        match case.flatten() {
            Some(case) => self.black_box.write(&case),
            None => self.black_box.clear(),
        }
    }

    /// The counters now.
    pub fn stretch(&self) -> Stretch {
        Stretch {
            task_steps: self.many.borrow().as_ref().map_or(0, ManyTasks::steps),
            frames: self.frames.n(),
            frames_by_hand: self.frames.n_by_hand(),
            chart_seconds: self.frames.chart_time().as_secs_f64(),
            ..self.log.stretch()
        }
    }

    /// Half of `--exit-after` has passed.
    pub fn half_time(&self) {
        self.half.set(Some(self.stretch()));
    }

    /// Ends the program with this code.
    pub fn quit_with(self: &Rc<Self>, code: u8) {
        self.exit.set(code);
        self.quit();
    }

    /// Ends the program. Every nested loop is unwound first, which is why this is not
    /// `application.quit()`.
    pub fn quit(self: &Rc<Self>) {
        if self.ended.replace(true) {
            return;
        }
        if self.options.plays() && !self.played.get() && self.exit.get() == 0 {
            eprintln!("error: the scenario did not end");
            self.exit.set(1);
        }
        self.take_screenshot();
        self.write_report();
        crate::dialog_run::abort_for_good();
        for window in frames::windows() {
            // GTK's own dialogs are not ours to abort; closing is an answer to them too.
            if window != *self.ui.window.upcast_ref::<gtk4::Window>() {
                window.close();
            }
        }
        if let Some(timer) = self.timer.take() {
            timer.remove();
        }
        drop((self.activity.take(), self.many.take()));
        self.ui.window.destroy();
        let (finish, code) = (self.finish.clone(), self.exit.get());
        // From another thread, so that a strategy whose own callbacks cannot wake it still ends.
        std::thread::spawn(move || {
            finish.set();
            std::thread::sleep(UNWINDING);
            // A nested loop that is GTK's own ends when GTK has done its work in it, and under a
            // strategy that starves GTK's idle sources that is never.
            std::process::exit(code.into());
        });
    }

    /// The code to end with.
    pub fn exit_code(&self) -> u8 {
        self.exit.get()
    }

    fn take_screenshot(&self) {
        let Some(file) = &self.options.screenshot else { return };
        if let Err(error) = screenshot::take(self.ui.window.upcast_ref(), file) {
            eprintln!("cannot take the screenshot: {error:#}");
            self.exit.set(1);
        }
    }

    fn write_report(&self) {
        let Some(file) = &self.options.report else { return };
        let now = self.stretch();
        let mut report = self.report.borrow_mut();
        report.run = now;
        report.verdicts.extend(self.so_far.take());
        report.settled = self.half.get().map(|half| Stretch::between(half, now));
        let json = serde_json::to_string_pretty(&*report).unwrap_or_default();
        if let Err(error) = std::fs::write(file, json) {
            eprintln!("cannot write {}: {error}", file.display());
            self.exit.set(1);
        }
    }
}

/// Forgets the demo of this thread.
pub fn forget() {
    let demo = DEMO.take();
    drop(demo);
}

/// Calls a GTK-thread closure once, after a time, whatever else is ready.
pub fn after(time: Duration, job: impl FnOnce() + 'static) {
    let mut job = Some(job);
    glib::timeout_add_local_full(time, Priority::HIGH, move || {
        if let Some(job) = job.take() {
            job();
        }
        ControlFlow::Break
    });
}
