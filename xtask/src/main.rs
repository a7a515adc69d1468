//! The chores of the workspace, behind `cargo xtask`.
//!
//! With this program two commands are enough on a fresh machine: `cargo xtask run` and `cargo xtask
//! test`. It therefore depends on nothing that needs GLib: it exists to prevent build scripts that
//! cannot find a library.

mod bench;
mod cli;
mod command;
mod compat;
mod deep;
mod demo;
mod loom;
mod machine;
mod manager;
mod markers;
mod mutants;
mod package;
mod packages;
mod plan;
mod protocols;
mod published;
mod readme;
mod run;
mod selection;
mod setup;
mod site;
mod steady;
mod steps;
mod suite;
mod test;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Task};

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Setup(args) => setup::run(&args),
        Task::Run(args) => run::run(args),
        Task::Demo(args) => demo::run(args),
        Task::Test(args) => test::run(&args),
        Task::Compat(args) => compat::run(&args),
        Task::Deep(args) => deep::run(&args),
        Task::Loom(args) => loom::run(&args),
        Task::Mutants(args) => mutants::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Readme(args) => readme::run(&args),
        Task::Steady(args) => steady::run(&args),
        Task::Package(args) => package::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        if is_closed_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        eprintln!("error: {error:#}");
        // The harness also ends with 5 on a machine that cannot measure. A caller of `cargo xtask
        // run` must not mistake a missing package for an unexpected verdict, which is 1.
        ExitCode::from(if error.is::<setup::Unprepared>() { 5 } else { 1 })
    })
}

/// Whether the reader of our output has gone away, as `head` does once it has enough.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
