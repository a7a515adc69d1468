//! What keeps the machine busy meanwhile.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Other work on the machine.
#[derive(Debug, Clone)]
pub enum Beside {
    /// So many processes that never sleep.
    Busy(u32),
    /// A shell command, started again whenever it has ended.
    Command(String),
}

/// Never sleeps, and ends with the process that has started it.
const BUSY: &str =
    "while kill -0 $PPID; do n=0; while [ $n -lt 100000 ]; do n=$((n+1)); done; done";

/// How often it is looked whether a command has ended.
const LOOK: Duration = Duration::from_millis(100);

impl Beside {
    /// Its name in the table.
    pub fn name(&self) -> String {
        match self {
            Self::Busy(0) => "quiet".to_owned(),
            Self::Busy(n) => format!("{n} busy"),
            Self::Command(command) => format!("beside `{command}`"),
        }
    }

    /// Starts the work. It ends when the value is dropped.
    pub fn start(&self) -> io::Result<Working> {
        let mut working = Working::default();
        match self {
            Self::Busy(n) => {
                for _ in 0..*n {
                    working.groups.push(Group::start(BUSY)?);
                }
            }
            Self::Command(command) => {
                let (stop, command) = (working.stop.clone(), command.clone());
                let mut group = Group::start(&command)?;
                working.again = Some(thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        thread::sleep(LOOK);
                        if !matches!(group.0.try_wait(), Ok(None)) {
                            match Group::start(&command) {
                                Ok(next) => group = next,
                                Err(_) => return,
                            }
                        }
                    }
                }));
            }
        }
        Ok(working)
    }
}

/// Work that goes on until this is dropped.
#[derive(Debug, Default)]
pub struct Working {
    groups: Vec<Group>,
    stop: Arc<AtomicBool>,
    again: Option<JoinHandle<()>>,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(again) = self.again.take() {
            let _ = again.join();
        }
    }
}

/// A shell with all that it starts.
#[derive(Debug)]
struct Group(Child);

impl Group {
    fn start(command: &str) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).process_group(0);
        shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        shell.spawn().map(Self)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Once it has been waited for, its id may be that of another process.
        if matches!(self.0.try_wait(), Ok(None)) {
            // The standard library can end the shell alone.
            let group = format!("-{}", self.0.id());
            let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).status();
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_started_again_and_ends_with_all_that_it_started() {
        let folder = tempfile();
        let file = folder.join("runs");
        let command = format!("echo x >> {}; sleep 0.05", file.display());
        let working = Beside::Command(command).start().unwrap();
        while std::fs::read_to_string(&file).unwrap_or_default().lines().count() < 3 {
            thread::sleep(LOOK);
        }
        drop(working);
        let n = std::fs::read_to_string(&file).unwrap().lines().count();
        thread::sleep(LOOK * 3);
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), n);
    }

    fn tempfile() -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("loopnest-steady-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }
}
