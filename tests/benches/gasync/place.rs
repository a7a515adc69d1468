//! Which processors the threads may use.
//!
//! Most of a single call is two threads that wake each other. On one processor that is a switch
//! from one to the other. Across processors the machine has to interrupt an idle one, which takes a
//! virtual machine long, and the threads move while a table is measured. So sequential calls are
//! measured on one processor first, where the ratios are stable, and then wherever the system puts
//! the threads.

use std::fs;

use anyhow::Context as _;
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    OneProcessor,
    Anywhere,
}

impl Place {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OneProcessor => "on one processor",
            Self::Anywhere => "wherever the system puts the threads",
        }
    }
}

/// The processors that this process may use.
pub(crate) struct Processors {
    all: CpuSet,
    one: CpuSet,
}

impl Processors {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let all = sched_getaffinity(None)?;
        let first = (0..CpuSet::MAX_CPU).find(|&cpu| all.is_set(cpu)).context("no processor")?;
        let mut one = CpuSet::new();
        one.set(first);
        Ok(Self { all, one })
    }

    /// Moves all existing threads of this process and of `child`.
    pub(crate) fn put(&self, place: Place, child: u32) -> anyhow::Result<()> {
        let set = if place == Place::OneProcessor { &self.one } else { &self.all };
        for process in [std::process::id(), child] {
            for thread in fs::read_dir(format!("/proc/{process}/task"))? {
                let thread: i32 = thread?.file_name().to_string_lossy().parse()?;
                match sched_setaffinity(Pid::from_raw(thread), set) {
                    // It has ended meanwhile.
                    Err(Errno::SRCH) => {}
                    moved => moved.context("cannot choose a processor")?,
                }
            }
        }
        Ok(())
    }
}
