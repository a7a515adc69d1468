//! The process without a window. It starts the one with the window, and starts it again when
//! another strategy is chosen or when it has died.
//!
//! The two share no loop, no thread and no GTK, so this one survives an abort and can explain it.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::thread;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{
    SIGABRT, SIGBUS, SIGFPE, SIGHUP, SIGILL, SIGINT, SIGSEGV, SIGTERM, SIGTRAP,
};
use signal_hook::iterator::{Handle, Signals};

use crate::blackbox::PostMortem;
use crate::case::Case;
use crate::cli::Options;
use crate::session::Session;

/// The child ends with this code when another strategy was chosen.
pub const NEXT: u8 = 64;

/// Signals that a process raises itself. Any other was sent by somebody who wanted it to end.
const CRASHES: [i32; 6] = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP];

/// Runs the window until the user closes it.
///
/// # Errors
/// When the process cannot be started.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    // Before there is anything to tidy up.
    let session = Session::ask();
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let black_box = folder.path().join("black-box.json");
    let next = folder.path().join("next");
    let mortem = folder.path().join("post-mortem.json");
    let mut strategy = options.strategy.clone();
    let mut extra: Vec<OsString> = Vec::new();
    loop {
        // What one process had open when another strategy was chosen does not concern the next.
        let _ = fs::remove_file(&black_box);
        let mut cmd = Command::new(std::env::current_exe().context("cannot find this program")?);
        cmd.args(std::env::args_os().skip(1))
            .args(["--strategy", &strategy, "--parent", &std::process::id().to_string()])
            .arg("--black-box")
            .arg(&black_box)
            .arg("--next")
            .arg(&next)
            .args(&extra)
            // What it leaves behind is deleted with the folder.
            .env("TMPDIR", folder.path())
            .stderr(Stdio::piped());
        session.prepare(&mut cmd);
        let mut child = cmd.spawn().context("cannot start the window")?;
        let signals = pass_on_signals(Pid::from_child(&child)).context("cannot watch signals")?;
        let words = child.stderr.take().map(last_words);
        let status = child.wait().context("cannot wait for the window")?;
        signals.close();
        let words = words.and_then(|words| words.join().ok()).unwrap_or_default();
        extra = vec!["--again".into()];
        if status.code() == Some(NEXT.into()) {
            strategy = fs::read_to_string(&next).context("cannot read the next strategy")?;
        } else if let Some(found) = dead(&black_box, status, words) {
            let json = serde_json::to_vec(&found).context("cannot describe the death")?;
            fs::write(&mortem, json).context("cannot write the post-mortem")?;
            extra.extend(["--post-mortem".into(), mortem.clone().into()]);
        } else {
            return Ok(end(status));
        }
    }
}

/// Passes signals that would end this process on to the window, whose end ends this process. If it
/// died at once, it would leave its folder behind.
fn pass_on_signals(window: Pid) -> std::io::Result<Handle> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let handle = signals.handle();
    thread::spawn(move || {
        for _ in signals.forever() {
            // Fails only when it has ended.
            let _ = kill_process(window, Signal::TERM);
        }
    });
    Ok(handle)
}

/// Passes stderr on and keeps the reason of the first panic, or else the last line.
///
/// A panic that cannot unwind prints a backtrace whatever the environment says. It is left out
/// unless the user asked for it, because in this demo such a panic is expected.
fn last_words(stderr: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    let wants_backtrace = std::env::var("RUST_BACKTRACE").is_ok_and(|value| value != "0");
    thread::spawn(move || {
        let mut words = Words::default();
        // Bytes, because a file name in one of GLib's messages need not be UTF-8.
        for line in BufReader::new(stderr).split(b'\n') {
            let Ok(line) = line else { break };
            let line = String::from_utf8_lossy(&line);
            words.hear(&line);
            if wants_backtrace || !words.in_backtrace {
                let _ = writeln!(std::io::stderr(), "{line}");
            }
        }
        words.reason.unwrap_or(words.last)
    })
}

#[derive(Debug, Default)]
struct Words {
    /// Rust prints the place of a panic on one line and the reason on the next.
    reason_is_next: bool,
    reason: Option<String>,
    last: String,
    in_backtrace: bool,
}

impl Words {
    fn hear(&mut self, line: &str) {
        if std::mem::take(&mut self.reason_is_next) && self.reason.is_none() {
            self.reason = Some(line.to_owned());
        }
        self.reason_is_next = line.contains("panicked at");
        self.in_backtrace = match line {
            "stack backtrace:" => true,
            line => self.in_backtrace && line.starts_with(' '),
        };
        self.last = line.to_owned();
    }
}

/// What there is to explain: a crash while a dialog was open.
fn dead(black_box: &Path, status: ExitStatus, message: String) -> Option<PostMortem> {
    status.signal().filter(|signal| CRASHES.contains(signal))?;
    let case: Case = serde_json::from_slice(&fs::read(black_box).ok()?).ok()?;
    Some(PostMortem { case, signal: status.signal(), code: status.code(), message })
}

fn end(status: ExitStatus) -> ExitCode {
    match (status.code(), status.signal()) {
        (Some(code), _) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        (None, Some(signal)) => {
            eprintln!("the window was killed by signal {signal}");
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(1))
        }
        (None, None) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use harness::Registry;
    use loopnest_core::model::ideal;

    use super::*;

    #[test]
    fn the_reason_is_the_line_after_the_first_panic() {
        let mut words = Words::default();
        let lines = [
            "noise",
            "thread 'main' (1) panicked at main_context_futures.rs:255:49:",
            "called `Result::unwrap()` on an `Err` value: EnterError",
            "thread 'main' (1) panicked at panicking.rs:1:1:",
            "panic in a function that cannot unwind",
        ];
        lines.iter().for_each(|line| words.hear(line));
        assert!(words.reason.is_some_and(|reason| reason.contains("EnterError")));
    }

    #[test]
    fn stderr_that_is_not_utf_8_is_still_read_to_its_end() {
        let said: &[u8] = b"cannot read caf\xe9\nthread 'main' panicked at x.rs:1:1:\nthe reason\n";
        assert_eq!(last_words(said).join().ok().as_deref(), Some("the reason"));
    }

    #[test]
    fn only_a_crash_is_explained() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let black_box = folder.path().join("black-box.json");
        let program = Registry::default().scenario("dialog-quiet").expect("a scenario");
        let case = Case { real: ideal(&program), program };
        fs::write(&black_box, serde_json::to_vec(&case).unwrap()).unwrap();
        let dies = |signal| dead(&black_box, ExitStatus::from_raw(signal), String::new()).is_some();
        assert!(dies(SIGABRT) && !dies(SIGTERM));
    }

    #[test]
    fn a_backtrace_ends_with_the_first_line_that_is_not_indented() {
        let mut words = Words::default();
        let shown = |words: &mut Words, line| {
            words.hear(line);
            !words.in_backtrace
        };
        assert!(shown(&mut words, "panicked"));
        assert!(!shown(&mut words, "stack backtrace:"));
        assert!(!shown(&mut words, "   0:  0x12 - main"));
        assert!(shown(&mut words, "aborting."));
    }
}
