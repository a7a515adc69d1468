//! The model against the record: on the model of every strategy, every scenario gets the verdict
//! that is recorded for the real loops.

use std::fmt::Write as _;

use harness::expect::Expectations;
use harness::scenarios;
use loopnest_core::model::{self, Model, Rounding};
use loopnest_core::program::{Actor, ActorKind, How, Step};
use loopnest_core::{Program, Word, classify};

#[test]
fn the_model_of_every_strategy_gets_the_recorded_verdict_in_every_scenario() {
    let expected = Expectations::built_in().expect("the built-in file is well-formed");
    let mut surprises = String::new();
    let mut n = 0;
    for program in scenarios::all() {
        let due = model::ideal(&program);
        for strategy in Model::ALL {
            let Some(expected) = expected.get(strategy.name(), &program.name) else {
                panic!("{strategy} x {} is not in the record", program.name);
            };
            // The record is that of one GLib, and no other may get other verdicts.
            for rounding in [Rounding::Millis, Rounding::Exact] {
                let trace = model::run_on(rounding, strategy, &program, &due);
                let judged = classify(&program, &due, &trace);
                n += 1;
                if judged.words != expected {
                    let said = |words: &[Word]| words.iter().map(|w| w.name()).collect::<Vec<_>>();
                    let _ = writeln!(
                        surprises,
                        "{strategy} x {} ({rounding:?}): the model says {:?}, the record {:?}; \
                         {:?} {:?} {:?}",
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
    }
    assert!(n > 200, "the whole matrix, twice: {n}");
    assert!(surprises.is_empty(), "\n{surprises}");
}

/// The verdict of a strategy's model on a program with these actors.
fn judged(strategy: Model, actors: Vec<Actor>) -> Vec<Word> {
    let program = Program {
        name: "generated".to_owned(),
        about: "The model and the real loops once differed on it.".to_owned(),
        source: "core/src/generate".to_owned(),
        tags: Vec::new(),
        actors,
    };
    classify(&program, &model::ideal(&program), &model::run(strategy, &program)).words
}

fn task(name: &str, steps: Vec<Step>) -> Actor {
    Actor { name: name.to_owned(), kind: ActorKind::Task, steps }
}

fn dialog(how: How, close_after_ms: Option<u64>) -> Step {
    Step::Dialog { level: "dialog".to_owned(), how, close_after_ms }
}

/// If the death has no time, a loop that was drained until then looks as if it had spun.
#[test]
fn a_model_that_dies_says_when() {
    let quit = Step::Quit { level: "dialog".to_owned() };
    let actors = vec![
        task("opener", vec![Step::Sleep { ms: 20 }, dialog(How::Drain, None)]),
        task("closer", vec![Step::Sleep { ms: 180 }, quit]),
    ];
    assert_eq!(judged(Model::GtkRs, actors), [Word::Abort]);
}

/// glib drops a future with its source, and polls nothing for it.
#[test]
fn a_cancelled_task_of_gtk_rs_is_not_polled_once_more() {
    let cancel = Actor {
        name: "canceller".to_owned(),
        kind: ActorKind::Timeout { every_ms: 60, times: 1, priority: 0 },
        steps: vec![Step::Cancel { actor: "victim".to_owned() }],
    };
    let actors = vec![
        task("opener", vec![Step::Sleep { ms: 20 }, dialog(How::Run, Some(160))]),
        task("victim", vec![Step::Await { signal: "never".to_owned() }]),
        cancel,
    ];
    assert_eq!(judged(Model::GtkRs, actors), [Word::Progress]);
}
