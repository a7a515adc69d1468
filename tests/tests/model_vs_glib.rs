//! Random programs on the model and on the real GLib: both dispatch the same sources in the same
//! order at the same depth, the same iterations find something, and both poll equally often.
//!
//! The test tries 256 programs, or as many as `LOOPNEST_CASES` says. A program on which the two
//! differ is saved in `model_vs_glib.proptest-regressions`, and tried first from then on. One that
//! killed the process is in `model_vs_glib.last`, in cargo's folder for temporary files of tests.

use std::cell::Cell;
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

/// Longer than any program takes.
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

/// Runs on a separate thread, which is abandoned if it hangs.
fn on_glib(program: &Program, closer: bool) -> Report {
    let (send, receive) = mpsc::channel();
    let program = program.clone();
    let thread = std::thread::spawn(move || {
        // Fails if it took longer than that.
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

/// How the two differ, if they do.
fn difference(program: &Program, rules: Rules) -> Option<String> {
    // A program that would never end runs with a closer.
    let closer = on_the_model(program, Rules::GLIB, false).stuck;
    let model = on_the_model(program, rules, closer);
    // In case the program kills the process, save it first.
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/model_vs_glib.last");
    std::fs::write(path, format!("{program:?}\n")).expect("a folder that can be written to");
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

/// The program that tells a mutant of the model from GLib.
struct Caught {
    after: u32,
    program: Program,
    why: String,
}

fn hunt(rules: Rules) -> Option<Caught> {
    let config = Proptest {
        cases: 256,
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..Proptest::default()
    };
    let algorithm = config.rng_algorithm;
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(algorithm));
    let (tried, caught) = (Cell::new(0), Cell::new(false));
    let property = property(rules);
    let counted = |program| {
        // After the first failure proptest is shrinking.
        tried.set(tried.get() + u32::from(!caught.get()));
        let result = property(program);
        caught.set(caught.get() || result.is_err());
        result
    };
    match runner.run(&programs(), counted) {
        Ok(()) => None,
        Err(TestError::Fail(why, program)) => {
            Some(Caught { after: tried.get(), program, why: why.to_string() })
        }
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

/// The model without one of its rules, and where gmain.c has the rule.
fn mutants() -> Vec<(&'static str, &'static str, Rules)> {
    let mutant = |change: fn(&mut Rules)| {
        let mut rules = Rules::GLIB;
        change(&mut rules);
        rules
    };
    vec![
        ("READY is forgotten", "3757", mutant(|r| r.sticky_ready = false)),
        ("nothing is blocked", "3432", mutant(|r| r.blocking = false)),
        ("children are not blocked", "3351", mutant(|r| r.blocking_children = false)),
        ("the pending list is kept", "3736", mutant(|r| r.drop_pending = false)),
        ("all priorities are dispatched", "4142", mutant(|r| r.one_priority = false)),
        ("a quit is remembered", "4446", mutant(|r| r.forget_quit = false)),
        ("descriptors count through check only", "4092", mutant(|r| r.fds_make_ready = false)),
        ("children do not trigger", "3823", mutant(|r| r.child_triggers_parent = false)),
        ("children go by age", "1220", mutant(|r| r.child_before_parent = false)),
        ("a changed poll set does not matter", "4009", mutant(|r| r.bail_out = false)),
    ]
}

/// Prints a line for each mutant, which becomes a row in the table of mutants.
#[test]
fn every_mutant_of_the_model_is_told_apart() {
    for (name, line, rules) in mutants() {
        let caught = hunt(rules).unwrap_or_else(|| panic!("not told apart: {name}"));
        println!("=== {name}{:?}\n{}", caught.program, caught.why);
        let wrong = format!("the rule of gmain.c:{line} does not hold");
        let name = name.replace(' ', "-");
        println!("mutant: model::{name} | {wrong} | proptest beside GLib | {}\n", caught.after);
    }
}

/// Programs that only iterate prove little, so the generator must make enough of everything.
#[test]
fn the_generator_nests_recurs_and_sleeps() {
    let config = Proptest { failure_persistence: None, ..Proptest::default() };
    let algorithm = config.rng_algorithm;
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(algorithm));
    let n = 500;
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
            ("acts while it is asked", says("aside")),
            ("acts from outside", says("outside")),
            ("complaints", says("complaints true")),
            ("ten dispatches", report.lines.iter().filter(|l| l.contains("depth")).count() >= 10),
            ("really sleeps", world.context().counters().sleeps > 0),
        ];
        for (what, is) in seen {
            *found.entry(what).or_default() += u32::from(is);
        }
    }
    println!("{found:#?}");
    assert!(found.values().all(|&n| n >= 5), "{found:#?}");
}
