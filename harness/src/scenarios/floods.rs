//! One side is never idle: does the other make progress?

use loopnest_core::Program;
use loopnest_core::program::{ActorKind, How, PRIORITY_DEFAULT, PRIORITY_IDLE, Step};

use super::build::{OPEN_MS, TICK_MS, TICKS, With, dialog_for, program, tick};

/// On a busy machine an iteration may take longer than a fast ticker's period. Then the ticker is
/// due in every iteration, and GLib itself runs no idle callback.
const SLOW_MS: u64 = 50;
/// Until well after the flood.
const SLOW_TICKS: u32 = 10;

/// All of them, in the order of the matrix.
pub(super) fn all() -> Vec<Program> {
    vec![async_flood(), glib_flood(), drain_beside_work()]
}

fn async_flood() -> Program {
    let flood = || vec![Step::Yield { for_ms: 400 }];
    program(
        "async-flood",
        &["flood"],
        "Ten tasks are always ready for 400 ms: timers and GLib's idle callbacks must still run.",
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
    .task("ticker", vec![tick(SLOW_MS, SLOW_TICKS)])
    .every("glib-ticker", SLOW_MS, SLOW_TICKS, vec![])
    .with("idle", ActorKind::Flood { for_ms: 100, priority: PRIORITY_IDLE }, vec![])
}

fn drain_beside_work() -> Program {
    let work = || vec![Step::Yield { for_ms: 800 }];
    program(
        "drain-beside-work",
        &["dialog", "flood"],
        "GTK's events are drained by hand for 250 ms while tasks are ready for 800 ms: it must end.",
        "czkawka#625, gramps#1165",
    )
    .task("busy-1", work())
    .task("busy-2", work())
    .after("opener", OPEN_MS, vec![dialog_for("drain", How::Drain, 250)])
    .every("glib-ticker", SLOW_MS, 2 * SLOW_TICKS, vec![])
}

fn glib_flood() -> Program {
    program(
        "glib-flood",
        &["flood"],
        "A GLib source at default priority is always ready for 400 ms: tasks must still run.",
        "glibcoro, trio's guest mode, pumps: one tick in 2 s",
    )
    .with("flood", ActorKind::Flood { for_ms: 400, priority: PRIORITY_DEFAULT }, vec![])
    .task("ticker", vec![tick(TICK_MS, TICKS)])
}
