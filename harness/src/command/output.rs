//! How the commands write: text to stdout or to a file, lines for the user to stderr.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anyhow::Context as _;

use crate::cli::When;
use crate::formats::Style;

/// Writes to stdout.
pub(super) fn print(text: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text).and_then(|()| stdout.flush()).context("cannot write to stdout")
}

/// Writes a line to stderr. `eprintln!` would panic if stderr is closed.
pub(super) fn say(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes to a file, or to stdout. If the file cannot be written, the text goes to stdout, so that
/// no measurement is lost.
pub(super) fn write_out(output: Option<&Path>, text: &str) -> anyhow::Result<()> {
    let Some(path) = output else {
        return print(text.as_bytes());
    };
    std::fs::write(path, text).or_else(|error| {
        let went = if print(text.as_bytes()).is_ok() { " (printed to stdout instead)" } else { "" };
        Err(error).with_context(|| format!("cannot write {}{went}", path.display()))
    })
}

/// Width and colour of what goes to stdout.
pub(super) fn style(color: When, to_file: bool, full: bool) -> Style {
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
