//! The threads of a process that are neither its first nor GLib's.

use std::fs;
use std::path::{Path, PathBuf};

use super::wait_until;

/// Whether a thread is one of GLib's own (its worker, gio's D-Bus, the pool), or the one that newer
/// versions of Pango start for fontconfig.
pub fn is_of_glib(name: &str) -> bool {
    ["gmain", "gdbus"].contains(&name) || ["pool", "[pango]"].iter().any(|p| name.starts_with(p))
}

/// The others. A thread that was just started has its creator's name until it sets its own.
pub fn strangers(pid: u32) -> Vec<String> {
    let tasks = PathBuf::from(format!("/proc/{pid}/task"));
    let first = name(&tasks.join(pid.to_string())).expect("a process has a first thread");
    wait_until("a name for each thread", || {
        let all = fs::read_dir(&tasks).expect("a process has threads").flatten();
        let names = all.filter_map(|task| name(&task.path()));
        let (firsts, others): (Vec<_>, Vec<_>) = names.partition(|name| *name == first);
        let strangers = others.into_iter().filter(|name| !is_of_glib(name)).collect();
        if firsts.len() == 1 { Ok(strangers) } else { Err(firsts) }
    })
}

/// `None` when the thread has ended.
fn name(task: &Path) -> Option<String> {
    Some(fs::read_to_string(task.join("comm")).ok()?.trim().to_owned())
}
