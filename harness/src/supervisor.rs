//! Outside the child: starts it, keeps time for it, and says how it ended.
//!
//! The supervisor shares no runtime with what it watches.
//! Its clock counts *opportunity ticks*: sleeps of 10 ms that ended in time. While the machine is
//! frozen it counts none, so [patience](crate::patience) waits with the machine.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use loopnest_core::Trace;
use loopnest_core::classify::{ITERATIONS_FREE, ITERATIONS_PER_EVENT};
use loopnest_core::measure::{TICK, time_of};
use loopnest_core::trace::{End, Meter, What};
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::child::CANNOT_BEGIN;
use crate::keeper::Group;
use crate::launch::Launch;
use crate::patience::Patience;
use crate::shm::{Counter, Page};
use crate::stderr::Stderr;
use crate::threads;

/// Over how much of the last stretch it is judged whether the cell still iterates.
const LAST: Duration = Duration::from_millis(200);

/// No cell takes longer than this, whatever the machine does.
pub const WALL_CAP: Duration = Duration::from_secs(60);

/// A tick counts for at most this much of it: if a sleep took far longer, the supervisor itself was
/// stopped, and that is no time.
const LONGEST_TICK: Duration = TICK.saturating_mul(10);

/// If the supervisor did not get to run for this long, somebody has stopped it, or the machine was
/// asleep. The child went on, and half of the instruments did not, so such a run is void.
const STOPPED: Duration = Duration::from_secs(1);

/// How many times a void run is made again at most.
const AGAIN: u32 = 3;

/// Held while a child is started, which takes many descriptors for a moment.
static STARTING: Mutex<()> = Mutex::new(());

/// What a child did.
#[derive(Debug)]
pub struct Outcome {
    /// What happened.
    pub trace: Trace,
    /// What it wrote to stderr.
    pub stderr: String,
    /// It was stopped because the harness was.
    pub interrupted: bool,
}

/// Runs a child to its end, and again if that run is void; `ideal` says when something is due in it.
///
/// # Errors
/// When it cannot be started or its page cannot be created.
pub fn supervise(launch: &Launch, ideal: &Trace, interrupted: &AtomicBool) -> io::Result<Outcome> {
    for _ in 0..AGAIN {
        let (outcome, void) = once(launch, ideal, interrupted)?;
        if !void {
            return Ok(outcome);
        }
    }
    Ok(once(launch, ideal, interrupted)?.0)
}

/// Runs a child, and says whether the run is void.
fn once(launch: &Launch, ideal: &Trace, interrupted: &AtomicBool) -> io::Result<(Outcome, bool)> {
    let page = Page::create()?;
    let one_by_one = STARTING.lock();
    let (stderr, writer) = Stderr::begin()?;
    let began = Instant::now();
    let child = Command::new(&launch.program)
        .arg0(&launch.name)
        .args(&launch.args)
        .arg("--page")
        .arg(page.path())
        .arg("--parent")
        .arg(std::process::id().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(writer)
        // The message of a panic is evidence; a backtrace buries it.
        .env("RUST_BACKTRACE", "0")
        .env_remove("G_DEBUG")
        .process_group(0)
        .spawn()?;
    drop(one_by_one);
    let group = Some(Group::of(&child));
    let mut watch = Watch { child, group, page: &page };
    let stop = watch.until_over(began, Patience::new(ideal), interrupted)?;
    let status = watch.end()?;
    let stderr = stderr.finish();
    let end = match stop {
        Stop::Exited => end_of(status, &stderr),
        Stop::Deadline { last, in_lock, .. } => End::Deadline { last, in_lock },
        Stop::WallCap => End::Unknown { reason: "the wall-clock cap of 60 s was hit".to_owned() },
        Stop::Interrupted => End::Unknown { reason: "interrupted".to_owned() },
        Stop::Void => End::Unknown { reason: "the supervisor was stopped".to_owned() },
    };
    let end = match end {
        End::Died { .. } | End::Unknown { .. } => end,
        _ if page.overflowed() => {
            End::Unknown { reason: "more events than the shared page holds".to_owned() }
        }
        end => end,
    };
    let (interrupted, void) = (matches!(stop, Stop::Interrupted), matches!(stop, Stop::Void));
    let events = page.events();
    let meter = match stop {
        Stop::Deadline { meter, .. } => meter,
        // The thread is gone. Its last reading is in the last edge event.
        _ => Meter {
            switches: events.iter().map(|e| e.meter.switches).max().unwrap_or_default(),
            cpu: events.iter().map(|e| e.meter.cpu).max().unwrap_or_default(),
            ..page.meter()
        },
    };
    let trace = Trace { events, meter, end, notes: page.notes() };
    Ok((Outcome { trace, stderr, interrupted }, void))
}

enum Stop {
    Exited,
    /// No new event came, or all actors were done and the strategy did not return.
    Deadline {
        last: Meter,
        in_lock: bool,
        meter: Meter,
    },
    WallCap,
    Interrupted,
    /// The supervisor stood still.
    Void,
}

/// The supervisor's own time.
#[derive(Debug, Default)]
struct Clock {
    /// Opportunity ticks.
    ticks: u64,
    /// The time that counts for the cap.
    passed: Duration,
}

impl Clock {
    /// Counts a sleep of one tick; `true` if it ended in time, and is an opportunity tick.
    fn slept(&mut self, slept: Duration) -> bool {
        self.passed += slept.min(LONGEST_TICK);
        let in_time = slept <= TICK * 2;
        self.ticks += u64::from(in_time);
        in_time
    }
}

/// The state of the child at one moment.
struct Sample {
    meter: Meter,
    in_lock: bool,
}

/// Kills and reaps the child when dropped, with everything it started.
struct Watch<'a> {
    child: Child,
    /// `None` once it was killed.
    group: Option<Group>,
    page: &'a Page,
}

impl Watch<'_> {
    fn until_over(
        &self,
        began: Instant,
        mut patience: Patience,
        interrupted: &AtomicBool,
    ) -> io::Result<Stop> {
        let mut clock = Clock::default();
        let mut looked = began;
        let mut read = 0;
        // When the cell was last heard of: our clock, and its counters.
        let mut news = (0u64, Meter::default());
        // Where the stretch begins that says how it hangs.
        let mut before: Option<(u64, Sample)> = None;
        loop {
            // Wherever it stood still: in a sleep, between two, or while the child was started.
            let gap = looked.elapsed();
            looked += gap;
            if gap > STOPPED {
                return Ok(Stop::Void);
            }
            if self.has_exited()? {
                return Ok(Stop::Exited);
            }
            if interrupted.load(Ordering::Relaxed) {
                return Ok(Stop::Interrupted);
            }
            if clock.passed > WALL_CAP {
                return Ok(Stop::WallCap);
            }
            let asleep = Instant::now();
            thread::sleep(TICK);
            let slept = asleep.elapsed();
            if slept > LONGEST_TICK {
                // The child went on, for longer than these ticks say.
                before = None;
            }
            if !clock.slept(slept) {
                continue;
            }
            let ticks = clock.ticks;
            self.page.set(Counter::Ticks, ticks);
            let meter = self.page.meter();
            while let Some(event) = self.page.event(read) {
                read += 1;
                if event.what != What::Look {
                    patience.hear(event.what);
                    (news, before) = ((ticks, meter), None);
                }
            }
            let since = meter.saturating_sub(news.1);
            // What iterates for nothing was not kept from doing something.
            let spins = since.iterations > ITERATIONS_FREE + ITERATIONS_PER_EVENT * since.useful;
            let kept = if spins { Duration::ZERO } else { since.delay };
            let now = time_of(ticks).saturating_sub(kept);
            match &before {
                None if now + LAST >= patience.until(time_of(news.0)) => {
                    before = Some((ticks, self.sample()));
                }
                Some((at, before)) if time_of(ticks - at) >= LAST => {
                    let now = self.sample();
                    let last = now.meter.saturating_sub(before.meter);
                    // Asleep on a lock at both ends, and never awake between them.
                    let in_lock = before.in_lock && now.in_lock && last.switches == 0;
                    return Ok(Stop::Deadline { last, in_lock, meter: now.meter });
                }
                _ => {}
            }
        }
    }

    /// Whether the child has ended. It is not reaped: that would free its id.
    fn has_exited(&self) -> io::Result<bool> {
        let child = WaitId::Pid(Pid::from_child(&self.child));
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(child, look) {
            Err(Errno::INTR) => Ok(false),
            other => Ok(other?.is_some()),
        }
    }

    /// Kills the child with everything that it started, and reaps it.
    fn end(&mut self) -> io::Result<ExitStatus> {
        self.group.take().into_iter().for_each(Group::kill);
        self.child.wait()
    }

    fn sample(&self) -> Sample {
        let tid = self.page.get(Counter::Tid);
        let in_lock = threads::is_in_lock(self.child.id(), tid);
        Sample { meter: self.full_meter(), in_lock }
    }

    fn full_meter(&self) -> Meter {
        let tid = self.page.get(Counter::Tid);
        threads::with_thread(self.page.meter(), self.child.id(), tid)
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn end_of(status: ExitStatus, stderr: &str) -> End {
    match (status.signal(), status.code()) {
        (None, Some(0)) => End::Finished,
        (None, Some(code)) if code == i32::from(CANNOT_BEGIN) => {
            End::Unknown { reason: stderr.trim().to_owned() }
        }
        (signal, code) => {
            let message = panics(stderr).unwrap_or_else(|| last_words(signal, code, stderr));
            End::Died { signal, code, message }
        }
    }
}

/// What ended a process that did not panic, and the last line that it wrote.
fn last_words(signal: Option<i32>, code: Option<i32>, stderr: &str) -> String {
    let how = match signal {
        Some(signal) => format!("killed by signal {}", name_of(signal)),
        None => format!("exited with code {}", code.unwrap_or(-1)),
    };
    match stderr.lines().rev().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) => format!("{how}; its last words: {line}"),
        None => how,
    }
}

/// `11 (SIGSEGV)`.
fn name_of(signal: i32) -> String {
    match signal_hook::low_level::signal_name(signal) {
        Some(name) => format!("{signal} ({name})"),
        None => signal.to_string(),
    }
}

/// The messages of the panics in a child's stderr.
fn panics(stderr: &str) -> Option<String> {
    let lines: Vec<&str> = stderr.lines().collect();
    let panics: Vec<String> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.contains("panicked at "))
        .map(|(i, line)| {
            let place = line.split("panicked at ").nth(1).unwrap_or("").trim_end_matches(':');
            // Only the end of the path is of interest.
            let mut parts: Vec<&str> = place.rsplit('/').take(3).collect();
            parts.reverse();
            let what = lines.get(i + 1).map_or("", |line| line.trim());
            format!("{what} ({})", parts.join("/"))
        })
        .collect();
    (!panics.is_empty()).then(|| panics.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_in_which_the_supervisor_was_stopped_is_no_time() {
        let mut clock = Clock::default();
        for _ in 0..10 {
            assert!(!clock.slept(Duration::from_secs(3600)));
            assert!(clock.slept(TICK));
        }
        assert_eq!(clock.ticks, 10);
        assert_eq!(clock.passed, 10 * (LONGEST_TICK + TICK));
        // A busy machine has ticks that are late, and those are time.
        assert!(!clock.slept(TICK * 5));
        assert_eq!((clock.ticks, clock.passed), (10, 10 * (LONGEST_TICK + TICK) + TICK * 5));
    }

    #[test]
    fn the_message_is_what_the_panics_said() {
        let stderr = "\nthread 'main' (7) panicked at /a/b/glib-0.22.10/src/main.rs:255:40:\n\
                      called `Result::unwrap()` on an `Err` value: EnterError\n\
                      note: run with `RUST_BACKTRACE=1`\n\
                      thread 'main' panicked at library/core/src/panicking.rs:225:5:\n\
                      panic in a function that cannot unwind\n";
        assert_eq!(
            panics(stderr).unwrap_or_default(),
            "called `Result::unwrap()` on an `Err` value: EnterError \
             (glib-0.22.10/src/main.rs:255:40); \
             panic in a function that cannot unwind (core/src/panicking.rs:225:5)"
        );
    }

    #[test]
    fn without_a_panic_the_message_is_the_signal_or_the_code_and_the_last_line() {
        assert_eq!(panics("one\nlast\n\n"), None);
        let killed = last_words(Some(9), None, "one\nlast\n\n");
        assert_eq!(killed, "killed by signal 9 (SIGKILL); its last words: last");
        assert_eq!(last_words(Some(11), None, ""), "killed by signal 11 (SIGSEGV)");
        assert_eq!(last_words(Some(64), None, ""), "killed by signal 64");
        assert_eq!(last_words(None, Some(3), ""), "exited with code 3");
    }
}
