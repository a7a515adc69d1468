//! Generated programs: all are valid, all end, everything occurs, and they shrink.
#![cfg(not(loopnest_loom))]

use std::collections::BTreeMap;
use std::time::Duration;

use loopnest_core::Program;
use loopnest_core::classify::{MARGIN, classify};
use loopnest_core::generate::{Size, programs};
use loopnest_core::model::ideal;
use loopnest_core::program::{Actor, ActorKind, How, PRIORITY_DEFAULT, Side, Step};
use loopnest_core::trace::{End, Key, Kind, Trace, What};
use loopnest_core::verdict::Word;
use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const CASES: usize = 2000;

/// Always generates the same programs.
fn runner() -> TestRunner {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    TestRunner::new_with_rng(Config::default(), rng)
}

fn made(size: Size) -> impl Iterator<Item = Program> {
    let (mut runner, programs) = (runner(), programs(size));
    (0..CASES).map(move |_| programs.new_tree(&mut runner).expect("nothing is filtered").current())
}

/// Shrinks as far as possible: the smallest program for which `holds` is true.
fn shrunk(mut tree: impl ValueTree<Value = Program>, holds: impl Fn(&Program) -> bool) -> Program {
    let mut smallest = tree.current();
    let mut goes_on = tree.simplify();
    while goes_on {
        let program = tree.current();
        goes_on = if holds(&program) {
            smallest = program;
            tree.simplify()
        } else {
            tree.complicate()
        };
    }
    smallest
}

/// Shrinks the first five programs for which `holds` is true, and takes the smallest: where a
/// greedy search ends depends on where it begins.
fn smallest(size: Size, holds: impl Fn(&Program) -> bool) -> Program {
    let (mut runner, programs) = (runner(), programs(size));
    let trees = (0..CASES).map(|_| programs.new_tree(&mut runner).expect("nothing is filtered"));
    let found = trees.filter(|tree| holds(&tree.current())).take(5);
    let shrunk = found.map(|tree| shrunk(tree, &holds));
    shrunk.min_by_key(n_steps).unwrap_or_else(|| panic!("in {CASES} programs there is none"))
}

fn n_steps(program: &Program) -> usize {
    program.steps().count()
}

fn opens(actor: &Actor) -> bool {
    actor.steps.iter().any(|step| matches!(step, Step::Dialog { .. }))
}

fn last(trace: &Trace) -> Duration {
    trace.events.last().map_or(Duration::ZERO, |event| event.at)
}

#[test]
fn every_program_is_well_formed_ends_ideally_and_is_progress_there() {
    for size in [Size::Small, Size::Default] {
        for program in made(size) {
            program.check().unwrap_or_else(|e| panic!("{e}: {program:#?}"));
            let ideal = ideal(&program);
            assert_eq!(ideal.end, End::Finished, "{program:#?}");
            let judgement = classify(&program, &ideal, &ideal);
            assert_eq!(judgement.words, [Word::Progress], "{program:#?}");
        }
    }
}

#[test]
fn every_program_survives_toml() {
    for program in made(Size::Default) {
        let text = toml::to_string(&program).expect("it can be written");
        let read: Program = toml::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(read, program, "{text}");
    }
}

#[test]
fn programs_for_the_real_loops_are_short_and_none_is_silent_for_long() {
    for program in made(Size::Small) {
        let end = last(&ideal(&program));
        assert!(end < Duration::from_millis(450), "{end:?}: {program:#?}");
    }
    for program in made(Size::Default) {
        let mut before = Duration::ZERO;
        for event in ideal(&program).events {
            let gap = event.at - before;
            assert!(gap <= Duration::from_millis(700), "silent for {gap:?}: {program:#?}");
            before = event.at;
        }
    }
}

#[test]
fn what_is_due_in_a_nested_loop_is_due_well_inside_it() {
    let (mut inside, mut all) = (0, 0);
    for program in made(Size::Small) {
        let ideal = ideal(&program);
        let at = |what| ideal.find(what).map(|i| ideal.events[i].at);
        let levels = program.levels().len() as u16;
        let Some(close) = (0..levels).filter_map(|level| at(What::Close(level))).min() else {
            continue;
        };
        let works = ideal.events.iter().filter(|e| {
            matches!(e.what, What::Reached(_)) && usize::from(e.depth) == usize::from(levels)
        });
        for event in works.filter(|event| event.at < close) {
            all += 1;
            inside += u32::from(event.at + MARGIN <= close);
        }
    }
    // The others close it.
    assert!(inside * 2 > all && inside > 1000, "{inside} of {all}");
}

#[test]
fn no_flood_has_a_higher_priority_than_a_glib_source() {
    for program in made(Size::Default) {
        let flood = program.actors.iter().filter_map(|actor| match actor.kind {
            ActorKind::Flood { priority, .. } => Some(priority),
            _ => None,
        });
        let timeout = program.actors.iter().filter_map(|actor| match actor.kind {
            ActorKind::Timeout { priority, .. } => Some(priority),
            _ => None,
        });
        let (above, below) = (flood.min(), timeout.max());
        assert!(above.is_none() || below <= above, "{program:#?}");
    }
}

/// The names of everything that a program varies.
fn dimensions(program: &Program) -> Vec<String> {
    let mut all =
        vec![format!("depth {}", ideal(program).events.iter().map(|e| e.depth).max().unwrap_or(0))];
    let mut add = |name: &str| all.push(name.to_owned());
    for actor in &program.actors {
        let kind = match &actor.kind {
            ActorKind::Task if matches!(actor.steps[0], Step::Receive { .. }) => "woken task",
            ActorKind::Task => "task",
            ActorKind::LibraryTask => "library task",
            ActorKind::RemoteTask => panic!("none is generated"),
            ActorKind::Dormant => "dormant task",
            ActorKind::Timeout { times: 1, .. } => "timeout",
            ActorKind::Timeout { .. } => "repeated timeout",
            ActorKind::Flood { .. } => "idle",
            ActorKind::Watch { .. } => "watch",
            ActorKind::Thread => "thread",
        };
        add(kind);
        if let ActorKind::Timeout { priority, .. } = actor.kind {
            add(match priority {
                PRIORITY_DEFAULT => "default priority",
                ..PRIORITY_DEFAULT => "high priority",
                _ => "low priority",
            });
        }
        for step in &actor.steps {
            let what = match step {
                Step::Dialog { how, close_after_ms, .. } => {
                    add(match how {
                        How::Run => "run",
                        How::Iteration => "iteration",
                        How::Drain => "drain",
                    });
                    if close_after_ms.is_some() { "closes itself" } else { "is closed" }
                }
                Step::BlockOn { .. } => "block on",
                step => {
                    let text = format!("{step:?}");
                    add(&format!("{} by {kind}", text.split(' ').next().unwrap_or_default()));
                    continue;
                }
            };
            add(&format!("opened by {kind}"));
            add(what);
        }
    }
    let steps: Vec<&Step> = program.steps().collect();
    let pipes = steps.iter().filter(|step| matches!(step, Step::Close { .. })).count();
    add(&format!("{} hung up", pipes.min(2)));
    let ideal = ideal(program);
    let position = |what| ideal.find(what);
    let quits: Vec<_> = (0..program.levels().len() as u16)
        .filter_map(|level| position(What::Quit(level)))
        .collect();
    if quits.len() > 1 {
        add(if quits.is_sorted() { "outer first" } else { "inner first" });
    }
    if ideal.events.iter().all(|e| !matches!(e.what, What::Reached(Key { .. }))) {
        add("nothing due");
    }
    all
}

#[test]
fn every_dimension_occurs() {
    for size in [Size::Small, Size::Default] {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for program in made(size) {
            let mut names = dimensions(&program);
            names.sort();
            names.dedup();
            names.into_iter().for_each(|name| *counts.entry(name).or_default() += 1);
        }
        let openers =
            ["timeout", "task", "woken task", "library task", "dormant task", "watch", "idle"];
        let mut wanted: Vec<String> = openers.map(|who| format!("opened by {who}")).to_vec();
        for deed in ["Quit", "Send", "Resolve", "Write", "Close", "Spawn", "Cancel"] {
            let who = ["timeout", "task", "library task", "thread", "watch", "woken task"];
            wanted.extend(who.map(|who| format!("{deed} by {who}")));
        }
        wanted.extend(
            [
                "depth 0",
                "depth 1",
                "depth 2",
                "depth 3",
                "run",
                "iteration",
                "drain",
                "block on",
                "closes itself",
                "is closed",
                "outer first",
                "inner first",
                "repeated timeout",
                "default priority",
                "high priority",
                "low priority",
                "0 hung up",
                "1 hung up",
                "2 hung up",
                "QuietBegin by timeout",
                "QuietEnd by timeout",
                "Yield by task",
                "Tick by task",
                "Compute by timeout",
                "Read by library task",
                "Read by task",
            ]
            .map(str::to_owned),
        );
        for name in wanted {
            let n = counts.get(&name).copied().unwrap_or(0);
            assert!(n >= 5, "`{name}` occurs {n} times of {CASES} in {size:?}: {counts:#?}");
        }
    }
}

#[test]
fn a_dialog_opened_by_a_callback_shrinks_to_that_alone() {
    for size in [Size::Small, Size::Default] {
        let by_callback = |program: &Program| {
            program.actors.iter().any(|a| a.kind.side() == Side::Glib && opens(a))
        };
        let program = smallest(size, by_callback);
        assert_eq!((program.actors.len(), n_steps(&program)), (1, 1), "{program:#?}");
        assert_eq!(program.actors[0].name, "opener", "{program:#?}");
    }
}

#[test]
fn a_timer_due_in_a_dialog_of_a_task_shrinks_to_two_actors_and_three_steps() {
    let holds = |program: &Program| {
        let ideal = ideal(program);
        let by_task = |a: &Actor| a.kind.side() == Side::Async && opens(a);
        // In a callback, a block-on has timers too.
        let is_task = |key: Key| program.actors[usize::from(key.actor)].kind.side() == Side::Async;
        let timer = |key: Key| key.kind == Kind::Timer && is_task(key);
        let inside = ideal.events.iter().any(|e| match e.what {
            What::Reached(key) => e.depth == 1 && timer(key),
            _ => false,
        });
        inside && program.actors.iter().any(by_task)
    };
    for size in [Size::Small, Size::Default] {
        let program = smallest(size, holds);
        assert_eq!((program.actors.len(), n_steps(&program)), (2, 3), "{program:#?}");
        let end = last(&ideal(&program));
        assert!(end < Duration::from_millis(300), "{end:?}: {program:#?}");
    }
}

#[test]
fn three_levels_closed_from_outside_in_shrink_to_their_openers_and_closers() {
    let holds = |program: &Program| {
        let ideal = ideal(program);
        let quits: Vec<_> = (0..3).filter_map(|level| ideal.find(What::Quit(level))).collect();
        ideal.events.iter().any(|e| e.depth == 3) && quits.len() == 3 && quits.is_sorted()
    };
    let program = smallest(Size::Default, holds);
    assert!(program.actors.len() <= 3 && n_steps(&program) <= 3, "{program:#?}");
}

#[test]
fn the_same_seed_makes_the_same_programs() {
    let [one, other] = [(); 2].map(|()| made(Size::Default).take(50).collect::<Vec<_>>());
    assert_eq!(one, other);
}
