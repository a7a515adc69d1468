//! The model against the record: every scenario on the model of every strategy gets the verdict that
//! the real loops are recorded to get.

use std::fmt::Write as _;

use harness::expect::Expectations;
use harness::scenarios;
use loopnest_core::model;
use loopnest_core::program::{Actor, ActorKind, How, Step};
use loopnest_core::{Program, Word, classify};

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

/// Made-up programs found it: with a death that has no time, a loop that was drained by hand until
/// then looks as if it had spun.
#[test]
fn a_model_that_dies_says_when() {
    let actor = |name: &str, steps| Actor { name: name.to_owned(), kind: ActorKind::Task, steps };
    let level = || "dialog".to_owned();
    let drain = Step::Dialog { level: level(), how: How::Drain, close_after_ms: None };
    let program = Program {
        name: "drained".to_owned(),
        about: "A task wakes long after another has opened a loop that it drains.".to_owned(),
        source: "core/src/generate".to_owned(),
        tags: Vec::new(),
        actors: vec![
            actor("opener", vec![Step::Sleep { ms: 20 }, drain]),
            actor("closer", vec![Step::Sleep { ms: 180 }, Step::Quit { level: level() }]),
        ],
    };
    let trace = model::strategies::run("gtk-rs", &program).expect("a model");
    assert_eq!(classify(&program, &model::ideal(&program), &trace).words, [Word::Abort]);
}
