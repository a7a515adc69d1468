//! Harnesses that others build from the library.
//!
//! The tests below start this executable as such a harness. A harness starts itself again for each
//! cell, so a test of another strategy needs a program of its own.

mod common;

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, thread};

use common::{Ran, Running, pid, program, run, wait_for};
use harness::{Registry, subjects};
use libtest_mimic::{Arguments, Trial};
use loopnest_core::program::{Actor, ActorKind, Step};
use loopnest_core::strategy::{About, RunError, Start, Strategy};
use loopnest_core::{Program, Word};
use rustix::process::{Signal, kill_process, test_kill_process};

/// Names the harness that this executable should be.
const STRANGER: &str = "LOOPNEST_STRANGER";

/// Names the file to which a subject writes the id of a process that it has started.
const STARTED: &str = "LOOPNEST_STARTED";

fn main() -> ExitCode {
    match std::env::var(STRANGER) {
        Ok(stranger) => harness::main_with(registry(&stranger)),
        Err(_) => {
            let trials = TESTS.iter().map(|(name, test)| {
                Trial::test(*name, || {
                    test();
                    Ok(())
                })
            });
            libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
        }
    }
}

fn registry(stranger: &str) -> Registry {
    let mut registry = Registry::default();
    let mut own = |name, run| registry.add(Box::new(Own { name, run }));
    match stranger {
        "blind" => {
            let correct = Own { name: "planted-ticker", run: dispatch };
            registry.add_control(Box::new(correct), &[Word::BusyLoop]);
        }
        "seeing" => {
            let dying = Own { name: "planted-exit", run: |_| std::process::exit(7) };
            registry.add_control(Box::new(dying), &[Word::Abort]);
        }
        "unable" => own("own", |_| {
            Err(RunError::SetUp { what: "the loops", source: "needs a newer kernel".into() })
        }),
        "leaving" => own("own", |_| {
            eprintln!("nothing left to do");
            std::process::exit(7)
        }),
        "panicking" => own("own", |_| panic!("not like this")),
        "faulty" => {
            own("own", dispatch);
            FAULTY.store(true, Ordering::Relaxed);
        }
        "replacing" => own("dispatch", |_| panic!("instead of the other")),
        "exiting" => own("own", |_| std::process::exit(0)),
        "hanging" => own("own", |_| {
            loop {
                thread::park();
            }
        }),
        "closing" => own("own", |_| Err(closed("exec sleep 1000"))),
        "closing-and-exiting" => own("own", |_| Err(closed("exit 0"))),
        "babbling" => own("own", |start| {
            thread::spawn(|| while std::io::stderr().write_all(&[0xff; 4096]).is_ok() {});
            dispatch(start)
        }),
        "forking" => own("own", |start| {
            started(&mut Command::new("sleep"));
            dispatch(start)
        }),
        "forking-and-exiting" => own("own", |_| {
            started(&mut Command::new("sleep"));
            std::process::exit(0)
        }),
        "forking-and-hanging" => own("own", |_| {
            started(&mut Command::new("sleep"));
            loop {
                thread::park();
            }
        }),
        "leaving-behind" => own("own", |start| {
            // Another group, so it is not killed with the cell; and it holds the cell's stderr.
            started(Command::new("sleep").process_group(0));
            dispatch(start)
        }),
        "with-too-much" => registry.add_scenario(too_much()),
        other => panic!("no such stranger, `{other}`"),
    }
    registry
}

/// From now on, `about` of the strategy panics.
static FAULTY: AtomicBool = AtomicBool::new(false);

struct Own {
    name: &'static str,
    run: fn(Start) -> Result<(), RunError>,
}

impl Strategy for Own {
    fn about(&self) -> About {
        assert!(!FAULTY.load(Ordering::Relaxed), "a fault in the harness's own process");
        About { name: self.name, ..of_dispatch().about() }
    }

    fn run(&self, start: Start) -> Result<(), RunError> {
        (self.run)(start)
    }
}

/// A correct one.
fn dispatch(start: Start) -> Result<(), RunError> {
    of_dispatch().run(start)
}

fn of_dispatch() -> Box<dyn Strategy> {
    let found = subjects::all().into_iter().find(|s| s.about().name == "dispatch");
    found.expect("dispatch ships")
}

/// Becomes a shell that closes all descriptors, also those that the harness has opened.
fn closed(then: &str) -> RunError {
    let close = "for fd in /proc/self/fd/*; do eval \"exec ${fd##*/}>&-\"; done 2>/dev/null";
    let source = Command::new("bash").args(["-c", &format!("{close}; {then}")]).exec().into();
    RunError::SetUp { what: "a shell", source }
}

/// Starts a `sleep`, and writes down its id.
#[expect(clippy::zombie_processes, reason = "it is there to be left behind")]
fn started(sleep: &mut Command) {
    let sleep = sleep.arg("1000").stdin(Stdio::null()).spawn().expect("every system has it");
    let file = std::env::var_os(STARTED).expect("the test names a file");
    // Never there half written.
    let beside = Path::new(&file).with_extension("part");
    fs::write(&beside, sleep.id().to_string()).expect("room");
    fs::rename(beside, file).expect("the same folder");
}

/// A scenario that a slip of the keyboard has made.
fn too_much() -> Program {
    let steps = vec![Step::Compute { ms: 1 << 63 }];
    Program {
        name: "too-much".to_owned(),
        about: "A task computes.".to_owned(),
        source: "a test".to_owned(),
        tags: Vec::new(),
        actors: vec![Actor { name: "computer".to_owned(), kind: ActorKind::Task, steps }],
    }
}

type Test = fn();

const TESTS: &[(&str, Test)] = &[
    ("doctor_of_a_harness_that_misjudges_a_control_exits_5", misjudged_by_doctor),
    ("a_harness_that_misjudges_a_control_refuses_to_report", misjudged_by_run),
    ("an_added_control_is_judged_with_the_others", own_control),
    ("a_strategy_that_cannot_run_here_is_inconclusive_and_exits_3", unable),
    ("a_strategy_that_exits_is_an_abort_with_its_last_words", leaving),
    ("a_strategy_that_panics_is_an_abort_with_its_message", panicking),
    ("a_panic_of_the_harness_itself_exits_70", faulty),
    ("a_strategy_replaces_one_of_the_same_name", replacing),
    ("what_a_harness_prints_names_that_harness", naming),
    ("a_subject_that_exits_0_has_lost_everything", exiting),
    ("a_subject_that_hangs_is_killed_and_stalls", hanging),
    ("a_subject_that_closes_all_descriptors_is_judged_all_the_same", closing),
    ("a_subject_that_prints_garbage_for_ever_is_judged_all_the_same", babbling),
    ("what_a_subject_has_started_ends_with_it", forking),
    ("what_a_subject_has_started_ends_with_a_harness_that_is_killed", killed),
    ("a_process_that_holds_the_stderr_of_its_cell_is_not_waited_for", leaving_behind),
    ("a_scenario_beyond_a_limit_is_refused_whatever_is_asked", with_too_much),
];

fn stranger(name: &str, args: &[&str]) -> Ran {
    let this = std::env::current_exe().expect("this test's own path");
    let mut command: Command = program(this, args);
    run(command.env(STRANGER, name))
}

/// Whatever is to be typed begins with the name that was typed, and with no other.
fn naming() {
    let said = |args: &[&str], code| {
        let this = std::env::current_exe().expect("this test's own path");
        let (_folder, path) = common::folder();
        let mut command: Command = program(this, args);
        command.arg0("./judge").env(STRANGER, "panicking").current_dir(path);
        let ran = run(&mut command).exits(code);
        let all = ran.stdout + &ran.stderr;
        for command in ["run", "list", "explain", "replay", "explore", "doctor", "help"] {
            assert!(!all.contains(&format!("harness {command}")), "{args:?}: {all}");
        }
        all
    };
    let cell = ["-s", "own", "-c", "idle"];
    assert!(said(&cell, 0).contains(": ./judge explain own/idle\n"));
    assert!(said(&[&cell[..], &["-f", "junit"]].concat(), 0).contains("./judge replay own/idle"));
    assert!(said(&["explain", "own/idle"], 0).contains("\nReplay  ./judge replay own/idle\n"));
    assert!(said(&["-s", "zzz"], 2).contains("`./judge list strategies`"));
    assert!(said(&["explore", "-s", "own", "--skip", "zzz"], 2).contains("`./judge list rules`"));
    let args = ["explore", "-s", "dispatch", "--want", "livelock", "--cases", "2"];
    assert!(said(&args, 4).contains("Again   ./judge explore --strategy dispatch"));
    let args = ["explore", "-s", "nested", "--want", "stall", "--seed", "1"];
    let found = said(&args, 0);
    assert!(found.contains("Replay  ./judge replay counterexamples/nested-stall-1.toml\n"));
    let help = said(&["--help"], 0);
    assert!(help.contains("Usage: ./judge ") && help.contains(" ./judge explain nested/"));
    assert!(said(&["explain", "--help"], 0).contains("Usage: ./judge explain "));
    assert!(said(&["completions", "bash"], 0).contains("complete -F _judge "));
    assert!(said(&["completions", "fish"], 0).contains("own/idle"), "it knows its own strategy");
}

fn misjudged_by_doctor() {
    let ran = stranger("blind", &["doctor"]).exits(5);
    let said = "fail  planted-ticker: expected busy-loop, got progress 1/1\n";
    assert!(ran.stdout.contains(said), "{ran:#?}");
    assert!(ran.stdout.contains("ok    control-ticker: busy-loop 1/1\n"), "{ran:#?}");
    let end = "this machine cannot measure: its verdicts mean nothing\n";
    assert!(ran.stdout.ends_with(end), "{ran:#?}");
}

fn misjudged_by_run() {
    for format in ["human", "json"] {
        let args = ["-s", "planted-ticker", "-c", "control", "-c", "idle", "-f", format];
        let ran = stranger("blind", &args).exits(5);
        assert_eq!(ran.stdout, "", "{ran:#?}");
        assert!(
            ran.stderr.contains("planted-ticker: expected busy-loop, got progress"),
            "{ran:#?}"
        );
        assert!(ran.stderr.contains("mean nothing"), "{ran:#?}");
    }
}

fn own_control() {
    let args = ["-s", "planted-exit", "-s", "control-correct", "-c", "control", "-f", "json"];
    let result = stranger("seeing", &args).exits(0).result();
    let cell = result.cell("planted-exit", "control").expect("the cell was run");
    assert_eq!(cell.verdict, [Word::Abort], "{cell:#?}");
    // It is selected only by its name, like all planted subjects.
    let all = stranger("seeing", &["--dry-run"]).exits(0);
    assert!(!all.stdout.contains("planted-exit"), "{all:#?}");
}

fn unable() {
    let ran = stranger("unable", &["-s", "own", "-c", "idle", "-f", "json"]).exits(3);
    let cell = ran.cell();
    assert_eq!(cell.verdict, [Word::Inconclusive], "{cell:#?}");
    assert!(cell.why.contains("needs a newer kernel"), "{cell:#?}");
    let (_folder, path) = common::folder();
    let file = path.join("expected.toml");
    let file = file.to_str().expect("a plain name");
    let args = ["-s", "own", "-c", "idle", "--write-expectations", "--expect", file];
    let ran = stranger("unable", &args).exits(3);
    assert!(ran.stderr.contains("did not write own/idle"), "{ran:#?}");
    // The expectation of such a cell can be neither confirmed nor denied.
    let args = ["replay", "own/idle", "--verdict", "progress"];
    let ran = stranger("unable", &args).exits(3);
    assert!(ran.stdout.contains("cannot tell whether the verdict is the same"), "{ran:#?}");
}

fn leaving() {
    let args = ["-s", "own", "-c", "idle", "-f", "json", "--full"];
    let cell = stranger("leaving", &args).exits(0).cell();
    assert_eq!(cell.verdict, [Word::Abort], "{cell:#?}");
    let message = cell.judgements[0].message.as_deref();
    let said = "exited with code 7; its last words: nothing left to do";
    assert_eq!(message, Some(said), "{cell:#?}");
}

fn panicking() {
    let cell = stranger("panicking", &["-s", "own", "-c", "idle", "-f", "json"]).exits(0).cell();
    assert_eq!(cell.verdict, [Word::Abort], "{cell:#?}");
    assert!(cell.why.contains("not like this"), "{cell:#?}");
    assert!(cell.why.contains("strangers.rs"), "{cell:#?}");
}

fn faulty() {
    let ran = stranger("faulty", &["-s", "own", "-c", "idle"]).exits(70);
    assert_eq!(ran.stdout, "", "{ran:#?}");
    assert!(ran.stderr.contains("a fault in the harness's own process"), "{ran:#?}");
}

fn replacing() {
    let list = stranger("replacing", &["--dry-run", "-c", "idle"]).exits(0);
    let rows: Vec<&str> = list.stdout.lines().collect();
    assert_eq!(rows.iter().filter(|row| **row == "dispatch/idle").count(), 1, "{rows:?}");
    assert_eq!(rows.first(), Some(&"dispatch/idle"), "{rows:?}");
    let cell = stranger("replacing", &["-s", "dispatch", "-c", "idle", "-f", "json"]).cell();
    assert_eq!(cell.verdict, [Word::Abort], "{cell:#?}");
}

/// The words of the only cell, and the rest of what was said.
fn words(name: &str) -> (Vec<Word>, Ran) {
    let ran = stranger(name, &["-s", "own", "-c", "idle", "-f", "json", "--full"]).exits(0);
    (ran.cell().verdict, ran)
}

fn exiting() {
    let (words, ran) = words("exiting");
    assert_eq!(words, [Word::Lost], "{ran:#?}");
}

fn hanging() {
    let (words, ran) = words("hanging");
    assert_eq!(words, [Word::Deadlock], "{ran:#?}");
}

fn closing() {
    let (hangs, ran) = words("closing");
    assert_eq!(hangs, [Word::Stall], "{ran:#?}");
    let (exits, ran) = words("closing-and-exiting");
    assert_eq!(exits, [Word::Lost], "{ran:#?}");
}

fn babbling() {
    let (words, ran) = words("babbling");
    assert_eq!(words, [Word::Progress], "{ran:#?}");
}

/// A cell whose subject starts a process: the harness, and the id of that process.
fn starting(name: &str) -> (Running, u32) {
    let (_folder, path) = common::folder();
    let file = path.join("started");
    let this = std::env::current_exe().expect("this test's own path");
    let mut command = program(this, ["-s", "own", "-c", "idle", "-f", "json"]);
    let running = Running::start(command.env(STRANGER, name).env(STARTED, &file));
    let id = wait_for("the process", || fs::read_to_string(&file).ok()?.parse().ok());
    (running, id)
}

fn is_gone(id: u32) -> bool {
    // A zombie is gone too: whoever has adopted it may never look.
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    test_kill_process(pid(id)).is_err() || status.contains("\nState:\tZ")
}

fn forking() {
    for (name, verdict) in [
        ("forking", Word::Progress),
        ("forking-and-exiting", Word::Lost),
        ("forking-and-hanging", Word::Deadlock),
    ] {
        let (running, id) = starting(name);
        let ran = running.wait().exits(0);
        assert_eq!(ran.cell().verdict, [verdict], "{ran:#?}");
        wait_for("its end", || is_gone(id).then_some(()));
    }
}

fn killed() {
    let (running, id) = starting("forking-and-hanging");
    running.send(Signal::KILL);
    assert_eq!(running.wait().signal, Some(9));
    wait_for("the end of what its cell has started", || is_gone(id).then_some(()));
}

fn leaving_behind() {
    let (running, id) = starting("leaving-behind");
    let ran = running.wait().exits(0);
    assert_eq!(ran.cell().verdict, [Word::Progress], "{ran:#?}");
    assert!(!is_gone(id), "it was to outlive the cell");
    kill_process(pid(id), Signal::KILL).expect("it sleeps");
}

fn with_too_much() {
    for args in [
        &["run"][..],
        &["--dry-run"],
        &["explain", "dispatch/too-much"],
        &["replay", "dispatch/too-much"],
        &["explore", "-s", "dispatch"],
        &["list"],
    ] {
        let ran = stranger("with-too-much", args).exits(2);
        assert_eq!(ran.stdout, "", "{ran:#?}");
        assert_eq!(
            ran.stderr,
            "error: the scenario `too-much` cannot run: `ms` of step 0 of `computer` is \
             9223372036854775808; it must be from 0 to 600000\n"
        );
    }
}
