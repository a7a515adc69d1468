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
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::activity::{Activity, ManyTasks};
use crate::blackbox::BlackBox;
use crate::cli::Options;
use crate::dialog_run::{Outcome, abort_all, dialog_run};
use crate::dialogs::{self, BLOCK_ON, Choice, Dialog, Kind};
use crate::episode::{Beside, Case, Episode};
use crate::frames::{self, Frames};
use crate::judge::{Judge, Request, Verdict};
use crate::log::{Fact, Log, Probe};
use crate::play::Play;
use crate::report::{DialogReport, Report, Stretch};
use crate::sampler::Sampler;
use crate::screenshot;
use crate::window::MainWindow;

/// How many tasks *1,000 tasks* starts.
const MANY: u32 = 1000;

/// Between two live verdicts.
const LIVE_EVERY: Duration = Duration::from_secs(1);

/// What is owed gets this long to come after the last dialog has closed, before it counts as lost.
const GRACE: Duration = Duration::from_secs(4);

/// A dialog that GTK cannot draw, on a display where we cannot either, is closed after this many
/// samples: nobody can see what to press.
const BLIND_SAMPLES: u32 = 40;

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
    options: Options,
    judge: Judge,
    black_box: BlackBox,
    activity: RefCell<Option<Activity>>,
    many: RefCell<Option<ManyTasks>>,
    episode: RefCell<Option<Running>>,
    n_episodes: Cell<u64>,
    /// The dialogs that are open, outermost first.
    open: RefCell<Vec<(Dialog, u64)>>,
    play: RefCell<Option<Play>>,
    /// Moves the spinner. It asks for frames for as long as it is there.
    spinning: RefCell<Option<TickCallbackId>>,
    /// Asks the task of the application and that of the library to open a dialog.
    ask: [UnboundedSender<(usize, Kind)>; 2],
    sampler: Sampler,
    timer: RefCell<Option<SourceId>>,
    report: RefCell<Report>,
    /// The verdict on the dialogs that are still open.
    so_far: RefCell<Option<Verdict>>,
    half: Cell<Option<Stretch>>,
    exit: Cell<u8>,
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
struct Running {
    number: u64,
    episode: Episode,
    /// Dialogs without a nested loop that are open.
    n_async: usize,
    /// When the last dialog closed.
    over: Option<Duration>,
    asked: Duration,
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
        let ask = [Home::Local, Home::Library].map(|home| opener(&loops, &log, home));
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
            spinning: RefCell::default(),
            ask,
            timer: RefCell::default(),
            so_far: RefCell::default(),
            half: Cell::new(None),
            exit: Cell::new(0),
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

    /// A button was pressed.
    pub fn press(self: &Rc<Self>, kind: Kind) {
        self.ui.log(&format!("{}: pressed", kind.label()));
        if kind == Kind::Async {
            return self.open_async();
        }
        let i = self.begin(|episode, now| episode.press(kind.origin(), kind.level(), now));
        self.log.record(Fact::Pressed(i));
        match kind {
            // Fails only when the task has ended, with the program.
            Kind::Task => drop(self.ask[0].send((i, kind))),
            Kind::LibraryTask => drop(self.ask[1].send((i, kind))),
            _ => self.show(i, kind),
        }
    }

    /// Changes the episode, which begins now if there is none.
    fn begin<R>(self: &Rc<Self>, change: impl FnOnce(&mut Episode, Duration) -> R) -> R {
        self.log.keep();
        let now = self.log.now();
        let mut running = self.episode.borrow_mut();
        let running = running.get_or_insert_with(|| {
            self.n_episodes.set(self.n_episodes.get() + 1);
            let activity = self.activity.borrow();
            let beside = activity.as_ref().map(|a| Beside { began: a.began, has_bus: a.has_bus() });
            Running {
                number: self.n_episodes.get(),
                episode: Episode::begin(now, beside),
                n_async: 0,
                over: None,
                asked: now,
            }
        });
        running.over = None;
        let result = change(&mut running.episode, now);
        self.keep_sampling();
        result
    }

    fn with_episode<R>(&self, change: impl FnOnce(&mut Running) -> R) -> Option<R> {
        self.episode.borrow_mut().as_mut().map(change)
    }

    /// Opens a nested loop on this thread and returns when it has.
    fn show(self: &Rc<Self>, i: usize, kind: Kind) {
        let before = self.stretch();
        let opened = self.log.now();
        self.log.record(Fact::Open(i));
        let level = self.with_episode(|running| {
            running.episode.openers[i].opened = Some(opened);
            running.episode.openers[i].level.clone()
        });
        let level = level.unwrap_or_default();
        self.show_levels();
        self.ui.log(&format!("{level}: opened"));
        self.write_black_box();
        let (outcome, refused) = match kind {
            Kind::Print => (outcome_of(dialogs::export_print(&self.parent())), None),
            Kind::PageSetup => {
                let settings = gtk4::PrintSettings::new();
                gtk4::print_run_page_setup_dialog(Some(&self.parent()), None, &settings);
                ("closed".to_owned(), None)
            }
            Kind::BlockOn => self.block_on(i),
            _ => (self.run_dialog(kind), None),
        };
        if refused.is_some() {
            self.log.record(Fact::Refused(i));
        } else if kind != Kind::BlockOn {
            self.log.record(Fact::Quit(i));
        }
        self.log.record(Fact::Close(i));
        let closed = self.log.now();
        self.with_episode(|running| {
            running.episode.openers[i].closed = Some(closed);
            running.episode.openers[i].refused = refused;
        });
        self.black_box.clear();
        let inside = Stretch::between(before, self.stretch());
        let ticks = inside.async_ticks;
        self.ui.log(&format!("{level}: {outcome}, {ticks} async ticks inside"));
        self.report.borrow_mut().dialogs.push(DialogReport { level, outcome, inside });
        self.show_levels();
        self.check_over();
    }

    fn run_dialog(self: &Rc<Self>, kind: Kind) -> String {
        let (title, text) = (title(kind), kind.about());
        let dialog = Dialog::new(&self.parent(), title, &format!("{text}."));
        let demo = Rc::downgrade(self);
        dialog.another.connect_clicked(move |_| {
            if let Some(demo) = demo.upgrade() {
                demo.press(Kind::Callback);
            }
        });
        if kind == Kind::ThreeDeep {
            let demo = Rc::downgrade(self);
            dialog.window.connect_map(move |_| {
                let demo = demo.clone();
                glib::idle_add_local_full(Priority::DEFAULT, move || {
                    if let Some(demo) = demo.upgrade().filter(|demo| demo.n_open() < 3) {
                        demo.press(Kind::ThreeDeep);
                    }
                    ControlFlow::Break
                });
            });
        }
        self.open.borrow_mut().push((dialog.clone(), self.log.async_ticks()));
        let outcome = dialog_run(&dialog.window, |answer| {
            if let Some(ms) = self.options.dialog_ms {
                let answer = answer.clone();
                after(Duration::from_millis(ms), move || answer.give(Choice::Close));
            }
            dialog.answer_with(answer);
        });
        self.open.borrow_mut().retain(|(open, _)| open.window != dialog.window);
        match outcome {
            Outcome::Response(Choice::Close) => "closed by its button",
            Outcome::Closed => "closed by Escape or the window manager",
            Outcome::Destroyed => "taken away",
            Outcome::Aborted => "aborted",
        }
        .to_owned()
    }

    /// Waits for a future inside this callback. Gives the outcome, and why it was refused.
    fn block_on(&self, i: usize) -> (String, Option<String>) {
        let (loops, log) = (self.loops.clone(), self.log.clone());
        let end = loops.now() + BLOCK_ON;
        let slept = async move {
            loops.sleep_until(end).await;
            log.record(Fact::Slept(i));
        };
        match self.loops.block_on(Box::pin(slept)) {
            Ok(()) => ("done".to_owned(), None),
            Err(refused) => ("refused".to_owned(), Some(refused.to_string())),
        }
    }

    /// Opens a dialog that nobody waits for.
    fn open_async(self: &Rc<Self>) {
        let dialog = Dialog::new(&self.parent(), title(Kind::Async), Kind::Async.about());
        self.begin(|_, _| ());
        self.with_episode(|running| running.n_async += 1);
        self.open.borrow_mut().push((dialog.clone(), self.log.async_ticks()));
        let demo = Rc::downgrade(self);
        dialog.another.connect_clicked(move |_| {
            if let Some(demo) = demo.upgrade() {
                demo.press(Kind::Async);
            }
        });
        let close = dialog.window.clone();
        dialog.close.connect_clicked(move |_| close.close());
        let escape = gtk4::ShortcutController::new();
        let trigger = gtk4::ShortcutTrigger::parse_string("Escape");
        let action = gtk4::NamedAction::new("window.close");
        escape.add_shortcut(gtk4::Shortcut::new(trigger, Some(action)));
        dialog.window.add_controller(escape);
        let demo = Rc::downgrade(self);
        dialog.window.connect_unmap(move |window| {
            let Some(demo) = demo.upgrade() else { return };
            demo.open.borrow_mut().retain(|(open, _)| open.window != *window);
            demo.with_episode(|running| running.n_async -= 1);
            demo.ui.log("without nesting: closed");
            demo.check_over();
        });
        if let Some(ms) = self.options.dialog_ms {
            let window = dialog.window.clone();
            after(Duration::from_millis(ms), move || window.close());
        }
        dialog.window.present();
    }

    /// The innermost window.
    fn parent(&self) -> gtk4::Window {
        let open = self.open.borrow();
        let innermost = open.last().map(|(dialog, _)| dialog.window.clone());
        innermost.unwrap_or_else(|| self.ui.window.clone().upcast())
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

    fn check_over(&self) {
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
        if self.sampler.n_blind() == BLIND_SAMPLES {
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
            let case = running.episode.case(&self.log, until);
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
            if self.play.take().is_some() {
                self.log.release();
                self.spin_while_active();
                if self.options.exit_after.is_none() && self.options.screenshot.is_some() {
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
                self.episode.replace(None);
                self.log.release();
                self.conclude(verdict);
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

    /// What is on the stack, for whoever finds it if this process dies in there.
    fn write_black_box(&self) {
        let case = self.with_episode(|running| {
            running.episode.case(&self.log, self.log.now() + Duration::from_secs(1))
        });
        if let Some(case) = case {
            self.black_box.write(&case);
        }
    }

    /// The counters now.
    pub fn stretch(&self) -> Stretch {
        let (iterations, chart_iterations) = self.log.iterations();
        Stretch {
            seconds: self.log.now().as_secs_f64(),
            iterations,
            chart_iterations,
            async_ticks: self.log.async_ticks(),
            task_steps: self.many.borrow().as_ref().map_or(0, ManyTasks::steps),
            frames: self.frames.n(),
            frames_by_hand: self.frames.n_by_hand(),
            chart_seconds: self.frames.chart_time().as_secs_f64(),
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
        self.take_screenshot();
        self.write_report();
        abort_all();
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

/// Starts a task that opens dialogs when asked, from inside its own poll where the strategy runs
/// tasks on the GTK thread.
fn opener(loops: &Arc<dyn Loops>, log: &Arc<Log>, home: Home) -> UnboundedSender<(usize, Kind)> {
    let (ask, asked) = unbounded_channel();
    drop(loops.spawn(home, Box::pin(open_when_asked(loops.clone(), log.clone(), home, asked))));
    ask
}

async fn open_when_asked(
    loops: Arc<dyn Loops>,
    log: Arc<Log>,
    home: Home,
    mut asked: UnboundedReceiver<(usize, Kind)>,
) {
    while let Some((i, kind)) = asked.recv().await {
        log.record(Fact::Woken(i));
        let job = Box::new(move || with(|demo| demo.show(i, kind)));
        if let Err(refused) = loops.on_host(home, job).await {
            eprintln!("{refused}");
        }
    }
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

fn outcome_of(result: anyhow::Result<()>) -> String {
    result.map_or_else(|error| format!("{error:#}"), |()| "written".to_owned())
}

fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Callback => "Dialog from a callback",
        Kind::Task => "Dialog from a task",
        Kind::LibraryTask => "Dialog from a library\u{2019}s task",
        Kind::ThreeDeep => "Three deep",
        _ => "Dialog without nesting",
    }
}
