//! Tables in a given width: scenarios as rows, strategies as columns.
//!
//! A verdict is never cut off, and neither it nor a name is broken while it fits: columns that do
//! not fit side by side are laid out in groups, one below the other.
//! Where there is no room for a single column, names break at their hyphens and verdicts at their
//! `+`.

use comfy_table::{Cell, Color, ContentLineStyle, LineStyle, Table, TableStyle};
use loopnest_core::verdict::Word;

use super::style::Style;
use crate::result::{CellResult, RunResult};
use crate::text::pack;

/// Blanks between two columns.
const GAP: usize = 2;

/// Shown where a cell was not run.
const MISSING: &str = "-";

/// The matrix, in as many groups of columns as the width requires.
pub(super) fn matrix(result: &RunResult, style: &Style) -> String {
    let scenarios = result.scenarios();
    let mut names = Column::names(&scenarios);
    let mut columns: Vec<Column> =
        result.strategies().iter().map(|s| Column::strategy(result, s, &scenarios)).collect();
    // A verdict is read more often than the name of its row.
    let widest = columns.iter().map(|column| column.width).max().unwrap_or(0);
    names.fit(style.width.saturating_sub(GAP + widest.min(style.width / 2)));
    let room = style.width.saturating_sub(names.width);
    columns.iter_mut().for_each(|column| column.fit(room.saturating_sub(GAP)));
    let tables = groups(columns, room).into_iter().map(|group| {
        let mut all = vec![&names];
        all.extend(&group);
        draw(&all, style)
    });
    tables.collect::<Vec<_>>().join("\n\n")
}

/// The words of a cell with its marks, in pieces between which it may be wrapped.
pub(super) fn pieces(cell: &CellResult) -> Vec<String> {
    let mut pieces = words(&cell.verdict);
    if !cell.is_expected() {
        pieces.push(" !".to_owned());
    }
    if cell.flaky().is_some() {
        pieces.push(" ~flaky".to_owned());
    } else if cell.is_mixed() {
        pieces.push(format!(" ~{}/{}", cell.agree, cell.repeats));
    }
    pieces
}

/// The words of a verdict, each with the sign that joins it to the next.
pub(super) fn words(verdict: &[Word]) -> Vec<String> {
    let last = verdict.len().saturating_sub(1);
    let sign = |i| if i < last { "+" } else { "" };
    verdict.iter().enumerate().map(|(i, word)| format!("{word}{}", sign(i))).collect()
}

/// The colour of a verdict, which never says more than its words.
pub(super) fn color(cell: &CellResult) -> Color {
    match cell.worst() {
        Word::Progress => Color::Green,
        Word::NotApplicable | Word::Refused => Color::Cyan,
        Word::Inconclusive => Color::Magenta,
        _ => Color::Red,
    }
}

/// A table without borders, its header underlined, drawn as wide as its widest lines.
pub(super) fn table(header: Vec<Cell>, rows: Vec<Vec<Cell>>, style: &Style) -> String {
    let n_columns = header.len();
    let lines = ContentLineStyle::none().junction(' ');
    let mut table = Table::new();
    table.load_style(
        TableStyle::new()
            .header_lines(lines)
            .header_separator(LineStyle::none().fill('-').junction(' '))
            .content_lines(lines),
    );
    table.set_header(header).add_rows(rows);
    for (i, column) in table.column_iter_mut().enumerate() {
        // The junction is the other half of the gap.
        let right = if i + 1 < n_columns { GAP as u16 - 1 } else { 0 };
        column.set_padding((0, right));
    }
    table.style_text_only();
    if style.color {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.trim_fmt()
}

/// One column; texts are in pieces, between which they may be wrapped.
struct Column {
    header: Vec<String>,
    cells: Vec<(Vec<String>, Option<Color>)>,
    width: usize,
}

impl Column {
    /// The names of the rows.
    fn names(scenarios: &[&str]) -> Self {
        let cells = scenarios.iter().map(|name| (hyphens(name), None)).collect();
        Self::of(vec!["scenario".to_owned()], cells)
    }

    fn strategy(result: &RunResult, strategy: &str, scenarios: &[&str]) -> Self {
        let cells = scenarios.iter().map(|scenario| match result.cell(strategy, scenario) {
            Some(cell) => (pieces(cell), Some(color(cell))),
            None => (vec![MISSING.to_owned()], None),
        });
        Self::of(hyphens(strategy), cells.collect())
    }

    /// A column in which nothing is wrapped.
    fn of(header: Vec<String>, cells: Vec<(Vec<String>, Option<Color>)>) -> Self {
        let mut column = Self { header, cells, width: 0 };
        let whole = |pieces: &Vec<String>| pieces.iter().map(String::len).sum();
        column.width = column.all().map(whole).max().unwrap_or(0);
        column
    }

    fn all(&self) -> impl Iterator<Item = &Vec<String>> {
        self.cells.iter().map(|(pieces, _)| pieces).chain([&self.header])
    }

    /// Makes it as narrow as this, but not narrower than its longest piece.
    fn fit(&mut self, room: usize) {
        let longest = self.all().flatten().map(|piece| piece.trim().len()).max().unwrap_or(0);
        self.width = self.width.min(room.max(longest));
    }

    fn cell(&self, pieces: &[String]) -> Cell {
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        Cell::new_owned(pack(&pieces, self.width).join("\n"))
    }
}

/// A name in pieces, each with its hyphen.
fn hyphens(name: &str) -> Vec<String> {
    name.split_inclusive('-').map(str::to_owned).collect()
}

/// Groups of columns that fit side by side.
fn groups(columns: Vec<Column>, room: usize) -> Vec<Vec<Column>> {
    let mut groups: Vec<Vec<Column>> = Vec::new();
    let used = |group: &[Column]| group.iter().map(|c| c.width + GAP).sum::<usize>();
    for column in columns {
        match groups.last_mut() {
            Some(group) if used(group) + column.width + GAP <= room => group.push(column),
            _ => groups.push(vec![column]),
        }
    }
    groups
}

fn draw(columns: &[&Column], style: &Style) -> String {
    let header = columns.iter().map(|column| column.cell(&column.header)).collect();
    let n_rows = columns.first().map_or(0, |column| column.cells.len());
    let row = |i: usize| {
        let cell = |column: &&Column| {
            let (pieces, color) = &column.cells[i];
            let cell = column.cell(pieces);
            color.map_or(cell.clone(), |color| cell.fg(color))
        };
        columns.iter().map(cell).collect()
    };
    table(header, (0..n_rows).map(row).collect(), style)
}
