//! The machine and the versions, for the head of every report.

use std::thread;

use loopnest_core::model::Rounding;

use crate::result::Machine;

/// Describes the machine and the versions that the harness was built with.
pub fn describe() -> Machine {
    let kernel = rustix::system::uname();
    Machine {
        harness: env!("CARGO_PKG_VERSION").to_owned(),
        glib: glib_version(),
        glib_rs: locked("glib"),
        tokio: locked("tokio"),
        os: format!(
            "{} {}",
            kernel.sysname().to_string_lossy().to_lowercase(),
            kernel.release().to_string_lossy()
        ),
        cpus: thread::available_parallelism().map_or(1, |n| n.get() as u32),
        profile: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
    }
}

/// The load average over a minute, where the system gives it.
pub fn load() -> Option<f32> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// The version of a package in the lock file that this was built with.
fn locked(package: &str) -> String {
    let lock = include_str!("../../Cargo.lock");
    let mut lines = lock.lines();
    let name = format!("name = \"{package}\"");
    while let Some(line) = lines.next() {
        if line == name {
            let version = lines.next().and_then(|line| line.strip_prefix("version = \""));
            return version.map_or("?", |v| v.trim_end_matches('"')).to_owned();
        }
    }
    "?".to_owned()
}

/// How exactly the GLib of this run waits, for models that are compared with it.
pub fn rounding() -> Rounding {
    Rounding::of_glib(glib_minor())
}

fn is_at_least(minor: u32, micro: u32) -> bool {
    glib::check_version(2, minor, micro).is_none()
}

fn glib_minor() -> u32 {
    (0..1000).rev().find(|&minor| is_at_least(minor, 0)).unwrap_or(0)
}

/// The version of GLib at run time, which may be newer than the one that this was built for. GLib
/// only says whether it is at least some version.
fn glib_version() -> String {
    let minor = glib_minor();
    let micro = (0..100).rev().find(|&micro| is_at_least(minor, micro)).unwrap_or(0);
    format!("2.{minor}.{micro}")
}
