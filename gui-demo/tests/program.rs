//! The demo as a program: what it counts of itself, how it ends, what it says when it cannot begin.

mod common;

use std::fs::{self, File};
use std::process::{Command, Output, Stdio};

use common::session::DEMO;
use common::{Desk, Running, complaints, wait_for};
use gui_demo::dialogs::Kind;
use gui_demo::report::Report;
use loopnest_core::Word;
use rustix::process::{Pid, Signal, kill_process};

/// Runs the demo on a desk to its end, which must be a good one.
fn run(desk: &Desk, args: &[&str]) -> Report {
    let file = desk.folder().join("report.json");
    let mut cmd = desk.command(DEMO);
    cmd.args(args).arg("--report").arg(&file).env("RUST_BACKTRACE", "0");
    let output = cmd.output().expect("the demo");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(complaints(&log), [""; 0], "{args:?}: GLib or GTK complained");
    assert_eq!(output.status.code(), Some(0), "{args:?}: {log}");
    let json = fs::read(file).expect("a report");
    serde_json::from_slice(&json).expect("a report that can be read")
}

fn without_display(set: Option<&str>, args: &[&str]) -> Output {
    let mut cmd = Command::new(DEMO);
    cmd.args(args).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").env("GDK_BACKEND", "x11");
    if let Some(display) = set {
        cmd.env("DISPLAY", display);
    }
    cmd.output().expect("the demo")
}

#[test]
fn without_a_display_it_says_what_to_set_or_install() {
    let output = without_display(None, &[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{text}");
    assert!(text.contains("neither WAYLAND_DISPLAY nor DISPLAY is set"), "{text}");
    assert!(text.contains("xvfb-run") && text.contains("cargo xtask setup"), "{text}");
}

#[test]
fn a_display_that_does_not_answer_is_named() {
    let output = without_display(Some(":4711"), &[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{text}");
    assert!(text.contains("DISPLAY is :4711, and nothing answers there"), "{text}");
}

#[test]
fn a_window_whose_supervisor_is_gone_does_not_open() {
    let output = without_display(None, &["--parent", "1"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("the supervisor is gone"), "{text}");
}

#[test]
fn a_program_that_is_told_to_end_leaves_no_folder() {
    let desk = Desk::without_bus();
    let tmp = desk.folder().join("tmp");
    fs::create_dir(&tmp).expect("a folder");
    let n_files = || fs::read_dir(&tmp).expect("the folder").count();
    let mut cmd = desk.command(DEMO);
    cmd.arg("--idle").env("TMPDIR", &tmp).stderr(Stdio::null());
    let mut demo = Running(cmd.spawn().expect("the demo"));
    desk.wait_for_focus("loopnest: dispatch");
    assert_eq!(n_files(), 1);
    let pid = Pid::from_child(&demo.0);
    kill_process(pid, Signal::TERM).expect("it runs");
    let status = wait_for("the program to end", || demo.0.try_wait().ok().flatten());
    assert_eq!((status.code(), n_files()), (Some(128 + 15), 0));
}

#[test]
fn an_unknown_name_is_a_usage_error_with_a_proposal() {
    for (args, near) in [
        (["--strategy", "dispach"], "did you mean dispatch"),
        (["--scenario", "dialog-quit"], "did you mean dialog-quiet"),
    ] {
        let output = without_display(None, &args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(near), "{text}");
    }
}

#[test]
fn the_idle_window_makes_five_iterations_a_second_at_most_besides_the_charts_own() {
    let desk = Desk::without_bus();
    let settled = run(&desk, &["--idle", "--exit-after", "8"]).settled.expect("a second half");
    assert!(settled.own_iterations_per_second() <= 5.0, "{settled:?}");
    // The charts went on.
    assert!(settled.frames >= 10, "{settled:?}");
}

#[test]
fn the_idle_window_with_paused_charts_makes_one_iteration_a_second_at_most() {
    let desk = Desk::without_bus();
    let args = ["--idle", "--pause-charts", "--exit-after", "8"];
    let settled = run(&desk, &args).settled.expect("a second half");
    assert!(settled.iterations as f64 <= settled.seconds, "{settled:?}");
    assert_eq!((settled.frames, settled.chart_iterations), (0, 0), "{settled:?}");
}

#[test]
fn frames_go_on_in_every_dialog_beside_a_thousand_tasks() {
    let desk = Desk::without_bus();
    for kind in [Kind::Callback, Kind::Task, Kind::LibraryTask, Kind::ThreeDeep, Kind::Print] {
        let report = run(
            &desk,
            &["--many-tasks", "--open", kind.name(), "--dialog-ms", "1500", "--exit-after", "4"],
        );
        assert!(!report.dialogs.is_empty(), "{kind:?}: {report:?}");
        for dialog in &report.dialogs {
            let inside = dialog.inside;
            // A frame each tenth of a second at the very least; sixty a second are aimed for.
            assert!(inside.frames as f64 >= inside.seconds * 10.0, "{dialog:?}");
            assert_eq!(inside.frames_by_hand, 0, "{dialog:?}");
            // A library's task holds tokio, and with it their timers.
            let go_on = kind != Kind::LibraryTask;
            assert_eq!(inside.task_steps > 1000, go_on, "{dialog:?}");
        }
    }
}

#[test]
fn every_strategy_opens_the_window_and_closes_it() {
    let desk = Desk::without_bus();
    for strategy in loopnest_strategies::family::all() {
        let name = strategy.about().name;
        let report = run(&desk, &["--strategy", name, "--exit-after", "2"]);
        assert_eq!(report.strategy, name);
        assert!(report.run.frames > 0 && report.run.async_ticks > 0, "{report:?}");
    }
}

#[test]
fn a_scenario_gets_the_verdict_that_it_has_in_the_matrix() {
    let desk = Desk::without_bus();
    let picture = desk.folder().join("window.png");
    let file = picture.to_str().expect("a plain path");
    for (strategy, scenario, words) in [
        ("dispatch", "dialog-depth-3", &[Word::Progress][..]),
        ("nested", "dialog-depth-3", &[Word::Stall, Word::BusyLoop]),
        ("nested", "dialog-from-task", &[Word::Stall]),
        ("gtk-rs", "dialog-from-callback", &[Word::Progress]),
        // The outer dialog waits for the inner one and does not take it along.
        ("dispatch", "close-outer-first", &[Word::Progress]),
    ] {
        let args = ["--strategy", strategy, "--scenario", scenario, "--screenshot", file];
        let report = run(&desk, &args);
        let [verdict] = &report.verdicts[..] else { panic!("{strategy}: {report:?}") };
        assert_eq!(verdict.words, words, "{strategy}/{scenario}: {}", verdict.reason);
        let decoder = png::Decoder::new(std::io::BufReader::new(File::open(&picture).unwrap()));
        let info = decoder.read_info().expect("a picture");
        let (width, height) = (info.info().width, info.info().height);
        assert!((900..=1024).contains(&width) && (600..=768).contains(&height), "{width}x{height}");
        fs::remove_file(&picture).expect("the picture is a file");
    }
}
