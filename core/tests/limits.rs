//! What a program may contain: beyond a limit it is refused, at the limit it runs.
#![cfg(not(loopnest_loom))]

mod common;

use std::collections::BTreeSet;

use common::*;
use loopnest_core::Program;
use loopnest_core::model::ideal;
use loopnest_core::program::{
    ACTORS, ActorKind, Exceeded, LEVELS, MILLIS, NESTED, ProgramError, Reply, STEPS, Step, THINGS,
};
use loopnest_core::trace::{End, What};

#[track_caller]
fn refused(program: &Program) -> String {
    match program.check() {
        Err(ProgramError::Exceeds(exceeded)) => exceeded.to_string(),
        other => panic!("{other:?}"),
    }
}

/// So many actors, in a task each.
fn tasks(n: usize, steps: impl Fn(usize) -> Vec<Step>) -> Program {
    (0..n).fold(program(), |program, i| program.task(&format!("task-{i}"), steps(i)))
}

/// A block-on in a block-on, and so on, around one sleep.
fn nested(deep: usize) -> Step {
    (0..deep).fold(sleep(1), |inner, i| block_on(&format!("level-{i}"), vec![inner]))
}

#[test]
fn a_time_beyond_the_limit_is_refused_wherever_it_is() {
    let far = 1 << 63;
    let said = |field, place| {
        format!("`{field}` of {place} is 9223372036854775808; it must be from 0 to 600000")
    };
    for (step, field) in [
        (sleep(far), "ms"),
        (compute(far), "ms"),
        (Step::Yield { for_ms: far }, "for_ms"),
        (call(far, 1, Reply::Value), "after_ms"),
        (dialog("dialog", far), "close_after_ms"),
    ] {
        let inside = vec![sleep(1), block_on("wait", vec![step.clone()])];
        assert_eq!(refused(&program().task("a", vec![step])), said(field, "step 0 of `a`"));
        assert_eq!(refused(&program().task("a", inside)), said(field, "step 1 of `a`"));
    }
    assert_eq!(refused(&program().flood("a", far, vec![])), said("for_ms", "`a`"));
    assert_eq!(
        refused(&program().after("a", far, vec![])),
        "`every_ms` of `a` is 9223372036854775808; it must be from 1 to 600000"
    );
    assert_eq!(program().task("a", vec![sleep(MILLIS)]).check(), Ok(()));
    assert_eq!(program().task("a", vec![compute(MILLIS)]).check(), Ok(()));
}

#[test]
fn a_number_of_times_beyond_the_limit_is_refused_wherever_it_is() {
    let n = u32::MAX;
    let said =
        |field, place| format!("`{field}` of {place} is 4294967295; it must be from 1 to 60000");
    for (step, field) in [
        (send("c", n), "n"),
        (receive("c", n), "n"),
        (read("p", n), "n"),
        (call(1, n, Reply::Value), "n"),
        (tick(1, n), "times"),
    ] {
        assert_eq!(refused(&program().task("a", vec![step])), said(field, "step 0 of `a`"));
    }
    assert_eq!(refused(&program().every("a", 1, n, vec![])), said("times", "`a`"));
    assert_eq!(refused(&program().watch("a", "p", n, vec![])), said("times", "`a`"));
}

#[test]
fn what_repeats_without_time_passing_is_refused_and_so_is_what_never_happens() {
    let said = refused(&program().task("a", vec![tick(0, 5)]));
    assert_eq!(said, "`every_ms` of step 0 of `a` is 0; it must be from 1 to 600000");
    refused(&program().every("a", 0, 5, vec![]));
    let said = refused(&program().task("a", vec![sleep(1), send("c", 0)]));
    assert_eq!(said, "`n` of step 1 of `a` is 0; it must be from 1 to 60000");
    refused(&program().every("a", 1, 0, vec![]));
    for step in [sleep(0), compute(0), Step::Yield { for_ms: 0 }, dialog("d", 0)] {
        assert_eq!(program().task("a", vec![step]).check(), Ok(()));
    }
}

#[test]
fn too_many_actors_steps_or_levels_are_refused_with_their_number() {
    let n = 70_000;
    let said = "the program has 70000 actors; it can have at most 1000";
    assert_eq!(refused(&tasks(n, |_| vec![sleep(1)])), said);
    let said = "the program has 200001 steps, 200000 of them in `b`; it can have at most 10000";
    let many = program().task("a", vec![sleep(1)]).task("b", vec![sleep(1); 200_000]);
    assert_eq!(refused(&many), said);
    // Those inside a block-on count.
    let inside = program().task("a", vec![block_on("wait", vec![sleep(0); STEPS])]);
    assert!(refused(&inside).starts_with("the program has 10001 steps"), "{inside:?}");
    let dialogs = tasks(LEVELS + 1, |i| vec![dialog(&format!("dialog-{i}"), 1)]);
    let said = "the program has 101 levels, 1 of them in `task-100`; it can have at most 100";
    assert_eq!(refused(&dialogs), said);
}

#[test]
fn block_ons_too_deep_inside_each_other_are_refused() {
    let said = "step 1 of `a` has 33 block-ons inside each other; at most 32 can be";
    assert_eq!(refused(&program().after("a", 1, vec![compute(1), nested(NESTED + 1)])), said);
    // However deep: nothing here recurses.
    refused(&program().after("a", 1, vec![nested(LEVELS)]));
}

#[test]
fn a_total_beyond_the_limit_is_refused_though_each_number_is_possible() {
    let flood = |sends| program().every("a", 1, 1000, vec![compute(0); 9]).task("b", sends);
    assert_eq!(flood(vec![send("c", 49_998)]).check(), Ok(()));
    assert_eq!(
        refused(&flood(vec![sleep(0), send("c", 49_999)])),
        "with step 1 of `b`, the program does 60001 things (an event, a message, a byte or a \
         millisecond of a flood each); it can do at most 60000"
    );
    // A callback repeats its steps, and whoever starts a task repeats those of the task.
    let said = refused(&program().every("a", 1, 60_000, vec![send("c", 60_000)]));
    assert!(said.contains("with step 0 of `a`, the program does 3600060000 things"), "{said}");
    let starts = vec![spawn("b"), spawn("b")];
    let many = program().every("a", 1, 200, starts).dormant("b", vec![send("c", 200)]);
    let said = refused(&many);
    assert!(said.contains("with step 0 of `b`, the program does 81000 things"), "{said}");
    // No sum wraps.
    let doubling = (0..99).fold(program().task("d0", vec![spawn("d1"); 90]), |program, i| {
        let next = format!("d{}", i + 2);
        program.dormant(&format!("d{}", i + 1), vec![spawn(&next); 90])
    });
    assert!(refused(&doubling.dormant("d100", vec![])).contains("things"));
}

#[test]
fn the_milliseconds_of_floods_are_things() {
    let floods = |ms| program().flood("a", ms, vec![]).task("b", vec![Step::Yield { for_ms: ms }]);
    assert_eq!(floods(29_998).check(), Ok(()));
    assert!(refused(&floods(30_000)).contains("with step 0 of `b`"));
}

#[test]
fn an_actor_that_takes_too_long_is_refused() {
    let said = "`a` takes 600001 ms by itself; it can take at most 600000";
    assert_eq!(refused(&program().task("a", vec![sleep(600_000), sleep(1)])), said);
    let said = "`a` takes 36000000000 ms by itself; it can take at most 600000";
    assert_eq!(refused(&program().every("a", 600_000, 60_000, vec![])), said);
    let said = "`a` takes 660000 ms by itself; it can take at most 600000";
    assert_eq!(refused(&program().every("a", 10, 60, vec![compute(10_990)])), said);
    assert_eq!(program().every("a", 10, 60_000, vec![]).check(), Ok(()));
}

#[test]
fn a_task_that_starts_itself_again_is_refused() {
    let again = program().task("a", vec![spawn("b")]).dormant("b", vec![sleep(1), spawn("b")]);
    assert_eq!(again.check(), Err(Exceeded::Restarts("b".to_owned()).into()));
    let by_way = program().dormant("b", vec![spawn("c")]).dormant("c", vec![spawn("b")]);
    assert_eq!(refused(&by_way), "`b` starts itself again, and so never ends");
    let inside = program().dormant("b", vec![block_on("wait", vec![spawn("b")])]);
    refused(&inside);
}

#[test]
fn a_name_that_does_not_exist_is_still_an_error_of_names() {
    let error = program().task("a", vec![spawn("nobody")]).check();
    assert!(matches!(error, Err(ProgramError::Unknown { .. })), "{error:?}");
}

/// No two events of a run share a key, so that each can be compared with the one that was due.
#[track_caller]
fn ends_with_keys_of_their_own(program: &Program) {
    assert_eq!(program.check(), Ok(()));
    let trace = ideal(program);
    assert_eq!(trace.end, End::Finished);
    let keys: Vec<_> = trace.reached().map(|(_, key)| key).collect();
    let different: BTreeSet<_> = keys.iter().collect();
    assert_eq!(keys.len(), different.len());
    assert!(trace.events.len() as u64 <= THINGS + 1, "{}", trace.events.len());
}

#[test]
fn a_program_at_a_limit_runs_and_each_event_has_a_key_of_its_own() {
    ends_with_keys_of_their_own(&tasks(ACTORS, |_| vec![sleep(1); STEPS / ACTORS]));
    ends_with_keys_of_their_own(&program().task("a", vec![sleep(0); STEPS]));
    ends_with_keys_of_their_own(&program().task("a", vec![tick(1, 59_999)]));
    ends_with_keys_of_their_own(&program().after("a", 1, vec![nested(NESTED)]));
    ends_with_keys_of_their_own(&program().task("a", vec![nested(NESTED)]));
    // Many block-ons in one actor, with waits before, in, between and after them.
    let waits = |i| {
        let inner = block_on(&format!("inner-{i}"), vec![sleep(1), sleep(1)]);
        [sleep(1), block_on(&format!("outer-{i}"), vec![sleep(1), inner, sleep(1)]), sleep(1)]
    };
    let many = program().task("a", (0..LEVELS / 2).flat_map(waits).collect());
    ends_with_keys_of_their_own(&many);
    let deep = tasks(LEVELS, |i| vec![sleep(i as u64), dialog(&format!("dialog-{i}"), 200)]);
    ends_with_keys_of_their_own(&deep);
    assert!(ideal(&deep).events.iter().any(|e| usize::from(e.depth) == LEVELS));
}

#[test]
fn a_program_at_a_limit_can_be_written_as_toml_and_read_back() {
    for program in [
        program().after("a", 1, vec![nested(NESTED)]),
        tasks(ACTORS, |_| vec![sleep(1); STEPS / ACTORS]),
    ] {
        let text = toml::to_string(&program).expect("a program can be written");
        assert_eq!(toml::from_str::<Program>(&text).expect("and read"), program);
    }
}

#[test]
fn a_dormant_actor_that_nobody_starts_does_nothing() {
    let never = program().task("a", vec![sleep(1)]).with(
        "b",
        ActorKind::Dormant,
        vec![send("c", 60_000), send("c", 60_000)],
    );
    assert_eq!(never.check(), Ok(()));
    assert_eq!(ideal(&never).events.last().map(|e| e.what), Some(What::Done));
}
