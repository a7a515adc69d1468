//! The demo as a program: what it counts about itself, how it ends, and its errors when it cannot
//! start.

mod common;

use std::fs::{self, File};
use std::process::{Command, Output, Stdio};
use std::thread;

use common::session::DEMO;
use common::{Desk, Running, complaints, wait_for};
use gui_demo::ending::NO_RETURN;
use gui_demo::kind::Kind;
use gui_demo::report::{Report, Stretch};
use loopnest_core::Word;
use rustix::process::{Pid, Signal, kill_process};

/// Runs the demo on a desk until it ends, which it must do with exit code 0.
fn run(desk: &Desk, args: &[&str]) -> Report {
    let (code, report) = run_to_any_end(desk, args);
    assert_eq!(code, Some(0), "{args:?}: {report:?}");
    report
}

fn run_to_any_end(desk: &Desk, args: &[&str]) -> (Option<i32>, Report) {
    let file = desk.folder().join("report.json");
    let mut cmd = desk.command(DEMO);
    cmd.args(args).arg("--report").arg(&file).env("RUST_BACKTRACE", "0");
    let output = cmd.output().expect("the demo");
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(complaints(&log), [""; 0], "{args:?}: GLib or GTK complained");
    let json = fs::read(file).unwrap_or_else(|error| panic!("{args:?}: {error}: {log}"));
    (output.status.code(), serde_json::from_slice(&json).expect("a report that can be read"))
}

fn names() -> impl Iterator<Item = &'static str> {
    harness::subjects::all().into_iter().map(|strategy| strategy.about().name)
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
fn gtk_does_not_complain_without_a_session_bus_or_with_an_empty_one() {
    let desk = Desk::without_bus();
    let (_bus, bare) = desk.bare_bus();
    let dead = "unix:path=/nonexistent/bus";
    for (address, answers) in [(None, false), (Some(dead), false), (Some(&*bare), true)] {
        let file = desk.folder().join("report.json");
        let mut cmd = desk.command(DEMO);
        cmd.env_remove("DBUS_SESSION_BUS_ADDRESS").env_remove("GTK_A11Y");
        cmd.envs(address.map(|address| ("DBUS_SESSION_BUS_ADDRESS", address)));
        let output = cmd.args(["--exit-after=2", "--report"]).arg(&file).output();
        let output = output.expect("the demo");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), complaints(&said)),
            (Some(0), vec![]),
            "with {address:?}"
        );
        let report: Report = serde_json::from_slice(&fs::read(file).expect("a report")).unwrap();
        assert_eq!(report.run.answers > 0, answers, "with {address:?}: {:?}", report.run);
    }
}

#[test]
fn a_window_whose_supervisor_is_gone_does_not_open() {
    let output = without_display(None, &["--parent", "1"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("the supervisor is gone"), "{text}");
}

#[test]
fn a_terminated_program_leaves_no_folder() {
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
    // The charts kept running.
    assert!(settled.frames >= 10, "{settled:?}");
}

#[test]
fn the_idle_window_with_paused_charts_makes_one_iteration_a_second_at_most() {
    // In parallel, but each on its own desk: new windows on a shared one would wake the others.
    thread::scope(|scope| {
        for strategy in names() {
            scope.spawn(move || {
                let args = ["--idle", "--pause-charts", "--exit-after", "8"];
                let args = [&args[..], &["--strategy", strategy]].concat();
                let settled = run(&Desk::without_bus(), &args).settled.expect("a second half");
                assert!(settled.iterations as f64 <= settled.seconds, "{strategy}: {settled:?}");
                let of_charts = (settled.frames, settled.chart_iterations);
                assert_eq!(of_charts, (0, 0), "{strategy}: {settled:?}");
            });
        }
    });
}

#[test]
fn the_demo_makes_gtk_draw_where_it_does_not_and_counts_what_charts_cost() {
    let desk = Desk::without_bus();
    for paused in [false, true] {
        let mut args =
            vec!["--strategy=nested", "--open=callback", "--dialog-ms=3000", "--exit-after=5"];
        args.extend(paused.then_some("--pause-charts"));
        let spun = run(&desk, &args).dialogs[0].inside;
        assert!(spun.frames_raised > 0, "{spun:?}");
        assert_eq!(spun.chart_seconds == 0.0, paused, "{spun:?}");
    }
}

#[test]
fn frames_keep_coming_in_every_dialog_beside_a_thousand_tasks() {
    let desk = Desk::without_bus();
    for kind in Kind::ALL {
        // These two are still open at the end, so they are open for all of the second half.
        let stays = [Kind::PageSetup, Kind::Async].contains(&kind);
        let ms = if stays { "9000" } else { "1500" };
        let end = if kind == Kind::Print { "12" } else { "4" };
        let args = ["--many-tasks", "--open", kind.name(), "--dialog-ms", ms, "--exit-after", end];
        let report = run(&desk, &args);
        // GTK makes the pages in idle sources, which wait for frames and tasks. On a machine that has
        // no time left beside these, a print does not end either.
        let stays = stays || kind == Kind::Print && report.dialogs.is_empty();
        let inside: Vec<Stretch> = match stays {
            true => report.settled.into_iter().collect(),
            false => report.dialogs.iter().map(|dialog| dialog.inside).collect(),
        };
        let n = if kind == Kind::ThreeDeep { 3 } else { 1 };
        assert_eq!(inside.len(), n, "{kind:?}: {report:?}");
        for inside in inside {
            // At the very least a frame every tenth of a second; the aim is sixty a second.
            assert!(inside.frames as f64 >= inside.seconds * 10.0, "{kind:?}: {inside:?}");
            assert_eq!(inside.frames_raised, 0, "{kind:?}: {inside:?}");
            // A library's task blocks tokio, and with it the timers of the tasks.
            let keep_running = kind != Kind::LibraryTask;
            assert_eq!(inside.task_steps > 1000, keep_running, "{kind:?}: {inside:?}");
        }
    }
}

#[test]
fn every_dialog_closes_after_its_time() {
    let all_close = |strategy: &str, desk: &Desk| {
        // GTK's print operation shows no dialog.
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Print) {
            let args = ["--strategy", strategy, "--open", kind.name(), "--dialog-ms=500"];
            let report = run(desk, &[&args[..], &["--exit-after=6"]].concat());
            let n = match kind {
                Kind::ThreeDeep => 3,
                Kind::Async => 0,
                _ => 1,
            };
            assert_eq!(report.dialogs.len(), n, "{strategy}, {kind:?}: {report:?}");
            let last = report.verdicts.last().expect("a verdict");
            assert!(!last.live, "{strategy}, {kind:?}: {report:?}");
        }
    };
    thread::scope(|scope| {
        for strategy in ["dispatch", "nested"] {
            scope.spawn(move || all_close(strategy, &Desk::without_bus()));
        }
    });
}

/// Opens the demo with these arguments, presses Ctrl+Q in the window with this title, and returns
/// how the program ended and what it said.
fn quit_from(desk: &Desk, args: &[&str], title: &str) -> (Option<i32>, String) {
    let log = desk.folder().join("log");
    let mut cmd = desk.command(DEMO);
    cmd.args(args).env("RUST_BACKTRACE", "0").stderr(File::create(&log).expect("a log"));
    let mut demo = Running(cmd.spawn().expect("the demo"));
    desk.keys(title, "ctrl+q");
    let what = format!("the program to end, {args:?}");
    let status = wait_for(&what, || demo.0.try_wait().ok().flatten());
    (status.code(), fs::read_to_string(log).expect("what it said"))
}

#[test]
fn ctrl_q_in_a_dialog_ends_the_program_under_every_strategy() {
    let titles = [
        (Kind::Callback, Kind::Callback.title()),
        (Kind::Task, Kind::Task.title()),
        (Kind::LibraryTask, Kind::LibraryTask.title()),
        (Kind::ThreeDeep, "Three deep: 3"),
        (Kind::PageSetup, "Page Setup"),
        (Kind::Async, Kind::Async.title()),
    ];
    let quit = |strategy: &str, desk: &Desk| {
        for (kind, title) in titles {
            // A task that opens a nested loop aborts this one.
            if (strategy, kind) == ("gtk-rs", Kind::Task) {
                continue;
            }
            let args = ["--strategy", strategy, "--open", kind.name()];
            let (code, said) = quit_from(desk, &args, title);
            assert_eq!(code, Some(0), "{args:?}: {said}");
            assert_eq!(complaints(&said), [""; 0], "{args:?}: GLib or GTK complained");
            // The loops have returned, and were not left behind by the end of the process.
            assert!(!said.contains(NO_RETURN), "{args:?}: {said}");
        }
    };
    thread::scope(|scope| {
        for strategy in names() {
            scope.spawn(move || quit(strategy, &Desk::without_bus()));
        }
    });
}

#[test]
fn ctrl_q_in_a_dialog_of_a_scenario_abandons_the_scenario() {
    let desk = Desk::without_bus();
    for strategy in ["dispatch", "nested"] {
        for (scenario, title) in [
            ("dialog-depth-3", "level-3"),
            ("dialog-by-iteration", "dialog"),
            ("dialog-by-drain", "dialog"),
        ] {
            let args = ["--strategy", strategy, "--scenario", scenario];
            let (code, said) = quit_from(&desk, &args, title);
            // 0 if the machine is so slow that the scenario has ended before the keys are pressed.
            assert!(matches!(code, Some(0 | 1)), "{args:?}: {code:?} {said}");
            assert_eq!(complaints(&said), [""; 0], "{args:?}: GLib or GTK complained");
            // A loop that is drained never ends where something is always pending.
            let never_ends = (strategy, scenario) == ("nested", "dialog-by-drain");
            assert_eq!(said.contains(NO_RETURN), never_ends, "{args:?}: {said}");
        }
    }
}

#[test]
fn every_strategy_opens_the_window_and_closes_it() {
    let desk = Desk::without_bus();
    for name in names() {
        let report = run(&desk, &["--strategy", name, "--exit-after", "2"]);
        assert_eq!(report.strategy, name);
        assert!(report.run.frames > 0 && report.run.async_ticks > 0, "{report:?}");
    }
}

/// How often a scenario is run before another verdict counts, as for the random programs. A frame
/// waits for the X server, which may be late beside other work, and nothing of a lower priority than
/// drawing is dispatched meanwhile. The judge cannot know: this process sleeps, and could run.
const RUNS: usize = 3;

#[test]
fn a_scenario_gets_the_same_verdict_as_in_the_matrix() {
    let desk = Desk::without_bus();
    let picture = desk.folder().join("window.png");
    let file = picture.to_str().expect("a plain path");
    for (strategy, scenario, words) in [
        ("dispatch", "dialog-depth-3", &[Word::Progress][..]),
        ("nested", "dialog-depth-3", &[Word::Stall, Word::BusyLoop]),
        ("nested", "dialog-from-task", &[Word::Stall]),
        ("gtk-rs", "dialog-from-callback", &[Word::Progress]),
        // The outer dialog waits for the inner one and does not close it.
        ("dispatch", "close-outer-first", &[Word::Progress]),
    ] {
        let args = ["--strategy", strategy, "--scenario", scenario, "--screenshot", file];
        let mut said = String::new();
        let same = (0..RUNS).any(|_| {
            let report = run(&desk, &args);
            let [verdict] = &report.verdicts[..] else { panic!("{strategy}: {report:?}") };
            said = format!("{:?}: {}", verdict.words, verdict.reason);
            verdict.words == words
        });
        assert!(same, "{strategy}/{scenario}: {RUNS} times in a row not {words:?}, last {said}");
        let decoder = png::Decoder::new(std::io::BufReader::new(File::open(&picture).unwrap()));
        let info = decoder.read_info().expect("a picture");
        let (width, height) = (info.info().width, info.info().height);
        assert!((900..=1024).contains(&width) && (600..=768).contains(&height), "{width}x{height}");
        fs::remove_file(&picture).expect("the picture is a file");
    }
}

#[test]
fn a_reported_scenario_ends_the_program_and_the_exit_code_says_whether_it_ended() {
    let desk = Desk::without_bus();
    let scenario = ["--scenario", "dialog-from-callback"];
    let (code, report) = run_to_any_end(&desk, &scenario);
    assert_eq!((code, report.verdicts.len()), (Some(0), 1), "{report:?}");
    // The program exits before the scenario can begin.
    let (code, report) = run_to_any_end(&desk, &[&scenario[..], &["--exit-after=0.5"]].concat());
    assert_eq!((code, report.verdicts.len()), (Some(1), 0), "{report:?}");
}

#[test]
fn a_bus_that_dies_in_a_dialog_owes_nothing() {
    let mut desk = Desk::with_bus();
    let file = desk.folder().join("report.json");
    let mut cmd = desk.command(DEMO);
    // Assistive technology would go with it, and GTK would complain.
    cmd.env("GTK_A11Y", "none").arg("--report").arg(&file);
    cmd.args(["--open=callback", "--dialog-ms=4000", "--exit-after=8"]);
    let mut demo = Running(cmd.spawn().expect("the demo"));
    desk.wait_for_focus("Dialog from a callback");
    desk.kill_bus();
    let status = wait_for("the program to end", || demo.0.try_wait().ok().flatten());
    assert_eq!(status.code(), Some(0));
    let report: Report = serde_json::from_slice(&fs::read(file).expect("a report")).unwrap();
    // While anything is owed, the verdict is not final.
    let verdicts: Vec<_> = report.verdicts.iter().map(|v| (v.text(), v.live)).collect();
    assert_eq!(verdicts, [("progress".to_owned(), false)], "{report:?}");
}
