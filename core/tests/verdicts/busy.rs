//! Busy loops: iterations against what justifies them.

use loopnest_core::classify::{ITERATIONS_FREE, ITERATIONS_PER_EVENT};
use loopnest_core::program::How;
use loopnest_core::trace::{Kind, What};
use loopnest_core::verdict::Finding;

use super::tape::{Tape, dialog, judge, judge_program, program, tape};

/// A quiet window in which the loop makes this many iterations.
fn quiet(iterations: u64, switches: u64) -> Tape {
    tape().quiet(100, 400).turns(200, iterations, switches)
}

#[test]
fn the_allowed_iterations_of_a_quiet_window_are_progress() {
    judge(&quiet(1, 1), quiet(ITERATIONS_FREE, 0)).says("progress");
}

#[test]
fn one_iteration_more_is_a_busy_loop() {
    judge(&quiet(1, 1), quiet(ITERATIONS_FREE + 1, 0)).says("busy-loop").because(&[Finding::Spin]);
}

#[test]
fn a_loop_that_sleeps_less_than_every_other_time_spins() {
    judge(&quiet(1, 1), quiet(2000, 999)).says("busy-loop").because(&[Finding::Spin]);
}

#[test]
fn a_loop_that_sleeps_every_other_time_ticks() {
    judge(&quiet(1, 1), quiet(2000, 1000)).says("busy-loop").because(&[Finding::Tick]);
}

#[test]
fn every_event_justifies_some_iterations() {
    // The dialog delivers 32 events at two iterations each.
    let spare = ITERATIONS_FREE + 32 * (ITERATIONS_PER_EVENT - 2);
    judge(&dialog(), dialog().turns(500, spare, 0)).says("progress");
    judge(&dialog(), dialog().turns(500, spare + 1, 0)).says("busy-loop");
}

#[test]
fn events_elsewhere_justify_nothing_inside() {
    let ideal = dialog().every(1, 1101..=1500, Kind::Timer);
    judge(&ideal, ideal.clone().turns(500, 1000, 0)).says("busy-loop");
}

#[test]
fn a_busy_stretch_outside_all_dialogs_is_a_busy_loop() {
    let verdict = judge(&dialog(), dialog().turns(1050, 1000, 0)).says("busy-loop");
    assert!(verdict.window("run").busy);
    assert!(!verdict.window("level-0").busy);
}

#[test]
fn a_busy_dialog_does_not_make_the_rest_of_the_run_busy() {
    let verdict = judge(&dialog(), dialog().turns(500, 1000, 0)).says("busy-loop");
    assert!(!verdict.window("run").busy);
    assert_eq!(verdict.window("level-0").iterations, 1000 + 2 * 32);
    assert_eq!(verdict.window("level-0").justified, 32);
}

#[test]
fn iterations_of_an_inner_dialog_are_taken_from_the_run_once() {
    let ideal = tape().level(0, 100, 1000).level(1, 200, 600);
    let verdict = judge(&ideal, ideal.clone().turns(300, 10, 10).turns(50, 14, 14));
    assert_eq!(verdict.window("level-1").iterations, 10);
    assert_eq!(verdict.window("level-0").iterations, 10);
    assert_eq!(verdict.window("run").iterations, 14);
}

#[test]
fn a_window_that_never_closed_is_measured_to_the_end() {
    let real = dialog().cut(1000).turns(5000, 1000, 0);
    let verdict = judge(&dialog(), real.killed(1000)).says("stall+busy-loop");
    assert!(verdict.window("level-0").busy);
}

#[test]
fn a_drained_loop_may_iterate_at_its_own_pace() {
    // `while !closed { while pending() { iteration(FALSE) } sleep(5 ms) }`, for 300 ms.
    let window = || tape().level(0, 100, 400);
    let by = |how, iterations| {
        judge_program(&program(&[how]), &window(), window().turns(200, iterations, iterations))
    };
    let paced = 300 / 5 + ITERATIONS_FREE;
    by(How::Drain, paced).says("progress");
    by(How::Drain, paced + 1).says("busy-loop").because(&[Finding::Tick]);
    by(How::Run, paced).says("busy-loop");
    by(How::Iteration, paced).says("busy-loop");
}

#[test]
fn a_drained_loop_inside_another_does_not_make_the_other_busy() {
    let window = || tape().level(0, 100, 1000).level(1, 200, 500);
    let real = window().turns(300, 300 / 5, 300 / 5);
    judge_program(&program(&[How::Run, How::Drain]), &window(), real.clone()).says("progress");
    judge_program(&program(&[How::Run, How::Run]), &window(), real).says("busy-loop");
}

#[test]
fn only_the_time_that_a_window_shares_with_a_drained_loop_counts() {
    // 100 ms of quiet inside a drained dialog of 300 ms.
    let ideal = tape().level(0, 100, 400).quiet(200, 300);
    let paced = 100 / 5 + ITERATIONS_FREE;
    let real = |iterations| ideal.clone().turns(250, iterations, iterations);
    let program = program(&[How::Drain]);
    judge_program(&program, &ideal, real(paced)).says("progress");
    judge_program(&program, &ideal, real(paced + 1)).says("busy-loop");
}

#[test]
fn stall_and_busy_loop_are_reported_together() {
    // The first observation: 0 ticks in the dialog, and a million iterations.
    let real = dialog().late(Kind::Timer, 150..=900, 1001).turns(500, 1_200_000, 0);
    judge(&dialog(), real).says("stall+busy-loop");
}

#[test]
fn a_quiet_window_inside_a_dialog_is_judged_by_itself() {
    // Inside the dialog as a whole, the events before the quiet window would justify it.
    let ideal = dialog().every(1, 101..=199, Kind::Io).quiet(910, 990);
    let verdict = judge(&ideal, ideal.clone().turns(950, 200, 200)).says("busy-loop");
    assert!(verdict.window("quiet").busy);
    assert!(!verdict.window("level-0").busy);
}

#[test]
fn a_missing_quiet_window_is_inconclusive() {
    let ideal = tape().quiet(100, 400).reached(500, Kind::Timer);
    judge(&ideal, ideal.clone().without(What::QuietEnd))
        .says("inconclusive")
        .message("a window of the program is missing from the trace");
}
