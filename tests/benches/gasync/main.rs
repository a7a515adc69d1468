//! What a GAsyncResult call costs as a future, as ratios within one run.
//!
//! On the GLib thread: `gasync::call` in `Dispatch`, compared with gio's own future in glib's
//! executor. From a tokio thread: `GlibHandle::gasync`, compared with the ways to do it by hand;
//! see [`ways`].
//!
//! `cargo bench -p loopnest-tests --bench gasync -- --quick`. Needs `dbus-daemon`.

mod floor;
mod operations;
mod place;
mod table;
mod ways;

use std::time::Instant;

use anyhow::ensure;
use gio::Cancellable;
use glib::MainContext;
use harness::probe::Probe;
use loopnest_strategies::gasync::{self, Resolver};
use loopnest_strategies::{Dispatch, Handoff};
use loopnest_tests::bus::PrivateBus;
use loopnest_tests::calls::{Hanging, open};
use rustix::time::{ClockId, clock_gettime};

use operations::{Call, Operation, Task};
use place::{Place, Processors};
use table::{Cost, Table};
use ways::{WAYS, Way};

/// How many calls are made at once, or left waiting.
const MANY: u32 = 1_000;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(other) = args.iter().find(|a| !matches!(a.as_str(), "--quick" | "--bench")) {
        eprintln!("error: unknown argument `{other}`; the only option is --quick");
        std::process::exit(2);
    }
    let (rounds, n) = if args.iter().any(|a| a == "--quick") { (15, 300) } else { (61, 1_000) };
    let context = MainContext::default();
    let _owner = context.acquire()?;
    let daemon = PrivateBus::start();
    let sides = Sides {
        probe: Probe::new(&context),
        dispatch: Dispatch::new(&context)?,
        handoff: Handoff::new(&context)?,
        context: context.clone(),
        rounds,
        n,
    };
    let connect = || sides.dispatch.block_on(open(daemon.address().to_owned()));
    let bus = connect();
    let hanging = Hanging::serve(&connect());
    let get_id = Call::get_id(&bus);

    let waiting = Manner::Beside(&hanging, Call::hang(&bus, &hanging));
    let processors = Processors::new()?;
    for place in [Place::OneProcessor, Place::Anywhere] {
        processors.put(place, daemon.id())?;
        println!("\none after the other, {}\n", place.name());
        let floor = floor::there_and_back(rounds, n)?;
        println!("two threads that wake each other: {floor:.1} us per round trip");
        sides.local("GetId", &get_id)?;
        sides.local("a GTask", &Task)?;
        sides.remote("GetId", &get_id, &Manner::InTurn)?;
        sides.remote("a GTask", &Task, &Manner::InTurn)?;
        sides.remote("a GTask beside 1000 calls that wait", &Task, &waiting)?;
    }
    println!("\n1000 at once, {}\n", Place::Anywhere.name());
    sides.remote("GetId", &get_id, &Manner::AtOnce)?;
    sides.remote("a GTask", &Task, &Manner::AtOnce)
}

/// How the calls of a round are made.
enum Manner<'a> {
    InTurn,
    AtOnce,
    /// One after the other, while a thousand others of the same kind wait for their reply.
    Beside(&'a Hanging, Call),
}

struct Sides {
    probe: Probe,
    dispatch: Dispatch,
    handoff: Handoff,
    context: MainContext,
    rounds: u32,
    n: u32,
}

impl Sides {
    fn local<O: Operation>(&self, title: &str, op: &O) -> anyhow::Result<()> {
        let mut table = Table::new(["gio's future", "gasync::call"]);
        for round in 0..=self.rounds {
            let before = self.probe.iterations();
            let gio = self.context.block_on(in_turn(self.n, || op.future()))?;
            let middle = self.probe.iterations();
            let (n, op) = (self.n, op.clone());
            let call = self.dispatch.block_on(async move {
                in_turn(n, || async {
                    let op = op.clone();
                    let start = move |cancellable: &Cancellable, done: Resolver<bool>| {
                        op.start(Some(cancellable), move |well| done.resolve(well));
                    };
                    matches!(gasync::call(start).await, Ok(true))
                })
                .await
            })?;
            let iterations = [middle - before, self.probe.iterations() - middle];
            // The first round warms up.
            if round > 0 {
                table.note(self.n, [gio, call], iterations);
            }
        }
        println!("on the GLib thread: {title} ({} rounds of {})", self.rounds, self.n);
        table.print(1, &[0])
    }

    fn remote<O: Operation>(&self, title: &str, op: &O, manner: &Manner<'_>) -> anyhow::Result<()> {
        let n = if matches!(manner, Manner::AtOnce) { MANY } else { self.n };
        let mut table = Table::new(WAYS.map(Way::name));
        for round in 0..=self.rounds {
            let (mut costs, mut iterations) = ([Cost::default(); WAYS.len()], [0; WAYS.len()]);
            for i in 0..WAYS.len() {
                // A different order in each round: the first one may find the caches cold.
                let i = (i + round as usize) % WAYS.len();
                (costs[i], iterations[i]) = self.round(WAYS[i], op, n, manner)?;
            }
            if round > 0 {
                table.note(n, costs, iterations);
            }
        }
        println!("from a tokio thread: {title} ({} rounds of {n})", self.rounds);
        table.print(0, &[1, 2, 3, 4])
    }

    fn round<O: Operation>(
        &self,
        way: Way,
        op: &O,
        n: u32,
        manner: &Manner<'_>,
    ) -> anyhow::Result<(Cost, u64)> {
        let mut waiting = tokio::task::JoinSet::new();
        if let Manner::Beside(hanging, hang) = manner {
            let waits = if way == Way::ThereAndBack { Way::Gasync } else { way };
            for _ in 0..MANY {
                let (glib, context) = (self.handoff.glib(), self.context.clone());
                waiting
                    .spawn_on(waits.call(glib, context, hang.clone()), self.handoff.tokio_handle());
            }
            while hanging.n() < MANY as usize {
                self.context.iteration(true);
            }
        }
        let (glib, context, op) = (self.handoff.glib(), self.context.clone(), op.clone());
        let call = move || way.call(glib.clone(), context.clone(), op.clone());
        let before = self.probe.iterations();
        let at_once = matches!(manner, Manner::AtOnce);
        let cost = self.handoff.block_on(async move {
            if at_once { together(n, call).await } else { in_turn(n, call).await }
        })?;
        let iterations = self.probe.iterations() - before;
        if let Manner::Beside(hanging, _) = manner {
            hanging.reply();
            let replies = self.handoff.block_on(waiting.join_all());
            ensure!(replies.iter().all(|well| *well), "a waiting call failed");
        }
        Ok((cost, iterations))
    }
}

async fn in_turn<F: Future<Output = bool>>(n: u32, call: impl Fn() -> F) -> anyhow::Result<Cost> {
    let clock = Clock::start();
    for _ in 0..n {
        ensure!(call().await, "a call failed");
    }
    Ok(clock.cost())
}

async fn together<F>(n: u32, call: impl Fn() -> F) -> anyhow::Result<Cost>
where
    F: Future<Output = bool> + Send + 'static,
{
    let clock = Clock::start();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..n {
        calls.spawn(call());
    }
    ensure!(calls.join_all().await.iter().all(|well| *well), "a call failed");
    Ok(clock.cost())
}

/// Reads two clocks: on a busy machine wall time says little.
struct Clock {
    wall: Instant,
    processor: f64,
}

impl Clock {
    fn start() -> Self {
        Self { wall: Instant::now(), processor: processor() }
    }

    fn cost(&self) -> Cost {
        Cost { wall: self.wall.elapsed().as_secs_f64(), processor: processor() - self.processor }
    }
}

/// How many seconds all threads of this process have run.
fn processor() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
