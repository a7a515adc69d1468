//! The text that says what a search found, or that it found nothing.

use std::fmt::Write as _;
use std::path::Path;

use super::request::Request;
use crate::formats::{Style, of_word};
use crate::result::CellResult;
use crate::rules::{by_name, why};
use crate::search::{Find, Searched, n_steps};
use crate::text::{LABEL, command, labelled, plural, wrap};

/// Nothing was found.
pub(super) fn nothing(
    request: &Request<'_>,
    searched: &Searched,
    style: &Style,
) -> anyhow::Result<String> {
    let what = request.args.want.map_or("bad verdict".to_owned(), |word| format!("`{word}`"));
    let (name, seed) = (request.about.name, request.seed());
    let n = plural(u64::from(searched.cases), "program");
    let mut text = format!("{name}: no {what} in {n} of seed {seed}\n");
    if searched.interrupted {
        writeln!(text, "interrupted after {} of {}", searched.cases, request.args.cases)?;
    }
    writeln!(text, "{}", again(request, style))?;
    Ok(text)
}

/// What was found, what the real loops say about it, and where it was saved.
pub(super) fn found(
    request: &Request<'_>,
    find: &Find,
    interrupted: bool,
    real: Option<&CellResult>,
    saved: Option<&Path>,
    style: &Style,
) -> anyhow::Result<String> {
    let Find { program, judgement, case, shrunk_from, tries, .. } = find;
    let verdict = style.paint(of_word(judgement.worst()), &judgement.text());
    let mut text = format!("{}: {verdict}\n", request.about.name);
    let width = style.width;
    let steps = plural(n_steps(program) as u64, "step");
    let found = format!(
        "program {case} of {}, shrunk from {shrunk_from} to {steps} in {}",
        request.args.cases,
        plural(u64::from(*tries), "try").replace("trys", "tries"),
    );
    writeln!(text, "{}\n", wrap(&found, width, 0))?;
    for line in program.to_string().lines() {
        writeln!(text, "  {line}")?;
    }
    let (reason, rule) = why(program, request.about, judgement);
    writeln!(text, "\n{}", labelled("Why", &reason, width))?;
    if let Some(rule) = by_name(rule) {
        let named = format!("{} (METHODOLOGY.md#{})", rule.title, rule.name);
        writeln!(text, "{}", labelled("Rule", &named, width))?;
    }
    writeln!(text, "{}", labelled("Real", &on_real_loops(request, find, real), width))?;
    if interrupted {
        writeln!(
            text,
            "{}",
            labelled("Note", "interrupted: a longer search may find a smaller one", width)
        )?;
    }
    if let Some(path) = saved {
        let path = path.display().to_string();
        writeln!(text, "{}", labelled("Saved", &path, width))?;
        let replay = style.called.words(["replay", &path]);
        writeln!(text, "{}", command("Replay", &replay, width, LABEL))?;
        let explain = style.called.words(["explain", &path]);
        writeln!(text, "{}", command("Explain", &explain, width, LABEL))?;
    }
    writeln!(text, "{}", again(request, style))?;
    Ok(text)
}

/// What the real loops say about it.
fn on_real_loops(request: &Request<'_>, find: &Find, real: Option<&CellResult>) -> String {
    let Some(real) = real else {
        return if request.args.real {
            "seen three times in a row on the real loops".to_owned()
        } else {
            "not run on the real loops: interrupted".to_owned()
        };
    };
    let runs = match (real.agree, real.repeats) {
        (_, 1) => String::new(),
        (agree, repeats) => format!(", in {agree} of {repeats} runs"),
    };
    if real.verdict == find.judgement.words {
        return format!("{} on the real loops too{runs}", real.text());
    }
    format!("{} on the real loops{runs}: the model is wrong here. {}", real.text(), real.why)
}

/// The command that repeats this search.
fn again(request: &Request<'_>, style: &Style) -> String {
    let words = style.called.words(request.words().iter().map(String::as_str));
    command("Again", &words, style.width, LABEL)
}
