//! The model against the record: every scenario on the model of every strategy gets the verdict that
//! the real loops are recorded to get.

use std::fmt::Write as _;

use harness::expect::Expectations;
use harness::scenarios;
use loopnest_core::model;
use loopnest_core::{Word, classify};

#[test]
fn the_model_of_every_strategy_gets_the_recorded_verdict_in_every_scenario() {
    let expected = Expectations::built_in().expect("the built-in file is well-formed");
    let mut surprises = String::new();
    let mut n = 0;
    for program in scenarios::all() {
        let due = model::ideal(&program);
        for strategy in model::strategies::NAMES {
            let Some(expected) = expected.get(strategy, &program.name) else {
                panic!("{strategy} x {} is not in the record", program.name);
            };
            let trace = model::run_beside(strategy, &program, &due).expect("a model");
            let judged = classify(&program, &due, &trace);
            n += 1;
            if judged.words != expected {
                let said = |words: &[Word]| words.iter().map(|w| w.name()).collect::<Vec<_>>();
                let _ = writeln!(
                    surprises,
                    "{strategy} x {}: the model says {:?}, recorded is {:?}; {:?} {:?} {:?}",
                    program.name,
                    said(&judged.words),
                    said(expected),
                    judged.findings,
                    judged.message,
                    trace.end,
                );
            }
        }
    }
    assert!(n > 100, "the whole matrix: {n}");
    assert!(surprises.is_empty(), "\n{surprises}");
}
