//! Progress, stalls and their causes, split, lost: when events were due, and when they came.

use loopnest_core::program::{ActorKind, How, Side, Step};
use loopnest_core::trace::{CANCELLED, FIRED, Key, Kind, What};
use loopnest_core::verdict::Finding;

use super::tape::{Tape, dialog, judge, judge_program, key, program_of, tape};

#[test]
fn what_comes_inside_its_window_is_progress() {
    judge(&dialog(), dialog()).says("progress").because(&[]);
}

#[test]
fn what_comes_late_but_before_the_window_closes_is_progress() {
    let real = dialog().late(Kind::Timer, 150..=900, 999);
    judge(&dialog(), real).says("progress");
}

#[test]
fn what_came_before_its_window_opened_says_nothing_about_the_window() {
    let ideal = tape().level(0, 100, 1000).reached(150, Kind::Io);
    let real = tape().level(0, 200, 1100).reached(150, Kind::Io);
    judge(&ideal, real.clone()).says("inconclusive").tally(Kind::Io, 0, 0, 0);
    // Others of its kind do.
    let more = |tape: Tape| tape.reached(500, Kind::Io);
    judge(&more(ideal), more(real)).says("progress").tally(Kind::Io, 1, 0, 0);
}

#[test]
fn a_side_that_delivers_nothing_inside_a_dialog_is_frozen() {
    let real = dialog().late(Kind::Timer, 150..=900, 1001);
    judge(&dialog(), real)
        .says("stall")
        .because(&[Finding::Frozen(Side::Async), Finding::Deferred(Side::Async)]);
}

#[test]
fn both_sides_are_judged() {
    let real = dialog().late(Kind::Timeout, 150..=900, 1001);
    judge(&dialog(), real)
        .says("stall")
        .because(&[Finding::Frozen(Side::Glib), Finding::Deferred(Side::Glib)]);
}

#[test]
fn what_does_not_come_before_the_deadline_is_not_deferred() {
    let real = dialog().never(Kind::Timer, 150..=900).cut(1000).killed(0);
    judge(&dialog(), real).says("stall").because(&[Finding::Frozen(Side::Async)]);
}

#[test]
fn half_of_the_ticks_late_is_progress() {
    let real = dialog().late(Kind::Timer, 550..=900, 1001);
    judge(&dialog(), real).says("progress").tally(Kind::Timer, 16, 8, 0);
}

#[test]
fn one_more_than_half_of_the_ticks_late_is_a_stall() {
    let real = dialog().late(Kind::Timer, 500..=900, 1001);
    judge(&dialog(), real).says("stall").tally(Kind::Timer, 16, 9, 0);
}

/// One event, due this many milliseconds before its window closes, comes after the close.
fn due_before_the_close(ms: u64) -> (Tape, Tape) {
    let ideal = tape().level(0, 100, 1000).reached(1000 - ms, Kind::Timer);
    let real = tape().level(0, 100, 1000).reached(1001, Kind::Timer);
    (ideal, real)
}

#[test]
fn what_is_due_99_ms_before_the_close_is_not_judged() {
    let (ideal, real) = due_before_the_close(99);
    judge(&ideal, real).says("progress").tally(Kind::Timer, 0, 0, 0);
}

#[test]
fn what_is_due_100_ms_before_the_close_is_judged() {
    let (ideal, real) = due_before_the_close(100);
    judge(&ideal, real).says("stall").tally(Kind::Timer, 1, 1, 0);
}

#[test]
fn what_is_due_at_the_moment_of_opening_is_due_inside() {
    // A callback sends a message and opens a dialog at the same moment.
    let ideal = tape().level(0, 100, 1000).reached(100, Kind::Wake);
    let real = tape().level(0, 100, 1000).reached(1001, Kind::Wake);
    judge(&ideal, real).says("stall").tally(Kind::Wake, 1, 1, 0);
}

#[test]
fn what_was_delivered_at_the_moment_of_opening_but_before_it_is_due_outside() {
    let ideal = tape().reached(100, Kind::Wake).level(0, 100, 1000);
    let real = tape().level(0, 100, 1000).reached(1001, Kind::Wake);
    judge(&ideal, real).says("progress").tally(Kind::Wake, 0, 0, 0);
}

#[test]
fn what_was_due_just_before_a_dialog_and_was_held_by_it_stalls_with_the_rest_of_its_side() {
    let ideal = dialog().reached(95, Kind::Timer).every(50, 150..=900, Kind::Wake);
    let ideal = ideal.reached(50, Kind::Wake);
    // The dialog opened before the event that was due 5 ms earlier; the other kind was in time then.
    let real = ideal.clone().late(Kind::Timer, 95..=900, 1001).late(Kind::Wake, 150..=900, 1001);
    judge(&ideal, real)
        .says("stall")
        .because(&[Finding::Frozen(Side::Async), Finding::Deferred(Side::Async)]);
}

#[test]
fn ticks_outside_the_dialog_do_not_excuse_those_inside() {
    let ideal = dialog().every(10, 1010..=3000, Kind::Timer);
    let real = ideal.clone().late(Kind::Timer, 150..=900, 1001);
    judge(&ideal, real).says("stall").tally(Kind::Timer, 16, 16, 0);
}

#[test]
fn a_good_dialog_does_not_excuse_a_frozen_one() {
    let ideal = tape()
        .level(0, 100, 1000)
        .every(10, 110..=900, Kind::Timer)
        .level(1, 1100, 1500)
        .every(10, 1110..=1400, Kind::Timer);
    let real = ideal.clone().late(Kind::Timer, 1110..=1400, 1501);
    judge(&ideal, real).says("stall").tally(Kind::Timer, 110, 30, 0);
}

#[test]
fn what_is_due_in_an_inner_dialog_must_not_wait_for_the_outer_one() {
    let ideal = tape().level(0, 100, 1000).level(1, 200, 600).reached(300, Kind::Timer);
    judge(&ideal, ideal.clone().late(Kind::Timer, 300..=300, 601)).says("stall");
    judge(&ideal, ideal.clone().late(Kind::Timer, 300..=300, 599)).says("progress");
}

#[test]
fn what_is_due_just_before_the_inner_dialog_closes_is_due_in_the_outer_one() {
    let ideal = tape().level(0, 100, 1000).level(1, 200, 600).reached(550, Kind::Timer);
    judge(&ideal, ideal.clone().late(Kind::Timer, 550..=550, 601)).says("progress");
    judge(&ideal, ideal.clone().late(Kind::Timer, 550..=550, 1001)).says("stall");
}

#[test]
fn of_two_dialogs_opened_at_once_the_one_opened_last_is_the_inner_one() {
    // Level 0 comes first in the program, but was opened inside level 1.
    let ideal = tape()
        .at(100, What::Open(1))
        .level(0, 100, 600)
        .at(1000, What::Close(1))
        .reached(300, Kind::Timer);
    judge(&ideal, ideal.clone().late(Kind::Timer, 300..=300, 601)).says("stall");
}

#[test]
fn of_two_dialogs_that_close_at_once_the_one_opened_last_is_the_inner_one() {
    let ideal = tape()
        .at(100, What::Open(0))
        .at(200, What::Open(1))
        .reached(300, Kind::Timer)
        .at(1000, What::Close(1))
        .at(1000, What::Close(0));
    let real = tape()
        .at(100, What::Open(0))
        .at(200, What::Open(1))
        .at(1000, What::Close(1))
        .reached(1001, Kind::Timer)
        .at(1002, What::Close(0));
    judge(&ideal, real).says("stall");
}

#[test]
fn what_is_due_just_before_a_close_is_not_judged_by_what_comes_afterwards() {
    let ideal = tape().level(0, 100, 1000).reached(950, Kind::Timer).reached(1200, Kind::Timeout);
    let real = ideal.clone().late(Kind::Timer, 950..=950, 1201);
    judge(&ideal, real).says("progress");
}

#[test]
fn some_kinds_stalled_while_others_went_on_is_split() {
    // In one earlier strategy, I/O kept working while timers froze.
    let ideal = dialog().every(50, 160..=900, Kind::Io);
    let real = ideal.clone().late(Kind::Timer, 150..=900, 1001);
    judge(&ideal, real)
        .says("stall+split")
        .because(&[Finding::Starved(Side::Async), Finding::Deferred(Side::Async)]);
}

#[test]
fn a_kind_that_lost_a_single_event_did_not_simply_go_on() {
    let ideal = dialog().every(50, 160..=900, Kind::Io);
    let real = ideal.clone().late(Kind::Timer, 150..=900, 1001).late(Kind::Io, 860..=860, 1001);
    judge(&ideal, real)
        .says("stall")
        .because(&[Finding::Starved(Side::Async), Finding::Deferred(Side::Async)]);
}

#[test]
fn the_reason_for_a_stall_is_that_of_the_kinds_that_stalled() {
    // A single byte came late, but that is not why the timers never came.
    let ideal = dialog().every(50, 160..=900, Kind::Io);
    let real = ideal.clone().never(Kind::Timer, 150..=900).late(Kind::Io, 860..=860, 1001);
    judge(&ideal, real).says("lost").because(&[Finding::Starved(Side::Async)]);
}

#[test]
fn a_kind_that_was_due_only_before_the_trouble_did_not_go_on() {
    let ideal = dialog().reached(140, Kind::Io);
    let real = ideal.clone().late(Kind::Timer, 150..=900, 1001);
    judge(&ideal, real).says("stall");
}

#[test]
fn the_other_side_going_on_is_not_split() {
    let real = dialog().late(Kind::Timer, 150..=900, 1001);
    assert!(!judge(&dialog(), real).has(loopnest_core::Word::Split));
}

#[test]
fn what_comes_when_it_is_poked_was_a_lost_wake_up() {
    let ideal = tape().level(0, 100, 1000).reached(300, Kind::Wake);
    let real = tape().level(0, 100, 1000).poke(600, 660).reached(610, Kind::Wake);
    judge(&ideal, real).says("stall").because(&[Finding::LostWakeUp]);
}

#[test]
fn a_poke_that_does_not_cure_leaves_a_frozen_side() {
    let ideal = tape().level(0, 100, 1000).reached(300, Kind::Wake);
    let real = tape().level(0, 100, 1000).poke(600, 660).reached(1001, Kind::Wake);
    judge(&ideal, real)
        .says("stall")
        .because(&[Finding::Frozen(Side::Async), Finding::Deferred(Side::Async)]);
}

#[test]
fn what_comes_during_a_poke_that_was_meant_for_something_else_was_not_cured() {
    // Overdue by 99 ms when the poke came: it may have been on its way.
    let real = |poke| tape().level(0, 100, 1000).poke(poke, poke + 60).reached(420, Kind::Wake);
    let ideal = tape().level(0, 100, 1000).reached(300, Kind::Wake);
    judge(&ideal, real(399)).says("progress");
    judge(&ideal, real(400)).says("stall").because(&[Finding::LostWakeUp]);
}

#[test]
fn what_comes_between_poke_and_close_was_cured_what_comes_after_was_not() {
    let ideal = tape().level(0, 100, 1000).reached(300, Kind::Wake);
    let real = |at| tape().at(980, What::PokeBegin(0)).level(0, 100, 1000).reached(at, Kind::Wake);
    judge(&ideal, real(990)).says("stall").because(&[Finding::LostWakeUp]);
    judge(&ideal, real(1001))
        .says("stall")
        .because(&[Finding::Frozen(Side::Async), Finding::Deferred(Side::Async)]);
}

#[test]
fn a_single_lost_wake_up_among_many_events_is_a_stall() {
    // Without the poke the program would hang, so a majority of good events does not excuse it.
    let ideal = dialog().every(50, 160..=890, Kind::Wake);
    let real = ideal.clone().late(Kind::Wake, 410..=660, 670).late(Kind::Timer, 410..=660, 670);
    judge(&ideal, real.poke(665, 725)).says("stall").because(&[Finding::LostWakeUp]);
}

#[test]
fn what_a_side_that_is_alive_delivers_late_was_not_cured_by_a_poke() {
    // On a busy machine many events are late, and some come during a poke that was for others.
    let ideal = dialog().every(50, 160..=890, Kind::Wake);
    let real = ideal.clone().late(Kind::Wake, 410..=410, 670).poke(665, 725);
    judge(&ideal, real).says("progress");
}

#[test]
fn a_wake_up_lost_where_nothing_nests_is_a_stall() {
    let ideal = tape().reached(100, Kind::Wake);
    judge(&ideal, tape().poke(350, 410).reached(360, Kind::Wake))
        .says("stall")
        .because(&[Finding::LostWakeUp]);
    // Without a window, what comes by itself comes in time.
    judge(&ideal, tape().poke(350, 410).reached(420, Kind::Wake)).says("progress");
}

#[test]
fn what_never_comes_though_the_program_ended_is_lost() {
    let real = dialog().never(Kind::Timer, 600..=900);
    judge(&dialog(), real).says("lost").tally(Kind::Timer, 16, 7, 7);
}

#[test]
fn what_never_comes_though_every_window_closed_is_lost() {
    // Tasks that are never scheduled again keep the program from ending.
    let ideal = dialog().every(50, 1010..=1100, Kind::Timer);
    let real = ideal.clone().never(Kind::Timer, 150..=1100).without(What::Done);
    judge(&ideal, real.killed(0)).says("lost");
}

#[test]
fn what_never_comes_while_a_window_is_open_is_a_stall() {
    let real = dialog().never(Kind::Timer, 150..=900).without(What::Close(0));
    judge(&dialog(), real.without(What::Done).killed(0)).says("stall");
}

#[test]
fn what_never_comes_while_another_window_is_open_is_a_stall() {
    let ideal = dialog().level(1, 1200, 1500);
    let real = ideal.clone().never(Kind::Timer, 150..=900).cut(1500).without(What::Done);
    judge(&ideal, real.killed(0)).says("stall");
}

#[test]
fn what_never_comes_where_nothing_nests_is_a_stall() {
    let ideal = tape().every(10, 10..=100, Kind::Timer).at(100, What::Done);
    judge(&ideal, tape().killed(0)).says("stall").because(&[Finding::Frozen(Side::Async)]).tally(
        Kind::Timer,
        10,
        10,
        10,
    );
}

#[test]
fn lost_events_do_not_hide_deferred_ones() {
    let ideal = dialog().reached(1050, Kind::Wake);
    let real = ideal.clone().late(Kind::Timer, 150..=900, 1001).never(Kind::Wake, 1050..=1050);
    judge(&ideal, real).says("lost+stall");
}

#[test]
fn the_remaining_steps_of_a_cancelled_task_are_not_lost() {
    let cancelled = What::Reached(Key { step: CANCELLED, ..key(Kind::Task, 0) });
    let ideal = dialog().at(905, cancelled);
    let real = ideal.clone().never(Kind::Timer, 900..=900);
    judge(&ideal, real).says("progress");
}

#[test]
fn a_window_that_closed_before_its_time_delivers_what_was_due_later_elsewhere() {
    // The wrong level is the only fault: the ticks came when they were due.
    let real = dialog().without(What::Close(0)).at(400, What::Close(0));
    judge(&dialog(), real).says("wrong-level").tally(Kind::Timer, 6, 0, 0);
}

#[test]
fn what_is_due_just_before_a_close_that_came_too_early_is_not_judged() {
    let ideal = tape().level(0, 100, 1000).reached(400, Kind::Timer);
    let real = |close| tape().level(0, 100, close).reached(close, Kind::Timer);
    judge(&ideal, real(449)).says("progress").tally(Kind::Timer, 0, 0, 0);
    judge(&ideal, real(450)).says("stall").tally(Kind::Timer, 1, 1, 0);
}

#[test]
fn a_level_that_the_real_run_never_opened_is_not_judged() {
    let ideal = dialog();
    let real = ideal.clone().without(What::Open(0)).without(What::Close(0)).refuses(100, 0, "no");
    judge(&ideal, real).says("refused").tally(Kind::Timer, 0, 0, 0);
}

#[test]
fn what_is_due_in_a_flood_must_not_wait_for_its_end() {
    let flood = ActorKind::Flood { for_ms: 400, priority: 0 };
    let end = What::Reached(Key { step: FIRED, ..key(Kind::Idle, 0) });
    let ideal = tape().every(10, 10..=500, Kind::Timer).at(400, end);
    let program = program_of(flood, vec![]);
    judge_program(&program, &ideal, ideal.clone()).says("progress").tally(Kind::Timer, 30, 0, 0);

    let real = |times| ideal.clone().late(Kind::Timer, times, 401);
    judge_program(&program, &ideal, real(10..=260)).says("progress");
    judge_program(&program, &ideal, real(10..=270))
        .says("stall")
        .because(&[Finding::Frozen(Side::Async), Finding::Deferred(Side::Async)]);
}

#[test]
fn an_async_flood_is_a_window_too_and_begins_with_its_step() {
    let step = Step::Yield { for_ms: 400 };
    let program = program_of(ActorKind::Task, vec![step]);
    let ideal = tape().every(10, 10..=1100, Kind::Timeout).reached(1000, Kind::Task);
    let real = |times| ideal.clone().late(Kind::Timeout, times, 1001);
    // Ticks before 600 are due outside, so 31 count.
    judge_program(&program, &ideal, real(600..=860)).says("progress").tally(
        Kind::Timeout,
        31,
        27,
        0,
    );
    judge_program(&program, &ideal, real(600..=870)).says("stall").tally(Kind::Timeout, 31, 28, 0);
}

#[test]
fn without_nesting_an_event_overtaken_by_far_is_starved() {
    let ran = |later| {
        let ideal = tape().reached(100, Kind::Wake).reached(later, Kind::Timeout);
        let real = tape().reached(later, Kind::Timeout).reached(later + 1, Kind::Wake);
        judge(&ideal, real)
    };
    // A thread that did not get a processor for a while may come second.
    ran(299).says("progress");
    ran(300).says("stall").because(&[Finding::Frozen(Side::Async), Finding::Deferred(Side::Async)]);
}

#[test]
fn without_nesting_events_that_are_all_late_are_progress() {
    let ideal = tape().reached(100, Kind::Wake).reached(2000, Kind::Timeout);
    let real = tape().reached(1999, Kind::Wake).reached(2000, Kind::Timeout);
    judge(&ideal, real).says("progress");
}

#[test]
fn a_dialog_inside_a_flood_is_judged_by_itself() {
    let program = program_of(
        ActorKind::Flood { for_ms: 1000, priority: 0 },
        vec![Step::Dialog { level: "dialog".to_owned(), how: How::Run, close_after_ms: None }],
    );
    let end = What::Reached(Key { step: FIRED, ..key(Kind::Idle, 0) });
    let ideal = tape().level(0, 200, 600).reached(300, Kind::Timer).at(1000, end);
    let real = ideal.clone().late(Kind::Timer, 300..=300, 601);
    judge_program(&program, &ideal, real).says("stall");
}
