//! `harness cell`: the child.

use std::process::ExitCode;

use anyhow::Context as _;
use loopnest_core::Program;

use crate::child;
use crate::cli::ChildArgs;
use crate::exit::Exit;
use crate::registry::{Registry, Unknown};

pub(super) fn cell(registry: &Registry, args: &ChildArgs) -> ExitCode {
    // A strategy's warnings are evidence, and stderr is kept.
    tracing_subscriber::fmt().with_writer(std::io::stderr).without_time().with_ansi(false).init();
    let found = program(registry, args).and_then(|p| Ok((registry.strategy(&args.strategy)?, p)));
    match found {
        Ok((strategy, program)) => child::run(strategy, &program, &args.page, args.parent),
        Err(error) => {
            eprintln!("error: {error:#}");
            // This says nothing about the strategy.
            if error.is::<Unknown>() { Exit::Usage.into() } else { child::CANNOT_BEGIN.into() }
        }
    }
}

fn program(registry: &Registry, args: &ChildArgs) -> anyhow::Result<Program> {
    let Some(path) = &args.program else {
        return Ok(registry.scenario(args.scenario.as_deref().unwrap_or_default())?);
    };
    let text = std::fs::read_to_string(path).context("cannot read the program")?;
    let program: Program = toml::from_str(&text).context("cannot read the program")?;
    program.check().context("cannot run the program")?;
    Ok(program)
}
