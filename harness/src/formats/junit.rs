//! JUnit XML, for continuous integration.
//!
//! A strategy is a suite, a scenario a test.
//! A bad verdict, such as a stall, is not a failure if it is expected; any other than the expected one
//! is. What the strategy does not offer is skipped, and an inconclusive measurement is an error.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::style::Style;
use crate::called::Called;
use crate::result::{CellResult, RunResult};
use crate::text::ascii;
use loopnest_core::verdict::Word;

/// The report, with a suite for each strategy.
pub(super) fn render(result: &RunResult, style: &Style) -> anyhow::Result<String> {
    let mut report = Report::new("loopnest");
    for strategy in result.strategies() {
        let mut suite = TestSuite::new(strategy);
        suite.add_property(("seed", result.seed.as_str()));
        suite.add_property(("rules", result.rules.to_string().as_str()));
        for cell in result.cells.iter().filter(|cell| cell.strategy == strategy) {
            suite.add_test_case(case(cell, &result.seed, &style.called));
        }
        report.add_test_suite(suite);
    }
    Ok(report.to_string()?)
}

fn case(cell: &CellResult, seed: &str, called: &Called) -> TestCase {
    let replay = called.line(["replay", &cell.id(), "--seed", seed]);
    let mut status = status(cell);
    let told = matches!(status, TestCaseStatus::NonSuccess { .. });
    if told {
        status.set_description(format!("{}\nreplay: {replay}", ascii(&cell.why)));
    }
    let mut case = TestCase::new(cell.scenario.as_str(), status);
    case.set_classname(cell.strategy.as_str());
    case.set_system_out(format!(
        "verdict: {} ({} of {})\nwhy: {}\nrule: {}\nreplay: {replay}\n",
        cell.text(),
        cell.agree,
        cell.repeats,
        ascii(&cell.why),
        cell.rule,
    ));
    case
}

fn status(cell: &CellResult) -> TestCaseStatus {
    let (mut status, message) = if cell.is_inconclusive() {
        let error = TestCaseStatus::non_success(NonSuccessKind::Error);
        (error, "the measurement cannot tell".to_owned())
    } else if !cell.is_expected() {
        let expected = cell.expected.iter().flatten().map(|word| word.name());
        let expected = expected.collect::<Vec<_>>().join("+");
        let failure = TestCaseStatus::non_success(NonSuccessKind::Failure);
        (failure, format!("expected {expected}, got {}", cell.text()))
    } else if cell.worst() == Word::NotApplicable {
        (TestCaseStatus::skipped(), ascii(&cell.why))
    } else {
        return TestCaseStatus::success();
    };
    status.set_message(message);
    status
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::super::{Format, Style, render};

    #[test]
    fn only_a_surprise_fails() {
        let text = render(&sample(), Format::Junit, &Style::default()).unwrap();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn what_a_dying_process_said_is_escaped() {
        let mut run = sample();
        run.cells[0].why = "a <b> & \u{1b}[31m\"c\"".to_owned();
        let text = render(&run, Format::Junit, &Style::default()).unwrap();
        assert!(text.contains("why: a &lt;b&gt; &amp; "), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
