//! Outside the child: starts it, keeps time for it, and says how it ended.
//!
//! The supervisor shares no runtime with what it watches.
//! Its clock counts *opportunity ticks*: sleeps of 10 ms that ended in time. When the machine
//! stands still it counts none, so a deadline in ticks waits with the machine.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use loopnest_core::Trace;
use loopnest_core::classify::TICK;
use loopnest_core::trace::{End, Meter};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::cell::CANNOT_BEGIN;
use crate::shm::{Counter, Page};
use crate::threads;

/// A cell that brings nothing new for this many ticks is over.
const DEADLINE_TICKS: u64 = 150;

/// Over how many of the last ticks it is judged whether it still turns.
const LAST_TICKS: u64 = 20;

/// A cell whose actors are done gets this many ticks to return.
const RETURN_TICKS: u64 = 100;

/// No cell takes longer, whatever the machine does.
const WALL_CAP: Duration = Duration::from_secs(60);

/// How much of a child's stderr is kept.
const STDERR_KEPT: u64 = 64 * 1024;

/// How to start a child.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program: this one.
    pub program: PathBuf,
    /// Its arguments, up to those that the supervisor adds.
    pub args: Vec<String>,
}

/// What a child did.
#[derive(Debug)]
pub struct Outcome {
    /// What happened.
    pub trace: Trace,
    /// What it wrote to stderr.
    pub stderr: String,
    /// It was stopped because the harness is.
    pub interrupted: bool,
}

/// Runs a child to its end.
///
/// # Errors
/// When it cannot be started or its page cannot be made.
pub fn supervise(launch: &Launch, interrupted: &AtomicBool) -> io::Result<Outcome> {
    let page = Page::create()?;
    let mut stderr = File::from(memfd_create("loopnest-stderr", MemfdFlags::CLOEXEC)?);
    let child = Command::new(&launch.program)
        .args(&launch.args)
        .arg("--page")
        .arg(page.path())
        .arg("--parent")
        .arg(std::process::id().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr.try_clone()?)
        // The message of a panic is evidence; a backtrace buries it.
        .env("RUST_BACKTRACE", "0")
        .env_remove("G_DEBUG")
        .process_group(0)
        .spawn()?;
    let mut watch = Watch::new(child, &page);
    let stop = watch.until_over(interrupted)?;
    drop(watch);
    stderr.seek(SeekFrom::Start(0))?;
    let mut text = Vec::new();
    stderr.take(STDERR_KEPT).read_to_end(&mut text)?;
    let stderr = String::from_utf8_lossy(&text).into_owned();
    let end = match stop {
        Stop::Exited(status) => end_of(status, &stderr),
        Stop::Deadline { last, in_lock } => End::Deadline { last, in_lock },
        Stop::DoneButStays => End::Finished,
        Stop::WallCap => End::Unknown { reason: "the wall-clock cap of 60 s was hit".to_owned() },
        Stop::Interrupted => End::Unknown { reason: "interrupted".to_owned() },
    };
    let end = match end {
        End::Finished if page.overflowed() => {
            End::Unknown { reason: "more events than the shared page holds".to_owned() }
        }
        end => end,
    };
    let interrupted = matches!(stop, Stop::Interrupted);
    let events = page.events();
    let mut meter = meter(&page);
    if let Some(last) = events.last() {
        // The thread is gone; its last reading stands in the last edge.
        meter.switches = events.iter().map(|e| e.meter.switches).max().unwrap_or(0);
        meter.cpu = events.iter().map(|e| e.meter.cpu).max().unwrap_or(last.meter.cpu);
    }
    let trace = Trace { events, meter, end, notes: page.notes() };
    Ok(Outcome { trace, stderr, interrupted })
}

enum Stop {
    Exited(ExitStatus),
    Deadline {
        last: Meter,
        in_lock: bool,
    },
    /// All actors were done, but the strategy did not return.
    DoneButStays,
    WallCap,
    Interrupted,
}

/// Kills and reaps the child when dropped, with everything it started.
struct Watch<'a> {
    child: Child,
    page: &'a Page,
}

impl<'a> Watch<'a> {
    fn new(child: Child, page: &'a Page) -> Self {
        Self { child, page }
    }

    fn until_over(&mut self, interrupted: &AtomicBool) -> io::Result<Stop> {
        let begun = Instant::now();
        let (mut ticks, mut news, mut news_at) = (0u64, 0u64, 0u64);
        let mut done_at = None;
        let mut before_last = (0u64, Meter::default());
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Stop::Exited(status));
            }
            if interrupted.load(Ordering::Relaxed) {
                return Ok(Stop::Interrupted);
            }
            if begun.elapsed() > WALL_CAP {
                return Ok(Stop::WallCap);
            }
            let slept = Instant::now();
            thread::sleep(TICK);
            if slept.elapsed() > TICK * 2 {
                continue;
            }
            ticks += 1;
            self.page.set(Counter::Ticks, ticks);
            let events = self.page.get(Counter::Events);
            if events != news {
                (news, news_at) = (events, ticks);
            }
            if self.page.get(Counter::Done) != 0 {
                let since = *done_at.get_or_insert(ticks);
                if ticks >= since + RETURN_TICKS {
                    return Ok(Stop::DoneButStays);
                }
                continue;
            }
            if ticks == news_at + DEADLINE_TICKS - LAST_TICKS {
                before_last = (ticks, self.full_meter());
            }
            if ticks >= news_at + DEADLINE_TICKS {
                let tid = self.page.get(Counter::Tid);
                let in_lock = threads::is_in_lock(self.child.id(), tid);
                let last = difference(&before_last.1, &self.full_meter());
                return Ok(Stop::Deadline { last, in_lock });
            }
        }
    }

    fn full_meter(&self) -> Meter {
        let tid = self.page.get(Counter::Tid);
        Meter {
            switches: threads::voluntary_switches(self.child.id(), tid),
            cpu: threads::cpu_time(self.child.id(), tid),
            ..meter(self.page)
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Fails when all of it is gone already.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

fn meter(page: &Page) -> Meter {
    Meter {
        iterations: page.get(Counter::Iterations),
        useful: page.get(Counter::Useful),
        ticks: page.get(Counter::Ticks),
        ..Meter::default()
    }
}

fn difference(from: &Meter, to: &Meter) -> Meter {
    Meter {
        iterations: to.iterations.saturating_sub(from.iterations),
        useful: to.useful.saturating_sub(from.useful),
        switches: to.switches.saturating_sub(from.switches),
        cpu: to.cpu.saturating_sub(from.cpu),
        ticks: to.ticks.saturating_sub(from.ticks),
    }
}

fn end_of(status: ExitStatus, stderr: &str) -> End {
    match (status.signal(), status.code()) {
        (None, Some(0)) => End::Finished,
        (None, Some(code)) if code == i32::from(CANNOT_BEGIN) => {
            End::Unknown { reason: stderr.trim().to_owned() }
        }
        (signal, code) => {
            let said = message(stderr);
            let how = match (signal, code) {
                (Some(signal), _) => format!("killed by signal {}", name_of(signal)),
                (None, code) => format!("exited with code {}", code.unwrap_or(-1)),
            };
            let message = if said.is_empty() { how } else { said };
            End::Died { signal, code, message }
        }
    }
}

/// `11 (SIGSEGV)`.
fn name_of(signal: i32) -> String {
    match signal_hook::low_level::signal_name(signal) {
        Some(name) => format!("{signal} ({name})"),
        None => signal.to_string(),
    }
}

/// The messages of the panics in a child's stderr, or its last line.
fn message(stderr: &str) -> String {
    let lines: Vec<&str> = stderr.lines().collect();
    let panics: Vec<String> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.contains("panicked at "))
        .map(|(i, line)| {
            let place = line.split("panicked at ").nth(1).unwrap_or("").trim_end_matches(':');
            // Only the end of the path says anything.
            let mut parts: Vec<&str> = place.rsplit('/').take(3).collect();
            parts.reverse();
            let what = lines.get(i + 1).map_or("", |line| line.trim());
            format!("{what} ({})", parts.join("/"))
        })
        .collect();
    if panics.is_empty() {
        return lines
            .iter()
            .rev()
            .find(|l| !l.trim().is_empty())
            .map_or(String::new(), |l| l.trim().to_owned());
    }
    panics.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_what_the_panics_said() {
        let stderr = "\nthread 'main' (7) panicked at /a/b/glib-0.22.10/src/main.rs:255:40:\n\
                      called `Result::unwrap()` on an `Err` value: EnterError\n\
                      note: run with `RUST_BACKTRACE=1`\n\
                      thread 'main' panicked at library/core/src/panicking.rs:225:5:\n\
                      panic in a function that cannot unwind\n";
        assert_eq!(
            message(stderr),
            "called `Result::unwrap()` on an `Err` value: EnterError \
             (glib-0.22.10/src/main.rs:255:40); \
             panic in a function that cannot unwind (core/src/panicking.rs:225:5)"
        );
        assert_eq!(message("one\nlast\n\n"), "last");
        assert_eq!(message(""), "");
    }
}
