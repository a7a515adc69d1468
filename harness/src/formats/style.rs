//! The format of a result, and its layout.

use anstyle::{AnsiColor, Style as Paint};
use clap::ValueEnum;
use loopnest_core::Word;

use crate::called::Called;
use crate::text::WIDTH;

/// How a result is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for a terminal.
    #[default]
    Human,
    /// The whole run as one JSON document.
    Json,
    /// One JSON object per line, one line per cell.
    Jsonl,
    /// One row per cell, with a header.
    Csv,
    /// JUnit XML: an unexpected verdict is a failure.
    Junit,
    /// A matrix in Markdown.
    Markdown,
}

/// How text is laid out, and how it names this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Style {
    /// How many columns there are.
    pub width: usize,
    /// Colour, which never says anything that the words do not.
    pub color: bool,
    /// Everything: each repeat in JSON, the reason for every bad cell in the human matrix.
    pub full: bool,
    /// What begins a command that can be pasted.
    pub called: Called,
}

impl Style {
    /// `text` in colour, if there is any.
    pub(crate) fn paint(&self, paint: Paint, text: &str) -> String {
        if self.color { format!("{paint}{text}{paint:#}") } else { text.to_owned() }
    }

    /// A heading, line by line, so that no line has half of an escape code.
    pub(crate) fn heading(&self, text: &str) -> String {
        let lines: Vec<String> =
            text.lines().map(|line| self.paint(Paint::new().bold(), line)).collect();
        lines.join("\n")
    }
}

/// How a word is painted.
pub(crate) fn of_word(word: Word) -> Paint {
    let color = match word {
        Word::Progress => AnsiColor::Green,
        Word::NotApplicable | Word::Refused => AnsiColor::Cyan,
        Word::Inconclusive => AnsiColor::Magenta,
        _ => AnsiColor::Red,
    };
    Paint::new().fg_color(Some(color.into()))
}

impl Default for Style {
    fn default() -> Self {
        Self { width: WIDTH, color: false, full: false, called: Called::default() }
    }
}
