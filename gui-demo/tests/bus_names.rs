//! The example that lists the names on the bus, in a real window: zbus on tokio beside gio in one
//! thread. The tests filter with real keys, cancel, and close the window in the middle.
//!
//! They read the screen as a screen reader would.

mod common;

use std::fs::{self, File};

use atspi::{Role, State};
use common::reader::{Node, Reader};
use common::threads::{is_of_glib, strangers};
use common::{Desk, Running, complaints, example, wait_for, wait_until};
use gtk4::gio;
use gtk4::prelude::*;

const DBUS: &str = "org.freedesktop.DBus";

/// The title of the window.
const TITLE: &str = "Bus names";

/// The prefix of the test's own names. They give the filter something to match, and there are
/// enough of them to stop in the middle.
const OURS: &str = "org.loopnest.Test";
const N_OURS: usize = 10;

/// The example, running on a desk.
struct Names {
    // Dropped before the desk on which it runs.
    program: Running,
    status: Node,
    reader: Reader,
    _ours: gio::DBusConnection,
    desk: Desk,
}

impl Names {
    fn start(args: &[&str]) -> Self {
        let desk = Desk::with_bus();
        let ours = own_names(desk.bus_address());
        let create = |name| File::create(desk.folder().join(name)).expect("a file");
        let mut cmd = desk.command(example("bus_names"));
        // OpenGL's driver would start threads. GTK 4.14 renamed the first of these.
        cmd.args(args).env("GDK_DEBUG", "gl-disable").env("GDK_DISABLE", "gl,vulkan");
        let program = cmd.stdout(create("out")).stderr(create("err")).spawn();
        let program = Running(program.expect("the example"));
        let reader = Reader::of(&desk, "bus_names");
        desk.wait_for_focus(TITLE);
        let is_status = |node: &Node| node.role == Role::Label && node.name.ends_with(" names");
        let status = wait_for("the status", || reader.all().into_iter().find(is_status));
        Self { program, status, reader, _ours: ours, desk }
    }

    fn status(&self) -> String {
        self.reader.text(&self.status).expect("the window is open")
    }

    /// Waits for a status of this form, with a number for each `#`, and returns the numbers.
    fn wait_for<const N: usize>(&self, words: &str) -> [usize; N] {
        wait_until(words, || numbers(words, &self.status()).ok_or_else(|| self.status()))
    }

    /// Waits until some names are listed, but not all.
    fn wait_for_the_middle(&self) {
        wait_until("the middle of the list", || match numbers("# of # names", &self.status()) {
            Some([n, all]) if 1 < n && n < all => Ok(()),
            _ => Err(self.status()),
        });
    }

    /// Types into the filter, after its mnemonic has given it the focus.
    fn type_into_filter(&self, keys: &[&str]) {
        self.desk.keys(TITLE, "alt+f");
        self.reader.find_such(Role::Entry, "Filter", |entry| entry.states.contains(State::Focused));
        self.desk.xdotool(keys).expect("keys are pressed");
    }

    fn press(&self, button: &str) {
        self.reader.press(&self.reader.find(Role::Button, button));
    }

    /// The names in the list, sorted. A row has a name, four spaces, and the process.
    fn rows(&self) -> Vec<String> {
        let labels = self.reader.all().into_iter().filter(|node| node.role == Role::Label);
        let row = |label: Node| Some(label.name.split_once("    ")?.0.to_owned());
        let mut rows: Vec<_> = labels.filter_map(row).collect();
        rows.sort();
        rows
    }

    fn wait_for_rows(&self, expected: &[String]) {
        wait_until("the names in the list", || {
            let rows = self.rows();
            if rows == expected { Ok(()) } else { Err(rows) }
        });
    }

    fn said(&self, file: &str) -> String {
        fs::read_to_string(self.desk.folder().join(file)).expect("what the example says")
    }

    /// Closes the window, which ends the process. Fails if GLib or GTK has complained.
    fn close(mut self) {
        self.desk.close_by_window_manager(TITLE);
        let status = wait_for("the end", || self.program.0.try_wait().ok().flatten());
        let log = self.said("err");
        // A panic in a task, or in a drop inside one, does not end the process.
        assert!(status.code() == Some(0) && !log.contains("panicked"), "{status}: {log}");
        assert_eq!(complaints(&log), [""; 0], "GLib or GTK complained");
    }
}

fn ours() -> Vec<String> {
    (0..N_OURS).map(|n| format!("{OURS}{n}")).collect()
}

/// A connection that owns our names.
fn own_names(address: &str) -> gio::DBusConnection {
    let flags = gio::DBusConnectionFlags::AUTHENTICATION_CLIENT
        | gio::DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
    let bus = gio::DBusConnection::for_address_sync(address, flags, None, gio::Cancellable::NONE);
    let bus = bus.expect("the desk's bus");
    for name in ours() {
        let (to, path, name) = (DBUS, "/org/freedesktop/DBus", (name, 0_u32).to_variant());
        let (flags, method) = (gio::DBusCallFlags::NONE, "RequestName");
        let none = gio::Cancellable::NONE;
        let owned = bus.call_sync(Some(to), path, to, method, Some(&name), None, flags, -1, none);
        owned.expect("a name is free");
    }
    bus
}

/// The numbers in a text of this form, in which each `#` is a number.
fn numbers<const N: usize>(words: &str, text: &str) -> Option<[usize; N]> {
    let shape = text.split(' ').map(|word| word.parse::<usize>().map_or(word, |_| "#"));
    if !shape.eq(words.split(' ')) {
        return None;
    }
    let numbers: Vec<_> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().ok()
}

#[test]
fn the_example_lists_the_names_and_filters_them() {
    let names = Names::start(&[]);
    let [n] = names.wait_for("# names");
    let all = names.rows();
    assert!(all.len() == n && n > N_OURS + 2, "{n}: {all:?}");
    assert!(all.iter().any(|name| name == DBUS), "{all:?}");
    names.type_into_filter(&["type", "LoopNest.test"]);
    names.wait_for_rows(&ours());
    names.type_into_filter(&["key", "ctrl+a", "BackSpace"]);
    names.wait_for_rows(&all);
    names.close();
}

#[test]
fn no_thread_is_started_for_tokio() {
    let names = Names::start(&[]);
    names.wait_for::<1>("# names");
    // A thread of tokio's would stay for ten seconds.
    assert_eq!(strangers(names.program.0.id()), [""; 0]);
    // What the example saw itself, at the moment when such a thread would have existed.
    let out = names.said("out");
    let lines: Vec<&str> = out.lines().filter_map(|line| line.strip_prefix("threads ")).collect();
    assert_eq!(lines.len(), 2, "{out}");
    let seen = lines.iter().filter_map(|line| line.split_once(':')).flat_map(|s| s.1.split(','));
    let mut others = seen.map(str::trim).filter(|name| *name != "bus_names" && !is_of_glib(name));
    assert_eq!(others.next(), None, "{out}");
    names.close();

    // The check would have seen a thread of tokio's.
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(runtime.spawn_blocking(|| ())).expect("no panic");
    let seen = strangers(std::process::id());
    assert!(seen.iter().any(|name| name.starts_with("tokio")), "{seen:?}");
}

#[test]
fn a_cancelled_listing_stops_and_can_be_started_again() {
    let names = Names::start(&["--slow"]);
    names.wait_for_the_middle();
    names.press("Cancel");
    let [k, n] = names.wait_for("cancelled after # of # names");
    assert!(0 < k && k < n, "{k} of {n}");
    let listed = names.rows();
    assert_eq!(listed.len(), k, "{listed:?}");
    // Filters twice, and sees each effect, before it reads the list and the label again.
    names.type_into_filter(&["type", "no such name"]);
    names.wait_for_rows(&[]);
    names.type_into_filter(&["key", "ctrl+a", "BackSpace"]);
    names.wait_for_rows(&listed);
    assert_eq!(names.status(), format!("cancelled after {k} of {n} names"));

    // Had the first listing continued, it would have ended before this one, with its names in the
    // same list.
    names.press("List again");
    names.wait_for_the_middle();
    let [n] = names.wait_for("# names");
    let all = names.rows();
    let mut once = all.clone();
    once.dedup();
    assert_eq!((all.len(), &all), (n, &once));
    names.close();
}

#[test]
fn closing_the_window_in_the_middle_ends_the_process_without_complaints() {
    let names = Names::start(&["--slow"]);
    names.wait_for_the_middle();
    names.close();
}
