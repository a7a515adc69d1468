//! The figures beside the words.

use std::time::Duration;

use loopnest_core::classify;
use loopnest_core::classify::{
    CHANCE, FLOOD_SHARE, ITERATIONS_FREE, ITERATIONS_PER_EVENT, MARGIN, OVERTAKEN, RULES_VERSION,
    TICKS_PERCENT,
};
use loopnest_core::measure::{DRAIN_PAUSE, MAX_POKES, OVERDUE_TICKS, POKE_EFFECT, TICK};
use loopnest_core::program::How;
use loopnest_core::trace::Kind;

use super::tape::{dialog, judge, program, tape};

#[test]
fn figures_count_due_starved_and_lost_by_side() {
    let real = dialog().late(Kind::Timer, 150..=900, 1001).never(Kind::Timeout, 900..=900);
    let figures = judge(&dialog(), real).0.figures;
    assert_eq!((figures.async_due, figures.async_starved, figures.async_lost), (16, 16, 0));
    assert_eq!((figures.glib_due, figures.glib_starved, figures.glib_lost), (16, 1, 1));
}

#[test]
fn the_longest_gap_of_a_frozen_dialog_is_the_whole_dialog() {
    let gap = |real| judge(&dialog(), real).0.figures.longest_gap_ms;
    assert_eq!(gap(dialog()), 100, "from the last tick to the close");
    assert_eq!(gap(dialog().late(Kind::Timer, 150..=900, 1001)), 900);
    assert_eq!(gap(dialog().never(Kind::Timer, 150..=900).cut(1000).killed(0)), 800);
}

#[test]
fn the_worst_window_gives_the_iterations() {
    let ideal = dialog().quiet(1010, 1090);
    let figures = judge(&ideal, ideal.clone().turns(1050, 500, 0)).0.figures;
    assert_eq!((figures.iterations, figures.justified), (500, 0));
}

#[test]
fn lateness_is_the_median_and_earliness_the_greatest() {
    let ideal = tape().every(10, 10..=50, Kind::Timer);
    let real = [10, 19, 33, 44, 57];
    let real = real.into_iter().fold(tape(), |tape, ms| tape.reached(ms, Kind::Timer));
    let figures = judge(&ideal, real).0.figures;
    assert_eq!((figures.timer_late_us, figures.timer_early_us), (3000, 1000));
}

#[test]
fn the_limits_are_those_of_their_version() {
    // If you change one, change the version and METHODOLOGY.md too.
    assert_eq!(RULES_VERSION, 2);
    assert_eq!((ITERATIONS_FREE, ITERATIONS_PER_EVENT, TICKS_PERCENT), (16, 8, 25));
    assert_eq!((FLOOD_SHARE, OVERDUE_TICKS, MAX_POKES), (8, 25, 3));
    let times = [MARGIN, CHANCE, OVERTAKEN, TICK, POKE_EFFECT, DRAIN_PAUSE];
    assert_eq!(times.map(|limit| limit.as_millis()), [100, 50, 200, 10, 30, 5]);
}

#[test]
fn words_are_written_worst_first() {
    let real = dialog().late(Kind::Timer, 150..=900, 1001).turns(500, 1000, 0).dies("");
    judge(&dialog(), real).says("abort+stall+busy-loop");
}

#[test]
fn the_share_of_the_processor_is_that_of_the_worst_window() {
    let (ideal, mut real) = (dialog().trace(), dialog().turns(500, 1000, 0).trace());
    for event in &mut real.events {
        event.meter.cpu = event.at / 2;
    }
    real.meter.cpu = Duration::from_millis(550);
    let figures = classify(&program(&[How::Run]), &ideal, &real).figures;
    assert!((figures.cpu_ratio - 0.5).abs() < 0.001, "{}", figures.cpu_ratio);
}
