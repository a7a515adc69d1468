//! A strategy's loops, with a window for each nested one. Scenarios are played on them.
//!
//! Scenario code is `Send` and may run on any thread. The windows belong to the GTK thread and are
//! found there through thread-local values. A nested loop on another thread has no window.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gtk4::glib::{self, MainContext, Priority, Propagation};
use gtk4::prelude::*;
use loopnest_core::loops::{
    BoxFuture, Callback, Canceller, Channel, Home, Job, Loops, Pipe, Refused,
};
use loopnest_core::program::{How, Reply};

use crate::dialog::Dialog;
use crate::dialog_run::{Answer, dialog_run};
use crate::window::MainWindow;

thread_local! {
    /// The main window.
    static UI: RefCell<Weak<MainWindow>> = const { RefCell::new(Weak::new()) };

    /// The names of the open nested loops, outermost first.
    static LEVELS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };

    /// What closes each open dialog of the scenario, outermost first.
    static OPEN: RefCell<Vec<(String, Answer<()>)>> = const { RefCell::new(Vec::new()) };
}

/// The loops. Their clock starts with the scenario.
#[derive(Debug)]
pub struct WindowLoops {
    inner: Arc<dyn Loops>,
    begin: Duration,
    closed: Closed,
}

impl WindowLoops {
    /// The loops for a scenario that begins now. Its dialogs on this thread are transient for `ui`.
    pub fn new(inner: &Arc<dyn Loops>, ui: &Rc<MainWindow>) -> Self {
        UI.set(Rc::downgrade(ui));
        Self { begin: inner.now(), inner: inner.clone(), closed: Closed::default() }
    }
}

impl Loops for WindowLoops {
    fn now(&self) -> Duration {
        self.inner.now().saturating_sub(self.begin)
    }

    fn spawn(&self, home: Home, task: BoxFuture) -> Canceller {
        self.inner.spawn(home, task)
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture {
        self.inner.sleep_until(self.begin + deadline)
    }

    fn yield_now(&self) -> BoxFuture {
        self.inner.yield_now()
    }

    fn channel(&self) -> Arc<dyn Channel> {
        self.inner.channel()
    }

    fn pipe(&self) -> std::io::Result<Arc<dyn Pipe>> {
        self.inner.pipe()
    }

    fn call(&self, home: Home, after: Duration, reply: Reply) -> BoxFuture<Option<Reply>> {
        self.inner.call(home, after, reply)
    }

    fn add_timeout(&self, priority: i32, interval: Duration, callback: Callback) {
        self.inner.add_timeout(priority, interval, callback);
    }

    fn add_idle(&self, priority: i32, callback: Callback) {
        self.inner.add_idle(priority, callback);
    }

    fn run_nested(&self, level: &str, how: How) -> Result<(), Refused> {
        let Some(dialog) = window(level) else { return self.inner.run_nested(level, how) };
        let _shown = Shown::push(level);
        if how == How::Run {
            dialog_run::<()>(&dialog.window, |answer| {
                OPEN.with_borrow_mut(|open| open.push((level.to_owned(), answer)));
                self.closed.answer_innermost();
            });
            OPEN.with_borrow_mut(Vec::pop);
            // The dialog below may have waited for this one.
            self.closed.answer_innermost();
            Ok(())
        } else {
            // The program iterates this loop by hand, so the window is only shown beside it.
            dialog.window.present();
            let result = self.inner.run_nested(level, how);
            dialog.window.destroy();
            result
        }
    }

    fn quit(&self, level: &str) {
        self.closed.push(level);
        self.inner.quit(level);
        let closed = self.closed.clone();
        if MainContext::default().is_owner() {
            closed.answer_innermost();
        } else {
            glib::idle_source_new(None, Priority::DEFAULT, move || {
                closed.answer_innermost();
                glib::ControlFlow::Break
            })
            .attach(Some(&MainContext::default()));
        }
    }

    fn block_on(&self, task: BoxFuture) -> Result<(), Refused> {
        self.inner.block_on(task)
    }

    fn on_host(&self, home: Home, job: Job) -> BoxFuture<Result<(), Refused>> {
        self.inner.on_host(home, job)
    }

    fn thread(&self, script: Vec<(Duration, Job)>) {
        self.inner.thread(script);
    }

    fn compute(&self, time: Duration) {
        self.inner.compute(time);
    }
}

/// The levels that the scenario has quit.
#[derive(Clone, Debug, Default)]
struct Closed(Arc<Mutex<Vec<String>>>);

impl Closed {
    fn levels(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, level: &str) {
        self.levels().push(level.to_owned());
    }

    /// Answers the innermost dialog if it has been quit. An outer one waits for those inside it, as
    /// a `GMainLoop` does: an answer to it would abort them.
    fn answer_innermost(&self) {
        let innermost = OPEN.with_borrow(|open| open.last().cloned());
        let Some((level, answer)) = innermost else { return };
        let is_closed = self.levels().contains(&level);
        if is_closed {
            answer.give(());
        }
    }
}

/// Shows a level on the stack until this is dropped.
struct Shown;

impl Shown {
    fn push(level: &str) -> Self {
        LEVELS.with_borrow_mut(|levels| levels.push(level.to_owned()));
        show_levels();
        Self
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        LEVELS.with_borrow_mut(Vec::pop);
        show_levels();
    }
}

fn show_levels() {
    if let Some(ui) = ui() {
        ui.set_levels(&LEVELS.with_borrow(Clone::clone));
    }
}

fn ui() -> Option<Rc<MainWindow>> {
    UI.with_borrow(Weak::upgrade)
}

/// A window for a level. The scenario closes it, so the user cannot.
fn window(level: &str) -> Option<Dialog> {
    let text = "A dialog of the scenario; the scenario closes it.";
    let dialog = Dialog::new(&ui()?.window, level, text);
    dialog.close.set_sensitive(false);
    dialog.another.set_sensitive(false);
    dialog.pulse.set_visible(false);
    dialog.window.connect_close_request(|_| Propagation::Stop);
    Some(dialog)
}
