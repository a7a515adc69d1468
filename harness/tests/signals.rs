//! What is interrupted, what is killed, and what is left behind.

mod common;

use std::fs;
use std::io::Read as _;

use common::{Running, cells_of, harness, pid, run, wait_for};
use harness::result::RunResult;
use loopnest_core::Word;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

/// A matrix that takes minutes, with a line on stderr when a cell ends.
const MATRIX: [&str; 6] = ["-s", "all", "-n", "5", "--progress", "plain"];

/// A matrix that has finished one cell and is running others.
fn in_the_middle(args: &[&str]) -> Running {
    let running = Running::start(&mut harness(args));
    wait_for("a cell that has ended", || running.stderr().contains('\n').then_some(()));
    wait_for("a cell that runs", || cells_of(running.id()).first().copied());
    running
}

#[test]
fn ctrl_c_in_the_middle_prints_what_was_found_as_partial_and_leaves_no_child() {
    let running = in_the_middle(&[&MATRIX[..], &["-f", "json"]].concat());
    let id = running.id();
    running.send(Signal::INT);
    let ran = running.wait().exits(130);
    assert_eq!(cells_of(id), [0; 0], "{ran:#?}");
    let result = ran.result();
    assert!(result.partial && !result.cells.is_empty(), "{ran:#?}");
    for cell in &result.cells {
        assert!((1..=5).contains(&cell.repeats), "{cell:#?}");
    }
    assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("error:"), "{ran:#?}");
}

#[test]
fn the_human_format_says_that_the_run_was_interrupted() {
    for signal in [Signal::INT, Signal::TERM] {
        let running = in_the_middle(&MATRIX);
        let id = running.id();
        running.send(signal);
        let ran = running.wait().exits(130);
        assert_eq!(cells_of(id), [0; 0], "{ran:#?}");
        assert!(ran.stdout.contains("interrupted, cells are missing"), "{ran:#?}");
    }
}

#[test]
fn an_interrupted_run_does_not_write_expectations() {
    let (_folder, path) = common::folder();
    let file = path.join("expected.toml");
    fs::write(&file, "[nested]\nidle = \"abort\"\n").expect("room");
    let expect = ["--write-expectations", "--expect", file.to_str().expect("a plain name")];
    let running = in_the_middle(&[&MATRIX[..], &expect].concat());
    running.send(Signal::INT);
    running.wait().exits(130);
    let text = fs::read_to_string(&file).expect("it is there");
    assert_eq!(text, "[nested]\nidle = \"abort\"\n");
}

#[test]
fn a_second_ctrl_c_leaves_no_child_either() {
    let running = in_the_middle(&MATRIX);
    let id = running.id();
    running.send(Signal::INT);
    running.send(Signal::INT);
    let ran = running.wait().exits(130);
    // The children die with the harness, but it does not wait for them.
    wait_for("the end of its children", || cells_of(id).is_empty().then_some(()));
    assert!(!ran.stderr.contains("panicked"), "{ran:#?}");
}

#[test]
fn an_interrupted_doctor_says_nothing_about_the_machine() {
    let running = Running::start(&mut harness(["doctor"]));
    let id = running.id();
    wait_for("a cell that runs", || cells_of(id).first().copied());
    running.send(Signal::INT);
    let ran = running.wait().exits(130);
    assert_eq!((ran.stdout.as_str(), cells_of(id)), ("", vec![]), "{ran:#?}");
}

#[test]
fn the_children_of_a_harness_that_is_killed_die_with_it() {
    let running = in_the_middle(&MATRIX);
    let id = running.id();
    running.send(Signal::KILL);
    let ran = running.wait();
    assert_eq!(ran.signal, Some(9), "{ran:#?}");
    wait_for("the end of its children", || cells_of(id).is_empty().then_some(()));
}

#[test]
fn a_harness_that_was_stopped_for_a_while_says_what_it_would_have_said() {
    let args = ["-s", "nested", "-c", "dialog-from-callback", "-f", "json"];
    let running = Running::start(&mut harness(args));
    let cell = wait_for("a cell that runs", || cells_of(running.id()).first().copied());
    running.send(Signal::STOP);
    // Long enough that the cell has gone through its dialog unobserved.
    std::thread::sleep(std::time::Duration::from_secs(2));
    running.send(Signal::CONT);
    // What happened meanwhile is void.
    let other = || cells_of(running.id()).into_iter().find(|id| *id != cell);
    wait_for("another cell", other);
    let ran = running.wait().exits(0);
    assert_eq!(ran.cell().text(), "stall+busy-loop", "{ran:#?}");
}

#[test]
fn a_cell_that_is_killed_from_outside_is_an_abort_that_names_the_signal() {
    let args = ["-s", "dispatch", "-c", "idle", "-n", "3", "-j", "1", "-f", "json", "--full"];
    let running = Running::start(&mut harness(args));
    let cell = wait_for("a cell that runs", || cells_of(running.id()).first().copied());
    kill_process(pid(cell), Signal::KILL).expect("it runs for half a second");
    let ran = running.wait();
    let cell = ran.cell();
    assert_eq!((cell.repeats, cell.agree), (3, 2), "{cell:#?}");
    let killed: Vec<_> = cell.judgements.iter().filter(|j| j.has(Word::Abort)).collect();
    let [killed] = killed[..] else { panic!("one of three: {cell:#?}") };
    let message = killed.message.as_deref().unwrap_or_default();
    assert!(message.starts_with("killed by signal 9 (SIGKILL)"), "{cell:#?}");
}

#[test]
fn the_human_format_says_that_a_cell_was_killed() {
    let running =
        Running::start(&mut harness(["-s", "dispatch", "-c", "idle", "--expect", "none"]));
    let cell = wait_for("a cell that runs", || cells_of(running.id()).first().copied());
    kill_process(pid(cell), Signal::ABORT).expect("it runs for half a second");
    let ran = running.wait();
    let said = "The process died: killed by signal 6 (SIGABRT)";
    assert!(ran.stdout.contains(said), "{ran:#?}");
    assert!(ran.stdout.contains("dispatch/idle  abort"), "{ran:#?}");
}

#[test]
fn two_harnesses_at_once_do_not_disturb_each_other() {
    let cells = ["-c", "dialog-from-callback", "-c", "ticker", "-c", "wake-from-thread"];
    let args = ["-s", "nested", "-s", "dispatch", "-f", "json"].iter().chain(&cells);
    let args: Vec<&&str> = args.collect();
    let both = [(); 2].map(|()| Running::start(&mut harness(&args)));
    let verdicts = both.map(|running| {
        let ran = running.wait();
        let cells = ran.result().cells.into_iter();
        cells.map(|cell| (cell.id(), cell.text())).collect::<Vec<_>>()
    });
    let progress = |id: &str| (id.to_owned(), "progress".to_owned());
    let expected = [
        ("nested/dialog-from-callback".to_owned(), "stall+busy-loop".to_owned()),
        progress("nested/ticker"),
        progress("nested/wake-from-thread"),
        progress("dispatch/dialog-from-callback"),
        progress("dispatch/ticker"),
        progress("dispatch/wake-from-thread"),
    ];
    assert_eq!(verdicts, [(); 2].map(|()| expected.to_vec()));
}

#[test]
fn a_running_harness_survives_replacing_its_file() {
    let original = env!("CARGO_BIN_EXE_harness");
    let beside = std::path::Path::new(original).parent().expect("a folder");
    let folder = tempfile::tempdir_in(beside).expect("a folder");
    let path = folder.path().join("harness");
    fs::hard_link(original, &path).expect("the same file system");
    let args = ["-s", "dispatch", "-c", "wake-from-callback", "-n", "3", "-j", "1", "-f", "json"];
    let running = Running::start(&mut common::program(&path, args.iter().chain(&MATRIX[4..])));
    wait_for("a cell that has ended", || running.stderr().contains('\n').then_some(()));
    fs::write(folder.path().join("new"), "not a program").expect("room");
    fs::rename(folder.path().join("new"), &path).expect("the same folder");
    let cell = running.wait().exits(0).cell();
    assert_eq!((cell.repeats, cell.agree, cell.text().as_str()), (3, 3, "progress"), "{cell:#?}");
}

#[test]
fn if_no_more_children_can_start_the_results_so_far_are_printed() {
    let running = in_the_middle(&[&MATRIX[..], &["-j", "1", "-f", "json"]].concat());
    let limit = Rlimit { current: Some(3), ..getrlimit(Resource::Nofile) };
    prlimit(Some(running.pid()), Resource::Nofile, limit).expect("it is ours");
    let ran = running.wait().exits(70);
    let result = ran.result();
    assert!(result.partial && !result.cells.is_empty(), "{ran:#?}");
    assert!(ran.stderr.contains("error: cannot start a cell: Too many open files"), "{ran:#?}");
}

#[test]
fn the_order_of_the_cells_follows_from_the_seed() {
    let ended = |seed| {
        let args = ["-s", "dispatch", "-c", "wake-*", "-c", "coop-budget", "-n", "4", "-j", "1"];
        let ran = run(&mut harness(args.iter().chain(&MATRIX[4..]).chain(&["--seed", seed])));
        let name = |line: &str| line.split(' ').next().map(str::to_owned);
        ran.exits(0).stderr.lines().filter_map(name).collect::<Vec<_>>()
    };
    let one = ended("1");
    assert_eq!(one, ended("1"));
    assert_ne!(one, ended("2"));
    // In rounds: no cell runs a second time before all have run once.
    for round in one.chunks(3) {
        let mut cells = round.to_vec();
        cells.sort_unstable();
        cells.dedup();
        assert_eq!(cells.len(), 3, "{one:?}");
    }
}

#[test]
fn a_cell_cannot_run_without_its_supervisor() {
    let mut page = tempfile::NamedTempFile::new().expect("a file");
    let path = page.path().to_str().expect("a plain name").to_owned();
    let args = ["cell", "--strategy", "dispatch", "--scenario", "idle", "--page", &path];
    let ran = run(&mut harness(args.iter().chain(&["--parent", "1"]))).exits(75);
    assert!(ran.stderr.contains("the supervisor is gone"), "{ran:#?}");
    let mine = std::process::id().to_string();
    let ran = run(&mut harness(args.iter().chain(&["--parent", mine.as_str()]))).exits(75);
    assert!(ran.stderr.contains("not a page of this version of the harness"), "{ran:#?}");
    let mut text = String::new();
    page.read_to_string(&mut text).expect("a file");
    assert_eq!(text, "", "the file that is not a page was left alone");
}

#[test]
fn a_stored_interrupted_run_says_so_when_it_is_printed() {
    let running = in_the_middle(&[&MATRIX[..], &["-f", "json"]].concat());
    running.send(Signal::INT);
    let ran = running.wait().exits(130);
    let (_folder, path) = common::folder();
    let file = path.join("run.json");
    fs::write(&file, &ran.stdout).expect("room");
    let again = run(harness(["report", "-f", "json"]).arg(&file)).exits(0);
    let stored: RunResult = again.result();
    assert_eq!(stored, ran.result());
    let people = run(harness(["report"]).arg(&file)).exits(0);
    assert!(people.stdout.contains("interrupted, cells are missing"), "{people:#?}");
}
