//! Checks which buses of the session answer before there is a window, because GTK would complain
//! about those that do not.
//!
//! GTK 4.8 warns on stderr when no session bus answers, and when assistive technology is not on it
//! (`gtkatspicontext.c`, `get_bus_address_dbus`). In a container, or over ssh, both are normal.

use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use gtk4::gio::{self, BusType, Cancellable, DBusCallFlags, DBusConnection, DBusConnectionFlags};

/// The variable in which GDBus looks for the address of the bus.
const ADDRESS: &str = "DBUS_SESSION_BUS_ADDRESS";

/// The address that tells GDBus that there is no bus.
const NO_BUS: &str = "disabled:";

/// The variable with the address of assistive technology, where the session bus is not asked for it
/// (Flatpak).
const ACCESSIBILITY_ADDRESS: &str = "AT_SPI_BUS_ADDRESS";

/// The variable that selects the assistive technology that GTK looks for.
const ACCESSIBILITY: &str = "GTK_A11Y";

const BUS: &str = "org.freedesktop.DBus";

/// How long all queries together may take. If a bus hangs, we leave it to GTK.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which buses answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// Certainly no bus.
    Nothing,
    /// A bus on which assistive technology neither runs nor can be started.
    BusAlone,
    /// Both, or it could not be found out.
    Whole,
}

impl Session {
    /// Asks the buses. Waits for five seconds at most.
    pub fn ask() -> Self {
        let (tx, rx) = mpsc::channel();
        thread::spawn(move || {
            // Fails after the timeout below.
            let _ = tx.send(look());
        });
        rx.recv_timeout(PATIENCE).unwrap_or(Self::Whole)
    }

    /// Tells the window what not to look for.
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
    // The way GTK does it: including systemd's socket, and a bus that an X11 session has announced
    // on its server.
    let address = gio::dbus_address_get_for_bus_sync(BusType::Session, Cancellable::NONE);
    let flags =
        DBusConnectionFlags::AUTHENTICATION_CLIENT | DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
    let bus = address.and_then(|address| {
        DBusConnection::for_address_sync(&address, flags, None, Cancellable::NONE)
    });
    let Ok(bus) = bus else { return Session::Nothing };
    let lists = ["ListNames", "ListActivatableNames"].map(|method| names(&bus, method));
    let is_there = |names: &Vec<String>| names.iter().any(|name| name == "org.a11y.Bus");
    // A query without an answer proves nothing.
    let is_nowhere = lists.iter().all(|names| names.as_ref().is_some_and(|names| !is_there(names)));
    if is_nowhere { Session::BusAlone } else { Session::Whole }
}

fn names(bus: &DBusConnection, method: &str) -> Option<Vec<String>> {
    let (path, flags, none) = ("/org/freedesktop/DBus", DBusCallFlags::NONE, Cancellable::NONE);
    let reply = bus.call_sync(Some(BUS), path, BUS, method, None, None, flags, -1, none);
    reply.ok()?.get::<(Vec<String>,)>().map(|(names,)| names)
}
