//! How the commands write: text to stdout or to a file, lines for the user to stderr.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::usage::usage;
use crate::called::Called;
use crate::cli::When;
use crate::formats::Style;
use crate::text::WIDTH;

/// Writes to stdout.
pub(super) fn print(text: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text).and_then(|()| stdout.flush()).context("cannot write to stdout")
}

/// Writes a line to stderr. `eprintln!` would panic if stderr is closed.
pub(super) fn say(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// A file for results. It is opened before anything runs, so that a mistake costs no time, and
/// what it held until then is replaced only when there is something to write.
#[derive(Debug)]
pub(super) struct Destination {
    path: PathBuf,
    file: File,
    /// It was not there before, and is empty until now.
    is_new: bool,
}

impl Destination {
    /// Opens a file.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let options = || File::options().write(true).clone();
        let (file, is_new) = match options().create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                (options().create(true).open(path), false)
            }
            other => (other, true),
        };
        let unusable = |error| usage(format!("cannot write {}: {error}", path.display()));
        Ok(Self { path: path.to_owned(), file: file.map_err(unusable)?, is_new })
    }

    /// Whether writing would replace something.
    pub(super) fn holds_something(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.is_file() && file.len() > 0)
    }

    /// Replaces what is in the file.
    pub(super) fn write(self, text: &str) -> anyhow::Result<()> {
        let path = self.path.clone();
        self.replace(text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn replace(mut self, text: &str) -> io::Result<()> {
        // A pipe or a device holds nothing that could be cut off.
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        self.file.write_all(text.as_bytes())?;
        self.is_new = false;
        Ok(())
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if self.is_new {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes to a file, or to stdout. If the file cannot be written, the text goes to stdout, so that
/// no measurement is lost; and so it does if it is only a part of the results, which must not
/// replace what the file holds.
pub(super) fn write_out(
    output: Option<Destination>,
    text: &str,
    partial: bool,
) -> anyhow::Result<()> {
    match output {
        None => print(text.as_bytes()),
        Some(file) if partial && file.holds_something() => {
            say(format_args!("warning: interrupted, so {} stays as it was", file.path.display()));
            print(text.as_bytes())
        }
        Some(file) => {
            let path = file.path.clone();
            file.replace(text).or_else(|error| {
                let printed = print(text.as_bytes()).is_ok();
                let went = if printed { " (printed to stdout instead)" } else { "" };
                Err(error).with_context(|| format!("cannot write {}{went}", path.display()))
            })
        }
    }
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
    let columns = std::env::var("COLUMNS").ok().and_then(|n| n.parse().ok()).and_then(possible);
    let of_terminal = || terminal.then(console_width).flatten().and_then(possible);
    // Less than this has no room for a name beside its verdict.
    let width = columns.or_else(of_terminal).unwrap_or(WIDTH).max(40);
    Style { width, color, full, called: Called::now().clone() }
}

fn console_width() -> Option<usize> {
    rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| size.ws_col.into())
}

/// A width that a terminal can have. Tables are padded to it, so it must not be just any number.
fn possible(width: usize) -> Option<usize> {
    (20..=1000).contains(&width).then_some(width)
}
