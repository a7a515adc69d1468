//! Text that fits: wrapping, grouping of digits, and only ASCII.
//!
//! People read reports in narrow terminals and paste them into issues, and reports quote a dying
//! process, which may say anything.
//! Everything here keeps a line within its width and free of escape codes.

use std::time::Duration;

use textwrap::{Options, WordSplitter};

/// Columns of text that may be pasted anywhere: what is printed has as many where there is no
/// terminal.
pub const WIDTH: usize = 80;

/// More columns than this are not easier to read.
pub const READABLE: usize = 100;

/// The column at which the text after a label begins.
pub const LABEL: usize = 8;

/// A number with its digits in groups of three: `141,000`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `text` in ASCII without control characters: line ends become spaces, a character with an ASCII
/// equivalent becomes that, and any other a question mark.
pub fn ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\n' | '\t' | '\r' | '\u{a0}' => plain.push(' '),
            '\u{2018}' | '\u{2019}' => plain.push('\''),
            '\u{201c}' | '\u{201d}' => plain.push('"'),
            '\u{2013}' | '\u{2014}' => plain.push('-'),
            '\u{2026}' => plain.push_str("..."),
            '\u{b5}' | '\u{3bc}' => plain.push('u'),
            c if c.is_ascii_control() => {}
            c if c.is_ascii() => plain.push(c),
            _ => plain.push('?'),
        }
    }
    plain
}

/// Drops the rest of a terminal escape sequence.
fn skip_escape(chars: &mut std::str::Chars<'_>) {
    if chars.next() == Some('[') {
        for c in chars.by_ref() {
            if ('\u{40}'..='\u{7e}').contains(&c) {
                break;
            }
        }
    }
}

/// Wraps `text` to `width` columns, every line after `indent` spaces.
///
/// Names are not broken at their hyphens. Only a word longer than a whole line is broken.
pub fn wrap(text: &str, width: usize, indent: usize) -> String {
    wrap_after(text, width, &" ".repeat(indent), indent)
}

/// As [`wrap`], with `first` in place of the indent of the first line.
pub fn wrap_after(text: &str, width: usize, first: &str, indent: usize) -> String {
    let rest = " ".repeat(indent);
    let options = Options::new(width.max(indent + 8))
        .initial_indent(first)
        .subsequent_indent(&rest)
        .word_splitter(WordSplitter::NoHyphenation);
    textwrap::fill(&ascii(text), options)
}

/// `text` after a label.
pub fn labelled(label: &str, text: &str, width: usize) -> String {
    wrap_after(text, width, &format!("{label:LABEL$}"), LABEL)
}

/// A command after a label of `indent` columns. If it does not fit, it continues after a backslash,
/// so that it can still be copied. Its words are never broken.
pub fn command(label: &str, words: &[impl AsRef<str>], width: usize, indent: usize) -> String {
    let mut lines = vec![format!("{label:indent$}")];
    for (i, word) in words.iter().map(AsRef::as_ref).enumerate() {
        let last = i + 1 == words.len();
        let used = lines.last().map_or(0, String::len);
        // A line that is not the last needs room for its backslash.
        if i > 0 && used + word.len() + if last { 1 } else { 3 } > width {
            lines.last_mut().into_iter().for_each(|line| line.push_str(" \\"));
            lines.push(format!("{:indent$}  {word}", ""));
        } else {
            let blank = if i > 0 { " " } else { "" };
            lines.last_mut().into_iter().for_each(|line| *line += &format!("{blank}{word}"));
        }
    }
    lines.join("\n")
}

/// `pieces` packed into lines of at most `width` columns, with nothing between them: the pieces of
/// a name keep their hyphen or plus sign.
pub fn pack(pieces: &[&str], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for piece in pieces {
        match lines.last_mut() {
            Some(line) if line.len() + piece.len() <= width => line.push_str(piece),
            _ => lines.push((*piece).to_owned()),
        }
    }
    lines.iter().map(|line| line.trim().to_owned()).collect()
}

/// With a capital at the beginning.
pub fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

/// With a full stop, unless it already ends a sentence.
pub fn ended(text: &str) -> String {
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// How long something took, in words: `1 min 23 s`.
pub fn duration(took: Duration) -> String {
    match took.as_secs() {
        0..10 => format!("{:.1} s", took.as_secs_f64()),
        s @ 10..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min {} s", s / 60, s % 60),
        s => format!("{} h {} min", grouped(s / 3600), s / 60 % 60),
    }
}

/// `n` things, with the plural of an English noun.
pub fn plural(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(n), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_in_threes() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(10_000), "10,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn a_duration_has_two_units_at_most() {
        let said = |ms| duration(Duration::from_millis(ms));
        assert_eq!(said(0), "0.0 s");
        assert_eq!(said(9_440), "9.4 s");
        assert_eq!(said(59_999), "59 s");
        assert_eq!(said(83_000), "1 min 23 s");
        assert_eq!(said(7_260_000), "2 h 1 min");
    }

    #[test]
    fn a_quoted_message_becomes_plain_ascii() {
        assert_eq!(
            ascii("\u{1b}[31mEnterError\u{1b}[0m \u{2018}x\u{2019}\n\u{4e16}"),
            "EnterError 'x' ?"
        );
    }

    #[test]
    fn a_number_is_not_broken_at_its_groups() {
        assert_eq!(wrap("GLib iterated 141,000 times", 17, 0), "GLib iterated\n141,000 times");
    }

    #[test]
    fn a_name_is_not_broken_at_its_hyphens() {
        assert_eq!(wrap("see dialog-from-callback", 20, 0), "see\ndialog-from-callback");
    }

    #[test]
    fn a_word_longer_than_the_line_is_broken() {
        assert!(wrap(&"x".repeat(50), 20, 2).lines().all(|line| line.len() <= 20));
    }

    #[test]
    fn a_command_that_does_not_fit_can_still_be_copied() {
        let words = ["harness", "replay", "nested/idle", "--seed", "5eed"];
        let wide = command("  replay", &words, 80, 10);
        assert_eq!(wide, "  replay  harness replay nested/idle --seed 5eed");
        let narrow = command("  replay", &words, 40, 10);
        assert_eq!(narrow, "  replay  harness replay nested/idle \\\n            --seed 5eed");
        assert!(narrow.lines().all(|line| line.len() <= 40));
    }
}
