//! The least that a call from another thread can cost: two threads that wake each other and do
//! nothing else. No loop, no runtime, no call; one write and one blocking read of an eventfd each.

use std::os::fd::OwnedFd;
use std::thread;
use std::time::Instant;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, write};

use crate::table::median;

/// Microseconds per round trip, the median of `rounds` rounds of `n`.
pub(crate) fn there_and_back(rounds: u32, n: u32) -> anyhow::Result<f64> {
    let (there, back) = (bell()?, bell()?);
    let total = u64::from(rounds + 1) * u64::from(n);
    thread::scope(|scope| {
        // It inherits the processors of this thread.
        let other = scope.spawn(|| -> rustix::io::Result<()> {
            for _ in 0..total {
                wait(&there)?;
                ring(&back)?;
            }
            Ok(())
        });
        let mut times = Vec::new();
        for _ in 0..=rounds {
            let begun = Instant::now();
            for _ in 0..n {
                ring(&there)?;
                wait(&back)?;
            }
            times.push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(n));
        }
        other.join().expect("no panic")?;
        // The first round warms up.
        Ok(median(times.split_off(1)))
    })
}

fn bell() -> rustix::io::Result<OwnedFd> {
    eventfd(0, EventfdFlags::CLOEXEC)
}

fn ring(bell: &OwnedFd) -> rustix::io::Result<()> {
    write(bell, &1_u64.to_ne_bytes()).map(drop)
}

fn wait(bell: &OwnedFd) -> rustix::io::Result<()> {
    read(bell, &mut [0; 8]).map(drop)
}
