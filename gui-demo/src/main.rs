//! The demo. Run it with `cargo run -p gui-demo`, or with `cargo xtask demo`, which installs what
//! is missing first.

use std::process::ExitCode;

use clap::Parser;
use gui_demo::cli::Options;
use gui_demo::{app, supervisor};
use harness::Registry;

fn main() -> ExitCode {
    let options = Options::parse();
    let registry = Registry::default();
    let known = registry.strategy(&options.strategy).map(drop);
    let scenario = options.scenario.as_deref();
    let known = known.and(scenario.map_or(Ok(()), |name| registry.scenario(name).map(drop)));
    if let Err(unknown) = known {
        eprintln!("error: {unknown}");
        return ExitCode::from(2);
    }
    let end = match options.parent {
        Some(parent) => app::run(options, parent, &registry),
        None => supervisor::run(&options),
    };
    end.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
