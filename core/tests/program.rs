//! Programs as data: what is checked, and that they survive being written as TOML.
#![cfg(not(loopnest_loom))]

mod common;

use common::*;
use loopnest_core::Program;
use loopnest_core::program::{ActorKind, How, ProgramError, Reply, Step};

/// Every kind of actor, with every step in every place where it is allowed.
fn everything() -> Program {
    let mut all = program()
        .task(
            "task",
            vec![
                sleep(1),
                tick(10, 3),
                send("channel", 2),
                receive("answers", 1),
                resolve("signal"),
                wait_for("signal"),
                call(10, 2, Reply::Error),
                write("pipe"),
                close("pipe"),
                read("other-pipe", 2),
                Step::Yield { for_ms: 5 },
                compute(7),
                dialog("run", 50),
                dialog_until_quit("until-quit"),
                Step::Dialog {
                    level: "iteration".to_owned(),
                    how: How::Iteration,
                    close_after_ms: Some(60_000),
                },
                Step::Dialog { level: "drain".to_owned(), how: How::Drain, close_after_ms: None },
                quit("run"),
                block_on(
                    "wait",
                    vec![
                        sleep(3),
                        block_on(
                            "inner",
                            vec![receive("inner-channel", 1), dialog("innermost", 1)],
                        ),
                        Step::Yield { for_ms: 0 },
                    ],
                ),
                spawn("dormant"),
                cancel("library"),
                Step::QuietBegin,
                Step::QuietEnd,
                Step::Panic,
            ],
        )
        .with("library", ActorKind::LibraryTask, vec![sleep(2)])
        .with("remote", ActorKind::RemoteTask, vec![sleep(2)])
        .dormant("dormant", vec![receive("channel", 2)])
        .with(
            "timeout",
            ActorKind::Timeout { every_ms: 10, times: 3, priority: -100 },
            vec![
                block_on("in-callback", vec![wait_for("signal")]),
                quit("until-quit"),
                Step::Panic,
            ],
        )
        .with("flood", ActorKind::Flood { for_ms: 400, priority: 200 }, vec![compute(1)])
        .watch("watch", "pipe", 2, vec![send("answers", 1)])
        .thread(
            "thread",
            vec![
                sleep(1),
                send("inner-channel", 1),
                resolve("signal"),
                write("other-pipe"),
                close("other-pipe"),
                quit("drain"),
                spawn("dormant"),
                cancel("task"),
            ],
        )
        .task("no-steps", vec![]);
    all.tags = vec!["dialog".to_owned(), "flood".to_owned()];
    all
}

#[test]
fn every_step_is_allowed_where_its_documentation_says() {
    assert_eq!(everything().check(), Ok(()));
}

#[test]
fn a_program_survives_toml() {
    let before = everything();
    let text = toml::to_string(&before).expect("a program can be written as TOML");
    let after: Program = toml::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(before, after, "{text}");
}

#[test]
fn a_program_survives_pretty_toml() {
    let before = everything();
    let text = toml::to_string_pretty(&before).expect("a program can be written as TOML");
    let after: Program = toml::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(before, after, "{text}");
}

/// What a person would write.
const BY_HAND: &str = r#"
name = "dialog-from-callback"
about = "A GLib callback opens a dialog while a task ticks."
source = "asyncio-glib's announcement"

[[actors]]
name = "ticker"
kind = "task"
steps = [{ do = "tick", every_ms = 10, times = 50 }]

[[actors]]
name = "opener"
kind = "timeout"
every_ms = 50
times = 1
priority = 0
steps = [{ do = "dialog", level = "dialog", how = "run", close_after_ms = 400 }]
"#;

#[test]
fn a_program_can_be_written_by_hand() {
    let parsed: Program = toml::from_str(BY_HAND).expect("the text is a program");
    let mut wanted = program().task("ticker", vec![tick(10, 50)]).after(
        "opener",
        50,
        vec![dialog("dialog", 400)],
    );
    wanted.name = "dialog-from-callback".to_owned();
    wanted.about = "A GLib callback opens a dialog while a task ticks.".to_owned();
    wanted.source = "asyncio-glib's announcement".to_owned();
    assert_eq!(parsed, wanted);
}

#[test]
fn a_typo_is_an_error_and_not_another_program() {
    let slips = [
        ("name =", "nmae ="),
        ("kind = \"task\"", "kind = \"tusk\""),
        ("kind = \"task\"", "sort = \"task\""),
        ("steps =", "stpes ="),
        ("do = \"tick\"", "do = \"tock\""),
        ("times = 50", "time = 50"),
        ("times = 1\n", "times = 1\ntiems = 2\n"),
        ("kind = \"task\"", "kind = \"task\"\nevery_ms = 5"),
        ("how = \"run\", close_after_ms", "how = \"run\", close_after"),
        ("how = \"run\"", "how = \"ran\""),
    ];
    for (right, wrong) in slips {
        let text = BY_HAND.replacen(right, wrong, 1);
        assert_ne!(text, BY_HAND, "{right} is in the text");
        assert!(toml::from_str::<Program>(&text).is_err(), "{wrong} is accepted");
    }
}

#[track_caller]
fn fails(program: Program, error: ProgramError) {
    assert_eq!(program.check(), Err(error));
}

fn unknown(actor: &str, step: usize, name: &str) -> ProgramError {
    ProgramError::Unknown { actor: actor.to_owned(), step, name: name.to_owned() }
}

fn waits(actor: &str, step: usize) -> ProgramError {
    ProgramError::Waits { actor: actor.to_owned(), step }
}

fn in_thread(actor: &str, step: usize) -> ProgramError {
    ProgramError::InThread { actor: actor.to_owned(), step }
}

#[test]
fn two_actors_of_one_name_are_an_error() {
    let twice = ProgramError::Twice("a".to_owned());
    assert_eq!(twice.to_string(), "the name `a` is used twice");
    fails(program().task("a", vec![]).after("a", 1, vec![]), twice);
}

#[test]
fn two_levels_of_one_name_are_an_error_wherever_they_are() {
    let twice = || ProgramError::Twice("level".to_owned());
    fails(program().task("a", vec![dialog("level", 1), dialog("level", 1)]), twice());
    let inside = block_on("wait", vec![dialog("level", 1)]);
    fails(program().task("a", vec![inside]).task("b", vec![dialog("level", 1)]), twice());
    fails(program().task("a", vec![block_on("level", vec![dialog("level", 1)])]), twice());
}

#[test]
fn an_actor_and_a_level_may_share_a_name() {
    assert_eq!(program().task("a", vec![dialog("a", 1)]).check(), Ok(()));
}

#[test]
fn a_step_that_names_nothing_is_an_error() {
    let error = unknown("a", 1, "nobody");
    assert_eq!(error.to_string(), "step 1 of `a` names `nobody`, which does not exist");
    fails(program().task("a", vec![sleep(1), spawn("nobody")]), error);
    fails(program().task("a", vec![cancel("nobody")]), unknown("a", 0, "nobody"));
    fails(program().after("a", 1, vec![quit("nothing")]), unknown("a", 0, "nothing"));
    fails(program().thread("a", vec![quit("nothing")]), unknown("a", 0, "nothing"));
}

#[test]
fn the_steps_inside_a_block_on_are_checked_too() {
    let inside = |step| program().after("a", 1, vec![compute(1), block_on("wait", vec![step])]);
    fails(inside(spawn("nobody")), unknown("a", 1, "nobody"));
    fails(inside(quit("nothing")), unknown("a", 1, "nothing"));
    fails(inside(block_on("inner", vec![cancel("nobody")])), unknown("a", 1, "nobody"));
    // They run as a task, so they may wait.
    for step in [
        sleep(1),
        tick(1, 1),
        receive("c", 1),
        wait_for("s"),
        read("p", 1),
        call(1, 1, Reply::Value),
    ] {
        assert_eq!(inside(step).check(), Ok(()));
    }
}

#[test]
fn a_block_on_cannot_be_quit() {
    let wait = block_on("wait", vec![sleep(1)]);
    fails(program().task("a", vec![wait, quit("wait")]), unknown("a", 1, "wait"));
}

#[test]
fn a_callback_must_not_wait() {
    assert_eq!(waits("a", 0).to_string(), "step 0 of `a` waits, which only an async task can do");
    let waiting = [
        sleep(1),
        tick(1, 1),
        receive("c", 1),
        wait_for("s"),
        read("p", 1),
        Step::Yield { for_ms: 1 },
    ];
    for step in waiting {
        let steps = || vec![step.clone()];
        fails(program().after("a", 1, steps()), waits("a", 0));
        fails(program().flood("a", 1, steps()), waits("a", 0));
        fails(program().watch("a", "other", 1, steps()), waits("a", 0));
        assert_eq!(program().task("a", steps()).check(), Ok(()));
        assert_eq!(program().dormant("a", steps()).check(), Ok(()));
        assert_eq!(program().with("a", ActorKind::LibraryTask, steps()).check(), Ok(()));
    }
}

#[test]
fn a_thread_can_sleep_but_not_wait_for_anything_else() {
    assert_eq!(program().thread("a", vec![sleep(1)]).check(), Ok(()));
    for step in [tick(1, 1), receive("c", 1), wait_for("s"), read("p", 1), call(1, 1, Reply::Value)]
    {
        fails(program().thread("a", vec![step]), waits("a", 0));
    }
}

#[test]
fn a_thread_can_do_nothing_that_belongs_to_a_loop() {
    assert_eq!(in_thread("a", 0).to_string(), "step 0 of `a` cannot be done by a thread");
    for step in [dialog("d", 1), block_on("w", vec![]), compute(1), Step::Panic] {
        fails(program().thread("a", vec![sleep(1), step]), in_thread("a", 1));
    }
}

#[test]
fn only_a_dormant_actor_can_be_spawned() {
    let error = || ProgramError::NotDormant("b".to_owned());
    assert_eq!(error().to_string(), "`b` is spawned, but it is not dormant");
    fails(program().task("a", vec![spawn("b")]).task("b", vec![]), error());
    fails(program().task("a", vec![spawn("b")]).after("b", 1, vec![]), error());
}

#[test]
fn two_actors_must_not_read_from_one_channel_or_pipe() {
    // tokio's channel has one receiver, and a descriptor is watched by one side.
    let error = || ProgramError::Contended("x".to_owned());
    assert_eq!(error().to_string(), "two actors read from `x`");
    let taker = || vec![receive("x", 1)];
    fails(program().task("a", taker()).task("b", taker()), error());
    let inside = vec![block_on("wait", taker())];
    fails(program().task("a", taker()).after("b", 1, inside), error());
    fails(program().task("a", vec![read("x", 1)]).watch("b", "x", 1, vec![]), error());
    fails(program().watch("a", "x", 1, vec![]).watch("b", "x", 1, vec![]), error());
}

#[test]
fn one_actor_can_read_often_and_many_can_send() {
    let all = program()
        .task("a", vec![receive("x", 1), block_on("wait", vec![receive("x", 1)]), read("x", 1)])
        .task("b", vec![send("x", 1), write("x")])
        .task("c", vec![send("x", 1), write("x")]);
    assert_eq!(all.check(), Ok(()));
}

#[test]
fn levels_are_numbered_in_order_of_appearance() {
    assert_eq!(
        everything().levels(),
        ["run", "until-quit", "iteration", "drain", "wait", "inner", "innermost", "in-callback",]
    );
}
