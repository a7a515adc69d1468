//! What a result is written as, and how it is laid out.

use clap::ValueEnum;

/// How a result is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for a terminal.
    #[default]
    Human,
    /// The whole run as one JSON document.
    Json,
    /// One JSON object a line and cell.
    Jsonl,
    /// One row a cell, with a header.
    Csv,
    /// JUnit XML: a failure is a verdict that was not expected.
    Junit,
    /// A matrix in Markdown.
    Markdown,
}

/// How text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns that there are.
    pub width: usize,
    /// Colour beside the words; it never says what they do not.
    pub color: bool,
    /// Everything: each repeat in JSON, every bad cell's reason in the human matrix.
    pub full: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { width: 80, color: false, full: false }
    }
}
