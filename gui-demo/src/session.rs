//! Which buses of the session answer, asked before there is a window that would complain of those
//! that do not.
//!
//! GTK 4.8 warns on stderr when no session bus answers, and when assistive technology is not on it
//! (`gtkatspicontext.c`, `get_bus_address_dbus`). In a container, or over ssh, both are as they
//! should be.

use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use gtk4::gio::{self, BusType, Cancellable, DBusCallFlags, DBusConnection, DBusConnectionFlags};

/// The bus's address, as GDBus looks for it.
const ADDRESS: &str = "DBUS_SESSION_BUS_ADDRESS";

/// What GDBus takes for a bus that is not there.
const NO_BUS: &str = "disabled:";

/// The address of assistive technology, where it is not asked of the session bus (Flatpak).
const ACCESSIBILITY_ADDRESS: &str = "AT_SPI_BUS_ADDRESS";

/// Which assistive technology GTK is to look for.
const ACCESSIBILITY: &str = "GTK_A11Y";

const BUS: &str = "org.freedesktop.DBus";

/// How long all questions together may take. A bus that hangs is left to GTK.
const PATIENCE: Duration = Duration::from_secs(5);

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// No bus, for certain.
    Nothing,
    /// A bus, on which assistive technology neither runs nor would be started.
    BusAlone,
    /// Both, or nobody knows.
    Whole,
}

impl Session {
    /// Asks. Waits for five seconds at most.
    pub fn ask() -> Self {
        let (tx, rx) = mpsc::channel();
        thread::spawn(move || {
            // Fails when nobody waits for it any more.
            let _ = tx.send(look());
        });
        rx.recv_timeout(PATIENCE).unwrap_or(Self::Whole)
    }

    /// Tells the window what it is not to look for.
    pub fn prepare(self, window: &mut Command) {
        if self == Self::Nothing {
            window.env(ADDRESS, NO_BUS);
        }
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if self != Self::Whole && !is_set(ACCESSIBILITY) && !is_set(ACCESSIBILITY_ADDRESS) {
            window.env(ACCESSIBILITY, "none");
        }
    }
}

/// Whether this process may look for a session bus.
pub fn has_bus() -> bool {
    std::env::var_os(ADDRESS).is_none_or(|address| address != NO_BUS)
}

fn look() -> Session {
    // As GTK will: with the socket of systemd, and a bus that an X11 session has told its server.
    let address = gio::dbus_address_get_for_bus_sync(BusType::Session, Cancellable::NONE);
    let flags =
        DBusConnectionFlags::AUTHENTICATION_CLIENT | DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
    let bus = address.and_then(|address| {
        DBusConnection::for_address_sync(&address, flags, None, Cancellable::NONE)
    });
    let Ok(bus) = bus else { return Session::Nothing };
    let lists = ["ListNames", "ListActivatableNames"].map(|method| names(&bus, method));
    let is_there = |names: &Vec<String>| names.iter().any(|name| name == "org.a11y.Bus");
    // Not to have been told is not to know.
    let is_nowhere = lists.iter().all(|names| names.as_ref().is_some_and(|names| !is_there(names)));
    if is_nowhere { Session::BusAlone } else { Session::Whole }
}

fn names(bus: &DBusConnection, method: &str) -> Option<Vec<String>> {
    let (path, flags, none) = ("/org/freedesktop/DBus", DBusCallFlags::NONE, Cancellable::NONE);
    let reply = bus.call_sync(Some(BUS), path, BUS, method, None, None, flags, -1, none);
    reply.ok()?.get::<(Vec<String>,)>().map(|(names,)| names)
}
