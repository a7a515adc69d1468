//! Generated runs, and the verdicts they get.

use loopnest_core::model::ideal;
use loopnest_core::{Word, classify};

use super::*;
use crate::facts::Beside;
use crate::kind::Origin;

/// When things happen in a generated run, in milliseconds.
const BEGAN: u64 = 1000;
const OPEN: u64 = 5130;
const CLOSE: u64 = 8130;
const END: u64 = 9000;

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn beside() -> Beside {
    Beside { began: at(BEGAN), has_echo: true, has_bus: true }
}

/// Everything that the activity does up to `END`, on time and sorted.
fn on_time() -> Vec<(u64, Fact)> {
    let mut facts = Vec::new();
    for n in 1..=(END - BEGAN) / 50 {
        facts.push((BEGAN + 50 * n, Fact::Tick(n)));
        if n.is_multiple_of(2) {
            facts.push((BEGAN + 50 * n, Fact::Clock(n / 2)));
        }
        if n.is_multiple_of(4) {
            let facts_of = [Fact::Sent(n / 4), Fact::Served(n / 4), Fact::Echoed(n / 4)];
            facts.extend(facts_of.map(|fact| (BEGAN + 50 * n, fact)));
        }
        if n.is_multiple_of(20) {
            let facts_of = [Fact::Called(n / 20), Fact::Answered(n / 20)];
            facts.extend(facts_of.map(|fact| (BEGAN + 50 * n, fact)));
        }
    }
    facts
}

/// The beats of these facts, with `iterations` for each.
fn beats(mut facts: Vec<(u64, Fact)>, iterations: u64) -> Vec<Beat> {
    // The log gives what came since the zero of the program.
    facts.retain(|(ms, _)| *ms >= 5000);
    facts.sort_by_key(|(ms, _)| *ms);
    let mut depth = 0;
    let beat = |(i, (ms, fact)): (usize, (u64, Fact))| {
        depth += u16::from(matches!(fact, Fact::Open(_)));
        let n = i as u64;
        let iterations = n * iterations;
        let meter = Meter { iterations, useful: n, ticks: ms / 10, ..Meter::default() };
        let beat = Beat { at: at(ms), depth, fact, meter };
        depth -= u16::from(matches!(fact, Fact::Close(_)));
        beat
    };
    facts.into_iter().enumerate().map(beat).collect()
}

/// An episode with one dialog, and the facts of its edges.
fn one(origin: Origin, closed: bool) -> (Episode, Vec<(u64, Fact)>) {
    let mut episode = Episode::begin(at(OPEN), Some(beside()));
    assert_eq!(episode.press(origin, "dialog", at(OPEN)), 0);
    episode.openers[0].opened = Some(at(OPEN));
    let mut edges = vec![(OPEN, Fact::Pressed(0)), (OPEN, Fact::Open(0))];
    if matches!(origin, Origin::Task | Origin::LibraryTask) {
        edges.insert(1, (OPEN, Fact::Woken(0)));
    }
    if closed {
        episode.openers[0].closed = Some(at(CLOSE));
        let ends = match origin {
            Origin::BlockOn(_) => Fact::Slept(0),
            _ => Fact::Quit(0),
        };
        edges.extend([(CLOSE, ends), (CLOSE, Fact::Close(0))]);
    }
    (episode, edges)
}

fn words(case: Case, live: bool) -> (Vec<Word>, usize) {
    assert_eq!(case.program.check(), Ok(()));
    let ideal = ideal(&case.program);
    assert_eq!(ideal.end, End::Finished);
    let owed = owed(&ideal, &case.real).len();
    let case = if live { case.as_if_closed_now(&ideal) } else { case };
    (classify(&case.program, &ideal, &case.real).words, owed)
}

fn last(beats: &[Beat]) -> Meter {
    beats.last().expect("beats").meter
}

#[test]
fn events_on_time_are_progress_for_every_origin_and_nothing_is_owed() {
    let block_on = Origin::BlockOn(Duration::from_millis(CLOSE - OPEN));
    for origin in [Origin::Callback, Origin::Task, Origin::LibraryTask, block_on] {
        let (episode, edges) = one(origin, true);
        let beats = beats([on_time(), edges].concat(), 2);
        let case = Case::of_beats(&episode, &beats, last(&beats), at(CLOSE));
        assert_eq!(words(case, false), (vec![Word::Progress], 0), "{origin:?}");
    }
}

/// The same, but every async event that is due while the dialog is open comes after it.
fn stalled(origin: Origin, closed: bool) -> (Episode, Vec<(u64, Fact)>) {
    let (episode, edges) = one(origin, closed);
    let late = |(ms, fact): (u64, Fact)| match (ms, fact) {
        (OPEN..CLOSE, fact) if fact.is_async() => (CLOSE + 1, fact),
        kept => kept,
    };
    (episode, on_time().into_iter().map(late).chain(edges).collect())
}

#[test]
fn events_that_come_only_after_the_dialog_are_a_stall() {
    let (episode, facts) = stalled(Origin::Task, true);
    let beats = beats(facts, 2);
    let case = Case::of_beats(&episode, &beats, last(&beats), at(CLOSE));
    assert_eq!(words(case, false), (vec![Word::Stall], 0));
}

#[test]
fn many_iterations_are_a_busy_loop_inside_the_dialog_and_do_not_count_outside() {
    let (episode, facts) = stalled(Origin::Callback, true);
    let mut inside = beats(facts, 2);
    let mut outside = inside.clone();
    for beat in &mut inside {
        beat.meter.iterations += if beat.at > at(OPEN) { 100_000 } else { 0 };
    }
    let case = Case::of_beats(&episode, &inside, last(&inside), at(CLOSE));
    assert_eq!(words(case, false).0, [Word::Stall, Word::BusyLoop]);
    for beat in &mut outside {
        beat.meter.iterations += if beat.at > at(CLOSE) { 100_000 } else { 0 };
    }
    let case = Case::of_beats(&episode, &outside, last(&outside), at(CLOSE));
    assert_eq!(words(case, false).0, [Word::Stall]);
}

#[test]
fn a_stall_is_seen_while_the_dialog_is_open() {
    let (episode, facts) = stalled(Origin::Callback, false);
    let until = 7500;
    let so_far = facts.into_iter().filter(|(ms, _)| *ms <= until).collect();
    let beats = beats(so_far, 2);
    let (words, owed) = words(Case::of_beats(&episode, &beats, last(&beats), at(until)), true);
    assert_eq!(words, [Word::Stall]);
    assert!(owed > 40, "{owed}");
}

#[test]
fn an_open_dialog_in_which_everything_keeps_running_is_progress_so_far() {
    let (episode, edges) = one(Origin::Callback, false);
    let until = 7500;
    let facts = [on_time(), edges].concat();
    let so_far = facts.into_iter().filter(|(ms, _)| *ms <= until).collect();
    let beats = beats(so_far, 2);
    let case = Case::of_beats(&episode, &beats, last(&beats), at(until));
    assert_eq!(words(case, true), (vec![Word::Progress], 0));
}

#[test]
fn events_that_never_come_are_lost() {
    let (episode, edges) = one(Origin::Callback, true);
    let echo = |fact: &Fact| matches!(fact, Fact::Served(_) | Fact::Echoed(_));
    let lost = |(ms, fact): &(u64, Fact)| *ms > OPEN && echo(fact);
    let facts = on_time().into_iter().filter(|fact| !lost(fact)).chain(edges).collect();
    let beats = beats(facts, 2);
    let (words, owed) = words(Case::of_beats(&episode, &beats, last(&beats), at(CLOSE)), false);
    assert!(words.contains(&Word::Lost), "{words:?}");
    assert_eq!(owed, 30);
}

#[test]
fn an_echo_and_a_bus_that_end_in_a_dialog_owe_nothing() {
    let (mut episode, edges) = one(Origin::Callback, true);
    let beyond = |fact: &Fact| {
        matches!(
            fact,
            Fact::Sent(_) | Fact::Served(_) | Fact::Echoed(_) | Fact::Called(_) | Fact::Answered(_)
        )
    };
    let ended = |(ms, fact): &(u64, Fact)| *ms > OPEN && beyond(fact);
    let facts = on_time().into_iter().filter(|fact| !ended(fact)).chain(edges).collect();
    let beats = beats(facts, 2);
    episode.forget_ended(Some(Beside { has_echo: false, has_bus: false, ..beside() }));
    let case = Case::of_beats(&episode, &beats, last(&beats), at(CLOSE));
    assert_eq!(words(case, false), (vec![Word::Progress], 0));
    // One that starts only now has missed the beginning.
    episode.forget_ended(Some(beside()));
    let case = Case::of_beats(&episode, &beats, last(&beats), at(CLOSE));
    assert_eq!(words(case, false).1, 0);
}
