//! How many programs a second the model runs, on one core.
//!
//! The more programs a search tries, the more it is worth: the aim is 20,000 typical programs a
//! second. Typical is the median of the programs that searches generate
//! ([`generate::programs`](loopnest_core::generate)). A program with a flood, or one on which a
//! strategy spins, takes as long as the flood or the spin, so the mean would describe those few.
//!
//! `cargo xtask bench --quick`, or `cargo bench -p harness --bench model`.

use std::io::Write;
use std::time::Duration;

use loopnest_core::generate::{Size, programs};
use loopnest_core::model::{Model, ideal, run_beside};
use loopnest_core::{Program, Trace};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

/// How many programs a second the model should run.
const AIM: f64 = 20_000.0;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(other) = args.iter().find(|a| !matches!(a.as_str(), "--quick" | "--bench")) {
        eprintln!("error: unknown argument `{other}`; the only option is --quick");
        std::process::exit(2);
    }
    let quick = args.iter().any(|a| a == "--quick");
    let (n, rounds) = if quick { (300, 5) } else { (2000, 15) };
    let mut out = std::io::stdout().lock();
    for (size, name) in [(Size::Small, "small"), (Size::Default, "default")] {
        let mut runner = TestRunner::deterministic();
        let strategy = programs(size);
        let all: Vec<Program> = (0..n)
            .map(|_| strategy.new_tree(&mut runner).map(|tree| tree.current()))
            .collect::<Result<_, _>>()
            .map_err(|why| anyhow::anyhow!("the generator filters nothing: {why}"))?;
        let due: Vec<Trace> = all.iter().map(ideal).collect();
        writeln!(
            out,
            "{n} generated programs of size `{name}`; the fastest of {rounds} rounds each"
        )?;
        row(&mut out, "the ideal", rounds, n, |i| drop(ideal(&all[i])))?;
        for model in Model::ALL {
            row(&mut out, model.name(), rounds, n, |i| drop(run_beside(model, &all[i], &due[i])))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Processor time of this thread, so that the rest of the machine does not count.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
}

/// Measures `n` programs, and takes the fastest round of each, which was disturbed least.
fn row(
    out: &mut impl Write,
    name: &str,
    rounds: usize,
    n: usize,
    run: impl Fn(usize),
) -> std::io::Result<()> {
    let time = |i| {
        let round = |_| {
            let start = cpu_time();
            run(i);
            cpu_time() - start
        };
        (0..rounds).map(round).min().unwrap_or(Duration::MAX)
    };
    let mut times: Vec<Duration> = (0..n).map(time).collect();
    times.sort_unstable();
    let median = 1.0 / times[n / 2].as_secs_f64();
    let all = n as f64 / times.iter().sum::<Duration>().as_secs_f64();
    let aim = median / AIM;
    writeln!(
        out,
        "  {name:16} {median:>8.0}/s the median program ({aim:.1} x the aim)  {all:>8.0}/s all of them"
    )
}
