//! What the kernel says about a thread, read from `/proc`.

use std::fs;
use std::time::Duration;

use loopnest_core::trace::Meter;

/// A meter with the counters that the kernel keeps for a thread.
#[must_use]
pub fn with_thread(meter: Meter, pid: u32, tid: u64) -> Meter {
    Meter { switches: voluntary_switches(pid, tid), cpu: cpu_time(pid, tid), ..meter }
}

/// How many times a thread gave up the processor by itself, that is, slept.
pub fn voluntary_switches(pid: u32, tid: u64) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
}

/// How long a thread was on a processor.
pub fn cpu_time(pid: u32, tid: u64) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat")).unwrap_or_default();
    let ns = stat.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
    Duration::from_nanos(ns)
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
