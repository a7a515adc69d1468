//! Says in plain words why a cell got its verdict, with the evidence.
//!
//! The order is that of a reader's questions: what happened, when, which figures prove it against
//! which limit, why it happens, where it was seen before, what to try, and how to see it again.
//! The reference is the ideal run of the same program.
//!
//! Everything is made from one recorded run, in ASCII, so that it can be pasted.

#[cfg(test)]
mod adds_up;
mod figures;
mod strip;

use anstyle::{AnsiColor, Style as Paint};
use loopnest_core::classify::classify;
use loopnest_core::program::{Program, Side};
use loopnest_core::strategy::About;
use loopnest_core::trace::{End, Trace};
use loopnest_core::verdict::{Finding, Judgement, Word};

use crate::formats::{Style, of_word};
use crate::rules::{recognise, why};
use crate::text::{LABEL, command, labelled, plural, wrap, wrap_after};

/// At most this many of the strategy's notes are shown.
const NOTES: usize = 5;

/// What surrounds the run on its page.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Width, colour, and the name of this program.
    pub style: &'a Style,
    /// How many of several runs had this verdict, in a sentence; empty for a single run.
    pub votes: &'a str,
    /// The arguments that run it again.
    pub replay: &'a [String],
}

/// Explains the verdict on one run of `program`.
pub fn explanation(
    program: &Program,
    about: &About,
    judgement: &Judgement,
    ideal: &Trace,
    real: &Trace,
    page: &Page<'_>,
) -> String {
    let style = page.style;
    let rule = recognise(program, about, judgement);
    let reference = classify(program, ideal, ideal);
    let mut blocks = vec![title(program, about, judgement, page)];
    let source = format!("Source: {}", program.source);
    blocks.push(section("Scenario", &[program.about.clone(), source], style));
    blocks.push(happened(program, about, judgement, real, style));
    blocks.push(painted(&strip::strip(judgement, ideal, real, style.width), style));
    blocks.push(figures::table(program, judgement, &reference, ideal, real, style.width));
    blocks.extend(said(real, style));
    let harmless = judgement.words.iter().all(|word| *word == Word::Progress);
    if !harmless && !about.limits.is_empty() {
        let title = format!("What {} says that it cannot do", about.name);
        blocks.push(list(&title, about.limits, style));
    }
    let named = format!("Rule: {0} (METHODOLOGY.md#{0})", rule.name);
    let title = format!("Why: {}", rule.title);
    blocks.push(section(&title, &[rule.text.to_owned(), named], style));
    let mut last = Vec::new();
    if !rule.seen.is_empty() {
        last.push(labelled("Seen", &rule.seen.join(", "), style.width));
    }
    if !rule.try_this.is_empty() {
        last.push(labelled("Try", rule.try_this, style.width));
    }
    let replay = style.called.words(page.replay.iter().map(String::as_str));
    last.push(command("Replay", &replay, style.width, LABEL));
    blocks.push(last.join("\n"));
    blocks.join("\n\n") + "\n"
}

/// The cell on the left, its verdict on the right, or below where both do not fit. Below that, how
/// many runs agree.
fn title(program: &Program, about: &About, judgement: &Judgement, page: &Page<'_>) -> String {
    let style = page.style;
    let cell = format!("{} x {}", about.name, program.name);
    let verdict = judgement.text();
    let color = of_word(judgement.worst());
    let mut title = style.heading(&cell);
    if cell.len() + verdict.len() + 2 <= style.width {
        let gap = style.width - cell.len() - verdict.len();
        title += &format!("{:gap$}{}", "", style.paint(color, &verdict));
    } else {
        for line in wrap(&verdict.replace('+', " + "), style.width, 2).lines() {
            title += &format!("\n{}", style.paint(color, line));
        }
    }
    if !page.votes.is_empty() {
        title += &format!("\n{}", wrap(page.votes, style.width, 2));
    }
    title
}

/// The strip with what went wrong in colour.
fn painted(strip: &str, style: &Style) -> String {
    let wrong = Paint::new().fg_color(Some(AnsiColor::Red.into()));
    let paint = |line: &str| match line.trim_start().split_once(' ') {
        Some(("due" | "mark", _)) => line
            .chars()
            .map(|sign| match sign {
                'x' | 'P' | '!' | 'R' => style.paint(wrong, &sign.to_string()),
                other => other.to_string(),
            })
            .collect(),
        _ => line.to_owned(),
    };
    strip.lines().map(paint).collect::<Vec<String>>().join("\n")
}

fn happened(
    program: &Program,
    about: &About,
    judgement: &Judgement,
    real: &Trace,
    style: &Style,
) -> String {
    let mut paragraphs = vec![why(program, about, judgement).0];
    paragraphs.extend(ending(&real.end));
    let mut text = section("What happened", &paragraphs, style);
    for finding in &judgement.findings {
        text.push('\n');
        text.push_str(&wrap_after(sign(*finding), style.width, "  - ", 4));
    }
    text
}

/// How a run ended, if it did not end by itself.
fn ending(end: &End) -> Option<String> {
    match end {
        End::Finished | End::Unknown { .. } => None,
        End::Died { signal: Some(signal), .. } => {
            Some(format!("Signal {signal} ended the process."))
        }
        End::Died { code: Some(code), .. } => Some(format!("The process exited with code {code}.")),
        End::Died { .. } => Some("The process died.".to_owned()),
        End::Deadline { last, in_lock } => {
            let place = if *in_lock { ", with the loop thread asleep on a lock" } else { "" };
            Some(format!(
                "It did not end and was killed. In its last stretch GLib iterated {} for {} \
                 done{place}.",
                plural(last.iterations, "time"),
                plural(last.useful, "thing"),
            ))
        }
    }
}

/// What a finding means.
fn sign(finding: Finding) -> &'static str {
    match finding {
        Finding::Frozen(Side::Glib) => "every kind of GLib event that was due in a window stalled",
        Finding::Frozen(_) => "every kind of async event that was due in a window stalled",
        Finding::LostWakeUp => "a poke (waking both loops from outside) produced what was owed",
        Finding::Starved(Side::Glib) => "some kinds of GLib event stalled, others did not",
        Finding::Starved(_) => "some kinds of async event stalled, others did not",
        Finding::Deferred(Side::Glib) => "what GLib owed came after the window had closed",
        Finding::Deferred(_) => "what the async side owed came after the window had closed",
        Finding::Spin => "the loop iterated without sleeping",
        Finding::Tick => "the loop slept, but woke for nothing",
        Finding::PanicCaught => "a panic was caught",
    }
}

/// What the strategy said while it ran.
fn said(real: &Trace, style: &Style) -> Option<String> {
    if real.notes.is_empty() {
        return None;
    }
    let mut notes: Vec<&str> = real.notes.iter().take(NOTES).map(String::as_str).collect();
    let more = format!("and {} more", real.notes.len().saturating_sub(NOTES));
    if real.notes.len() > NOTES {
        notes.push(&more);
    }
    Some(list("The strategy said", &notes, style))
}

fn section(title: &str, paragraphs: &[String], style: &Style) -> String {
    let width = style.width;
    let paragraphs: Vec<String> = paragraphs.iter().map(|text| wrap(text, width, 2)).collect();
    format!("{}\n{}", style.heading(&wrap(title, width, 0)), paragraphs.join("\n"))
}

fn list(title: &str, items: &[&str], style: &Style) -> String {
    let item = |item: &&str| wrap_after(item, style.width, "  - ", 4);
    let items: Vec<String> = items.iter().map(item).collect();
    format!("{}\n{}", style.heading(title), items.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use loopnest_core::model::ideal;
    use loopnest_core::strategy::Owner;
    use loopnest_core::trace::{Event, Meter, What};

    use super::*;
    use crate::rules::tests::{program, quiet, strategy};
    use crate::text::ascii;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// What asyncio-glib does: the async events of the dialog come when it closes, and the loop
    /// iterates all the while.
    fn frozen(ideal: &Trace, iterations_per_ms: u64) -> Trace {
        let at = |what| ideal.events[ideal.find(what).unwrap()].at;
        let (open, close) = (at(What::Open(0)), at(What::Close(0)));
        let late = |event: &Event| {
            let inside = event.at >= open && event.at < close && event.depth > 0;
            inside && matches!(event.what, What::Reached(key) if key.kind.side() == Side::Async)
        };
        let mut events = ideal.events.clone();
        events.iter_mut().filter(|e| late(e)).for_each(|event| event.at = close + ms(2));
        events.sort_by_key(|event| event.at);
        metered(events, |at| iterations_per_ms * (at.clamp(open, close) - open).as_millis() as u64)
    }

    /// With one iteration per event, plus those that `spun` adds.
    fn metered(mut events: Vec<Event>, spun: impl Fn(Duration) -> u64) -> Trace {
        for (i, event) in events.iter_mut().enumerate() {
            let (n, spun) = (i as u64, spun(event.at));
            event.meter = Meter {
                iterations: n + spun,
                useful: n,
                switches: n,
                cpu: ms(n / 10) + Duration::from_micros(spun * 2),
                delay: Duration::ZERO,
                ticks: event.at.as_millis() as u64 / 10,
            };
        }
        let meter = events.last().map(|e| e.meter).unwrap_or_default();
        Trace { events, meter, end: End::Finished, notes: Vec::new() }
    }

    fn explained(program: &Program, owner: Owner, real: &Trace) -> String {
        let ideal = ideal(program);
        let judgement = classify(program, &ideal, real);
        let replay = ["replay".to_owned(), format!("own/{}", program.name)];
        let about = strategy(owner);
        let page = |style: &Style, votes: &str| {
            let page = Page { style, votes, replay: &replay };
            explanation(program, &about, &judgement, &ideal, real, &page)
        };
        for width in [50, 80, 100] {
            let style = Style { width, ..Style::default() };
            let text = page(&style, "3 of 5 runs had this verdict; 2 had lost.");
            let widest = text.lines().map(str::len).max();
            assert!(widest <= Some(width), "{widest:?}\n{text}");
            assert!(text.is_ascii() && !text.contains(" \n"), "{text}");
            assert!(text.contains("\n  3 of 5 runs had this verdict"), "{text}");
            let painted =
                page(&Style { color: true, ..style }, "3 of 5 runs had this verdict; 2 had lost.");
            assert!(painted.contains('\u{1b}'));
            let plain: Vec<String> = painted.lines().map(ascii).collect();
            assert_eq!(plain, text.lines().collect::<Vec<_>>());
        }
        page(&Style::default(), "")
    }

    #[test]
    fn a_stall_with_a_busy_loop() {
        let program = program("callback");
        let real = frozen(&ideal(&program), 350);
        insta::assert_snapshot!(explained(&program, Owner::Async, &real));
    }

    #[test]
    fn a_silent_stall() {
        let program = program("task");
        let real = frozen(&ideal(&program), 0);
        let text = explained(&program, Owner::Async, &real);
        assert!(text.contains("Rule: nested-loop-held-by-runtime"), "{text}");
        assert!(text.contains("qasync#59"), "{text}");
    }

    #[test]
    fn a_lost_wake_up_shows_the_poke_and_what_it_produced() {
        let program = quiet();
        let mut events = ideal(&program).events;
        let last = events.iter().rposition(|e| matches!(e.what, What::Reached(_))).unwrap();
        let poke = events[last].at + ms(400);
        events[last..].iter_mut().for_each(|event| event.at = poke + ms(1));
        events.insert(last, Event { at: poke, what: What::PokeBegin(0), ..events[last] });
        let text = explained(&program, Owner::Glib, &metered(events, |_| 0));
        let row = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(row("  due").ends_with('x') && row(" mark").contains('P'), "{text}");
        assert!(text.contains("Rule: lost-wake-up"), "{text}");
        let poked = row("  overdue events that came with a poke");
        assert_eq!(poked.split_whitespace().rev().take(3).collect::<Vec<_>>(), ["0", "0", "1"]);
    }

    #[test]
    fn progress_needs_no_advice() {
        let program = quiet();
        let real = metered(ideal(&program).events, |_| 0);
        let text = explained(&program, Owner::Glib, &real);
        assert!(!text.contains("\nTry ") && !text.contains("\nSeen "), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn an_abort_keeps_the_trace_so_far_and_what_was_said() {
        let program = program("callback");
        let mut real = metered(ideal(&program).events, |_| 0);
        real.events.truncate(20);
        real.meter = real.events[19].meter;
        real.end = End::Died {
            signal: Some(6),
            code: None,
            message: "called `Result::unwrap()` on an `Err` value: EnterError".to_owned(),
        };
        real.notes = (0..7).map(|i| format!("note {i}")).collect();
        insta::assert_snapshot!(explained(&program, Owner::Glib, &real));
    }

    #[test]
    fn a_killed_run_says_what_it_did_last() {
        let program = program("callback");
        let mut real = frozen(&ideal(&program), 0);
        let close = real.find(What::Close(0)).unwrap();
        real.events.truncate(close);
        let last = Meter { iterations: 0, ..Meter::default() };
        real.end = End::Deadline { last, in_lock: true };
        let text = explained(&program, Owner::Glib, &real);
        assert!(text.contains("asleep on a lock") && text.contains("Rule: lock-cycle"), "{text}");
    }

    #[test]
    fn an_empty_trace_is_explained_too() {
        let real = Trace {
            events: Vec::new(),
            meter: Meter::default(),
            end: End::Unknown { reason: "the subject could not start".to_owned() },
            notes: Vec::new(),
        };
        let text = explained(&program("callback"), Owner::Glib, &real);
        assert!(text.contains("the subject could not start"), "{text}");
    }

    #[test]
    fn a_long_name_and_verdict_do_not_widen_the_title() {
        let mut program = program("callback");
        program.name = "dialog-".repeat(8);
        let ideal = ideal(&program);
        let mut judgement = classify(&program, &ideal, &ideal);
        judgement.words = Word::ALL.to_vec();
        let about = strategy(Owner::Glib);
        let (style, replay) = (Style::default(), ["replay".to_owned(), "own/this".to_owned()]);
        let page = Page { style: &style, votes: "", replay: &replay };
        let text = explanation(&program, &about, &judgement, &ideal, &ideal, &page);
        assert!(text.lines().all(|line| line.len() <= style.width), "{text}");
    }
}
