//! From a press to a dialog and back: the part of the demo in which nested loops are opened.
//!
//! Who opens them is the point. A click does it in its own callback; a task does it inside its
//! poll, where the strategy runs tasks on this thread; a library's task on tokio's queue.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use gtk4::glib::{self, ControlFlow, Priority};
use gtk4::prelude::*;
use loopnest_core::loops::{Home, Loops};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::activity::Activity;
use crate::demo::{Demo, Running, after, with};
use crate::dialog_run::{Outcome, dialog_run};
use crate::dialogs::{self, Dialog};
use crate::episode::Episode;
use crate::facts::Fact;
use crate::kind::{BLOCK_ON, Kind};
use crate::log::Log;
use crate::report::{DialogReport, Stretch};

impl Demo {
    /// A button was pressed.
    pub fn press(self: &Rc<Self>, kind: Kind) {
        if self.ended.get() {
            return;
        }
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
            let beside = self.activity.borrow().as_ref().map(Activity::beside);
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

    /// Opens a nested loop on this thread and returns when it has.
    fn show(self: &Rc<Self>, i: usize, kind: Kind) {
        // A task that was asked before the end may come to it after.
        if self.ended.get() {
            return;
        }
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
        self.keep_black_box();
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
        self.keep_black_box();
        let inside = Stretch::between(before, self.stretch());
        let ticks = inside.async_ticks;
        self.ui.log(&format!("{level}: {outcome}, {ticks} async ticks inside"));
        self.report.borrow_mut().dialogs.push(DialogReport { level, outcome, inside });
        self.show_levels();
        self.check_over();
    }

    fn run_dialog(self: &Rc<Self>, kind: Kind) -> String {
        let title = match kind {
            Kind::ThreeDeep => format!("Three deep: {}", self.n_open() + 1),
            kind => kind.title().to_owned(),
        };
        let dialog = Dialog::new(&self.parent(), &title, &format!("{}.", kind.about()));
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
                after(Duration::from_millis(ms.into()), move || answer.give(()));
            }
            dialog.answer_with(answer);
        });
        self.open.borrow_mut().retain(|(open, _)| open.window != dialog.window);
        match outcome {
            Outcome::Response(()) => "closed by its button",
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
        let dialog = Dialog::new(&self.parent(), Kind::Async.title(), Kind::Async.about());
        self.begin(|_, _| ());
        self.with_episode(|running| running.n_async += 1);
        self.open.borrow_mut().push((dialog.clone(), self.log.async_ticks()));
        let demo = Rc::downgrade(self);
        dialog.another.connect_clicked(move |_| {
            if let Some(demo) = demo.upgrade() {
                demo.press(Kind::Async);
            }
        });
        // Weakly: the button is in the window, and would keep it for ever.
        let window = dialog.window.downgrade();
        dialog.close.connect_clicked(move |_| {
            if let Some(window) = window.upgrade() {
                window.close();
            }
        });
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
            after(Duration::from_millis(ms.into()), move || window.close());
        }
        dialog.window.present();
    }

    /// The innermost window.
    fn parent(&self) -> gtk4::Window {
        let open = self.open.borrow();
        let innermost = open.last().map(|(dialog, _)| dialog.window.clone());
        innermost.unwrap_or_else(|| self.ui.window.clone().upcast())
    }
}

/// Starts a task that opens dialogs when asked, from inside its own poll where the strategy runs
/// tasks on the GTK thread.
pub(crate) fn opener(
    loops: &Arc<dyn Loops>,
    log: &Arc<Log>,
    home: Home,
) -> UnboundedSender<(usize, Kind)> {
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

fn outcome_of(result: anyhow::Result<()>) -> String {
    result.map_or_else(|error| format!("{error:#}"), |()| "written".to_owned())
}
