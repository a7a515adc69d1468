//! What wakes what: callbacks, threads, timers, descriptors; and quiet.

use loopnest_core::Program;
use loopnest_core::program::{ActorKind, How, Step};

use super::build::{
    TICK_MS, With, close, dialog_for, program, read, receive, resolve, send, sleep, tick, wait_for,
    write,
};

/// All of them, in the order of the matrix.
pub(super) fn all() -> Vec<Program> {
    vec![
        idle(),
        ticker(),
        wake_from_callback(),
        wake_from_thread(),
        shorter_timer_later(),
        coop_budget(),
        pipe_hup(),
    ]
}

fn idle() -> Program {
    program(
        "idle",
        &["quiet"],
        "Nothing is due for 300 ms at top level: does the loop sleep?",
        "twisted#4376, electron#52862",
    )
    .task("waiter", vec![wait_for("later")])
    .after("begin", 100, vec![Step::QuietBegin])
    .after("end", 400, vec![Step::QuietEnd, resolve("later")])
}

fn ticker() -> Program {
    program(
        "ticker",
        &["timer"],
        "Both sides tick every 10 ms: what does a tick cost?",
        "asyncio-glib and PyGObject: three polls per tick, gbulb: two",
    )
    .task("ticker", vec![tick(TICK_MS, 40)])
    .every("glib-ticker", TICK_MS, 40, vec![])
}

fn wake_from_callback() -> Program {
    program(
        "wake-from-callback",
        &["wake"],
        "A GLib callback completes a future on its own thread; nothing else happens.",
        "the wart of the second article; asyncio-glib#3",
    )
    .task("waiter", vec![wait_for("answer")])
    .after("resolver", 100, vec![resolve("answer")])
}

fn wake_from_thread() -> Program {
    program(
        "wake-from-thread",
        &["wake"],
        "Another thread completes a future while both loops sleep.",
        "calloop#171, Gtk.jl#503",
    )
    .task("waiter", vec![wait_for("answer"), receive("more", 3)])
    .thread(
        "helper",
        vec![sleep(100), resolve("answer"), sleep(50), send("more", 1), sleep(50), send("more", 2)],
    )
}

fn shorter_timer_later() -> Program {
    program(
        "shorter-timer-later",
        &["timer"],
        "While a long timer is armed, a callback starts a task with a shorter one.",
        "libuv#3308: sleeps on an older timeout",
    )
    .task("long", vec![sleep(600)])
    .after("starter", 100, vec![Step::Spawn { actor: "short".to_owned() }])
    .with("short", ActorKind::Dormant, vec![sleep(50)])
}

fn coop_budget() -> Program {
    program(
        "coop-budget",
        &["wake", "coop"],
        "A task takes 1,000 messages from a tokio channel, all sent at once by a callback.",
        "gtk-rs-core#1251: stops after 128",
    )
    .task("receiver", vec![receive("many", 1000)])
    .after("sender", 100, vec![send("many", 1000)])
}

fn pipe_hup() -> Program {
    program(
        "pipe-hup",
        &["io"],
        "The writer closes its pipes: a task and a GLib watch must see the end of file.",
        "asyncio-glib#5, lwt#25: POLLHUP not mapped, 100 % CPU",
    )
    .task("reader", vec![read("async-pipe", 2)])
    .with("watcher", ActorKind::Watch { pipe: "glib-pipe".to_owned(), times: 2 }, vec![])
    .after("writer", 50, vec![write("async-pipe"), write("glib-pipe")])
    .after("closer", 100, vec![close("async-pipe"), close("glib-pipe")])
    .after("begin", 150, vec![Step::QuietBegin])
    .after("end", 400, vec![Step::QuietEnd])
}

/// A quiet window at top level, a dialog and ticks before it, and a wake from a thread after it.
pub(super) fn control() -> Program {
    program(
        "control",
        &["control"],
        "A short dialog, a quiet window, then a wake from another thread and nothing else.",
        "planted subjects for the verdict rules",
    )
    .task("ticker", vec![tick(TICK_MS, 5)])
    .after("opener", 20, vec![dialog_for("dialog", How::Run, 40)])
    .after("begin", 100, vec![Step::QuietBegin])
    .after("end", 400, vec![Step::QuietEnd])
    .task("waiter", vec![wait_for("answer")])
    .thread("helper", vec![sleep(450), resolve("answer")])
}
