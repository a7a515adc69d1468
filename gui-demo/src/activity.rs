//! The background work that a stall would stop.
//!
//! | actor | side | what it does |
//! |---|---|---|
//! | ticker | async | a timer every 50 ms |
//! | echo | async | a byte over TCP to a server in this process and back, every 200 ms |
//! | bus | async | a D-Bus call every second, made by GLib and awaited by a task |
//! | clock | GLib | a timeout every 100 ms |
//!
//! It is spawned through [`Loops`], so it is the same under every strategy, and no strategy knows
//! about it. All async deadlines count from the start, so the ideal run of the same program has
//! them at the same times ([`program`](crate::program)).

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use gtk4::gio;
use loopnest_core::loops::{Canceller, Home, Loops};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::facts::{Beside, CALL_EVERY, CLOCK_EVERY, ECHO_EVERY, Fact, TICK_EVERY};
use crate::log::Log;

/// The work. It stops when this is dropped.
pub struct Activity {
    /// When it began, by the log's clock.
    pub began: Duration,
    has_echo: Arc<AtomicBool>,
    has_bus: Arc<AtomicBool>,
    stopped: Arc<AtomicBool>,
    cancellers: Vec<Canceller>,
    log: Arc<Log>,
}

impl std::fmt::Debug for Activity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Activity").field("began", &self.began).finish_non_exhaustive()
    }
}

impl Activity {
    /// Starts the work. Call this on the GTK thread.
    pub fn start(loops: &Arc<dyn Loops>, log: &Arc<Log>) -> Self {
        let began = log.now();
        let start = loops.now();
        let stopped = Arc::new(AtomicBool::new(false));
        let [has_echo, has_bus] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let spawn = |task| loops.spawn(Home::Local, task);
        let cancellers = vec![
            spawn(Box::pin(tick(loops.clone(), log.clone(), start))),
            spawn(Box::pin(echo(loops.clone(), log.clone(), start, has_echo.clone()))),
            spawn(Box::pin(call(loops.clone(), log.clone(), start, has_bus.clone()))),
        ];
        clock(loops, log, stopped.clone());
        Self { began, has_echo, has_bus, stopped, cancellers, log: log.clone() }
    }

    /// What is running now: there may be no session bus or no loopback device, and each may fail
    /// later.
    pub fn beside(&self) -> Beside {
        let (has_echo, has_bus) = (self.has_echo.load(Relaxed), self.has_bus.load(Relaxed));
        Beside { began: self.began, has_echo, has_bus }
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        self.stopped.store(true, Relaxed);
        self.cancellers.drain(..).for_each(|cancel| cancel());
        self.log.forget_gap();
    }
}

async fn tick(loops: Arc<dyn Loops>, log: Arc<Log>, start: Duration) {
    for n in 1.. {
        loops.sleep_until(start + TICK_EVERY * n).await;
        log.record(Fact::Tick(n.into()));
    }
}

fn clock(loops: &Arc<dyn Loops>, log: &Arc<Log>, stopped: Arc<AtomicBool>) {
    let (log, mut n) = (log.clone(), 0);
    let callback = move || {
        if stopped.load(Relaxed) {
            return ControlFlow::Break(());
        }
        n += 1;
        log.record(Fact::Clock(n));
        ControlFlow::Continue(())
    };
    loops.add_timeout(0, CLOCK_EVERY, Box::new(callback));
}

/// The client and the server of the echo. They end together.
async fn echo(loops: Arc<dyn Loops>, log: Arc<Log>, start: Duration, has_echo: Arc<AtomicBool>) {
    let both = async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let client = TcpStream::connect(listener.local_addr()?);
        let (client, server) = tokio::try_join!(client, listener.accept())?;
        has_echo.store(true, Relaxed);
        tokio::try_join!(ask(loops, log.clone(), start, client), serve(log, server.0))?;
        io::Result::Ok(())
    };
    if let Err(error) = both.await {
        has_echo.store(false, Relaxed);
        // Without a loopback device there is one kind of event less to judge.
        eprintln!("no TCP echo: {error}");
    }
}

async fn ask(
    loops: Arc<dyn Loops>,
    log: Arc<Log>,
    start: Duration,
    mut stream: TcpStream,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut byte = [0];
    for n in 1.. {
        loops.sleep_until(start + ECHO_EVERY * n).await;
        log.record(Fact::Sent(n.into()));
        stream.write_all(b"?").await?;
        stream.read_exact(&mut byte).await?;
        log.record(Fact::Echoed(n.into()));
    }
    Ok(())
}

async fn serve(log: Arc<Log>, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut byte = [0];
    for n in 1.. {
        stream.read_exact(&mut byte).await?;
        log.record(Fact::Served(n));
        stream.write_all(&byte).await?;
    }
    Ok(())
}

/// Calls the bus daemon. GLib makes the call, on its thread; a task waits for the answer.
async fn call(loops: Arc<dyn Loops>, log: Arc<Log>, start: Duration, has_bus: Arc<AtomicBool>) {
    let (tx, rx) = oneshot::channel();
    let connect = Box::new(move || {
        gio::bus_get(gio::BusType::Session, gio::Cancellable::NONE, |found| drop(tx.send(found)));
    });
    // Without a session bus this actor does not exist.
    let Ok(()) = loops.on_host(Home::Local, connect).await else { return };
    let Ok(Ok(bus)) = rx.await else { return };
    // By default GLib ends the process when the session bus closes.
    bus.set_exit_on_close(false);
    has_bus.store(true, Relaxed);
    let late = loops.now().saturating_sub(start).as_millis() / CALL_EVERY.as_millis();
    for n in late as u32 + 1.. {
        loops.sleep_until(start + CALL_EVERY * n).await;
        log.record(Fact::Called(n.into()));
        let (tx, rx) = oneshot::channel();
        let bus = bus.clone();
        let get_id = Box::new(move || {
            let name = "org.freedesktop.DBus";
            bus.call(
                Some(name),
                "/org/freedesktop/DBus",
                name,
                "GetId",
                None,
                None,
                gio::DBusCallFlags::NONE,
                -1,
                gio::Cancellable::NONE,
                |answer| {
                    // Fails when the activity has been stopped.
                    let _ = tx.send(answer.is_ok());
                },
            );
        });
        let Ok(()) = loops.on_host(Home::Local, get_id).await else { break };
        let Ok(true) = rx.await else { break };
        log.record(Fact::Answered(n.into()));
    }
    has_bus.store(false, Relaxed);
}
