//! Tables for a terminal: plain ASCII, never wider than asked for.
//!
//! One strategy gives a table with the figures of each scenario and the reason for each bad cell.
//! Several give the matrix and the reasons for the surprises only.

use std::time::Duration;

use anstyle::Style as Paint;
use comfy_table::Cell;
use loopnest_core::verdict::Word;

use super::style::{Style, of_word};
use super::table::{color, matrix, pieces, table, words};
use crate::result::{CellResult, RunResult};
use crate::text::{ascii, command, duration, pack, plural, wrap, wrap_after};

/// The indent of a cell's reason.
const INDENT: usize = 4;

pub(super) fn render(result: &RunResult, style: &Style) -> String {
    // Below this no word fits beside a name, and a pipe or a broken terminal may report 0.
    let style = &Style { width: style.width.max(40), ..style.clone() };
    let mut blocks = vec![header(result, style)];
    let strategies = result.strategies();
    match strategies[..] {
        [] => {}
        [strategy] => blocks.push(one(result, strategy, style)),
        _ => blocks.push(matrix(result, style)),
    }
    blocks.extend(legend(result, style));
    let sections = sections(result, strategies.len() == 1, style);
    let bad = || result.cells.iter().find(|cell| cell.worst() != Word::Progress);
    let shown = sections.iter().find_map(|section| section.first).or_else(bad);
    blocks.extend(sections.into_iter().map(|section| section.text));
    blocks.push(summary(result, style));
    blocks.extend(shown.map(|cell| hint(cell, style)));
    blocks.join("\n\n") + "\n"
}

/// What was measured, and on what.
fn header(result: &RunResult, style: &Style) -> String {
    let machine = &result.machine;
    let first = [
        format!("harness {}", machine.harness),
        format!("seed {}", result.seed),
        format!("repeat {}", result.repeat),
        format!("rules {}", result.rules),
    ];
    let second = [
        format!("glib {}", machine.glib),
        format!("tokio {}", machine.tokio),
        format!("glib-rs {}", machine.glib_rs),
        format!("{} x{}", machine.os, machine.cpus),
        machine.profile.clone(),
    ];
    [line(&first, style), line(&second, style)].join("\n")
}

/// Parts three blanks apart, wrapped between them.
fn line(parts: &[String], style: &Style) -> String {
    let spaced: Vec<String> = parts.iter().map(|part| format!("{}   ", ascii(part))).collect();
    let spaced: Vec<&str> = spaced.iter().map(String::as_str).collect();
    // The blanks after the last part of a line do not count.
    pack(&spaced, style.width + 3).join("\n")
}

/// With less room than this, the figures appear only in the reasons below the table.
const FIGURES: usize = 24;

/// The table of a single strategy.
fn one(result: &RunResult, strategy: &str, style: &Style) -> String {
    let longest = |lengths: Vec<usize>, header: &str| {
        lengths.into_iter().chain([header.len()]).max().unwrap_or(0)
    };
    let cells = &result.cells;
    let names = longest(cells.iter().map(|c| c.scenario.len()).collect(), "scenario");
    let names = names.min(style.width / 2);
    let whole = cells.iter().map(|cell| pieces(cell).iter().map(String::len).sum());
    let words = longest(whole.collect(), "verdict").min(style.width - names - 2);
    let room = style.width.saturating_sub(names + words + 4);
    let row = |cell: &CellResult| {
        let scenario: Vec<&str> = cell.scenario.split_inclusive('-').collect();
        let verdict = pieces(cell);
        let verdict: Vec<&str> = verdict.iter().map(String::as_str).collect();
        let mut row = vec![
            Cell::new(pack(&scenario, names).join("\n")),
            Cell::new(pack(&verdict, words).join("\n")).fg(color(cell)),
        ];
        row.extend((room >= FIGURES).then(|| Cell::new(wrap(&figures(cell), room, 0))));
        row
    };
    let mut header = vec![Cell::new("scenario"), Cell::new("verdict")];
    header.extend((room >= FIGURES).then(|| Cell::new("figures")));
    let title = style.heading(strategy);
    let rows = cells.iter().map(row).collect();
    format!("{title}\n\n{}", table(header, rows, style))
}

/// What is shown beside a verdict: the figures if there are any, else the cause.
fn figures(cell: &CellResult) -> String {
    let f = &cell.figures;
    let has = |words: &[Word]| cell.verdict.iter().any(|word| words.contains(word));
    let fine = cell.worst() == Word::Progress;
    let mut parts = Vec::new();
    for (due, starved, name) in
        [(f.async_due, f.async_starved, "async"), (f.glib_due, f.glib_starved, "GLib")]
    {
        let owed = has(&[Word::Stall, Word::Lost]) && starved > 0;
        if due > 0 && (fine || owed) {
            parts.push(format!("{} of {due} {name} due", due - starved.min(due)));
        }
    }
    for (lost, name) in [(f.async_lost, "async"), (f.glib_lost, "GLib")] {
        if lost > 0 && has(&[Word::Lost]) {
            parts.push(format!("{lost} {name} lost"));
        }
    }
    if (fine || has(&[Word::BusyLoop, Word::Livelock])) && f.iterations > 0 {
        let done = plural(f.justified, "thing");
        parts.push(format!("{} for {done} done", plural(f.iterations, "iteration")));
    }
    if parts.is_empty() && !fine {
        // A rule that only repeats the word adds nothing; the reason below the table does.
        let told = cell.rule == cell.text();
        parts.push(if told { "see below" } else { &cell.rule }.to_owned());
    }
    parts.join("; ")
}

/// What the words and marks mean that are used.
fn legend(result: &RunResult, style: &Style) -> Option<String> {
    let cells = &result.cells;
    let is_used = |word: &Word| {
        let expected = |cell: &CellResult| {
            !cell.is_expected() && cell.expected.iter().flatten().any(|w| w == word)
        };
        cells.iter().any(|cell| cell.verdict.contains(word) || expected(cell))
    };
    let words = Word::ALL.into_iter().filter(is_used);
    let mut lines: Vec<(&str, &str)> = words.map(|word| (word.name(), word.meaning())).collect();
    let n_all = result.strategies().len() * result.scenarios().len();
    let marks = [
        (cells.iter().any(|c| !c.is_expected()), "!", "not what the expectation file says"),
        (
            cells.iter().any(|cell| cell.is_mixed() && cell.flaky().is_none()),
            "~k/n",
            "repeats disagree: k of n had this verdict",
        ),
        (
            cells.iter().any(|cell| cell.flaky().is_some()),
            "~flaky",
            "run again by itself; some of all its runs had another verdict",
        ),
        (cells.len() < n_all, "-", "not run"),
    ];
    lines.extend(marks.into_iter().filter_map(|(used, mark, text)| used.then_some((mark, text))));
    let column = lines.iter().map(|(sign, _)| sign.len()).max()? + 2;
    let fit = |(sign, text): &(&str, &str)| {
        wrap_after(text, style.width, &format!("{sign:column$}"), column)
    };
    Some(lines.iter().map(fit).collect::<Vec<_>>().join("\n"))
}

/// Cells under the reason why they need a look.
struct Section<'a> {
    text: String,
    first: Option<&'a CellResult>,
}

/// The cells that need a look, each once, under the reason why they do.
fn sections<'a>(result: &'a RunResult, single: bool, style: &Style) -> Vec<Section<'a>> {
    let class = |cell: &CellResult| match () {
        () if !cell.is_expected() => Some(0),
        () if cell.is_inconclusive() => Some(1),
        () if cell.is_mixed() => Some(2),
        () if (single || style.full) && cell.worst() != Word::Progress => Some(3),
        () => None,
    };
    let known = if result.cells.iter().any(|c| c.expected.is_some()) {
        "as expected, but not progress"
    } else {
        "not progress"
    };
    let mut sections = Vec::new();
    for (i, title) in ["unexpected", "inconclusive", "mixed", known].into_iter().enumerate() {
        let cells = || result.cells.iter().filter(|cell| class(cell) == Some(i));
        let reasons: Vec<String> = cells().map(|cell| reason(cell, style)).collect();
        if !reasons.is_empty() {
            let text = format!("{}\n{}", style.heading(title), reasons.join("\n"));
            sections.push(Section { text, first: cells().next() });
        }
    }
    sections
}

/// A cell with its reason.
fn reason(cell: &CellResult, style: &Style) -> String {
    [head(cell, style), wrap(&cell.why, style.width, INDENT)].join("\n")
}

/// The command that says more about a cell. It serves for any other too.
fn hint(cell: &CellResult, style: &Style) -> String {
    let label = "more about a cell: ";
    let words = style.called.words(["explain", &cell.id()]);
    command(label.trim_end(), &words, style.width, label.len())
}

/// The first line of a reason, never wrapped inside a word of a verdict.
fn head(cell: &CellResult, style: &Style) -> String {
    let id = cell.id();
    let mut parts: Vec<String> = id.split_inclusive(['/', '-']).map(str::to_owned).collect();
    parts.push("  ".to_owned());
    parts.extend(words(&cell.verdict));
    parts.extend(votes(cell).split_inclusive(' ').map(str::to_owned));
    if let (false, Some(expected)) = (cell.is_expected(), &cell.expected) {
        parts.last_mut().into_iter().for_each(|part| part.push(','));
        parts.push(" expected ".to_owned());
        parts.extend(words(expected));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let lines = pack(&parts, style.width - 2);
    let name = cell.worst().name();
    format!("  {}", lines.join("\n  ")).replacen(
        &format!("  {name}"),
        &format!("  {}", style.paint(bad(cell), name)),
        1,
    )
}

/// How the repeats voted, with the votes of the other verdicts if they are known.
fn votes(cell: &CellResult) -> String {
    let runs = cell.repeats + cell.again;
    let mut votes = match cell.flaky() {
        Some(flaky) => format!(", {flaky}"),
        None if cell.again > 0 => format!(" {}", plural(runs.into(), "run")),
        None => format!(" {}/{}", cell.agree, cell.repeats),
    };
    for (text, n) in cell.other_verdicts() {
        votes.push_str(&format!(", {text} {n}/{runs}"));
    }
    votes
}

fn summary(result: &RunResult, style: &Style) -> String {
    let count =
        |like: &dyn Fn(&CellResult) -> bool| result.cells.iter().filter(|c| like(c)).count();
    let bad = count(&|cell| cell.verdict.iter().any(|word| word.is_bad()));
    let took = result
        .elapsed_ms
        .map_or(String::new(), |ms| format!(" in {}", duration(Duration::from_millis(ms))));
    let mut text = format!(
        "{} x {}{took}: {} unexpected, {} mixed, {} inconclusive; {bad} with a bad verdict",
        plural(result.cells.len() as u64, "cell"),
        plural(result.repeat.into(), "repeat"),
        count(&|cell| !cell.is_expected()),
        count(&CellResult::is_mixed),
        count(&CellResult::is_inconclusive),
    );
    let unknown = count(&|cell| cell.expected.is_none());
    if unknown > 0 && unknown < result.cells.len() {
        text.push_str(&format!(", {unknown} without an expectation"));
    }
    if result.partial {
        text.push_str("; interrupted, cells are missing");
    }
    wrap(&text, style.width, 0)
}

fn bad(cell: &CellResult) -> Paint {
    if cell.worst().is_bad() || cell.is_inconclusive() {
        of_word(cell.worst())
    } else {
        Paint::new()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{cell, run, sample, single};
    use super::super::{Format, Style, render};
    use super::*;
    use crate::called::Called;

    fn human(result: &RunResult, style: &Style) -> String {
        render(result, Format::Human, style).unwrap()
    }

    fn widest(text: &str) -> usize {
        text.lines().map(str::len).max().unwrap_or(0)
    }

    #[test]
    fn one_strategy_shows_the_figures_of_every_scenario() {
        insta::assert_snapshot!(human(&single(), &Style::default()));
    }

    #[test]
    fn several_strategies_show_the_matrix_and_only_the_surprises() {
        insta::assert_snapshot!(human(&sample(), &Style::default()));
    }

    #[test]
    fn nothing_is_wider_than_asked_for_and_no_verdict_is_cut() {
        let all: Vec<Word> = Word::ALL.iter().rev().copied().collect();
        let names = ["nested", "dispatch", "nested-without-wake-after-dispatch", "gtk-rs", "guest"];
        let mut cells = Vec::new();
        for strategy in names {
            let mut long = cell(strategy, "dialog-from-library-task", &all);
            long.why = "Sometimes ".repeat(40);
            long.expected = Some(vec![Word::Progress]);
            long.agree = 3;
            cells.push(long);
            cells.push(cell(strategy, "wake-from-callback", &[Word::Inconclusive]));
        }
        for result in [run(cells.clone()), run(cells[..2].to_vec())] {
            for width in [40, 60, 80, 100, 200] {
                for full in [false, true] {
                    let text = human(&result, &Style { width, full, ..Style::default() });
                    // A command is never broken inside a name; anything else fits.
                    let name = |line: &str| line.starts_with("            ") && line.contains('/');
                    let fits = |line: &&str| line.len() <= width || name(line);
                    assert!(width < 80 || widest(&text) <= width, "{width}:\n{text}");
                    assert!(text.lines().all(|line| fits(&line)), "{width}:\n{text}");
                    assert!(text.is_ascii());
                    for word in Word::ALL {
                        assert!(text.contains(word.name()), "{word} is missing at {width}");
                    }
                }
            }
        }
    }

    #[test]
    fn without_a_surprise_there_is_neither_mark_nor_section() {
        let result = run(vec![
            cell("nested", "idle", &[Word::Progress]),
            cell("dispatch", "idle", &[Word::Stall]),
        ]);
        let text = human(&result, &Style::default());
        assert!(!text.contains("expectation file") && !text.contains("It did not come"), "{text}");
        let summary = "2 cells x 5 repeats in 1 min 23 s: 0 unexpected, 0 mixed, 0 inconclusive; 1";
        assert!(text.contains(summary), "{text}");
        let full = human(&result, &Style { full: true, ..Style::default() });
        assert!(full.ends_with("\nmore about a cell: harness explain dispatch/idle\n"), "{full}");
    }

    #[test]
    fn the_legend_has_the_words_that_are_used_and_no_other() {
        let mut surprise = cell("nested", "idle", &[Word::Stall, Word::BusyLoop]);
        surprise.expected = Some(vec![Word::Lost]);
        let text = human(&run(vec![surprise]), &Style::default());
        let defined = |word: &Word| text.contains(word.meaning());
        let words: Vec<Word> = Word::ALL.into_iter().filter(defined).collect();
        assert_eq!(words, [Word::BusyLoop, Word::Stall, Word::Lost], "{text}");
    }

    #[test]
    fn neither_verdict_nor_name_is_broken_where_it_fits() {
        let cells = ["nested", "nested-no-wake", "dispatch", "handoff", "gtk-rs"].map(|strategy| {
            cell(strategy, "dialog-from-library-task", &[Word::Stall, Word::BusyLoop])
        });
        for (cells, width) in
            [(cells.to_vec(), 80), (cells.to_vec(), 50), (cells[..1].to_vec(), 50)]
        {
            let text = human(&run(cells), &Style { width, ..Style::default() });
            assert!(!text.contains("stall+\n") && !text.contains("stall+ "), "{text}");
            let broken = |line: &&str| {
                line.split_whitespace().any(|word| word.ends_with('-') && !word.contains("--"))
            };
            assert_eq!(text.lines().find(broken), None, "{text}");
        }
    }

    #[test]
    fn a_command_names_the_program_as_it_was_called() {
        let style = Style { called: Called::by_name("./mine"), ..Style::default() };
        let text = human(&single(), &style);
        assert!(text.contains("./mine explain nested/dialog-from-library-task\n"), "{text}");
        assert!(!text.contains("harness explain"), "{text}");
    }

    #[test]
    fn colour_does_not_change_the_text() {
        for result in [sample(), single()] {
            let plain = human(&result, &Style::default());
            let painted = human(&result, &Style { color: true, ..Style::default() });
            assert!(painted.contains('\u{1b}') && !plain.contains('\u{1b}'));
            let stripped: Vec<String> =
                painted.lines().map(|line| ascii(line).trim_end().to_owned()).collect();
            assert_eq!(stripped, plain.lines().collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_interrupted_run_says_what_is_missing() {
        let mut result = run(vec![
            cell("nested", "idle", &[Word::Progress]),
            cell("dispatch", "ticker", &[Word::Progress]),
        ]);
        result.partial = true;
        let text = human(&result, &Style::default());
        assert!(text.contains("\n-         not run\n") && text.contains("interrupted"), "{text}");
    }

    #[test]
    fn an_empty_run_says_so() {
        let text = human(&run(Vec::new()), &Style::default());
        assert!(text.contains("0 cells x 5 repeats"), "{text}");
    }
}
