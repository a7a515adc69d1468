//! Sample runs for the tests of every format.

use std::collections::BTreeSet;

use loopnest_core::model::ideal;
use loopnest_core::program::Side;
use loopnest_core::trace::Kind;
use loopnest_core::verdict::{Figures, Finding, Judgement, Tally, WindowFigures, Word};

use crate::result::{CellResult, Machine, Record, RunResult, SCHEMA};

/// A run of these cells.
pub(crate) fn run(cells: Vec<CellResult>) -> RunResult {
    RunResult {
        schema: SCHEMA,
        rules: 1,
        machine: Machine {
            harness: "0.1.0".to_owned(),
            glib: "2.74.6".to_owned(),
            glib_rs: "0.22.10".to_owned(),
            tokio: "1.54.1".to_owned(),
            os: "linux 6.18.44".to_owned(),
            cpus: 2,
            profile: "release".to_owned(),
        },
        load: None,
        seed: "5eed".to_owned(),
        repeat: 5,
        elapsed_ms: Some(83_000),
        partial: false,
        cells,
    }
}

/// A cell with this verdict in all five repeats and no expectation.
pub(crate) fn cell(strategy: &str, scenario: &str, verdict: &[Word]) -> CellResult {
    let good = verdict == [Word::Progress];
    CellResult {
        strategy: strategy.to_owned(),
        scenario: scenario.to_owned(),
        verdict: verdict.to_vec(),
        why: if good { "All 28 async events due came in time." } else { "It did not come." }.into(),
        rule: if good { "progress" } else { "cause-not-recognised" }.to_owned(),
        repeats: 5,
        agree: 5,
        again: 0,
        odd: 0,
        figures: Figures {
            async_due: 28,
            glib_due: 4,
            iterations: 33,
            justified: 32,
            ..Figures::default()
        },
        expected: None,
        judgements: Vec::new(),
        record: None,
    }
}

fn stalled(strategy: &str, scenario: &str) -> CellResult {
    let mut cell = cell(strategy, scenario, &[Word::Stall, Word::BusyLoop]);
    cell.why = "0 of 28 async events due came before the dialog closed. GLib iterated 141,000 \
                times in `dialog` for 31 things done (limit 264) and never slept."
        .to_owned();
    cell.rule = "selector-source-stays-ready".to_owned();
    cell.figures.async_starved = 28;
    cell.figures.longest_gap_ms = 400;
    cell.figures.iterations = 141_000;
    cell.figures.justified = 31;
    cell.figures.cpu_ratio = 0.98;
    cell
}

fn aborted(strategy: &str, scenario: &str) -> CellResult {
    let mut cell = cell(strategy, scenario, &[Word::Abort]);
    cell.why = "The process died: called `Result::unwrap()` on an `Err` value: EnterError.".into();
    cell.rule = "executor-re-entered".to_owned();
    cell
}

fn refused(strategy: &str, scenario: &str) -> CellResult {
    let mut cell = cell(strategy, scenario, &[Word::Refused]);
    cell.why = "Refused: handoff refuses to open a nested loop on another thread.".to_owned();
    cell.rule = "refused".to_owned();
    cell
}

fn expecting(mut cell: CellResult, words: &[Word]) -> CellResult {
    cell.expected = Some(words.to_vec());
    cell
}

/// Three strategies with a surprise, a mixed and an inconclusive cell, and cells that were not run.
pub(crate) fn sample() -> RunResult {
    let progress = &[Word::Progress];
    let mut mixed = cell("dispatch", "wake-from-thread", progress);
    mixed.agree = 4;
    mixed.judgements =
        [Word::Progress, Word::Progress, Word::Stall, Word::Progress, Word::Progress]
            .map(|word| judgement(&[word]))
            .to_vec();
    let mut unknown = cell("gtk-rs", "wake-from-thread", &[Word::Inconclusive]);
    unknown.why = "The measurement cannot tell: no quiet window was seen.".to_owned();
    unknown.rule = "inconclusive".to_owned();
    let mut offered = cell("gtk-rs", "dialog-from-library-task", &[Word::NotApplicable]);
    offered.why = "The strategy declares that it does not offer this.".to_owned();
    offered.rule = "not-applicable".to_owned();
    let flaky =
        CellResult { repeats: 1, agree: 0, again: 2, odd: 1, ..cell("gtk-rs", "idle", progress) };
    run(vec![
        expecting(cell("nested", "idle", progress), progress),
        expecting(stalled("nested", "dialog-from-callback"), &[Word::Stall, Word::BusyLoop]),
        expecting(refused("nested", "dialog-from-library-task"), &[Word::Refused]),
        expecting(cell("dispatch", "idle", progress), progress),
        expecting(stalled("dispatch", "dialog-from-callback"), progress),
        expecting(mixed, progress),
        expecting(aborted("gtk-rs", "dialog-from-callback"), &[Word::Abort]),
        expecting(offered, &[Word::NotApplicable]),
        expecting(unknown, &[Word::Inconclusive]),
        expecting(flaky, progress),
    ])
}

/// One strategy, with a surprise.
pub(crate) fn single() -> RunResult {
    let progress = &[Word::Progress];
    let mut lost = cell("nested", "cancel-in-dialog", &[Word::Lost]);
    lost.why = "12 async events never came, though every window was closed.".to_owned();
    lost.rule = "lost-tasks".to_owned();
    (lost.figures.async_starved, lost.figures.async_lost) = (12, 12);
    run(vec![
        expecting(cell("nested", "idle", progress), progress),
        expecting(stalled("nested", "dialog-from-callback"), &[Word::Stall, Word::BusyLoop]),
        expecting(aborted("nested", "dialog-from-library-task"), progress),
        expecting(refused("nested", "block-on-in-callback"), &[Word::Refused]),
        expecting(lost, &[Word::Lost]),
    ])
}

fn judgement(words: &[Word]) -> Judgement {
    Judgement {
        words: words.to_vec(),
        findings: BTreeSet::new(),
        stalled: BTreeSet::new(),
        deliveries: Vec::new(),
        tallies: Vec::new(),
        windows: Vec::new(),
        figures: Figures::default(),
        message: None,
    }
}

/// A run with every word, every finding and every kind of event in it.
pub(crate) fn full_sample() -> RunResult {
    let findings = [
        Finding::Frozen(Side::Async),
        Finding::Frozen(Side::Glib),
        Finding::LostWakeUp,
        Finding::Starved(Side::Glib),
        Finding::Deferred(Side::Async),
        Finding::Spin,
        Finding::Tick,
        Finding::PanicCaught,
    ];
    let kinds =
        [Kind::Timer, Kind::Io, Kind::Wake, Kind::Task, Kind::Timeout, Kind::Idle, Kind::Fd];
    let judgement = Judgement {
        findings: findings.into(),
        tallies: kinds
            .map(|kind| (kind, Tally { due: 3, starved: 2, lost: 1, unsure: 0 }))
            .to_vec(),
        windows: vec![WindowFigures {
            name: "run".to_owned(),
            ms: 1200,
            iterations: 17,
            justified: 0,
            switches: 3,
            cpu_permille: 980,
            kept_permille: 0,
            limit: 16,
            busy: true,
        }],
        message: Some("because".to_owned()),
        ..judgement(&Word::ALL)
    };
    let mut cells = Vec::new();
    for (i, word) in Word::ALL.into_iter().enumerate() {
        let mut cell = cell("nested", &format!("scenario-{i}"), &[word]);
        cell.expected = (i % 2 == 0).then(|| vec![word]);
        cell.judgements = vec![judgement.clone(), Judgement { message: None, ..judgement.clone() }];
        let program = crate::scenarios::control();
        cell.record = Some(Record { trace: ideal(&program), program });
        cells.push(cell);
    }
    run(cells)
}
