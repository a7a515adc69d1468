//! Tables in a given width: scenarios as rows, strategies as columns.
//!
//! A verdict is never cut off.
//! It is wrapped at its `+`, and a strategy's name at its hyphens.
//! Columns that still do not fit are laid out in groups, one below the other.

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
    let names = Column::names(&scenarios, style.width / 2);
    let columns: Vec<Column> =
        result.strategies().iter().map(|s| Column::strategy(result, s, &scenarios)).collect();
    let room = style.width.saturating_sub(names.width);
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
    if cell.is_mixed() {
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

/// One column, before it is known how wide it may be.
struct Column {
    header: Vec<String>,
    cells: Vec<(Vec<String>, Option<Color>)>,
    width: usize,
}

impl Column {
    /// The names of the rows.
    fn names(scenarios: &[&str], room: usize) -> Self {
        let cells = scenarios.iter().map(|name| (hyphens(name), None)).collect();
        let mut column = Self { header: vec!["scenario".to_owned()], cells, width: 0 };
        column.width = column.narrowest().max(column.natural().min(room));
        column
    }

    fn strategy(result: &RunResult, strategy: &str, scenarios: &[&str]) -> Self {
        let cells = scenarios.iter().map(|scenario| match result.cell(strategy, scenario) {
            Some(cell) => (pieces(cell), Some(color(cell))),
            None => (vec![MISSING.to_owned()], None),
        });
        let mut column = Self { header: hyphens(strategy), cells: cells.collect(), width: 0 };
        column.width = column.narrowest();
        column
    }

    fn all(&self) -> impl Iterator<Item = &Vec<String>> {
        self.cells.iter().map(|(pieces, _)| pieces).chain([&self.header])
    }

    /// The width at which it is wrapped between all pieces.
    fn narrowest(&self) -> usize {
        self.all().flatten().map(|piece| piece.trim().len()).max().unwrap_or(0)
    }

    /// The width at which nothing is wrapped.
    fn natural(&self) -> usize {
        self.all().map(|pieces| pieces.iter().map(String::len).sum()).max().unwrap_or(0)
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

/// Groups of columns that fit side by side, widened from the left while there is room.
fn groups(columns: Vec<Column>, room: usize) -> Vec<Vec<Column>> {
    let mut groups: Vec<Vec<Column>> = Vec::new();
    let used = |group: &[Column]| group.iter().map(|c| c.width + GAP).sum::<usize>();
    for column in columns {
        match groups.last_mut() {
            Some(group) if used(group) + column.width + GAP <= room => group.push(column),
            _ => groups.push(vec![column]),
        }
    }
    for group in &mut groups {
        let mut left = room.saturating_sub(used(group));
        for column in group {
            let more = column.natural().saturating_sub(column.width).min(left);
            column.width += more;
            left -= more;
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
