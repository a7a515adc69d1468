//! What the strategies cost, as ratios within one run.
//!
//! Absolute times on a shared machine mean little. So every round measures each strategy and also
//! what a user would pick instead, and the bench prints the median of the rounds' ratios.
//!
//! `cargo xtask bench --quick`, or `cargo bench -p harness --bench ratios`.

use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::time::{Duration, Instant};

use glib::MainContext;
use hdrhistogram::Histogram;
use loopnest_strategies::{Dispatch, GtkRs, Handoff, Nested, WakeAfterDispatch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// How much is measured.
struct Size {
    rounds: usize,
    round_trips: u32,
    wakes: u32,
}

const QUICK: Size = Size { rounds: 15, round_trips: 2_000, wakes: 20_000 };
const FULL: Size = Size { rounds: 61, round_trips: 10_000, wakes: 100_000 };

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(other) = args.iter().find(|a| !matches!(a.as_str(), "--quick" | "--bench")) {
        eprintln!("error: unknown argument `{other}`; the only option is --quick");
        std::process::exit(2);
    }
    let size = if args.iter().any(|a| a == "--quick") { QUICK } else { FULL };
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "one byte to a socket and back, both ends in one task; medians of {} rounds",
        size.rounds
    )?;
    round_trips(&mut out, &size)?;
    writeln!(out)?;
    writeln!(out, "a wake with 10,000 idle tasks against none; medians of {} rounds", size.rounds)?;
    wakes(&mut out, &size)?;
    Ok(())
}

/// A future to run to its end; `Send` so that every strategy can run it.
type Job = Pin<Box<dyn Future<Output = Duration> + Send>>;

fn round_trips(out: &mut impl Write, size: &Size) -> anyhow::Result<()> {
    let context = MainContext::default();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let again = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let dispatch = Dispatch::new(&context)?;
    let nested = Nested::new(&context, WakeAfterDispatch::Yes)?;
    let handoff = Handoff::new(&context)?;
    let gtk_rs = GtkRs::new(&context)?;
    type Contestant<'a> = (&'a str, Box<dyn Fn(Job) -> Duration + 'a>);
    let all: Vec<Contestant<'_>> = vec![
        ("plain tokio", Box::new(|job| tokio.block_on(job))),
        ("plain tokio again", Box::new(|job| again.block_on(job))),
        ("dispatch", Box::new(|job| dispatch.block_on(job))),
        ("nested", Box::new(|job| nested.block_on(job))),
        ("handoff", Box::new(|job| handoff.block_on(job))),
        ("gtk-rs", Box::new(|job| gtk_rs.block_on(job))),
    ];
    let mut times = vec![Vec::new(); all.len()];
    for round in 0..=size.rounds {
        for (times, (_, run)) in times.iter_mut().zip(&all) {
            let time = run(Box::pin(echo(size.round_trips)));
            // The first round warms up.
            if round > 0 {
                times.push(time.as_nanos() as f64 / f64::from(size.round_trips));
            }
        }
    }
    for ((name, _), mine) in all.iter().zip(&times) {
        let ratios: Vec<f64> = mine.iter().zip(&times[0]).map(|(a, b)| a / b).collect();
        let (micros, ratio) = (median(mine)? / 1000.0, median(&ratios)?);
        writeln!(out, "  {name:18} {micros:8.2} us   {ratio:6.2} x plain tokio")?;
    }
    Ok(())
}

/// Echoes single bytes between two ends of a socket, both polled by one task.
async fn echo(n: u32) -> Duration {
    let Ok((mut near, mut far)) = UnixStream::pair() else {
        return Duration::ZERO;
    };
    let server = async move {
        for _ in 0..n {
            let Ok(byte) = far.read_u8().await else {
                return;
            };
            if far.write_u8(byte).await.is_err() {
                return;
            }
        }
    };
    let client = async move {
        let begun = Instant::now();
        for _ in 0..n {
            if near.write_u8(1).await.is_err() || near.read_u8().await.is_err() {
                break;
            }
        }
        begun.elapsed()
    };
    futures::join!(server, client).1
}

fn wakes(out: &mut impl Write, size: &Size) -> anyhow::Result<()> {
    let context = MainContext::new();
    let _owned = context.acquire()?;
    let gtk_rs = GtkRs::new(&context)?;
    let dispatch = Dispatch::new(&context)?;
    for name in ["dispatch", "gtk-rs"] {
        let wakes = |n_idle: usize| -> f64 {
            let time = if name == "dispatch" {
                let idle: Vec<_> = (0..n_idle)
                    .map(|_| dispatch.spawn_local(std::future::pending::<()>()))
                    .collect();
                let time = dispatch.block_on(yields(size.wakes));
                idle.into_iter().for_each(|task| task.abort());
                time
            } else {
                let idle: Vec<_> = (0..n_idle)
                    .map(|_| context.spawn_local(std::future::pending::<()>()))
                    .collect();
                // A hundredth of the wakes, because each walks all tasks.
                let n = if n_idle > 0 { size.wakes / 100 } else { size.wakes };
                let time = gtk_rs.block_on(async move { yields(n).await });
                idle.into_iter().for_each(|task| task.abort());
                time * (size.wakes / n)
            };
            time.as_nanos() as f64 / f64::from(size.wakes)
        };
        let (mut none, mut many) = (Vec::new(), Vec::new());
        for round in 0..=size.rounds {
            let (a, b) = (wakes(0), wakes(10_000));
            if round > 0 {
                none.push(a);
                many.push(b);
            }
        }
        let ratios: Vec<f64> = many.iter().zip(&none).map(|(a, b)| a / b).collect();
        let (a, b, ratio) = (median(&none)?, median(&many)?, median(&ratios)?);
        writeln!(out, "  {name:18} {a:8.0} ns none {b:10.0} ns with   {ratio:8.2} x")?;
    }
    Ok(())
}

/// Wakes the calling task `n` times, each time through the loop.
async fn yields(n: u32) -> Duration {
    let begun = Instant::now();
    for _ in 0..n {
        let mut yielded = false;
        std::future::poll_fn(|cx| {
            if std::mem::replace(&mut yielded, true) {
                return std::task::Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await;
    }
    begun.elapsed()
}

fn median(values: &[f64]) -> anyhow::Result<f64> {
    // Three significant digits of thousandths.
    let mut histogram = Histogram::<u64>::new(3)?;
    for value in values {
        histogram.record((value * 1000.0) as u64)?;
    }
    Ok(histogram.value_at_quantile(0.5) as f64 / 1000.0)
}
