//! The commands, one file each.

mod cell;
mod doctor;
mod explain;
mod list;
mod replay;
mod report;
mod run;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};

use crate::cli::{Cli, Command, When};
use crate::exit::Exit;
use crate::registry::{Registry, Unknown};
use crate::report::Style;
use crate::supervisor::Launch;

/// The whole program: parses the command line and does what it says.
///
/// A program that plugs in a strategy of its own calls this from `main`; it is started again by
/// itself for each cell.
pub fn main_with(registry: Registry) -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        None => run::run(&registry, &cli.run),
        Some(Command::Run(args)) => run::run(&registry, &args),
        Some(Command::List(args)) => list::list(&registry, &args),
        Some(Command::Explain(args)) => explain::explain(&registry, &args.cell),
        Some(Command::Replay(args)) => replay::replay(&registry, &args),
        Some(Command::Report(args)) => report::report(&args),
        Some(Command::Doctor(args)) => doctor::doctor(&registry, args.repeat),
        Some(Command::Cell(args)) => return cell::cell(&registry, &args),
        Some(Command::Completions { shell }) => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "harness", &mut text);
            print(&text).map(|()| Exit::Ok)
        }
    };
    result.unwrap_or_else(|error| failed(&error)).into()
}

fn failed(error: &anyhow::Error) -> Exit {
    // Nobody reads on: `harness | head` is no failure.
    if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
        return Exit::Ok;
    }
    let _ = writeln!(io::stderr(), "error: {error:#}");
    if error.is::<Unknown>() || error.is::<Usage>() { Exit::Usage } else { Exit::Failed }
}

/// The user's mistake, not ours.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

/// Makes a mistake of the user's out of any error.
fn usage(error: impl std::fmt::Display) -> anyhow::Error {
    Usage(error.to_string()).into()
}

/// Writes to stdout.
fn print(text: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text)?;
    stdout.flush()?;
    Ok(())
}

/// Writes to a file, or to stdout.
fn write_out(output: Option<&Path>, text: &str) -> anyhow::Result<()> {
    match output {
        None => print(text.as_bytes()),
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
        }
    }
}

/// How to start this program again for a cell.
fn launch() -> anyhow::Result<Launch> {
    let program = std::env::current_exe().context("cannot find this program")?;
    Ok(Launch { program, args: vec!["cell".to_owned()] })
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
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let terminal = !to_file && io::stdout().is_terminal();
    let color = match color {
        When::Always => true,
        When::Never => false,
        When::Auto => !set("NO_COLOR") && (terminal || (set("CLICOLOR_FORCE") && !to_file)),
    };
    let columns = std::env::var("COLUMNS").ok().and_then(|n| n.parse().ok());
    let terminal_width = || terminal.then(|| usize::from(console_width()));
    let width = columns.or_else(terminal_width).unwrap_or(80).max(40);
    Style { width, color, full }
}

fn console_width() -> u16 {
    rustix::termios::tcgetwinsize(io::stdout()).map_or(80, |size| size.ws_col.max(40))
}
