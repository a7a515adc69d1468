//! `harness cell`: the child.

use std::process::ExitCode;

use crate::cli::ChildArgs;
use crate::registry::Registry;
use crate::{cell, exit::Exit};

pub(super) fn cell(registry: &Registry, args: &ChildArgs) -> ExitCode {
    // Warnings of the strategy are evidence, and stderr is kept.
    tracing_subscriber::fmt().with_writer(std::io::stderr).without_time().with_ansi(false).init();
    match (registry.strategy(&args.strategy), registry.scenario(&args.scenario)) {
        (Ok(strategy), Ok(program)) => cell::run(strategy, &program, &args.page, args.parent),
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("error: {error}");
            Exit::Usage.into()
        }
    }
}
