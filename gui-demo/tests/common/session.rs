//! The demo on a desk, with a screen reader and a mouse.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;

use atspi::Role;
use gui_demo::report::Report;
use rustix::process::Pid;

use super::reader::{Node, Reader};
use super::{Desk, Running, complaints, png, wait_for, wait_until};

/// The program under test.
pub const DEMO: &str = env!("CARGO_BIN_EXE_gui-demo");

/// The demo, running.
pub struct Session {
    // Dropped before the desk on which it runs.
    demo: Running,
    pub reader: Reader,
    pub desk: Desk,
    pub strategy: String,
    verdict: Node,
    reason: Node,
    log: Node,
}

impl Session {
    /// Starts the demo with a strategy and waits until its window can be read.
    pub fn start(strategy: &str, args: &[&str]) -> Self {
        let desk = Desk::with_bus();
        let stderr = File::create(desk.folder().join("log")).expect("a log");
        let mut cmd = desk.command(DEMO);
        cmd.args(["--strategy", strategy]).args(args).arg("--report");
        cmd.arg(desk.folder().join("report.json")).env("RUST_BACKTRACE", "0");
        let demo = cmd.stdout(Stdio::null()).stderr(stderr).spawn().expect("the demo");
        let demo = Running(demo);
        let reader = Reader::of(&desk, "gui-demo");
        let (verdict, reason) = (reader.described("verdict"), reader.described("reason"));
        let log = reader.described("log");
        let session =
            Self { log, demo, reader, desk, strategy: strategy.to_owned(), verdict, reason };
        session.desk.wait_for_focus(&session.title());
        session
    }

    /// The title of the main window.
    pub fn title(&self) -> String {
        format!("loopnest: {}", self.strategy)
    }

    /// Finds the new window after the program has restarted.
    pub fn find_again(&mut self, strategy: &str) {
        strategy.clone_into(&mut self.strategy);
        let title = self.title();
        self.reader.find(Role::Frame, &title);
        self.verdict = self.reader.described("verdict");
        self.reason = self.reader.described("reason");
        self.log = self.reader.described("log");
    }

    /// How many verdicts are in the window's log.
    pub fn verdicts(&self) -> usize {
        self.lines().matches("verdict: ").count()
    }

    /// Presses a button of the main window.
    pub fn press(&self, name: &str) {
        self.press_in(&self.title(), name);
    }

    /// Presses a button of the window with this title.
    pub fn press_in(&self, title: &str, name: &str) {
        let button = self.reader.find_in(title, Role::Button, name);
        self.reader.press(&button);
    }

    /// Clicks on a button in the window with this title, using the mouse.
    pub fn click(&self, title: &str, name: &str) {
        self.click_on(title, Role::Button, name);
    }

    /// Clicks on any widget in the window with this title, using the mouse.
    pub fn click_on(&self, title: &str, role: Role, name: &str) {
        let window = self.desk.wait_for_focus(title);
        // A widget has no place before its window is laid out.
        let (x, y) = wait_for("the widget to have a place", || {
            let widget = self.reader.find_in(title, role, name);
            let (x, y) = self.reader.middle(&widget);
            (x > 0 && y > 0).then_some((x, y))
        });
        let (x, y) = (x.to_string(), y.to_string());
        let clicked = self.desk.xdotool(&["mousemove", "--window", &window, &x, &y, "click", "1"]);
        clicked.expect("the mouse clicks");
    }

    /// Waits until the verdict on an open dialog is this.
    pub fn wait_for_live(&self, words: &str) {
        wait_until(&format!("`{words}` so far"), || {
            let reason = self.reader.text(&self.reason).unwrap_or_default();
            let verdict = self.reader.text(&self.verdict).unwrap_or_default();
            let seen = reason.starts_with("So far") && verdict == words;
            assert!(!seen || !reason.contains("closed"), "nothing has closed: {reason}");
            if seen { Ok(()) } else { Err((verdict, reason)) }
        });
    }

    /// Waits for the final verdict and returns it with its reason.
    pub fn final_verdict(&self) -> (String, String) {
        wait_until("the final verdict", || {
            let reason = self.reader.text(&self.reason).unwrap_or_default();
            let verdict = self.reader.text(&self.verdict).unwrap_or_default();
            let over = !reason.starts_with("So far") && verdict != "watching";
            if over { Ok((verdict, reason)) } else { Err((verdict, reason, self.lines())) }
        })
    }

    /// The text of the window's log.
    fn lines(&self) -> String {
        self.reader.text(&self.log).unwrap_or_default()
    }

    /// Writes the screen to `target/gui/NAME.png`.
    pub fn picture(&self, name: &str) {
        png::write(&self.desk.screen(), &picture(name));
    }

    /// The process with the window.
    pub fn window_process(&self) -> Pid {
        let pid = self.demo.0.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let child = children.expect("a process").trim().parse().expect("one child");
        Pid::from_raw(child).expect("a process has a number")
    }

    /// What the program has written to stderr.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.desk.folder().join("log")).unwrap_or_default()
    }

    /// Quits with the keyboard, in the window that has the focus. Returns the exit code and the
    /// report. Fails if GLib or GTK has complained about anything.
    pub fn quit(mut self) -> (Option<i32>, Report) {
        self.desk.keys(&self.title(), "ctrl+q");
        let status = wait_for("the program to end", || self.demo.0.try_wait().ok().flatten());
        let log = self.stderr();
        assert_eq!(complaints(&log), [""; 0], "GLib or GTK complained");
        let json = fs::read(self.desk.folder().join("report.json")).expect("a report");
        (status.code(), serde_json::from_slice(&json).expect("a report that can be read"))
    }
}

/// Where pictures go: into the target folder, beside the program.
pub fn picture(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../gui");
    fs::create_dir_all(&folder).expect("a folder for pictures");
    folder.join(format!("{name}.png"))
}
