//! What is said of time in which the subject could not run, computed, or slept.

use loopnest_core::program::{ActorKind, How, Step};
use loopnest_core::trace::{FIRED, Key, Kind, What};
use loopnest_core::verdict::{Fate, Finding, Unjudged};

use super::tape::{Tape, dialog, judge, judge_program, key, program, program_of, tape};

/// Both sides tick in a dialog, and nothing async comes before it has closed.
fn late() -> Tape {
    dialog().late(Kind::Timer, 150..=900, 1001)
}

#[test]
fn what_could_not_run_in_time_is_not_called_a_stall() {
    let verdict = judge(&dialog(), late().kept(110..=999)).says("inconclusive");
    let unsure = Fate::NotJudged(Unjudged::CouldNotRun);
    assert_eq!(verdict.0.deliveries.iter().filter(|d| d.fate == unsure).count(), 16);
    // With half of the margin left, each could have run; those due at the end could not.
    judge(&dialog(), late().kept(110..=500)).says("stall");
}

#[test]
fn what_could_not_run_changes_nothing_where_the_rest_decides() {
    // 9 of 16 were late without an excuse.
    let real = late().kept(610..=999);
    judge(&dialog(), real).says("stall");
    // 9 of 16 came in time.
    let real = dialog().late(Kind::Timer, 600..=900, 1001).kept(560..=999);
    judge(&dialog(), real).says("progress");
}

#[test]
fn a_wait_that_the_kernel_counts_only_when_it_is_over_is_an_excuse_too() {
    let mut real = tape().level(0, 100, 1000).every(50, 150..=900, Kind::Timer);
    real = real.late(Kind::Timer, 150..=900, 1010);
    // The thread that owed the events waited until 1010; until then nothing was counted.
    judge(&dialog(), real.clone().every(50, 150..=900, Kind::Timeout)).says("stall");
    let waited = real.every(50, 150..=900, Kind::Timeout).kept_at(1005, 900);
    judge(&dialog(), waited).says("inconclusive");
}

#[test]
fn a_loop_that_iterates_for_nothing_has_no_excuse() {
    let real = late().kept(110..=999).turns(500, 1000, 0);
    judge(&dialog(), real).says("stall+busy-loop");
}

#[test]
fn a_loop_that_got_little_time_may_be_busier_than_it_looks() {
    // 32 things done justify 272 iterations; 64 were made for them.
    let real = |iterations| dialog().turns(500, iterations, iterations);
    judge(&dialog(), real(100)).says("progress");
    judge(&dialog(), real(100).kept(101..=800)).says("inconclusive");
    judge(&dialog(), dialog().kept(101..=999)).says("progress");
}

#[test]
fn where_nothing_nests_what_could_not_run_was_not_overtaken() {
    let ideal = tape().reached(100, Kind::Timer).every(50, 150..=900, Kind::Timeout);
    let real = ideal.clone().late(Kind::Timer, 100..=100, 950);
    judge(&ideal, real.clone()).says("stall");
    judge(&ideal, real.kept(101..=940)).says("inconclusive");
}

#[test]
fn glib_needs_no_time_for_what_its_own_clock_makes_ready_but_iterations() {
    let fired = What::Reached(Key { step: FIRED, ..key(Kind::Idle, 0) });
    let ideal = tape().level(0, 100, 1000).at(300, fired);
    let real = |iterations| {
        let real = tape().level(0, 100, 1000).at(1001, fired).reached(500, Kind::Timer);
        real.turns(400, iterations, 0).kept(110..=999)
    };
    let fate = |iterations| judge(&ideal, real(iterations)).0.deliveries[0].fate;
    assert_eq!(fate(14), Fate::NotJudged(Unjudged::CouldNotRun));
    assert_eq!(fate(15), Fate::Late);
}

#[test]
fn only_what_slept_is_cured_by_a_poke() {
    let ideal = tape().reached(100, Kind::Wake);
    let real = || tape().poke(350, 410).reached(360, Kind::Wake);
    judge(&ideal, real()).says("stall").because(&[Finding::LostWakeUp]);
    // It computed, or ran at that moment.
    judge(&ideal, real().computes(150..=349)).says("progress");
    judge(&ideal, real().at(349, What::Awake)).says("progress");
    // It could not run.
    let verdict = judge(&ideal, real().kept(150..=349)).says("inconclusive");
    assert_eq!(verdict.0.deliveries[0].fate, Fate::NotJudged(Unjudged::CouldNotRun));
}

#[test]
fn what_iterates_for_nothing_until_a_poke_was_not_on_its_way() {
    let ideal = tape().reached(100, Kind::Wake);
    let real = tape().poke(350, 410).reached(360, Kind::Wake).at(349, What::Awake);
    judge(&ideal, real.turns(300, 1000, 0))
        .says("stall+busy-loop")
        .because(&[Finding::LostWakeUp, Finding::Spin]);
}

/// A loop that is told to end at 300 ms, beside a task that is busy until 1500 ms.
fn held(closes: u64) -> Tape {
    tape().at(50, What::Open(0)).at(300, What::Quit(0)).at(closes, What::Close(0)).every(
        100,
        400..=1500,
        Kind::Timer,
    )
}

#[test]
fn a_loop_that_ends_only_when_other_work_has_ended_is_held_open() {
    judge(&held(300), held(300)).says("progress");
    judge(&held(300), held(1550)).says("held-open");
    // What was due up to 200 ms later may come before it by chance.
    judge(&held(300), held(450)).says("progress");
    judge(&held(300), held(1550).kept(301..=1549)).says("inconclusive");
    // It was told between its iterations, and had many of them.
    let offered = held(1550).kept(301..=1549).turns(310, 40, 0);
    assert!(judge(&held(300), offered).has(loopnest_core::Word::HeldOpen));
}

#[test]
fn a_program_that_keeps_a_source_ready_cannot_be_drained() {
    let drained = program(&[How::Drain]);
    judge_program(&drained, &held(300), held(1550)).says("held-open");
    let mut flooded = program_of(ActorKind::Flood { for_ms: 1500, priority: 200 }, Vec::new());
    let opener = drained.actors.into_iter().map(|actor| {
        let steps: Vec<Step> = actor.steps;
        loopnest_core::program::Actor { name: "opener".to_owned(), steps, ..actor }
    });
    flooded.actors.extend(opener);
    judge_program(&flooded, &held(300), held(1550)).says("progress");
}

#[test]
fn what_was_read_before_something_was_due_says_nothing_about_it() {
    // The loop computes for 400 ms, sleeps, and loses a wake-up: computing before it is no excuse.
    let ideal = tape().reached(100, Kind::Timeout).reached(550, Kind::Wake);
    let real = tape().reached(100, Kind::Timeout).computes(101..=500).at(545, What::Look);
    let real = real.poke(810, 870).reached(820, Kind::Wake);
    judge(&ideal, real).says("stall").because(&[Finding::LostWakeUp]);
    // A loop is drained, and then computes: its iterations before are not for nothing.
    let ideal = tape().at(100, What::Open(0)).reached(600, Kind::Timer).level(1, 1200, 1300);
    let drained = program(&[How::Drain, How::Run]);
    let real = tape().at(100, What::Open(0)).turns(590, 98, 98).at(595, What::Look);
    let real = real.computes(600..=890).at(854, What::Awake).poke(855, 915);
    let real = real.reached(890, Kind::Timer).level(1, 1200, 1300);
    assert!(!judge_program(&drained, &ideal, real).has(loopnest_core::Word::Stall));
}

#[test]
fn what_came_early_overtakes_nothing() {
    // On another thread, events come before they are due in the ideal run, which has one thread.
    let ideal = tape().at(50, What::Open(0)).at(1290, What::Quit(0)).at(1290, What::Close(0));
    let ideal = ideal.every(100, 1390..=2090, Kind::Timer);
    let real = tape().at(50, What::Open(0)).at(300, What::Quit(0)).at(1290, What::Close(0));
    let real = real.every(100, 400..=1100, Kind::Timer).computes(301..=1289);
    judge(&ideal, real).says("progress");
    // And a window that opened in time is in doubt for nothing that came before it.
    let ideal = tape().level(0, 300, 600).reached(450, Kind::Timer);
    judge(&ideal, tape().reached(150, Kind::Timer).level(0, 300, 600)).says("progress");
}
