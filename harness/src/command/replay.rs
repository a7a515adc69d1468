//! `harness replay`: runs one cell or counterexample again, and says whether its verdict was seen
//! again.

use std::fmt::Write as _;

use super::cells::write_timeline;
use super::output::{Destination, print, style};
use super::subject::{Chosen, attempts};
use super::usage::usage;
use crate::cli::ReplayArgs;
use crate::counterexample;
use crate::exit::Exit;
use crate::formats::of_word;
use crate::registry::Registry;
use crate::text::{READABLE, wrap};
use crate::timeline::Shown;
use crate::trial::Attempt;

pub(super) fn replay(registry: &Registry, args: &ReplayArgs) -> anyhow::Result<Exit> {
    let wanted = args.verdict.as_deref().map(counterexample::words).transpose().map_err(usage)?;
    let Chosen { trial, expected } = Chosen::find(registry, &args.what, args.strategy.as_deref())?;
    let timeline = args.timeline.as_deref().map(Destination::open).transpose()?;
    let Some(attempts) = attempts(&trial, args.repeat)? else {
        return Ok(Exit::Interrupted);
    };
    if let (Some(file), Some(attempt)) = (timeline, attempts.first()) {
        let (about, program) = (&trial.about, &trial.program);
        let Attempt { trace, judgement, .. } = attempt;
        write_timeline(&[Shown { about, program, trace, judgement }], file)?;
    }
    let cell = trial.result(&attempts, &[]);
    let style = style(args.color, false, false);
    let verdict = style.paint(of_word(cell.worst()), &cell.text());
    let mut text = format!("{}  {verdict}  {}/{}\n", cell.id(), cell.agree, cell.repeats);
    writeln!(text, "{}", wrap(&cell.why, style.width.min(READABLE), 0))?;
    let exit = match wanted.or(expected) {
        None => Exit::Ok,
        Some(words) if cell.is_inconclusive() && words != cell.verdict => {
            writeln!(text, "inconclusive: cannot tell whether the verdict is the same")?;
            Exit::Inconclusive
        }
        Some(words) if words == cell.verdict && !cell.is_mixed() => {
            writeln!(text, "seen again")?;
            Exit::Ok
        }
        Some(words) => {
            let (wanted, got) = (counterexample::text(&words), cell.text());
            write!(text, "not seen again: expected {wanted}, got {got}")?;
            if cell.is_mixed() {
                write!(text, " in {} of {} runs", cell.agree, cell.repeats)?;
            }
            writeln!(text)?;
            Exit::Surprise
        }
    };
    print(text.as_bytes())?;
    Ok(exit)
}
