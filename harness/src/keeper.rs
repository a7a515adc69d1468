//! What a cell has started must not outlive a harness that is killed.
//!
//! A cell dies with its harness, because the kernel sends it a signal. That holds for one process
//! only: whatever the cell has started is left to itself. So beside every harness there is a small
//! process, the *keeper*, which knows the process groups of the cells that run. It reads them from
//! a pipe. The pipe ends when the harness does, however it ends, and then the keeper kills what is
//! left of those groups.
//!
//! It has a process group of its own, so a Ctrl-C for the harness does not end it.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::launch::Launch;

/// The way to the keeper of this process, if it has one.
static KEEPER: Mutex<Option<ChildStdin>> = Mutex::new(None);

/// Starts the keeper, a process that calls [`keep`] with its stdin, unless there is one.
///
/// # Errors
/// When it cannot be started.
pub fn start(launch: &Launch) -> io::Result<()> {
    let mut keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner);
    if keeper.is_none() {
        let mut child = Command::new(&launch.program)
            .arg0(&launch.name)
            .args(&launch.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        *keeper = child.stdin.take();
    }
    Ok(())
}

/// The process group of a cell, known to the keeper.
#[derive(Debug)]
pub struct Group(Pid);

impl Group {
    /// The group that `leader` leads.
    pub fn of(leader: &Child) -> Self {
        let id = Pid::from_child(leader);
        tell('+', id);
        Self(id)
    }

    /// Kills every process of the group.
    ///
    /// To be called before the leader is reaped: from then on its id, which is that of the group,
    /// could be another's.
    pub fn kill(self) {
        // Fails if the whole group is already gone.
        let _ = kill_process_group(self.0, Signal::KILL);
        tell('-', self.0);
    }
}

/// If there is no keeper, or somebody has killed it, cells are no worse off than without one.
fn tell(what: char, group: Pid) {
    if let Some(keeper) = &mut *KEEPER.lock().unwrap_or_else(PoisonError::into_inner) {
        let _ = keeper.write_all(format!("{what}{}\n", group.as_raw_nonzero()).as_bytes());
    }
}

/// The keeper itself: reads until the harness is gone, and kills what is left.
pub fn keep(told: impl BufRead) {
    let mut groups = BTreeSet::new();
    for line in told.lines().map_while(Result::ok) {
        let Some((what, id)) = line.split_at_checked(1) else { continue };
        match (what, id.parse().ok().and_then(Pid::from_raw)) {
            ("+", Some(id)) => drop(groups.insert(id.as_raw_nonzero())),
            ("-", Some(id)) => drop(groups.remove(&id.as_raw_nonzero())),
            _ => {}
        }
    }
    // Their leaders have just died with the harness, and ids come again only when all others have
    // been used.
    for id in groups.into_iter().filter_map(|id| Pid::from_raw(id.get())) {
        let _ = kill_process_group(id, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that leads a group of its own.
    fn leader() -> Child {
        Command::new("sleep").arg("1000").process_group(0).spawn().expect("every system has it")
    }

    #[test]
    fn what_was_not_let_go_is_killed_when_the_harness_is_gone() {
        let (mut kept, mut let_go) = (leader(), leader());
        let (one, two) = (kept.id(), let_go.id());
        keep(format!("+{one}\n+{two}\nnonsense\n\n-{two}\n").as_bytes());
        assert!(!kept.wait().expect("it is ours").success());
        assert_eq!(let_go.try_wait().expect("it is ours"), None);
        let_go.kill().expect("it is ours");
        let_go.wait().expect("it is ours");
    }
}
