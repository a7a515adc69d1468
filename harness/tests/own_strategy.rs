//! The example that adds its own strategy is a harness like any other.

mod common;

use std::path::PathBuf;

use common::{program, run};
use loopnest_core::Word;

/// Where cargo puts the examples: beside the folder that this test was built into.
fn example() -> PathBuf {
    let test = std::env::current_exe().expect("this test's own path");
    let profile = test.ancestors().nth(2).expect("a test is in target/<profile>/deps");
    let path = profile.join("examples/own_strategy");
    assert!(
        path.exists(),
        "{} is missing: build it with `cargo build --workspace --examples`",
        path.display()
    );
    path
}

#[test]
fn the_pump_is_judged_beside_what_ships() {
    let scenarios = ["-c", "dialog-from-callback", "-c", "ticker"];
    let args = ["-s", "pump", "-s", "dispatch", "-f", "json"].into_iter().chain(scenarios);
    let result = run(&mut program(example(), args)).exits(0).result();

    let dialog = result.cell("pump", "dialog-from-callback").expect("the cell was run");
    assert!(dialog.verdict.contains(&Word::Stall), "{dialog:#?}");
    assert!(dialog.figures.async_starved > 0, "{dialog:#?}");
    // While the dialog is open nothing spins: GLib itself waits.
    assert!(!dialog.verdict.contains(&Word::BusyLoop), "{dialog:#?}");

    let ticker = result.cell("pump", "ticker").expect("the cell was run");
    assert_eq!((ticker.repeats, ticker.is_inconclusive()), (1, false), "{ticker:#?}");

    for scenario in ["dialog-from-callback", "ticker"] {
        let cell = result.cell("dispatch", scenario).expect("the cell was run");
        assert_eq!(cell.verdict, [Word::Progress], "{cell:#?}");
    }
}

#[test]
fn the_pump_is_the_first_row_of_its_own_harness() {
    let list = run(&mut program(example(), ["list", "strategies"])).exits(0);
    assert!(list.stdout.starts_with("strategies\n  pump\n"), "{}", list.stdout);
    assert!(list.stdout.contains("\n  dispatch\n"), "{}", list.stdout);
}
