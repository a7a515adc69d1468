//! Harnesses that others build from the library.
//!
//! The tests below start this executable as such a harness. A harness starts itself again for each
//! cell, so a test of another strategy needs a program of its own.

mod common;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Ran, program, run};
use harness::{Registry, subjects};
use libtest_mimic::{Arguments, Trial};
use loopnest_core::Word;
use loopnest_core::strategy::{About, RunError, Start, Strategy};

/// Names the harness that this executable should be.
const STRANGER: &str = "LOOPNEST_STRANGER";

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
