//! A generated part of a document. We own only what is between two marker lines.
//!
//! The lines are `<!-- BEGIN name -->`, which may contain a remark, and `<!-- END name -->`.

use std::fmt;

/// Why a generated part cannot be inserted into a document.
#[derive(Debug, PartialEq, Eq)]
pub struct Misfit {
    name: &'static str,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    NoBegin,
    NoEnd,
    Twice,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            Kind::NoBegin => "no begin marker",
            Kind::NoEnd => "no end marker after the begin marker",
            Kind::Twice => "more than one pair of markers",
        };
        let (begin, end) = (begin(self.name), end(self.name));
        write!(f, "{what}; it needs `{begin} -->` and `{end}` on separate lines, once each")
    }
}

impl std::error::Error for Misfit {}

fn begin(name: &str) -> String {
    format!("<!-- BEGIN {name}")
}

fn end(name: &str) -> String {
    format!("<!-- END {name} -->")
}

/// The document with the text between its markers. The marker lines stay unchanged, so the first
/// one can say where the text comes from.
pub fn splice(document: &str, name: &'static str, text: &str) -> Result<String, Misfit> {
    let misfit = |kind| Misfit { name, kind };
    let lines: Vec<&str> = document.split_inclusive('\n').collect();
    let mut begins = (0..lines.len()).filter(|&nth| is_begin(lines[nth], name));
    let begin = begins.next().ok_or(misfit(Kind::NoBegin))?;
    let last = end(name);
    let mut ends = (0..lines.len()).filter(|&nth| lines[nth].trim() == last);
    let end = ends.next().filter(|&end| end > begin).ok_or(misfit(Kind::NoEnd))?;
    if begins.next().is_some() || ends.next().is_some() {
        return Err(misfit(Kind::Twice));
    }
    let (head, tail) = (lines[..=begin].concat(), lines[end..].concat());
    // Blank lines around it: without them Markdown would treat the text as part of a comment.
    Ok(format!("{head}\n{}\n\n{tail}", text.trim_matches('\n')))
}

/// `<!-- BEGIN name -->`, or the same with a remark inside or after the comment.
fn is_begin(line: &str, name: &str) -> bool {
    line.trim().strip_prefix(&begin(name)).is_some_and(|rest| rest.starts_with([' ', ':']))
}

/// The first line in which two documents differ, for a message.
pub fn first_difference(old: &str, new: &str) -> String {
    let mut nth = 1;
    let (mut old, mut new) = (old.lines(), new.lines());
    loop {
        match (old.next(), new.next()) {
            (Some(is), Some(due)) if is == due => nth += 1,
            (is, due) => {
                let (is, due) = (is.unwrap_or("(nothing)"), due.unwrap_or("(nothing)"));
                return format!(":{nth}\n  committed  {is}\n  generated  {due}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splice(document: &str, table: &str) -> Result<String, Misfit> {
        super::splice(document, "matrix", table)
    }

    fn misfit(kind: Kind) -> Result<String, Misfit> {
        Err(Misfit { name: "matrix", kind })
    }

    const PAGE: &str = "# Title\n\n<!-- BEGIN matrix -->\nold\n<!-- END matrix -->\nafter\n";

    #[test]
    fn the_table_replaces_what_is_between_the_markers_and_nothing_else() {
        let page = splice(PAGE, "| a |\n| b |\n").unwrap();
        let begin = "# Title\n\n<!-- BEGIN matrix -->\n\n";
        assert_eq!(page, format!("{begin}| a |\n| b |\n\n<!-- END matrix -->\nafter\n"));
    }

    #[test]
    fn a_second_splice_changes_nothing() {
        let once = splice(PAGE, "| a |").unwrap();
        assert_eq!(splice(&once, "\n| a |\n\n").unwrap(), once);
    }

    #[test]
    fn the_first_marker_may_say_where_the_table_comes_from() {
        for marker in [
            "<!-- BEGIN matrix (cargo xtask readme) -->",
            "<!-- BEGIN matrix: made by `cargo xtask readme` -->",
            "<!-- BEGIN matrix --> <!-- cargo xtask readme -->",
        ] {
            let page = PAGE.replace("<!-- BEGIN matrix -->", marker);
            assert!(splice(&page, "| a |").unwrap().contains(&format!("{marker}\n\n| a |\n")));
        }
    }

    #[test]
    fn a_document_that_ends_at_the_marker_keeps_its_end() {
        let page = "<!-- BEGIN matrix -->\n<!-- END matrix -->";
        let spliced = splice(page, "x").unwrap();
        assert_eq!(spliced, "<!-- BEGIN matrix -->\n\nx\n\n<!-- END matrix -->");
    }

    #[test]
    fn missing_reversed_and_duplicate_markers_are_different_errors() {
        assert_eq!(splice("text\n", "x"), misfit(Kind::NoBegin));
        assert_eq!(splice("<!-- BEGIN matrixes -->\n", "x"), misfit(Kind::NoBegin));
        assert_eq!(splice("<!-- BEGIN matrix -->\n", "x"), misfit(Kind::NoEnd));
        let reversed = "<!-- END matrix -->\n<!-- BEGIN matrix -->\n";
        assert_eq!(splice(reversed, "x"), misfit(Kind::NoEnd));
        assert_eq!(splice(&PAGE.repeat(2), "x"), misfit(Kind::Twice));
    }

    #[test]
    fn the_first_stale_line_is_named() {
        let shown = first_difference("a\nb\n", "a\nc\n");
        assert_eq!(shown, ":2\n  committed  b\n  generated  c");
        assert!(first_difference("a\n", "a\nb\n").contains("committed  (nothing)"));
    }
}
