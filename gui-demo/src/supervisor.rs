//! The process without a window. It starts the one with the window, and starts it again when
//! another strategy is chosen or when it has died.
//!
//! It shares no loop, no thread and no GTK with it, so that an abort is something to show.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;

use anyhow::Context as _;

use crate::blackbox::PostMortem;
use crate::cli::Options;
use crate::episode::Case;

/// The child ends with this code when another strategy was chosen.
pub const NEXT: u8 = 64;

/// Runs the window until the user closes it.
///
/// # Errors
/// When the process cannot be started.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let black_box = folder.path().join("black-box.json");
    let next = folder.path().join("next");
    let mortem = folder.path().join("post-mortem.json");
    let mut strategy = options.strategy.clone();
    let mut extra: Vec<OsString> = Vec::new();
    loop {
        let mut cmd = Command::new(std::env::current_exe().context("cannot find this program")?);
        cmd.args(std::env::args_os().skip(1))
            .args(["--child", "--strategy", &strategy, "--black-box"])
            .arg(&black_box)
            .arg("--next")
            .arg(&next)
            .args(&extra)
            .stderr(Stdio::piped());
        let mut child = cmd.spawn().context("cannot start the window")?;
        let words = last_words(&mut child);
        let status = child.wait().context("cannot wait for the window")?;
        let words = words.join().unwrap_or_default();
        extra = vec!["--again".into()];
        if status.code() == Some(NEXT.into()) {
            strategy = fs::read_to_string(&next).context("cannot read the next strategy")?;
        } else if let Some(found) = dead(&black_box, status, words) {
            let json = serde_json::to_vec(&found).context("cannot describe the death")?;
            fs::write(&mortem, json).context("cannot write the post-mortem")?;
            extra.extend(["--post-mortem".into(), mortem.clone().into()]);
            // Read once.
            let _ = fs::remove_file(&black_box);
        } else {
            return Ok(end(status));
        }
    }
}

/// Passes stderr on and keeps the reason of the first panic, or else the last line.
///
/// A panic that cannot unwind prints a backtrace whatever the environment says; it is left out
/// unless it was asked for, because here it is part of the show.
fn last_words(child: &mut Child) -> thread::JoinHandle<String> {
    let stderr = child.stderr.take();
    let wants_backtrace = std::env::var("RUST_BACKTRACE").is_ok_and(|value| value != "0");
    thread::spawn(move || {
        let mut words = Words::default();
        for line in stderr.into_iter().flat_map(|stderr| BufReader::new(stderr).lines()) {
            let Ok(line) = line else { break };
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
    /// Rust says the place of a panic on one line and the reason on the next.
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

/// What is to be explained: a death by signal while a dialog was open.
fn dead(black_box: &Path, status: ExitStatus, message: String) -> Option<PostMortem> {
    status.signal()?;
    let case: Case = serde_json::from_slice(&fs::read(black_box).ok()?).ok()?;
    Some(PostMortem { case, signal: status.signal(), code: status.code(), message })
}

fn end(status: ExitStatus) -> ExitCode {
    match (status.code(), status.signal()) {
        (Some(code), _) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        (None, Some(signal)) => {
            eprintln!("the window was ended by signal {signal}");
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(1))
        }
        (None, None) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
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
