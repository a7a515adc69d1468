//! Searches for a program with a bad verdict, and shrinks it.
//!
//! It generates programs until it has found a few with the wanted verdict. It shrinks each, and the
//! smallest is the result.
//! Shrinking is greedy, and where it ends depends on where it begins, so the best of a few is
//! smaller than the first.
//!
//! The caller supplies the judge: on the model a program takes microseconds, on the real loops a
//! second.
//! Everything else follows from the seed.

use std::cmp::Reverse;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use loopnest_core::generate::{Size, programs};
use loopnest_core::model::ideal;
use loopnest_core::program::Step;
use loopnest_core::trace::End;
use loopnest_core::{Judgement, Program, Word};
use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// What to search for, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How large the programs are.
    pub size: Size,
    /// How many to try.
    pub cases: u32,
    /// The seed that they are generated from.
    pub seed: u64,
    /// The word to look for. If `None`, the worst word of the first bad verdict.
    pub want: Option<Word>,
    /// How many times in a row the whole verdict must be the same, so that a replay sees it again.
    pub times: u32,
    /// How many programs with that word to shrink.
    pub finds: u32,
    /// How many programs to try while shrinking one.
    pub tries: u32,
}

impl Plan {
    /// For the model, where a program costs next to nothing and always gets the same verdict.
    pub fn on_model(seed: u64, cases: u32, want: Option<Word>) -> Self {
        Self { size: Size::Default, cases, seed, want, times: 1, finds: 5, tries: 20_000 }
    }

    /// For the real loops, where a program costs a second and chance must be ruled out.
    pub fn on_real_loops(seed: u64, cases: u32, want: Option<Word>) -> Self {
        Self { size: Size::Small, cases, seed, want, times: 3, finds: 1, tries: 200 }
    }
}

/// A program that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Find {
    /// The program.
    pub program: Program,
    /// Its judgement.
    pub judgement: Judgement,
    /// The word that was searched for.
    pub word: Word,
    /// Which program it was shrunk from, counted from 1.
    pub case: u32,
    /// How many steps that one had.
    pub shrunk_from: usize,
    /// How many programs were tried to shrink it.
    pub tries: u32,
}

/// The progress of a search.
#[derive(Clone, Copy, Debug)]
pub enum News<'a> {
    /// This many programs have been tried.
    Tried(u32),
    /// A find is new or has shrunk, and is now the smallest.
    Found(&'a Find),
}

/// How a search ended.
#[derive(Clone, Debug)]
pub struct Searched {
    /// The smallest program that was found.
    pub find: Option<Find>,
    /// How many were tried, not counting those tried while shrinking.
    pub cases: u32,
    /// It was interrupted, and might have found more or smaller ones.
    pub interrupted: bool,
}

/// Searches. `judge` returns the judgement of a program, or `None` if it was interrupted or the
/// judgement is to be ignored.
///
/// # Errors
/// Those of `judge`.
pub fn search(
    plan: &Plan,
    interrupted: &AtomicBool,
    judge: &mut dyn FnMut(&Program) -> io::Result<Option<Judgement>>,
    news: &mut dyn FnMut(News<'_>),
) -> io::Result<Searched> {
    let mut search = Search { plan, interrupted, judge, news, want: plan.want, best: None };
    let mut runner = runner(plan.seed);
    let programs = programs(plan.size);
    let (mut cases, mut finds) = (0, 0);
    while cases < plan.cases && finds < plan.finds && !search.stopped() {
        let Ok(tree) = programs.new_tree(&mut runner) else {
            unreachable!("the generator filters nothing");
        };
        cases += 1;
        finds += u32::from(search.one(cases, tree)?);
        (search.news)(News::Tried(cases));
    }
    let interrupted = search.stopped();
    Ok(Searched { find: search.best, cases, interrupted })
}

/// Generates the same programs for the same seed.
fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng)
}

struct Search<'a> {
    plan: &'a Plan,
    interrupted: &'a AtomicBool,
    judge: &'a mut dyn FnMut(&Program) -> io::Result<Option<Judgement>>,
    news: &'a mut dyn FnMut(News<'_>),
    /// Always set from the first find on.
    want: Option<Word>,
    best: Option<Find>,
}

impl Search<'_> {
    fn stopped(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Tries one program, and shrinks it if it has the wanted verdict.
    fn one(&mut self, case: u32, mut tree: impl ValueTree<Value = Program>) -> io::Result<bool> {
        let program = tree.current();
        let Some((judgement, word)) = self.judged(&program)? else {
            return Ok(false);
        };
        self.want = Some(word);
        let shrunk_from = n_steps(&program);
        let mut find = Find { program, judgement, word, case, shrunk_from, tries: 0 };
        self.offer(&find);
        // First the generator's choices, lists and numbers, then whatever can still be left out.
        let mut goes_on = tree.simplify();
        while goes_on && self.may_try(&find) {
            goes_on = if self.smaller(&mut find, tree.current())? {
                tree.simplify()
            } else {
                tree.complicate()
            };
        }
        while self.may_try(&find) && self.leave_something_out(&mut find)? {}
        self.offer(&find);
        Ok(true)
    }

    fn may_try(&self, find: &Find) -> bool {
        find.tries < self.plan.tries && !self.stopped()
    }

    /// Replaces the find by a program, if that has the wanted verdict.
    fn smaller(&mut self, find: &mut Find, program: Program) -> io::Result<bool> {
        find.tries += 1;
        let judged = self.judged(&program)?;
        let will_do = judged.is_some();
        if let Some((judgement, _)) = judged {
            (find.program, find.judgement) = (program, judgement);
        }
        Ok(will_do)
    }

    /// Leaves out an actor or a step, if the verdict stays as wanted.
    fn leave_something_out(&mut self, find: &mut Find) -> io::Result<bool> {
        for program in without_one(&find.program) {
            if !self.may_try(find) {
                return Ok(false);
            }
            let whole = program.check().is_ok() && ideal(&program).end == End::Finished;
            if whole && self.smaller(find, program)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The judgement of a program and the word that was looked for, or `None` if it does not have
    /// the wanted verdict.
    fn judged(&mut self, program: &Program) -> io::Result<Option<(Judgement, Word)>> {
        let mut first: Option<(Judgement, Word)> = None;
        for _ in 0..self.plan.times {
            let Some(judgement) = (self.judge)(program)? else {
                return Ok(None);
            };
            let word = match self.want {
                Some(word) => judgement.has(word).then_some(word),
                None => Some(judgement.worst()).filter(|word| word.is_bad()),
            };
            let Some(word) = word else {
                return Ok(None);
            };
            match &first {
                None => first = Some((judgement, word)),
                Some((first, _)) if first.words != judgement.words => return Ok(None),
                Some(_) => {}
            }
        }
        Ok(first)
    }

    /// Keeps a find if none is smaller.
    fn offer(&mut self, find: &Find) {
        let better = |best: &Find| best.case == find.case || size(find) < size(best);
        if self.best.as_ref().is_none_or(better) {
            (self.news)(News::Found(find));
            self.best = Some(find.clone());
        }
    }
}

/// Smaller is better: fewer steps, fewer actors, ends sooner, found sooner.
fn size(find: &Find) -> (usize, usize, std::time::Duration, u32) {
    let end = ideal(&find.program).events.last().map(|event| event.at).unwrap_or_default();
    (n_steps(&find.program), find.program.actors.len(), end, find.case)
}

/// How many steps a program has, including those inside other steps.
pub fn n_steps(program: &Program) -> usize {
    program.steps().count()
}

/// The programs with one actor less or one step less.
fn without_one(program: &Program) -> Vec<Program> {
    let mut all = Vec::new();
    for actor in 0..program.actors.len() {
        let mut without = program.clone();
        without.actors.remove(actor);
        all.push(without);
    }
    for actor in 0..program.actors.len() {
        for path in paths(&program.actors[actor].steps) {
            let mut without = program.clone();
            remove(&mut without.actors[actor].steps, &path);
            all.push(without);
        }
    }
    // A program without an actor cannot fail.
    all.retain(|program| !program.actors.is_empty());
    all
}

/// The path to each step: the indices of the steps that contain it, then its own.
fn paths(steps: &[Step]) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        all.push(vec![i]);
        all.extend(paths(step.inner()).into_iter().map(|path| [vec![i], path].concat()));
    }
    // The last first, so that a step is removed before the earlier one that it depends on.
    all.sort_by_key(|path| Reverse(path.clone()));
    all
}

fn remove(steps: &mut Vec<Step>, path: &[usize]) {
    match path {
        &[i] if i < steps.len() => drop(steps.remove(i)),
        &[i, ref rest @ ..] => {
            if let Some(inner) = steps.get_mut(i).and_then(Step::inner_mut) {
                remove(inner, rest);
            }
        }
        [] => {}
    }
}
