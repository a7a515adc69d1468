//! Programs of other people, on the real loops: correct ones that look like something else, and one that
//! looks correct.

mod common;

use common::{folder, harness, run};
use harness::counterexample::Counterexample;
use loopnest_core::program::{Actor, ActorKind, How, PRIORITY_DEFAULT, Step};
use loopnest_core::{Program, Word};

fn task(name: &str, steps: Vec<Step>) -> Actor {
    Actor { name: name.to_owned(), kind: ActorKind::Task, steps }
}

/// A GLib timeout.
fn every(name: &str, every_ms: u64, times: u32, steps: Vec<Step>) -> Actor {
    let kind = ActorKind::Timeout { every_ms, times, priority: PRIORITY_DEFAULT };
    Actor { name: name.to_owned(), kind, steps }
}

fn tick(every_ms: u64, times: u32) -> Step {
    Step::Tick { every_ms, times }
}

/// Replays a program with these actors on each of these strategies, which must get this verdict.
#[track_caller]
fn gets(verdict: Word, strategies: &[&str], actors: Vec<Actor>) {
    let program = Program {
        name: "program".to_owned(),
        about: "What somebody else wrote.".to_owned(),
        source: "a test".to_owned(),
        tags: Vec::new(),
        actors,
    };
    let (_folder, path) = folder();
    let file = path.join("program.toml");
    let found = Counterexample::new("dispatch", vec![verdict], program, None);
    found.save(&file).expect("room");
    for strategy in strategies {
        let ran = run(harness(["replay"]).arg(&file).args(["-s", strategy]));
        assert!(ran.stdout.contains("\nseen again\n"), "{strategy}, {verdict}: {ran:#?}");
    }
}

#[test]
fn a_task_that_sleeps_for_three_seconds_and_nothing_else_is_fine() {
    gets(
        Word::Progress,
        &["dispatch", "handoff"],
        vec![task("sleeper", vec![Step::Sleep { ms: 3000 }])],
    );
}

#[test]
fn a_callback_that_computes_for_long_was_not_asleep() {
    let actors = vec![
        task("ticker", vec![tick(10, 100)]),
        every("glib-ticker", 10, 20, vec![]),
        every("computes", 100, 1, vec![Step::Compute { ms: 300 }]),
    ];
    gets(Word::Progress, &["dispatch", "handoff", "gtk-rs"], actors);
}

#[test]
fn a_callback_that_computes_is_waited_for_though_the_other_thread_has_nothing_left_to_do() {
    let computes = vec![every("computes", 100, 1, vec![Step::Compute { ms: 3000 }])];
    let actors = [computes, vec![task("sleeper", vec![Step::Sleep { ms: 200 }])]].concat();
    gets(Word::Progress, &["handoff"], actors);
}

#[test]
fn a_loop_that_is_drained_beside_work_is_held_open_where_the_work_is_in_the_same_thread() {
    let work = || vec![Step::Yield { for_ms: 1500 }];
    let drain =
        Step::Dialog { level: "drain".to_owned(), how: How::Drain, close_after_ms: Some(300) };
    let actors = vec![
        task("busy-1", work()),
        task("busy-2", work()),
        every("opener", 50, 1, vec![drain]),
        every("glib-ticker", 50, 10, vec![]),
    ];
    gets(Word::HeldOpen, &["dispatch", "gtk-rs"], actors.clone());
    gets(Word::Progress, &["handoff"], actors);
}

#[test]
fn thirty_loops_inside_each_other_are_no_busy_loop() {
    let inside = |steps, i: usize| vec![Step::BlockOn { level: format!("level-{i}"), steps }];
    let steps = (0..30).fold(vec![Step::Sleep { ms: 20 }], inside);
    gets(Word::Progress, &["dispatch", "handoff"], vec![every("opener", 50, 1, steps)]);
}

#[test]
fn what_waits_for_nothing_is_refused_by_every_command() {
    let (_folder, path) = folder();
    let file = path.join("program.toml");
    let waits = vec![task("waits", vec![Step::Await { signal: "never".to_owned() }])];
    let program = Program {
        name: "endless".to_owned(),
        about: "It waits for what nobody does.".to_owned(),
        source: "a test".to_owned(),
        tags: Vec::new(),
        actors: waits,
    };
    Counterexample::new("dispatch", vec![Word::Stall], program, None).save(&file).expect("room");
    for command in ["replay", "explain"] {
        let ran = run(harness([command]).arg(&file)).exits(2);
        let said = "error: `endless` cannot be judged: it does not end, not even in the ideal run";
        assert!(ran.stderr.starts_with(said), "{ran:#?}");
    }
}
