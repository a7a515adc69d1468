//! What the command line accepts, what it rejects, and how it exits.

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use common::{Ran, folder, harness, run};
use harness::Registry;
use harness::expect::Expectations;
use loopnest_core::Word;
use loopnest_core::verdict::Word::{BusyLoop, Progress, Stall};

/// A cell that takes a quarter of a second and makes progress.
const QUICK: [&str; 4] = ["-s", "dispatch", "-c", "wake-from-callback"];

/// A cell that does not make progress.
const BAD: [&str; 4] = ["-s", "nested", "-c", "dialog-from-callback"];

#[track_caller]
fn usage(args: &[&str]) -> Ran {
    let ran = run(&mut harness(args)).exits(2);
    assert_eq!(ran.stdout, "", "{ran:#?}");
    assert!(ran.stderr.starts_with("error: "), "{ran:#?}");
    ran
}

/// Runs `cell` with an expectation file of this text.
fn expecting(text: &str, cell: &[&str]) -> (Ran, String) {
    let (_folder, path) = folder();
    let file = path.join("expected.toml");
    fs::write(&file, text).expect("room");
    let ran = run(harness(cell).arg("--expect").arg(&file));
    (ran, file.display().to_string())
}

#[test]
fn an_unknown_name_gets_the_nearest_as_a_suggestion() {
    for (args, said) in [
        (&["-s", "nosuch"][..], "`nosuch`; `harness list strategies` lists them\n"),
        (&["-c", "nosuch"], "`nosuch`; `harness list scenarios` lists them\n"),
        (&["-s", "nestd"], "no strategy matches `nestd`; did you mean nested?\n"),
        (&["-s", "nested-"], "no strategy matches `nested-`; did you mean nested, nested-no-wake?"),
        (&["-c", "dialog-from-tsk"], "did you mean dialog-from-task, "),
        (&["-s", "nested", "-c", "!nosuch"], "no scenario matches `nosuch`"),
        (&["--dry-run", "-s", "dispach"], "did you mean dispatch"),
        (&["explain", "nosuch/idle"], "no strategy matches `nosuch`"),
        (&["replay", "nested/idel"], "did you mean idle"),
    ] {
        let ran = usage(args);
        assert!(ran.stderr.contains(said), "{args:?}: {ran:#?}");
    }
}

#[test]
fn nonsense_is_wrong_usage() {
    for args in [
        &["--jobs", "0"][..],
        &["-n", "0"],
        &["-n", "-1"],
        &["--seed", "nothex"],
        &["--format", "pdf"],
        &["--color", "sometimes"],
        &["--write-expectations"],
        &["--expect", "none", "--write-expectations"],
        &["explain", "nested"],
        &["replay", "nested/idle", "--verdict", "stuck"],
        &["replay", "nested/idle", "--verdict", "stall+stall"],
        &["replay", "nested/idle", "--verdict", "progress+stall"],
        &["doctor", "-n", "0"],
        &["completions", "cmd"],
        &["list", "rules", "lost-wakeup"],
        &["explain", "nested/idle", "--strategy", "dispatch"],
        &["explain", "nested/idle", "--from", "/nonexistent/run.json"],
        &["explain", "nested/idle", "--from", "run.json", "-n", "2"],
        &["list", "strategies", "--markdown"],
        &["nosuch"],
    ] {
        usage(args);
    }
    let no_text = OsStr::from_bytes(b"\xff");
    run(&mut harness([OsStr::new("-s"), no_text])).exits(2);
}

#[test]
fn an_empty_selection_runs_nothing_and_exits_4() {
    let ran = run(&mut harness(["-s", "nested", "-c", "!*"])).exits(4);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("no cell"), "{ran:#?}");
}

#[test]
fn a_dry_run_prints_the_cells_that_would_run_and_runs_none() {
    let args = ["-s", "nested*", "-c", "dialog-q*", "-c", "idle", "-s", "!*wake", "--dry-run"];
    let ran = run(&mut harness(args)).exits(0);
    assert_eq!(ran.stdout, "nested/dialog-quiet\nnested/idle\n");
    assert_eq!(ran.stderr, "");
    // Without a selection it is the whole matrix, and a million repeats cost nothing.
    let all = run(&mut harness(["--dry-run", "-n", "1000000"])).exits(0);
    let same = run(&mut harness(["run", "-s", "all", "-c", "all", "--dry-run"])).exits(0);
    assert_eq!(all.stdout, same.stdout);
    assert!(all.stdout.lines().count() >= 100, "{all:#?}");
}

#[test]
fn the_exit_code_says_whether_a_verdict_is_the_expected_one() {
    let row = |verdict: &str| format!("[dispatch]\nwake-from-callback = \"{verdict}\"\n");
    let (ran, _) = expecting(&row("progress"), &QUICK);
    assert!(ran.exits(0).stdout.contains("0 unexpected"));
    let (ran, _) = expecting(&row("stall+busy-loop"), &QUICK);
    let ran = ran.exits(1);
    assert!(ran.stdout.contains("1 unexpected"), "{ran:#?}");
    assert!(ran.stdout.contains("expected stall+busy-loop"), "{ran:#?}");
    assert!(ran.stdout.contains(": harness explain dispatch/wake-from-callback\n"), "{ran:#?}");
    let (ran, _) = expecting(&row("stall"), &[&QUICK[..], &["--fail-on", "never"]].concat());
    ran.exits(0);
    // A cell that the file does not name is never unexpected.
    let (ran, _) = expecting("", &QUICK);
    ran.exits(0);
}

#[test]
fn a_known_stall_fails_only_if_asked_for() {
    let known = "[nested]\ndialog-from-callback = \"busy-loop+stall\"\n";
    let (ran, _) = expecting(known, &BAD);
    ran.exits(0);
    let (ran, _) = expecting(known, &[&BAD[..], &["--fail-on", "bad"]].concat());
    ran.exits(1);
    let none = ["--expect", "none", "-f", "json"];
    let ran = run(&mut harness(BAD.iter().chain(&none))).exits(0);
    assert_eq!(ran.cell().expected, None);
    assert!(!ran.stdout.contains("expected"), "{ran:#?}");
}

#[test]
fn expectations_are_written_and_rows_that_were_not_run_are_kept() {
    let (_folder, path) = folder();
    let file = path.join("expected.toml");
    let before = "[dispatch]\nwake-from-callback = \"abort\"\nticker = \"lost\"\n\n\
                  [handoff]\nidle = \"stall\"\n";
    fs::write(&file, before).expect("room");
    let write = |path: &Path, cell: &[&str]| {
        run(harness(cell).arg("--write-expectations").arg("--expect").arg(path))
    };
    // The difference was to be written down, so it is not unexpected.
    let ran = write(&file, &QUICK).exits(0);
    assert!(ran.stderr.contains("wrote ") && ran.stderr.contains("expected.toml"), "{ran:#?}");
    let registry = Registry::default();
    let read =
        |path: &Path| Expectations::load(path, &registry).expect("what was written can be read");
    let after = read(&file);
    assert_eq!(after.get("dispatch", "wake-from-callback"), Some(&[Progress][..]));
    assert_eq!(after.get("dispatch", "ticker"), Some(&[Word::Lost][..]));
    assert_eq!(after.get("handoff", "idle"), Some(&[Stall][..]));
    // A missing file is created.
    let new = path.join("new.toml");
    write(&new, &BAD).exits(0);
    assert_eq!(read(&new).get("nested", "dialog-from-callback"), Some(&[Stall, BusyLoop][..]));
    let text = fs::read_to_string(&new).expect("it was written");
    write(&new, &BAD).exits(0);
    assert_eq!(fs::read_to_string(&new).expect("it was written"), text);
}

#[test]
fn a_broken_expectation_file_is_rejected_with_its_line_before_anything_runs() {
    for (text, line, said) in [
        ("[dispatch]\nticker =\n", 2, ""),
        ("\n\n[dispatch]\nticker = \"slow\"\n", 4, "no such verdict, `slow`"),
        ("[dispatch]\nticker = 7\n", 2, ""),
        ("[dispatch]\nticker = \"progress+stall\"\n", 2, "cannot be joined"),
        ("[dispatch]\nticker = \"stall+stall\"\n", 2, "`stall` is there twice"),
        ("[dispatch]\nticker = \"stal\"\n", 2, "did you mean `stall`?"),
        ("[dispatch]\n\ntikcer = \"stall\"\n", 3, "no scenario matches `tikcer`; did you mean "),
        ("\n[dispach]\nticker = \"stall\"\n", 2, "no strategy matches `dispach`; did you mean "),
    ] {
        let args = [&QUICK[..], &["--progress", "plain"]].concat();
        let (ran, file) = expecting(text, &args);
        let ran = ran.exits(2);
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.starts_with(&format!("error: {file}:{line}: ")), "{ran:#?}");
        assert!(ran.stderr.contains(said), "{ran:#?}");
        assert_eq!(ran.stderr.lines().count(), 1, "a cell was run: {ran:#?}");
    }
    let ran = usage(&[&QUICK[..], &["--expect", "/nonexistent/expected.toml"]].concat());
    assert!(ran.stderr.contains("/nonexistent/expected.toml"), "{ran:#?}");
}

#[test]
fn a_stored_run_that_cannot_be_read_is_wrong_usage() {
    let (_folder, path) = folder();
    let file = path.join("run.json");
    let report = || run(harness(["report"]).arg(&file)).exits(2);
    assert!(report().stderr.contains("cannot read "));
    for (bytes, said) in [
        (&b""[..], "is not a run stored with"),
        (b"\xff\xfe", "cannot read "),
        (b"[1, 2]", "is not a run stored with"),
        (br#"{"schema": 1}"#, "is not a run stored with"),
    ] {
        fs::write(&file, bytes).expect("room");
        let ran = report();
        assert!(ran.stderr.contains(said) && ran.stderr.contains("run.json"), "{ran:#?}");
        assert_eq!(ran.stdout, "");
    }
    assert!(usage(&["report", "/"]).stderr.contains("cannot read /"));
}

#[test]
fn a_run_with_another_schema_is_rejected() {
    let (_folder, path) = folder();
    let file = path.join("run.json");
    let mut result = run(&mut harness(QUICK.iter().chain(&["-f", "json"]))).exits(0).result();
    result.schema += 1;
    fs::write(&file, serde_json::to_string(&result).expect("JSON")).expect("room");
    let ran = run(harness(["report"]).arg(&file)).exits(2);
    assert!(ran.stderr.contains("schema 2; this harness reads 1"), "{ran:#?}");
}

#[test]
fn replay_says_whether_the_verdict_was_seen_again() {
    let replay = |verdict| run(&mut harness(["replay", "nested/dialog-from-callback", verdict]));
    let ran = replay("--verdict=stall+busy-loop").exits(0);
    assert!(ran.stdout.ends_with("\nseen again\n"), "{ran:#?}");
    // In any order, as people write it.
    replay("--verdict=busy-loop+stall").exits(0);
    let ran = replay("--verdict=progress").exits(1);
    assert!(
        ran.stdout.ends_with("\nnot seen again: expected progress, got stall+busy-loop\n"),
        "{ran:#?}"
    );
}

#[test]
fn explain_names_the_rule_and_the_command_that_replays_the_cell() {
    let ran = run(&mut harness(["explain", "gtk-rs/dialog-from-task"])).exits(0);
    assert!(ran.stdout.contains("METHODOLOGY.md#executor-re-entered"), "{ran:#?}");
    assert!(ran.stdout.ends_with("\nReplay  harness replay gtk-rs/dialog-from-task\n"), "{ran:#?}");
    assert_eq!(ran.stderr, "");
}

#[test]
fn variables_set_flags_and_flags_win() {
    let repeats = |args: &[&str]| {
        let args = QUICK.iter().chain(&["-f", "json"]).chain(args);
        let ran = run(harness(args).env("HARNESS_REPEAT", "2").env("HARNESS_SEED", "abc"));
        let ran = ran.exits(0);
        assert_eq!(ran.stderr, "");
        assert_eq!(ran.result().seed, "abc");
        ran.cell().repeats
    };
    assert_eq!(repeats(&[]), 2);
    assert_eq!(repeats(&["-n", "1"]), 1);
}

#[test]
fn an_unknown_variable_gives_a_warning_and_has_no_effect() {
    let ran = run(harness(["--dry-run", "-s", "nested", "-c", "idle"])
        .env("HARNESS_REPEATS", "2")
        .env("HARNESS_SEED", "1"))
    .exits(0);
    assert_eq!(ran.stdout, "nested/idle\n");
    assert_eq!(
        ran.stderr,
        "warning: HARNESS_REPEATS has no effect; the variables are HARNESS_REPEAT and \
         HARNESS_SEED\n"
    );
    // A cell does not warn too: what it writes is evidence.
    let args = QUICK.iter().chain(&["--progress", "plain"]);
    let ran = run(harness(args).env("HARNESS_X", "")).exits(0);
    assert_eq!(ran.stderr.matches("HARNESS_X").count(), 1, "{ran:#?}");
}

#[test]
fn help_lists_every_exit_code_and_no_internal_command() {
    let help = run(&mut harness(["help", "run"])).exits(0);
    for code in [0, 1, 2, 3, 4, 5, 70, 130] {
        let documented = help.stdout.lines().any(|line| line.starts_with(&format!("  {code} ")));
        assert!(documented, "{code}: {}", help.stdout);
    }
    let help = run(&mut harness(["--help"])).exits(0);
    assert!(help.stdout.contains("  doctor  ") && !help.stdout.contains("  cell  "), "{help:#?}");
}

#[test]
fn a_rule_a_verdict_a_scenario_and_a_strategy_have_a_page() {
    for (args, title, said) in [
        (["rules", "lost-wake-up"], "lost-wake-up (rules)", "\nTry     "),
        (["verdicts", "stall"], "stall (verdicts)", "would suffer from it."),
        (["scenarios", "dialog-quiet"], "dialog-quiet (scenarios)", "open dialog"),
        (["strategies", "dispatch"], "dispatch (strategies)", "\nLimit   "),
        (["all", "refused"], "refused (verdicts)", "\nrefused (rules)\n"),
    ] {
        let ran = run(harness(["list"]).args(args)).exits(0);
        assert!(ran.stdout.starts_with(title) && ran.stdout.contains(said), "{ran:#?}");
    }
    let ran = run(&mut harness(["list", "rules", "lost-wake-up", "--format", "markdown"])).exits(0);
    assert!(ran.stdout.starts_with("## lost-wake-up\n"), "{ran:#?}");
    assert_eq!(ran.stdout.matches("\n## ").count(), 0, "{ran:#?}");
    let ran = run(&mut harness(["list", "rules", "lost-wakeup"])).exits(2);
    assert!(ran.stderr.contains("`lost-wakeup`; did you mean lost-wake-up?"), "{ran:#?}");
}

#[test]
fn what_went_before_is_written_differently_and_still_works() {
    let of = |args: &[&str]| run(&mut harness(args)).exits(0).stdout;
    assert_eq!(of(&["list", "--json"]), of(&["list", "--format", "json"]));
    let page = of(&["list", "rules", "--markdown"]);
    assert_eq!(page, of(&["list", "rules", "-f", "markdown"]));
}

#[test]
fn under_cargo_run_the_commands_are_those_of_cargo() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut command = harness(["-s", "zzz"]);
    command.arg0(env!("CARGO_BIN_EXE_harness")).current_dir(root).env("CARGO", "cargo");
    command.env("CARGO_PKG_NAME", "harness").env("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"));
    let ran = run(&mut command).exits(2);
    assert!(ran.stderr.contains("; `cargo run "), "{ran:#?}");
    assert!(ran.stderr.contains("-p harness -- list strategies` lists them\n"), "{ran:#?}");
}
