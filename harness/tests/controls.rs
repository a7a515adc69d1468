//! The planted subjects: a harness that has never found a fault proves nothing.

mod common;

use common::{harness, run};
use loopnest_core::Word;

/// Each with the verdict that it must get.
const CONTROLS: [(&str, &[Word]); 10] = [
    ("control-correct", &[Word::Progress]),
    ("control-lost-wake-up", &[Word::Stall]),
    ("control-held-open", &[Word::HeldOpen]),
    ("control-starved", &[Word::Stall, Word::BusyLoop]),
    ("control-busy-idle", &[Word::BusyLoop]),
    ("control-busy-high", &[Word::Stall, Word::BusyLoop]),
    ("control-ticker", &[Word::BusyLoop]),
    ("control-deadlock", &[Word::Deadlock]),
    ("control-panic-caught", &[Word::Progress]),
    ("control-panic-abort", &[Word::Abort]),
];

#[test]
fn every_planted_subject_gets_its_known_verdict() {
    let args = ["-s", "control-*", "-c", "control", "-f", "json", "--full", "--expect", "none"];
    let result = run(&mut harness(args)).exits(0).result();
    assert_eq!(result.strategies(), CONTROLS.map(|(name, _)| name), "all of them, in order");
    for (name, verdict) in CONTROLS {
        let cell = result.cell(name, "control").expect("the cell was run");
        assert_eq!(cell.verdict, verdict, "{cell:#?}");
    }
    let rule = |name| &result.cell(name, "control").expect("the cell was run").rule;
    assert_eq!(rule("control-lost-wake-up"), "lost-wake-up");
    assert_eq!(rule("control-panic-caught"), "panic-caught");
}

#[test]
fn doctor_finds_that_this_machine_can_measure_and_names_every_planted_subject() {
    let ran = run(&mut harness(["doctor"])).exits(0);
    for (name, verdict) in CONTROLS {
        let words: Vec<_> = verdict.iter().map(|word| word.name()).collect();
        let line = format!("ok    {name}: {} 1/1\n", words.join("+"));
        assert!(ran.stdout.contains(&line), "{line}\n{}", ran.stdout);
    }
    assert!(ran.stdout.ends_with("this machine can measure\n"), "{}", ran.stdout);
    assert!(!ran.stdout.lines().any(|line| line.starts_with("fail")), "{}", ran.stdout);
    assert_eq!(ran.stderr, "");
}

#[test]
fn planted_subjects_are_not_part_of_the_matrix() {
    for selection in [&[][..], &["-s", "all"], &["-s", "*"], &["-c", "*"]] {
        let ran = run(&mut harness(["--dry-run"].iter().chain(selection))).exits(0);
        assert!(!ran.stdout.contains("control"), "{selection:?}: {}", ran.stdout);
    }
}

#[test]
fn the_methodology_lists_every_planted_subject_with_its_verdict() {
    let page = include_str!("../../METHODOLOGY.md");
    let rows = page.lines().filter(|line| line.starts_with("| `control-"));
    let rows: Vec<Vec<_>> =
        rows.map(|row| row.trim_matches(['|', ' ']).split(" | ").collect()).collect();
    assert_eq!(rows.len(), CONTROLS.len());
    for (row, (name, verdict)) in rows.iter().zip(CONTROLS) {
        let words: Vec<_> = verdict.iter().map(|word| word.name()).collect();
        assert_eq!((row[0], row[2]), (format!("`{name}`").as_str(), words.join(", ").as_str()));
    }
}
