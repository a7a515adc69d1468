//! Explains a verdict in one or two sentences, with the figures that prove it.

use loopnest_core::program::{Program, Side, Step};
use loopnest_core::strategy::About;
use loopnest_core::verdict::{Finding, Judgement, WindowFigures, Word};

use super::catalogue::recognise;
use super::evidence::is_hung;
use crate::text::{ascii, grouped, plural};

/// No sentence quotes more than this of a dying process's last words.
const QUOTE: usize = 160;

/// The reason for a verdict in one or two plain sentences, and the name of the rule that
/// recognised the cause.
///
/// What ended the run comes first, then what was owed, then the iterations.
pub fn why(program: &Program, about: &About, judgement: &Judgement) -> (String, &'static str) {
    explain(program, about, judgement, Run::Over)
}

/// The same for a run that is still going on: a nested loop of it is open, and it was judged as if
/// that had closed now.
pub fn why_so_far(
    program: &Program,
    about: &About,
    judgement: &Judgement,
) -> (String, &'static str) {
    explain(program, about, judgement, Run::GoesOn)
}

/// Whether a run has ended, for the tense of what is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// It has.
    Over,
    /// A nested loop of it is open.
    GoesOn,
}

fn explain(
    program: &Program,
    about: &About,
    judgement: &Judgement,
    run: Run,
) -> (String, &'static str) {
    let rule = recognise(program, about, judgement);
    let mut sentences = Vec::new();
    sentences.extend(ending(judgement));
    sentences.extend(levels(judgement));
    sentences.extend(owed(program, judgement, run));
    sentences.extend(held_open(judgement));
    sentences.extend(hung(judgement));
    sentences.extend(lost(judgement));
    sentences.extend(iterated(program, judgement));
    if sentences.is_empty() {
        sentences.push(if judgement.has(Word::Progress) {
            fine(judgement)
        } else {
            plain(judgement)
        });
    }
    sentences.truncate(2);
    (sentences.join(" "), rule.name)
}

/// What ended the run, if it did not end by itself.
fn ending(judgement: &Judgement) -> Option<String> {
    let message = judgement.message.as_deref().map(meaningful).unwrap_or_default();
    let with = |what: &str, without: &str| match message.as_str() {
        "" => format!("{without}."),
        message => format!("{what}: {}", ended(message)),
    };
    if judgement.has(Word::Abort) {
        return Some(with("The process died", "The process died without a message"));
    }
    if judgement.has(Word::Inconclusive) {
        return Some(with("The measurement cannot tell", "The measurement cannot tell"));
    }
    if judgement.has(Word::NotApplicable) {
        let plain = "The strategy declares that it does not offer this";
        return Some(with("Not offered", plain));
    }
    if judgement.has(Word::Deadlock) {
        return Some("The loop thread sleeps on a lock, and no poke reaches it.".to_owned());
    }
    if judgement.has(Word::Livelock) {
        let n = judgement.windows.iter().map(|w| w.iterations).max().unwrap_or(0);
        return Some(format!(
            "The nested loop was asked to quit and never did. GLib iterated {} in it.",
            times(n)
        ));
    }
    // A stall matters more than a refusal.
    if judgement.worst() == Word::Refused {
        return Some(with("Refused", "The strategy refused"));
    }
    None
}

fn levels(judgement: &Judgement) -> Option<String> {
    judgement
        .has(Word::WrongLevel)
        .then(|| "A nested loop ended though nothing had asked it to.".to_owned())
}

fn held_open(judgement: &Judgement) -> Option<String> {
    let text = "A nested loop was told to end, and went on until other work had ended.";
    judgement.has(Word::HeldOpen).then(|| text.to_owned())
}

/// What the stalled sides owed.
fn owed(program: &Program, judgement: &Judgement, run: Run) -> Option<String> {
    let figures = &judgement.figures;
    let sides = [
        (Side::Async, "async", figures.async_due, figures.async_starved),
        (Side::Glib, "GLib", figures.glib_due, figures.glib_starved),
    ];
    let stalled: Vec<_> = sides.into_iter().filter(|(.., starved)| *starved > 0).collect();
    if !judgement.has(Word::Stall) || stalled.is_empty() {
        return None;
    }
    let counts: Vec<String> = stalled
        .iter()
        .map(|(side, name, due, starved)| {
            let came = due.saturating_sub(starved + unsure(judgement, *side));
            format!("{came} of {due} {name}")
        })
        .collect();
    let many = stalled.iter().any(|(_, _, due, _)| *due != 1);
    let events = if many { "events" } else { "event" };
    let came = match (run, many) {
        (Run::Over, _) => "came",
        (Run::GoesOn, true) => "have come",
        (Run::GoesOn, false) => "has come",
    };
    let mut text = format!("{} {events} due {came}", counts.join(" and "));
    let until = match (run, program.levels().is_empty()) {
        (_, true) => None,
        (Run::Over, false) => Some(("before", "closed")),
        (Run::GoesOn, false) => Some(("while", "has been open")),
    };
    if let Some((when, what)) = until {
        let nested = if opens_dialog(program) { "dialog" } else { "nested loop" };
        text.push_str(&format!(" {when} the {nested} {what}"));
    }
    let kinds: Vec<String> = judgement
        .tallies
        .iter()
        .filter(|(kind, tally)| {
            tally.due > 0 && stalled.iter().any(|(side, ..)| *side == kind.side())
        })
        .map(|(kind, tally)| format!("{} {} of {}", kind.name(), tally.came(), tally.due))
        .collect();
    if judgement.has(Word::Split) && kinds.len() > 1 {
        text.push_str(&format!(" ({})", kinds.join(", ")));
    }
    if judgement.findings.contains(&Finding::LostWakeUp) {
        text.push_str("; waking both loops from outside produced the rest");
    }
    text.push('.');
    Some(text)
}

/// How many events of a side could not run in time.
fn unsure(judgement: &Judgement, side: Side) -> u32 {
    let mine = judgement.tallies.iter().filter(|(kind, _)| kind.side() == side);
    mine.map(|(_, tally)| tally.unsure).sum()
}

/// What never came in a run that had to be ended.
fn hung(judgement: &Judgement) -> Option<String> {
    let never = never(judgement);
    (is_hung(judgement) && !never.is_empty())
        .then(|| format!("{} never came, and the run had to be ended.", never.join(" and ")))
}

fn opens_dialog(program: &Program) -> bool {
    let block_on = |step: &Step| matches!(step, Step::BlockOn { .. });
    !program.steps().any(block_on)
}

fn lost(judgement: &Judgement) -> Option<String> {
    let parts = never(judgement);
    (judgement.has(Word::Lost) && !parts.is_empty())
        .then(|| format!("{} never came, though every window was closed.", parts.join(" and ")))
}

/// How many events of each side never came.
fn never(judgement: &Judgement) -> Vec<String> {
    let figures = &judgement.figures;
    let count = |n: u32, side: &str| (n > 0).then(|| plural(n.into(), &format!("{side} event")));
    let sides = [count(figures.async_lost, "async"), count(figures.glib_lost, "GLib")];
    sides.into_iter().flatten().collect()
}

/// How often the loop iterated, in the worst of the busy windows.
fn iterated(program: &Program, judgement: &Judgement) -> Option<String> {
    if !judgement.has(Word::BusyLoop) {
        return None;
    }
    let over = |w: &&WindowFigures| w.iterations * 1000 / w.limit.max(1);
    let busy = judgement.windows.iter().filter(|w| w.busy).max_by_key(over);
    let Some(window) = busy else {
        return Some("GLib iterated without sleeping until the run was ended.".to_owned());
    };
    let levels = program.levels();
    let place = match window.name.as_str() {
        name if levels.iter().any(|level| level == name) => format!(" in `{name}`"),
        "quiet" => " while nothing was due".to_owned(),
        _ if levels.is_empty() => String::new(),
        _ => " outside the nested loops".to_owned(),
    };
    Some(format!(
        "GLib iterated {}{place} for {} done (limit {}) and {}.",
        times(window.iterations),
        plural(window.justified, "thing"),
        grouped(window.limit),
        match window.switches {
            0 => "never slept".to_owned(),
            n => format!("slept {}", times(n)),
        },
    ))
}

fn fine(judgement: &Judgement) -> String {
    let figures = &judgement.figures;
    let mut text = match (figures.async_due, figures.glib_due) {
        (0, 0) => "Nothing was due in a window".to_owned(),
        (1, 0) => "The only async event due came in time".to_owned(),
        (0, 1) => "The only GLib event due came in time".to_owned(),
        (a, 0) => format!("All {} async events due came in time", grouped(a.into())),
        (0, g) => format!("All {} GLib events due came in time", grouped(g.into())),
        (a, g) => {
            let both = grouped(u64::from(a) + u64::from(g));
            format!("All {both} events due came in time ({a} async, {g} GLib)")
        }
    };
    let unsure = unsure(judgement, Side::Async) + unsure(judgement, Side::Glib);
    let late = figures.async_starved + figures.glib_starved + unsure;
    if late > 0 {
        let due = figures.async_due + figures.glib_due;
        text = format!("{} of {due} events due came in time", due - late.min(due));
    }
    text.push_str(&format!(
        "; GLib iterated {} for {} done.",
        times(figures.iterations),
        plural(figures.justified, "thing")
    ));
    if judgement.findings.contains(&Finding::PanicCaught) {
        text.push_str(" A panic was caught, and only its task ended.");
    }
    text
}

/// For when no figure says more than the word itself.
fn plain(judgement: &Judgement) -> String {
    let meaning = judgement.worst().meaning();
    let mut chars = meaning.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase()).into_iter();
    first.chain(chars).chain(['.']).collect()
}

/// The part of a message that says something, in ASCII and not too long.
///
/// A message has a line, or a part after a semicolon, for each panic.
/// A panic that could not unwind is a consequence; the one before it is the cause.
fn meaningful(message: &str) -> String {
    let noise = |line: &str| {
        line.is_empty()
            || line.starts_with("note:")
            || line.starts_with("stack backtrace")
            || (line.starts_with("thread '") && line.ends_with(':'))
    };
    let consequence =
        |part: &str| part.contains("cannot unwind") || part.contains("non-unwinding panic");
    let lines = || message.lines().map(str::trim).filter(|line| !noise(line));
    let cause = lines().find_map(|line| match consequence(line) {
        true => line.split("; ").find(|part| !consequence(part)),
        false => Some(line),
    });
    let line = ascii(cause.or_else(|| lines().next()).unwrap_or("").trim());
    if line.len() <= QUOTE {
        return line;
    }
    let cut = line[..QUOTE].rfind(' ').unwrap_or(QUOTE);
    format!("{}...", &line[..cut])
}

/// With a full stop, unless it already ends a sentence.
fn ended(text: &str) -> String {
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

fn times(n: u64) -> String {
    match n {
        1 => "once".to_owned(),
        n => format!("{} times", grouped(n)),
    }
}

#[cfg(test)]
mod tests {
    use loopnest_core::trace::Kind;

    use super::super::tests::{case, program, quiet, strategy};
    use super::*;
    use loopnest_core::strategy::Owner;

    #[test]
    fn a_stall_with_a_busy_loop_gives_both_figures() {
        let judgement = case(&[Word::Stall, Word::BusyLoop])
            .tally(Kind::Timer, 28, 28)
            .window("d", 141_000, 31, 0)
            .found(Finding::Spin)
            .found(Finding::Frozen(Side::Async))
            .judgement();
        let (text, rule) = why(&program("callback"), &strategy(Owner::Async), &judgement);
        assert_eq!(
            text,
            "0 of 28 async events due came before the dialog closed. GLib iterated 141,000 \
             times in `d` for 31 things done (limit 264) and never slept."
        );
        assert_eq!(rule, "selector-source-stays-ready");
    }

    #[test]
    fn an_abort_quotes_the_cause_and_not_the_consequence() {
        let message = "thread 'main' panicked at main_context_futures.rs:100:5:\n\
                       called `Result::unwrap()` on an `Err` value: EnterError\n\
                       note: run with `RUST_BACKTRACE=1`\n\
                       panic in a function that cannot unwind";
        let judgement = case(&[Word::Abort]).message(message).judgement();
        let (text, rule) = why(&program("task"), &strategy(Owner::Glib), &judgement);
        assert_eq!(
            text,
            "The process died: called `Result::unwrap()` on an `Err` value: EnterError."
        );
        assert_eq!(rule, "executor-re-entered");
    }

    #[test]
    fn the_panics_of_one_line_are_told_apart() {
        let message = "called `Result::unwrap()` on an `Err` value: EnterError (glib/src/f.rs:9); \
                       panic in a function that cannot unwind (core/src/panicking.rs:225)";
        let judgement = case(&[Word::Abort]).message(message).judgement();
        let (text, rule) = why(&program("task"), &strategy(Owner::Glib), &judgement);
        assert!(text.ends_with("value: EnterError (glib/src/f.rs:9)."), "{text}");
        assert_eq!(rule, "executor-re-entered");
    }

    #[test]
    fn a_message_that_is_only_a_consequence_is_still_quoted() {
        let judgement =
            case(&[Word::Abort]).message("panic in a function that cannot unwind").judgement();
        let (text, _) = why(&program("callback"), &strategy(Owner::Glib), &judgement);
        assert_eq!(text, "The process died: panic in a function that cannot unwind.");
    }

    #[test]
    fn a_long_message_is_cut_at_a_word() {
        let judgement = case(&[Word::Abort]).message(&"word ".repeat(100)).judgement();
        let (text, _) = why(&program("callback"), &strategy(Owner::Glib), &judgement);
        assert!(text.len() < 200 && text.ends_with("word..."), "{text}");
    }

    #[test]
    fn of_a_run_that_goes_on_nothing_is_said_to_have_closed() {
        let judgement = case(&[Word::Stall, Word::BusyLoop, Word::Split])
            .tally(Kind::Timer, 10, 10)
            .tally(Kind::Io, 2, 0)
            .window("d", 141_000, 31, 0)
            .judgement();
        let about = strategy(Owner::Async);
        let (text, rule) = why_so_far(&program("callback"), &about, &judgement);
        assert_eq!(
            text,
            "2 of 12 async events due have come while the dialog has been open (timer 0 of 10, I/O \
             2 of 2). GLib iterated 141,000 times in `d` for 31 things done (limit 264) and never \
             slept."
        );
        assert_eq!(rule, why(&program("callback"), &about, &judgement).1);
        // These are what a run can have before its loops have closed.
        for word in [Word::Progress, Word::Refused, Word::BusyLoop, Word::Split, Word::Stall] {
            let one = case(&[word]).tally(Kind::Timer, 1, 1).judgement();
            let (text, _) = why_so_far(&program("callback"), &about, &one);
            assert!(!text.contains("closed"), "{word}: {text}");
        }
    }

    #[test]
    fn split_progress_names_the_kinds() {
        let judgement = case(&[Word::Stall, Word::Split])
            .tally(Kind::Timer, 10, 10)
            .tally(Kind::Io, 2, 0)
            .judgement();
        let (text, _) = why(&program("callback"), &strategy(Owner::Glib), &judgement);
        assert_eq!(
            text,
            "2 of 12 async events due came before the dialog closed (timer 0 of 10, I/O 2 of 2)."
        );
    }

    #[test]
    fn a_lost_wake_up_says_what_the_poke_did() {
        let judgement =
            case(&[Word::Stall]).tally(Kind::Wake, 1, 1).found(Finding::LostWakeUp).judgement();
        let (text, _) = why(&quiet(), &strategy(Owner::Glib), &judgement);
        assert_eq!(
            text,
            "0 of 1 async event due came; waking both loops from outside produced the rest."
        );
    }

    #[test]
    fn the_limit_is_that_of_the_judgement() {
        let mut judgement = case(&[Word::BusyLoop]).window("d", 5000, 0, 0).judgement();
        // A loop that is drained by hand may iterate more often.
        judgement.windows[0].limit = 76;
        let (text, _) = why(&program("callback"), &strategy(Owner::Glib), &judgement);
        assert!(text.contains("(limit 76)"), "{text}");
    }

    #[test]
    fn every_word_alone_gives_a_sentence() {
        for word in Word::ALL {
            let judgement = case(&[word]).judgement();
            let (text, _) = why(&program("callback"), &strategy(Owner::Glib), &judgement);
            assert!(text.len() > 10 && text.ends_with('.'), "{word}: {text}");
        }
    }

    #[test]
    fn both_sides_share_a_sentence() {
        let judgement = case(&[Word::Stall, Word::BusyLoop])
            .tally(Kind::Timer, 6, 6)
            .tally(Kind::Timeout, 2, 1)
            .window("run", 900, 0, 890)
            .judgement();
        let (text, _) = why(&quiet(), &strategy(Owner::Glib), &judgement);
        assert_eq!(
            text,
            "0 of 6 async and 1 of 2 GLib events due came. GLib iterated 900 times for 0 things \
             done (limit 16) and slept 890 times."
        );
    }

    #[test]
    fn a_stall_is_reported_before_a_refusal() {
        let judgement = case(&[Word::Stall, Word::Refused])
            .message("nested refuses to block")
            .tally(Kind::Timer, 6, 6)
            .judgement();
        let (text, _) = why(&program("callback"), &strategy(Owner::Async), &judgement);
        assert_eq!(text, "0 of 6 async events due came before the dialog closed.");
    }

    #[test]
    fn no_verdict_takes_more_than_two_sentences() {
        let judgement = case(&[Word::Abort, Word::WrongLevel, Word::Stall, Word::BusyLoop])
            .message("EnterError")
            .tally(Kind::Timer, 3, 3)
            .window("d", 1000, 0, 0)
            .judgement();
        let (text, _) = why(&program("callback"), &strategy(Owner::Glib), &judgement);
        assert_eq!(text.matches(". ").count(), 1, "{text}");
    }
}
