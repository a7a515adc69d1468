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
#[derive(Debug, Default)]
pub struct Subject {
    threads: BTreeMap<u64, Thread>,
    instruments: Vec<u64>,
    /// For how long some thread was kept from running, stretch by stretch.
    delay: Duration,
}

/// How many files are kept open. One read of an open file is cheap enough for every event, but the
/// descriptors are the subject's.
const FILES: usize = 8;

#[derive(Debug)]
struct Thread {
    schedstat: Option<File>,
    last: Scheduled,
}

impl Thread {
    fn new(tid: u64, keep: bool) -> Self {
        let open = || File::open(format!("/proc/self/task/{tid}/schedstat")).ok();
        let schedstat = keep.then(open).flatten();
        let mut thread = Self { schedstat, last: Scheduled::default() };
        thread.last = thread.read(tid).unwrap_or_default();
        thread
    }

    /// The figures now; `None` if the thread has ended.
    fn read(&self, tid: u64) -> Option<Scheduled> {
        let Some(file) = &self.schedstat else { return scheduled(std::process::id(), tid) };
        let mut text = [0; 80];
        let n = file.read_at(&mut text, 0).ok()?;
        Scheduled::parse(std::str::from_utf8(&text[..n]).ok()?)
    }
}

impl Subject {
    /// Leaves out a thread that measures.
    pub fn leave_out(&mut self, tid: u64) {
        self.instruments.push(tid);
        self.threads.remove(&tid);
    }

    /// Takes notice of threads that are new, and forgets those that have ended.
    pub fn look(&mut self, all: &[u64]) {
        self.threads.retain(|tid, _| all.contains(tid));
        for tid in all.iter().filter(|tid| !self.instruments.contains(tid)) {
            let keep = self.threads.len() < FILES;
            self.threads.entry(*tid).or_insert_with(|| Thread::new(*tid, keep));
        }
    }

    /// How long `main` ran, and for how long the threads were kept from running.
    ///
    /// Of several that were kept in the same stretch between two readings, the one that was kept longest
    /// counts: they waited side by side.
    pub fn read(&mut self, main: u64) -> Scheduled {
        let (mut cpu, mut longest) = (Duration::ZERO, Duration::ZERO);
        for (tid, thread) in &mut self.threads {
            let now = thread.read(*tid).unwrap_or(thread.last);
            longest = longest.max(now.delay.saturating_sub(thread.last.delay));
            thread.last = now;
            if *tid == main {
                cpu = now.cpu;
            }
        }
        self.delay += longest;
        Scheduled { cpu, delay: self.delay }
    }

    /// The kernel ids of the threads.
    pub fn ids(&self) -> Vec<u64> {
        self.threads.keys().copied().collect()
    }
}

/// The kernel ids of all threads of this process.
pub fn all() -> Vec<u64> {
    let entries = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Whether one of these threads of this process is at work, as far as `pause` shows: it spends most of
/// that time on a processor or waiting for one, and does so at its end. One that only looks now and then
/// whether there is work is not.
pub fn is_any_at_work(tids: &[u64], pause: Duration) -> bool {
    let spent =
        |tid| scheduled(std::process::id(), tid).map_or(Duration::ZERO, |s| s.cpu + s.delay);
    let before: Vec<Duration> = tids.iter().map(|tid| spent(*tid)).collect();
    std::thread::sleep(pause);
    tids.iter().zip(before).any(|(tid, before)| {
        // The kernel counts a wait when it is over, so a thread that waits all the time shows nothing.
        let worked = spent(*tid).saturating_sub(before) >= pause / 2;
        matches!(state(*tid), Some('R' | 'D')) && (worked || spent(*tid) == before)
    })
}

/// The state of a thread of this process, as in `stat`.
fn state(tid: u64) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/self/task/{tid}/stat")).ok()?;
    // The name before the state may hold anything, even parentheses.
    stat.rsplit_once(") ")?.1.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_millis(10);

    /// Runs `test` while another thread does `work` again and again; it gets that thread's id.
    fn beside(work: fn(), test: impl FnOnce(u64)) {
        let (tid, started) = std::sync::mpsc::channel();
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                tid.send(this_thread()).unwrap();
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    work();
                }
            });
            test(started.recv().unwrap());
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    #[test]
    fn a_thread_that_computes_is_at_work_and_one_that_only_looks_is_not() {
        let at_work = |tid| (0..5).filter(|_| is_any_at_work(&[tid], PAUSE)).count();
        beside(std::hint::spin_loop, |tid| assert!(at_work(tid) >= 3));
        beside(|| std::thread::sleep(Duration::from_millis(1)), |tid| assert!(at_work(tid) < 3));
        assert!(!is_any_at_work(&[], PAUSE));
    }

    #[test]
    fn threads_are_found_and_those_of_instruments_are_left_out() {
        let mut subject = Subject::default();
        let main = this_thread();
        subject.look(&all());
        assert!(subject.ids().contains(&main));
        let before = subject.read(main);
        while subject.read(main).cpu == before.cpu {}
        subject.leave_out(main);
        subject.look(&all());
        assert!(!subject.ids().contains(&main));
        assert_eq!(subject.read(main).cpu, Duration::ZERO);
    }

    #[test]
    fn threads_that_have_ended_are_forgotten_and_few_files_are_kept() {
        let mut subject = Subject::default();
        let hundred: Vec<u64> = (0..100).map(|n| u64::MAX - n).collect();
        subject.look(&hundred);
        assert_eq!(subject.threads.len(), 100);
        assert!(subject.threads.values().filter(|t| t.schedstat.is_some()).count() <= FILES);
        subject.look(&[]);
        assert!(subject.ids().is_empty());
    }

    #[test]
    fn a_kernel_without_the_figures_is_noticed() {
        let both = Scheduled { cpu: Duration::from_nanos(12), delay: Duration::from_nanos(34) };
        assert_eq!(Scheduled::parse("12 34 5\n"), Some(both));
        assert_eq!(Scheduled::parse("0\n"), None);
        assert_eq!(Scheduled::parse(""), None);
    }
}
