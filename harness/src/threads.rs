//! What the kernel says about threads, read from `/proc`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use loopnest_core::trace::Meter;

/// How long a thread ran, and how long it could have run and did not (`schedstat`, sched-stats.rst).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheduled {
    /// Time on a processor.
    pub cpu: Duration,
    /// Time for which it was runnable and waited for a processor.
    pub delay: Duration,
}

impl Scheduled {
    /// From the text of a `schedstat` file; `None` if this kernel does not keep the figures.
    fn parse(text: &str) -> Option<Self> {
        let mut figures = text.split_whitespace().map(|ns| ns.parse().map(Duration::from_nanos));
        let (cpu, delay) = (figures.next()?.ok()?, figures.next()?.ok()?);
        Some(Self { cpu, delay })
    }
}

/// The figures of a thread; `None` if it is gone, or if this kernel does not keep them.
pub fn scheduled(pid: u32, tid: u64) -> Option<Scheduled> {
    Scheduled::parse(&fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat")).ok()?)
}

/// A meter with the counters that the kernel keeps for a thread.
#[must_use]
pub fn with_thread(meter: Meter, pid: u32, tid: u64) -> Meter {
    let Scheduled { cpu, .. } = scheduled(pid, tid).unwrap_or_default();
    Meter { switches: voluntary_switches(pid, tid), cpu, ..meter }
}

/// How many times a thread gave up the processor by itself, that is, slept.
pub fn voluntary_switches(pid: u32, tid: u64) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
}

/// Whether a thread waits for a lock: the system call it is in is `futex`.
pub fn is_in_lock(pid: u32, tid: u64) -> bool {
    let call = fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).unwrap_or_default();
    call.split_whitespace().next().and_then(|n| n.parse().ok()) == Some(libc::SYS_futex)
}

/// Kernel id of the calling thread.
pub fn this_thread() -> u64 {
    u64::try_from(rustix::thread::gettid().as_raw_nonzero().get()).unwrap_or(0)
}

/// The threads of this process, without those of the instruments.
///
/// A file is kept open for each, because one read of an open file is cheap enough for every event.
#[derive(Debug, Default)]
pub struct Subject {
    threads: BTreeMap<u64, Thread>,
    instruments: Vec<u64>,
}

#[derive(Debug)]
struct Thread {
    schedstat: File,
    last: Scheduled,
}

impl Thread {
    fn open(tid: u64) -> Option<Self> {
        let schedstat = File::open(format!("/proc/self/task/{tid}/schedstat")).ok()?;
        Some(Self { schedstat, last: Scheduled::default() })
    }

    /// The figures now, or the last ones of a thread that has ended.
    fn read(&mut self) -> Scheduled {
        let mut text = [0; 80];
        let n = self.schedstat.read_at(&mut text, 0).unwrap_or(0);
        let now = std::str::from_utf8(&text[..n]).ok().and_then(Scheduled::parse);
        self.last = now.unwrap_or(self.last);
        self.last
    }
}

impl Subject {
    /// Leaves out a thread that measures.
    pub fn leave_out(&mut self, tid: u64) {
        self.instruments.push(tid);
        self.threads.remove(&tid);
    }

    /// Finds threads that are new. What they waited for until now counts from now on.
    pub fn look(&mut self) {
        let Ok(entries) = fs::read_dir("/proc/self/task") else { return };
        for entry in entries.flatten() {
            let tid = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let Some(tid) = tid.filter(|tid| !self.instruments.contains(tid)) else { continue };
            if let std::collections::btree_map::Entry::Vacant(vacant) = self.threads.entry(tid)
                && let Some(thread) = Thread::open(tid)
            {
                vacant.insert(thread);
            }
        }
    }

    /// How long `main` ran, and how long all of them, together, were kept from running.
    pub fn read(&mut self, main: u64) -> Scheduled {
        let mut all = Scheduled::default();
        for (tid, thread) in &mut self.threads {
            let Scheduled { cpu, delay } = thread.read();
            all.delay += delay;
            if *tid == main {
                all.cpu = cpu;
            }
        }
        all
    }

    /// Whether any of them runs, or waits for a processor or a disk.
    pub fn is_awake(&self) -> bool {
        self.threads.keys().any(|tid| {
            let stat = fs::read_to_string(format!("/proc/self/task/{tid}/stat"));
            // The name before the state may hold anything, even parentheses.
            let state = stat.as_deref().ok().and_then(|stat| stat.rsplit_once(") "));
            state.is_some_and(|(_, rest)| rest.starts_with(['R', 'D']))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_computes_is_awake_and_one_that_sleeps_is_not() {
        let (tid, started) = std::sync::mpsc::channel();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let sleeper = std::thread::spawn(move || {
            tid.send(this_thread()).unwrap();
            stopped.recv().unwrap_err();
        });
        let tid = started.recv().unwrap();
        let one = |tid| {
            let mut subject = Subject::default();
            subject.threads.insert(tid, Thread::open(tid).unwrap());
            subject
        };
        // It sleeps as soon as it has got there.
        while one(tid).is_awake() {
            std::thread::yield_now();
        }
        assert!(one(this_thread()).is_awake());
        drop(stop);
        sleeper.join().unwrap();
    }

    #[test]
    fn threads_are_found_and_those_of_instruments_are_left_out() {
        let mut subject = Subject::default();
        let main = this_thread();
        subject.look();
        assert!(subject.threads.contains_key(&main));
        let before = subject.read(main);
        while subject.read(main).cpu == before.cpu {}
        subject.leave_out(main);
        subject.look();
        assert!(!subject.threads.contains_key(&main));
        assert_eq!(subject.read(main).cpu, Duration::ZERO);
    }

    #[test]
    fn a_kernel_without_the_figures_is_noticed() {
        let both = Scheduled { cpu: Duration::from_nanos(12), delay: Duration::from_nanos(34) };
        assert_eq!(Scheduled::parse("12 34 5\n"), Some(both));
        assert_eq!(Scheduled::parse("0\n"), None);
        assert_eq!(Scheduled::parse(""), None);
    }
}
