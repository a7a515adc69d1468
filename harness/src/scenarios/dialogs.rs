//! What opens the dialog, how its loop is run, how deep, and what closes it.

use loopnest_core::Program;
use loopnest_core::program::{How, Step};

use super::build::{
    DIALOG_MS, OPEN_MS, TICK_MS, With, block_on, dialog, dialog_for, dialog_until_quit, program,
    quit, read, receive, resolve, send, sleep, tick, wait_for, write,
};

/// All of them, in the order of the matrix.
pub(super) fn all() -> Vec<Program> {
    vec![
        from_callback(),
        from_task(),
        from_library_task(),
        from_timer(),
        ready_io(),
        quiet(),
        depth_3(),
        by_iteration(),
        by_drain(),
        many_tasks(),
        close_outer_first(),
        quit_outer_inside(),
        block_on_in_callback(),
        block_on_in_dialog(),
        cancel_in_dialog(),
        panic_in_dialog(),
    ]
}

fn from_callback() -> Program {
    program(
        "dialog-from-callback",
        &["dialog"],
        "A GLib callback opens a dialog while both sides tick every 10 ms.",
        "asyncio-glib's announcement (2019); gmain.c 3183",
    )
    .tickers()
    .after("opener", OPEN_MS, vec![dialog("dialog")])
}

fn from_task() -> Program {
    program(
        "dialog-from-task",
        &["dialog"],
        "A task woken by a message opens a dialog while both sides tick.",
        "gtk-rs-core#739, gtk4-rs#2185, qasync#59",
    )
    .tickers()
    .task("opener", vec![receive("go", 1), dialog("dialog")])
    .after("starter", OPEN_MS, vec![send("go", 1)])
}

fn from_library_task() -> Program {
    program(
        "dialog-from-library-task",
        &["dialog", "library"],
        "A task that a library put on tokio's own queue opens a dialog while both sides tick.",
        "woab#30",
    )
    .tickers()
    .library_task("opener", vec![sleep(OPEN_MS), dialog("dialog")])
}

fn from_timer() -> Program {
    program(
        "dialog-from-timer",
        &["dialog"],
        "A task just woken by an async timer opens a dialog: the deadline is in the past.",
        "asyncio-glib from call_later: spins where call_soon only stalls",
    )
    .tickers()
    .task("opener", vec![sleep(OPEN_MS), dialog("dialog")])
}

fn ready_io() -> Program {
    program(
        "dialog-ready-io",
        &["dialog", "io"],
        "A pipe that a task reads becomes readable while a dialog is open.",
        "asyncio-glib#3; cpython#139145",
    )
    .task("reader", vec![read("pipe", 5)])
    // Each at its own time: on a busy machine a repeated timeout falls behind, and so does
    // everything that depends on it.
    .after("writer-1", 80, vec![write("pipe")])
    .after("writer-2", 110, vec![write("pipe")])
    .after("writer-3", 140, vec![write("pipe")])
    .after("writer-4", 170, vec![write("pipe")])
    .after("writer-5", 200, vec![write("pipe")])
    .after("opener", OPEN_MS, vec![dialog("dialog")])
}

fn quiet() -> Program {
    program(
        "dialog-quiet",
        &["dialog", "quiet"],
        "A dialog inside which nothing is due on either side: does the loop sleep?",
        "node-gtk#437, libuv#360",
    )
    .task("waiter", vec![wait_for("later")])
    .after("opener", OPEN_MS, vec![dialog("dialog"), resolve("later")])
}

fn depth_3() -> Program {
    program(
        "dialog-depth-3",
        &["dialog", "depth"],
        "Three dialogs inside each other, each opened by a callback in the one below.",
        "gtk_dialog_run() inside gtk_dialog_run()",
    )
    .tickers()
    .after("first", OPEN_MS, vec![dialog_for("level-1", How::Run, 440)])
    .after("second", 70, vec![dialog_for("level-2", How::Run, 380)])
    .after("third", 90, vec![dialog_for("level-3", How::Run, 320)])
}

fn by_iteration() -> Program {
    program(
        "dialog-by-iteration",
        &["dialog"],
        "The nested loop is `while !closed { iteration(TRUE) }`.",
        "PyGObject 3.50 to 3.58: stall and spin",
    )
    .tickers()
    .after("opener", OPEN_MS, vec![dialog_for("dialog", How::Iteration, DIALOG_MS)])
}

fn by_drain() -> Program {
    program(
        "dialog-by-drain",
        &["dialog"],
        "The nested loop is `while pending() { iteration(FALSE) }` with pauses, GTK's old idiom.",
        "PyGObject 3.58, asyncio-glib: never ends",
    )
    .tickers()
    .after("opener", OPEN_MS, vec![dialog_for("dialog", How::Drain, DIALOG_MS)])
}

fn many_tasks() -> Program {
    let mut all = program(
        "dialog-many-tasks",
        &["dialog"],
        "Ten tasks tick while another opens a dialog: are all of them alive afterwards?",
        "qasync#59, gbulb: tasks lost for ever",
    );
    for i in 0..10 {
        all = all.task(&format!("ticker-{i}"), vec![tick(20, 26)]);
    }
    all.task("opener", vec![receive("go", 1), dialog("dialog")]).after(
        "starter",
        OPEN_MS,
        vec![send("go", 1)],
    )
}

fn close_outer_first() -> Program {
    program(
        "close-outer-first",
        &["dialog", "quit"],
        "The outer of two dialogs is closed first; its loop ends after the inner one.",
        "gmain.c 4468; virtaal#3610",
    )
    .tickers()
    .after("outer", OPEN_MS, vec![dialog_until_quit("outer")])
    .after("inner", 70, vec![dialog_until_quit("inner")])
    .after("close-outer", 250, vec![quit("outer")])
    .after("close-inner", 450, vec![quit("inner")])
}

fn quit_outer_inside() -> Program {
    program(
        "quit-outer-inside",
        &["dialog", "quit"],
        "A task quits the outer dialog while the inner one is open: the inner one must not end.",
        "gbulb and gi.events: a quit ends the wrong loop",
    )
    .tickers()
    .after("outer", OPEN_MS, vec![dialog_until_quit("outer")])
    .after("inner", 70, vec![dialog_for("inner", How::Run, DIALOG_MS)])
    .task("quitter", vec![sleep(200), quit("outer")])
    .after("safety", 480, vec![quit("outer")])
}

fn block_on_in_callback() -> Program {
    program(
        "block-on-in-callback",
        &["block-on"],
        "A GLib callback waits for a future (reverse nesting) while GLib ticks.",
        "quamash#33, gbulb#19, lwt_glib#3",
    )
    .tickers()
    .after("caller", OPEN_MS, vec![block_on("wait", vec![sleep(DIALOG_MS)])])
}

fn block_on_in_dialog() -> Program {
    program(
        "block-on-in-dialog",
        &["block-on", "dialog"],
        "A callback inside a dialog waits for a future while both sides tick.",
        "tauri#1695: \"Cannot start a runtime from within a runtime\"",
    )
    .tickers()
    .after("opener", OPEN_MS, vec![dialog("dialog")])
    .after("caller", 100, vec![block_on("wait", vec![sleep(250)])])
}

fn cancel_in_dialog() -> Program {
    program(
        "cancel-in-dialog",
        &["dialog", "cancel"],
        "A callback inside a dialog cancels a task that ticks: it must end at once.",
        "trio's guest mode; PyGObject !541",
    )
    .async_ticker()
    .task("victim", vec![tick(TICK_MS, 200)])
    .after("opener", OPEN_MS, vec![dialog("dialog")])
    .after("canceller", 200, vec![Step::Cancel { actor: "victim".to_owned() }])
}

fn panic_in_dialog() -> Program {
    program(
        "panic-in-dialog",
        &["dialog", "panic"],
        "A task panics while a dialog is open: the others keep running and the dialog closes.",
        "gtk-rs-core#1229",
    )
    .tickers()
    .after("opener", OPEN_MS, vec![dialog("dialog")])
    .task("panicker", vec![sleep(200), Step::Panic])
}
