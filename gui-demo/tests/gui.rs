//! The demo in a real window: opens every dialog under every strategy of the list, closes it by its
//! button, by Escape and through the window manager, and checks the verdict while it is open and
//! afterwards. What cannot be closed in three ways has a separate test: GTK's print operation under
//! `nested` and `nested-no-wake`, which never ends, and a task's dialog under `gtk-rs`, which ends
//! the process.
//!
//! Each test has its own X server, window manager and session bus. It finds and presses buttons as
//! a screen reader would, or clicks them with the mouse. A mouse click comes from a source that may
//! recurse, a press by assistive technology from a plain timeout, and the difference matters to
//! nested loops. Nothing sleeps; every step waits for its effect on the screen.

mod common;

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::thread;

use atspi::{Role, State};
use common::reader::Node;
use common::session::Session;
use common::{wait_for, wait_until};
use gui_demo::report::Report;
use rustix::process::{Signal, kill_process};

/// How a dialog is closed.
#[derive(Clone, Copy, Debug)]
enum Close {
    /// Its button, pressed by a screen reader.
    Button,
    /// Its button, clicked with the mouse.
    Mouse,
    /// The keyboard.
    Escape,
    /// The window manager.
    WindowManager,
}

const WAYS: [Close; 3] = [Close::Button, Close::Escape, Close::WindowManager];

impl Close {
    /// The outcome in the report, for one of our own dialogs.
    fn outcome(self) -> &'static str {
        match self {
            Self::Button | Self::Mouse => "closed by its button",
            Self::Escape | Self::WindowManager => "closed by Escape or the window manager",
        }
    }
}

/// What a button of the window opens.
struct Dialog {
    opener: &'static str,
    title: &'static str,
    /// What closes it.
    button: &'static str,
    /// Its nested loop.
    level: Option<&'static str>,
}

const CALLBACK: Dialog = Dialog {
    opener: "From a callback",
    title: "Dialog from a callback",
    button: "Close",
    level: Some("dialog-from-callback"),
};
const TASK: Dialog = Dialog {
    opener: "From a task",
    title: "Dialog from a task",
    button: "Close",
    level: Some("dialog-from-task"),
};
const LIBRARY: Dialog = Dialog {
    opener: "From a library\u{2019}s task",
    title: "Dialog from a library\u{2019}s task",
    button: "Close",
    level: Some("dialog-from-library-task"),
};
const WITHOUT: Dialog = Dialog {
    opener: "Without nesting",
    title: "Dialog without nesting",
    button: "Close",
    level: None,
};
const PAGE_SETUP: Dialog = Dialog {
    opener: "GTK\u{2019}s own: page set-up",
    title: "Page Setup",
    button: "Cancel",
    level: Some("gtk-page-setup"),
};
const PRINT: &str = "GTK\u{2019}s own: export a print";
const BLOCK_ON: &str = "Block on a future";

/// A session, and the outcomes of its nested loops that the report must show.
struct Checked {
    session: Session,
    outcomes: RefCell<Vec<(String, &'static str)>>,
}

impl Deref for Checked {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl DerefMut for Checked {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}

impl Checked {
    fn start(strategy: &str) -> Self {
        Self { session: Session::start(strategy, &[]), outcomes: RefCell::default() }
    }

    /// Opens a dialog, checks the verdict while it is open, closes it, and checks the verdict
    /// again; once for each way to close it.
    fn check(&self, dialog: &Dialog, verdict: &str) {
        for close in WAYS {
            self.press(dialog.opener);
            self.see(dialog, close, verdict);
        }
    }

    fn see(&self, dialog: &Dialog, close: Close, verdict: &str) {
        self.desk.wait_for_focus(dialog.title);
        self.wait_for_live(verdict);
        if matches!(close, Close::Button) {
            let name = dialog.title.to_lowercase().replace(' ', "-");
            self.picture(&format!("{}-{name}", self.strategy));
        }
        self.close(dialog.title, dialog.button, close);
        self.judged(verdict, &format!("{}, closed by {close:?}", dialog.title));
        if let Some(level) = dialog.level {
            // GTK does not tell how its own dialog was closed.
            let ours = dialog.title != PAGE_SETUP.title;
            self.expect(level, if ours { close.outcome() } else { "closed" });
        }
    }

    fn close(&self, title: &str, button: &str, close: Close) {
        let id = self.desk.wait_for_focus(title);
        match close {
            Close::Button => self.press_in(title, button),
            Close::Mouse => self.click(title, button),
            Close::Escape => self.desk.keys(title, "Escape"),
            Close::WindowManager => self.desk.close_by_window_manager(title),
        }
        self.desk.wait_for_end(&id, title);
    }

    fn judged(&self, verdict: &str, what: &str) {
        let (found, reason) = self.final_verdict();
        assert_eq!(found, verdict, "{what}: {reason}");
        self.desk.wait_for_focus(&self.title());
    }

    fn expect(&self, level: &str, outcome: &'static str) {
        self.outcomes.borrow_mut().push((level.to_owned(), outcome));
    }

    /// Opens three dialogs, each inside the one before, and closes them from the inside out.
    fn check_three_deep(&self, verdict: &str) {
        let title = |n| format!("Three deep: {n}");
        let level = |n| match n {
            1 => "dialog-three-deep".to_owned(),
            n => format!("dialog-three-deep {n}"),
        };
        for close in WAYS {
            self.press("Three deep");
            self.desk.wait_for_focus(&title(3));
            self.wait_for_live(verdict);
            let shown =
                |node: &Node| node.role == Role::Label && node.name.contains("  nested loop: ");
            let levels = self.reader.all().into_iter().filter(shown).map(|node| node.name);
            let expected = [3, 2, 1].map(|n| format!("{n}  nested loop: {}", level(n)));
            assert_eq!(levels.collect::<Vec<_>>(), expected);
            if matches!(close, Close::Button) {
                self.picture(&format!("{}-three-deep", self.strategy));
            }
            for n in (1..=3).rev() {
                self.close(&title(n), "Close", close);
                self.expect(&level(n), close.outcome());
            }
            self.judged(verdict, &format!("three deep, closed by {close:?}"));
        }
    }

    /// Checks something that ends by itself.
    fn check_alone(&self, button: &str, level: &str, outcome: &'static str, verdict: &str) {
        // The log shows when it has ended; until then the verdict is that of the previous dialog.
        let before = self.verdicts();
        self.press(button);
        wait_for(&format!("the end of {button}"), || (self.verdicts() > before).then_some(()));
        self.judged(verdict, button);
        self.expect(level, outcome);
    }

    /// Waits until a chart shows more than this.
    fn wait_for_chart(&self, name: &str, least: f64) {
        wait_until(&format!("more than {least} in {name}"), || {
            let said = self.reader.find(Role::Image, name).description;
            if value(&said).is_some_and(|value| value > least) { Ok(()) } else { Err(said) }
        });
    }

    /// Quits, and checks that the report has every nested loop with its outcome.
    fn quit(self) -> Report {
        let (code, report) = self.session.quit();
        assert_eq!(code, Some(0));
        let dialogs = report.dialogs.iter();
        let found: Vec<_> = dialogs.map(|d| (d.level.clone(), d.outcome.as_str())).collect();
        assert_eq!(found, self.outcomes.into_inner());
        report
    }
}

/// Runs two sessions in parallel: each mostly waits.
fn at_once(one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let one = scope.spawn(one);
        other();
        one.join().expect("the other session");
    });
}

/// Whether a name was given to the widget: GTK falls back to the name of the class.
fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && !name.starts_with("Gtk")
}

/// The value in a chart's description: `now 12 k /s`.
fn value(said: &str) -> Option<f64> {
    let mut words = said.strip_prefix("now ")?.split(' ');
    let value: f64 = words.next()?.parse().ok()?;
    let unit = match words.next() {
        Some("k") => 1e3,
        Some("M") => 1e6,
        _ => 1.0,
    };
    Some(value * unit)
}

const GAPS: &str = "Longest async gap, in milliseconds";
const ITERATIONS: &str = "GLib iterations per second";

#[test]
fn dispatch_makes_progress_in_every_dialog() {
    let dialogs = || {
        let session = Checked::start("dispatch");
        session.check(&CALLBACK, "progress");
        session.picture("dispatch-after");
        session.check(&TASK, "progress");
        // The one limit of this strategy.
        session.check(&LIBRARY, "stall");
        session.check(&WITHOUT, "progress");
        let report = session.quit();
        let n_bad = report.verdicts.iter().filter(|verdict| verdict.is_bad()).count();
        assert_eq!(n_bad, WAYS.len());
        // What is beside the dialogs is real work.
        assert!(report.run.echoes > 0 && report.run.answers > 0, "{:?}", report.run);
    };
    at_once(dialogs, || the_rest_is_progress("dispatch"));
}

fn the_rest_is_progress(strategy: &str) {
    let session = Checked::start(strategy);
    session.check_three_deep("progress");
    session.check_alone(PRINT, "gtk-print", "written", "progress");
    session.check(&PAGE_SETUP, "progress");
    session.check_alone(BLOCK_ON, "block-on", "done", "progress");
    session.quit();
}

#[test]
fn handoff_makes_progress_in_every_dialog() {
    let dialogs = || {
        let session = Checked::start("handoff");
        for dialog in [&CALLBACK, &TASK, &LIBRARY, &WITHOUT] {
            session.check(dialog, "progress");
        }
        session.quit();
    };
    at_once(dialogs, || the_rest_is_progress("handoff"));
}

#[test]
fn gtk_rs_makes_progress_in_every_dialog_but_that_of_a_task() {
    let dialogs = || {
        let session = Checked::start("gtk-rs");
        for dialog in [&CALLBACK, &LIBRARY, &WITHOUT] {
            session.check(dialog, "progress");
        }
        session.quit();
    };
    at_once(dialogs, || the_rest_is_progress("gtk-rs"));
}

#[test]
fn nested_stalls_and_spins_and_recovers_when_the_dialog_closes() {
    let dialogs = || {
        let session = Checked::start("nested");
        session.press(CALLBACK.opener);
        // The charts show it too.
        session.wait_for_chart(GAPS, 1000.0);
        session.wait_for_chart(ITERATIONS, 1000.0);
        session.see(&CALLBACK, Close::Mouse, "stall + busy-loop");
        session.check(&CALLBACK, "stall + busy-loop");
        session.check(&TASK, "stall");
        session.check(&LIBRARY, "stall");
        session.check(&WITHOUT, "progress");
        let report = session.quit();
        // It recovered each time: what was owed came.
        assert!(report.verdicts.iter().all(|verdict| verdict.owed == 0), "{report:?}");
        let spun = &report.dialogs[0].inside;
        assert_eq!(spun.async_ticks, 0);
        assert!(spun.frames_raised > 0 && spun.chart_seconds > 0.0, "{spun:?}");
    };
    // Not in parallel: each spins, and needs a processor to itself.
    dialogs();
    the_rest_stalls_and_spins("nested");
}

fn the_rest_stalls_and_spins(strategy: &str) {
    let session = Checked::start(strategy);
    session.check_three_deep("stall + busy-loop");
    session.check(&PAGE_SETUP, "stall + busy-loop");
    session.check_alone(BLOCK_ON, "block-on", "refused", "refused");
    session.quit();
}

#[test]
fn nested_no_wake_stalls_and_spins_in_every_dialog() {
    let dialogs = || {
        let session = Checked::start("nested-no-wake");
        for dialog in [&CALLBACK, &TASK, &LIBRARY] {
            session.check(dialog, "stall + busy-loop");
        }
        session.check(&WITHOUT, "progress");
        session.quit();
    };
    dialogs();
    the_rest_stalls_and_spins("nested-no-wake");
}

#[test]
fn gtk_never_ends_its_own_nested_loop_where_a_busy_loop_starves_its_idle_sources() {
    let print = |strategy| {
        let session = Checked::start(strategy);
        session.press(PRINT);
        session.wait_for_live("stall + busy-loop");
        // Where nothing starves GTK, it writes the pages in a second or two.
        session.wait_for_chart(GAPS, 8000.0);
        session.picture(&format!("{strategy}-print"));
        // The program still ends, without an outcome.
        session.quit();
    };
    print("nested");
    print("nested-no-wake");
}

#[test]
fn gtk_rs_dies_when_a_task_opens_a_dialog_and_the_window_comes_back_and_says_why() {
    let mut session = Checked::start("gtk-rs");
    session.press(TASK.opener);
    wait_for("the death", || session.stderr().contains("EnterError").then_some(()));
    session.find_again("gtk-rs");
    let (verdict, reason) = session.final_verdict();
    assert_eq!(verdict, "abort", "{reason}");
    assert!(reason.contains("EnterError"), "{reason}");
    session.picture("gtk-rs-abort");
    // The new window works like the old one.
    session.press(CALLBACK.opener);
    session.see(&CALLBACK, Close::WindowManager, "progress");
    let report = session.quit();
    assert_eq!(report.verdicts[0].rule, "executor-re-entered");
}

#[test]
fn every_widget_that_does_something_has_a_name_and_keys_do_what_the_tooltips_say() {
    let session = Checked::start("dispatch");
    let roles = [Role::Button, Role::ComboBox, Role::Image];
    let nodes = session.reader.all();
    let does_something = |node: &&Node| roles.contains(&node.role);
    let (named, nameless): (Vec<_>, Vec<_>) =
        nodes.iter().filter(does_something).partition(|node| is_name(&node.name));
    assert!(named.len() > 15, "{named:?}");
    // The button inside the list of strategies has the name of the list since GTK 4.11.4; before,
    // only the list itself has it.
    let inside = if gtk4::minor_version() < 11 { &["GtkToggleButton"][..] } else { &[] };
    let nameless: Vec<&str> = nameless.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(nameless, inside);
    let title = session.title();
    for (keys, name) in [("ctrl+d", "Dark colours"), ("ctrl+p", "Pause the charts")] {
        for pressed in [true, false] {
            session.desk.keys(&title, keys);
            session.reader.find_such(Role::Button, name, |toggle| {
                toggle.states.contains(State::Pressed) == pressed
            });
        }
    }
    session.desk.keys(&title, "ctrl+1");
    session.see(&CALLBACK, Close::Escape, "progress");
    session.quit();
}

#[test]
fn a_death_in_a_dialog_is_explained_even_after_an_inner_one_has_closed() {
    let mut session = Checked::start("dispatch");
    session.press(CALLBACK.opener);
    session.desk.wait_for_focus(CALLBACK.title);
    session.press(TASK.opener);
    session.desk.keys(TASK.title, "Escape");
    session.desk.wait_for_focus(CALLBACK.title);
    kill_process(session.window_process(), Signal::ABORT).expect("it runs");
    session.find_again("dispatch");
    let (verdict, reason) = session.final_verdict();
    assert_eq!(verdict, "abort", "{reason}");
    session.quit();
}

#[test]
fn a_mouse_click_opens_and_closes_like_any_other_press() {
    for (strategy, verdict) in [("dispatch", "progress"), ("nested", "stall + busy-loop")] {
        let session = Checked::start(strategy);
        session.click(&session.title(), "From a callback");
        session.desk.wait_for_focus(CALLBACK.title);
        session.wait_for_live(verdict);
        session.picture(&format!("{strategy}-mouse"));
        session.see(&CALLBACK, Close::Mouse, verdict);
        session.quit();
    }
}

#[test]
fn choosing_another_strategy_restarts_the_program() {
    let mut session = Checked::start("dispatch");
    session.click_on("loopnest: dispatch", Role::ComboBox, "Strategy");
    session.reader.find(Role::Label, "nested");
    // The first entry of the list.
    session.desk.keys("loopnest: dispatch", "Home");
    session.desk.keys("loopnest: dispatch", "Return");
    session.find_again("nested");
    session.press(CALLBACK.opener);
    session.see(&CALLBACK, Close::Button, "stall + busy-loop");
    assert_eq!(session.quit().strategy, "nested");
}
