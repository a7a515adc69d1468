//! The demo in a real window: every dialog under every strategy, opened, closed, and judged.
//!
//! Each test has an X server, a window manager and a session bus of its own. Buttons are found and
//! pressed as a screen reader would, or clicked with the mouse: a mouse click comes from a source
//! that may recurse, one of assistive technology from a plain timeout, and nested loops tell them
//! apart. Nothing sleeps; every step waits for its effect on the screen.

mod common;

use atspi::Role;
use common::session::Session;
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

const CALLBACK: (&str, &str) = ("From a callback", "Dialog from a callback");
const TASK: (&str, &str) = ("From a task", "Dialog from a task");
const LIBRARY: (&str, &str) =
    ("From a library\u{2019}s task", "Dialog from a library\u{2019}s task");
const WITHOUT: (&str, &str) = ("Without nesting", "Dialog without nesting");
const PAGE_SETUP: (&str, &str) = ("GTK\u{2019}s own: page set-up", "Page Setup");
const PRINT: &str = "GTK\u{2019}s own: export a print";

impl Session {
    /// Opens a dialog, sees its verdict while it is open, closes it, sees the verdict again.
    fn check(&self, (button, title): (&str, &str), close: Close, verdict: &str) {
        self.press(button);
        self.see(title, close, verdict);
    }

    fn see(&self, title: &str, close: Close, verdict: &str) {
        self.desk.wait_for_focus(title);
        self.wait_for_live(verdict);
        if matches!(close, Close::Button) {
            self.picture(&format!("{}-{}", self.strategy, title.to_lowercase().replace(' ', "-")));
        }
        match close {
            Close::Button => self.press("Close"),
            Close::Mouse => self.click(title, "Close"),
            Close::Escape => self.desk.keys(title, "Escape"),
            Close::WindowManager => self.desk.close_by_window_manager(title),
        }
        let (found, reason) = self.final_verdict();
        assert_eq!(found, verdict, "{title}, closed by {close:?}: {reason}");
        self.desk.wait_for_focus(&self.title());
    }

    /// Opens three dialogs, each in the one before, and closes them from the inside.
    fn check_three_deep(&self, verdict: &str) {
        self.press("Three deep");
        let title = "Three deep";
        common::wait_for("three dialogs", || {
            let nodes = self.reader.all();
            (nodes.iter().filter(|node| node.name == "Close").count() >= 4).then_some(())
        });
        self.wait_for_live(verdict);
        self.picture(&format!("{}-three-deep", self.strategy));
        for _ in 0..3 {
            self.desk.keys(title, "Escape");
        }
        let (found, reason) = self.final_verdict();
        assert_eq!(found, verdict, "three deep: {reason}");
        self.desk.wait_for_focus(&self.title());
    }

    /// Something that ends by itself.
    fn check_alone(&self, button: &str, verdict: &str) {
        // The log says when it has ended; before that the verdict is that of the dialog before.
        let before = self.verdicts();
        self.press(button);
        common::wait_for(&format!("the end of {button}"), || {
            (self.verdicts() > before).then_some(())
        });
        let (found, reason) = self.final_verdict();
        assert_eq!(found, verdict, "{button}: {reason}");
    }
}

#[test]
fn dispatch_makes_progress_in_every_dialog() {
    let session = Session::start("dispatch", &[]);
    session.check(CALLBACK, Close::Button, "progress");
    session.picture("dispatch-after");
    session.check(TASK, Close::Escape, "progress");
    session.check_three_deep("progress");
    session.check_alone(PRINT, "progress");
    session.check(PAGE_SETUP, Close::Escape, "progress");
    session.check(WITHOUT, Close::WindowManager, "progress");
    session.check_alone("Block on a future", "progress");
    // The one limit of this strategy.
    session.check(LIBRARY, Close::WindowManager, "stall");
    let (code, report) = session.quit();
    assert_eq!(code, Some(0));
    assert_eq!(report.verdicts.iter().filter(|verdict| verdict.is_bad()).count(), 1);
}

#[test]
fn nested_stalls_and_spins_and_recovers_when_the_dialog_closes() {
    let session = Session::start("nested", &[]);
    session.check(CALLBACK, Close::Button, "stall + busy-loop");
    session.check(TASK, Close::Escape, "stall");
    session.check(LIBRARY, Close::WindowManager, "stall");
    session.check_three_deep("stall + busy-loop");
    session.check(PAGE_SETUP, Close::Escape, "stall + busy-loop");
    session.check(WITHOUT, Close::Escape, "progress");
    session.check_alone("Block on a future", "refused");
    let (code, report) = session.quit();
    assert_eq!(code, Some(0));
    // It recovered each time: what was owed came.
    assert!(report.verdicts.iter().all(|verdict| verdict.owed == 0 || verdict.text() == "refused"));
    let spun = &report.dialogs[0].inside;
    assert_eq!((spun.async_ticks, report.dialogs[0].level.as_str()), (0, "dialog-from-callback"));
    assert!(spun.frames_by_hand > 0, "{spun:?}");
}

#[test]
fn gtk_never_ends_its_own_nested_loop_where_a_busy_loop_starves_its_idle_sources() {
    let session = Session::start("nested", &[]);
    session.press(PRINT);
    session.wait_for_live("stall + busy-loop");
    session.picture("nested-print");
    // The program ends all the same.
    let (code, report) = session.quit();
    assert_eq!(code, Some(0));
    assert!(report.dialogs.is_empty(), "{report:?}");
}

#[test]
fn handoff_makes_progress_in_every_dialog() {
    let session = Session::start("handoff", &[]);
    session.check(CALLBACK, Close::WindowManager, "progress");
    session.check(TASK, Close::Button, "progress");
    session.check(LIBRARY, Close::Escape, "progress");
    session.check_three_deep("progress");
    session.check_alone(PRINT, "progress");
    session.check(PAGE_SETUP, Close::Escape, "progress");
    session.check(WITHOUT, Close::Button, "progress");
    session.check_alone("Block on a future", "progress");
    assert_eq!(session.quit().0, Some(0));
}

#[test]
fn gtk_rs_dies_when_a_task_opens_a_dialog_and_the_window_comes_back_and_says_why() {
    let mut session = Session::start("gtk-rs", &[]);
    session.check(CALLBACK, Close::Escape, "progress");
    session.check(LIBRARY, Close::Button, "progress");
    session.check_three_deep("progress");
    session.check_alone(PRINT, "progress");
    session.check(PAGE_SETUP, Close::Escape, "progress");
    session.check(WITHOUT, Close::WindowManager, "progress");
    session.check_alone("Block on a future", "progress");
    session.press("From a task");
    common::wait_for("the death", || session.stderr().contains("EnterError").then_some(()));
    session.find_again("gtk-rs");
    let (verdict, reason) = session.final_verdict();
    assert_eq!(verdict, "abort", "{reason}");
    assert!(reason.contains("EnterError"), "{reason}");
    session.picture("gtk-rs-abort");
    // What stands in the window now works like before.
    session.check(CALLBACK, Close::WindowManager, "progress");
    let (code, report) = session.quit();
    assert_eq!(code, Some(0));
    assert_eq!(report.verdicts[0].rule, "executor-re-entered");
}

#[test]
fn a_death_in_a_dialog_is_explained_though_one_inside_it_has_closed() {
    let mut session = Session::start("dispatch", &[]);
    session.press(CALLBACK.0);
    session.desk.wait_for_focus(CALLBACK.1);
    session.press(TASK.0);
    session.desk.keys(TASK.1, "Escape");
    session.desk.wait_for_focus(CALLBACK.1);
    kill_process(session.window_process(), Signal::ABORT).expect("it runs");
    session.find_again("dispatch");
    let (verdict, reason) = session.final_verdict();
    assert_eq!(verdict, "abort", "{reason}");
    assert_eq!(session.quit().0, Some(0));
}

#[test]
fn a_mouse_click_opens_and_closes_like_any_other_press() {
    for (strategy, verdict) in [("dispatch", "progress"), ("nested", "stall + busy-loop")] {
        let session = Session::start(strategy, &[]);
        session.click(&session.title(), "From a callback");
        session.desk.wait_for_focus(CALLBACK.1);
        session.wait_for_live(verdict);
        session.picture(&format!("{strategy}-mouse"));
        session.see(CALLBACK.1, Close::Mouse, verdict);
        assert_eq!(session.quit().0, Some(0));
    }
}

#[test]
fn choosing_another_strategy_starts_the_program_anew() {
    let mut session = Session::start("dispatch", &[]);
    session.click_on("loopnest: dispatch", Role::ComboBox, "Strategy");
    session.reader.find(Role::Label, "nested");
    // The first entry of the list.
    session.desk.keys("loopnest: dispatch", "Home");
    session.desk.keys("loopnest: dispatch", "Return");
    session.find_again("nested");
    session.check(CALLBACK, Close::Button, "stall + busy-loop");
    let (code, report) = session.quit();
    assert_eq!((code, report.strategy.as_str()), (Some(0), "nested"));
}
