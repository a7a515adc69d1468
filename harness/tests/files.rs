//! Files that a user names: too much in them, no end to them, names that are not text.

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use common::{folder, harness, run};
use harness::counterexample::Counterexample;
use loopnest_core::program::{Actor, ActorKind, Step};
use loopnest_core::{Program, Word};

/// A file with these actors.
fn with_actors(path: &Path, actors: Vec<Actor>) {
    let program = Program {
        name: "program".to_owned(),
        about: "What is read.".to_owned(),
        source: "a test".to_owned(),
        tags: Vec::new(),
        actors,
    };
    let file = Counterexample::new("dispatch", vec![Word::Progress], program, None);
    file.save(path).expect("room");
}

fn task(name: &str, steps: Vec<Step>) -> Actor {
    Actor { name: name.to_owned(), kind: ActorKind::Task, steps }
}

#[test]
fn a_file_with_more_than_a_program_can_have_is_rejected_with_the_number_and_the_limit() {
    let (_folder, path) = folder();
    let file = path.join("file.toml");
    let one = |step| vec![task("a", vec![step])];
    let send = |n| Step::Send { channel: "c".to_owned(), n };
    let sleep = || Step::Sleep { ms: 1 };
    // TOML has no larger number.
    let far = i64::MAX as u64;
    for (actors, said) in [
        (one(Step::Compute { ms: far }), "`ms` of step 0 of `a` is 9223372036854775807; it must"),
        (one(send(u32::MAX)), "`n` of step 0 of `a` is 4294967295; it must be from 1 to 60000"),
        (one(Step::Tick { every_ms: 0, times: 9 }), "`every_ms` of step 0 of `a` is 0; it must"),
        (one(Step::Tick { every_ms: 1, times: u32::MAX }), "`times` of step 0 of `a` is 42949"),
        (
            (0..70_000).map(|i| task(&format!("a{i}"), vec![sleep()])).collect(),
            "the program has 70000 actors; it can have at most 1000",
        ),
        (
            vec![task("a", vec![sleep(); 200_000])],
            "the program has 200000 steps, 200000 of them in `a`; it can have at most 10000",
        ),
    ] {
        with_actors(&file, actors);
        let ran = run(harness(["replay"]).arg(&file)).exits(2);
        assert!(ran.stderr.contains("the program cannot run: "), "{ran:#?}");
        assert!(ran.stderr.contains(said), "{said}: {ran:#?}");
        assert_eq!(ran.stdout, "");
    }
    let text = fs::read_to_string(&file).expect("it is there");
    fs::write(&file, text.replace("ms = 1", "ms = 9223372036854775808")).expect("room");
    let ran = run(harness(["replay"]).arg(&file)).exits(2);
    assert!(ran.stderr.contains("file.toml:"), "{ran:#?}");
}

#[test]
fn a_program_at_the_limits_is_judged_like_any_other() {
    let (_folder, path) = folder();
    let file = path.join("file.toml");
    let sleeps = |i: usize| task(&format!("a{i}"), vec![Step::Sleep { ms: 10 }; 10]);
    with_actors(&file, (0..1000).map(sleeps).collect());
    let ran = run(harness(["replay"]).arg(&file));
    // On a busy machine such a program is late, and what that gives is not the question here.
    assert!(matches!(ran.code, Some(0 | 1 | 3)), "{ran:#?}");
    assert!(ran.stdout.starts_with("dispatch/program  "), "{ran:#?}");
}

#[test]
fn a_file_without_end_is_rejected() {
    let (_folder, path) = folder();
    let file = path.join("zero.toml");
    std::os::unix::fs::symlink("/dev/zero", &file).expect("room");
    let ran = run(harness(["replay"]).arg(&file)).exits(2);
    assert!(ran.stderr.contains("zero.toml: it is longer than 16 MiB"), "{ran:#?}");
    let args = ["-s", "dispatch", "-c", "idle", "--expect"];
    let ran = run(harness(args).arg("/dev/zero")).exits(2);
    assert!(ran.stderr.contains("/dev/zero: it is longer than 16 MiB"), "{ran:#?}");
}

#[test]
fn the_name_of_a_file_need_not_be_text() {
    let (_folder, path) = folder();
    let file = path.join(OsStr::from_bytes(b"f\xffle.toml"));
    with_actors(&file, vec![task("a", vec![Step::Sleep { ms: 10 }])]);
    let ran = run(harness(["replay"]).arg(&file)).exits(0);
    assert!(ran.stdout.ends_with("\nseen again\n"), "{ran:#?}");
    let ran = run(harness(["replay"]).arg(path.join(OsStr::from_bytes(b"f\xff")))).exits(2);
    assert!(ran.stderr.contains("expected STRATEGY/SCENARIO"), "{ran:#?}");
}
