//! What `explain` explains: a cell that it runs, several runs of it, a stored run, a file.

mod common;

use std::fs;
use std::path::PathBuf;

use common::{Ran, folder, harness, run};
use harness::counterexample::Counterexample;
use harness::result::RunResult;
use harness::scenarios;
use loopnest_core::Word;
use serde_json::Value;

/// A cell that takes a quarter of a second and makes progress.
const QUICK: [&str; 4] = ["-s", "dispatch", "-c", "wake-from-callback"];

#[track_caller]
fn fits(ran: &Ran, width: usize) {
    let wide = ran.stdout.lines().find(|line| line.chars().count() > width);
    assert_eq!(wide, None, "wider than {width}:\n{}", ran.stdout);
}

/// A run of `dispatch/wake-from-callback`, stored with these arguments.
fn stored(args: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let (folder, path) = folder();
    let file = path.join("run.json");
    run(harness(QUICK).args(["-f", "json"]).args(args).arg("-o").arg(&file)).exits(0);
    (folder, file)
}

fn from(cell: &str, file: &PathBuf) -> Ran {
    run(harness(["explain", cell, "--from"]).arg(file))
}

#[test]
fn a_stored_run_is_explained_as_it_was_without_running_anything() {
    let (_folder, file) = stored(&["--full", "-n", "2"]);
    let result: RunResult =
        serde_json::from_slice(&fs::read(&file).expect("it was written")).expect("a run");
    let trace = &result.cells[0].record.as_ref().expect("it is there").trace;
    let ran = from("dispatch/wake-from-callback", &file).exits(0);
    assert!(ran.stdout.starts_with("dispatch x wake-from-callback"), "{ran:#?}");
    assert!(ran.stdout.contains("\n  2 of 2 runs had this verdict.\n"), "{ran:#?}");
    assert!(ran.stdout.ends_with("\nReplay  harness replay dispatch/wake-from-callback\n"));
    assert_eq!(ran.stderr, "");
    // The same each time, even if the strategy does something else today.
    assert_eq!(from("dispatch/wake-from-callback", &file).stdout, ran.stdout);
    // And what is in the file decides, not the scenario of that name.
    let mut other: Value = serde_json::to_value(&result).expect("JSON");
    other["cells"][0]["record"]["program"]["about"] = "As it was then.".into();
    other["cells"][0]["record"]["trace"]["events"] = Value::Array(Vec::new());
    fs::write(&file, other.to_string()).expect("room");
    let ran = from("dispatch/wake-from-callback", &file).exits(0);
    assert!(ran.stdout.contains("  As it was then.\n") && !trace.events.is_empty(), "{ran:#?}");
    assert!(!ran.stdout.contains("progress\n"), "{ran:#?}");
}

#[test]
fn a_run_without_what_is_needed_says_which_command_stores_it() {
    let (_folder, file) = stored(&[]);
    let ran = from("dispatch/wake-from-callback", &file).exits(2);
    let said = "does not say what happened in dispatch/wake-from-callback; \
                `harness run --format json --full` does\n";
    assert!(ran.stderr.starts_with("error: ") && ran.stderr.ends_with(said), "{ran:#?}");
    let ran = from("dispatch/wake-from-calback", &file).exits(2);
    let said =
        "has no cell dispatch/wake-from-calback; did you mean dispatch/wake-from-callback?\n";
    assert!(ran.stderr.ends_with(said), "{ran:#?}");
    let ran = from("found.toml", &file).exits(2);
    assert!(ran.stderr.contains("name STRATEGY/SCENARIO"), "{ran:#?}");
}

#[test]
fn a_run_that_other_rules_judged_is_explained_with_a_warning() {
    let (_folder, file) = stored(&["--full"]);
    let mut result: Value =
        serde_json::from_slice(&fs::read(&file).expect("it was written")).expect("JSON");
    result["rules"] = 0.into();
    result["cells"][0]["verdict"] = Value::Array(vec!["lost".into()]);
    fs::write(&file, result.to_string()).expect("room");
    let ran = from("dispatch/wake-from-callback", &file).exits(0);
    assert!(ran.stderr.contains("was judged by rules 0, which said lost"), "{ran:#?}");
    assert!(ran.stdout.contains("progress\n"), "{ran:#?}");
}

#[test]
fn a_counterexample_is_explained_on_any_strategy() {
    let (_folder, path) = folder();
    let file = path.join("found.toml");
    let mut program = scenarios::all().into_iter().find(|p| p.name == "wake-from-callback");
    let mut program = program.take().expect("it is there");
    program.name = "found".to_owned();
    let verdict = vec![Word::Progress];
    Counterexample::new("dispatch", verdict, program, None).save(&file).expect("room");
    let ran = run(harness(["explain"]).arg(&file).env("COLUMNS", "1000")).exits(0);
    assert!(ran.stdout.starts_with("dispatch x found  "), "{ran:#?}");
    fits(&ran, 100);
    let ran = run(harness(["explain", "-s", "handoff"]).arg(&file)).exits(0);
    assert!(ran.stdout.starts_with("handoff x found  "), "{ran:#?}");
    let (_, replay) = ran.stdout.split_once("\nReplay  ").expect("a command");
    let words: Vec<&str> = replay.split_whitespace().filter(|word| *word != "\\").collect();
    let path = file.to_str().expect("a plain name");
    assert_eq!(words, ["harness", "replay", path, "--strategy", "handoff"]);
}

#[test]
fn of_several_runs_the_page_says_how_many_agree() {
    let ran = run(&mut harness(["explain", "dispatch/wake-from-callback", "-n", "3"])).exits(0);
    assert!(ran.stdout.contains("\n  3 of 3 runs had this verdict.\n"), "{ran:#?}");
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_page_is_as_wide_as_the_terminal_and_has_colour_on_request() {
    let (_folder, file) = stored(&["--full"]);
    let of = |columns: &str, color: &str| {
        let mut command = harness(["explain", "dispatch/wake-from-callback", "--color", color]);
        run(command.arg("--from").arg(&file).env("COLUMNS", columns)).exits(0)
    };
    for (columns, width) in [("50", 50), ("80", 80), ("1000", 100), ("18446744073709551615", 100)] {
        let ran = of(columns, "auto");
        fits(&ran, width);
        assert!(!ran.stdout.contains('\u{1b}'), "{ran:#?}");
    }
    assert!(of("80", "always").stdout.contains('\u{1b}'));
    let replay = ["replay", "dispatch/wake-from-callback", "--color", "always"];
    let ran = run(&mut harness(replay)).exits(0);
    assert!(ran.stdout.contains("\u{1b}[32mprogress\u{1b}[0m  1/1\n"), "{ran:#?}");
}
