//! `harness explore`: search, shrink, confirm, save.

mod answer;
mod request;
mod save;

use std::sync::atomic::AtomicBool;

use loopnest_core::model::{self, Model, ideal};
use loopnest_core::{Judgement, Program, Word, classify};

use self::request::Request;
use self::save::save;
use super::cells::{launch, on_interrupt};
use super::output::{print, say, style};
use super::progress::OfSearch;
use super::usage::usage;
use crate::cli::ExploreArgs;
use crate::counterexample::Counterexample;
use crate::exit::Exit;
use crate::formats::Style;
use crate::judgeable::judgeable;
use crate::launch::Launch;
use crate::machine;
use crate::registry::Registry;
use crate::result::CellResult;
use crate::rules::recognise;
use crate::search::{Find, News, Plan, Searched, search};
use crate::text::READABLE;
use crate::trial::{Trial, TrialError};

/// How many times a find is run on the real loops if the first run disagrees with the model.
const RUNS: usize = 3;

pub(super) fn explore(registry: &Registry, args: &ExploreArgs) -> anyhow::Result<Exit> {
    let about = registry.strategy(&args.strategy)?.about();
    let model = match Model::of(about.name) {
        _ if args.real => None,
        None => return Err(usage(no_model(registry, about.name))),
        model => model,
    };
    if let Some(path) = args.output.as_deref().filter(|path| path.is_dir()) {
        return Err(usage(format!("--output is a folder, {}; name a file in it", path.display())));
    }
    if let Some(path) = &args.output {
        Counterexample::can_be_saved(path).map_err(usage)?;
    }
    let style = style(args.color, false, false);
    let style = Style { width: style.width.min(READABLE), ..style };
    let seed = args.seed.unwrap_or_else(|| u64::from(fastrand::u32(..)));
    let (launch, interrupted) = (launch()?, on_interrupt()?);
    let request = Request { about: &about, args, seed };
    let (launch, interrupted) = (&launch, &interrupted);
    let explorer = Explorer { request: &request, model, launch, interrupted };
    let searched = explorer.search()?;
    let Some(find) = &searched.find else {
        print(answer::nothing(&request, &searched, &style)?.as_bytes())?;
        return Ok(if searched.interrupted { Exit::Interrupted } else { Exit::NothingFound });
    };
    // A find on the real loops needs no confirmation on them.
    let confirmed = if args.real { None } else { explorer.confirm(find)? };
    let (interrupted, real) = (searched.interrupted, confirmed.as_ref());
    let saved = save(&request, find, real);
    let path = saved.as_deref().ok();
    print(answer::found(&request, find, interrupted, real, path, &style)?.as_bytes())?;
    saved?;
    Ok(exit(&request, find, interrupted, real))
}

/// The exit code of a search that found something.
fn exit(request: &Request<'_>, find: &Find, interrupted: bool, real: Option<&CellResult>) -> Exit {
    match real {
        _ if interrupted => Exit::Interrupted,
        None if !request.args.real => Exit::Interrupted,
        Some(real) if real.is_inconclusive() => Exit::Inconclusive,
        Some(real) if real.verdict != find.judgement.words => Exit::Surprise,
        _ => Exit::Ok,
    }
}

fn no_model(registry: &Registry, name: &str) -> String {
    let names = registry.strategies().map(|strategy| strategy.about().name);
    let known: Vec<_> = names.filter(|name| Model::of(name).is_some()).collect();
    format!(
        "there is no model of `{name}` to search on; use `--real` to search on the real loops, or \
         one of the strategies that have a model: {}",
        known.join(", ")
    )
}

/// Searches on the model or on the real loops, and confirms on the real loops.
struct Explorer<'a> {
    request: &'a Request<'a>,
    /// `None` means the real loops.
    model: Option<Model>,
    launch: &'a Launch,
    interrupted: &'a AtomicBool,
}

impl Explorer<'_> {
    fn search(&self) -> anyhow::Result<Searched> {
        let &Request { about, args, seed } = self.request;
        let &ExploreArgs { cases, want, .. } = args;
        let progress = OfSearch::new(args.progress, cases);
        let mut warned = false;
        let mut news = |news: News<'_>| {
            progress.tell(news);
            // At once, because a search may be killed.
            if let News::Found(find) = news
                && let Err(error) = save(self.request, find, None)
                && !std::mem::replace(&mut warned, true)
            {
                say(format_args!("warning: {error}"));
            }
        };
        let searched = if let Some(model) = self.model {
            let plan = Plan::on_model(seed, cases, want);
            let mut judge = |program: &Program| {
                let judgement = judge(model, program);
                Ok(self.is_of_interest(program, &judgement).then_some(judgement))
            };
            search(&plan, self.interrupted, &mut judge, &mut news)
        } else {
            let plan = Plan::on_real_loops(seed, cases, want);
            let mut judge = |program: &Program| {
                let trial = match Trial::of(about.clone(), program.clone()) {
                    Err(TrialError::Io(error)) => return Err(error),
                    // A step taken away may leave a program that nobody can judge.
                    Err(_) => return Ok(None),
                    Ok(trial) => trial,
                };
                let attempt = trial.run(self.launch, self.interrupted)?;
                let judgement = attempt.map(|attempt| attempt.judgement);
                Ok(judgement.filter(|judgement| self.is_of_interest(program, judgement)))
            };
            search(&plan, self.interrupted, &mut judge, &mut news)
        };
        progress.finish();
        searched.map_err(|error| anyhow::Error::new(error).context("cannot start a cell"))
    }

    /// Whether its cause is none of those to ignore, and the real loops can be judged on it too.
    fn is_of_interest(&self, program: &Program, judgement: &Judgement) -> bool {
        let Request { about, args, .. } = self.request;
        let skipped = |rule: &String| rule == recognise(program, about, judgement).name;
        let fine = judgement.words == [Word::Progress];
        !args.skip.iter().any(skipped) && (fine || judgeable(program, &ideal(program)).is_ok())
    }

    /// Runs a find on the real loops; `None` if interrupted.
    fn confirm(&self, find: &Find) -> anyhow::Result<Option<CellResult>> {
        let trial = Trial::of(self.request.about.clone(), find.program.clone())?;
        let mut attempts = Vec::new();
        while attempts.len() < RUNS {
            let Some(attempt) = trial.run(self.launch, self.interrupted)? else {
                return Ok(None);
            };
            let agrees = attempt.judgement.words == find.judgement.words;
            attempts.push(attempt);
            // The two do not agree by chance.
            if agrees && attempts.len() == 1 {
                break;
            }
        }
        Ok(Some(trial.result(&attempts, &[])))
    }
}

/// The model's judgement of a program.
fn judge(model: Model, program: &Program) -> Judgement {
    let due = ideal(program);
    classify(program, &due, &model::run_on(machine::rounding(), model, program, &due))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_a_strategy_without_a_model_the_message_names_those_that_have_one() {
        let said = no_model(&Registry::default(), "control-starved");
        assert!(said.contains("`control-starved`") && said.contains("a model: nested"), "{said}");
        assert!(!said.contains("control-correct"), "{said}");
    }
}
