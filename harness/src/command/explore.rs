//! `harness explore`: search, shrink, confirm, save.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use loopnest_core::model::ideal;
use loopnest_core::strategy::About;
use loopnest_core::{Judgement, Program, Word, classify, model};

use super::{launch, on_interrupt, print, say, usage};
use crate::cli::{ExploreArgs, ProgressKind};
use crate::counterexample::{self, Counterexample, Found};
use crate::exit::Exit;
use crate::matrix::cell_result;
use crate::registry::Registry;
use crate::result::CellResult;
use crate::rules::{by_name, recognise, why};
use crate::search::{Find, News, Plan, Searched, n_steps, search};
use crate::supervisor::Launch;
use crate::text::{LABEL, WIDTH, command, labelled, plural, wrap};
use crate::trial::Trial;

/// How often a find is run on the real loops when the first run does not agree with the model.
const RUNS: usize = 3;

pub(super) fn explore(registry: &Registry, args: &ExploreArgs) -> anyhow::Result<Exit> {
    let about = registry.strategy(&args.strategy)?.about();
    if !args.real && model::run(about.name, &empty()).is_none() {
        return Err(usage(no_model(registry, about.name)));
    }
    if let Some(path) = args.out.as_deref().filter(|path| path.is_dir()) {
        return Err(usage(format!("--out names a folder, {}; name a file in it", path.display())));
    }
    let seed = args.seed.unwrap_or_else(|| u64::from(fastrand::u32(..)));
    let (launch, interrupted) = (launch()?, on_interrupt()?);
    let search = Explored { about: &about, args, seed, launch: &launch, interrupted: &interrupted };
    let searched = search.search()?;
    let Some(find) = searched.find else {
        return search.nothing(searched.cases, searched.interrupted);
    };
    // What the real loops judged need not be confirmed by them.
    let confirmed = if args.real { None } else { search.confirm(&find)? };
    search.report(&find, searched.interrupted, confirmed.as_ref())
}

fn empty() -> Program {
    Program {
        name: String::new(),
        about: String::new(),
        source: String::new(),
        tags: Vec::new(),
        actors: Vec::new(),
    }
}

fn no_model(registry: &Registry, name: &str) -> String {
    let names = registry.strategies().map(|strategy| strategy.about().name);
    let known: Vec<_> = names.filter(|name| model::run(name, &empty()).is_some()).collect();
    format!(
        "there is no model of `{name}` to search on; there are models of {}, and `--real` searches \
         on the real loops",
        known.join(", ")
    )
}

/// A search, from the command line to the result.
struct Explored<'a> {
    about: &'a About,
    args: &'a ExploreArgs,
    seed: u64,
    launch: &'a Launch,
    interrupted: &'a AtomicBool,
}

impl Explored<'_> {
    fn search(&self) -> anyhow::Result<Searched> {
        let &ExploreArgs { cases, want, real, .. } = self.args;
        let meter = Meter::new(self.args.progress, cases);
        let mut warned = false;
        let mut news = |news: News<'_>| {
            meter.tell(news);
            // At once: a search may be killed.
            if let News::Found(find) = news
                && let Err(error) = self.save(find, None)
                && !std::mem::replace(&mut warned, true)
            {
                say(format_args!("warning: {error}"));
            }
        };
        let searched = if real {
            let plan = Plan::on_real_loops(self.seed, cases, want);
            let mut judge = |program: &Program| {
                let trial = Trial::of(self.about.clone(), program.clone())?;
                let attempt = trial.run(self.launch, self.interrupted)?;
                let judgement = attempt.map(|attempt| attempt.judgement);
                Ok(judgement.filter(|judgement| self.is_of_interest(program, judgement)))
            };
            search(&plan, self.interrupted, &mut judge, &mut news)
        } else {
            let plan = Plan::on_model(self.seed, cases, want);
            let mut judge = |program: &Program| {
                let judgement = judge(self.about.name, program);
                Ok(judgement.filter(|judgement| self.is_of_interest(program, judgement)))
            };
            search(&plan, self.interrupted, &mut judge, &mut news)
        };
        meter.finish();
        searched.map_err(|error| anyhow::Error::new(error).context("cannot start a cell"))
    }

    /// Whether its cause is none of those that are left out.
    fn is_of_interest(&self, program: &Program, judgement: &Judgement) -> bool {
        let skip = &self.args.skip;
        skip.is_empty() || !skip.iter().any(|r| r == recognise(program, self.about, judgement).name)
    }

    /// Says that nothing was found.
    fn nothing(&self, cases: u32, interrupted: bool) -> anyhow::Result<Exit> {
        let what = self.args.want.map_or("bad verdict".to_owned(), |word| format!("`{word}`"));
        let (name, n) = (self.about.name, plural(u64::from(cases), "program"));
        let seed = format!("{:x}", self.seed);
        let mut text = format!("{name}: no {what} in {n} of seed {seed}\n");
        if interrupted {
            writeln!(text, "interrupted after {cases} of {}", self.args.cases)?;
        }
        writeln!(text, "{}", self.again())?;
        print(text.as_bytes())?;
        Ok(if interrupted { Exit::Interrupted } else { Exit::NothingFound })
    }

    /// Runs what was found on the real loops; nothing if that was interrupted.
    fn confirm(&self, find: &Find) -> anyhow::Result<Option<CellResult>> {
        let trial = Trial::of(self.about.clone(), find.program.clone())?;
        let mut attempts = Vec::new();
        while attempts.len() < RUNS {
            let Some(attempt) = trial.run(self.launch, self.interrupted)? else {
                return Ok(None);
            };
            let agrees = attempt.judgement.words == find.judgement.words;
            attempts.push(attempt);
            // Chance does not make the two agree.
            if agrees && attempts.len() == 1 {
                break;
            }
        }
        Ok(Some(cell_result(&trial, &attempts)))
    }

    fn report(
        &self,
        find: &Find,
        interrupted: bool,
        real: Option<&CellResult>,
    ) -> anyhow::Result<Exit> {
        let saved = self.save(find, real);
        print(self.text(find, interrupted, real, saved.as_ref().ok())?.as_bytes())?;
        saved?;
        Ok(match real {
            _ if interrupted => Exit::Interrupted,
            None if !self.args.real => Exit::Interrupted,
            Some(real) if real.is_inconclusive() => Exit::Inconclusive,
            Some(real) if real.verdict != find.judgement.words => Exit::Surprise,
            _ => Exit::Ok,
        })
    }

    fn text(
        &self,
        find: &Find,
        interrupted: bool,
        real: Option<&CellResult>,
        saved: Option<&PathBuf>,
    ) -> anyhow::Result<String> {
        let Find { program, judgement, case, shrunk_from, tries, .. } = find;
        let mut text = format!("{}: {}\n", self.about.name, judgement.text());
        let steps = plural(n_steps(program) as u64, "step");
        let found = format!(
            "program {case} of {}, shrunk from {shrunk_from} to {steps} in {}",
            self.args.cases,
            plural(u64::from(*tries), "try").replace("trys", "tries"),
        );
        writeln!(text, "{}\n", wrap(&found, WIDTH, 0))?;
        for line in program.to_string().lines() {
            writeln!(text, "  {line}")?;
        }
        let (reason, rule) = why(program, self.about, judgement);
        writeln!(text, "\n{}", labelled("Why", &reason))?;
        if let Some(rule) = by_name(rule) {
            let named = format!("{} (METHODOLOGY.md#{})", rule.title, rule.name);
            writeln!(text, "{}", labelled("Rule", &named))?;
        }
        writeln!(text, "{}", labelled("Real", &self.on_real_loops(find, real)))?;
        if interrupted {
            writeln!(text, "{}", labelled("Note", "interrupted: a longer search may find less"))?;
        }
        if let Some(path) = saved {
            let path = path.display().to_string();
            writeln!(text, "{}", labelled("Saved", &path))?;
            writeln!(text, "{}", command("Replay", &["harness", "replay", &path], WIDTH, LABEL))?;
        }
        writeln!(text, "{}", self.again())?;
        Ok(text)
    }

    /// What the real loops say of it.
    fn on_real_loops(&self, find: &Find, real: Option<&CellResult>) -> String {
        let Some(real) = real else {
            return if self.args.real {
                "seen three times in a row; this search is not on a model".to_owned()
            } else {
                "not run on the real loops: interrupted".to_owned()
            };
        };
        let runs = format!("{} of {}", real.agree, plural(u64::from(real.repeats), "run"));
        if real.verdict == find.judgement.words {
            return format!("{} on the real loops too, in {runs}", real.text());
        }
        format!(
            "{} on the real loops, in {runs}: the model differs from them here. {}",
            real.text(),
            real.why
        )
    }

    /// The line that searches once more as this search did.
    fn again(&self) -> String {
        let words = self.words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        command("Again", &words, WIDTH, LABEL)
    }

    /// The words of that line.
    fn words(&self) -> Vec<String> {
        let (cases, seed) = (self.args.cases.to_string(), format!("{:x}", self.seed));
        let mut words = vec!["harness", "explore", "--strategy", self.about.name];
        if let Some(want) = self.args.want {
            words.extend(["--want", want.name()]);
        }
        words.extend(self.args.skip.iter().flat_map(|rule| ["--skip", rule]));
        words.extend(["--cases", &cases, "--seed", &seed]);
        if self.args.real {
            words.push("--real");
        }
        words.into_iter().map(str::to_owned).collect()
    }

    /// Writes the file of what was found; where it is.
    fn save(&self, find: &Find, real: Option<&CellResult>) -> anyhow::Result<PathBuf> {
        let seed = format!("{:x}", self.seed);
        let stem = format!("{}-{}-{seed}", self.about.name, find.word);
        let default = || Path::new("counterexamples").join(format!("{stem}.toml"));
        let path = self.args.out.clone().unwrap_or_else(default);
        let words = &find.judgement.words;
        let judged = real.map_or(Vec::new(), |real| real.verdict.clone());
        let (model, real) =
            if self.args.real { (Vec::new(), words.clone()) } else { (words.clone(), judged) };
        // What is seen again is what the real loops do.
        let seen = real.iter().any(|word| word.is_bad() || *word == Word::Refused);
        let verdict = if seen { real.clone() } else { words.clone() };
        let program = Program {
            name: stem,
            about: format!("{} was found here by a search.", counterexample::text(&verdict)),
            source: self.words().join(" "),
            ..find.program.clone()
        };
        let found = Found {
            seed,
            case: find.case,
            want: vec![find.word],
            shrunk_from: find.shrunk_from,
            tries: find.tries,
            model,
            real,
        };
        let file = Counterexample::new(self.about.name, verdict, program, Some(found));
        // Its message has the system's reason in it already.
        file.save(&path).map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(path)
    }
}

/// What the model says of a program.
fn judge(strategy: &str, program: &Program) -> Option<Judgement> {
    let trace = model::run(strategy, program)?;
    Some(classify(program, &ideal(program), &trace))
}

/// Progress on stderr: a bar of programs, or a line for each find.
struct Meter {
    bar: Option<ProgressBar>,
    plain: bool,
}

impl Meter {
    fn new(kind: ProgressKind, cases: u32) -> Self {
        let wanted = match kind {
            ProgressKind::Auto => io::stderr().is_terminal(),
            ProgressKind::Bar => true,
            ProgressKind::Plain | ProgressKind::None => false,
        };
        let bar = wanted.then(|| {
            let cases = Some(u64::from(cases));
            let bar = ProgressBar::with_draw_target(cases, ProgressDrawTarget::stderr());
            let template = "{bar:24} {pos}/{len} {elapsed} {wide_msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("##-"));
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { bar, plain: kind == ProgressKind::Plain }
    }

    fn tell(&self, news: News<'_>) {
        match news {
            News::Tried(n) => {
                if let Some(bar) = &self.bar {
                    bar.set_position(u64::from(n));
                }
            }
            News::Found(find) => {
                let steps = plural(n_steps(&find.program) as u64, "step");
                let line = format!("program {}: {}, {steps}", find.case, find.judgement.text());
                if let Some(bar) = &self.bar {
                    bar.set_message(line.clone());
                }
                if self.plain {
                    say(line);
                }
            }
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_of_what_has_none_judges_nothing() {
        assert!(judge("control-starved", &empty()).is_none());
        let said = no_model(&Registry::default(), "control-starved");
        assert!(said.contains("`control-starved`") && said.contains("models of nested"), "{said}");
        assert!(!said.contains("control-correct"), "{said}");
    }

    #[test]
    fn every_word_that_can_be_found_can_stand_in_a_file_name() {
        for word in Word::ALL.into_iter().filter(|word| word.is_bad() || *word == Word::Refused) {
            assert!(!word.name().contains('/'), "{word}");
        }
    }
}
