//! The facts that started the project, on the real loops, by counts.
//!
//! Every test runs the real program, so what holds here holds for its users.

mod common;

use common::{harness, run};
use harness::result::{CellResult, RunResult};
use loopnest_core::Word;
use loopnest_core::verdict::{Finding, Judgement, WindowFigures};

/// The scenario in which a task on tokio's own queue opens the dialog.
const FROM_LIBRARY_TASK: &str = "dialog-from-library-task";

/// The scenario in which GTK's events are drained by hand while tasks are always ready.
const DRAIN: &str = "drain-beside-work";

fn measure(args: &[&str]) -> RunResult {
    // One cell at a time: the tests of this file already run in parallel.
    let evidence = ["-j", "1", "-f", "json", "--full", "--expect", "none"];
    run(&mut harness(args.iter().copied().chain(evidence))).exits(0).result()
}

/// Every cell of a strategy. A cell without progress is run five times more and gets the majority's
/// verdict, because a build machine may be busy with something else.
fn measure_all(strategy: &str) -> RunResult {
    let mut result = measure(&["-s", strategy]);
    assert!(result.cells.len() > 20, "the whole matrix: {}", result.cells.len());
    for cell in result.cells.iter_mut().filter(|cell| cell.verdict != [Word::Progress]) {
        eprintln!("once more: {cell:#?}");
        *cell = measure(&["-s", strategy, "-c", &cell.scenario, "-n", "5"]).cells.remove(0);
    }
    result
}

#[track_caller]
fn cell<'a>(result: &'a RunResult, strategy: &str, scenario: &str) -> &'a CellResult {
    result.cell(strategy, scenario).unwrap_or_else(|| panic!("{strategy}/{scenario} was not run"))
}

#[track_caller]
fn judgement(cell: &CellResult) -> &Judgement {
    let judgement = cell.judgements.iter().find(|j| j.words == cell.verdict);
    judgement.unwrap_or_else(|| panic!("nothing judged: {cell:#?}"))
}

#[track_caller]
fn window<'a>(cell: &'a CellResult, name: &str) -> &'a WindowFigures {
    let window = judgement(cell).windows.iter().find(|w| w.name == name);
    window.unwrap_or_else(|| panic!("no window `{name}`: {cell:#?}"))
}

#[test]
fn nested_delivers_no_async_event_in_a_dialog_and_spins() {
    let result = measure(&["-s", "nested", "-c", "dialog-from-callback"]);
    let cell = cell(&result, "nested", "dialog-from-callback");
    assert_eq!(cell.verdict, [Word::Stall, Word::BusyLoop], "{cell:#?}");
    let figures = &cell.figures;
    assert!(figures.async_due > 0, "{cell:#?}");
    assert_eq!(figures.async_starved, figures.async_due, "a tick came in: {cell:#?}");
    assert_eq!(figures.async_lost, 0, "{cell:#?}");
    let dialog = window(cell, "dialog");
    assert!(dialog.iterations > 100 * dialog.justified.max(1), "{cell:#?}");
    assert_eq!((figures.iterations, figures.justified), (dialog.iterations, dialog.justified));
    assert!(judgement(cell).findings.contains(&Finding::Spin), "{cell:#?}");
}

#[test]
fn a_future_resolved_by_a_callback_wakes_nested_only_with_wake_after_dispatch() {
    let result = measure(&["-s", "nested", "-s", "nested-no-wake", "-c", "wake-from-callback"]);
    let without = cell(&result, "nested-no-wake", "wake-from-callback");
    assert_eq!(without.verdict, [Word::Stall], "{without:#?}");
    assert_eq!(without.rule, "lost-wake-up", "{without:#?}");
    // It came when it was poked, and only then.
    assert!(judgement(without).findings.contains(&Finding::LostWakeUp), "{without:#?}");
    assert_eq!(without.figures.async_lost, 0, "{without:#?}");
    let with = cell(&result, "nested", "wake-from-callback");
    assert_eq!(with.verdict, [Word::Progress], "{with:#?}");
}

#[test]
fn gtk_rs_aborts_when_a_task_opens_a_dialog_and_the_message_names_the_cause() {
    let result = measure(&["-s", "gtk-rs", "-c", "dialog-from-task"]);
    let cell = cell(&result, "gtk-rs", "dialog-from-task");
    assert_eq!(cell.verdict, [Word::Abort], "{cell:#?}");
    assert!(cell.why.contains("EnterError"), "{cell:#?}");
    assert_eq!(cell.rule, "executor-re-entered", "{cell:#?}");
}

#[test]
fn dispatch_makes_progress_in_every_scenario_but_two() {
    let result = measure_all("dispatch");
    for cell in result.cells.iter().filter(|c| ![FROM_LIBRARY_TASK, DRAIN].contains(&&*c.scenario))
    {
        assert_eq!(cell.verdict, [Word::Progress], "{cell:#?}");
    }
    assert_eq!(cell(&result, "dispatch", DRAIN).verdict, [Word::HeldOpen]);
    let cell = cell(&result, "dispatch", FROM_LIBRARY_TASK);
    for bad in [Word::Abort, Word::BusyLoop, Word::Livelock, Word::Deadlock, Word::Lost] {
        assert!(!cell.verdict.contains(&bad), "{cell:#?}");
    }
    assert!(!cell.is_inconclusive(), "{cell:#?}");
}

#[test]
fn handoff_makes_progress_in_every_scenario_that_it_does_not_refuse() {
    let result = measure_all("handoff");
    for cell in &result.cells {
        match cell.verdict[..] {
            [Word::Progress] => {}
            [Word::Refused] => {
                let reason = judgement(cell).message.as_deref().unwrap_or_default();
                assert!(reason.starts_with("handoff refuses to "), "{cell:#?}");
            }
            _ => panic!("{cell:#?}"),
        }
    }
}

#[test]
fn with_nothing_due_dispatch_and_handoff_iterate_once_to_close_the_window() {
    let strategies = ["dispatch", "handoff"];
    let result = measure(&["-s", "dispatch", "-s", "handoff", "-c", "idle", "-c", "dialog-quiet"]);
    for strategy in strategies {
        let quiet = window(cell(&result, strategy, "idle"), "quiet");
        assert_eq!(quiet.iterations, 1, "{strategy}: {quiet:#?}");
        let dialog = window(cell(&result, strategy, "dialog-quiet"), "dialog");
        assert_eq!(dialog.iterations, 1, "{strategy}: {dialog:#?}");
    }
}
