//! Starts a process for each model, and prints what the searches found.
//!
//! For cargo and nextest each model is a test. A model passes if its search finds no failure, and a
//! mutant if its search finds the expected failure.
//!
//! For each mutant that is caught, it prints a line, which `cargo xtask mutants` turns into a row:
//! `mutant: NAME | WHAT IS WRONG | FOUND BY | EXECUTIONS`.

use std::collections::BTreeMap;
use std::env;
use std::process::{self, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::search::{FAILED, Model, PASSED, explore};

/// Names the model that this process searches.
const SEARCH: &str = "LOOPNEST_LOOM_SEARCH";

/// The result of a search.
struct Report {
    name: &'static str,
    result: String,
    executions: String,
    took: Duration,
    /// If a failure was found: what failed, and in which order of steps.
    failure: Option<String>,
    /// For the table of mutants.
    mutant: Option<String>,
}

pub fn run(models: &[&'static [Model]]) {
    let models: Vec<&'static Model> = models.iter().copied().flatten().collect();
    if let Ok(name) = env::var(SEARCH) {
        let model = models.iter().find(|model| model.name == name).expect("a model of that name");
        explore(model);
    }
    let args = Arguments::from_args();
    let reports = Arc::new(Mutex::new(BTreeMap::new()));
    let trials = models.into_iter().enumerate().map(|(nth, model)| {
        let reports = reports.clone();
        Trial::test(model.name, move || {
            let (report, result) = search(model);
            reports.lock().unwrap_or_else(PoisonError::into_inner).insert(nth, report);
            result
        })
    });
    let conclusion = libtest_mimic::run(&args, trials.collect());
    if conclusion.num_passed + conclusion.num_failed == 0 && !args.list {
        eprintln!("error: no model has {:?} in its name", args.filter.unwrap_or_default());
        process::exit(2);
    }
    show(reports.lock().unwrap_or_else(PoisonError::into_inner).values());
    conclusion.exit();
}

/// Searches a model in another process.
fn search(model: &Model) -> (Report, Result<(), Failed>) {
    let start = Instant::now();
    let output = env::current_exe()
        .and_then(|program| {
            Command::new(program).env(SEARCH, model.name).stderr(Stdio::inherit()).output()
        })
        .expect("this program can be started again");
    let text = String::from_utf8_lossy(&output.stdout);
    let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let words: Vec<&str> = head.split('\t').collect();
    let report = |result: &str, executions: &str| Report {
        name: model.name,
        result: result.to_owned(),
        executions: executions.to_owned(),
        took: start.elapsed(),
        failure: None,
        mutant: None,
    };
    match (words.as_slice(), &model.mutant) {
        ([PASSED, executions, depth], None) => (report(depth, executions), Ok(())),
        ([PASSED, executions, depth], Some(_)) => {
            (report("NOT CAUGHT", executions), Err(format!("{depth}, and nothing failed").into()))
        }
        ([FAILED, executions], None) => {
            let report = Report { failure: Some(rest.into()), ..report("FAILED", executions) };
            (report, Err(rest.into()))
        }
        ([FAILED, executions], Some(mutant)) => {
            let caught = rest.lines().next().is_some_and(|line| line.contains(mutant.fails_by));
            let row = format!("{} | {} | loom | {executions}", model.name, mutant.wrong);
            let report = Report {
                failure: Some(rest.into()),
                mutant: caught.then_some(row),
                ..report(if caught { "caught" } else { "WRONG FAULT" }, executions)
            };
            let wrong = format!("failed, but not by `{}`: {rest}", mutant.fails_by);
            (report, if caught { Ok(()) } else { Err(wrong.into()) })
        }
        _ => {
            let problem = format!("the search ended with {} and said {text:?}", output.status);
            (report("DIED", "?"), Err(problem.into()))
        }
    }
}

fn show<'a>(reports: impl Iterator<Item = &'a Report> + Clone) {
    for report in reports.clone() {
        if let (Some(failure), Some(mutant)) = (&report.failure, &report.mutant) {
            println!("---- {}: caught\nmutant: {mutant}\n{failure}", report.name);
        }
    }
    let width = reports.clone().map(|report| report.name.len()).max().unwrap_or_default();
    if width > 0 {
        println!("{:<width$}  {:<15} {:>10} {:>8}", "model", "search", "executions", "seconds");
    }
    for Report { name, result, executions, took, .. } in reports {
        let seconds = took.as_secs_f64();
        println!("{name:<width$}  {result:<15} {executions:>10} {seconds:>8.1}");
    }
}
