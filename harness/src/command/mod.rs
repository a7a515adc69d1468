//! The commands, one file each, and what several of them share.

mod cell;
mod completions;
mod doctor;
mod explain;
mod explore;
mod list;
mod replay;
mod report;
mod run;

mod cells;
mod failure;
mod output;
mod progress;
mod subject;
mod usage;
mod variables;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::FromArgMatches as _;

use failure::failed;
use usage::usage;

use crate::called::Called;
use crate::cli::{Cli, Command, command};
use crate::exit::Exit;
use crate::keeper;
use crate::registry::Registry;

/// The whole program: parses the command line and runs the command.
///
/// A program with a strategy of its own calls this from `main`. It starts itself again for each
/// cell.
pub fn main_with(registry: Registry) -> ExitCode {
    let matches = command(Called::now()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match &cli.command {
        // No warnings in a cell: what it writes to stderr is evidence.
        Some(Command::Cell(args)) => return cell::cell(&registry, args),
        Some(Command::Keep) => {
            keeper::keep(std::io::stdin().lock());
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    variables::warn_of_unknown();
    // The panic has printed its message. All that is left is the exit code of a failure, not 101.
    let result = catch_unwind(AssertUnwindSafe(|| obey(&registry, cli)));
    let exit = result.map(|result| result.unwrap_or_else(|error| failed(&error)));
    exit.unwrap_or(Exit::Failed).into()
}

fn obey(registry: &Registry, cli: Cli) -> anyhow::Result<Exit> {
    if let Some(refused) = registry.refused().first() {
        return Err(usage(refused));
    }
    match cli.command {
        None => run::run(registry, &cli.run),
        Some(Command::Run(args)) => run::run(registry, &args),
        Some(Command::List(args)) => list::list(registry, &args),
        Some(Command::Explain(args)) => explain::explain(registry, &args),
        Some(Command::Explore(args)) => explore::explore(registry, &args),
        Some(Command::Replay(args)) => replay::replay(registry, &args),
        Some(Command::Report(args)) => report::report(&args),
        Some(Command::Doctor(args)) => doctor::doctor(registry, args.repeat),
        Some(Command::Cell(_) | Command::Keep) => unreachable!("`main_with` has run it"),
        Some(Command::Completions { shell }) => completions::completions(registry, shell),
    }
}
