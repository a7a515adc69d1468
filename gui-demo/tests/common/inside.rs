//! Tests that run on the GTK thread of a separate process.
//!
//! GTK needs a display before the first window, and one thread for all windows. So each test starts
//! its own desk and then itself again, with that desk in the environment. The second run does the
//! work, on the thread that `#[gtk4::test]` would have used.

use std::fs::{self, File};

use gtk4::glib;
use gtk4::prelude::*;
use gui_demo::dialog_run::depth;

use super::{Desk, PATIENCE, Running, complaints, wait_within};

/// Set for the run that does the work. The other variables tell it, and xdotool, where the desk is.
pub const INSIDE: &str = "LOOPNEST_TEST_INSIDE";

/// Defines tests that run on the GTK thread of a separate process.
macro_rules! on_a_desk {
    ($($(#[$meta:meta])* fn $name:ident() $body:block)*) => {$(
        $(#[$meta])*
        #[test]
        fn $name() {
            if std::env::var_os($crate::common::inside::INSIDE).is_some() {
                gtk4::test_synced(|| $body);
            } else {
                $crate::common::inside::again_on_a_desk(stringify!($name));
            }
        }
    )*};
}
pub(crate) use on_a_desk;

pub fn again_on_a_desk(test: &str) {
    let desk = Desk::without_bus();
    let me = std::env::current_exe().expect("the path of this program");
    let file = |name| desk.folder().join(name);
    let create = |name| File::create(file(name)).expect("a file for what it says");
    let mut cmd = desk.command(me);
    cmd.args(["--exact", test, "--nocapture"]).env(INSIDE, "1").env("RUST_BACKTRACE", "0");
    cmd.stdout(create("out")).stderr(create("err"));
    let mut inside = Running(cmd.spawn().expect("this program, again"));
    // Bounded: a dialog that never ends must not keep the other tests waiting. But a whole test is
    // longer than any effect in it.
    let ended = || inside.0.try_wait().ok().flatten().ok_or("");
    let status = wait_within(5 * PATIENCE / 2, "the test to end", ended);
    let said = |name| fs::read_to_string(file(name)).unwrap_or_default();
    let (out, err) = (said("out"), said("err"));
    assert!(status.success() && out.contains("1 passed"), "{out}\n{err}");
    assert_eq!(complaints(&err), [""; 0], "GLib or GTK complained");
}

/// A parent window, already shown.
pub fn parent() -> gtk4::Window {
    let window = gtk4::Window::builder().title("parent").build();
    window.present();
    window
}

pub fn dialog(title: &str, parent: &gtk4::Window) -> gtk4::Window {
    let child = gtk4::Button::with_label("OK");
    gtk4::Window::builder().title(title).transient_for(parent).child(&child).build()
}

/// Runs `job` in whichever loop is innermost by then.
pub fn soon(job: impl FnOnce() + 'static) {
    glib::idle_add_local_once(job);
}

/// Asserts that dialogs have left nothing: no calls, no more than `windows` windows, no pending
/// work.
pub fn assert_nothing_left(windows: u32) {
    let context = glib::MainContext::default();
    while context.iteration(false) {}
    assert_eq!(depth(), 0, "calls on the stack");
    assert_eq!(gtk4::Window::toplevels().n_items(), windows, "windows");
}
