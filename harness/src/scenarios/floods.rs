//! One side is never idle: does the other live?

use loopnest_core::Program;
use loopnest_core::program::{ActorKind, PRIORITY_DEFAULT, PRIORITY_IDLE, Step};

use super::build::{TICK_MS, TICKS, With, program, tick};

/// All of them, in the order of the matrix.
pub(super) fn all() -> Vec<Program> {
    vec![async_flood(), glib_flood()]
}

fn async_flood() -> Program {
    let flood = || vec![Step::Yield { for_ms: 400 }];
    program(
        "async-flood",
        &["flood"],
        "Ten tasks are always ready for 400 ms: timers, and GLib's idle callbacks, must go on.",
        "twisted#4489: deferreds keep the GUI from redrawing",
    )
    .task("flood-0", flood())
    .task("flood-1", flood())
    .task("flood-2", flood())
    .task("flood-3", flood())
    .task("flood-4", flood())
    .task("flood-5", flood())
    .task("flood-6", flood())
    .task("flood-7", flood())
    .task("flood-8", flood())
    .task("flood-9", flood())
    .every("glib-ticker", TICK_MS, TICKS, vec![])
    .with("idle", ActorKind::Flood { for_ms: 100, priority: PRIORITY_IDLE }, vec![])
}

fn glib_flood() -> Program {
    program(
        "glib-flood",
        &["flood"],
        "A GLib source at default priority is always ready for 400 ms: tasks must go on.",
        "glibcoro, trio's guest mode, pumps: one tick in 2 s",
    )
    .with("flood", ActorKind::Flood { for_ms: 400, priority: PRIORITY_DEFAULT }, vec![])
    .task("ticker", vec![tick(TICK_MS, TICKS)])
}
