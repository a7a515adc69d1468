//! The environment variables that set arguments.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::CommandFactory as _;

use super::output::say;
use crate::cli::Cli;

/// Warns about unknown variables. A mistyped one would otherwise silently have no effect.
pub(super) fn warn_of_unknown() {
    let mut known = BTreeSet::new();
    collect_variables(&Cli::command(), &mut known);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"HARNESS_") && !known.contains(&name) {
            let known: Vec<_> = known.iter().map(|name| name.to_string_lossy()).collect();
            let (name, known) = (name.to_string_lossy(), known.join(" and "));
            say(format_args!("warning: {name} has no effect; the variables are {known}"));
        }
    }
}

/// The environment variables of a command and its subcommands.
fn collect_variables(command: &clap::Command, known: &mut BTreeSet<OsString>) {
    known.extend(command.get_arguments().filter_map(|arg| arg.get_env()).map(OsString::from));
    command.get_subcommands().for_each(|below| collect_variables(below, known));
}
