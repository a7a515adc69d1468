//! Random programs on the model and on the real GLib: the same sources are dispatched in the same
//! order at the same depth, the same iterations find something, and as many polls are made.
//!
//! 256 programs; `LOOPNEST_CASES` says how many instead. A program that was told apart is kept in
//! `model_vs_glib.proptest-regressions`, and tried first from then on.

use std::sync::mpsc;
use std::time::Duration;

use loopnest_core::model::{Config, Rules};
use loopnest_tests::random::generate::programs;
use loopnest_tests::random::{Program, Report};
use loopnest_tests::world::glib::GlibWorld;
use loopnest_tests::world::model::{FAR, ModelWorld};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{
    Config as Proptest, FileFailurePersistence, TestCaseError, TestError, TestRng, TestRunner,
};

/// Longer than any program, and not for ever.
const HANGS: Duration = Duration::from_secs(20);

fn on_the_model(program: &Program, rules: Rules, closer: bool) -> Report {
    let config = Config {
        iteration_cost: Duration::from_micros(1),
        max_iterations: 3_000,
        horizon: FAR,
        ..Config::default()
    };
    program.run(&*ModelWorld::with(config, rules), closer)
}

/// On a thread of its own, which is given up when it hangs.
fn on_glib(program: &Program, closer: bool) -> Report {
    let (send, receive) = mpsc::channel();
    let program = program.clone();
    let thread = std::thread::spawn(move || {
        // Nobody waits any more if it took that long.
        let _ = send.send(program.run(&*GlibWorld::new(), closer));
    });
    match receive.recv_timeout(HANGS) {
        Ok(report) => {
            thread.join().expect("it has sent its report");
            report
        }
        Err(mpsc::RecvTimeoutError::Timeout) => Report { lines: vec![], stuck: true },
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Report { lines: vec!["panicked".to_owned()], stuck: false }
        }
    }
}

/// What the two disagree on.
fn difference(program: &Program, rules: Rules) -> Option<String> {
    // What would never end is run with somebody who ends it.
    let closer = on_the_model(program, Rules::GLIB, false).stuck;
    let model = on_the_model(program, rules, closer);
    let real = on_glib(program, closer);
    if model == real {
        return None;
    }
    let same = model.lines.iter().zip(&real.lines).take_while(|(m, r)| m == r).count();
    let rest = |report: &Report| {
        let lines = report.lines[same.min(report.lines.len())..].iter().take(6);
        let lines: Vec<_> = lines.map(String::as_str).collect();
        format!("{}{}", lines.join(", "), if report.stuck { " and never ends" } else { "" })
    };
    let before = model.lines[..same].join("\n  ");
    Some(format!("  {before}\nmodel: {}\nGLib:  {}", rest(&model), rest(&real)))
}

fn property(rules: Rules) -> impl Fn(Program) -> Result<(), TestCaseError> {
    move |program| match difference(&program, rules) {
        None => Ok(()),
        Some(difference) => Err(TestCaseError::fail(difference)),
    }
}

fn n_cases() -> u32 {
    let asked = std::env::var("LOOPNEST_CASES").ok();
    asked.map_or(256, |n| n.parse().expect("LOOPNEST_CASES is a number"))
}

#[test]
fn the_model_and_glib_do_the_same() {
    let saved = FileFailurePersistence::WithSource("proptest-regressions");
    let mut runner = TestRunner::new(Proptest {
        cases: n_cases(),
        failure_persistence: Some(Box::new(saved)),
        source_file: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/model_vs_glib.rs")),
        ..Proptest::default()
    });
    if let Err(error) = runner.run(&programs(), property(Rules::GLIB)) {
        panic!("{error}");
    }
}

/// Tells a mutant of the model from GLib, and shrinks the program that does.
fn hunt(rules: Rules, cases: u32) -> Option<(Program, String)> {
    let config = Proptest {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Proptest::default()
    };
    let algorithm = config.rng_algorithm;
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(algorithm));
    match runner.run(&programs(), property(rules)) {
        Ok(()) => None,
        Err(TestError::Fail(why, program)) => Some((program, why.to_string())),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

/// A rule, and the model without it.
fn mutants() -> Vec<(&'static str, Rules)> {
    let mutant = |change: fn(&mut Rules)| {
        let mut rules = Rules::GLIB;
        change(&mut rules);
        rules
    };
    vec![
        ("READY is forgotten", mutant(|r| r.sticky_ready = false)),
        ("nothing is blocked", mutant(|r| r.blocking = false)),
        ("children are not blocked", mutant(|r| r.blocking_children = false)),
        ("the pending list is kept", mutant(|r| r.drop_pending = false)),
        ("all priorities are dispatched", mutant(|r| r.one_priority = false)),
        ("a quit is remembered", mutant(|r| r.forget_quit = false)),
        ("descriptors count through check only", mutant(|r| r.fds_make_ready = false)),
        ("children do not trigger", mutant(|r| r.child_triggers_parent = false)),
        ("a changed poll set does not matter", mutant(|r| r.bail_out = false)),
        ("children go by age", mutant(|r| r.child_before_parent = false)),
    ]
}

#[test]
fn every_mutant_of_the_model_is_told_apart() {
    for (name, rules) in mutants() {
        let found = hunt(rules, 256);
        let (program, why) = found.unwrap_or_else(|| panic!("not told apart: {name}"));
        println!("=== {name}{program:?}\n{why}\n");
    }
}

/// Programs that only iterate prove little: the generator makes enough of everything.
#[test]
fn the_generator_nests_recurs_and_sleeps() {
    let config = Proptest { failure_persistence: None, ..Proptest::default() };
    let algorithm = config.rng_algorithm;
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(algorithm));
    let n = 1_000;
    let mut found = std::collections::BTreeMap::<&str, u32>::new();
    for _ in 0..n {
        let program = programs().new_tree(&mut runner).expect("nothing is filtered").current();
        let closer = on_the_model(&program, Rules::GLIB, false).stuck;
        let world = ModelWorld::with(Config { horizon: FAR, ..Config::default() }, Rules::GLIB);
        let report = program.run(&*world, closer);
        let says = |what: &str| report.lines.iter().any(|line| line.contains(what));
        let seen = [
            ("ends by itself", !closer),
            ("two deep", says("depth 2")),
            ("three deep", says("depth 3")),
            ("runs a loop", says("run")),
            ("a sleep ends with nothing", says("blocked: false")),
            ("a sleep ends with something", says("blocked: true")),
            ("complaints", says("complaints true")),
            ("ten dispatches", report.lines.iter().filter(|l| l.contains("depth")).count() >= 10),
            ("really sleeps", world.context().counters().sleeps > 0),
        ];
        for (what, is) in seen {
            *found.entry(what).or_default() += u32::from(is);
        }
    }
    println!("{found:#?}");
    assert!(found.values().all(|&n| n >= 10), "{found:#?}");
}
