//! Verdicts about the end of a run: refused, wrong-level, livelock, deadlock, abort, inconclusive.

use loopnest_core::program::{ActorKind, How, Side, Step};
use loopnest_core::trace::{End, Kind, Meter, What};
use loopnest_core::verdict::Finding;

use super::tape::{Tape, dialog, judge, judge_program, program, program_of, tape};

/// The dialog of [`dialog`] is refused, and the rest continues.
fn refused() -> Tape {
    dialog()
        .without(What::Close(0))
        .refuses(100, 0, "handoff refuses to open it: why")
        .at(100, What::Close(0))
}

#[test]
fn a_refusal_is_neither_a_stall_nor_a_wrong_level() {
    judge(&dialog(), refused()).says("refused").message("handoff refuses to open it: why");
}

#[test]
fn what_is_missing_after_a_refusal_is_not_lost() {
    judge(&dialog(), refused().never(Kind::Timer, 600..=900)).says("refused");
}

#[test]
fn a_refusal_does_not_excuse_another_dialog() {
    let ideal = dialog().level(1, 1200, 2000).every(50, 1250..=1900, Kind::Timer);
    let real = refused().level(1, 1200, 2000).every(50, 1250..=1900, Kind::Timer);
    judge(&ideal, real.clone()).says("refused");
    judge(&ideal, real.late(Kind::Timer, 1250..=1900, 2001)).says("stall+refused");
}

/// Two dialogs; the outer one is quit inside the inner one.
fn quit_outer_inside() -> Tape {
    tape()
        .at(100, What::Open(0))
        .at(200, What::Open(1))
        .at(400, What::Quit(0))
        .at(900, What::Quit(1))
        .at(900, What::Close(1))
        .at(900, What::Close(0))
}

#[test]
fn an_outer_loop_may_end_when_its_inner_one_has() {
    judge(&quit_outer_inside(), quit_outer_inside()).says("progress");
}

#[test]
fn a_loop_that_ends_before_its_own_quit_is_at_the_wrong_level() {
    let real = quit_outer_inside().without(What::Close(1)).at(401, What::Close(1));
    judge(&quit_outer_inside(), real).says("wrong-level");
}

#[test]
fn a_loop_that_ends_without_a_quit_is_at_the_wrong_level() {
    let real = quit_outer_inside().without(What::Quit(1));
    judge(&quit_outer_inside(), real).says("wrong-level");
}

#[test]
fn a_wait_that_nobody_quits_may_end_by_itself() {
    let wait = Step::BlockOn { level: "wait".to_owned(), steps: vec![] };
    let program = program_of(ActorKind::Task, vec![wait]);
    let run = tape().at(100, What::Open(0)).at(300, What::Close(0));
    judge_program(&program, &run, run.clone()).says("progress");
}

/// The dialog was quit at 1000 and does not close.
fn never_closes() -> Tape {
    dialog().without(What::Close(0)).without(What::Done)
}

#[test]
fn a_loop_that_iterates_after_its_quit_is_a_livelock() {
    let real = never_closes().turns(2000, 100_000, 0).killed(50_000);
    judge(&dialog(), real).says("livelock").because(&[Finding::Spin]);
}

#[test]
fn a_loop_that_iterates_without_a_quit_is_a_stall_and_a_busy_loop() {
    let real = never_closes().without(What::Quit(0)).turns(2000, 100_000, 0).killed(50_000);
    judge(&dialog(), real).says("stall+busy-loop");
}

#[test]
fn a_loop_that_sleeps_after_its_quit_is_a_stall() {
    judge(&dialog(), never_closes().killed(16)).says("stall");
    judge(&dialog(), never_closes().killed(17)).says("livelock");
}

#[test]
fn a_livelock_needs_a_quit_of_the_innermost_loop() {
    // The outer one waits for the inner one, which was not quit.
    let real = quit_outer_inside().cut(900).turns(2000, 100_000, 0).killed(50_000);
    judge(&quit_outer_inside(), real).says("stall+busy-loop");
}

#[test]
fn iterating_after_everything_is_done_is_a_livelock() {
    judge(&dialog(), dialog().killed(50_000)).says("livelock");
    judge(&dialog(), dialog().killed(16)).says("stall");
}

#[test]
fn a_drained_loop_at_its_own_pace_is_not_busy() {
    let last = Meter { iterations: 100, ticks: 50, ..Meter::default() };
    let real = never_closes().without(What::Quit(0)).ends(End::Deadline { last, in_lock: false });
    judge_program(&program(&[How::Drain]), &dialog(), real.clone()).says("stall");
    judge_program(&program(&[How::Run]), &dialog(), real).says("stall+busy-loop");
}

#[test]
fn asleep_for_ever_in_a_lock_is_a_deadlock() {
    let real = |in_lock, iterations, useful| {
        let last = Meter { iterations, useful, ..Meter::default() };
        dialog().cut(300).ends(End::Deadline { last, in_lock })
    };
    judge(&dialog(), real(true, 0, 0)).says("deadlock").because(&[]);
    judge(&dialog(), real(true, 1, 0)).says("stall");
    judge(&dialog(), real(true, 0, 1)).says("stall");
    judge(&dialog(), real(false, 0, 0))
        .says("stall")
        .because(&[Finding::Frozen(Side::Async), Finding::Frozen(Side::Glib)]);
}

#[test]
fn what_went_on_before_a_deadlock_is_no_split() {
    let ideal = dialog().every(50, 160..=890, Kind::Io);
    let last = Meter::default();
    let real = ideal.clone().never(Kind::Timer, 150..=900).cut(895);
    judge(&ideal, real.ends(End::Deadline { last, in_lock: true })).says("deadlock");
}

#[test]
fn a_program_that_does_not_end_even_ideally_proves_nothing() {
    let ideal = dialog().without(What::Done).killed(0);
    judge(&ideal, ideal.clone())
        .says("inconclusive")
        .message("the program does not end, not even in the ideal run");
    let real = ideal.clone().late(Kind::Timer, 150..=900, 1001);
    judge(&ideal, real).says("stall");
}

#[test]
fn a_process_that_died_is_an_abort_with_its_last_words() {
    judge(&dialog(), dialog().cut(300).dies("EnterError")).says("abort").message("EnterError");
}

#[test]
fn what_a_dead_process_did_not_deliver_is_not_lost() {
    judge(&dialog(), dialog().cut(300).dies("")).says("abort").because(&[]).tally(
        Kind::Timer,
        0,
        0,
        0,
    );
}

#[test]
fn a_window_that_closed_before_the_death_is_judged() {
    let real = dialog().late(Kind::Timer, 150..=900, 1001).dies("");
    judge(&dialog(), real).says("abort+stall");
}

#[test]
fn an_abort_after_a_busy_window_is_both() {
    let ideal = dialog().quiet(20, 90);
    judge(&ideal, ideal.clone().turns(50, 1000, 0).cut(300).dies("")).says("abort+busy-loop");
}

#[test]
fn a_panic_that_was_caught_is_noted_and_harms_nothing() {
    let ideal = dialog().at(200, What::Panicked);
    judge(&ideal, ideal.clone()).says("progress").because(&[Finding::PanicCaught]);
    judge(&ideal, ideal.clone().cut(300).dies("")).says("abort").because(&[]);
}

fn unknown(reason: &str) -> End {
    End::Unknown { reason: reason.to_owned() }
}

#[test]
fn a_measurement_that_failed_is_inconclusive() {
    let real = dialog().cut(300).ends(unknown("no descriptors left"));
    judge(&dialog(), real).says("inconclusive").message("no descriptors left");
}

#[test]
fn a_failed_measurement_does_not_hide_what_was_proven_before() {
    let real = dialog().late(Kind::Timer, 150..=900, 1001).ends(unknown("the wall cap was hit"));
    judge(&dialog(), real).says("inconclusive+stall").message("the wall cap was hit");
}

const KEPT: &str = "whether this is stall cannot be told: what came late could not run in time, \
                    because other work kept the processors busy or the machine stood still";

#[test]
fn a_machine_that_stood_still_proves_no_stall() {
    let late = || dialog().late(Kind::Timer, 150..=900, 1001);
    // 90 ticks are nominal for the dialog of 900 ms; a quarter of them is 22.5.
    judge(&dialog(), late().stood_still(230..=909)).says("inconclusive").message(KEPT);
    judge(&dialog(), late().stood_still(240..=909)).says("stall");
}

#[test]
fn a_machine_that_stood_still_does_not_disprove_progress() {
    judge(&dialog(), dialog().stood_still(110..=990)).says("progress");
}

#[test]
fn a_machine_that_stood_still_does_not_hide_what_was_proven() {
    let real = dialog().late(Kind::Timer, 150..=900, 1001).stood_still(110..=990);
    // Whatever the clock says, a loop that iterates for nothing could have done what was due.
    judge(&dialog(), real.clone().turns(500, 1000, 0)).says("stall+busy-loop");
    // A refusal does not change that either.
    let ideal = dialog().level(1, 1200, 1300);
    judge(&ideal, real.at(1200, What::Open(1)).refuses(1200, 1, "no").at(1200, What::Close(1)))
        .says("inconclusive+refused");
}

#[test]
fn a_missing_dialog_is_inconclusive() {
    let ideal = tape().level(0, 100, 300).reached(400, Kind::Timer);
    judge(&ideal, tape().reached(400, Kind::Timer))
        .says("inconclusive")
        .message("a window of the program is missing from the trace");
}
