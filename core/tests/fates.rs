//! On generated programs and the models of all strategies: the words of a judgement follow from the
//! fates of its events, and nothing else says whether an event came in time.
#![cfg(not(loopnest_loom))]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use loopnest_core::classify;
use loopnest_core::generate::{Size, programs};
use loopnest_core::model::{self, Model};
use loopnest_core::trace::{End, Kind, Trace};
use loopnest_core::verdict::{Delivery, Fate, Judgement, Place, Tally, Unjudged, Word};
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// How many programs, each on every model.
const CASES: u32 = 400;

#[test]
fn words_and_tallies_follow_from_the_fates() {
    let config = Config { cases: CASES, rng_seed: RngSeed::Fixed(12), ..Config::default() };
    let (stalls, doubts) = (Cell::new(0), Cell::new(0));
    TestRunner::new(Config { failure_persistence: None, ..config })
        .run(&programs(Size::Default), |program| {
            let due = model::ideal(&program);
            for strategy in Model::ALL {
                let trace = model::run_beside(strategy, &program, &due);
                for trace in [died(&trace), kept(&trace, 2), kept(&trace, 1), trace] {
                    let judgement = classify(&program, &due, &trace);
                    tallies_add_up(&judgement);
                    stall_follows(&judgement, &trace.end);
                    assert_eq!(judgement.deliveries.len(), due.reached().count());
                    stalls.set(stalls.get() + u32::from(judgement.has(Word::Stall)));
                    doubts.set(doubts.get() + u32::from(judgement.has(Word::Inconclusive)));
                }
            }
            Ok(())
        })
        .expect("no program contradicts itself");
    let shown = (stalls.get(), doubts.get());
    assert!(shown.0.min(shown.1) > CASES / 10, "the programs show something: {shown:?}");
}

/// The same run, but of every `share` milliseconds the subject could run in all but one.
fn kept(trace: &Trace, share: u32) -> Trace {
    let mut trace = trace.clone();
    trace.events.iter_mut().for_each(|event| event.meter.delay = event.at / share);
    trace.meter.delay = trace.events.last().map_or(Duration::ZERO, |event| event.at / share);
    trace
}

/// The first half of the same run.
fn died(trace: &Trace) -> Trace {
    let mut trace = trace.clone();
    trace.events.truncate(trace.events.len() / 2);
    trace.end = End::Died { signal: Some(6), code: None, message: String::new() };
    trace
}

/// The tally of each kind is the count of its fates.
fn tallies_add_up(judgement: &Judgement) {
    let windows =
        judgement.deliveries.iter().any(|d| !matches!(d.place, None | Some(Place::Outside)));
    let mut counted: BTreeMap<Kind, Tally> = BTreeMap::new();
    for delivery in &judgement.deliveries {
        let tally = counted.entry(delivery.key.kind).or_default();
        tally.lost += u32::from(delivery.fate == Fate::Never);
        let Some(place) = delivery.place else { continue };
        let failed = u32::from(delivery.fate.is_failure());
        let unsure = u32::from(delivery.fate == Fate::NotJudged(Unjudged::CouldNotRun));
        let judged = failed + unsure + u32::from(delivery.fate == Fate::InTime);
        // Where there are windows, what came in time outside them is not shown.
        let shown = if place == Place::Outside && windows { failed } else { judged };
        tally.due += shown;
        tally.starved += failed;
        tally.unsure += if place == Place::Outside && windows { 0 } else { unsure };
    }
    for (kind, tally) in &judgement.tallies {
        let ours = counted[kind];
        // A program may have windows in which nothing is due.
        let Tally { due, unsure, .. } = if windows { ours } else { *tally };
        assert_eq!(Tally { due, unsure, ..ours }, *tally, "{kind:?}");
    }
}

/// A run that ended by itself stalled if, and only if, most of some kind failed in some place, or a poke
/// cured one of it; *lost* may replace it.
fn stall_follows(judgement: &Judgement, end: &End) {
    let mut kinds: BTreeMap<(Place, Kind), Vec<&Delivery>> = BTreeMap::new();
    for delivery in &judgement.deliveries {
        if let Some(place) = delivery.place {
            kinds.entry((place, delivery.key.kind)).or_default().push(delivery);
        }
    }
    let stalled = kinds.iter().any(|((place, _), all)| {
        let count = |like: &dyn Fn(Fate) -> bool| all.iter().filter(|d| like(d.fate)).count();
        let unsure = |fate| fate == Fate::NotJudged(Unjudged::CouldNotRun);
        // Had they been in time, it would still be one.
        let good = count(&|fate| fate == Fate::InTime || unsure(fate));
        let bad = count(&Fate::is_failure);
        let most = match place {
            Place::Flood(_) => good * 8 < good + bad,
            _ => good < bad,
        };
        most || count(&|fate| fate == Fate::Cured) > 0
    });
    if *end == End::Finished {
        let said = judgement.has(Word::Stall) || judgement.has(Word::Lost);
        assert_eq!(said, stalled || judgement.has(Word::Lost), "{judgement:#?}");
    }
}
