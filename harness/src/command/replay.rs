//! `harness replay`: one cell again, and whether its verdict was seen again.

use std::fmt::Write as _;

use loopnest_core::Word;

use super::run::write_timeline;
use super::{launch, on_interrupt, print, usage};
use crate::cli::ReplayArgs;
use crate::exit::Exit;
use crate::expect::Expectations;
use crate::matrix::{self, Plan, Silent};
use crate::registry::Registry;

pub(super) fn replay(registry: &Registry, args: &ReplayArgs) -> anyhow::Result<Exit> {
    let wanted = args.verdict.as_deref().map(words).transpose()?;
    let plan = Plan {
        cells: vec![(args.cell.strategy.clone(), args.cell.scenario.clone())],
        repeat: args.repeat,
        seed: args.seed,
        jobs: 1,
        launch: launch()?,
    };
    let interrupted = on_interrupt()?;
    let mut found = matrix::run(registry, &plan, &Silent, &interrupted)?.whole()?;
    Expectations::built_in().map_err(usage)?.apply(&mut found.result);
    if let Some(path) = &args.timeline {
        write_timeline(registry, &found, path)?;
    }
    let (Some(cell), false) = (found.result.cells.first(), found.result.partial) else {
        return Ok(Exit::Interrupted);
    };
    let wanted = wanted.or_else(|| cell.expected.clone());
    let mut text = format!("{}  {}  {}/{}\n", cell.id(), cell.text(), cell.agree, cell.repeats);
    writeln!(text, "{}", cell.why)?;
    let exit = match wanted {
        None => Exit::Ok,
        Some(words) if cell.is_inconclusive() && words != cell.verdict => {
            writeln!(text, "whether it was seen again cannot be told")?;
            Exit::Inconclusive
        }
        Some(words) if words == cell.verdict && !cell.is_mixed() => {
            writeln!(text, "seen again")?;
            Exit::Ok
        }
        Some(words) => {
            let words: Vec<_> = words.iter().map(|w| w.name()).collect();
            writeln!(text, "not seen again: {} was to be seen", words.join("+"))?;
            Exit::Surprise
        }
    };
    print(text.as_bytes())?;
    Ok(exit)
}

fn words(text: &str) -> anyhow::Result<Vec<Word>> {
    let parse = |name: &str| {
        Word::from_name(name.trim()).ok_or_else(|| {
            let all: Vec<_> = Word::ALL.iter().map(|w| w.name()).collect();
            usage(format!("no verdict `{name}`; there are {}", all.join(", ")))
        })
    };
    let mut words = text.split('+').map(parse).collect::<anyhow::Result<Vec<_>>>()?;
    // Verdicts name the worst first.
    words.sort_by(|a, b| b.cmp(a));
    Ok(words)
}
