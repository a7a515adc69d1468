//! The generated parts of the documents are what the harness prints.

use std::path::Path;

use harness::formats::{Format, Style, render};
use harness::result::RunResult;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn recorded() -> RunResult {
    let text = read("papers/stall-or-spin/matrix.json");
    serde_json::from_str(&text).expect("a run stored by the harness")
}

#[test]
fn the_matrix_in_the_readme_and_the_paper_is_the_recorded_one() {
    let matrix = render(&recorded(), Format::Markdown, &Style::default()).expect("a table");
    for path in ["README.md", "papers/stall-or-spin/paper.md"] {
        assert!(
            read(path).contains(matrix.trim()),
            "the matrix in {path} is stale; run `cargo xtask readme`"
        );
    }
}

#[test]
fn the_rules_in_the_methodology_are_those_of_the_catalogue() {
    let page = harness::rules::page(harness::rules::RULES);
    assert!(
        read("METHODOLOGY.md").contains(page.trim()),
        "the rules in METHODOLOGY.md are stale; run `cargo xtask readme`"
    );
}

#[test]
fn the_recorded_run_is_whole_and_is_what_is_expected() {
    let recorded = recorded();
    let expected = harness::expect::Expectations::built_in().expect("a good file");
    for cell in &recorded.cells {
        let words = expected.get(&cell.strategy, &cell.scenario);
        assert_eq!(words, Some(cell.verdict.as_slice()), "{}", cell.id());
    }
    let n = recorded.strategies().len() * harness::scenarios::all().len();
    assert_eq!(recorded.cells.len(), n);
}
