//! What a GAsyncResult call costs as a future, as ratios within one run.
//!
//! Sequential `GetId` calls to a private D-Bus daemon: on the GLib thread beside gio's own
//! `call_future`, and from a tokio thread beside `MainContext::invoke` with a oneshot.
//!
//! `cargo bench -p harness --bench gasync -- --quick`. Needs `dbus-daemon`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use gio::{Cancellable, DBusCallFlags, DBusConnection, DBusConnectionFlags};
use glib::MainContext;
use loopnest_strategies::gasync::{self, Resolver};
use loopnest_strategies::{Dispatch, Handoff};

type Reply = Result<glib::Variant, glib::Error>;

const BUS: &str = "org.freedesktop.DBus";

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(other) = args.iter().find(|a| !matches!(a.as_str(), "--quick" | "--bench")) {
        eprintln!("error: unknown argument `{other}`; there is only --quick");
        std::process::exit(2);
    }
    let (rounds, n) = if args.iter().any(|a| a == "--quick") { (15, 300) } else { (61, 1_000) };
    let daemon = Daemon::start()?;
    let context = MainContext::default();
    let _owner = context.acquire()?;
    let dispatch = Dispatch::new(&context)?;
    let handoff = Handoff::new(&context)?;
    let address = daemon.address.clone();
    let bus = dispatch.block_on(gasync::call(move |cancellable, done| {
        let flags = DBusConnectionFlags::AUTHENTICATION_CLIENT
            | DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
        let done = move |result| done.resolve(result);
        DBusConnection::for_address(&address, flags, None, Some(cancellable), done);
    }))??;

    let mut times: [Vec<f64>; 4] = Default::default();
    for round in 0..=rounds {
        let connection = bus.clone();
        let gio = context.block_on(timed(n, || gio_get_id(connection.clone())));
        let connection = bus.clone();
        let local = dispatch.block_on(async move {
            timed(n, || async { matches!(gasync::call(get_id(&connection)).await, Ok(Ok(_))) })
                .await
        });
        let (connection, glib) = (bus.clone(), handoff.glib());
        let remote = handoff.block_on(async move {
            timed(n, || async { matches!(glib.gasync(get_id(&connection)).await, Ok(Ok(_))) }).await
        });
        let (connection, inner) = (bus.clone(), context.clone());
        let invoke = handoff.block_on(async move {
            timed(n, || async {
                let (tx, rx) = tokio::sync::oneshot::channel();
                let connection = connection.clone();
                inner.invoke(move || {
                    glib::spawn_future_local(async move {
                        let _ = tx.send(gio_get_id(connection).await);
                    });
                });
                rx.await == Ok(true)
            })
            .await
        });
        // The first round warms up.
        if round > 0 {
            for (times, time) in times.iter_mut().zip([gio?, local?, remote?, invoke?]) {
                times.push(time.as_secs_f64() * 1e6 / f64::from(n));
            }
        }
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "sequential GetId calls; medians of {rounds} rounds of {n}")?;
    let names = ["gio call_future", "gasync::call", "GlibHandle::gasync", "invoke + oneshot"];
    for (i, beside) in [(0, 0), (1, 0), (2, 3), (3, 3)] {
        let ratios = times[beside].iter().zip(&times[i]).map(|(b, a)| b / a).collect();
        let (micros, ratio) = (median(times[i].clone()), median(ratios));
        writeln!(
            out,
            "  {:20} {micros:7.1} us a call   {ratio:5.2} x the calls a second of {}",
            names[i], names[beside]
        )?;
    }
    Ok(())
}

async fn timed<F: Future<Output = bool>>(n: u32, call: impl Fn() -> F) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    for _ in 0..n {
        anyhow::ensure!(call().await, "a call failed");
    }
    Ok(begun.elapsed())
}

async fn gio_get_id(bus: DBusConnection) -> bool {
    let (path, flags) = ("/org/freedesktop/DBus", DBusCallFlags::NONE);
    bus.call_future(Some(BUS), path, BUS, "GetId", None, None, flags, -1).await.is_ok()
}

fn get_id(bus: &DBusConnection) -> impl FnOnce(&Cancellable, Resolver<Reply>) + Send + use<> {
    let bus = bus.clone();
    move |cancellable, done| {
        bus.call(
            Some(BUS),
            "/org/freedesktop/DBus",
            BUS,
            "GetId",
            None,
            None,
            DBusCallFlags::NONE,
            -1,
            Some(cancellable),
            move |result| done.resolve(result),
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

struct Daemon {
    child: Child,
    address: String,
}

impl Daemon {
    fn start() -> anyhow::Result<Self> {
        let mut child = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start dbus-daemon; `cargo xtask setup` installs it")?;
        let mut address = String::new();
        let stdout = child.stdout.take().context("no output of dbus-daemon")?;
        BufReader::new(stdout).read_line(&mut address)?;
        Ok(Self { child, address: address.trim().to_owned() })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
