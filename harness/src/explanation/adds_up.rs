//! On generated programs, what a page of `explain` shows adds up to its headline.

use std::cell::Cell;

use loopnest_core::generate::{Size, programs};
use loopnest_core::model::{self, Model};
use loopnest_core::strategy::Owner;
use loopnest_core::trace::End;
use loopnest_core::verdict::{Fate, Judgement, Unjudged};
use loopnest_core::{Word, classify};
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::{Page, explanation};
use crate::formats::Style;
use crate::rules::tests::strategy;

/// How many programs, each on every model.
const CASES: u32 = 60;

#[test]
fn what_is_shown_adds_up_to_the_headline() {
    let config = Config { cases: CASES, rng_seed: RngSeed::Fixed(12), ..Config::default() };
    let style = Style::default();
    let page = Page { style: &style, votes: "", replay: &[] };
    let late = Cell::new(0);
    TestRunner::new(Config { failure_persistence: None, ..config })
        .run(&programs(Size::Default), |program| {
            let due = model::ideal(&program);
            for model in Model::ALL {
                let trace = model::run_beside(model, &program, &due);
                let judgement = classify(&program, &due, &trace);
                let about = strategy(Owner::Glib);
                let text = explanation(&program, &about, &judgement, &due, &trace, &page);
                late.set(late.get() + u32::from(strip_adds_up(&judgement, &text, &trace.end)));
                evidence_adds_up(&judgement, &text);
            }
            Ok(())
        })
        .expect("no page contradicts itself");
    assert!(late.get() > CASES / 10, "the programs show something: {late:?} late");
}

/// The strip has a cross if, and only if, something was not delivered in time. Returns whether it has.
fn strip_adds_up(judgement: &Judgement, text: &str, end: &End) -> bool {
    let row = text.lines().find(|line| line.starts_with("  due  ")).unwrap_or_default();
    let crossed = row.contains('x');
    let failed = judgement.deliveries.iter().filter(|d| d.fate.is_failure());
    // What was due after a run was cut short is not drawn.
    if *end == End::Finished {
        assert_eq!(crossed, failed.count() > 0, "{text}");
        if judgement.has(Word::Stall) {
            assert!(crossed, "{text}");
        }
    } else {
        assert!(!crossed || failed.count() > 0, "{text}");
    }
    let unsure = Fate::NotJudged(Unjudged::CouldNotRun);
    let doubtful = judgement.deliveries.iter().any(|delivery| delivery.fate == unsure);
    assert!(!row.contains('?') || doubtful, "{text}");
    crossed
}

/// The table has a row for every kind that was due, with the counts of the headline.
fn evidence_adds_up(judgement: &Judgement, text: &str) {
    for (kind, tally) in judgement.tallies.iter().filter(|(_, tally)| tally.due > 0) {
        let label = format!("  {} events in time ", kind.name());
        let row = text.lines().find(|line| line.starts_with(&label));
        let row = row.unwrap_or_else(|| panic!("no row for {kind:?}\n{text}"));
        let came = format!(" {} / {} ", tally.came(), tally.due);
        assert!(row.contains(&came), "{came}\n{text}");
    }
}
