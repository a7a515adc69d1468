//! GAsyncResult calls as futures: what resolves them, what cancels them, and all that with a dialog
//! open.

use loopnest_core::Program;
use loopnest_core::program::{Reply, Step};

use super::build::{OPEN_MS, With, call, dialog, program, sleep, tick};

/// Longer than any program, for a call that only a cancel ends.
const NEVER_MS: u64 = 5000;

/// All of them, in the order of the matrix.
pub(super) fn all() -> Vec<Program> {
    vec![
        gasync_call(),
        gasync_error(),
        gasync_cancel(),
        gasync_in_dialog(),
        gasync_cancel_in_dialog(),
        gasync_from_tokio_thread(),
        gasync_remote_in_dialog(),
        gasync_thousand(),
    ]
}

fn cancel(actor: &str) -> Step {
    Step::Cancel { actor: actor.to_owned() }
}

fn gasync_call() -> Program {
    program(
        "gasync-call",
        &["call", "wake"],
        "A task awaits ten GAsyncResult calls one after another; nothing else happens.",
        "the wart of the second article: the callback cannot wake the other loop",
    )
    .task("caller", vec![call(20, 10)])
}

fn gasync_error() -> Program {
    program(
        "gasync-error",
        &["call", "wake"],
        "A call ends with a GError, which its task gets. Then the task makes another call.",
        "the second article: errors propagate to the coroutine",
    )
    .task("caller", vec![Step::Call { after_ms: 50, n: 2, reply: Reply::Error }, call(50, 2)])
}

fn gasync_cancel() -> Program {
    program(
        "gasync-cancel",
        &["call", "cancel"],
        "A callback, a task and a thread cancel tasks in the middle of a call.",
        "the second article: cancelling the task cancels the GCancellable",
    )
    .task("caller-1", vec![call(NEVER_MS, 1)])
    .task("caller-2", vec![call(NEVER_MS, 1)])
    .task("caller-3", vec![call(NEVER_MS, 1)])
    .after("callback", 100, vec![cancel("caller-1")])
    .task("task", vec![sleep(200), cancel("caller-2")])
    .thread("thread", vec![sleep(300), cancel("caller-3")])
}

fn gasync_in_dialog() -> Program {
    program(
        "gasync-in-dialog",
        &["call", "dialog"],
        "With a dialog open, tasks make calls and get answers, one of them to an earlier call.",
        "gtk4-rs#2185: a future of gio in a loop that a callback nests",
    )
    .task("before", vec![call(150, 1)])
    .task("inside", vec![sleep(100), call(30, 4)])
    // Without wake-after-dispatch, something must wake tokio after the dialog has closed.
    .task("ticker", vec![tick(20, 50)])
    .after("opener", OPEN_MS, vec![dialog("dialog")])
}

fn gasync_cancel_in_dialog() -> Program {
    program(
        "gasync-cancel-in-dialog",
        &["call", "cancel", "dialog"],
        "With a dialog open, a callback and a thread cancel tasks in the middle of a call.",
        "the second article, inside the loop of the first",
    )
    .task("caller-1", vec![call(NEVER_MS, 1)])
    .task("caller-2", vec![call(NEVER_MS, 1)])
    .after("opener", OPEN_MS, vec![dialog("dialog")])
    .after("callback", 120, vec![cancel("caller-1")])
    .thread("thread", vec![sleep(180), cancel("caller-2")])
}

fn gasync_from_tokio_thread() -> Program {
    program(
        "gasync-from-tokio-thread",
        &["call", "wake"],
        "A task of another tokio runtime, on its own thread, awaits calls.",
        "gio's GioFuture panics on a thread that does not own the context",
    )
    .remote_task("caller", vec![call(20, 10)])
}

fn gasync_remote_in_dialog() -> Program {
    program(
        "gasync-remote-in-dialog",
        &["call", "dialog"],
        "With a dialog open, a task of another tokio runtime sleeps and awaits calls.",
        "gasync: tasks on other threads do not notice a nested loop",
    )
    .remote_task("before", vec![call(150, 1)])
    .remote_task("inside", vec![sleep(100), call(30, 4), tick(20, 4)])
    .after("opener", OPEN_MS, vec![dialog("dialog")])
}

fn gasync_thousand() -> Program {
    let calls = || vec![call(0, 100)];
    program(
        "gasync-thousand",
        &["call"],
        "Ten tasks make a hundred calls each, answered at once.",
        "one GLib source, one wake and one task step for each call",
    )
    .task("caller-0", calls())
    .task("caller-1", calls())
    .task("caller-2", calls())
    .task("caller-3", calls())
    .task("caller-4", calls())
    .task("caller-5", calls())
    .task("caller-6", calls())
    .task("caller-7", calls())
    .task("caller-8", calls())
    .task("caller-9", calls())
}
