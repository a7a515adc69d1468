//! From a button press to a dialog and back: the code that opens nested loops.
//!
//! What matters is who opens one. A click does so in its own callback. A task does so inside its
//! poll, where the strategy runs tasks on this thread. A library's task does so on tokio's queue.
//!
//! **Hold no borrow while a nested loop runs**, that is, across any call that shows a dialog: a
//! callback dispatched inside would run into it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use gtk4::glib::{self, ControlFlow, Priority};
use gtk4::prelude::*;
use loopnest_core::loops::{Home, Loops};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::dialog::{Dialog, OpenDialogs, export_print};
use crate::dialog_run::{Outcome, abort_for_good, dialog_run};
use crate::facts::Fact;
use crate::frames::windows;
use crate::kind::{BLOCK_ON, Kind};
use crate::log::Log;
use crate::meters::Meters;
use crate::report::{DialogReport, Draft, Stretch};
use crate::sampler::Sampler;
use crate::timer::after;
use crate::watch::Watch;
use crate::window::MainWindow;

thread_local! {
    /// The dialogs of this thread. Tasks, which are `Send`, find them here.
    static HERE: RefCell<Weak<Dialogs>> = const { RefCell::new(Weak::new()) };
}

/// Opens the dialogs of the window.
pub struct Dialogs {
    open: OpenDialogs,
    /// Asks the task of the application and that of the library to open a dialog.
    ask: [UnboundedSender<(usize, Kind)>; 2],
    /// The program is about to end: no more dialogs are opened.
    ended: Cell<bool>,
    /// Each dialog closes by itself after this time.
    close_after: Option<Duration>,
    loops: Arc<dyn Loops>,
    ui: Rc<MainWindow>,
    meters: Rc<Meters>,
    watch: Rc<Watch>,
    sampler: Rc<Sampler>,
    draft: Rc<Draft>,
}

impl fmt::Debug for Dialogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialogs").field("open", &self.open).finish_non_exhaustive()
    }
}

impl Dialogs {
    /// Starts the tasks that open dialogs. No dialog is open yet.
    pub fn start(
        loops: &Arc<dyn Loops>,
        close_after: Option<Duration>,
        ui: &Rc<MainWindow>,
        meters: &Rc<Meters>,
        watch: &Rc<Watch>,
        sampler: &Rc<Sampler>,
        draft: &Rc<Draft>,
    ) -> Rc<Self> {
        let dialogs = Rc::new(Self {
            open: OpenDialogs::default(),
            ask: [Home::Local, Home::Library].map(|home| opener(loops, &meters.log, home)),
            ended: Cell::new(false),
            close_after,
            loops: loops.clone(),
            ui: ui.clone(),
            meters: meters.clone(),
            watch: watch.clone(),
            sampler: sampler.clone(),
            draft: draft.clone(),
        });
        HERE.set(Rc::downgrade(&dialogs));
        dialogs
    }

    /// A button was pressed.
    pub fn press(self: &Rc<Self>, kind: Kind) {
        if self.ended.get() {
            return;
        }
        self.ui.log(&format!("{}: pressed", kind.label()));
        if kind == Kind::Async {
            return self.open_async();
        }
        let i = self.watch.press(kind);
        self.sampler.keep_going();
        match kind {
            // Fails only when the task has ended with the program.
            Kind::Task => drop(self.ask[0].send((i, kind))),
            Kind::LibraryTask => drop(self.ask[1].send((i, kind))),
            _ => self.show(i, kind),
        }
    }

    /// Shows in each open dialog how the async side is doing.
    pub fn show_pulse(&self) {
        self.open.show_pulse(self.meters.log.async_ticks());
    }

    /// Ends all open dialogs, and opens no more.
    pub fn end_all(&self) {
        self.ended.set(true);
        abort_for_good();
        for window in windows() {
            // We cannot abort GTK's own dialogs, but closing one answers it too.
            if window != *self.ui.window.upcast_ref::<gtk4::Window>() {
                window.close();
            }
        }
    }

    /// Opens a nested loop on this thread and returns when the loop has returned.
    fn show(self: &Rc<Self>, i: usize, kind: Kind) {
        // A task that was asked before the end may get here after it.
        if self.ended.get() {
            return;
        }
        let before = self.meters.stretch();
        let level = self.watch.open(i);
        self.ui.set_levels(&self.watch.open_levels());
        self.ui.log(&format!("{level}: opened"));
        let (outcome, refused) = match kind {
            Kind::Print => (outcome_of(export_print(&self.parent())), None),
            Kind::PageSetup => {
                self.run_page_setup();
                ("closed".to_owned(), None)
            }
            Kind::BlockOn => self.block_on(i),
            _ => (self.run_dialog(kind), None),
        };
        self.watch.close(i, kind, refused);
        let inside = Stretch::between(before, self.meters.stretch());
        let ticks = inside.async_ticks;
        self.ui.log(&format!("{level}: {outcome}, {ticks} async ticks inside"));
        self.draft.add_dialog(DialogReport { level, outcome, inside });
        self.ui.set_levels(&self.watch.open_levels());
    }

    fn run_dialog(self: &Rc<Self>, kind: Kind) -> String {
        let title = match kind {
            Kind::ThreeDeep => format!("Three deep: {}", self.open.n() + 1),
            kind => kind.title().to_owned(),
        };
        let dialog = Dialog::new(&self.parent(), &title, &format!("{}.", kind.about()));
        self.open_another_with(&dialog, Kind::Callback);
        if kind == Kind::ThreeDeep {
            let dialogs = Rc::downgrade(self);
            dialog.window.connect_map(move |_| {
                let dialogs = dialogs.clone();
                glib::idle_add_local_full(Priority::DEFAULT, move || {
                    if let Some(dialogs) = dialogs.upgrade().filter(|dialogs| dialogs.open.n() < 3)
                    {
                        dialogs.press(Kind::ThreeDeep);
                    }
                    ControlFlow::Break
                });
            });
        }
        self.open.push(&dialog, self.meters.log.async_ticks());
        let outcome = dialog_run(&dialog.window, |answer| {
            if let Some(time) = self.close_after {
                let answer = answer.clone();
                after(time, move || answer.give(()));
            }
            dialog.answer_with(answer);
        });
        self.open.remove(&dialog.window);
        match outcome {
            Outcome::Response(()) => "closed by its button",
            Outcome::Closed => "closed by Escape or the window manager",
            Outcome::Destroyed => "destroyed",
            Outcome::Aborted => "aborted",
        }
        .to_owned()
    }

    /// GTK's own dialog. Nothing in its call answers it, so what closes it in time has to find its
    /// window: the oldest of those that are new.
    fn run_page_setup(&self) {
        let is_over = Rc::new(Cell::new(false));
        if let Some(time) = self.close_after {
            let before: Vec<_> = windows().iter().map(ObjectExt::downgrade).collect();
            let is_over = is_over.clone();
            after(time, move || {
                let is_new = |window: &gtk4::Window| {
                    !before.iter().any(|old| old.upgrade().as_ref() == Some(window))
                };
                // The list begins with the newest.
                let window = windows().into_iter().rev().find(is_new);
                if let Some(window) = window.filter(|_| !is_over.get()) {
                    window.close();
                }
            });
        }
        let settings = gtk4::PrintSettings::new();
        gtk4::print_run_page_setup_dialog(Some(&self.parent()), None, &settings);
        is_over.set(true);
    }

    /// Blocks on a future inside this callback. Returns the outcome, and why it was refused.
    fn block_on(&self, i: usize) -> (String, Option<String>) {
        let (loops, log) = (self.loops.clone(), self.meters.log.clone());
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

    /// Opens a dialog without waiting for it.
    fn open_async(self: &Rc<Self>) {
        let dialog = Dialog::new(&self.parent(), Kind::Async.title(), Kind::Async.about());
        self.watch.open_async();
        self.sampler.keep_going();
        self.open.push(&dialog, self.meters.log.async_ticks());
        self.open_another_with(&dialog, Kind::Async);
        dialog.close_by_itself();
        let dialogs = Rc::downgrade(self);
        dialog.window.connect_unmap(move |window| {
            let Some(dialogs) = dialogs.upgrade() else { return };
            dialogs.open.remove(window);
            dialogs.ui.log("without nesting: closed");
            dialogs.watch.close_async();
        });
        if let Some(time) = self.close_after {
            let window = dialog.window.clone();
            after(time, move || window.close());
        }
        dialog.window.present();
    }

    /// Makes the second button of a dialog open another one.
    fn open_another_with(self: &Rc<Self>, dialog: &Dialog, kind: Kind) {
        let dialogs = Rc::downgrade(self);
        dialog.another.connect_clicked(move |_| {
            if let Some(dialogs) = dialogs.upgrade() {
                dialogs.press(kind);
            }
        });
    }

    /// The innermost window.
    fn parent(&self) -> gtk4::Window {
        self.open.innermost().unwrap_or_else(|| self.ui.window.clone().upcast())
    }
}

/// Starts a task that opens dialogs on request, from inside its own poll where the strategy runs
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
        let job = Box::new(move || show_here(i, kind));
        if let Err(refused) = loops.on_host(home, job).await {
            eprintln!("{refused}");
        }
    }
}

/// Opens a nested loop on this thread, if it has dialogs.
fn show_here(i: usize, kind: Kind) {
    // Upgraded first, so that no borrow is held while the nested loop runs.
    let dialogs = HERE.with_borrow(Weak::upgrade);
    if let Some(dialogs) = dialogs {
        dialogs.show(i, kind);
    }
}

fn outcome_of(result: anyhow::Result<()>) -> String {
    result.map_or_else(|error| format!("{error:#}"), |()| "written".to_owned())
}
