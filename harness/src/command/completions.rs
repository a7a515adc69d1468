//! `harness completions`: the script of a shell, with the names that this harness knows.
//!
//! A script has the names of the day on which it was made. That is as long as a harness keeps its
//! strategies and scenarios, and needs nothing of the program while a user types.

use std::fmt::Write as _;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, Command};
use clap_complete::Shell;
use loopnest_core::Word;

use super::output::print;
use crate::called::Called;
use crate::cli::command;
use crate::exit::Exit;
use crate::registry::Registry;
use crate::rules::RULES;

pub(super) fn completions(registry: &Registry, shell: Shell) -> anyhow::Result<Exit> {
    let mut text = Vec::new();
    let called = Called::now();
    let mut command = knowing(command(called), registry);
    clap_complete::generate(shell, &mut command, called.name(), &mut text);
    if shell == Shell::Fish {
        text.extend(fish_positionals(&command, called.name())?.into_bytes());
    }
    print(&text).map(|()| Exit::Ok)
}

/// clap_complete gives fish only the values of options.
fn fish_positionals(command: &Command, name: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    for below in command.get_subcommands() {
        for argument in below.get_positionals() {
            let values = argument.get_possible_values();
            if !values.is_empty() {
                let values: Vec<_> = values.iter().map(PossibleValue::get_name).collect();
                let (below, values) = (below.get_name(), values.join(" "));
                writeln!(
                    text,
                    "complete -c {name} -n \"__fish_seen_subcommand_from {below}\" -a \"{values}\""
                )?;
            }
        }
    }
    Ok(text)
}

/// The command line with the names in a registry as values of its arguments. It serves to be
/// completed, not to be parsed: where it lists names, patterns and files are possible too.
fn knowing(command: Command, registry: &Registry) -> Command {
    let strategies: Vec<String> =
        registry.strategies().map(|strategy| strategy.about().name.to_owned()).collect();
    let scenarios: Vec<String> =
        registry.scenarios().iter().map(|scenario| scenario.name.clone()).collect();
    let selected = |names: &[String]| {
        let all = std::iter::once("all".to_owned());
        one_of(all.chain(names.iter().cloned()).collect())
    };
    let select = |command: Command| {
        let command = command.mut_arg("strategy", selected(&strategies));
        command.mut_arg("scenario", selected(&scenarios))
    };
    let cells = strategies
        .iter()
        .flat_map(|strategy| scenarios.iter().map(move |s| format!("{strategy}/{s}")));
    let cells: Vec<String> = cells.collect();
    let on = |command: Command| {
        let command = command.mut_arg("strategy", one_of(strategies.clone()));
        command.mut_arg("what", one_of(cells.clone()))
    };
    let words = Word::ALL.iter().map(|word| word.name());
    let names = words.chain(RULES.iter().map(|rule| rule.name)).map(str::to_owned);
    let names = names.chain(strategies.clone()).chain(scenarios.clone()).collect();
    select(command)
        .mut_subcommand("run", select)
        .mut_subcommand("explain", on)
        .mut_subcommand("replay", on)
        .mut_subcommand("explore", |c| c.mut_arg("strategy", one_of(strategies.clone())))
        .mut_subcommand("list", |c| c.mut_arg("name", one_of(names)))
}

fn one_of(names: Vec<String>) -> impl FnOnce(Arg) -> Arg {
    |argument| argument.value_parser(PossibleValuesParser::new(names))
}
