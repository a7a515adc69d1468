//! Starts the harness as a user would, and does not wait for it for ever.

#![allow(dead_code, reason = "every test file uses a part of this")]

use std::ffi::OsStr;
use std::fmt::Debug;
use std::fs;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use harness::result::{CellResult, RunResult};
use rustix::process::{Pid, Signal, kill_process};

/// A safety net against hangs. No test depends on it.
const PATIENCE: Duration = Duration::from_secs(180);

/// The harness with these arguments and none of its environment variables, as if it were installed.
pub fn harness<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    program(env!("CARGO_BIN_EXE_harness"), args)
}

/// Another program that is a harness.
pub fn program<A: AsRef<OsStr>>(
    path: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = A>,
) -> Command {
    let path = Path::new(path.as_ref());
    let mut command = Command::new(path);
    // As if it were installed: what it prints does not depend on where it was built.
    command.args(args).arg0(path.file_name().unwrap_or(path.as_os_str()));
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"HARNESS_") {
            command.env_remove(name);
        }
    }
    for name in ["NO_COLOR", "CLICOLOR_FORCE", "COLUMNS", "TERM", "CARGO"] {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ran {
    Running::start(command).wait()
}

/// What a program did.
#[derive(Debug)]
pub struct Ran {
    /// The exit code, or none when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Itself, if it ended with this exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Its stdout as a run of the matrix.
    #[track_caller]
    pub fn result(&self) -> RunResult {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }

    /// The only cell of its stdout.
    #[track_caller]
    pub fn cell(&self) -> CellResult {
        let [cell] = &self.result().cells[..] else { panic!("not one cell: {self:#?}") };
        cell.clone()
    }
}

/// A program that runs, and is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Reader,
    stderr: Reader,
}

impl Running {
    /// Starts it. Whatever it writes is read at once.
    pub fn start(command: &mut Command) -> Self {
        Self::start_with(command, Stdio::piped(), Stdio::piped())
    }

    /// Starts it with this stdout and stderr.
    pub fn start_with(command: &mut Command, stdout: Stdio, stderr: Stdio) -> Self {
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        Self { child, stdout: Reader::new(stdout), stderr: Reader::new(stderr) }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn pid(&self) -> Pid {
        pid(self.id())
    }

    pub fn send(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it has not been waited for");
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self) -> Ran {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                break status;
            }
            if begun.elapsed() > PATIENCE {
                let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
                panic!("hangs after\n--- stdout\n{stdout}\n--- stderr\n{stderr}");
            }
            thread::sleep(Duration::from_millis(5));
        };
        Ran {
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout.finish(),
            stderr: self.stderr.finish(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail if it is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Collects what comes through a pipe.
#[derive(Debug)]
struct Reader {
    text: Arc<Mutex<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    fn new(pipe: Option<impl Read + Send + 'static>) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let thread = pipe.map(|mut pipe| {
            let text = text.clone();
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                    let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
                    text.extend_from_slice(&buffer[..n]);
                }
            })
        });
        Self { text, thread }
    }

    fn text(&self) -> String {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }

    fn finish(&mut self) -> String {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a reader does not panic");
        }
        self.text()
    }
}

/// A pipe without a reader.
pub fn closed_pipe() -> Stdio {
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// Processes that run a cell for the harness `parent`.
pub fn cells_of(parent: u32) -> Vec<u32> {
    let parent = parent.to_string();
    let is_cell = |pid: &u32| {
        // If there is nothing to read, the process is gone or a zombie.
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        words.get(1) == Some(&&b"cell"[..])
            && words.windows(2).any(|w| w[0] == b"--parent" && w[1] == parent.as_bytes())
    };
    fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(is_cell)
        .collect()
}

pub fn pid(id: u32) -> Pid {
    i32::try_from(id).ok().and_then(Pid::from_raw).expect("a process id")
}

/// Waits until there is something to see.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(begun.elapsed() < PATIENCE, "gave up waiting for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// An empty folder that is deleted after the test.
pub fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    (folder, path)
}
