//! The format of a result, and its layout.

use clap::ValueEnum;

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

/// How text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// How many columns there are.
    pub width: usize,
    /// Colour, which never says anything that the words do not.
    pub color: bool,
    /// Everything: each repeat in JSON, the reason for every bad cell in the human matrix.
    pub full: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { width: 80, color: false, full: false }
    }
}
