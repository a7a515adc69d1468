//! What goes to stdout, to stderr and to files, and what happens if writing fails.

mod common;

use std::fs::{self, File};
use std::process::Stdio;

use common::{Ran, Running, closed_pipe, folder, harness, program, run, wait_for};
use rustix::process::Signal;
use serde_json::Value;

/// A cell that takes a quarter of a second.
const QUICK: [&str; 4] = ["-s", "dispatch", "-c", "wake-from-callback"];

const FORMATS: [&str; 6] = ["human", "json", "jsonl", "csv", "junit", "markdown"];

fn full_device() -> Stdio {
    File::options().write(true).open("/dev/full").expect("Linux has one").into()
}

/// A stored run with good verdicts and bad ones.
fn stored() -> (tempfile::TempDir, std::path::PathBuf) {
    let (folder, path) = folder();
    let file = path.join("run.json");
    let cells = [
        "-s",
        "nested",
        "-s",
        "gtk-rs",
        "-c",
        "idle",
        "-c",
        "dialog-from-task",
        "-c",
        "dialog-from-callback",
    ];
    let args = cells.iter().chain(&["--full", "-f", "json", "--expect", "none", "-o"]);
    run(harness(args).arg(&file)).exits(0);
    (folder, file)
}

#[track_caller]
fn fits(ran: &Ran, width: usize) {
    let wide = ran.stdout.lines().find(|line| line.chars().count() > width);
    assert_eq!(wide, None, "wider than {width}:\n{}", ran.stdout);
}

#[test]
fn a_reader_that_goes_away_is_not_an_error() {
    for args in [
        &QUICK[..],
        &["-s", "dispatch", "-c", "wake-from-callback", "-f", "json"],
        &["list"],
        &["list", "--json"],
        &["--dry-run"],
        &["--help"],
        &["completions", "bash"],
        &["explain", "dispatch/wake-from-callback"],
        &["replay", "dispatch/wake-from-callback"],
    ] {
        let running = Running::start_with(&mut harness(args), closed_pipe(), Stdio::piped());
        let ran = running.wait().exits(0);
        assert_eq!(ran.stderr, "", "{args:?}");
    }
}

#[test]
fn a_closed_stderr_is_not_an_error_either() {
    let args = QUICK.iter().chain(&["--progress", "plain", "-f", "json"]);
    let mut command = harness(args);
    let command = command.env("HARNESS_X", "for a warning");
    let ran = Running::start_with(command, Stdio::piped(), closed_pipe()).wait().exits(0);
    assert_eq!(ran.cell().text(), "progress");
    let mut command = harness(["-s", "nosuch"]);
    Running::start_with(&mut command, Stdio::piped(), closed_pipe()).wait().exits(2);
}

#[test]
fn a_full_disk_changes_the_exit_code_but_loses_no_result() {
    let args = QUICK.iter().chain(&["-f", "json", "-o", "/dev/full"]);
    let ran = run(&mut harness(args)).exits(70);
    assert!(ran.stderr.starts_with("error: cannot write /dev/full"), "{ran:#?}");
    assert!(ran.stderr.contains("No space left"), "{ran:#?}");
    assert_eq!(ran.cell().text(), "progress");

    for args in [&QUICK[..], &["list"], &["--dry-run"], &["completions", "fish"]] {
        let running = Running::start_with(&mut harness(args), full_device(), Stdio::piped());
        let ran = running.wait().exits(70);
        assert!(ran.stderr.starts_with("error: cannot write to stdout: No space"), "{ran:#?}");
    }

    let args = QUICK.iter().chain(&["--timeline", "/dev/full"]);
    let ran = run(&mut harness(args)).exits(70);
    assert!(ran.stdout.contains("wake-from-callback  progress"), "{ran:#?}");
    assert!(ran.stderr.contains("cannot write /dev/full"), "{ran:#?}");
}

/// Nothing can be created in `/proc`, not even by root.
#[test]
fn a_working_folder_that_cannot_be_written_to_does_no_harm() {
    let ran = run(harness(QUICK.iter().chain(&["-f", "json"])).current_dir("/proc")).exits(0);
    assert_eq!(ran.cell().text(), "progress");
    let args = ["explore", "-s", "nested", "--seed", "1"];
    let ran = run(harness(args).current_dir("/proc")).exits(70);
    assert!(ran.stderr.contains("cannot write counterexamples/"), "{ran:#?}");
    assert!(ran.stdout.contains("task"), "the find is printed: {ran:#?}");
}

#[test]
fn sixteen_descriptors_are_enough() {
    let shell = ["-c", "ulimit -n 16; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_harness")];
    let cells = ["-s", "dispatch", "-s", "handoff", "-s", "nested", "-c", "idle", "-c", "ticker"];
    let args = shell.iter().chain(&cells).chain(&["-j", "2", "-f", "json"]);
    let ran = run(&mut program("sh", args)).exits(0);
    let result = ran.result();
    assert_eq!(result.cells.len(), 6);
    assert!(result.cells.iter().all(|cell| cell.text() == "progress"), "{ran:#?}");
}

#[test]
fn a_file_that_cannot_be_written_is_wrong_usage_before_anything_runs() {
    for file in ["/nonexistent/run.json", "/"] {
        for option in ["--output", "--timeline"] {
            let ran = run(harness(QUICK).args([option, file, "--progress", "plain"])).exits(2);
            assert!(ran.stderr.starts_with(&format!("error: cannot write {file}: ")), "{ran:#?}");
            // No cell has run.
            assert_eq!((ran.stdout.as_str(), ran.stderr.lines().count()), ("", 1), "{ran:#?}");
        }
    }
    let args = ["replay", "dispatch/idle", "--timeline", "/nonexistent/trace.json"];
    let ran = run(&mut harness(args)).exits(2);
    assert!(ran.stderr.contains("No such file or directory"), "{ran:#?}");
    let args = ["explore", "-s", "nested", "--output", "/proc/nonexistent/it.toml"];
    let ran = run(&mut harness(args)).exits(2);
    assert!(ran.stderr.contains("cannot write /proc/nonexistent/it.toml: No such"), "{ran:#?}");
}

#[test]
fn an_interrupted_run_leaves_a_file_as_it_was_and_prints_what_it_found() {
    let (_folder, path) = folder();
    let (new, old, timeline) = (path.join("new"), path.join("old"), path.join("timeline"));
    for file in [&old, &timeline] {
        fs::write(file, "what was here").expect("room");
    }
    for file in [&new, &old] {
        let mut command = harness(["-s", "dispatch", "-n", "50", "--progress", "plain"]);
        command.args(["-f", "json", "-o"]).arg(file).arg("--timeline").arg(&timeline);
        let running = Running::start(&mut command);
        wait_for("a cell that has ended", || running.stderr().contains('\n').then_some(()));
        running.send(Signal::INT);
        let ran = running.wait().exits(130);
        if file == &old {
            assert!(ran.result().partial && ran.stderr.contains("stays as it was"), "{ran:#?}");
        } else {
            assert_eq!(ran.stdout, "");
        }
    }
    // What was not there yet holds what was found.
    assert!(fs::read_to_string(&new).expect("it is there").contains("\"partial\": true"));
    for file in [&old, &timeline] {
        assert_eq!(fs::read_to_string(file).expect("it is there"), "what was here");
    }
}

#[test]
fn a_command_that_ends_early_leaves_no_empty_file() {
    let (_folder, path) = folder();
    let file = path.join("run.json");
    let mut command = harness(QUICK);
    command.args(["--timeline", "/nonexistent/trace.json", "-o"]).arg(&file);
    run(&mut command).exits(2);
    assert!(!file.exists());
}

#[test]
fn a_result_replaces_all_of_a_longer_one() {
    let (_folder, path) = folder();
    let file = path.join("run.json");
    fs::write(&file, "x".repeat(100_000)).expect("room");
    run(harness(QUICK).args(["-f", "json", "-o"]).arg(&file)).exits(0);
    let text = fs::read_to_string(&file).expect("it is there");
    assert!(text.starts_with('{') && text.ends_with("}\n"), "{text}");
}

#[test]
fn a_result_in_a_file_leaves_stdout_empty_and_has_no_escape_codes() {
    let (_folder, path) = folder();
    let file = path.join("matrix.txt");
    let mut command = harness(QUICK);
    let ran = run(command.arg("-o").arg(&file).env("CLICOLOR_FORCE", "1")).exits(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    let text = fs::read_to_string(&file).expect("it was written");
    assert!(text.contains("wake-from-callback  progress") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn colour_is_for_terminals_and_on_request() {
    let (_folder, file) = stored();
    for (flag, variables, colour) in [
        ("--color=auto", &[][..], false),
        ("--color=always", &[], true),
        ("--color=never", &[], false),
        ("--color=always", &[("NO_COLOR", "1")], true),
        ("--color=never", &[("CLICOLOR_FORCE", "1")], false),
        ("--color=auto", &[("CLICOLOR_FORCE", "1")], true),
        ("--color=auto", &[("CLICOLOR_FORCE", "0")], false),
        ("--color=auto", &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        ("--color=auto", &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")], true),
    ] {
        let mut command = harness(["report", flag]);
        let ran = run(command.arg(&file).envs(variables.iter().copied())).exits(0);
        assert_eq!(ran.stdout.contains('\u{1b}'), colour, "{flag} {variables:?}");
    }
    // Scripts read the other formats, so those stay plain.
    for format in &FORMATS[1..] {
        let ran = run(harness(["report", "--color=always", "-f", format]).arg(&file)).exits(0);
        assert!(!ran.stdout.contains('\u{1b}'), "{format}");
    }
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let args = ["-s", "all", "-c", "dialog-from-t*", "-c", "idle", "-c", "block-on-in-dialog"];
    let ran = run(harness(args).env("COLUMNS", "80").args(["--expect", "none"])).exits(0);
    assert!(ran.stdout.contains("block-on-in-dialog"), "{ran:#?}");
    fits(&ran, 80);
    assert!(ran.stdout.is_ascii(), "{ran:#?}");
}

#[test]
fn a_stored_run_is_printed_in_every_format_and_width() {
    let (_folder, file) = stored();
    for format in FORMATS {
        let ran = run(harness(["report", "-f", format]).arg(&file)).exits(0);
        assert!(ran.stdout.contains("dialog-from-task"), "{format}: {ran:#?}");
        assert!(ran.stdout.ends_with('\n'), "{format}");
        assert_eq!(ran.stderr, "", "{format}");
    }
    let huge = "18446744073709551615";
    for (columns, width) in
        [("80", 80), ("132", 132), ("", 80), ("0", 80), ("wide", 80), ("100000", 80), (huge, 80)]
    {
        let ran = run(harness(["report"]).arg(&file).env("COLUMNS", columns)).exits(0);
        fits(&ran, width);
        assert!(ran.stdout.contains("busy-loop"), "{columns}: {ran:#?}");
    }
    // With too little room, words are still whole.
    let ran = run(harness(["report"]).arg(&file).env("COLUMNS", "20")).exits(0);
    for word in ["stall", "busy-loop", "abort", "progress"] {
        assert!(ran.stdout.contains(word), "{word}: {ran:#?}");
    }
}

#[test]
fn what_is_stored_is_what_is_printed() {
    let (_folder, file) = stored();
    let again = run(harness(["report", "-f", "json"]).arg(&file)).exits(0);
    assert_eq!(again.stdout, fs::read_to_string(&file).expect("it was written"));
    assert!(again.result().cells.iter().all(|cell| cell.judgements.len() == 1));
}

#[test]
fn every_list_fits_eighty_columns_and_its_json_parses() {
    let whole = run(&mut harness(["list"])).exits(0);
    fits(&whole, 80);
    for what in ["strategies", "scenarios", "verdicts", "rules"] {
        let text = run(&mut harness(["list", what])).exits(0);
        assert!(whole.stdout.contains(&text.stdout), "{what} is a part of the whole");
        let json = run(&mut harness(["list", what, "--json"])).exits(0);
        let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
        let rows = json[what].as_array().expect("rows");
        assert!(rows.len() > 8, "{what}: {rows:?}");
        for row in rows {
            let name = row["name"].as_str().expect("a name");
            assert!(text.stdout.contains(&format!("\n  {name}\n")), "{what}: {name}");
        }
    }
    let json = run(&mut harness(["list", "--json"])).exits(0);
    let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json.as_object().map(serde_json::Map::len), Some(4));
}

#[test]
fn there_are_completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(&mut harness(["completions", shell])).exits(0);
        assert!(ran.stdout.contains("harness") && ran.stdout.contains("strategy"), "{shell}");
        assert_eq!(ran.stderr, "", "{shell}");
        for name in ["dispatch", "dialog-from-callback", "nested/idle", "lost-wake-up"] {
            let can_know = ["bash", "zsh", "fish"].contains(&shell);
            assert_eq!(ran.stdout.contains(name), can_know, "{shell} {name}");
        }
    }
}

#[test]
fn a_timeline_is_a_trace_that_viewers_can_open() {
    let (_folder, path) = folder();
    let file = path.join("trace.json");
    let args = ["-s", "nested", "-s", "dispatch", "-c", "dialog-from-callback", "--timeline"];
    run(harness(args).arg(&file).args(["--expect", "none"])).exits(0);
    let read = || -> Value {
        serde_json::from_slice(&fs::read(&file).expect("it was written")).expect("JSON")
    };
    let trace = read();
    let events = trace["traceEvents"].as_array().expect("events");
    assert!(events.len() > 100, "{}", events.len());
    for event in events {
        assert!(event["ph"].is_string() && event["pid"].is_number(), "{event}");
        // Only the names of processes and threads have no time.
        assert!(event["ph"] == "M" || event["ts"].is_number(), "{event}");
    }
    let text = trace.to_string();
    assert!(text.contains("nested/dialog-from-callback"));
    assert!(text.contains("dispatch/dialog-from-callback"));

    let replay = ["replay", "dispatch/wake-from-callback", "--timeline"];
    run(harness(replay).arg(&file)).exits(0);
    assert!(read()["traceEvents"].as_array().is_some_and(|events| !events.is_empty()));
}

#[test]
fn progress_is_silent_without_a_terminal_and_prints_lines_on_request() {
    for (kind, lines) in [("auto", 0), ("none", 0), ("plain", 1)] {
        let ran = run(&mut harness(QUICK.iter().chain(&["--progress", kind]))).exits(0);
        assert_eq!(ran.stderr.lines().count(), lines, "{kind}: {ran:#?}");
    }
}

#[test]
fn a_line_of_progress_says_how_far_it_is_and_what_is_unexpected() {
    let (_folder, path) = folder();
    let file = path.join("expected.toml");
    fs::write(&file, "[dispatch]\nwake-from-callback = \"stall\"\n").expect("room");
    let args = QUICK.iter().chain(&["-n", "2", "-j", "1", "--progress", "plain", "--expect"]);
    let ran = run(harness(args).arg(&file)).exits(1);
    let lines: Vec<&str> = ran.stderr.lines().filter(|line| !line.starts_with("warning")).collect();
    let [first, last, again, by_itself @ ..] = &lines[..] else { panic!("{ran:#?}") };
    let line = "dispatch/wake-from-callback progress, expected stall  ";
    assert!(first.starts_with(&format!("{line}1/2, ")) && first.ends_with(" left"), "{ran:#?}");
    assert_eq!(*last, format!("{line}2/2"));
    assert_eq!(*again, "1 cell to run again, each by itself");
    assert_eq!(by_itself, [format!("{line}by itself"), format!("{line}by itself")]);
    assert!(ran.stdout.contains("1 cell x 2 repeats in "), "{ran:#?}");
}

#[test]
fn columns_beyond_all_measure_are_no_problem() {
    let (_folder, file) = stored();
    let ran = run(harness(["report"]).arg(&file).env("COLUMNS", "18446744073709551615")).exits(0);
    fits(&ran, 1000);
}
