//! The commands, one file each.

mod cell;
mod doctor;
mod explain;
mod explore;
mod list;
mod replay;
mod report;
mod run;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};
use loopnest_core::Word;

use crate::cli::{Cli, Command, When};
use crate::exit::Exit;
use crate::formats::Style;
use crate::registry::{Registry, Unknown};
use crate::result::{CellResult, RunResult};
use crate::supervisor::Launch;

/// The whole program: parses the command line and does what it says.
///
/// A program that plugs in a strategy of its own calls this from `main`; it is started again by
/// itself for each cell.
pub fn main_with(registry: Registry) -> ExitCode {
    let cli = Cli::parse();
    // No warnings there: what a cell writes to stderr is evidence.
    if let Some(Command::Cell(args)) = &cli.command {
        return cell::cell(&registry, args);
    }
    warn_of_unknown_variables();
    // The panic has spoken already; what is left is to end as one that failed, not with 101.
    let result = catch_unwind(AssertUnwindSafe(|| obey(&registry, cli)));
    let exit = result.map(|result| result.unwrap_or_else(|error| failed(&error)));
    exit.unwrap_or(Exit::Failed).into()
}

fn obey(registry: &Registry, cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        None => run::run(registry, &cli.run),
        Some(Command::Run(args)) => run::run(registry, &args),
        Some(Command::List(args)) => list::list(registry, &args),
        Some(Command::Explain(args)) => explain::explain(registry, &args.cell),
        Some(Command::Explore(args)) => explore::explore(registry, &args),
        Some(Command::Replay(args)) => replay::replay(registry, &args),
        Some(Command::Report(args)) => report::report(&args),
        Some(Command::Doctor(args)) => doctor::doctor(registry, args.repeat),
        Some(Command::Cell(_)) => unreachable!("`main_with` has run it"),
        Some(Command::Completions { shell }) => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "harness", &mut text);
            print(&text).map(|()| Exit::Ok)
        }
    }
}

fn failed(error: &anyhow::Error) -> Exit {
    // Nobody reads on: `harness | head` is no failure.
    if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
        return Exit::Ok;
    }
    say(format_args!("error: {error:#}"));
    if error.is::<Unknown>() || error.is::<Usage>() { Exit::Usage } else { Exit::Failed }
}

/// The user's mistake, not ours.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Makes a mistake of the user's out of any error.
fn usage(error: impl Display) -> anyhow::Error {
    Usage(error.to_string()).into()
}

/// Writes to stdout.
fn print(text: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text).and_then(|()| stdout.flush()).context("cannot write to stdout")
}

/// Writes a line to stderr. `eprintln!` panics when nobody reads it.
fn say(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes to a file, or to stdout. What a file does not take goes to stdout, so that nothing that
/// was measured is lost.
fn write_out(output: Option<&Path>, text: &str) -> anyhow::Result<()> {
    let Some(path) = output else {
        return print(text.as_bytes());
    };
    std::fs::write(path, text).or_else(|error| {
        let went = if print(text.as_bytes()).is_ok() { ", so it went to stdout" } else { "" };
        Err(error).with_context(|| format!("cannot write {}{went}", path.display()))
    })
}

/// A mistyped variable would otherwise be a setting that silently is not one.
fn warn_of_unknown_variables() {
    let mut known = BTreeSet::new();
    collect_variables(&Cli::command(), &mut known);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"HARNESS_") && !known.contains(&name) {
            let known: Vec<_> = known.iter().map(|name| name.to_string_lossy()).collect();
            let (name, known) = (name.to_string_lossy(), known.join(" and "));
            say(format_args!("warning: {name} means nothing here; there are {known}"));
        }
    }
}

/// The environment variables of a command and of those below it.
fn collect_variables(command: &clap::Command, known: &mut BTreeSet<OsString>) {
    known.extend(command.get_arguments().filter_map(|arg| arg.get_env()).map(OsString::from));
    command.get_subcommands().for_each(|below| collect_variables(below, known));
}

/// The planted subjects among the cells that were not judged as what they are, with the verdict
/// that is known of each.
fn misjudged<'a>(registry: &Registry, result: &'a RunResult) -> Vec<(&'a CellResult, String)> {
    let wrong = |cell: &&CellResult, known: &[Word]| cell.verdict != known || cell.is_mixed();
    let known = |cell: &CellResult| {
        let mut controls = registry.controls().iter();
        controls.find(|(name, _)| *name == cell.strategy).map(|(_, known)| known)
    };
    result
        .cells
        .iter()
        .filter(|cell| cell.scenario == "control")
        .filter_map(|cell| Some((cell, known(cell)?)))
        .filter(|(cell, known)| wrong(cell, known))
        .map(|(cell, known)| {
            let names: Vec<_> = known.iter().map(|word| word.name()).collect();
            (cell, names.join("+"))
        })
        .collect()
}

/// How to start this program again for a cell.
fn launch() -> anyhow::Result<Launch> {
    let name = std::env::current_exe().context("cannot find this program")?;
    // Not by its name: what is found there may be rebuilt or gone while the matrix runs.
    let program = PathBuf::from("/proc/self/exe");
    Ok(Launch { program, name, args: vec!["cell".to_owned()] })
}

/// Is set by Ctrl-C or a polite kill. A second one ends the harness at once; its children go with
/// it.
fn on_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_shutdown(signal, 130, flag.clone())
            .and_then(|_| signal_hook::flag::register(signal, flag.clone()))
            .context("cannot watch for signals")?;
    }
    Ok(flag)
}

/// Width and colour of what goes to stdout.
fn style(color: When, to_file: bool, full: bool) -> Style {
    let variable = |name| std::env::var_os(name).unwrap_or_default();
    let terminal = !to_file && io::stdout().is_terminal();
    let forced = !to_file && !matches!(variable("CLICOLOR_FORCE").as_encoded_bytes(), b"" | b"0");
    let color = match color {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            let able = terminal && variable("TERM") != "dumb";
            variable("NO_COLOR").is_empty() && (able || forced)
        }
    };
    let columns = std::env::var("COLUMNS").ok().and_then(|n| n.parse().ok());
    let terminal_width = || terminal.then(|| usize::from(console_width()));
    let width = columns.or_else(terminal_width).unwrap_or(80).max(40);
    Style { width, color, full }
}

fn console_width() -> u16 {
    rustix::termios::tcgetwinsize(io::stdout()).map_or(80, |size| size.ws_col.max(40))
}
