//! Which buses of the session answer, before there is a window that would complain of those that do
//! not.
//!
//! GTK 4.8 warns on stderr when there is no session bus, and when assistive technology is not on it.
//! In a container, or over ssh, both are as they should be.

use std::path::PathBuf;
use std::process::Command;

use gtk4::gio::{Cancellable, DBusCallFlags, DBusConnection, DBusConnectionFlags};

const ADDRESS: &str = "DBUS_SESSION_BUS_ADDRESS";
const ACCESSIBILITY: &str = "GTK_A11Y";

/// What GDBus takes for a bus that is not there, without looking further: by itself it would start
/// one, which stays when everything else has ended.
const NONE: &str = "disabled:";

const BUS: &str = "org.freedesktop.DBus";

/// How long the bus may take for an answer, in milliseconds.
const PATIENCE: i32 = 5_000;

/// Tells the window what it is not to look for.
pub fn prepare(window: &mut Command) {
    let bus = address().and_then(|address| connect(&address));
    let accessible = bus.as_ref().is_some_and(has_accessibility);
    if bus.is_none() {
        window.env(ADDRESS, NONE);
    }
    if !accessible && std::env::var_os(ACCESSIBILITY).is_none() {
        window.env(ACCESSIBILITY, "none");
    }
}

/// Whether this process was told that there is no bus.
pub fn has_bus() -> bool {
    std::env::var_os(ADDRESS).is_none_or(|address| address != NONE)
}

/// Where a session bus is by agreement (the basedir and D-Bus specifications).
fn address() -> Option<String> {
    if let Ok(address) = std::env::var(ADDRESS) {
        return Some(address).filter(|address| !address.is_empty() && address != NONE);
    }
    let socket = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?).join("bus");
    socket.exists().then(|| format!("unix:path={}", socket.display()))
}

fn connect(address: &str) -> Option<DBusConnection> {
    let flags =
        DBusConnectionFlags::AUTHENTICATION_CLIENT | DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
    DBusConnection::for_address_sync(address, flags, None, Cancellable::NONE).ok()
}

/// Whether assistive technology runs, or would be started.
fn has_accessibility(bus: &DBusConnection) -> bool {
    ["ListNames", "ListActivatableNames"].iter().any(|method| {
        let (path, flags) = ("/org/freedesktop/DBus", DBusCallFlags::NONE);
        let names = bus.call_sync(
            Some(BUS),
            path,
            BUS,
            method,
            None,
            None,
            flags,
            PATIENCE,
            Cancellable::NONE,
        );
        let names = names.ok().and_then(|names| names.get::<(Vec<String>,)>());
        names.is_some_and(|(names,)| names.iter().any(|name| name == "org.a11y.Bus"))
    })
}
