//! How many frames GTK misses while a thousand async tasks run, inside and outside dialogs.
//!
//! `cargo bench -p gui-demo`. The share is relative to a clock of 60 Hz. It depends as much on the
//! machine and its other work as on the strategy, so compare only the lines of one run.

#[path = "../tests/common/mod.rs"]
mod common;

use std::fs;

use common::Desk;
use common::session::DEMO;
use gui_demo::kind::Kind;
use gui_demo::report::{Report, Stretch};

const HERTZ: f64 = 60.0;

fn main() {
    let desk = Desk::without_bus();
    println!("{:<10} {:<14} {:>8} {:>12}", "strategy", "where", "missed", "task steps/s");
    for strategy in ["dispatch", "handoff", "gtk-rs"] {
        let kinds = [None, Some(Kind::Callback), Some(Kind::Task), Some(Kind::ThreeDeep)];
        // A task that opens a nested loop aborts `gtk-rs`.
        let can = |kind: &Option<Kind>| strategy != "gtk-rs" || *kind != Some(Kind::Task);
        for kind in kinds.into_iter().filter(can) {
            let report = run(&desk, strategy, kind);
            let (place, stretch) = match (kind, report.dialogs.first()) {
                (Some(kind), Some(dialog)) => (kind.name(), dialog.inside),
                _ => ("no dialog", report.settled.unwrap_or(report.run)),
            };
            let steps = stretch.task_steps as f64 / stretch.seconds;
            println!("{strategy:<10} {place:<14} {:>6.1} % {steps:>12.0}", missed(stretch) * 100.0);
        }
    }
}

fn missed(stretch: Stretch) -> f64 {
    (1.0 - stretch.frames as f64 / (stretch.seconds * HERTZ)).max(0.0)
}

fn run(desk: &Desk, strategy: &str, kind: Option<Kind>) -> Report {
    let file = desk.folder().join("report.json");
    let mut cmd = desk.command(DEMO);
    cmd.args(["--strategy", strategy, "--many-tasks", "--dialog-ms", "4000", "--exit-after", "7"]);
    if let Some(kind) = kind {
        cmd.args(["--open", kind.name()]);
    }
    let status = cmd.arg("--report").arg(&file).status().expect("the demo");
    assert!(status.success(), "{strategy}: {status}");
    serde_json::from_slice(&fs::read(file).expect("a report")).expect("a report")
}
